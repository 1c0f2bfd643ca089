//! Which value stands at percentile p? R type 7 (Hyndman and Fan 1996; numpy's "linear"), in exact integers.
//!
//! With p written as the decimal fraction P/S and n sorted values x, `t = (n - 1) * P`, `lo = t div 100S`, `r = t mod 100S`:
//! the percentile is `(x[lo] * 100S + r * (x[lo + 1] - x[lo])) / 100S`, one exact integer over another.

use crate::error::{Error, Result};
use crate::stats::ranks::Ranks;
use crate::units::ratio;

/// A percentile asked for: an exact decimal in [0, 100] and its column name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Percentile {
    scaled: u64,
    scale: u64,
    text: String,
}

/// More decimals than any question needs would only make the exact integers overflow.
const MAX_DECIMALS: usize = 6;

impl Percentile {
    /// The percentile whose shortest decimal form is that of `p`.
    ///
    /// # Errors
    /// INVALID_ARGUMENT outside [0, 100] or with more than 6 decimals.
    pub fn new(p: f64) -> Result<Percentile> {
        if !(0.0..=100.0).contains(&p) {
            return Err(Error::argument(format!("percentile {p} is outside 0 to 100")));
        }
        let text = format!("{}", p.abs());
        let (whole, decimals) = text.split_once('.').unwrap_or((&text, ""));
        if decimals.len() > MAX_DECIMALS {
            return Err(Error::argument(format!("percentile {p} has more than {MAX_DECIMALS} decimals")));
        }
        let scaled = format!("{whole}{decimals}").parse().map_err(|_| Error::internal("a decimal did not parse"))?;
        Ok(Percentile { scaled, scale: 10u64.pow(decimals.len() as u32), text })
    }

    /// "p50" or "p99_9": the column's name without its unit.
    pub fn name(&self) -> String {
        format!("p{}", self.text.replace('.', "_"))
    }

    /// Index of the lower neighbour and the weight of the upper one, as `(lo, r, 100S)`.
    fn position(&self, n: u64) -> (u64, u64, u64) {
        let whole = 100 * self.scale;
        // Nearly always in 64 bits, which are divided much faster.
        if let Some(t) = (n - 1).checked_mul(self.scaled) {
            return (t / whole, t % whole, whole);
        }
        let t = (u128::from(n) - 1) * u128::from(self.scaled);
        ((t / u128::from(whole)) as u64, (t % u128::from(whole)) as u64, whole)
    }

    /// The ranks of the values on both sides of the percentile of `n` values, the same one twice where it is a value.
    pub fn neighbours(&self, n: u64) -> [u64; 2] {
        let (lo, r, _) = self.position(n);
        [lo, lo + u64::from(r > 0)]
    }

    /// The percentile of `n` values in units of `per_second` ticks, where `value` tells the one at a rank.
    fn of(&self, n: u64, per_second: i64, value: impl Fn(u64) -> i128) -> f64 {
        let (lo, r, whole) = self.position(n);
        let low = value(lo);
        let high = if r > 0 { value(lo + 1) } else { low };
        let whole = i128::from(whole);
        ratio(low * whole + i128::from(r) * (high - low), whole * i128::from(per_second))
    }

    /// The share of all values that lie below, about.
    pub fn share(&self) -> f64 {
        self.scaled as f64 / (100.0 * self.scale as f64)
    }
}

/// The ranks that the percentiles of `n` values are taken from, ascending and distinct.
pub fn ranks(asked: &[Percentile], n: u64) -> Vec<u64> {
    let mut ranks: Vec<u64> = asked.iter().flat_map(|p| p.neighbours(n)).collect();
    ranks.sort_unstable();
    ranks.dedup();
    ranks
}

/// The percentiles of all values in `blocks`, none below `least`, in units of `per_second` ticks; none of no values.
///
/// Cost: two reads of the values, see [`Ranks`].
pub fn of_ticks(
    blocks: &[&[i64]],
    least: i64,
    asked: &[Percentile],
    per_second: i64,
    space: &mut Ranks,
) -> Option<Vec<f64>> {
    let n = blocks.iter().map(|block| block.len() as u64).sum();
    if n == 0 {
        return None;
    }
    if let Some(few) = space.sorted_few(blocks) {
        return Some(asked.iter().map(|p| p.of(n, per_second, |rank| i128::from(few[rank as usize]))).collect());
    }
    let ranks = ranks(asked, n);
    let places: Vec<usize> = ranks.iter().map(|&rank| rank as usize).collect();
    let found: Vec<(u64, i64)> = ranks.into_iter().zip(space.of(blocks, least, &places)).collect();
    Some(of_ranked(&found, n, asked, per_second))
}

