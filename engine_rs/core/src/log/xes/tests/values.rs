//! Are values read to the last digit, or refused?

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;

use super::*;
use crate::log::xes::value;
use crate::log::zone::Localiser;

#[test]
fn texts() {
    let cases = [
        ("", ""),
        ("plain", "plain"),
        ("a&amp;b &lt;&gt;&quot;&apos;", "a&b <>\"'"),
        ("&#65;&#x42;&#x1F600;&#0010;", "AB😀\n"),
        ("a\nb\tc\r\nd\re", "a b c d e"),
        ("Größe 日本", "Größe 日本"),
        ("Gr&#246;&#xDF;e", "Größe"),
        (" padded ", " padded "),
        ("&amp;amp;", "&amp;"),
    ];
    for (raw, expected) in cases {
        assert_eq!(value::text(raw.as_bytes()).unwrap(), expected.as_bytes(), "{raw}");
    }
    let refused = [
        "&",
        "a&b",
        "&;",
        "&nbsp;",
        "&#;",
        "&#x;",
        "&#xD800;",
        "&#x110000;",
        "&#0;",
        "&#+65;",
        "&#-1;",
        "&amp",
        "\u{1}",
    ];
    for raw in refused {
        assert!(value::text(raw.as_bytes()).is_err(), "{raw}");
    }
    assert!(value::text(b"caf\xe9").unwrap_err().contains("UTF-8"));
}

#[test]
fn long_texts_are_decoded_like_short_ones() {
    for before in 0..20 {
        for (raw, decoded) in [("&amp;", "&"), ("é", "é"), ("\t", " "), ("!", "!"), ("\x7f", "\x7f")] {
            let (head, tail) = ("'".repeat(before), "%".repeat(19 - before));
            let text = value::text(format!("{head}{raw}{tail}").as_bytes()).unwrap().into_owned();
            assert_eq!(text, format!("{head}{decoded}{tail}").into_bytes());
        }
    }
}

fn ticks(text: &[u8], unit: TimeUnit) -> std::result::Result<i64, String> {
    value::moment(text, unit).map(|moment| moment.ticks)
}

#[test]
fn instants() {
    // (text, microseconds since 1970 UTC)
    let day = 86_400_000_000;
    let cases: &[(&str, i64)] = &[
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00", 0),
        ("1970-01-01T00:00:00.000+00:00", 0),
        ("1970-01-01T00:00:00-00:00", 0),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01T01:00:00+0100", 0),
        ("1970-01-01T01:00:00+01", 0),
        ("1969-12-31T14:30:00-09:30", 0),
        ("1970-01-01t00:00:00z", 0),
        ("1970-01-01 00:00:00", 0),
        ("19700101T000000Z", 0),
        ("1970-01-01", 0),
        ("1970-01-01T00:00", 0),
        ("  1970-01-01T00:00:00Z\n", 0),
        ("1970-01-01T00:00:00.5Z", 500_000),
        ("1970-01-01T00:00:00,5Z", 500_000),
        ("1970-01-01T00:00:00.123456Z", 123_456),
        ("1970-01-01T00:00:00.123456000+00:00", 123_456),
        ("1969-12-31T23:59:59.999999Z", -1),
        ("2012-02-29T23:51:17.423+01:00", 1_330_555_877_423_000),
        ("2012-02-29T23:51:17.423+01:00[Europe/Amsterdam]", 1_330_555_877_423_000),
        ("2000-02-29T00:00:00Z", 11_016 * day),
        ("0001-01-01T00:00:00Z", -719_162 * day),
        ("9999-12-30T00:00:00Z", 2_932_895 * day),
    ];
    for (text, expected) in cases {
        assert_eq!(ticks(text.as_bytes(), TimeUnit::Microsecond), Ok(*expected), "{text}");
    }
    let refused = [
        "",
        "soon",
        "2012-02-30T00:00:00Z",
        "2011-02-29T00:00:00Z",
        "2012-13-01T00:00:00Z",
        "2012-1-1T00:00:00Z",
        "2012-01-01T24:00:00Z",
        "2012-01-01T23:60:00Z",
        "2012-01-01T23:59:60Z",
        "20120101T235960Z",
        "2012-01-01T23:59:61Z",
        "2012-01-01T00:00:00.",
        "2012-01-01T00:00:00.1234567890Z",
        "2012-01-01T00:00:00+99:00",
        "2012-01-01T00:00:00+01:60",
        "2012-01-01T00:00:00 +01:00",
        "2012-01-01T00:00:00Zx",
        "2012-01-01T00:00:00[Europe/Paris]",
        "2012-0101T00:00:00Z",
        "1/1/2012",
        "01.01.2012 10:00",
        "1325376000",
        "2012-01-01T00:00:0xZ",
        "2012-01-01T00:00:00.1x3Z",
        "2012-01-01T00:00:00.1234567Z",
    ];
    for text in refused {
        assert!(ticks(text.as_bytes(), TimeUnit::Microsecond).is_err(), "{text}");
    }
}

