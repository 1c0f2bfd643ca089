//! Count, sum, extremes and standard deviation of integers, exactly, so that no order of summation can show.
//!
//! The sample variance is `(n * sum(x^2) - sum(x)^2) / (n * (n - 1))`, an integer over an integer: both are kept exact
//! (256 bits) and rounded to a float once (Chan, Golub and LeVeque 1983 discuss why the float form of this loses digits).

use arrow_buffer::i256;
use cjm_lanes::sums::{FURTHEST, MOST, Sums, sums};

/// Exact moments of a set of `i64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moments {
    n: u64,
    sum: i128,
    squares_low: u128,
    squares_high: u64,
    min: i64,
    max: i64,
}

impl Default for Moments {
    fn default() -> Self {
        Moments { n: 0, sum: 0, squares_low: 0, squares_high: 0, min: i64::MAX, max: i64::MIN }
    }
}

impl Moments {
    /// The moments of `values`.
    #[cfg(test)]
    pub fn of(values: &[i64]) -> Moments {
        let mut moments = Moments::default();
        moments.extend(values);
        moments
    }

    /// Adds one value.
    #[inline]
    pub fn push(&mut self, value: i64) {
        self.n += 1;
        self.sum += i128::from(value);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        let magnitude = u128::from(value.unsigned_abs());
        self.add_squares(magnitude * magnitude);
    }

    /// Adds one value that is there `times` times. All counts together have to stay below 2^63.
    pub fn push_many(&mut self, value: i64, times: u64) {
        if times == 0 {
            return;
        }
        self.n += times;
        self.sum += i128::from(value) * i128::from(times);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        // A square below 2^127 times a count, by halves of the square.
        let magnitude = u128::from(value.unsigned_abs());
        let square = magnitude * magnitude;
        let (low, high) = (square & u128::from(u64::MAX), square >> 64);
        let upper = high * u128::from(times);
        self.add_squares(low * u128::from(times));
        self.add_squares(upper << 64);
        self.squares_high += (upper >> 64) as u64;
    }

    /// Adds many values.
    pub fn extend(&mut self, values: &[i64]) {
        for block in values.chunks(MOST) {
            let Sums { sum, squares, low, high } = sums(block);
            // Sums of values that lie further from zero would not fit.
            if low >= -FURTHEST && high <= FURTHEST {
                self.n += block.len() as u64;
                self.sum += i128::from(sum);
                self.add_squares(squares);
                self.min = self.min.min(low);
                self.max = self.max.max(high);
            } else {
                block.iter().for_each(|&x| self.push(x));
            }
        }
    }

    /// Adds the moments of a disjoint set.
    pub fn merge(&mut self, other: &Moments) {
        self.n += other.n;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.add_squares(other.squares_low);
        self.squares_high += other.squares_high;
    }

    fn add_squares(&mut self, squares: u128) {
        let (low, carry) = self.squares_low.overflowing_add(squares);
        self.squares_low = low;
        self.squares_high += u64::from(carry);
    }

    /// How many values there are.
    pub fn n(&self) -> u64 {
        self.n
    }

    /// Their exact sum.
    pub fn sum(&self) -> i128 {
        self.sum
    }

    /// The least value, if any.
    pub fn min(&self) -> Option<i64> {
        (self.n > 0).then_some(self.min)
    }

    /// The greatest value, if any.
    pub fn max(&self) -> Option<i64> {
        (self.n > 0).then_some(self.max)
    }

    /// The sample standard deviation (n - 1) in ticks; none below two values.
    pub fn std(&self) -> Option<f64> {
        if self.n < 2 {
            return None;
        }
        let denominator = u128::from(self.n) * u128::from(self.n - 1);
        // In 128 bits, where they are enough.
        if self.squares_high == 0
            && let Some(squares) = u128::from(self.n).checked_mul(self.squares_low)
            && let Some(square) = self.sum.unsigned_abs().checked_mul(self.sum.unsigned_abs())
        {
            return Some(((squares - square) as f64 / denominator as f64).sqrt());
        }
        let n = i256::from_i128(i128::from(self.n));
        let squares = i256::from_parts(self.squares_low, i128::from(self.squares_high));
        let sum = i256::from_i128(self.sum);
        let numerator = n.wrapping_mul(squares).wrapping_sub(sum.wrapping_mul(sum));
        Some((nearest_f64(numerator) / denominator as f64).sqrt())
    }
}

/// The float nearest to a non-negative 256-bit integer.
fn nearest_f64(value: i256) -> f64 {
    let (low, high) = value.to_parts();
    let high = high as u128;
    if high == 0 {
        return low as f64;
    }
    // 128 significant bits with a sticky last bit round as all 256 would.
    let shift = 128 - high.leading_zeros();
    let mut top = if shift == 128 { high } else { (high << (128 - shift)) | (low >> shift) };
    let lost = if shift == 128 { low } else { low << (128 - shift) };
    top |= u128::from(lost != 0);
    top as f64 * 2f64.powi(shift as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_golden_gaps_have_their_deviation() {
        let moments = Moments::of(&[208_800, 3_600, 7_200, 86_400]);
        assert_eq!((moments.n(), moments.sum(), moments.min(), moments.max()), (4, 306_000, Some(3600), Some(208_800)));
        assert!((moments.std().unwrap() - 96_121.797_736).abs() < 1e-6);
    }

    #[test]
    fn extremes_do_not_overflow() {
        let moments = Moments::of(&[i64::MAX, i64::MIN, i64::MAX, i64::MIN]);
        // Values +-2^63 around a mean of -1/2: the deviation is 2^63 * sqrt(4/3).
        let expected = 2f64.powi(63) * (4f64 / 3.0).sqrt();
        assert!((moments.std().unwrap() / expected - 1.0).abs() < 1e-12);
        let mut many = Moments::default();
        (0..40).for_each(|_| many.merge(&Moments::of(&[i64::MIN; 1000])));
        assert_eq!(many.std(), Some(0.0));
    }

    #[test]
    fn merged_parts_and_single_pushes_equal_the_whole() {
        let values: Vec<i64> = (0..100_000i64).map(|i| (i * 7_919_000_003) % 1_000_003 - 500_000).collect();
        let whole = Moments::of(&values);
        let mut merged = Moments::of(&values[..33_333]);
        merged.merge(&Moments::of(&values[33_333..]));
        let mut pushed = Moments::default();
        values.iter().for_each(|&x| pushed.push(x));
        assert_eq!(whole, merged);
        assert_eq!(whole, pushed);
    }

    #[test]
    fn a_value_many_times_is_as_many_values() {
        for value in [0, 7, -12_345_678_901, i64::MAX, i64::MIN] {
            let mut one_by_one = Moments::of(&[3]);
            (0..1000).for_each(|_| one_by_one.push(value));
            let mut at_once = Moments::of(&[3]);
            at_once.push_many(value, 0);
            at_once.push_many(value, 999);
            at_once.push_many(value, 1);
            assert_eq!(at_once, one_by_one);
        }
        let mut many = Moments::default();
        many.push_many(i64::MIN, 1 << 62);
        assert_eq!((many.std(), many.sum()), (Some(0.0), -(1i128 << 125)));
    }

    #[test]
    fn one_value_has_no_deviation() {
        assert_eq!(Moments::of(&[5]).std(), None);
        assert_eq!(Moments::default().min(), None);
    }
}
