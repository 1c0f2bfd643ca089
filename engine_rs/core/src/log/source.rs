//! What is a source? Tasks in input order, each a run of record batches that one thread reads on its own.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::SchemaRef;

use crate::error::Result;

/// A stretch of the input: consecutive rows, read by one thread.
pub struct Task {
    /// Position among all tasks: tasks handed out later stand later in the input.
    pub seq: u64,
    /// Rows of the input before this task.
    pub first_row: u64,
    /// The file the rows come from, for messages.
    pub path: Option<Arc<str>>,
    /// The rows, in the columns asked for, in that order.
    pub batches: Box<dyn Iterator<Item = Result<RecordBatch>> + Send>,
}

/// Hands out the tasks of one reading, in input order, to any number of threads.
pub trait TaskQueue: Send + Sync {
    /// The next task, or none when the input is at its end.
    ///
    /// # Errors
    /// IO or INVALID_DATA from the source.
    fn next(&self) -> Result<Option<Task>>;

    /// Says that rows wait on disk by now: the system's cache is wanted for them, and not for tasks that are yet to come.
    fn make_way(&self) {}
}

/// What a description says about one file.
#[derive(Clone, Debug)]
pub struct FileInfo {
    /// The path as opened.
    pub path: Arc<str>,
    /// Its size.
    pub bytes: u64,
    /// Its rows, where the format says so without reading it all.
    pub rows: Option<u64>,
}

/// Something that events can be read from.
pub trait Source: Send + Sync {
    /// "parquet", "xes" or "stream".
    fn format(&self) -> &'static str;
    /// All columns. Where files differ in a column's type, the field holds the type that takes them all.
    fn schema(&self) -> SchemaRef;
    /// Why a column cannot be used although it is in the schema (files that disagree), if so.
    fn conflict(&self, _column: &str) -> Option<String> {
        None
    }
    /// Rows in all, where known beforehand.
    fn rows(&self) -> Option<u64>;
    /// Row groups in all, where the format has them.
    fn row_groups(&self) -> Option<u64> {
        None
    }
    /// The files behind it.
    fn files(&self) -> Vec<FileInfo> {
        Vec::new()
    }
    /// The first batch that has rows, in `columns`; a later reading still begins with it.
    ///
    /// # Errors
    /// Those of reading.
    fn peek(&self, columns: &[String], batch_rows: usize) -> Result<Option<RecordBatch>> {
        let queue = self.open(columns, &[], batch_rows)?;
        while let Some(mut task) = queue.next()? {
            for batch in &mut task.batches {
                let batch = batch?;
                if batch.num_rows() > 0 {
                    return Ok(Some(batch));
                }
            }
        }
        Ok(None)
    }
    /// The dictionary of `column`, if all rows are in memory and share one.
    ///
    /// # Errors
    /// Those of reading.
    fn dictionary(&self, _column: &str) -> Result<Option<ArrayRef>> {
        Ok(None)
    }
    /// Whether it may be opened again after having been read.
    fn reopens(&self) -> bool;
    /// Starts a reading of `columns`, in batches of about `batch_rows`. `dictionary` names the text columns that
    /// are wanted dictionary-encoded where that is cheap; they may come plain all the same.
    ///
    /// # Errors
    /// IO or INVALID_DATA from the source; INVALID_ARGUMENT for a stream that was read before.
    fn open(&self, columns: &[String], dictionary: &[String], batch_rows: usize) -> Result<Box<dyn TaskQueue>>;
}
