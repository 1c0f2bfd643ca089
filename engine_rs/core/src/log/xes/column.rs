//! How do the values of one column become an Arrow array?

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray,
    TimestampMillisecondArray, TimestampNanosecondArray, TimestampSecondArray,
};
use arrow_buffer::{Buffer, NullBufferBuilder, OffsetBuffer};
use arrow_schema::{DataType, TimeUnit};

use super::syntax::shown;
use super::value::{self, Moment};
use crate::error::{Error, Result};
use crate::log::zone::Localiser;
use crate::units::Unit;

/// A column being filled, row after row. Its last rows can be taken back, since what belongs to a row may come twice
/// or, for a trace's attribute, late.
pub(super) struct Column {
    data: Data,
    valid: NullBufferBuilder,
}

enum Data {
    /// `ends` begins with a 0.
    Text {
        bytes: Vec<u8>,
        ends: Vec<i32>,
    },
    Ticks {
        values: Vec<i64>,
        unit: TimeUnit,
        zone: Option<Arc<str>>,
        /// For times without an offset.
        wall: Option<Localiser>,
    },
    Int(Vec<i64>),
    Float(Vec<f64>),
    Flag(Vec<bool>),
}

impl Data {
    fn new(data_type: &DataType, wall: Option<&Localiser>) -> Option<Data> {
        Some(match data_type {
            DataType::Utf8 => Data::Text { bytes: Vec::new(), ends: vec![0] },
            DataType::Timestamp(unit, zone) => {
                Data::Ticks { values: Vec::new(), unit: *unit, zone: zone.clone(), wall: wall.cloned() }
            }
            DataType::Int64 => Data::Int(Vec::new()),
            DataType::Float64 => Data::Float(Vec::new()),
            DataType::Boolean => Data::Flag(Vec::new()),
            _ => return None,
        })
    }
}

impl Column {
    /// An empty column. Times without an offset from UTC are those of `wall`, or in UTC.
    pub fn new(name: &str, data_type: &DataType, wall: Option<&Localiser>) -> Result<Column> {
        let data = Data::new(data_type, wall).ok_or_else(|| {
            let accepted = "Utf8, Int64, Float64, Boolean and Timestamp";
            Error::unsupported(format!("column `{name}`: XES is not read as {data_type}; it can be {accepted}"))
                .with("column", name)
        })?;
        Ok(Column { data, valid: NullBufferBuilder::new(0) })
    }

    /// Rows so far.
    pub fn len(&self) -> usize {
        self.valid.len()
    }

    /// Adds the value that `raw`, as written in the log, stands for.
    pub fn push(&mut self, raw: &[u8]) -> std::result::Result<(), String> {
        let text = value::text(raw)?;
        match &mut self.data {
            Data::Text { bytes, ends } => {
                bytes.extend_from_slice(&text);
                ends.push(bytes.len() as i32);
            }
            Data::Ticks { values, unit, wall, .. } => values.push(ticks(&text, *unit, wall.as_mut())?),
            Data::Int(values) => values.push(value::int(&text)?),
            Data::Float(values) => values.push(value::float(&text)?),
            Data::Flag(values) => values.push(value::boolean(&text)?),
        }
        self.valid.append_non_null();
        Ok(())
    }

    /// Adds a null.
    pub fn push_null(&mut self) {
        match &mut self.data {
            Data::Text { bytes, ends } => ends.push(bytes.len() as i32),
            Data::Ticks { values, .. } | Data::Int(values) => values.push(0),
            Data::Float(values) => values.push(0.0),
            Data::Flag(values) => values.push(false),
        }
        self.valid.append_null();
    }

    /// Adds the first row of `cell`, a column of the same type, `n` times.
    pub fn push_copies(&mut self, cell: &Column, n: usize) {
        match (&mut self.data, &cell.data) {
            (Data::Text { bytes, ends }, Data::Text { bytes: from, .. }) => {
                for _ in 0..n {
                    bytes.extend_from_slice(from);
                    ends.push(bytes.len() as i32);
                }
            }
            (Data::Ticks { values, .. }, Data::Ticks { values: from, .. }) | (Data::Int(values), Data::Int(from)) => {
                values.resize(values.len() + n, from[0])
            }
            (Data::Float(values), Data::Float(from)) => values.resize(values.len() + n, from[0]),
            (Data::Flag(values), Data::Flag(from)) => values.resize(values.len() + n, from[0]),
            _ => unreachable!("a cell has the type of its column"),
        }
        self.valid.append_n_non_nulls(n);
    }

    /// Takes rows back until `rows` are left.
    pub fn truncate(&mut self, rows: usize) {
        if rows >= self.len() {
            return;
        }
        match &mut self.data {
            Data::Text { bytes, ends } => {
                ends.truncate(rows + 1);
                bytes.truncate(ends[rows] as usize);
            }
            Data::Ticks { values, .. } | Data::Int(values) => values.truncate(rows),
            Data::Float(values) => values.truncate(rows),
            Data::Flag(values) => values.truncate(rows),
        }
        self.valid.truncate(rows);
    }

    /// Bytes of text held.
    pub fn text_bytes(&self) -> usize {
        match &self.data {
            Data::Text { bytes, .. } => bytes.len(),
            _ => 0,
        }
    }

    /// The rows as an array; the column is empty after it.
    pub fn take(&mut self) -> Result<ArrayRef> {
        let nulls = self.valid.finish();
        let array: ArrayRef = match &mut self.data {
            Data::Text { bytes, ends } => {
                let text = Buffer::from_vec(take_values(bytes));
                let offsets = OffsetBuffer::new(take_values(ends).into());
                ends.push(0);
                let array = StringArray::try_new(offsets, text, nulls);
                Arc::new(array.map_err(|error| Error::internal(format!("the XES reader built bad text: {error}")))?)
            }
            Data::Ticks { values, unit, zone, .. } => {
                let values = take_values(values).into();
                let zone = zone.clone();
                match unit {
                    TimeUnit::Second => Arc::new(TimestampSecondArray::new(values, nulls).with_timezone_opt(zone)),
                    TimeUnit::Millisecond => {
                        Arc::new(TimestampMillisecondArray::new(values, nulls).with_timezone_opt(zone))
                    }
                    TimeUnit::Microsecond => {
                        Arc::new(TimestampMicrosecondArray::new(values, nulls).with_timezone_opt(zone))
                    }
                    TimeUnit::Nanosecond => {
                        Arc::new(TimestampNanosecondArray::new(values, nulls).with_timezone_opt(zone))
                    }
                }
            }
            Data::Int(values) => Arc::new(Int64Array::new(take_values(values).into(), nulls)),
            Data::Float(values) => Arc::new(Float64Array::new(take_values(values).into(), nulls)),
            Data::Flag(values) => Arc::new(BooleanArray::new(take_values(values).into(), nulls)),
        };
        Ok(array)
    }
}

/// The ticks of the instant that a time stands for; one without an offset is that of `wall`, or in UTC.
fn ticks(text: &[u8], unit: TimeUnit, wall: Option<&mut Localiser>) -> std::result::Result<i64, String> {
    let Moment { ticks, aware } = value::moment(text, unit)?;
    match wall {
        Some(wall) if !aware => wall
            .instant(ticks, Unit::from_arrow(unit))
            .ok_or_else(|| format!("`{}` is out of range", shown(text.trim_ascii()))),
        _ => Ok(ticks),
    }
}

/// Empties a vector but keeps room for as many values: the next batch is as large.
fn take_values<T>(values: &mut Vec<T>) -> Vec<T> {
    let room = values.len();
    std::mem::replace(values, Vec::with_capacity(room))
}
