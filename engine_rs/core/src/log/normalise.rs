//! From columns as they are to events as they are mined: roles picked, nulls dropped or reported, times in ticks.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, StringArray};
use arrow_buffer::{BooleanBuffer, ScalarBuffer};
use arrow_cast::cast;
use arrow_schema::DataType;
use arrow_select::filter::filter;

use crate::error::{Error, Result};
use crate::log::roles::Roles;
use crate::log::spec::{LogSpec, OnNull};
use crate::log::text::TextColumn;
use crate::log::time::{BadTime, TimeReader, is_text};

/// Events in input order, without nulls.
pub struct EventBatch {
    /// The case id, in the column's own layout.
    pub case: ArrayRef,
    /// The activity: text, plain or in a dictionary.
    pub activity: ArrayRef,
    /// Timestamps in ticks.
    pub times: ScalarBuffer<i64>,
    /// Start timestamps in ticks, where the log has them.
    pub starts: Option<ScalarBuffer<i64>>,
    /// The `order_by` columns.
    pub order: Vec<ArrayRef>,
}

/// The roles that may not be null, in the order in which a row's first null is attributed.
pub const REQUIRED: [&str; 4] = ["case", "activity", "timestamp", "start_timestamp"];

/// Rows lost to nulls so far, per role: how many, and the first one with its file.
#[derive(Default)]
pub struct NullTally {
    roles: Mutex<[NullCount; 4]>,
}

#[derive(Clone, Default)]
struct NullCount {
    rows: u64,
    first: Option<(u64, Option<Arc<str>>)>,
}

impl NullTally {
    fn add(&self, role: usize, rows: u64, first: u64, path: Option<&Arc<str>>) {
        let mut roles = self.roles.lock().unwrap_or_else(PoisonError::into_inner);
        let count = &mut roles[role];
        count.rows += rows;
        if count.first.as_ref().is_none_or(|(known, _)| first < *known) {
            count.first = Some((first, path.cloned()));
        }
    }

    /// Forgets everything: the log is read anew.
    pub fn reset(&self) {
        *self.roles.lock().unwrap_or_else(PoisonError::into_inner) = Default::default();
    }

    /// Rows lost per role of [`REQUIRED`].
    pub fn rows(&self) -> [u64; 4] {
        let roles = self.roles.lock().unwrap_or_else(PoisonError::into_inner);
        [roles[0].rows, roles[1].rows, roles[2].rows, roles[3].rows]
    }

    /// INVALID_DATA if there was a null and the spec does not say to drop it.
    pub fn check(&self, spec: &LogSpec) -> Result<()> {
        if spec.on_null == OnNull::Drop {
            return Ok(());
        }
        let roles = self.roles.lock().unwrap_or_else(PoisonError::into_inner);
        for (role, count) in roles.iter().enumerate() {
            let Some((row, path)) = &count.first else { continue };
            let columns = match role {
                0 => spec.case.join(", "),
                1 => spec.activity.join(", "),
                2 => spec.timestamp.join(", "),
                _ => spec.start_timestamp.clone().unwrap_or_default().join(", "),
            };
            let place = path.as_ref().map(|path| format!(" ({path})")).unwrap_or_default();
            let text = format!(
                "column {columns:?} ({}) is null in {} row(s), first in row {}{place}; fill it in, or pass on_null=\"drop\" to leave such rows out",
                REQUIRED[role],
                count.rows,
                row + 1
            );
            let error = Error::data(text).with("role", REQUIRED[role]).with("column", columns);
            let error = error.with("count", count.rows).with("row", row + 1);
            return Err(match path {
                Some(path) => error.with("path", path.as_ref()),
                None => error,
            });
        }
        Ok(())
    }
}

/// Turns record batches of the roles' columns into events. One per thread: it remembers zone look-ups.
pub struct Normaliser<'a> {
    roles: &'a Roles,
    spec: &'a LogSpec,
    nulls: &'a NullTally,
    reader: TimeReader,
}

impl<'a> Normaliser<'a> {
    /// A normaliser that reports nulls to `nulls`.
    pub fn new(roles: &'a Roles, spec: &'a LogSpec, nulls: &'a NullTally) -> Self {
        Normaliser { roles, spec, nulls, reader: roles.reader.clone() }
    }

    /// The events of `batch`, whose first row is row `first_row` of the input.
    ///
    /// # Errors
    /// INVALID_DATA for a value that cannot be read, naming its row.
    pub fn apply(&mut self, batch: &RecordBatch, first_row: u64, path: Option<&Arc<str>>) -> Result<EventBatch> {
        let keep = self.rows_to_keep(batch, first_row, path)?;
        let columns: Vec<ArrayRef> = match &keep {
            None => batch.columns().to_vec(),
            Some(keep) => {
                let mask = BooleanArray::new(keep.clone(), None);
                let kept = batch.columns().iter().map(|column| filter(column, &mask));
                kept.collect::<std::result::Result<_, _>>().map_err(|error| Error::internal(error.to_string()))?
            }
        };
        let original = |row: usize| match &keep {
            None => first_row + row as u64,
            Some(keep) => first_row + keep.set_indices().nth(row).unwrap_or(0) as u64,
        };
        let times = self.times("timestamp", &self.roles.timestamp, &columns, &original, path)?;
        let starts = match &self.roles.start {
            Some(start) => Some(self.times("start_timestamp", start, &columns, &original, path)?),
            None => None,
        };
        Ok(EventBatch {
            case: self.label(&self.roles.case, &columns, &original, path)?,
            activity: self.label(&self.roles.activity, &columns, &original, path)?,
            times,
            starts,
            order: self.roles.order.iter().map(|&at| Arc::clone(&columns[at])).collect(),
        })
    }

