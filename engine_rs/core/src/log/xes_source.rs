//! How is XES read? File after file, each by one parser; batches are handed to whichever thread asks next.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::error::{Error, Result};
use crate::log::paths::expand;
use crate::log::source::{FileInfo, Source, Task, TaskQueue};
use crate::log::spec::LogSpec;
use crate::log::unify::Unified;
use crate::log::xes;
use crate::log::zone::Localiser;
use crate::units::Unit;

/// XES files with one schema between them.
pub struct XesSource {
    files: Vec<XesFile>,
    unified: Unified,
    /// Of times without an offset from UTC.
    wall: Option<Localiser>,
}

/// A file, and its columns as described.
type FileColumns = (Arc<str>, Vec<(String, DataType)>);

struct XesFile {
    path: Arc<str>,
    bytes: u64,
    rows: u64,
}

impl XesSource {
    /// Reads through the files of a spec once, to learn their columns.
    ///
    /// # Errors
    /// IO for a file that cannot be read, INVALID_DATA for one that is not XES.
    pub fn open(spec: &LogSpec) -> Result<XesSource> {
        let mut files = Vec::new();
        let mut columns: Vec<FileColumns> = Vec::new();
        for found in expand(&spec.paths, &[".xes", ".xes.gz"])? {
            let meta = std::fs::metadata(&found.path).map_err(|error| Error::io("inspect", &found.path, &error))?;
            let description = xes::describe(&found.path)?;
            let path: Arc<str> = found.path.display().to_string().into();
            columns.push((path.clone(), description.columns));
            files.push(XesFile { path, bytes: meta.len(), rows: description.events });
        }
        if files.iter().all(|file| file.rows == 0)
            && let Some((path, _)) = columns.first()
        {
            columns.push((path.clone(), asked_for(spec, &columns)));
        }
        let unit = Unit::Micro.max(spec.timestamp_unit.as_deref().map_or(Ok(Unit::Micro), Unit::parse)?);
        // What lacks an offset in one place is of the spec's zone, or taken as UTC: so the whole column says.
        let naive = |name: &str| {
            let is_naive =
                |(known, kind): &(String, DataType)| known == name && matches!(kind, DataType::Timestamp(_, None));
            columns.iter().any(|(_, columns)| columns.iter().any(is_naive))
        };
        let mut unified = Unified::default();
        for (path, columns) in &columns {
            let field = |(name, kind): &(String, DataType)| {
                let kind = match kind {
                    DataType::Timestamp(..) if naive(name) => {
                        DataType::Timestamp(unit.arrow(), spec.timezone.as_deref().map(Arc::from))
                    }
                    DataType::Timestamp(..) => DataType::Timestamp(unit.arrow(), Some("UTC".into())),
                    kind => kind.clone(),
                };
                Field::new(name, kind, true)
            };
            // Events need not all have the same attributes, nor files: what one lacks is null there.
            unified.add_partial(path, &Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
        }
        let wall = spec.timezone.as_deref().map(Localiser::new).transpose()?;
        Ok(XesSource { files, unified, wall })
    }
}

/// The columns that a spec names and a log without events cannot have: attributes come with events.
fn asked_for(spec: &LogSpec, known: &[FileColumns]) -> Vec<(String, DataType)> {
    let lifecycle = spec.lifecycle.as_ref().map(|_| &spec.lifecycle_column);
    let texts = spec.case.iter().chain(&spec.activity).chain(&spec.order_by).chain(lifecycle);
    let mut asked: Vec<(String, DataType)> = texts.map(|name| (name.clone(), DataType::Utf8)).collect();
    for role in [Some(&spec.timestamp), spec.start_timestamp.as_ref()].into_iter().flatten() {
        let kind = match role.len() {
            1 => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            _ => DataType::Utf8,
        };
        asked.extend(role.iter().map(|name| (name.clone(), kind.clone())));
    }
    let mut seen: HashSet<String> =
        known.iter().flat_map(|(_, columns)| columns.iter().map(|(name, _)| name.clone())).collect();
    asked.retain(|(name, _)| seen.insert(name.clone()));
    asked
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
            wall: self.wall.clone(),
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
    wall: Option<Localiser>,
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
                    self.reader.insert(xes::XesReader::open(&file, &self.columns, self.batch_rows, self.wall.as_ref())?)
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
