//! How is one time that is text read? As ISO 8601, or by a strftime-style format.
//!
//! The fields are chrono's but for fractions of a second: `%f` is what Python, pandas and DuckDB mean by it, the digits
//! behind the decimal point, one to nine of them. `%.f` is the same with the point, and may be missing.

use chrono::format::{Fixed, Item, Numeric, Parsed, StrftimeItems, parse, parse_and_remainder};
use chrono::{DateTime, NaiveTime, Utc};

use crate::error::{Error, Result};

/// How times are written.
#[derive(Clone)]
pub enum TextFormat {
    /// ISO 8601, with an offset or without.
    Iso,
    /// By fields.
    Fields {
        /// Runs of fields, between which the fractions stand.
        pieces: Vec<Piece>,
        /// Whether an instant is said, whatever the zone.
        aware: bool,
        /// As it was given.
        text: String,
    },
}

/// A part of a format.
#[derive(Clone)]
pub enum Piece {
    /// Fields and literals that chrono reads.
    Items(Vec<Item<'static>>),
    /// A fraction of a second: its digits, or an optional point and the digits.
    Fraction {
        /// With its point.
        point: bool,
    },
}

/// A time as read.
#[derive(Debug, PartialEq)]
pub struct ReadTime {
    /// Seconds since 1970, as wall-clock time unless `aware`.
    pub seconds: i64,
    /// Nanoseconds on top of them.
    pub nanos: u32,
    /// Whether the text says the instant: by an offset from UTC, or by counting seconds.
    pub aware: bool,
}

/// Whether a format is the one for ISO 8601, which alone leaves it to each text to have an offset.
pub fn is_iso(format: &str) -> bool {
    format.eq_ignore_ascii_case("iso8601")
}

/// Whether an ISO 8601 time carries an offset from UTC.
pub fn iso_offset(text: &str) -> bool {
    text.bytes().skip(10).any(|byte| matches!(byte, b'+' | b'-' | b'Z' | b'z'))
}

impl TextFormat {
    /// The format as the spec writes it.
    ///
    /// # Errors
    /// INVALID_ARGUMENT for fields that are not known, or not to be relied on.
    pub fn new(format: &str) -> Result<TextFormat> {
        if is_iso(format) {
            return Ok(TextFormat::Iso);
        }
        let items = match StrftimeItems::new(format).parse_to_owned() {
            Ok(items) if format.contains('%') => items,
            _ => {
                return Err(Error::argument(format!(
                    "timestamp_format {format:?} is not understood; use \"iso8601\" or strftime fields such as \"%d.%m.%Y %H:%M\""
                )));
            }
        };
        if items.contains(&Item::Fixed(Fixed::TimezoneName)) {
            return Err(Error::argument(format!(
                "timestamp_format {format:?}: %Z is not read, since names such as CST or IST stand for several zones; \
                 use %z where the offset is written (+01:00), or take the names out and pass timezone"
            )));
        }
        let aware = items.iter().any(says_instant);
        let mut pieces = Vec::new();
        for item in items {
            match (fraction(&item), pieces.last_mut()) {
                (Some(piece), _) => pieces.push(piece),
                (None, Some(Piece::Items(items))) => items.push(item),
                (None, _) => pieces.push(Piece::Items(vec![item])),
            }
        }
        Ok(TextFormat::Fields { pieces, aware, text: format.to_owned() })
    }

    /// Whether every time in this format says its instant.
    pub fn is_aware(&self) -> bool {
        matches!(self, TextFormat::Fields { aware: true, .. })
    }

