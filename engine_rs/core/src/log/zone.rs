//! Which instant is a naive wall-clock time in a zone? Looked up in the IANA data inside the engine.
//!
//! A time that a clock change skips counts with the offset before the change, one that it repeats is the first of the
//! two (RFC 5545's rule, as in java.time and Temporal's "compatible").

use arrow_buffer::ScalarBuffer;
use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};

use crate::error::{Error, Result};
use crate::units::Unit;

/// A zone, with the stretch of wall-clock time around the last look-up in which the offset stays the same.
#[derive(Clone)]
pub struct Localiser {
    zone: TimeZone,
    from_s: i64,
    until_s: i64,
    offset_s: i64,
}

/// Wall-clock times closer than this to a change are looked up one by one.
const MARGIN_S: i64 = 2 * 86_400;

impl Localiser {
    /// The zone named `name`: an IANA name or a fixed offset such as "+02:00".
    ///
    /// # Errors
    /// INVALID_ARGUMENT for a name that is not known.
    pub fn new(name: &str) -> Result<Localiser> {
        let (zone, _) = find(name)?;
        Ok(Localiser { zone, from_s: 0, until_s: 0, offset_s: 0 })
    }

    /// The instant of one wall-clock `tick`, unless it is out of range.
    pub fn instant(&mut self, tick: i64, unit: Unit) -> Option<i64> {
        let per_second = unit.per_second();
        tick.checked_sub(self.offset_at(tick.div_euclid(per_second))? * per_second)
    }

    /// The instants of wall-clock `ticks`; none for one that is out of range (years -9999 to 9999).
    pub fn instants(&mut self, ticks: &[i64], unit: Unit) -> std::result::Result<ScalarBuffer<i64>, usize> {
        let instants = ticks.iter().enumerate().map(|(row, &tick)| self.instant(tick, unit).ok_or(row));
        instants.collect::<std::result::Result<Vec<i64>, usize>>().map(ScalarBuffer::from)
    }

    #[inline]
    fn offset_at(&mut self, wall_s: i64) -> Option<i64> {
        if wall_s < self.from_s || wall_s >= self.until_s {
            self.look_up(wall_s)?;
        }
        Some(self.offset_s)
    }

    fn look_up(&mut self, wall_s: i64) -> Option<()> {
        let wall: civil::DateTime = Timestamp::from_second(wall_s).ok()?.to_zoned(TimeZone::UTC).datetime();
        let instant = self.zone.to_ambiguous_timestamp(wall).compatible().ok()?;
        self.offset_s = wall_s - instant.as_second();
        let before = self.zone.preceding(instant).next().map(|change| change.timestamp().as_second());
        let after = self.zone.following(instant).next().map(|change| change.timestamp().as_second());
        let from_s = before.map_or(i64::MIN, |change| change + MARGIN_S);
        let until_s = after.map_or(i64::MAX, |change| change - MARGIN_S);
        (self.from_s, self.until_s) =
            if from_s <= wall_s && wall_s < until_s { (from_s, until_s) } else { (wall_s, wall_s + 1) };
        Some(())
    }
}

/// The name by which every library knows the zone `name`: the letter case of the IANA, `+HH:MM`.
///
/// # Errors
/// INVALID_ARGUMENT for a name that is not known.
pub fn canonical(name: &str) -> Result<String> {
    find(name).map(|(_, canonical)| canonical)
}

fn find(name: &str) -> Result<(TimeZone, String)> {
    let by_name = || {
        let zone = TimeZone::get(name).ok().filter(|zone| !zone.is_unknown())?;
        let canonical = zone.iana_name()?.to_owned();
        Some((zone, canonical))
    };
    fixed_offset(name).or_else(by_name).ok_or_else(|| {
        let text = format!(
            "timezone {name:?} is not known; use an IANA name such as \"Europe/Berlin\" or an offset such as \"+02:00\""
        );
        Error::argument(text)
    })
}

fn fixed_offset(name: &str) -> Option<(TimeZone, String)> {
    let sign = name.chars().next().filter(|sign| matches!(sign, '+' | '-'))?;
    let (hours, minutes) = name[1..].split_once(':').or_else(|| name[1..].split_at_checked(2))?;
    let number = |digits: &str, end: i32| {
        let is_number = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse::<i32>().ok().filter(|number| is_number && *number < end)
    };
    let seconds = number(hours, 24)? * 3600 + number(minutes, 60)? * 60;
    let offset = jiff::tz::Offset::from_seconds(if sign == '-' { -seconds } else { seconds }).ok()?;
    Some((TimeZone::fixed(offset), format!("{sign}{hours}:{minutes}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instant(zone: &str, wall: &str) -> i64 {
        let wall: civil::DateTime = wall.parse().unwrap();
        let ticks = wall.to_zoned(TimeZone::UTC).unwrap().timestamp().as_second();
        Localiser::new(zone).unwrap().instants(&[ticks], Unit::Second).unwrap()[0]
    }

    fn utc(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_second()
    }

    #[test]
    fn summer_winter_gap_and_fold() {
        assert_eq!(instant("Europe/Berlin", "2024-01-15T12:00:00"), utc("2024-01-15T11:00:00Z"));
        assert_eq!(instant("Europe/Berlin", "2024-07-15T12:00:00"), utc("2024-07-15T10:00:00Z"));
        assert_eq!(instant("Europe/Berlin", "2024-03-31T02:30:00"), utc("2024-03-31T01:30:00Z"));
        assert_eq!(instant("Europe/Berlin", "2024-10-27T02:30:00"), utc("2024-10-27T00:30:00Z"));
        assert_eq!(instant("+05:45", "2024-01-01T05:45:00"), utc("2024-01-01T00:00:00Z"));
        assert_eq!(instant("UTC", "2024-01-01T00:00:00"), utc("2024-01-01T00:00:00Z"));
    }

    #[test]
    fn a_run_over_years_equals_single_look_ups() {
        let start = utc("2019-01-01T00:00:00Z");
        let walls: Vec<i64> = (0..40_000).map(|i| start + i * 3_571).collect();
        let together = Localiser::new("America/New_York").unwrap().instants(&walls, Unit::Second).unwrap();
        for (wall, instant) in walls.iter().zip(together.iter()).step_by(17) {
            let alone = Localiser::new("America/New_York").unwrap().instants(&[*wall], Unit::Second).unwrap()[0];
            assert_eq!(*instant, alone);
        }
    }

    #[test]
    fn unknown_names_are_refused() {
        assert!(Localiser::new("Europe/Atlantis").is_err());
        for name in ["+2", "+25:00", "+01:60", "++1:+1", "+é0", "Etc/Unknown", ""] {
            assert!(Localiser::new(name).is_err(), "{name}");
        }
    }

    #[test]
    fn names_get_the_spelling_that_other_libraries_know() {
        for (name, expected) in [
            ("europe/berlin", "Europe/Berlin"),
            ("AMERICA/NEW_YORK", "America/New_York"),
            ("Asia/Calcutta", "Asia/Calcutta"),
            ("utc", "UTC"),
            ("+0200", "+02:00"),
            ("-09:30", "-09:30"),
        ] {
            assert_eq!(canonical(name).unwrap(), expected);
        }
        assert!(canonical("Europe/Atlantis").is_err());
    }
}
