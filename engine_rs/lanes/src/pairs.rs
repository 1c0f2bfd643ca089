//! Is any number followed by an equal one?

use crate::widest;

/// Whether two neighbours among `values` are equal.
#[inline]
pub fn any_equal(values: &[i64]) -> bool {
    widest!(plain, avx2, avx512, values)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512dq")]
fn avx512(values: &[i64]) -> bool {
    of(values)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2(values: &[i64]) -> bool {
    of(values)
}

/// [`any_equal`] for every processor.
pub fn plain(values: &[i64]) -> bool {
    of(values)
}

#[inline(always)]
fn of(values: &[i64]) -> bool {
    // No end before the last pair: pairs are compared many at once.
    let differences = values.windows(2).map(|pair| i64::from(pair[0] == pair[1]));
    differences.fold(0, |any, equal| any | equal) != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_form_finds_an_equal_neighbour(mut values in prop::collection::vec(any::<i64>(), 0..300), at in any::<prop::sample::Index>()) {
            values.dedup();
            for form in [any_equal, plain] {
                prop_assert!(!form(&values));
            }
            if !values.is_empty() {
                let at = at.index(values.len());
                values.insert(at, values[at]);
                for form in [any_equal, plain] {
                    prop_assert!(form(&values));
                }
            }
        }
    }
}
