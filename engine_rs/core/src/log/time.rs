//! How does a column become ticks? Timestamps, dates, integers with a unit, or text with a format; one column or two.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Date64Type, Int64Type, Time32MillisecondType, Time32SecondType, Time64MicrosecondType,
    Time64NanosecondType, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType,
};
use arrow_array::{Array, ArrayRef};
use arrow_buffer::ScalarBuffer;
use arrow_cast::cast;
use arrow_schema::{DataType, TimeUnit};

use crate::error::{Error, Result};
use crate::log::text::TextColumn;
use crate::log::time_format::{ReadTime, TextFormat};
use crate::log::zone::Localiser;
use crate::units::Unit;

/// What is wrong with one value: its row in the batch, and the words for it.
pub struct BadTime {
    /// Row in the batch.
    pub row: usize,
    /// What is wrong.
    pub why: String,
}

/// Turns the columns of one time role into ticks of `unit`.
#[derive(Clone)]
pub struct TimeReader {
    unit: Unit,
    integer_unit: Option<Unit>,
    format: Option<TextFormat>,
    zone: Option<Localiser>,
}

/// What the spec says about times.
pub struct TimeOptions<'a> {
    /// Format of text.
    pub format: Option<&'a str>,
    /// Unit of integers, and of text.
    pub unit: Option<Unit>,
    /// Zone of naive times.
    pub zone: Option<&'a str>,
}

/// Whether a column type is text, plain or in a dictionary.
pub fn is_text(kind: &DataType) -> bool {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, value) => is_text(value),
        _ => false,
    }
}

/// The natural unit of a time column and its zone (`Some` for instants), or why it is none.
///
/// # Errors
/// INVALID_ARGUMENT naming the type found and the types accepted.
pub fn natural(role: &str, kinds: &[&DataType], options: &TimeOptions<'_>) -> Result<(Unit, Option<Arc<str>>)> {
    let given = options.zone.map(Arc::from);
    if kinds.iter().any(|kind| is_text(kind)) {
        let Some(format) = options.format else {
            let text = format!(
                "{role} is text; say how it is written with timestamp_format (\"iso8601\" or e.g. \"%d.%m.%Y %H:%M\")"
            );
            return Err(Error::argument(text).with("role", role));
        };
        if kinds.iter().any(|kind| !is_text(kind)) {
            return Err(Error::argument(format!(
                "{role}: the date and the time column must both be text or both typed"
            )));
        }
        let aware = TextFormat::new(format)?.is_aware();
        let zone = given.or_else(|| aware.then(|| Arc::from("UTC")));
        return Ok((options.unit.unwrap_or(Unit::Micro), zone));
    }
    let (unit, zone) = match kinds[0] {
        DataType::Timestamp(unit, zone) => (Unit::from_arrow(*unit), zone.clone()),
        DataType::Date32 => (Unit::Second, None),
        DataType::Date64 => (Unit::Milli, None),
        kind if kind.is_integer() => {
            let unit = options.unit.ok_or_else(|| {
                let text =
                    format!("{role} is {kind}; say its unit with timestamp_unit (\"s\", \"ms\", \"us\" or \"ns\")");
                Error::argument(text).with("role", role)
            })?;
            return Ok((unit, Some(Arc::from("UTC"))));
        }
        kind => {
            let text = format!(
                "{role} is {kind}; accepted are timestamps, dates, integers with timestamp_unit, and text with timestamp_format"
            );
            return Err(Error::argument(text).with("role", role));
        }
    };
    let unit = match kinds.get(1) {
        None => unit,
        Some(DataType::Time32(part) | DataType::Time64(part)) => unit.max(Unit::from_arrow(*part)),
        Some(kind) => {
            let text = format!("{role}: the second column is {kind}; accepted is a time of day, or text for both");
            return Err(Error::argument(text).with("role", role));
        }
    };
    Ok((unit, zone.or(given)))
}

impl TimeReader {
    /// A reader into ticks of `unit`.
    ///
    /// # Errors
    /// INVALID_ARGUMENT for a format or zone that is not known.
    pub fn new(unit: Unit, options: &TimeOptions<'_>) -> Result<TimeReader> {
        let format = options.format.map(TextFormat::new).transpose()?;
        let zone = options.zone.map(Localiser::new).transpose()?;
        Ok(TimeReader { unit, integer_unit: options.unit, format, zone })
    }

    /// The ticks of one column, or of a date and a time column; nulls must have been filtered out.
    pub fn read(&mut self, columns: &[ArrayRef]) -> std::result::Result<ScalarBuffer<i64>, BadTime> {
        if is_text(columns[0].data_type()) {
            return self.read_text(columns);
        }
        let (ticks, naive) = self.read_typed(&columns[0])?;
        let ticks = match columns.get(1) {
            None => ticks,
            Some(time) => {
                let (parts, unit) = time_of_day(time).map_err(|why| BadTime { row: 0, why })?;
                let factor = self.unit.per_second() / unit.per_second();
                let sums = ticks.iter().zip(parts.iter()).map(|(&day, &part)| day + part * factor);
                ScalarBuffer::from(sums.collect::<Vec<i64>>())
            }
        };
        match (&mut self.zone, naive) {
            (Some(zone), true) => zone.instants(&ticks, self.unit).map_err(out_of_range),
            _ => Ok(ticks),
        }
    }

