//! What does an attribute's value mean? From text as written to a string, a number, a truth value or an instant.

use std::borrow::Cow;
use std::str::FromStr;

use arrow_schema::TimeUnit;
use jiff::Timestamp;
use jiff::civil::{DateTime, Time};
use jiff::fmt::temporal::DateTimeParser;
use jiff::tz::Offset;

use super::syntax::{is_blank, shown};

/// The text that a value as written stands for, in UTF-8: references replaced, line ends and tabs made spaces, as XML
/// has it.
pub(super) fn text(raw: &[u8]) -> Result<Cow<'_, [u8]>, String> {
    if is_plain(raw) {
        return Ok(Cow::Borrowed(raw));
    }
    if raw.iter().all(|&byte| byte >= b' ' && byte != b'&') {
        return std::str::from_utf8(raw).map(|text| Cow::Borrowed(text.as_bytes())).map_err(|_| not_utf8(raw));
    }
    decoded(raw).map(|text| Cow::Owned(text.into_bytes()))
}

fn decoded(raw: &[u8]) -> Result<String, String> {
    let mut decoded = Vec::with_capacity(raw.len());
    let mut at = 0;
    while let Some(&byte) = raw.get(at) {
        at += 1;
        match byte {
            b'&' => at += push_reference(&raw[at..], &mut decoded)?,
            b'\r' if raw.get(at) == Some(&b'\n') => {}
            _ if is_blank(byte) => decoded.push(b' '),
            0..0x20 => return Err(format!("the character number {byte} may not stand in a text")),
            _ => decoded.push(byte),
        }
    }
    String::from_utf8(decoded).map_err(|_| not_utf8(raw))
}

fn not_utf8(raw: &[u8]) -> String {
    format!("`{}` is not valid UTF-8; does the XML declaration name the right encoding?", shown(raw))
}

/// Whether a value stands for itself and is ASCII.
fn is_plain(raw: &[u8]) -> bool {
    match raw.last_chunk::<8>() {
        // The last eight bytes overlap the words before them, which saves a loop over single bytes.
        Some(last) => is_plain_word(last) && raw.as_chunks::<8>().0.iter().all(is_plain_word),
        None => raw.iter().all(|byte| (b' '..0x80).contains(byte) && *byte != b'&'),
    }
}

/// [`is_plain`] of eight bytes at once: borrows show in the top bit of a byte that is too small. A borrow may also
/// reach into the next byte, so a false alarm is possible, which only costs time.
fn is_plain_word(word: &[u8; 8]) -> bool {
    let word = u64::from_le_bytes(*word);
    const ONES: u64 = u64::MAX / 0xff;
    let too_small = word.wrapping_sub(ONES * b' ' as u64);
    let ampersand = (word ^ (ONES * b'&' as u64)).wrapping_sub(ONES);
    (word | too_small | ampersand) & (ONES * 0x80) == 0
}

/// Decodes the reference whose part after `&` begins `rest`; returns the length of that part.
fn push_reference(rest: &[u8], into: &mut Vec<u8>) -> Result<usize, String> {
    /// `#x10FFFF` with some leading zeros.
    const LONGEST: usize = 16;
    let unknown = |name: &[u8]| {
        format!("the entity `&{};` is not defined; a log has amp, lt, gt, quot, apos and &#numbers;", shown(name))
    };
    let Some(length) = memchr::memchr(b';', &rest[..rest.len().min(LONGEST)]) else {
        return Err(unknown(&rest[..rest.len().min(LONGEST)]));
    };
    let name = &rest[..length];
    let character = match name {
        b"amp" => '&',
        b"lt" => '<',
        b"gt" => '>',
        b"quot" => '"',
        b"apos" => '\'',
        _ => numbered(name).ok_or_else(|| unknown(name))?,
    };
    into.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    Ok(length + 1)
}

fn numbered(name: &[u8]) -> Option<char> {
    let number = std::str::from_utf8(name.strip_prefix(b"#")?).ok()?;
    let (digits, radix) = match number.strip_prefix('x') {
        Some(digits) => (digits, 16),
        None => (number, 10),
    };
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u32::from_str_radix(digits, radix).ok().and_then(char::from_u32).filter(|&character| character != '\0')
}

/// A whole number.
pub(super) fn int(text: &[u8]) -> Result<i64, String> {
    parsed(text).ok_or_else(|| format!("`{}` is no whole number of 64 bits", shown(text)))
}

/// A number.
pub(super) fn float(text: &[u8]) -> Result<f64, String> {
    parsed(text).ok_or_else(|| format!("`{}` is no number", shown(text)))
}

fn parsed<T: FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text.trim_ascii()).ok()?.parse().ok()
}

/// A truth value: `true`, `false` in any letter case, `1` or `0`.
pub(super) fn boolean(text: &[u8]) -> Result<bool, String> {
    match text.trim_ascii() {
        b"1" => Ok(true),
        b"0" => Ok(false),
        word if word.eq_ignore_ascii_case(b"true") => Ok(true),
        word if word.eq_ignore_ascii_case(b"false") => Ok(false),
        _ => Err(format!("`{}` is neither true nor false", shown(text))),
    }
}

