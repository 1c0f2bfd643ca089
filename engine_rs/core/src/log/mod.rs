//! Where do events come from? A source, a spec that says which columns mean what, and the events that come out.

use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, RecordBatchReader};
use arrow_cast::cast;
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use serde_json::{Map, Value, json};

pub mod byte_list;
mod cache;
pub mod encode;
pub mod labels;
pub mod normalise;
pub mod numbering;
pub mod parquet;
pub mod paths;
pub mod roles;
pub mod source;
pub mod spec;
pub mod stream;
pub mod text;
pub mod time;
pub mod time_format;
pub mod unify;
pub mod xes;
pub mod xes_source;
pub mod zone;

use crate::context::Context;
use crate::error::{Error, Result, guarded};
use normalise::{EventBatch, Normaliser, NullTally, REQUIRED};
use roles::Roles;
use source::{Source, Task, TaskQueue};
use spec::LogSpec;
use stream::Check;

/// A log: where its events are and what its columns mean. Nothing is read before it is needed.
pub struct Log {
    inner: Arc<Inner>,
}

struct Inner {
    source: Box<dyn Source>,
    spec: LogSpec,
    roles: OnceLock<Roles>,
    dropped: Mutex<Option<[u64; 4]>>,
}

impl Log {
    /// Opens the files of a spec.
    ///
    /// # Errors
    /// INVALID_ARGUMENT for the spec or its roles, IO and INVALID_DATA for the files.
    pub fn open(spec: &str) -> Result<Log> {
        guarded(|| {
            let spec = LogSpec::parse(spec)?;
            let source: Box<dyn Source> = match format_of(&spec)? {
                "xes" => Box::new(xes_source::XesSource::open(&spec)?),
                _ => Box::new(parquet::ParquetSource::open(&spec.paths)?),
            };
            Log::new(source, spec)
        })
    }

    /// A log over a stream of record batches.
    ///
    /// # Errors
    /// INVALID_ARGUMENT for the spec or its roles.
    pub fn from_reader(reader: Box<dyn RecordBatchReader + Send>, spec: &str) -> Result<Log> {
        Log::from_unchecked(reader, None, spec)
    }

    /// The same, where batches may be broken unless they pass `check`.
    ///
    /// # Errors
    /// Those of [`Log::from_reader`].
    pub fn from_unchecked(
        reader: Box<dyn RecordBatchReader + Send>,
        check: Option<Arc<Check>>,
        spec: &str,
    ) -> Result<Log> {
        guarded(|| {
            let spec = LogSpec::parse(spec)?;
            if !spec.paths.is_empty() || spec.format.is_some() {
                return Err(Error::argument("log spec: a stream has neither paths nor a format"));
            }
            let source = stream::StreamSource::new(reader, check, spec.resident);
            Log::new(Box::new(source), spec)
        })
    }

    fn new(source: Box<dyn Source>, spec: LogSpec) -> Result<Log> {
        let inner = Inner { source, spec, roles: OnceLock::new(), dropped: Mutex::new(None) };
        let log = Log { inner: Arc::new(inner) };
        if log.inner.spec.has_roles() {
            log.inner.roles()?;
        }
        Ok(log)
    }

    /// What is known of the log without reading it through, as JSON.
    ///
    /// # Errors
    /// None at present; reading a source's description may fail in the future.
    pub fn describe(&self) -> Result<String> {
        let inner = &self.inner;
        let column = |field: &Arc<Field>| json!({"name": field.name(), "type": field.data_type().to_string(), "nullable": field.is_nullable()});
        let file = |file: &source::FileInfo| json!({"path": &*file.path, "bytes": file.bytes, "rows": file.rows});
        let dropped = inner.dropped.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(json!({
            "format": inner.source.format(),
            "columns": inner.source.schema().fields().iter().map(column).collect::<Vec<_>>(),
            "rows": inner.source.rows(),
            "row_groups": inner.source.row_groups(),
            "files": inner.source.files().iter().map(file).collect::<Vec<_>>(),
            "dropped_rows": dropped.map(|rows| dropped_json(&rows, inner.spec.start_timestamp.is_some())),
        })
        .to_string())
    }

    /// The events as they are mined: case, activity, timestamp, start_timestamp if the log has it, then `order_0`...
    ///
    /// # Errors
    /// INVALID_ARGUMENT where roles are missing or a stream was read before.
    pub fn events(&self, context: &Context) -> Result<Box<dyn RecordBatchReader + Send>> {
        guarded(|| {
            let roles = self.inner.roles()?.clone();
            let queue = self.inner.source.open(&roles.columns, &[], context.batch_rows())?;
            let reader = EventReader {
                schema: events_schema(&roles),
                inner: Arc::clone(&self.inner),
                roles,
                nulls: NullTally::default(),
                queue,
                task: None,
                row: 0,
                done: false,
            };
            Ok(Box::new(reader) as Box<dyn RecordBatchReader + Send>)
        })
    }

    /// Where events come from.
    pub(crate) fn source(&self) -> &dyn Source {
        &*self.inner.source
    }

    /// How they are to be understood.
    pub(crate) fn spec(&self) -> &LogSpec {
        &self.inner.spec
    }

    /// The roles, bound to columns.
    pub(crate) fn roles(&self) -> Result<&Roles> {
        self.inner.roles()
    }

    /// Notes how many rows a full reading left out.
    pub(crate) fn note_dropped(&self, rows: [u64; 4]) {
        *self.inner.dropped.lock().unwrap_or_else(PoisonError::into_inner) = Some(rows);
    }
}