    fn read_typed(&self, column: &ArrayRef) -> std::result::Result<(ScalarBuffer<i64>, bool), BadTime> {
        let (values, unit, naive) = match column.data_type() {
            DataType::Timestamp(unit, zone) => {
                let values = match unit {
                    TimeUnit::Second => column.as_primitive::<TimestampSecondType>().values(),
                    TimeUnit::Millisecond => column.as_primitive::<TimestampMillisecondType>().values(),
                    TimeUnit::Microsecond => column.as_primitive::<TimestampMicrosecondType>().values(),
                    TimeUnit::Nanosecond => column.as_primitive::<TimestampNanosecondType>().values(),
                };
                (values.clone(), Unit::from_arrow(*unit), zone.is_none())
            }
            DataType::Date32 => {
                let days = column.as_primitive::<Date32Type>().values();
                (days.iter().map(|&day| i64::from(day) * 86_400).collect(), Unit::Second, true)
            }
            DataType::Date64 => (column.as_primitive::<Date64Type>().values().clone(), Unit::Milli, true),
            kind => {
                let unit = self.integer_unit.unwrap_or(self.unit);
                let wide =
                    cast(column, &DataType::Int64).map_err(|error| BadTime { row: 0, why: error.to_string() })?;
                if wide.null_count() > 0 {
                    let row = (0..wide.len()).find(|&row| wide.is_null(row)).unwrap_or(0);
                    return Err(BadTime { row, why: format!("the {kind} does not fit 64 bits with a sign") });
                }
                (wide.as_primitive::<Int64Type>().values().clone(), unit, false)
            }
        };
        Ok((rescale(values, unit, self.unit)?, naive))
    }

    fn read_text(&mut self, columns: &[ArrayRef]) -> std::result::Result<ScalarBuffer<i64>, BadTime> {
        let Some(format) = self.format.clone() else {
            return Err(BadTime { row: 0, why: "text needs a timestamp_format".to_owned() });
        };
        let texts: Vec<TextColumn> = columns.iter().filter_map(TextColumn::new).collect();
        let mut joined = String::new();
        let mut ticks = Vec::with_capacity(columns[0].len());
        for row in 0..columns[0].len() {
            joined.clear();
            for (i, text) in texts.iter().enumerate() {
                joined.push_str(if i == 0 { "" } else { " " });
                joined.push_str(&String::from_utf8_lossy(text.value(row)));
            }
            ticks.push(self.parse(&format, joined.trim()).map_err(|why| BadTime { row, why })?);
        }
        Ok(ScalarBuffer::from(ticks))
    }

    fn parse(&mut self, format: &TextFormat, text: &str) -> std::result::Result<i64, String> {
        let ReadTime { seconds, nanos, aware } = format.parse(text)?;
        let per_second = self.unit.per_second();
        let nanos_per_tick = 1_000_000_000 / per_second;
        if i64::from(nanos) % nanos_per_tick != 0 {
            return Err(format!(
                "{text:?} has finer digits than timestamp_unit {:?} holds; pass a finer timestamp_unit",
                self.unit.name()
            ));
        }
        let whole = seconds.checked_mul(per_second);
        let tick = whole.and_then(|whole| whole.checked_add(i64::from(nanos) / nanos_per_tick));
        let tick = tick.ok_or_else(|| format!("{text:?} is out of range for this timestamp_unit"))?;
        match &mut self.zone {
            Some(zone) if !aware => zone.instant(tick, self.unit).ok_or_else(|| format!("{text:?} is out of range")),
            _ => Ok(tick),
        }
    }
}

fn rescale(values: ScalarBuffer<i64>, from: Unit, to: Unit) -> std::result::Result<ScalarBuffer<i64>, BadTime> {
    if from == to {
        return Ok(values);
    }
    let factor = to.per_second() / from.per_second();
    let scaled = values.iter().enumerate().map(|(row, &tick)| tick.checked_mul(factor).ok_or(row));
    scaled.collect::<std::result::Result<Vec<i64>, usize>>().map(ScalarBuffer::from).map_err(out_of_range)
}

fn out_of_range(row: usize) -> BadTime {
    BadTime { row, why: "the time is out of the range that its unit can hold".to_owned() }
}