    /// What `text` says, or why it says nothing.
    pub fn parse(&self, text: &str) -> std::result::Result<ReadTime, String> {
        match self {
            TextFormat::Iso => {
                let bad = |_| format!("{text:?} is not an ISO 8601 time");
                if let Some(at) = text.find(['.', ',']) {
                    digits_of_fraction(&text[at + 1..], text)?;
                }
                let parsed: DateTime<Utc> = arrow_cast::parse::string_to_datetime(&Utc, text).map_err(bad)?;
                Ok(ReadTime {
                    seconds: parsed.timestamp(),
                    nanos: parsed.timestamp_subsec_nanos(),
                    aware: iso_offset(text),
                })
            }
            TextFormat::Fields { pieces, text: format, .. } => {
                let bad = || format!("{text:?} does not match timestamp_format {format:?}");
                let parsed = parse_pieces(pieces, text)?.ok_or_else(bad)?;
                time_of(&parsed).ok_or_else(bad)
            }
        }
    }
}

/// The fraction that a field stands for, if it is one. `%3f`, `%6f` and `%9f` are none: they want so many digits.
fn fraction(item: &Item<'_>) -> Option<Piece> {
    match item {
        Item::Numeric(Numeric::Nanosecond, _) => Some(Piece::Fraction { point: false }),
        Item::Fixed(Fixed::Nanosecond | Fixed::Nanosecond3 | Fixed::Nanosecond6 | Fixed::Nanosecond9) => {
            Some(Piece::Fraction { point: true })
        }
        _ => None,
    }
}

fn says_instant(item: &Item<'_>) -> bool {
    match item {
        Item::Numeric(Numeric::Timestamp, _) => true,
        Item::Fixed(
            Fixed::TimezoneOffset
            | Fixed::TimezoneOffsetZ
            | Fixed::TimezoneOffsetColon
            | Fixed::TimezoneOffsetColonZ
            | Fixed::TimezoneOffsetDoubleColon
            | Fixed::TimezoneOffsetTripleColon
            | Fixed::RFC2822
            | Fixed::RFC3339,
        ) => true,
        // `%#z` has no public name.
        item => StrftimeItems::new("%#z").next().as_ref() == Some(item),
    }
}

/// How many digits `rest` begins with, if a time can hold them.
fn digits_of_fraction(rest: &str, text: &str) -> std::result::Result<usize, String> {
    match rest.bytes().take_while(u8::is_ascii_digit).count() {
        n @ 0..=9 => Ok(n),
        _ => Err(format!("{text:?} has more than nine digits of a second, finer than \"ns\" holds")),
    }
}

/// The fields of `text`; none where it does not match.
fn parse_pieces(pieces: &[Piece], text: &str) -> std::result::Result<Option<Parsed>, String> {
    let (mut parsed, mut rest) = (Parsed::new(), text);
    for (i, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Items(items) if i + 1 == pieces.len() => {
                return Ok(parse(&mut parsed, rest, items.iter()).is_ok().then_some(parsed));
            }
            Piece::Items(items) => match parse_and_remainder(&mut parsed, rest, items.iter()) {
                Ok(after) => rest = after,
                Err(_) => return Ok(None),
            },
            Piece::Fraction { point } => {
                let digits = match (point, rest.strip_prefix('.')) {
                    (false, _) => rest,
                    (true, Some(digits)) => digits,
                    (true, None) => continue,
                };
                let n = digits_of_fraction(digits, text)?;
                let scaled = digits[..n].parse::<i64>().map(|number| number * 10_i64.pow(9 - n as u32));
                let Ok(nanos) = scaled else { return Ok(None) };
                if parsed.set_nanosecond(nanos).is_err() {
                    return Ok(None);
                }
                rest = &digits[n..];
            }
        }
    }
    Ok(rest.is_empty().then_some(parsed))
}

