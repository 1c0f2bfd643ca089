//! How is an Arrow stream read? Batches are pulled by one thread at a time and handed out in slices of even size; small
//! ones are brought together first.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchReader};
use arrow_schema::{ArrowError, SchemaRef};
use arrow_select::concat::concat_batches;

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

/// A batch with fewer rows than this is brought together with its neighbours, up to twice as many: to partition one, to put
/// it in order, or just to look at its columns, has a price whatever its length.
const FEW_ROWS: usize = 32 * 1024;

/// Bytes that such a batch may have: rows may be of any size.
const FEW_BYTES: usize = 4 << 20;

/// The same rows in fewer batches.
struct Together<I> {
    batches: I,
    /// Batches that wait for others.
    few: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
    next: VecDeque<Result<RecordBatch>>,
}

impl<I: Iterator<Item = Result<RecordBatch>>> Together<I> {
    fn new(batches: I) -> Together<I> {
        Together { batches, few: Vec::new(), rows: 0, bytes: 0, next: VecDeque::new() }
    }

    /// Takes in a batch with few rows.
    fn add(&mut self, batch: RecordBatch) {
        let bytes = batch.columns().iter().map(bytes_of).sum::<usize>();
        if self.bytes + bytes > FEW_BYTES || self.few.first().is_some_and(|first| !are_alike(first, &batch)) {
            self.hand_out();
        }
        (self.rows, self.bytes) = (self.rows + batch.num_rows(), self.bytes + bytes);
        self.few.push(batch);
        if self.rows >= FEW_ROWS {
            self.hand_out();
        }
    }

    /// Hands out those that wait.
    fn hand_out(&mut self) {
        (self.rows, self.bytes) = (0, 0);
        match &self.few[..] {
            [] => {}
            [_] => self.next.extend(self.few.drain(..).map(Ok)),
            [first, ..] => match concat_batches(first.schema_ref(), &self.few) {
                Ok(batch) => {
                    self.next.push_back(Ok(batch));
                    self.few.clear();
                }
                // Then they come as they were.
                Err(_) => self.next.extend(self.few.drain(..).map(Ok)),
            },
        }
    }
}

impl<I: Iterator<Item = Result<RecordBatch>>> Iterator for Together<I> {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.next.is_empty() {
            match self.batches.next() {
                Some(Ok(batch)) if batch.num_rows() < FEW_ROWS => self.add(batch),
                Some(batch) => {
                    self.hand_out();
                    self.next.push_back(batch);
                }
                None if self.few.is_empty() => return None,
                None => self.hand_out(),
            }
        }
        self.next.pop_front()
    }
}

/// Whether two batches have the same dictionaries: then none of their values has to be copied, or compared.
fn are_alike(one: &RecordBatch, other: &RecordBatch) -> bool {
    let values = |column: &ArrayRef| column.as_any_dictionary_opt().map(|column| column.values().to_data());
    one.columns().iter().zip(other.columns()).all(|(one, other)| match (values(one), values(other)) {
        (Some(one), Some(other)) => one.ptr_eq(&other),
        _ => true,
    })
}

