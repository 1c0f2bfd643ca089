//! In which unit is a tick, and how do exact integers become seconds?

use arrow_schema::TimeUnit;

use crate::error::{Error, Result};

/// The unit of a log's ticks: `i64` instants since 1970-01-01 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unit {
    /// Seconds.
    Second,
    /// Milliseconds.
    Milli,
    /// Microseconds.
    Micro,
    /// Nanoseconds.
    Nano,
}

impl Unit {
    /// Ticks in a second.
    pub fn per_second(self) -> i64 {
        match self {
            Unit::Second => 1,
            Unit::Milli => 1_000,
            Unit::Micro => 1_000_000,
            Unit::Nano => 1_000_000_000,
        }
    }

    /// The unit named "s", "ms", "us" or "ns".
    ///
    /// # Errors
    /// INVALID_ARGUMENT for another name.
    pub fn parse(name: &str) -> Result<Unit> {
        match name {
            "s" => Ok(Unit::Second),
            "ms" => Ok(Unit::Milli),
            "us" => Ok(Unit::Micro),
            "ns" => Ok(Unit::Nano),
            _ => Err(Error::argument(format!(
                "timestamp_unit {name:?} is not known; use \"s\", \"ms\", \"us\" or \"ns\""
            ))),
        }
    }

    /// The name that [`Unit::parse`] reads.
    pub fn name(self) -> &'static str {
        match self {
            Unit::Second => "s",
            Unit::Milli => "ms",
            Unit::Micro => "us",
            Unit::Nano => "ns",
        }
    }

    /// Arrow's word for the unit.
    pub fn arrow(self) -> TimeUnit {
        match self {
            Unit::Second => TimeUnit::Second,
            Unit::Milli => TimeUnit::Millisecond,
            Unit::Micro => TimeUnit::Microsecond,
            Unit::Nano => TimeUnit::Nanosecond,
        }
    }

    /// The unit behind Arrow's word.
    pub fn from_arrow(unit: TimeUnit) -> Unit {
        match unit {
            TimeUnit::Second => Unit::Second,
            TimeUnit::Millisecond => Unit::Milli,
            TimeUnit::Microsecond => Unit::Micro,
            TimeUnit::Nanosecond => Unit::Nano,
        }
    }
}

/// The float nearest to an exact fraction, ties to even: the same in every backend, and in the order of the fractions.
pub fn ratio(numerator: i128, denominator: i128) -> f64 {
    let (n, d) = (numerator.unsigned_abs(), denominator.unsigned_abs());
    // Both are floats without being rounded, and the division rounds once.
    let magnitude = if n <= EXACT && d <= EXACT { n as f64 / d as f64 } else { nearest(n, d) };
    if (numerator < 0) == (denominator < 0) { magnitude } else { -magnitude }
}

/// Up to here every integer is a float.
const EXACT: u128 = 1 << f64::MANTISSA_DIGITS;

/// Long division, until there are enough digits to tell how a float is to be rounded.
#[cold]
fn nearest(numerator: u128, denominator: u128) -> f64 {
    let (mut quotient, mut rest) = (numerator / denominator, numerator % denominator);
    let mut exponent = 0;
    while rest > 0 && quotient >> (f64::MANTISSA_DIGITS + 1) == 0 {
        // The rest is below the denominator, which is far below 2^127.
        rest *= 2;
        quotient = quotient * 2 + rest / denominator;
        rest %= denominator;
        exponent -= 1;
    }
    // Beyond the digits of a float, the last bit only says whether anything follows.
    (quotient | u128::from(rest > 0)) as f64 * f64::powi(2.0, exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_arrow_units_round_trip() {
        for (name, unit) in [("s", Unit::Second), ("ms", Unit::Milli), ("us", Unit::Micro), ("ns", Unit::Nano)] {
            assert_eq!((Unit::parse(name).unwrap(), unit.name()), (unit, name));
            assert_eq!(Unit::from_arrow(unit.arrow()), unit);
        }
        assert!(Unit::parse("h").is_err());
        assert!(Unit::Second < Unit::Nano);
    }

    #[test]
    fn fractions_are_rounded_once() {
        assert_eq!(ratio(1_152_921_504_606_846_955, 1_000_000_000), 1_152_921_504.606_847);
        assert_eq!(ratio(-115_292_150_460_684_695_500, 100_000_000_000), -1_152_921_504.606_847);
        assert_eq!(
            (ratio(0, 7), ratio(1, -4), ratio(i128::from(i64::MAX), 1)),
            (0.0, -0.25, 9_223_372_036_854_775_807.0)
        );
        // Halfway between two floats, and a little more.
        let half = (1i128 << 53) + 1;
        assert_eq!((ratio(half, 1), ratio(half * 3, 3)), ((1i64 << 53) as f64, (1i64 << 53) as f64));
        assert_eq!(ratio(half * 1_000_000 + 1, 1_000_000), ((1i64 << 53) + 2) as f64);
    }

    proptest::proptest! {
        #[test]
        fn long_division_is_division(numerator in 0u64..1 << 53, denominator in 1u64..1 << 53) {
            let plain = numerator as f64 / denominator as f64;
            proptest::prop_assert_eq!(nearest(u128::from(numerator), u128::from(denominator)), plain);
            let long = ratio(i128::from(numerator) << 60, i128::from(denominator) << 60);
            proptest::prop_assert_eq!(long, plain);
        }
    }
}
