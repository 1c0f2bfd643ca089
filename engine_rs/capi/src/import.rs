//! How do record batches of another library come in, so that the engine never sees one that breaks the Arrow format?
//!
//! Each array is checked before it is taken over ([`crate::shape`]) and, unless the log spec says `"trusted": true`,
//! validated in full before any value is looked at: offsets, UTF-8, dictionary keys, nulls, at every level. The latter
//! takes time, so that it is left to the threads that read, part by part. Failures travel as the engine's own [`Error`]
//! inside [`ArrowError::ExternalError`], so that the core gives them on unchanged.

use std::collections::VecDeque;
use std::ffi::{CStr, c_int};
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema, from_ffi_and_data_type};
use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::{Array, RecordBatch, RecordBatchOptions, RecordBatchReader, StructArray};
use arrow_data::ArrayData;
use arrow_schema::{ArrowError, DataType, Schema, SchemaRef};
use cjm_core::error::{Error, ErrorKind, Result, quietly};

use crate::shape::{check_array, check_schema, check_type, malformed};

/// Takes the stream out of the caller's struct, whatever happens next: its `release` is NULL afterwards.
///
/// # Safety
/// `stream` is NULL or points to a stream that is live or released, and is the caller's to give away.
pub(crate) unsafe fn take(stream: *mut FFI_ArrowArrayStream) -> Result<FFI_ArrowArrayStream> {
    if stream.is_null() {
        return Err(Error::argument("stream is NULL").with("argument", "stream"));
    }
    // SAFETY: not NULL, and the caller vouches for the rest.
    let taken = unsafe { FFI_ArrowArrayStream::from_raw(stream) };
    if taken.release().is_none() {
        return Err(Error::argument("stream was consumed before").with("argument", "stream"));
    }
    Ok(taken)
}

/// A foreign stream as a reader of batches, whose shape is checked.
pub(crate) struct Imported {
    stream: Option<FFI_ArrowArrayStream>,
    schema: SchemaRef,
    struct_type: DataType,
    validator: Option<Validator>,
    rows: u64,
}

impl Imported {
    /// Reads the schema. No batch is asked for yet. Values of batches must not be looked at before a [`Validator`] has seen
    /// them, or the caller has said that they may be trusted.
    pub(crate) fn new(mut stream: FFI_ArrowArrayStream) -> Result<Imported> {
        let schema = read_schema(&mut stream)?;
        let struct_type = DataType::Struct(schema.fields().clone());
        Ok(Imported { stream: Some(stream), schema: Arc::new(schema), struct_type, validator: None, rows: 0 })
    }

    /// The same, with batches that are validated when they come.
    pub(crate) fn validated(self) -> Imported {
        Imported { validator: Some(Validator::new(false)), ..self }
    }

    fn read(&mut self) -> Result<Option<RecordBatch>> {
        let Some(stream) = &mut self.stream else { return Ok(None) };
        let get_next = stream.get_next().ok_or_else(|| Error::data("the stream has no get_next callback"))?;
        let mut array = FFI_ArrowArray::empty();
        // SAFETY: the stream is live and used by this thread alone; `array` is a place for an array.
        let code = unsafe { get_next(&raw mut *stream, &raw mut array) };
        if code != 0 {
            return Err(producer_error(stream, code));
        }
        if array.is_released() {
            return Ok(None);
        }
        check_array(&array, &self.struct_type, "")?;
        if array.is_empty() {
            return Ok(Some(RecordBatch::new_empty(Arc::clone(&self.schema))));
        }
        // SAFETY: the shape is checked; that the buffers are as long as it says is the producer's promise.
        let data = unsafe { from_ffi_and_data_type(array, self.struct_type.clone()) }.map_err(broken)?;
        if data.nulls().is_some_and(|nulls| nulls.null_count() > 0) {
            return Err(Error::data("the stream has rows that are null as a whole; a table cannot hold those"));
        }
        data.validate().map_err(broken)?;
        let rows = data.len();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let columns = StructArray::from(data).into_parts().1;
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options).map_err(broken)?;
        if let Some(validator) = &self.validator {
            validator.validate(&batch, self.rows)?;
        }
        self.rows += rows as u64;
        Ok(Some(batch))
    }
}

/// Refuses what later code would read wrongly, or outside of memory. Many batches may share a dictionary: it is validated
/// once.
pub(crate) struct Validator {
    /// Those that are known to be valid, the newest first.
    dictionaries: Mutex<VecDeque<ArrayData>>,
    most: usize,
}

/// Dictionaries that are remembered of batches that are kept anyway: a few columns' on a few threads. Of others, which they
/// keep in memory, only those of two columns.
const OF_KEPT: usize = 16;
const OF_OTHERS: usize = 2;

impl Validator {
    /// A validator of batches that are kept by the log, or not.
    pub(crate) fn new(kept: bool) -> Validator {
        Validator { dictionaries: Mutex::default(), most: if kept { OF_KEPT } else { OF_OTHERS } }
    }

