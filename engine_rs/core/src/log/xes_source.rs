//! How is XES read? File after file, each by one parser; batches are handed to whichever thread asks next.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use crate::error::{Error, Result};
use crate::log::paths::expand;
use crate::log::source::{FileInfo, Source, Task, TaskQueue};
use crate::log::unify::Unified;
use crate::log::xes;

/// XES files with one schema between them.
pub struct XesSource {
    files: Vec<XesFile>,
    unified: Unified,
}

struct XesFile {
    path: Arc<str>,
    bytes: u64,
    rows: u64,
}

impl XesSource {
    /// Reads through the files behind `paths` once, to learn their columns.
    ///
    /// # Errors
    /// IO for a file that cannot be read, INVALID_DATA for one that is not XES.
    pub fn open(paths: &[String]) -> Result<XesSource> {
        let mut files = Vec::new();
        let mut unified = Unified::default();
        for found in expand(paths, &[".xes", ".xes.gz"])? {
            let meta = std::fs::metadata(&found.path).map_err(|error| Error::io("inspect", &found.path, &error))?;
            let description = xes::describe(&found.path)?;
            let path: Arc<str> = found.path.display().to_string().into();
            let field = |(name, kind): &(String, DataType)| Field::new(name, kind.clone(), true);
            let schema = Schema::new(description.columns.iter().map(field).collect::<Vec<_>>());
            // Events need not all have the same attributes, nor files: what one lacks is null there.
            unified.add_partial(&path, &schema);
            files.push(XesFile { path, bytes: meta.len(), rows: description.events });
        }
        Ok(XesSource { files, unified })
    }
}

impl Source for XesSource {
    fn format(&self) -> &'static str {
        "xes"
    }

    fn schema(&self) -> SchemaRef {
        self.unified.schema()
    }

    fn conflict(&self, column: &str) -> Option<String> {
        self.unified.conflict(column)
    }

    fn rows(&self) -> Option<u64> {
        Some(self.files.iter().map(|file| file.rows).sum())
    }

    fn files(&self) -> Vec<FileInfo> {
        let info = |file: &XesFile| FileInfo { path: file.path.clone(), bytes: file.bytes, rows: Some(file.rows) };
        self.files.iter().map(info).collect()
    }

    fn reopens(&self) -> bool {
        true
    }

    fn open(&self, columns: &[String], _dictionary: &[String], batch_rows: usize) -> Result<Box<dyn TaskQueue>> {
        let schema = self.unified.schema();
        let kinds = columns.iter().map(|name| {
            let field = schema.field_with_name(name).map_err(|error| Error::argument(error.to_string()))?;
            Ok((name.clone(), field.data_type().clone()))
        });
        let state = State {
            files: self.files.iter().map(|file| file.path.clone()).collect(),
            columns: kinds.collect::<Result<_>>()?,
            batch_rows,
            file: 0,
            reader: None,
            seq: 0,
            first_row: 0,
        };
        Ok(Box::new(XesQueue { state: Mutex::new(state) }))
    }
}

struct XesQueue {
    state: Mutex<State>,
}

struct State {
    files: Vec<Arc<str>>,
    columns: Vec<(String, DataType)>,
    batch_rows: usize,
    file: usize,
    reader: Option<xes::XesReader>,
    seq: u64,
    first_row: u64,
}

impl State {
    fn next_batch(&mut self) -> Result<Option<(RecordBatch, Arc<str>)>> {
        while let Some(path) = self.files.get(self.file) {
            let reader = match &mut self.reader {
                Some(reader) => reader,
                None => {
                    let file = PathBuf::from(Path::new(&**path));
                    self.reader.insert(xes::XesReader::open(&file, &self.columns, self.batch_rows)?)
                }
            };
            match reader.next() {
                Some(batch) => return Ok(Some((batch?, path.clone()))),
                None => {
                    self.reader = None;
                    self.file += 1;
                }
            }
        }
        Ok(None)
    }
}

impl TaskQueue for XesQueue {
    fn next(&self) -> Result<Option<Task>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((batch, path)) = state.next_batch()? else { return Ok(None) };
        let rows = batch.num_rows() as u64;
        let batches = Box::new(std::iter::once(Ok(batch)));
        let task = Task { seq: state.seq, first_row: state.first_row, path: Some(path), batches };
        state.seq += 1;
        state.first_row += rows;
        Ok(Some(task))
    }
}
