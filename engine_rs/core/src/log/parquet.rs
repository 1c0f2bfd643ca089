//! How is Parquet read? Footers first, then each row group as a task of its own, only the columns asked for.

use std::fs::File;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray, new_null_array};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};

use crate::error::{Error, Result, quietly};
use crate::log::cache::Cached;
use crate::log::paths::{FoundFile, expand};
use crate::log::source::{FileInfo, Source, Task, TaskQueue};
use crate::log::unify::Unified;

/// Files below this size are not asked about.
const FEWEST_CACHED_BYTES: u64 = 1 << 20;

/// Parquet files with one schema between them.
pub struct ParquetSource {
    files: Arc<Vec<ParquetFile>>,
    unified: Unified,
}

struct ParquetFile {
    path: Arc<str>,
    bytes: u64,
    rows: u64,
    metadata: ArrowReaderMetadata,
    partitions: Vec<(String, PartitionValue)>,
    cached: OnceLock<Arc<Cached>>,
}

#[derive(Clone)]
enum PartitionValue {
    Text(Option<String>),
    Int(Option<i64>),
}

impl ParquetSource {
    /// Opens the files behind `paths` and reads their footers.
    ///
    /// # Errors
    /// IO for a file that cannot be read, INVALID_DATA for one that is not Parquet.
    pub fn open(paths: &[String]) -> Result<ParquetSource> {
        let found = expand(paths, &[".parquet", ".pq"])?;
        let integers = integer_partitions(&found);
        let files = found.iter().map(|file| ParquetFile::open(file, &integers)).collect::<Result<Vec<_>>>()?;
        let mut unified = Unified::default();
        for file in &files {
            unified.add(&file.path, &file.schema());
        }
        Ok(ParquetSource { files: Arc::new(files), unified })
    }
}

impl ParquetFile {
    fn open(found: &FoundFile, integers: &[String]) -> Result<ParquetFile> {
        let file = File::open(&found.path).map_err(|error| Error::io("open", &found.path, &error))?;
        let bytes = file.metadata().map_err(|error| Error::io("inspect", &found.path, &error))?.len();
        let path: Arc<str> = found.path.display().to_string().into();
        let metadata = quietly(|| ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()))
            .map_err(|text| unreadable(&path, &text))?
            .map_err(|error| unreadable(&path, &error.to_string()))?;
        let rows = (0..metadata.metadata().num_row_groups())
            .map(|i| u64::try_from(metadata.metadata().row_group(i).num_rows()))
            .sum::<std::result::Result<u64, _>>()
            .map_err(|_| unreadable(&path, "a row group has a negative number of rows"))?;
        let partitions = found.partitions.iter().map(|(key, value)| {
            let value = match integers.contains(key) {
                true => PartitionValue::Int(value.as_ref().and_then(|text| text.parse().ok())),
                false => PartitionValue::Text(value.clone()),
            };
            (key.clone(), value)
        });
        let partitions = partitions.collect();
        Ok(ParquetFile { path, bytes, rows, metadata, partitions, cached: OnceLock::new() })
    }

    /// What was cached of it when that was first asked, if it is large enough to matter.
    fn cached(&self) -> Arc<Cached> {
        let look = || {
            let is_large = self.bytes >= FEWEST_CACHED_BYTES;
            let file = is_large.then(|| File::open(&*self.path).ok()).flatten();
            Arc::new(file.map(|file| Cached::now(&file, self.bytes)).unwrap_or_default())
        };
        Arc::clone(self.cached.get_or_init(look))
    }

    /// The file's own columns, then those of its folders.
    fn schema(&self) -> Schema {
        let mut fields: Vec<Arc<Field>> = self.metadata.schema().fields().iter().cloned().collect();
        for (key, value) in &self.partitions {
            if fields.iter().all(|field| field.name() != key) {
                let kind = match value {
                    PartitionValue::Text(_) => DataType::Utf8,
                    PartitionValue::Int(_) => DataType::Int64,
                };
                fields.push(Arc::new(Field::new(key, kind, true)));
            }
        }
        Schema::new(fields)
    }
}

