//! How do the wanted columns of a log come out as record batches?

use std::path::Path;
use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use super::column::Column;
use super::walk::{Item, Scope, Walk};
use super::{BATCH_BYTES, HOLD_BYTES, MAX_ROW_BYTES, STEP_BYTES, value};
use crate::error::{Error, Result};
use crate::log::zone::Localiser;

/// Reads the wanted columns of a log, events in the order of the file.
///
/// An iterator of batches of at most `batch_rows` rows. A batch may be shorter, and it may be empty: one comes at
/// least every few megabytes of text, so that cancellation can be checked between batches. After an error there is
/// nothing more.
///
/// A column takes the event's attribute of its name; a column `case:<key>` takes the trace's attribute of that key,
/// or else the event's attribute of the full name. What is missing is null. The value is read as the column's type,
/// whatever element it stands in.
///
/// A trace's attributes may stand behind its events: the rows of a trace wait until all wanted ones are known or the
/// trace ends. A trace too large for that (64 MiB of rows) is delivered as it comes; a wanted attribute that still
/// follows is then an INVALID_DATA error, since the rows before it went out without it. So is, in any trace, a wanted
/// attribute that comes a second time behind events. Neither depends on `batch_rows`.
pub struct XesReader {
    walk: Walk,
    schema: SchemaRef,
    wanted: Vec<Wanted>,
    batch_rows: usize,
    /// Finished rows in the columns; an unfinished one may follow them in some.
    rows: usize,
    /// The first of them that belongs to the open trace.
    trace_row: usize,
    /// How many rows of the open trace are out.
    trace_rows_out: u64,
    /// Trace columns whose value in this trace is not known.
    unknown_cells: usize,
    /// Bytes of the wanted values of the unfinished row, and of the attributes of the open trace.
    event_bytes: usize,
    cell_bytes: usize,
    /// Bytes of all finished rows, and of those of the open trace.
    rows_bytes: usize,
    trace_rows_bytes: usize,
    /// The position in the text at the last batch.
    mark: u64,
    /// Finished rows beyond `batch_rows`.
    waiting: Option<RecordBatch>,
    ended: bool,
}

/// A column, and the value its open trace has for it.
struct Wanted {
    name: String,
    /// The key among trace attributes.
    trace_key: Option<String>,
    column: Column,
    /// At most one row.
    cell: Column,
}

impl Wanted {
    fn new(name: &str, data_type: &DataType, wall: Option<&Localiser>) -> Result<Wanted> {
        let trace_key = name.strip_prefix("case:").map(str::to_owned);
        let column = Column::new(name, data_type, wall)?;
        Ok(Wanted { name: name.to_owned(), trace_key, column, cell: Column::new(name, data_type, wall)? })
    }

    fn is(&self, scope: Scope, key: &[u8]) -> bool {
        match scope {
            Scope::Event => self.name.as_bytes() == key,
            Scope::Trace => self.trace_key.as_ref().is_some_and(|name| name.as_bytes() == key),
        }
    }
}

impl XesReader {
    /// Opens a log for some of its columns, named and typed as [`super::describe`] lists them.
    ///
    /// Types are Utf8, Int64, Float64, Boolean and Timestamp of any unit and zone. A timestamp finer than its column's
    /// unit is an error when it is met, never cut. Times without an offset from UTC are those of a wall clock
    /// in the zone `wall`, or in UTC.
    ///
    /// # Errors
    /// IO; INVALID_ARGUMENT for zero rows; UNSUPPORTED for another type or an unknown encoding.
    pub fn open(
        path: &Path,
        columns: &[(String, DataType)],
        batch_rows: usize,
        wall: Option<&Localiser>,
    ) -> Result<XesReader> {
        XesReader::over(Walk::open(path)?, columns, batch_rows, wall)
    }

    pub(super) fn over(
        walk: Walk,
        columns: &[(String, DataType)],
        batch_rows: usize,
        wall: Option<&Localiser>,
    ) -> Result<XesReader> {
        if batch_rows == 0 {
            return Err(Error::argument("a batch has at least one row, but batch_rows is 0"));
        }
        let wanted =
            columns.iter().map(|(name, data_type)| Wanted::new(name, data_type, wall)).collect::<Result<Vec<_>>>()?;
        let fields: Vec<Field> =
            columns.iter().map(|(name, data_type)| Field::new(name, data_type.clone(), true)).collect();
        Ok(XesReader {
            walk,
            schema: Arc::new(Schema::new(fields)),
            unknown_cells: trace_columns(&wanted),
            wanted,
            batch_rows,
            rows: 0,
            trace_row: 0,
            trace_rows_out: 0,
            event_bytes: 0,
            cell_bytes: 0,
            rows_bytes: 0,
            trace_rows_bytes: 0,
            mark: 0,
            waiting: None,
            ended: false,
        })
    }