    /// What is called for each batch.
    pub(crate) fn into_check(self) -> impl Fn(&RecordBatch, u64) -> Result<()> + Send + Sync {
        move |batch, row| {
            quietly(|| self.validate(batch, row)).unwrap_or_else(|text| {
                Err(Error::data(format!("the stream's producer gave a batch that Arrow cannot read: {text}")))
            })
        }
    }

    fn validate(&self, batch: &RecordBatch, row: u64) -> Result<()> {
        for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            self.validate_column(&column.to_data()).map_err(|error| {
                let rows = format!("rows {row} to {}", (row + batch.num_rows() as u64).saturating_sub(1));
                malformed(field.name(), &format!("{error} ({rows})")).with("row", row)
            })?;
        }
        Ok(())
    }

    fn validate_column(&self, column: &ArrayData) -> std::result::Result<(), ArrowError> {
        let (DataType::Dictionary(..), [dictionary]) = (column.data_type(), column.child_data()) else {
            return column.validate_full();
        };
        column.validate_nulls()?;
        // The one that finds the place is slower.
        if !keys_are_below(column, dictionary.len()) {
            column.validate_values()?;
        }
        // Who comes second waits here for the first one, and does not do the same once more.
        let mut known = self.dictionaries.lock().unwrap_or_else(PoisonError::into_inner);
        if known.iter().any(|known| known.ptr_eq(dictionary)) {
            return Ok(());
        }
        dictionary.validate_full()?;
        known.truncate(self.most - 1);
        known.push_front(dictionary.clone());
        Ok(())
    }
}

/// Whether the keys of a dictionary array, also those of nulls, are all below `n`: seen many at once.
fn keys_are_below(column: &ArrayData, n: usize) -> bool {
    let keys = column.offset()..column.offset() + column.len();
    // One that is negative is, without its sign, above all that have none.
    match column.data_type() {
        DataType::Dictionary(kind, _) if **kind == DataType::Int32 => {
            let highest = column.buffers()[0].typed_data::<u32>()[keys].iter().fold(0, |high, &key| high.max(key));
            (highest as usize) < n.min(1 << 31)
        }
        DataType::Dictionary(kind, _) if **kind == DataType::Int8 => {
            let highest = column.buffers()[0].as_slice()[keys].iter().fold(0, |high, &key| high.max(key));
            usize::from(highest) < n.min(1 << 7)
        }
        _ => false,
    }
}

impl Iterator for Imported {
    type Item = std::result::Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let outcome = quietly(|| self.read()).unwrap_or_else(|text| {
            Err(Error::data(format!("the stream's producer gave a batch that Arrow cannot read: {text}")))
        });
        if !matches!(outcome, Ok(Some(_))) {
            // Released at the end rather than with the log, so that the producer's memory goes back early.
            let ended = self.stream.take();
            let _ = quietly(|| drop(ended));
        }
        outcome.map_err(|error| ArrowError::ExternalError(Box::new(error))).transpose()
    }
}

impl RecordBatchReader for Imported {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

fn read_schema(stream: &mut FFI_ArrowArrayStream) -> Result<Schema> {
    let get_schema = stream.get_schema().ok_or_else(|| Error::data("the stream has no get_schema callback"))?;
    let mut c_schema = FFI_ArrowSchema::empty();
    // SAFETY: the stream is live and used by this thread alone; `c_schema` is a place for a schema.
    let code = unsafe { get_schema(&raw mut *stream, &raw mut c_schema) };
    if code != 0 {
        return Err(producer_error(stream, code));
    }
    check_schema(&c_schema)?;
    let data_type = DataType::try_from(&c_schema).map_err(unreadable)?;
    let DataType::Struct(fields) = data_type else {
        return Err(Error::data(format!("the stream is one of {data_type}, not of record batches (structs)")));
    };
    for field in &fields {
        check_type(field.name(), field.data_type())?;
    }
    Ok(Schema::new(fields).with_metadata(c_schema.metadata().map_err(broken)?))
}

/// A failure that the producer reported, in its words.
fn producer_error(stream: &mut FFI_ArrowArrayStream, code: c_int) -> Error {
    let told = stream.get_last_error().and_then(|get_last_error| {
        // SAFETY: the stream is live, and its last call failed; the text lives until the next call.
        let text = unsafe { get_last_error(&raw mut *stream).as_ref() }?;
        // SAFETY: as above.
        Some(unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
    });
    let text = told.unwrap_or_else(|| format!("no text, code {code}"));
    let kind = match code {
        libc::ENOMEM => ErrorKind::MemoryLimit,
        libc::ENOSYS => ErrorKind::Unsupported,
        libc::EIO | libc::ENOENT | libc::EACCES => ErrorKind::Io,
        libc::ECANCELED => ErrorKind::Cancelled,
        _ => ErrorKind::InvalidData,
    };
    Error::new(kind, format!("the stream's producer failed: {text}")).with("errno", code)
}

fn unreadable(error: ArrowError) -> Error {
    match error {
        ArrowError::CDataInterface(text) | ArrowError::NotYetImplemented(text) => Error::unsupported(text),
        other => broken(other),
    }
}

fn broken(error: ArrowError) -> Error {
    Error::data(format!("the stream's producer broke the Arrow format: {error}"))
}