/// The percentiles of `n` values, at least one, in units of `per_second` ticks, from the values at [`ranks`].
pub fn of_ranked<T: Copy + Into<i128>>(found: &[(u64, T)], n: u64, asked: &[Percentile], per_second: i64) -> Vec<f64> {
    let value = |rank: u64| found.binary_search_by_key(&rank, |pair| pair.0).map_or(0, |at| found[at].1.into());
    asked.iter().map(|p| p.of(n, per_second, value)).collect()
}

/// The percentiles of ascending floats; empty input gives none.
pub fn of_sorted_floats(values: &[f64], asked: &[Percentile]) -> Option<Vec<f64>> {
    (!values.is_empty()).then(|| of_floats(values.len() as u64, |rank| values[rank as usize], asked))
}

/// The percentiles of `n` floats, at least one, where `value` knows those at [`ranks`].
pub fn of_floats(n: u64, value: impl Fn(u64) -> f64, asked: &[Percentile]) -> Vec<f64> {
    let answer = |p: &Percentile| {
        let (lo, r, whole) = p.position(n);
        let low = value(lo);
        if r == 0 { low } else { low + (r as f64 / whole as f64) * (value(lo + 1) - low) }
    };
    asked.iter().map(answer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(list: &[f64]) -> Vec<Percentile> {
        list.iter().map(|&p| Percentile::new(p).unwrap()).collect()
    }

    fn of(values: &[i64], asked: &[Percentile], per_second: i64) -> Option<Vec<f64>> {
        let least = values.iter().copied().min().unwrap_or(0);
        let blocks: Vec<&[i64]> = values.chunks(7).collect();
        of_ticks(&blocks, least, asked, per_second, &mut Ranks::default())
    }

    #[test]
    fn the_test_vector_of_the_contract() {
        let values = [208_800, 3_600, 86_400, 7_200];
        let got = of(&values, &asked(&[50.0, 90.0, 95.0, 0.0, 100.0]), 1).unwrap();
        assert_eq!(got, [46_800.0, 172_080.0, 190_440.0, 3_600.0, 208_800.0]);
    }

    #[test]
    fn a_single_value_is_rounded_once() {
        let ticks = 93_600_000_000_001;
        let got = of(&[ticks], &asked(&[12.5, 99.999999]), 1_000_000_000).unwrap();
        assert_eq!(got, [93_600.000000001, 93_600.000000001]);
    }

    #[test]
    fn names_follow_the_decimals() {
        let names: Vec<String> = asked(&[50.0, 99.9, 99.99, 0.0]).iter().map(Percentile::name).collect();
        assert_eq!(names, ["p50", "p99_9", "p99_99", "p0"]);
    }

    #[test]
    fn impossible_percentiles_are_refused() {
        for p in [-0.1, 100.1, f64::NAN, f64::INFINITY, 1.234_567_8] {
            assert!(Percentile::new(p).is_err(), "{p}");
        }
    }

    #[test]
    fn selection_equals_sorting() {
        let list = asked(&[0.0, 1.5, 25.0, 50.0, 75.0, 99.9, 100.0]);
        for n in [1usize, 2, 3, 10, 1001] {
            let values: Vec<i64> = (0..n as i64).map(|i| (i * 7919) % 101 - 50).collect();
            let mut sorted = values.clone();
            sorted.sort_unstable();
            let got = of(&values, &list, 1).unwrap();
            let floats: Vec<f64> = sorted.iter().map(|&x| x as f64).collect();
            for (got, expected) in got.iter().zip(of_sorted_floats(&floats, &list).unwrap()) {
                assert!((got - expected).abs() < 1e-9, "{got} {expected}");
            }
        }
    }

    #[test]
    fn nothing_has_no_percentile() {
        assert_eq!(of(&[], &asked(&[50.0]), 1), None);
    }
}