/// Partition keys whose values are integers in every file, written the one way integers are.
fn integer_partitions(found: &[FoundFile]) -> Vec<String> {
    let keys = found.iter().flat_map(|file| file.partitions.iter().map(|(key, _)| key.clone()));
    let canonical = |text: &String| text.parse::<i64>().is_ok_and(|number| number.to_string() == *text);
    let mut integers: Vec<String> = keys.collect();
    integers.sort();
    integers.dedup();
    integers.retain(|key| {
        let values = || found.iter().flat_map(|file| &file.partitions).filter(|(k, _)| k == key).map(|(_, v)| v);
        values().flatten().all(canonical) && values().any(Option::is_some)
    });
    integers
}

fn unreadable(path: &str, why: &str) -> Error {
    let text =
        format!("{path}: not readable as Parquet: {why}; check that the file is complete and not of another format");
    Error::data(text).with("path", path)
}

impl Source for ParquetSource {
    fn format(&self) -> &'static str {
        "parquet"
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

    fn row_groups(&self) -> Option<u64> {
        Some(self.files.iter().map(|file| file.metadata.metadata().num_row_groups() as u64).sum())
    }

    fn files(&self) -> Vec<FileInfo> {
        let info = |file: &ParquetFile| FileInfo { path: file.path.clone(), bytes: file.bytes, rows: Some(file.rows) };
        self.files.iter().map(info).collect()
    }

    fn reopens(&self) -> bool {
        true
    }

    fn open(&self, columns: &[String], dictionary: &[String], batch_rows: usize) -> Result<Box<dyn TaskQueue>> {
        let mut groups = Vec::new();
        let mut first_row = 0;
        for (f, file) in self.files.iter().enumerate() {
            for g in 0..file.metadata.metadata().num_row_groups() {
                groups.push(RowGroup { file: f, group: g, first_row });
                first_row += file.metadata.metadata().row_group(g).num_rows() as u64;
            }
        }
        let metadata = self.files.iter().map(|file| with_dictionaries(file, dictionary)).collect::<Result<_>>()?;
        let files = Arc::clone(&self.files);
        let columns = columns.to_vec();
        self.files.iter().for_each(|file| drop(file.cached()));
        let (next, makes_way) = (AtomicUsize::new(0), AtomicBool::new(false));
        Ok(Box::new(RowGroupQueue { files, metadata, columns, batch_rows, groups, next, makes_way }))
    }
}

/// The file's metadata, with the named text columns to be handed over as the dictionaries they are stored as.
fn with_dictionaries(file: &ParquetFile, dictionary: &[String]) -> Result<ArrowReaderMetadata> {
    let is_text = |kind: &DataType| matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    let coded = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let schema = file.metadata.schema();
    let field = |field: &Arc<Field>| match dictionary.contains(field.name()) && is_text(field.data_type()) {
        true => Arc::new(Field::new(field.name(), coded.clone(), field.is_nullable())),
        false => Arc::clone(field),
    };
    let hint = Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>());
    if hint.fields() == schema.fields() {
        return Ok(file.metadata.clone());
    }
    let options = ArrowReaderOptions::new().with_schema(Arc::new(hint.with_metadata(schema.metadata().clone())));
    ArrowReaderMetadata::try_new(Arc::clone(file.metadata.metadata()), options)
        .map_err(|error| unreadable(&file.path, &error.to_string()))
}

struct RowGroup {
    file: usize,
    group: usize,
    first_row: u64,
}

struct RowGroupQueue {
    files: Arc<Vec<ParquetFile>>,
    metadata: Vec<ArrowReaderMetadata>,
    columns: Vec<String>,
    batch_rows: usize,
    groups: Vec<RowGroup>,
    next: AtomicUsize,
    makes_way: AtomicBool,
}

impl TaskQueue for RowGroupQueue {
    fn next(&self) -> Result<Option<Task>> {
        let seq = self.next.fetch_add(1, Ordering::Relaxed);
        let Some(group) = self.groups.get(seq) else { return Ok(None) };
        let file = &self.files[group.file];
        let batches = Batches {
            metadata: Some(self.metadata[group.file].clone()),
            group: group.group,
            batch_rows: self.batch_rows,
            reader: None,
            columns: self.columns.clone(),
            partitions: file.partitions.clone(),
            path: file.path.clone(),
            cached: self.makes_way.load(Ordering::Relaxed).then(|| file.cached()),
            passing: None,
        };
        let path = Some(file.path.clone());
        Ok(Some(Task { seq: seq as u64, first_row: group.first_row, path, batches: Box::new(batches) }))
    }