    /// The schema of the batches.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn advance(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            match self.walk.next()? {
                Item::Attribute(scope, _) => self.attribute(scope)?,
                Item::EventEnd => {
                    self.finish_row();
                    if self.is_due() && !self.must_hold() {
                        return self.batch().map(Some);
                    }
                }
                Item::TraceEnd => {
                    self.finish_trace();
                    if self.is_due() {
                        return self.batch().map(Some);
                    }
                }
                Item::Pause if self.walk.position() - self.mark > STEP_BYTES + STEP_BYTES / 2 => {
                    self.mark = self.walk.position();
                    return Ok(Some(RecordBatch::new_empty(self.schema.clone())));
                }
                Item::Pause => {}
                Item::End if self.rows > 0 => return self.batch().map(Some),
                Item::End => return Ok(None),
            }
        }
    }

    /// Takes in the attribute the walk stands on, if it is wanted.
    fn attribute(&mut self, scope: Scope) -> Result<()> {
        let (Some(raw_key), Some(raw)) = (self.walk.key(), self.walk.value()) else { return Ok(()) };
        let key = value::text(raw_key).map_err(|message| self.walk.fail(&message))?;
        let mut found = None;
        for (place, wanted) in self.wanted.iter_mut().enumerate().filter(|(_, wanted)| wanted.is(scope, &key)) {
            let (target, row, bytes) = match scope {
                Scope::Event => (&mut wanted.column, self.rows, &mut self.event_bytes),
                Scope::Trace => (&mut wanted.cell, 0, &mut self.cell_bytes),
            };
            let again = target.len() > row;
            target.truncate(row);
            *bytes += raw.len();
            if *bytes > MAX_ROW_BYTES {
                return Err(self.walk.fail(&format!("one event or trace holds more than {MAX_ROW_BYTES} bytes")));
            }
            if let Err(message) = target.push(raw) {
                return Err(self.bad_value(place, &message));
            }
            found = Some((place, again));
        }
        match (scope, found) {
            (Scope::Trace, Some((place, again))) => self.learn(place, again),
            _ => Ok(()),
        }
    }

    /// Takes note of a value of the open trace, and gives it to the rows that wait for it.
    fn learn(&mut self, place: usize, again: bool) -> Result<()> {
        let n = self.rows - self.trace_row;
        let events = self.trace_rows_out + n as u64;
        let Wanted { name, trace_key, cell, .. } = &self.wanted[place];
        let added = cell.text_bytes().saturating_mul(n);
        let trouble = match events {
            0 => None,
            _ if again => Some("comes a second time"),
            _ if self.trace_rows_out > 0 || self.trace_rows_bytes.saturating_add(added) > HOLD_BYTES => {
                Some("comes too late for the events before it to have waited")
            }
            _ => None,
        };
        if let Some(trouble) = trouble {
            let rule = "the XES standard puts the attributes of a trace before its events";
            let message =
                format!("column `{name}`: the attribute {trouble}, behind {events} events of its trace; {rule}");
            return Err(self.walk.fail(&message).with("column", name.as_str()));
        }
        let key = trace_key.clone();
        for wanted in self.wanted.iter_mut().filter(|wanted| wanted.trace_key == key) {
            self.unknown_cells -= usize::from(!again);
            if n > 0 {
                wanted.column.truncate(self.trace_row);
                wanted.column.push_copies(&wanted.cell, n);
                self.rows_bytes += added;
                self.trace_rows_bytes += added;
            }
        }
        Ok(())
    }

    fn bad_value(&self, place: usize, message: &str) -> Error {
        let name = self.wanted[place].name.as_str();
        self.walk.fail(&format!("column `{name}`: {message}")).with("column", name)
    }

    fn finish_row(&mut self) {
        let mut bytes = std::mem::take(&mut self.event_bytes) + 8 * self.wanted.len();
        for wanted in &mut self.wanted {
            if wanted.cell.len() > 0 {
                wanted.column.truncate(self.rows);
                wanted.column.push_copies(&wanted.cell, 1);
                bytes += wanted.cell.text_bytes();
            } else if wanted.column.len() == self.rows {
                wanted.column.push_null();
            }
        }
        self.rows += 1;
        self.rows_bytes += bytes;
        if self.walk.in_trace() {
            self.trace_rows_bytes += bytes;
        } else {
            self.trace_row = self.rows;
        }
    }

    fn finish_trace(&mut self) {
        for wanted in &mut self.wanted {
            wanted.cell.truncate(0);
        }
        self.unknown_cells = trace_columns(&self.wanted);
        self.trace_row = self.rows;
        self.trace_rows_out = 0;
        self.trace_rows_bytes = 0;
        self.cell_bytes = 0;
    }

    /// Whether a batch is full, or time for one.
    fn is_due(&self) -> bool {
        self.rows >= self.batch_rows
            || self.rows_bytes >= BATCH_BYTES
            || (self.rows > 0 && self.walk.position() - self.mark > STEP_BYTES)
    }

    /// Whether the rows of the open trace may still get the value of an attribute.
    fn must_hold(&self) -> bool {
        let waiting = self.unknown_cells > 0 && self.walk.in_trace();
        waiting && self.trace_rows_out == 0 && self.trace_rows_bytes < HOLD_BYTES
    }

    /// The finished rows, the first `batch_rows` of them at once.
    fn batch(&mut self) -> Result<RecordBatch> {
        let arrays = self.wanted.iter_mut().map(|wanted| wanted.column.take()).collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options)
            .map_err(|error| Error::internal(format!("the XES reader built a bad batch: {error}")))?;
        self.trace_rows_out += (self.rows - self.trace_row) as u64;
        self.trace_row = 0;
        self.rows = 0;
        self.rows_bytes = 0;
        self.mark = self.walk.position();
        Ok(self.cut(batch))
    }

    /// The first `batch_rows` rows; the others wait.
    fn cut(&mut self, batch: RecordBatch) -> RecordBatch {
        let rows = batch.num_rows();
        if rows <= self.batch_rows {
            return batch;
        }
        self.waiting = Some(batch.slice(self.batch_rows, rows - self.batch_rows));
        batch.slice(0, self.batch_rows)
    }
}

fn trace_columns(wanted: &[Wanted]) -> usize {
    wanted.iter().filter(|wanted| wanted.trace_key.is_some()).count()
}

impl Iterator for XesReader {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Result<RecordBatch>> {
        if let Some(batch) = self.waiting.take() {
            return Some(Ok(self.cut(batch)));
        }
        if self.ended {
            return None;
        }
        let batch = self.advance().transpose();
        self.ended = !matches!(batch, Some(Ok(_)));
        batch
    }
}