impl Inner {
    fn roles(&self) -> Result<&Roles> {
        if self.roles.get().is_none() {
            let bound = Roles::bind(&*self.source, &self.spec)?;
            let _ = self.roles.set(bound);
        }
        self.roles.get().ok_or_else(|| Error::internal("the roles were not bound"))
    }
}

/// The rows left out per role, as JSON.
pub fn dropped_json(rows: &[u64; 4], has_start: bool) -> Value {
    let roles = if has_start { 4 } else { 3 };
    let entries = (0..roles).map(|role| (REQUIRED[role].to_owned(), json!(rows[role])));
    Value::Object(entries.collect::<Map<String, Value>>())
}

fn format_of(spec: &LogSpec) -> Result<&'static str> {
    match spec.format.as_deref() {
        Some("parquet") => Ok("parquet"),
        Some("xes") => Ok("xes"),
        Some(other) => {
            Err(Error::argument(format!("log spec: format {other:?} is not known; use \"parquet\" or \"xes\"")))
        }
        None => {
            let is_xes = |path: &Path| {
                let lower = path.to_string_lossy().to_ascii_lowercase();
                lower.ends_with(".xes") || lower.ends_with(".xes.gz")
            };
            let found = paths::expand(&spec.paths, &[".parquet", ".pq", ".xes", ".xes.gz"])?;
            Ok(if found.iter().all(|file| is_xes(&file.path)) { "xes" } else { "parquet" })
        }
    }
}

fn events_schema(roles: &Roles) -> SchemaRef {
    let types = &roles.types;
    let mut fields = vec![
        types.case_field(),
        Field::new("activity", DataType::Utf8, false),
        Field::new("timestamp", types.timestamp(), false),
    ];
    if types.has_start {
        fields.push(Field::new("start_timestamp", types.timestamp(), false));
    }
    fields.extend(types.order.iter().enumerate().map(|(i, kind)| Field::new(format!("order_{i}"), kind.clone(), true)));
    Arc::new(Schema::new(fields))
}

/// Reads a log through, one task after the other.
struct EventReader {
    schema: SchemaRef,
    inner: Arc<Inner>,
    roles: Roles,
    nulls: NullTally,
    queue: Box<dyn TaskQueue>,
    task: Option<Task>,
    row: u64,
    done: bool,
}

impl EventReader {
    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            let Some(task) = &mut self.task else {
                self.task = self.queue.next()?;
                match &self.task {
                    Some(task) => self.row = task.first_row,
                    None => {
                        self.nulls.check(&self.inner.spec)?;
                        let log = Log { inner: Arc::clone(&self.inner) };
                        log.note_dropped(self.nulls.rows());
                        return Ok(None);
                    }
                }
                continue;
            };
            let Some(batch) = task.batches.next() else {
                self.task = None;
                continue;
            };
            let (batch, path) = (batch?, task.path.clone());
            let mut normaliser = Normaliser::new(&self.roles, &self.inner.spec, &self.nulls);
            let events = normaliser.apply(&batch, self.row, path.as_ref())?;
            self.row += batch.num_rows() as u64;
            return self.columns(&events).map(Some);
        }
    }

    fn columns(&self, events: &EventBatch) -> Result<RecordBatch> {
        let ticks =
            |ticks: &arrow_buffer::ScalarBuffer<i64>| -> ArrayRef { Arc::new(Int64Array::new(ticks.clone(), None)) };
        let mut columns = vec![events.case.clone(), events.activity.clone(), ticks(&events.times)];
        columns.extend(events.starts.as_ref().map(ticks));
        columns.extend(events.order.iter().cloned());
        let fitted = columns.iter().zip(self.schema.fields()).map(|(column, field)| {
            if column.data_type() == field.data_type() { Ok(column.clone()) } else { cast(column, field.data_type()) }
        });
        let fitted: std::result::Result<Vec<ArrayRef>, ArrowError> = fitted.collect();
        fitted
            .and_then(|columns| RecordBatch::try_new(Arc::clone(&self.schema), columns))
            .map_err(|error| Error::data(format!("the events cannot be handed over: {error}")))
    }
}

impl Iterator for EventReader {
    type Item = std::result::Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let outcome = guarded(|| self.next_batch());
        self.done = !matches!(outcome, Ok(Some(_)));
        outcome.map_err(|error| ArrowError::ExternalError(Box::new(error))).transpose()
    }
}

impl RecordBatchReader for EventReader {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_that_of_the_files_in_folders_and_behind_patterns() {
        let root = tempfile::tempdir().unwrap();
        for name in ["xes/a.XES", "xes/in/b.xes.gz", "parquet/a.parquet", "both/a.parquet", "both/b.xes"] {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, b"").unwrap();
        }
        let format = |name: &str| {
            let spec = json!({"version": 1, "paths": [root.path().join(name)]});
            format_of(&LogSpec::parse(&spec.to_string()).unwrap()).map_err(|error| error.to_string())
        };
        for (name, expected) in [
            ("xes", "xes"),
            ("xes/*", "xes"),
            ("xes/a.XES", "xes"),
            ("parquet", "parquet"),
            ("*/a.parquet", "parquet"),
            ("both", "parquet"),
        ] {
            assert_eq!(format(name).unwrap(), expected, "{name}");
        }
        assert!(format("none").is_err());
    }
}
