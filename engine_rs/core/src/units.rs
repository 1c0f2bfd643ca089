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

/// `ticks / denominator` seconds as the nearest float of each exact integer, divided once: the same in every backend.
pub fn ratio(numerator: i128, denominator: i128) -> f64 {
    numerator as f64 / denominator as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_arrow_units_round_trip() {
        for (name, unit) in [("s", Unit::Second), ("ms", Unit::Milli), ("us", Unit::Micro), ("ns", Unit::Nano)] {
            assert_eq!(Unit::parse(name).unwrap(), unit);
            assert_eq!(Unit::from_arrow(unit.arrow()), unit);
        }
        assert!(Unit::parse("h").is_err());
        assert!(Unit::Second < Unit::Nano);
    }
}
