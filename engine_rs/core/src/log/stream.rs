//! How is an Arrow stream read? Batches are pulled by one thread at a time and handed out in slices of even size.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchReader};
use arrow_schema::{ArrowError, SchemaRef};

use crate::error::{Error, ErrorKind, Result, quietly};
use crate::log::source::{Source, Task, TaskQueue};

/// Rows in one task: enough to make a thread's while, few enough to keep all threads busy to the end.
const TASK_ROWS: usize = 256 * 1024;

/// What has to hold of a batch before its values are looked at, and the row of the input at which it begins. It is called
/// by the threads that read, not by the one that pulls.
pub type Check = dyn Fn(&RecordBatch, u64) -> Result<()> + Send + Sync;

/// A stream of record batches, read once; a resident one may be read again, since its batches are kept.
pub struct StreamSource {
    schema: SchemaRef,
    resident: bool,
    check: Option<Arc<Check>>,
    state: Arc<Mutex<State>>,
}

struct State {
    reader: Option<Box<dyn RecordBatchReader + Send>>,
    kept: Vec<RecordBatch>,
    /// What the stream failed with after the batches that are kept.
    failed: Option<Error>,
    opened: bool,
}

impl State {
    /// The stream's next batch. One that has failed fails for every reading: batches were lost.
    fn pull(&mut self) -> Result<Option<RecordBatch>> {
        let Some(reader) = self.reader.as_mut() else { return self.failed.clone().map_or(Ok(None), Err) };
        let pulled = match quietly(|| reader.next()) {
            Ok(Some(Ok(batch))) => return Ok(Some(batch)),
            Ok(Some(Err(error))) => Err(failed(error)),
            Ok(None) => Ok(None),
            Err(text) => Err(broken(&text)),
        };
        self.reader = None;
        self.failed = pulled.as_ref().err().cloned();
        pulled
    }
}

impl StreamSource {
    /// A source over `reader`, whose batches have to pass `check`. With `resident`, they are kept for a second reading:
    /// right for tables in memory.
    pub fn new(reader: Box<dyn RecordBatchReader + Send>, check: Option<Arc<Check>>, resident: bool) -> StreamSource {
        let schema = reader.schema();
        let state = State { reader: Some(reader), kept: Vec::new(), failed: None, opened: false };
        StreamSource { schema, resident, check, state: Arc::new(Mutex::new(state)) }
    }

    fn queue(&self, keep: bool, columns: &[String]) -> Result<StreamQueue> {
        let (state, check) = (Arc::clone(&self.state), self.check.clone());
        Ok(StreamQueue { state, check, keep, projection: self.projection(columns)? })
    }

    fn projection(&self, columns: &[String]) -> Result<Vec<usize>> {
        let index = |name: &String| self.schema.index_of(name).map_err(|error| Error::argument(error.to_string()));
        columns.iter().map(index).collect()
    }
}

impl Source for StreamSource {
    fn format(&self) -> &'static str {
        "stream"
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Known of what lies in memory: its batches are only fetched, and kept in any case.
    fn rows(&self) -> Option<u64> {
        if !self.resident {
            return None;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while state.reader.is_some() {
            // The reading will come upon a failure in its place.
            if let Ok(Some(batch)) = state.pull() {
                state.kept.push(batch);
            }
        }
        Some(state.kept.iter().map(|batch| batch.num_rows() as u64).sum())
    }

    fn peek(&self, columns: &[String], batch_rows: usize) -> Result<Option<RecordBatch>> {
        let mut at = 0;
        // Batches that were looked at are kept for the reading, resident or not.
        let queue = self.queue(true, columns)?;
        while let Some(batch) = queue.batch(at)? {
            if batch.num_rows() > 0 {
                let batch = batch.slice(0, batch.num_rows().min(batch_rows));
                return checked(self.check.as_deref(), batch, 0).map(Some);
            }
            at += 1;
        }
        Ok(None)
    }

    fn dictionary(&self, column: &str) -> Result<Option<ArrayRef>> {
        if self.rows().is_none() {
            return Ok(None);
        }
        let at = self.projection(&[column.to_owned()])?[0];
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.failed.is_some() {
            return Ok(None);
        }
        let dictionary = |batch: &RecordBatch| Some(batch.column(at).as_any_dictionary_opt()?.values().clone());
        let mut dictionaries = state.kept.iter().filter(|batch| batch.num_rows() > 0).map(dictionary);
        let Some(Some(first)) = dictionaries.next() else { return Ok(None) };
        let data = first.to_data();
        if !dictionaries.all(|other| other.is_some_and(|other| other.to_data().ptr_eq(&data))) {
            return Ok(None);
        }
        // The whole of it is checked with any of its rows.
        let row = state.kept.iter().find(|batch| batch.num_rows() > 0).map(|batch| batch.slice(0, 1));
        row.map_or(Ok(()), |row| checked(self.check.as_deref(), row.project(&[at]).map_err(failed)?, 0).map(drop))?;
        Ok(Some(first))
    }

    fn reopens(&self) -> bool {
        self.resident
    }

    fn open(&self, columns: &[String], _dictionary: &[String], _batch_rows: usize) -> Result<Box<dyn TaskQueue>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.opened && !self.resident {
            return Err(Error::argument("the stream was read before; make a new log from a new stream"));
        }
        state.opened = true;
        let pull = Pull { at: 0, rest: VecDeque::new(), rest_rows: 0, seq: 0, first_row: 0, done: false, failed: None };
        drop(state);
        Ok(Box::new(SliceQueue { stream: self.queue(self.resident, columns)?, pull: Mutex::new(pull) }))
    }
}

