//! How does a table leave through the Arrow C stream interface, so that neither an error nor a panic is lost?
//!
//! Arrow's own export would let a panic of the reader abort the host, and tells every failure as EINVAL. Here each
//! callback is guarded, a failure is told by errno and by a text that opens with the name of its status, and it lasts.

use std::ffi::{CString, c_char, c_int};
use std::ptr;

use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema};
use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::{Array, RecordBatchReader, StructArray};
use arrow_schema::ArrowError;
use cjm_core::error::{Error, ErrorKind, Result, guarded, quietly};

use crate::text;

/// What a stream of ours owns.
struct Exported {
    reader: Box<dyn RecordBatchReader + Send>,
    failure: Option<(c_int, CString)>,
}

/// A reader as a C stream. It holds whatever the reader holds, and no handle.
pub(crate) fn export(reader: Box<dyn RecordBatchReader + Send>) -> FFI_ArrowArrayStream {
    let owned = Box::into_raw(Box::new(Exported { reader, failure: None }));
    // SAFETY: the callbacks follow the C stream interface; `release` frees the private data once.
    unsafe {
        FFI_ArrowArrayStream::new_unchecked(
            Some(get_schema),
            Some(get_next),
            Some(get_last_error),
            Some(release),
            owned.cast(),
        )
    }
}

impl Exported {
    /// Runs one step; a failure is kept for `get_last_error` and ends the stream for good.
    fn step<T>(&mut self, body: impl FnOnce(&mut dyn RecordBatchReader) -> Result<T>, out: *mut T) -> c_int {
        if let Some((errno, _)) = self.failure {
            return errno;
        }
        match guarded(|| body(self.reader.as_mut())) {
            Ok(value) => {
                // SAFETY: the consumer passes a place for the struct; its content is not ours to drop.
                unsafe { out.write(value) };
                0
            }
            Err(error) => {
                let errno = errno_of(error.kind());
                self.failure = Some((errno, text::c_text(&format!("{}: {}", error.kind().name(), error.message()))));
                errno
            }
        }
    }
}

unsafe extern "C" fn get_schema(stream: *mut FFI_ArrowArrayStream, out: *mut FFI_ArrowSchema) -> c_int {
    // SAFETY: the consumer passes a stream of ours that is not released.
    let exported = unsafe { exported(stream) };
    exported.step(|reader| FFI_ArrowSchema::try_from(reader.schema().as_ref()).map_err(told), out)
}

unsafe extern "C" fn get_next(stream: *mut FFI_ArrowArrayStream, out: *mut FFI_ArrowArray) -> c_int {
    // SAFETY: the consumer passes a stream of ours that is not released.
    let exported = unsafe { exported(stream) };
    let next = |reader: &mut dyn RecordBatchReader| match reader.next() {
        None => Ok(FFI_ArrowArray::empty()),
        Some(batch) => Ok(FFI_ArrowArray::new(&StructArray::from(batch.map_err(told)?).to_data())),
    };
    exported.step(next, out)
}

unsafe extern "C" fn get_last_error(stream: *mut FFI_ArrowArrayStream) -> *const c_char {
    // SAFETY: the consumer passes a stream of ours that is not released.
    let exported = unsafe { exported(stream) };
    exported.failure.as_ref().map_or(ptr::null(), |(_, text)| text.as_ptr())
}

unsafe extern "C" fn release(stream: *mut FFI_ArrowArrayStream) {
    if stream.is_null() {
        return;
    }
    // SAFETY: a stream of ours, released once: what `export` boxed is taken back, and the struct is marked.
    unsafe {
        let owned = (*stream).set_private_data(ptr::null_mut()).cast::<Exported>();
        (*stream).set_release(None);
        if !owned.is_null() {
            let _ = quietly(|| drop(Box::from_raw(owned)));
        }
    }
}

/// # Safety
/// `stream` is a stream of ours that is not released, used by this thread alone.
unsafe fn exported<'a>(stream: *mut FFI_ArrowArrayStream) -> &'a mut Exported {
    // SAFETY: `export` put the box there.
    unsafe { &mut *(*stream).private_data().cast::<Exported>() }
}

