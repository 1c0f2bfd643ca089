//! Into which bucket does a value go, so that the ends of the bucket are no farther apart than a share of it?
//!
//! Buckets are those of HdrHistogram (Tene 2012): linear inside each power of two of the magnitude, `2^k` steps each, and
//! mirrored below zero. A magnitude below `2^(k+1)` has a bucket of its own. A bucket of larger ones begins at
//! `l >= 2^(k+s)` and is `2^s` wide for some `s`, so that two values in it differ by less than `l / 2^k`. With the smallest k
//! that has `2^-(k+1) <= e`, the middle of a bucket is within `e` of every value in it, as a share of that value.

use crate::error::{Error, Result};

/// How finely values are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    /// k: there are `2^k` steps inside a power of two.
    step_bits: u32,
}

/// Finer than this, buckets would hold hardly more than a value each, and cost more than exact percentiles.
pub const FINEST: f64 = 0.0001;

/// Coarser than this, a bucket would be wider than a power of two.
pub const COARSEST: f64 = 0.5;

impl Scale {
    /// The coarsest scale on which the middle of a bucket is off by at most the share `approx` of a value.
    ///
    /// # Errors
    /// INVALID_ARGUMENT outside [`FINEST`] to [`COARSEST`].
    pub fn new(approx: f64) -> Result<Scale> {
        if !(FINEST..=COARSEST).contains(&approx) {
            let text = format!("approx {approx} is outside {FINEST} to {COARSEST}; leave it out for exact percentiles");
            return Err(Error::argument(text));
        }
        let enough = |bits: &u32| f64::from(2u32 << bits) * approx >= 1.0;
        let step_bits = (0..16).find(enough).ok_or_else(|| Error::internal("no scale is fine enough"))?;
        Ok(Scale { step_bits })
    }

    /// The bucket of a value. Ascending values have ascending buckets; zero has bucket 0.
    #[inline]
    pub fn bucket(self, value: i64) -> i32 {
        let magnitude = value.unsigned_abs();
        let shift = 63 - self.step_bits - (magnitude | 1 << self.step_bits).leading_zeros();
        // Below 2^(k+1) nothing is shifted, and the bucket is the magnitude itself. At most 64 * 2^13 in any case.
        let bucket = (shift << self.step_bits) as i32 + (magnitude >> shift) as i32;
        if value < 0 { -bucket } else { bucket }
    }

    /// The least and the greatest value that go into a bucket.
    pub fn bounds(self, bucket: i32) -> (i128, i128) {
        let number = bucket.unsigned_abs();
        let shift = (number >> self.step_bits).saturating_sub(1);
        let near = i128::from(number - (shift << self.step_bits)) << shift;
        let far = near + (1i128 << shift) - 1;
        if bucket < 0 { (-far, -near) } else { (near, far) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_scale_is_as_coarse_as_its_bound_allows() {
        for (approx, step_bits) in
            [(0.5, 0), (0.49, 1), (0.25, 1), (0.1, 3), (0.01, 6), (1.0 / 128.0, 6), (0.001, 9), (FINEST, 13)]
        {
            assert_eq!(Scale::new(approx).unwrap(), Scale { step_bits }, "{approx}");
        }
        for approx in [0.0, -0.01, 0.00009, 0.51, 1.0, f64::NAN, f64::INFINITY] {
            let error = Scale::new(approx).unwrap_err();
            assert!(error.message().contains("0.0001 to 0.5"), "{error}");
        }
    }

    #[test]
    fn few_ticks_have_buckets_of_their_own() {
        let scale = Scale::new(0.01).unwrap();
        for value in -127..128 {
            let bucket = scale.bucket(value);
            assert_eq!((i64::from(bucket), scale.bounds(bucket)), (value, (i128::from(value), i128::from(value))));
        }
        assert_eq!(scale.bounds(scale.bucket(129)), (128, 129));
        assert_eq!(scale.bounds(scale.bucket(-1000)), (-1007, -1000));
    }

    fn values() -> impl Strategy<Value = i64> {
        prop_oneof![
            (0u32..64, any::<i64>()).prop_map(|(bits, x)| x >> bits),
            (0u32..64, -2i64..=2).prop_map(|(bits, off)| (1i64 << bits).wrapping_add(off)),
            Just(i64::MIN),
        ]
    }

    proptest! {
        #[test]
        fn a_bucket_holds_its_values_and_is_narrow(value in values(), other in values(), approx in FINEST..=COARSEST) {
            let scale = Scale::new(approx).unwrap();
            let (bucket, value) = (scale.bucket(value), i128::from(value));
            let (low, high) = scale.bounds(bucket);
            prop_assert!(low <= value && value <= high);
            prop_assert!((high - low) as f64 <= 2.0 * approx * low.abs().min(high.abs()) as f64);
            // Buckets follow each other without a gap, and are in the order of the values.
            prop_assert_eq!(scale.bounds(bucket - 1).1, low - 1);
            prop_assert_eq!(scale.bounds(bucket + 1).0, high + 1);
            prop_assert!((i128::from(other) >= value) || scale.bucket(other) <= bucket);
        }
    }
}