fn time_of_day(column: &ArrayRef) -> std::result::Result<(Vec<i64>, Unit), String> {
    let wide = |values: &[i32]| values.iter().map(|&part| i64::from(part)).collect();
    match column.data_type() {
        DataType::Time32(TimeUnit::Second) => {
            Ok((wide(column.as_primitive::<Time32SecondType>().values()), Unit::Second))
        }
        DataType::Time32(_) => Ok((wide(column.as_primitive::<Time32MillisecondType>().values()), Unit::Milli)),
        DataType::Time64(TimeUnit::Microsecond) => {
            Ok((column.as_primitive::<Time64MicrosecondType>().values().to_vec(), Unit::Micro))
        }
        DataType::Time64(_) => Ok((column.as_primitive::<Time64NanosecondType>().values().to_vec(), Unit::Nano)),
        kind => Err(format!("{kind} is not a time of day")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{Date32Array, Int32Array, StringArray, Time64MicrosecondArray, TimestampSecondArray};

    fn text(format: &str, zone: Option<&str>, values: &[&str]) -> std::result::Result<Vec<i64>, String> {
        let options = TimeOptions { format: Some(format), unit: Some(Unit::Second), zone };
        let mut reader = TimeReader::new(Unit::Second, &options).map_err(|error| error.to_string())?;
        let column: ArrayRef = Arc::new(StringArray::from(values.to_vec()));
        reader.read(&[column]).map(|ticks| ticks.to_vec()).map_err(|bad| format!("{} {}", bad.row, bad.why))
    }

    #[test]
    fn text_in_the_usual_formats() {
        assert_eq!(text("%d.%m.%y %H:%M", None, &["9.3.10 8:05"]).unwrap(), [1_268_121_900]);
        assert_eq!(
            text("iso8601", None, &["2010-03-09", "2010-03-09T08:05:00+01:00"]).unwrap(),
            [1_268_092_800, 1_268_118_300]
        );
        assert_eq!(text("%Y-%m-%d %H:%M:%S %z", None, &["2010-03-09 08:05:00 +0100"]).unwrap(), [1_268_118_300]);
        assert_eq!(text("%s", Some("Europe/Berlin"), &["1268118300"]).unwrap(), [1_268_118_300]);
        assert_eq!(text("%d/%m/%Y", None, &["09/03/2010"]).unwrap(), [1_268_092_800]);
        assert_eq!(text("%m/%d/%Y %I:%M %p", None, &["03/09/2010 08:05 PM"]).unwrap(), [1_268_165_100]);
        assert_eq!(text("%d.%m.%Y %H:%M", Some("Europe/Berlin"), &["09.03.2010 09:05"]).unwrap(), [1_268_121_900]);
        assert_eq!(text("iso8601", Some("Europe/Berlin"), &["2010-03-09T08:05:00Z"]).unwrap(), [1_268_121_900]);
    }

    #[test]
    fn bad_text_names_row_and_value() {
        assert!(text("iso8601", None, &["2010-03-09", "soon"]).unwrap_err().starts_with("1 \"soon\""));
        assert!(text("%d.%m.%y", None, &["31.2.10"]).unwrap_err().contains("31.2.10"));
        assert!(text("iso8601", None, &["2010-03-09T08:05:00.5"]).unwrap_err().contains("finer"));
        assert!(text("%Q", None, &["x"]).unwrap_err().contains("not understood"));
        assert!(text("plain", None, &["x"]).unwrap_err().contains("not understood"));
    }

    #[test]
    fn typed_columns_scale_to_the_unit() {
        let options = TimeOptions { format: None, unit: None, zone: None };
        let mut reader = TimeReader::new(Unit::Micro, &options).unwrap();
        let seconds: ArrayRef = Arc::new(TimestampSecondArray::from(vec![2, i64::MAX]));
        assert_eq!(reader.read(&[seconds.slice(0, 1)]).ok().unwrap().to_vec(), [2_000_000]);
        assert_eq!(reader.read(&[seconds]).err().unwrap().row, 1);
        let day: ArrayRef = Arc::new(Date32Array::from(vec![1]));
        let time: ArrayRef = Arc::new(Time64MicrosecondArray::from(vec![5]));
        assert_eq!(reader.read(&[day, time]).ok().unwrap().to_vec(), [86_400_000_005]);
    }

    #[test]
    fn integers_need_a_unit() {
        let none = TimeOptions { format: None, unit: None, zone: None };
        assert!(natural("timestamp", &[&DataType::Int32], &none).is_err());
        let ms = TimeOptions { format: None, unit: Some(Unit::Milli), zone: None };
        assert_eq!(natural("timestamp", &[&DataType::Int32], &ms).unwrap().0, Unit::Milli);
        let column: ArrayRef = Arc::new(Int32Array::from(vec![7]));
        assert_eq!(TimeReader::new(Unit::Milli, &ms).unwrap().read(&[column]).ok().unwrap().to_vec(), [7]);
        assert!(natural("timestamp", &[&DataType::Boolean], &ms).is_err());
    }
}