/// The engine's error inside an Arrow one, or the nearest to it.
pub(crate) fn told(error: ArrowError) -> Error {
    match error {
        ArrowError::ExternalError(inner) => match inner.downcast::<Error>() {
            Ok(ours) => *ours,
            Err(other) => Error::data(other.to_string()),
        },
        ArrowError::NotYetImplemented(text) => Error::unsupported(text),
        ArrowError::MemoryError(text) => Error::new(ErrorKind::MemoryLimit, text),
        ArrowError::IoError(text, cause) => match cause.raw_os_error() {
            Some(errno) => Error::new(ErrorKind::Io, text).with("errno", errno),
            None => Error::new(ErrorKind::Io, text),
        },
        other => Error::data(other.to_string()),
    }
}

fn errno_of(kind: ErrorKind) -> c_int {
    match kind {
        ErrorKind::MemoryLimit => libc::ENOMEM,
        ErrorKind::Io => libc::EIO,
        ErrorKind::Cancelled => libc::ECANCELED,
        ErrorKind::Unsupported => libc::ENOSYS,
        ErrorKind::InvalidArgument | ErrorKind::InvalidData | ErrorKind::Callback | ErrorKind::Internal => libc::EINVAL,
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;
    use std::sync::Arc;

    use arrow_array::{Int64Array, RecordBatch, RecordBatchIterator};
    use arrow_schema::{DataType, Field, Schema};

    use super::*;

    fn stream_of(
        batches: impl Iterator<Item = std::result::Result<RecordBatch, ArrowError>> + Send + 'static,
    ) -> FFI_ArrowArrayStream {
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
        export(Box::new(RecordBatchIterator::new(batches, schema)))
    }

    fn batch() -> RecordBatch {
        RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![1, 2])) as _)]).unwrap()
    }

    /// The outcome of one `get_next`: rows, or errno and text.
    fn next(stream: &mut FFI_ArrowArrayStream) -> std::result::Result<Option<usize>, (c_int, String)> {
        let mut array = FFI_ArrowArray::empty();
        // SAFETY: a live stream of ours and a place for an array.
        unsafe {
            match get_next(stream, &raw mut array) {
                0 => Ok((!array.is_released()).then(|| array.len())),
                errno => Err((errno, CStr::from_ptr(get_last_error(stream)).to_str().unwrap().to_owned())),
            }
        }
    }

    #[test]
    fn batches_then_the_end_as_often_as_asked() {
        let mut stream = stream_of([Ok(batch())].into_iter());
        assert_eq!(next(&mut stream), Ok(Some(2)));
        assert_eq!(next(&mut stream), Ok(None));
        assert_eq!(next(&mut stream), Ok(None));
    }

    #[test]
    fn an_error_of_the_engine_keeps_its_kind_and_lasts() {
        let error = ArrowError::ExternalError(Box::new(Error::cancelled()));
        let mut stream = stream_of([Err(error), Ok(batch())].into_iter());
        let (errno, text) = next(&mut stream).unwrap_err();
        assert_eq!(errno, libc::ECANCELED);
        assert!(text.starts_with("CANCELLED: "), "{text}");
        assert_eq!(next(&mut stream), Err((errno, text)));
    }

    #[test]
    fn a_panic_of_the_reader_is_an_internal_error_and_a_nul_does_no_harm() {
        let mut stream = stream_of(std::iter::once_with(|| panic!("bo\0om")));
        let (errno, text) = next(&mut stream).unwrap_err();
        assert_eq!(errno, libc::EINVAL);
        assert!(text.starts_with("INTERNAL: ") && text.contains("bo\u{fffd}om"), "{text}");
    }

    #[test]
    fn a_panic_while_releasing_stays_inside() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("in drop");
            }
        }
        let bomb = Bomb;
        drop(stream_of(std::iter::from_fn(move || {
            let _held = &bomb;
            None
        })));
    }
}