#[test]
fn no_digit_of_a_time_is_lost() {
    use TimeUnit::{Microsecond, Millisecond, Nanosecond, Second};
    // (text, unit, ticks: none where the unit is too coarse or too small)
    let cases = [
        ("1970-01-01T00:00:01Z", Second, Some(1)),
        ("1970-01-01T00:00:01.5Z", Second, None),
        ("1970-01-01T00:00:01.5Z", Millisecond, Some(1500)),
        ("1969-12-31T23:59:59.9995Z", Millisecond, None),
        ("1970-01-01T00:00:00.0000001Z", Microsecond, None),
        ("1970-01-01T00:00:00.000000100Z", Nanosecond, Some(100)),
        ("1969-12-31T23:59:59.999999999Z", Nanosecond, Some(-1)),
        ("2262-04-11T23:47:16.854775807Z", Nanosecond, Some(i64::MAX)),
        ("2262-04-11T23:47:16.854775808Z", Nanosecond, None),
        ("9000-01-01T00:00:00Z", Nanosecond, None),
    ];
    for (text, unit, expected) in cases {
        assert_eq!(ticks(text.as_bytes(), unit).ok(), expected, "{text} {unit:?}");
    }
    let error = ticks(b"1970-01-01T00:00:00.0000001Z", Microsecond).unwrap_err();
    assert!(error.contains("finer than microseconds"), "{error}");
}

/// The short cut for usual times gives what the full parser gives; a `,` for the `.` keeps it from being taken.
#[test]
fn usual_and_unusual_times_agree() {
    let mut random = Random(7);
    for _ in 0..20_000 {
        let [year, month, day, hour] =
            [1 + random.below(9998), 1 + random.below(13), 1 + random.below(32), random.below(25)];
        let [minute, second, nanos, offset] =
            [random.below(61), random.below(60), random.below(1_000_000_000), random.below(1800)];
        let sign = if random.below(2) == 0 { '+' } else { '-' };
        let zone = format!("{sign}{:02}:{:02}", offset / 60, offset % 60);
        let head = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
        let [usual, unusual] = ['.', ',']
            .map(|point| ticks(format!("{head}{point}{nanos:09}{zone}").as_bytes(), TimeUnit::Nanosecond).ok());
        assert_eq!(usual, unusual, "{head}.{nanos:09}{zone}");
    }
}

/// A zone that values can be shown in without a time zone database.
fn offset_zone() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()))
}