/// A batch that begins at `row` of the input, if it passes.
fn checked(check: Option<&Check>, batch: RecordBatch, row: u64) -> Result<RecordBatch> {
    check.map_or(Ok(()), |check| check(&batch, row)).map(|()| batch)
}

struct StreamQueue {
    state: Arc<Mutex<State>>,
    check: Option<Arc<Check>>,
    keep: bool,
    projection: Vec<usize>,
}

impl StreamQueue {
    /// Batch number `at`: one that is kept, or the next of the stream.
    fn batch(&self, at: usize) -> Result<Option<RecordBatch>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(batch) = state.kept.get(at) {
            return self.project(batch).map(Some);
        }
        let Some(batch) = state.pull()? else { return Ok(None) };
        let projected = self.project(&batch)?;
        if self.keep {
            state.kept.push(batch);
        }
        Ok(Some(projected))
    }

    fn project(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        batch.project(&self.projection).map_err(|error| broken(&error.to_string()))
    }
}

/// A reader's error: one of ours keeps its kind and details.
fn failed(error: ArrowError) -> Error {
    match error {
        ArrowError::ExternalError(inner) => match inner.downcast::<Error>() {
            Ok(ours) => *ours,
            Err(other) => broken(&other.to_string()),
        },
        error => broken(&error.to_string()),
    }
}

fn broken(why: &str) -> Error {
    Error::new(ErrorKind::InvalidData, format!("the stream of events failed: {why}"))
}

struct Pull {
    at: usize,
    rest: VecDeque<RecordBatch>,
    rest_rows: usize,
    seq: u64,
    first_row: u64,
    done: bool,
    failed: Option<Error>,
}

struct SliceQueue {
    stream: StreamQueue,
    pull: Mutex<Pull>,
}

impl TaskQueue for SliceQueue {
    fn next(&self) -> Result<Option<Task>> {
        let mut pull = self.pull.lock().unwrap_or_else(PoisonError::into_inner);
        while pull.rest_rows < TASK_ROWS && !pull.done {
            match self.stream.batch(pull.at) {
                // After the batches before it, of which one may be broken.
                Err(error) => (pull.failed, pull.done) = (Some(error), true),
                Ok(None) => pull.done = true,
                Ok(Some(batch)) => {
                    pull.at += 1;
                    pull.rest_rows += batch.num_rows();
                    pull.rest.push_back(batch);
                }
            }
        }
        let (mut taken, mut rows) = (Vec::new(), 0);
        while rows < TASK_ROWS {
            let Some(batch) = pull.rest.pop_front() else { break };
            let (first_row, wanted) = (pull.first_row + rows as u64, TASK_ROWS - rows);
            if batch.num_rows() > wanted {
                pull.rest.push_front(batch.slice(wanted, batch.num_rows() - wanted));
                taken.push((batch.slice(0, wanted), first_row));
                rows += wanted;
            } else {
                rows += batch.num_rows();
                taken.push((batch, first_row));
            }
        }
        if rows == 0 {
            return pull.failed.take().map_or(Ok(None), Err);
        }
        let check = self.stream.check.clone();
        let batches = taken.into_iter().map(move |(batch, row)| checked(check.as_deref(), batch, row));
        let task = Task { seq: pull.seq, first_row: pull.first_row, path: None, batches: Box::new(batches) };
        pull.seq += 1;
        pull.first_row += rows as u64;
        pull.rest_rows -= rows;
        Ok(Some(task))
    }
}