/// The time that the fields make up; none where they contradict each other or are too few.
fn time_of(parsed: &Parsed) -> Option<ReadTime> {
    let mut parsed = parsed.clone();
    if (parsed.year_mod_100(), parsed.year_div_100(), parsed.year()) == (Some(69), None, None) {
        // POSIX, and Python, pandas and DuckDB with it: 69 to 99 are the years of 1900. chrono begins with 70.
        parsed.set_year_div_100(19).ok()?;
    }
    if let Some(offset) = parsed.offset() {
        let utc = parsed.to_naive_datetime_with_offset(offset).ok()?.and_utc();
        let seconds = utc.timestamp() - i64::from(offset);
        return Some(ReadTime { seconds, nanos: utc.timestamp_subsec_nanos(), aware: true });
    }
    let naive = match parsed.to_naive_datetime_with_offset(0) {
        Ok(naive) => naive,
        // A format without a time of day means the day's beginning; one with the hour alone, the hour's.
        Err(_) => {
            let time = match (parsed.hour_div_12(), parsed.hour_mod_12()) {
                (None, None) => NaiveTime::MIN,
                (Some(half), Some(hour)) if parsed.minute().is_none() => {
                    NaiveTime::from_hms_opt(half * 12 + hour, 0, 0)?
                }
                _ => return None,
            };
            parsed.to_naive_date().ok()?.and_time(time)
        }
    };
    let utc = naive.and_utc();
    let aware = parsed.timestamp().is_some();
    Some(ReadTime { seconds: utc.timestamp(), nanos: utc.timestamp_subsec_nanos(), aware })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(format: &str, text: &str) -> std::result::Result<(i64, u32, bool), String> {
        let format = TextFormat::new(format).map_err(|error| error.to_string())?;
        format.parse(text).map(|time| (time.seconds, time.nanos, time.aware))
    }

    #[test]
    fn the_century_of_two_digits_turns_where_that_of_posix_does() {
        for (year, expected) in [("68", 3_092_601_600), ("69", -31_536_000), ("70", 0), ("00", 946_684_800)] {
            assert_eq!(read("%y-%m-%d", &format!("{year}-01-01")), Ok((expected, 0, false)), "{year}");
        }
        assert_eq!(read("%C%y-%m-%d", "2069-01-01"), Ok((3_124_224_000, 0, false)));
    }

    #[test]
    fn a_fraction_is_its_digits_from_the_left() {
        const DAY: &str = "1970-01-01 00:00:01";
        for (digits, nanos) in [
            ("5", 500_000_000),
            ("25", 250_000_000),
            ("500000", 500_000_000),
            ("000001", 1_000),
            ("123456789", 123_456_789),
        ] {
            for (format, text) in [
                ("%Y-%m-%d %H:%M:%S.%f", format!("{DAY}.{digits}")),
                ("%Y-%m-%d %H:%M:%S,%f", format!("{DAY},{digits}")),
                ("%Y-%m-%d %H:%M:%S%.f", format!("{DAY}.{digits}")),
                ("%Y-%m-%d %H:%M:%S%.3f", format!("{DAY}.{digits}")),
                ("%f %Y-%m-%d %H:%M:%S", format!("{digits} {DAY}")),
            ] {
                assert_eq!(read(format, &text), Ok((1, nanos, false)), "{format} {text}");
            }
            let with_offset = format!("{DAY}.{digits}+00:00");
            assert_eq!(read("%Y-%m-%d %H:%M:%S.%f%z", &with_offset), Ok((1, nanos, true)), "{with_offset}");
        }
        assert_eq!(read("%Y-%m-%d %H:%M:%S%.f", DAY), Ok((1, 0, false)));
        assert_eq!(read("%Y-%m-%d %H:%M:%S,%3f", "1970-01-01 00:00:01,250"), Ok((1, 250_000_000, false)));
        for (format, text) in [
            ("%Y-%m-%d %H:%M:%S.%f", "1970-01-01 00:00:01"),
            ("%Y-%m-%d %H:%M:%S.%f", "1970-01-01 00:00:01."),
            ("%Y-%m-%d %H:%M:%S.%f", "1970-01-01 00:00:01.5 "),
            ("%Y-%m-%d %H:%M:%S%.f", "1970-01-01 00:00:01.x"),
            ("%Y-%m-%d %H:%M:%S,%3f", "1970-01-01 00:00:01,2500"),
        ] {
            assert!(read(format, text).unwrap_err().contains("does not match"), "{format} {text}");
        }
        for format in ["%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%d %H:%M:%S%.f", "iso8601"] {
            assert!(read(format, "1970-01-01 00:00:01.0000000001").unwrap_err().contains("more than nine digits"));
        }
    }

    #[test]
    fn names_of_zones_are_refused_with_a_remedy() {
        let error = read("%Y-%m-%d %H:%M %Z", "2026-01-01 12:30 CET").unwrap_err();
        assert!(error.contains("%Z is not read") && error.contains("use %z"), "{error}");
    }

    #[test]
    fn an_offset_and_counted_seconds_say_the_instant() {
        for (format, text) in [
            ("%s", "3600"),
            ("%s.%f", "3600.0"),
            ("%Y-%m-%d %H:%M %z", "1970-01-01 02:00 +0100"),
            ("%Y-%m-%d %H:%M %#z", "1970-01-01 02:00 +01"),
            ("%+", "1970-01-01T02:00:00+01:00"),
        ] {
            assert_eq!(read(format, text), Ok((3600, 0, true)), "{format}");
            assert!(TextFormat::new(format).unwrap().is_aware(), "{format}");
        }
        assert!(read("%s%.f", "-1.5").is_err());
        assert!(!TextFormat::new("%d-%B-%Y").unwrap().is_aware());
    }
}