#[test]
fn typed_columns() {
    let event = |kind: &str, value: &str| log(&format!("<event><{kind} key=\"k\" value=\"{value}\"/></event><event/>"));
    let good: &[(&str, &str, DataType, &str)] = &[
        ("int", "42", DataType::Int64, "42"),
        ("int", " -7 ", DataType::Int64, "-7"),
        ("int", "+9223372036854775807", DataType::Int64, "9223372036854775807"),
        ("string", "5", DataType::Int64, "5"),
        ("float", "1.5e3", DataType::Float64, "1500.0"),
        ("float", "-INF", DataType::Float64, "-inf"),
        ("int", "3", DataType::Float64, "3.0"),
        ("boolean", "TRUE", DataType::Boolean, "true"),
        ("boolean", "0", DataType::Boolean, "false"),
        ("date", "1970-01-01T00:00:01+00:00", offset_zone(), "1970-01-01T00:00:01Z"),
        ("string", "1970-01-01T00:00:01Z", offset_zone(), "1970-01-01T00:00:01Z"),
        ("date", "1970-01-01T00:00:01", DataType::Timestamp(TimeUnit::Microsecond, None), "1970-01-01T00:00:01"),
    ];
    for (kind, value, data_type, expected) in good {
        let columns = [("k".to_owned(), data_type.clone())];
        let batch = read_with(event(kind, value).as_bytes(), &columns, 9, 64).unwrap().remove(0);
        assert_eq!(batch.schema().field(0).data_type(), data_type);
        let column = batch.column(0);
        assert_eq!((column.len(), column.is_valid(0), column.is_null(1)), (2, true, true));
        let shown = arrow_cast::display::array_value_to_string(column, 0).unwrap();
        assert_eq!(shown, *expected, "{kind} {value}");
    }
    let bad: &[(&str, DataType)] = &[
        ("", DataType::Int64),
        ("1.0", DataType::Int64),
        ("9223372036854775808", DataType::Int64),
        ("ten", DataType::Float64),
        ("yes", DataType::Boolean),
        ("", microseconds()),
        ("1970-01-01T00:00:00.0000001Z", microseconds()),
    ];
    for (value, data_type) in bad {
        let text = event("string", value);
        let error = read_with(text.as_bytes(), &[("k".to_owned(), data_type.clone())], 9, 64).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        assert!(error.message().contains("column `k`") && error.message().contains("event 1"), "{error}");
        // Nobody asked for it, so nobody minds.
        assert_eq!(rows(text.as_bytes(), &["other"]).unwrap().len(), 2);
    }
    let long = event("int", &"9".repeat(5000));
    let error = read_with(long.as_bytes(), &[("k".to_owned(), DataType::Int64)], 9, 64).unwrap_err();
    assert!(error.message().len() < 300 && error.message().contains('…'), "{error}");
}

#[test]
fn times_without_an_offset_are_told_and_placed() {
    let zone = Localiser::new("Europe/Berlin").unwrap();
    let date = |value: &str| format!("<event><date key=\"k\" value=\"{value}\"/></event>");
    let (naive, aware) = (date("2026-01-05T09:00:00"), date("2026-01-05T09:00:00&#x2b;02:00"));
    let wall_clock = DataType::Timestamp(TimeUnit::Microsecond, None);
    for (inside, expected) in [
        (naive.clone(), wall_clock.clone()),
        (aware.clone(), microseconds()),
        (format!("{naive}{aware}"), wall_clock.clone()),
        (format!("{aware}{naive}"), wall_clock.clone()),
        (format!("{}{}", date("2026-01-05"), date("20260105T090000")), wall_clock),
        ("<event><date key=\"k\"/></event>".to_owned(), microseconds()),
    ] {
        let columns = describe_bytes(log(&inside).as_bytes()).unwrap().columns;
        assert_eq!(columns, [("k".to_owned(), expected)], "{inside}");
    }
    let text = log(&format!("{aware}{naive}"));
    let columns = [("k".to_owned(), microseconds())];
    for (wall, expected) in [(Some(&zone), 1_767_600_000_000_000), (None, 1_767_603_600_000_000)] {
        let walk = walk_over(Cursor::new(text.clone().into_bytes()), 64).unwrap();
        let batches: Result<Vec<RecordBatch>> = XesReader::over(walk, &columns, 9, wall).unwrap().collect();
        let ticks = batches.unwrap()[0].column(0).as_primitive::<TimestampMicrosecondType>().values().to_vec();
        assert_eq!(ticks, [1_767_596_400_000_000, expected]);
    }
}

#[test]
fn late_and_repeated_values_of_every_type() {
    let types = [DataType::Utf8, DataType::Int64, DataType::Float64, DataType::Boolean, offset_zone()];
    let values = ["x", "2", "2.5", "true", "1970-01-01T00:00:02Z"];
    for (data_type, value) in types.into_iter().zip(values) {
        let inside = format!("<event/><event/><string key=\"k\" value=\"{value}\"/><event/>");
        let columns = [("case:k".to_owned(), data_type)];
        let batches =
            read_with(log(&format!("<trace>{inside}</trace><trace>{inside}</trace>")).as_bytes(), &columns, 2, 9);
        let batches = batches.unwrap();
        let shown =
            |batch: &RecordBatch, row| arrow_cast::display::array_value_to_string(batch.column(0), row).unwrap();
        let found: Vec<String> =
            batches.iter().flat_map(|batch| (0..batch.num_rows()).map(|row| shown(batch, row))).collect();
        let first = found[0].clone();
        assert!(!first.is_empty());
        assert_eq!(found, vec![first; 6]);
    }
}

/// A small generator of numbers, the same ones in every run.
pub(super) struct Random(pub u64);

impl Random {
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}
