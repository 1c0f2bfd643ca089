//! Sum, squares and extremes of some integers, exactly, in one look at them.

use crate::widest;

/// What some integers add up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sums {
    /// Their sum.
    pub sum: i64,
    /// The sum of their squares.
    pub squares: u128,
    /// The least of them; [`i64::MAX`] of none.
    pub low: i64,
    /// The greatest of them; [`i64::MIN`] of none.
    pub high: i64,
}

/// So many values, none of them further from zero than [`FURTHEST`], have sums that fit.
pub const MOST: usize = 1 << 16;
/// How far from zero values may be.
pub const FURTHEST: i64 = 1 << 46;

/// Bits of a value's lower part: both parts of a value have squares that can be added up in 64 bits.
const LOWER: u32 = 23;

/// The sums of at most [`MOST`] values. `low` and `high` hold for any; the sums only if no value is further from zero than
/// [`FURTHEST`].
#[inline]
pub fn sums(values: &[i64]) -> Sums {
    widest!(plain, avx2, avx512, values)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512dq")]
fn avx512(values: &[i64]) -> Sums {
    of(values)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2(values: &[i64]) -> Sums {
    of(values)
}

/// [`sums`] for every processor.
pub fn plain(values: &[i64]) -> Sums {
    of(values)
}

#[inline(always)]
fn of(values: &[i64]) -> Sums {
    let (mut sum, mut low, mut high) = (0i64, i64::MAX, i64::MIN);
    // (u + l)^2 = u^2 + 2ul + l^2, each added up on its own.
    let (mut upper_squares, mut products, mut lower_squares) = (0u64, 0u64, 0u64);
    for &value in values {
        sum = sum.wrapping_add(value);
        low = low.min(value);
        high = high.max(value);
        let magnitude = value.unsigned_abs();
        let (upper, lower) = (magnitude >> LOWER & u64::from(u32::MAX), magnitude & ((1 << LOWER) - 1));
        upper_squares = upper_squares.wrapping_add(upper * upper);
        products = products.wrapping_add(upper * lower);
        lower_squares = lower_squares.wrapping_add(lower * lower);
    }
    let squares = (u128::from(upper_squares) << (2 * LOWER))
        .wrapping_add(u128::from(products) << (LOWER + 1))
        .wrapping_add(u128::from(lower_squares));
    Sums { sum, squares, low, high }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_form_adds_up_as_one_by_one(
            values in prop::collection::vec(-FURTHEST..=FURTHEST, 0..200),
            extreme in prop_oneof![Just(None), Just(Some(FURTHEST)), Just(Some(-FURTHEST))],
        ) {
            let values: Vec<i64> = values.into_iter().chain(extreme).collect();
            let expected = Sums {
                sum: values.iter().sum(),
                squares: values.iter().map(|&x| u128::from(x.unsigned_abs()).pow(2)).sum(),
                low: values.iter().copied().min().unwrap_or(i64::MAX),
                high: values.iter().copied().max().unwrap_or(i64::MIN),
            };
            prop_assert_eq!(sums(&values), expected);
            prop_assert_eq!(plain(&values), expected);
        }

        #[test]
        fn extremes_hold_for_any_values(values in prop::collection::vec(any::<i64>(), 1..200)) {
            for found in [sums(&values), plain(&values)] {
                prop_assert_eq!(Some(&found.low), values.iter().min());
                prop_assert_eq!(Some(&found.high), values.iter().max());
            }
        }
    }

    #[test]
    fn as_many_of_the_furthest_as_may_be_do_fit() {
        let values = vec![-FURTHEST; MOST];
        let found = sums(&values);
        assert_eq!((found.sum, found.squares), (-(1 << 62), 1 << 108));
        assert_eq!(found, plain(&values));
    }
}