    fn make_way(&self) {
        self.makes_way.store(true, Ordering::Relaxed);
    }
}

/// A row group's batches, with the columns of its folders added and all in the order asked for.
///
/// The file is opened by the first batch, so that a file that cannot be opened fails in its place of the input.
struct Batches {
    metadata: Option<ArrowReaderMetadata>,
    group: usize,
    batch_rows: usize,
    reader: Option<ParquetRecordBatchReader>,
    columns: Vec<String>,
    partitions: Vec<(String, PartitionValue)>,
    path: Arc<str>,
    /// What was cached of the file, where the rest need not be any more once the row group was read.
    cached: Option<Arc<Cached>>,
    /// The file again, and where the row group lies in it.
    passing: Option<(File, Range<u64>)>,
}

impl Batches {
    fn open(&mut self, metadata: ArrowReaderMetadata) -> Result<ParquetRecordBatchReader> {
        let handle = File::open(&*self.path).map_err(|error| Error::io("open", self.path.as_ref().as_ref(), &error))?;
        if self.cached.is_some()
            && let Ok(handle) = handle.try_clone()
        {
            let columns = metadata.metadata().row_group(self.group).columns().iter();
            // What is wrong with it is told when it is read.
            let all = quietly(|| {
                let all =
                    columns.map(|column| column.byte_range()).map(|(from, bytes)| from..from.saturating_add(bytes));
                all.reduce(|all, one| all.start.min(one.start)..all.end.max(one.end))
            });
            self.passing = all.ok().flatten().map(|all| (handle, all));
        }
        let schema = metadata.schema();
        let own: Vec<usize> = self.columns.iter().filter_map(|name| schema.index_of(name).ok()).collect();
        quietly(|| {
            let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(handle, metadata);
            let mask = ProjectionMask::roots(builder.parquet_schema(), own);
            builder.with_projection(mask).with_row_groups(vec![self.group]).with_batch_size(self.batch_rows).build()
        })
        .map_err(|text| unreadable(&self.path, &text))?
        .map_err(|error| unreadable(&self.path, &error.to_string()))
    }

    fn arrange(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let mut fields = Vec::with_capacity(self.columns.len());
        let mut arrays = Vec::with_capacity(self.columns.len());
        for name in &self.columns {
            let array = match batch.schema_ref().index_of(name) {
                Ok(i) => Arc::clone(batch.column(i)),
                Err(_) => self.partition_column(name, batch.num_rows()),
            };
            fields.push(Field::new(name, array.data_type().clone(), true));
            arrays.push(array);
        }
        let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
            .map_err(|error| unreadable(&self.path, &error.to_string()))
    }

    fn partition_column(&self, name: &str, rows: usize) -> ArrayRef {
        match self.partitions.iter().find(|(key, _)| key == name) {
            Some((_, PartitionValue::Text(Some(text)))) => {
                Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text, rows)))
            }
            Some((_, PartitionValue::Int(Some(number)))) => Arc::new(Int64Array::from_value(*number, rows)),
            Some((_, PartitionValue::Int(None))) => new_null_array(&DataType::Int64, rows),
            _ => new_null_array(&DataType::Utf8, rows),
        }
    }
}

impl Iterator for Batches {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(metadata) = self.metadata.take() {
            match self.open(metadata) {
                Ok(reader) => self.reader = Some(reader),
                Err(error) => return Some(Err(error)),
            }
        }
        let reader = self.reader.as_mut()?;
        let outcome = match quietly(|| reader.next()) {
            Ok(None) => {
                self.reader = None;
                if let (Some(cached), Some((file, row_group))) = (&self.cached, self.passing.take()) {
                    cached.give_up(&file, row_group);
                }
                return None;
            }
            Ok(Some(Ok(batch))) => self.arrange(&batch),
            Ok(Some(Err(error))) => Err(unreadable(&self.path, &error.to_string())),
            Err(text) => Err(unreadable(&self.path, &text)),
        };
        if outcome.is_err() {
            self.reader = None;
        }
        Some(outcome)
    }
}
