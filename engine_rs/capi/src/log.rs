//! Where do events come from, as the embedder says it: files, or a stream of another library?

use std::ffi::c_char;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use cjm_core::log::Log;
use cjm_core::log::stream::Check;

use crate::context::cjm_context;
use crate::error::{cjm_error, cjm_status};
use crate::export::export;
use crate::guard::{self, Call, Handle, guard};
use crate::import::{Imported, Validator, take};
use crate::text;

/// An event log: where its rows are and which columns play which part. It holds no events of its own.
///
/// Thread-safe but for `cjm_log_free`. A log of files, and one of a stream with `"resident": true`, can be read any
/// number of times, also at once. A log of any other stream can be read once, by whichever of `cjm_mine` and
/// `cjm_log_events` comes first; the next reader gets `CJM_INVALID_ARGUMENT`.
/// @since 0.1
pub struct cjm_log {
    pub(crate) log: Log,
    broken: AtomicBool,
}

impl Handle for cjm_log {
    const NAME: &'static str = "log";

    fn broken(&self) -> &AtomicBool {
        &self.broken
    }
}

impl cjm_log {
    fn new(log: Log) -> cjm_log {
        cjm_log { log, broken: AtomicBool::new(false) }
    }
}

/// Opens a log of files: Parquet or XES files, folders and patterns of them.
///
/// Reads what tells the columns: the footers of Parquet files, and XES files once as a whole.
///
/// @param[in] spec_json The log spec, version 1, with `paths`.
/// @param[out] out The log, to be freed with `cjm_log_free`.
/// @param[out] err The error, if any. May be NULL.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cjm_log_open(
    spec_json: *const c_char,
    out: *mut *mut cjm_log,
    err: *mut *mut cjm_error,
) -> cjm_status {
    let body = |call: &mut Call<'_>| {
        // SAFETY: each pointer is NULL or what the header asks for.
        let (spec, out) = unsafe { (call.text(spec_json, "spec_json")?, call.out(out, "out")?) };
        out.give(cjm_log::new(Log::open(spec)?));
        Ok(())
    };
    // SAFETY: `err` is NULL or valid for writing.
    unsafe { guard(err, body) }
}

/// Makes a log of an Arrow C stream of record batches.
///
/// The stream is consumed, also when the call fails: `stream->release` is NULL afterwards, and the library releases the
/// stream once it is read or the log is freed. Only the schema is read here, and the first rows where timestamps are
/// texts. The columns that are read are validated in full, on the threads that read them, unless the spec says
/// `"trusted": true`; a batch that breaks the format makes that read fail with `CJM_INVALID_DATA`. The producer promises
/// that its buffers are as long as its lengths say: the interface carries no sizes. Its callbacks are called by one thread
/// at a time, not always the same one; its arrays are released by any thread.
///
/// @param[in,out] stream The stream.
/// @param[in] spec_json The log spec, version 1, without `paths` and `format`.
/// @param[out] out The log, to be freed with `cjm_log_free`.
/// @param[out] err The error, if any. May be NULL.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cjm_log_from_stream(
    stream: *mut FFI_ArrowArrayStream,
    spec_json: *const c_char,
    out: *mut *mut cjm_log,
    err: *mut *mut cjm_error,
) -> cjm_status {
    let body = |call: &mut Call<'_>| {
        // First of all, so that it is consumed whatever the other arguments are.
        // SAFETY: NULL, or a stream that the caller gives away.
        let stream = unsafe { take(stream) }?;
        // SAFETY: each pointer is NULL or what the header asks for.
        let (spec, out) = unsafe { (call.text(spec_json, "spec_json")?, call.out(out, "out")?) };
        let reader = Imported::new(stream)?;
        let check = (!says(spec, "trusted"))
            .then(|| Arc::new(Validator::new(says(spec, "resident")).into_check()) as Arc<Check>);
        out.give(cjm_log::new(Log::from_unchecked(Box::new(reader), check, spec)?));
        Ok(())
    };
    // SAFETY: `err` is NULL or valid for writing.
    unsafe { guard(err, body) }
}

/// Whether a spec says that something is so; whether it says it well is the core's to judge.
fn says(spec: &str, what: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(spec).is_ok_and(|spec| spec[what] == true)
}

/// Describes a log without reading its events: a JSON object with `format`, `columns` (each `name`, `type`,
/// `nullable`), `rows` and `row_groups` (null where not known beforehand), `files` (each `path`, `bytes`, `rows`).
///
/// @param[in] log The log.
/// @param[out] json_out The text, to be freed with `cjm_string_free`.
/// @param[out] err The error, if any. May be NULL.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cjm_log_describe(
    log: *const cjm_log,
    json_out: *mut *mut c_char,
    err: *mut *mut cjm_error,
) -> cjm_status {
    let body = |call: &mut Call<'_>| {
        // SAFETY: each pointer is NULL or what the header asks for.
        let (log, out) = unsafe { (call.handle(log, "log")?, call.out(json_out, "json_out")?) };
        out.write(text::c_text(&log.log.describe()?).into_raw());
        Ok(())
    };
    // SAFETY: `err` is NULL or valid for writing.
    unsafe { guard(err, body) }
}

/// Gives the events as the engine understands them: after roles, joined columns, nulls, life cycle, zones and units, in
/// input order. Columns: `case`, `activity`, `timestamp`, and `start_timestamp` where the spec names one.
///
/// The events are read as the stream is. The stream stays valid after the log and the context are freed; it is used by
/// one thread at a time and released by its consumer.
///
/// @param[in] log The log.
/// @param[in] context The surroundings.
/// @param[out] out A place for the stream; what it holds before is overwritten, not released.
/// @param[out] err The error, if any. May be NULL.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cjm_log_events(
    log: *mut cjm_log,
    context: *mut cjm_context,
    out: *mut FFI_ArrowArrayStream,
    err: *mut *mut cjm_error,
) -> cjm_status {
    let body = |call: &mut Call<'_>| {
        // SAFETY: each pointer is NULL or what the header asks for.
        let (log, context, out) =
            unsafe { (call.handle(log, "log")?, call.handle(context, "context")?, call.out(out, "out")?) };
        let _running = context.start()?;
        out.write(export(log.log.events(&context.context)?));
        Ok(())
    };
    // SAFETY: `err` is NULL or valid for writing.
    unsafe { guard(err, body) }
}

/// Frees a log. Does nothing for NULL. No call may be using it; results and streams made from it do not need it.
///
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cjm_log_free(log: *mut cjm_log) {
    // SAFETY: the caller passes NULL or a log of this library that nobody uses any more.
    unsafe { guard::free(log) }
}