/// A point in time as written.
#[derive(Debug, PartialEq)]
pub(super) struct Moment {
    /// Ticks since 1970 UTC; without an offset, those of the wall-clock time.
    pub ticks: i64,
    /// Whether it has an offset from UTC.
    pub aware: bool,
}

/// An ISO 8601 date and time; without a time of day it is midnight.
pub(super) fn moment(text: &[u8], unit: TimeUnit) -> Result<Moment, String> {
    let text = text.trim_ascii();
    let (instant, aware) = match usual_instant(text) {
        Some(read) => read,
        None => any_instant(text)?,
    };
    let ticks = ticks(instant, unit).map_err(|reason| format!("`{}` {reason}", shown(text)))?;
    Ok(Moment { ticks, aware })
}

/// Whether a date and time as written has an offset from UTC, if it is a date and time.
pub(super) fn has_offset(raw: &[u8]) -> bool {
    let Ok(text) = text(raw) else { return false };
    let text = text.trim_ascii();
    let time = text.iter().position(|byte| matches!(byte, b'T' | b't' | b' ')).map_or(&[][..], |at| &text[at + 1..]);
    time.iter().any(|byte| matches!(byte, b'Z' | b'z' | b'+' | b'-'))
}

/// Reads `2012-02-29T23:51:17`, with a fraction or not, with `Z` or `+01:00` or neither: what logs are full of.
/// None for anything else, which [`any_instant`] knows or refuses.
fn usual_instant(text: &[u8]) -> Option<(Timestamp, bool)> {
    let (head, mut rest) = text.split_at_checked(19)?;
    if [head[4], head[7], head[10], head[13], head[16]] != *b"--T::" {
        return None;
    }
    let mut nanosecond = 0;
    if let Some(after) = rest.strip_prefix(b".") {
        let digits = after.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 || digits > 9 {
            return None;
        }
        nanosecond = number(&after[..digits])? * 10_i32.pow(9 - digits as u32);
        rest = &after[digits..];
    }
    let offset = match rest {
        b"" | b"Z" => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (number(&[*h1, *h2])?, number(&[*m1, *m2]).filter(|minutes| *minutes < 60)?);
            (hours * 3600 + minutes * 60) * if *sign == b'-' { -1 } else { 1 }
        }
        _ => return None,
    };
    let [month, day, hour, minute, second] = [5, 8, 11, 14, 17].map(|at| number(&head[at..at + 2]).map(|n| n as i8));
    let year = number(&head[..4])? as i16;
    let local = DateTime::new(year, month?, day?, hour?, minute?, second?, nanosecond).ok()?;
    let instant = Offset::from_seconds(offset).ok()?.to_timestamp(local).ok()?;
    Some((instant, !rest.is_empty()))
}

/// A number of up to nine digits.
fn number(digits: &[u8]) -> Option<i32> {
    digits.iter().try_fold(0, |number, byte| byte.is_ascii_digit().then(|| number * 10 + i32::from(byte - b'0')))
}

fn any_instant(text: &[u8]) -> Result<(Timestamp, bool), String> {
    static PARSER: DateTimeParser = DateTimeParser::new();
    let bad = || format!("`{}` is no ISO 8601 date and time (with up to nine decimals)", shown(text));
    let pieces = PARSER.parse_pieces(text).map_err(|_| bad())?;
    let (offset, aware) = match (pieces.to_numeric_offset(), pieces.time_zone_annotation()) {
        (Some(offset), _) => (offset, true),
        (None, None) => (Offset::UTC, false),
        (None, Some(_)) => return Err(bad()),
    };
    // The parser reads second 60 as 59: a different instant.
    if pieces.time().is_some_and(|time| time.second() == 59) && has_second_60(text) {
        return Err(format!("`{}` names a leap second, which has no place in a timestamp", shown(text)));
    }
    let local = pieces.date().to_datetime(pieces.time().unwrap_or(Time::midnight()));
    let instant = offset.to_timestamp(local).map_err(|_| bad())?;
    Ok((instant, aware))
}

/// The instant in a unit, if that can hold it to the last digit.
fn ticks(instant: Timestamp, unit: TimeUnit) -> Result<i64, String> {
    let (per_second, name) = match unit {
        TimeUnit::Second => (1, "seconds"),
        TimeUnit::Millisecond => (1_000, "milliseconds"),
        TimeUnit::Microsecond => (1_000_000, "microseconds"),
        TimeUnit::Nanosecond => (1_000_000_000, "nanoseconds"),
    };
    let (nanoseconds, per_tick) = (i64::from(instant.subsec_nanosecond()), 1_000_000_000 / per_second);
    if nanoseconds % per_tick != 0 {
        return Err(format!("is finer than {name}; pass timestamp_unit \"ns\""));
    }
    let seconds = instant.as_second().checked_mul(per_second);
    let ticks = seconds.and_then(|seconds| seconds.checked_add(nanoseconds / per_tick));
    ticks.ok_or_else(|| format!("is out of range for {name} since 1970"))
}

/// Whether the time of day in a date-time says second 60, as `hh:mm:60` or `hhmm60`.
fn has_second_60(text: &[u8]) -> bool {
    let Some(at) = text.iter().position(|byte| matches!(byte, b'T' | b't' | b' ')) else { return false };
    let time = &text[at + 1..];
    time.get(5..8) == Some(b":60") || time.get(4..6) == Some(b"60")
}