    fn rows_to_keep(
        &self,
        batch: &RecordBatch,
        first_row: u64,
        path: Option<&Arc<str>>,
    ) -> Result<Option<BooleanBuffer>> {
        let lifecycle = self.roles.lifecycle.as_ref();
        let mut keep = lifecycle.map(|(at, transition)| equal_ignoring_case(batch.column(*at), transition));
        let roles = self.roles;
        let required = [Some(&roles.case), Some(&roles.activity), Some(&roles.timestamp), roles.start.as_ref()];
        for (role, columns) in required.iter().enumerate() {
            for &at in columns.map_or(&[][..], |columns| columns.as_slice()) {
                let Some(valid) = self.valid(batch.column(at)) else { continue };
                let lost = match &keep {
                    None => !&valid,
                    Some(keep) => keep & &!&valid,
                };
                if let Some(first) = lost.set_indices().next() {
                    self.nulls.add(role, lost.count_set_bits() as u64, first_row + first as u64, path);
                    keep = Some(match keep {
                        None => valid,
                        Some(keep) => &keep & &valid,
                    });
                }
            }
        }
        Ok(keep.filter(|keep| keep.count_set_bits() < keep.len()))
    }

    /// The rows of a role's column that are not null, nor one of the texts that mean null; none if that is all rows.
    fn valid(&self, column: &ArrayRef) -> Option<BooleanBuffer> {
        let nulls = column.logical_nulls().filter(|nulls| nulls.null_count() > 0);
        if self.spec.null_values.is_empty() || !is_text(column.data_type()) {
            return nulls.map(|nulls| nulls.into_inner());
        }
        let text = TextColumn::new(column)?;
        let means_null = |row: usize| self.spec.null_values.iter().any(|null| null.as_bytes() == text.value(row));
        let valid = BooleanBuffer::collect_bool(column.len(), |row| {
            nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)) && !means_null(row)
        });
        (valid.count_set_bits() < valid.len()).then_some(valid)
    }

    fn times(
        &mut self,
        role: &str,
        at: &[usize],
        columns: &[ArrayRef],
        original: &dyn Fn(usize) -> u64,
        path: Option<&Arc<str>>,
    ) -> Result<ScalarBuffer<i64>> {
        let parts: Vec<ArrayRef> = at.iter().map(|&at| Arc::clone(&columns[at])).collect();
        self.reader.read(&parts).map_err(|BadTime { row, why }| {
            let row = original(row) + 1;
            let names: Vec<&str> = at.iter().map(|&at| self.roles.columns[at].as_str()).collect();
            let place = path.map(|path| format!(" of {path}")).unwrap_or_default();
            let text = format!("{role} (column {:?}), row {row}{place}: {why}", names.join(", "));
            let error = Error::data(text).with("role", role).with("column", names.join(", ")).with("row", row);
            match path {
                Some(path) => error.with("path", path.as_ref()),
                None => error,
            }
        })
    }

    /// One column as it is; several as text with the joiner between, if the text tells what the columns held.
    fn label(
        &self,
        at: &[usize],
        columns: &[ArrayRef],
        original: &dyn Fn(usize) -> u64,
        path: Option<&Arc<str>>,
    ) -> Result<ArrayRef> {
        if let [only] = at {
            return Ok(Arc::clone(&columns[*only]));
        }
        let as_text = |&at: &usize| cast(&columns[at], &DataType::Utf8);
        let parts = at.iter().map(as_text).collect::<std::result::Result<Vec<_>, _>>();
        let parts = parts.map_err(|error| Error::argument(format!("columns cannot be joined: {error}")))?;
        let parts: Vec<&StringArray> = parts.iter().map(|part| part.as_string()).collect();
        let joiner = self.spec.joiner.as_str();
        let rows = parts[0].len();
        let mut joined = StringBuilder::with_capacity(rows, parts.iter().map(|part| part.values().len()).sum());
        let mut text = String::new();
        for row in 0..rows {
            text.clear();
            for (i, part) in parts.iter().enumerate() {
                text.push_str(if i == 0 { "" } else { joiner });
                text.push_str(part.value(row));
            }
            if !text.splitn(parts.len(), joiner).eq(parts.iter().map(|part| part.value(row))) {
                let holder = parts.iter().position(|part| part.value(row).contains(joiner)).unwrap_or(0);
                let (column, value) = (self.roles.columns[at[holder]].as_str(), parts[holder].value(row));
                let row = original(row) + 1;
                let place = path.map(|path| format!("{path}, ")).unwrap_or_default();
                let text = format!(
                    "{place}row {row}: column {column:?} holds {value:?}, and that contains the joiner {joiner:?}, so that \
                     other values of the columns could be joined to the same text; pass a joiner that no value contains"
                );
                let error = Error::argument(text).with("option", "joiner").with("column", column);
                let error = error.with("value", value).with("row", row);
                return Err(path.into_iter().fold(error, |error, path| error.with("path", path.as_ref())));
            }
            joined.append_value(&text);
        }
        Ok(Arc::new(joined.finish()))
    }
}

fn equal_ignoring_case(column: &ArrayRef, wanted: &str) -> BooleanBuffer {
    let Some(text) = TextColumn::new(column) else { return BooleanBuffer::new_unset(column.len()) };
    let nulls = column.logical_nulls();
    BooleanBuffer::collect_bool(column.len(), |row| {
        nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row))
            && text.value(row).eq_ignore_ascii_case(wanted.as_bytes())
    })
}