/// Bytes that a copy of a column would take.
fn bytes_of(column: &ArrayRef) -> usize {
    match column.as_any_dictionary_opt() {
        Some(column) => column.keys().to_data().get_slice_memory_size().unwrap_or(FEW_BYTES),
        None => column.to_data().get_slice_memory_size().unwrap_or(FEW_BYTES),
    }
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
        let batches = Together::new(batches);
        let task = Task { seq: pull.seq, first_row: pull.first_row, path: None, batches: Box::new(batches) };
        pull.seq += 1;
        pull.first_row += rows as u64;
        pull.rest_rows -= rows;
        Ok(Some(task))
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::types::Int8Type;
    use arrow_array::{DictionaryArray, Int64Array, StringArray, StringViewArray};

    use super::*;

    /// Batches of so many rows, with a number that counts through all of them; an error where there are none.
    fn batches(rows: &[Option<usize>]) -> impl Iterator<Item = Result<RecordBatch>> {
        let mut next = 0;
        let of = |rows: Option<usize>| {
            let rows = rows.ok_or_else(|| Error::data("broken"))? as i64;
            next += rows;
            let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(next - rows..next));
            Ok(RecordBatch::try_from_iter([("n", numbers)]).unwrap())
        };
        rows.iter().copied().map(of).collect::<Vec<_>>().into_iter()
    }

    fn together(batches: impl Iterator<Item = Result<RecordBatch>>) -> Vec<Result<RecordBatch>> {
        Together::new(batches).collect()
    }

    #[test]
    fn few_rows_come_together_in_order_and_errors_in_their_place() {
        type Rows = &'static [Option<usize>];
        const FEW: usize = FEW_ROWS;
        // Rows of batches that come, and of those that go; none is an error.
        let cases: [(Rows, Rows); 6] = [
            (&[], &[]),
            (&[Some(0), Some(3), Some(0)], &[Some(3)]),
            (&[Some(FEW), Some(3), Some(4), Some(FEW), Some(5)], &[Some(FEW), Some(7), Some(FEW), Some(5)]),
            (&[Some(FEW - 1), Some(FEW - 1), Some(1)], &[Some(2 * FEW - 2), Some(1)]),
            (&[Some(1), Some(2), None, Some(3), Some(4)], &[Some(3), None, Some(7)]),
            (&[None, Some(FEW - 1), Some(1), None], &[None, Some(FEW), None]),
        ];
        for (come, go) in cases {
            let found = together(batches(come));
            let rows: Vec<_> = found.iter().map(|batch| batch.as_ref().ok().map(RecordBatch::num_rows)).collect();
            assert_eq!(rows, go);
            let all = |batches: Vec<Result<RecordBatch>>| -> Vec<i64> {
                let of =
                    |batch: RecordBatch| batch["n"].as_primitive::<arrow_array::types::Int64Type>().values().to_vec();
                batches.into_iter().flatten().flat_map(of).collect()
            };
            assert_eq!(all(found), all(batches(come).collect()));
        }
    }

    #[test]
    fn batches_of_one_dictionary_keep_it_and_those_of_others_stay_apart() {
        let batch = |column: &DictionaryArray<Int8Type>| {
            Ok(RecordBatch::try_from_iter([("d", Arc::new(column.clone()) as ArrayRef)]).unwrap())
        };
        let one: DictionaryArray<Int8Type> = ["a", "b", "a"].into_iter().collect();
        let other: DictionaryArray<Int8Type> = ["b", "a"].into_iter().collect();
        let found = together([&one, &one.slice(1, 2), &other, &one].into_iter().map(batch));
        let rows: Vec<usize> = found.iter().map(|batch| batch.as_ref().unwrap().num_rows()).collect();
        assert_eq!(rows, [5, 2, 3]);
        let values = found[0].as_ref().unwrap()["d"].as_any_dictionary().values().to_data();
        assert!(values.ptr_eq(&one.values().to_data()));
    }

    #[test]
    fn a_batch_gets_no_more_bytes_than_are_few() {
        let long = "x".repeat(FEW_BYTES / 4);
        let batch = |column: ArrayRef| Ok(RecordBatch::try_from_iter([("t", column)]).unwrap());
        let texts: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(vec![&long; 2])),
            Arc::new(StringViewArray::from_iter_values(vec![&long; 2])),
        ];
        for text in texts {
            // Two rows of the column, then a row of it at a time.
            let slices = (0..9).map(|i| if i == 0 { Arc::clone(&text) } else { text.slice(i % 2, 1) });
            let found = together(slices.map(batch));
            let rows: Vec<usize> = found.iter().map(|batch| batch.as_ref().unwrap().num_rows()).collect();
            assert!(rows.iter().all(|&rows| rows <= 3) && rows.iter().sum::<usize>() == 10, "{rows:?}");
        }
    }
}
