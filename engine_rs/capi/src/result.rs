//! How is a plan answered, and how are the answers fetched?

use std::ffi::c_char;
use std::sync::atomic::AtomicBool;

use arrow_array::RecordBatchReader;
use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use cjm_core::error::{Error, Result};
use cjm_core::run::{MiningResult, merge, mine};

use crate::context::cjm_context;
use crate::error::{cjm_error, cjm_status};
use crate::export::export;
use crate::guard::{self, Call, Handle, guard};
use crate::import::{Imported, take};
use crate::log::cjm_log;
use crate::text;

/// The answers of one run: a table per measure of the plan. Never changes. Thread-safe but for `cjm_result_free`.
///
/// @since 0.1
pub struct cjm_result {
    result: MiningResult,
    broken: AtomicBool,
}

impl Handle for cjm_result {
    const NAME: &'static str = "result";

    fn broken(&self) -> &AtomicBool {
        &self.broken
    }
}

/// Answers all measures of a plan in one pass over the log.
///
/// Blocks until it is done, cancelled (`cjm_cancel`) or failed. The tables are the same to the byte for every number of
/// threads and every batch size.
///
/// @param[in] log The log.
/// @param[in] plan_json The plan, version 1.
/// @param[in] context The surroundings; one run at a time.
/// @param[out] out The result, to be freed with `cjm_result_free`.
/// @param[out] err The error, if any. May be NULL.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cjm_mine(
    log: *mut cjm_log,
    plan_json: *const c_char,
    context: *mut cjm_context,
    out: *mut *mut cjm_result,
    err: *mut *mut cjm_error,
) -> cjm_status {
    let body = |call: &mut Call<'_>| {
        // SAFETY: each pointer is NULL or what the header asks for.
        let (log, plan, context, out) = unsafe {
            (
                call.handle(log, "log")?,
                call.text(plan_json, "plan_json")?,
                call.handle(context, "context")?,
                call.out(out, "out")?,
            )
        };
        let _running = context.start()?;
        let result = mine(&log.log, plan, &context.context)?;
        out.give(cjm_result { result, broken: AtomicBool::new(false) });
        Ok(())
    };
    // SAFETY: `err` is NULL or valid for writing.
    unsafe { guard(err, body) }
}

/// Answers the measures of a plan from the states of several logs, as if those had been mined together.
///
/// A state is the table "state" that `cjm_mine`, or this function, gives where the plan has `"state": {}`. The logs must
/// have no case in common: a case whose id is in two states fails the call; states without ids are taken at their word.
/// Measures of single cases (`cases`, `metrics`) cannot be asked for. The metadata `pycjm.state.name` of a stream's schema,
/// if it is there, is what errors call that state.
///
/// All streams are consumed, also when the call fails: their `release` is NULL afterwards.
///
/// @param[in,out] states `n_states` pointers to streams.
/// @param[in] n_states How many there are; at least one.
/// @param[in] plan_json The plan, version 1.
/// @param[in] context The surroundings; one run at a time.
/// @param[out] out The result, to be freed with `cjm_result_free`.
/// @param[out] err The error, if any. May be NULL.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cjm_merge(
    states: *const *mut FFI_ArrowArrayStream,
    n_states: u64,
    plan_json: *const c_char,
    context: *mut cjm_context,
    out: *mut *mut cjm_result,
    err: *mut *mut cjm_error,
) -> cjm_status {
    let body = |call: &mut Call<'_>| {
        // First of all, so that they are consumed whatever the other arguments are.
        // SAFETY: NULL, or as many pointers as the caller says, each NULL or a stream that is given away.
        let streams = unsafe { take_all(states, n_states) };
        // SAFETY: each pointer is NULL or what the header asks for.
        let (plan, context, out) =
            unsafe { (call.text(plan_json, "plan_json")?, call.handle(context, "context")?, call.out(out, "out")?) };
        let _running = context.start()?;
        let open = |(number, stream): (usize, Result<_>)| {
            let reader = stream.and_then(Imported::new).map_err(|error| {
                Error::new(error.kind(), format!("state {}: {}", number + 1, error.message())).with("state", number + 1)
            })?;
            Ok(Box::new(reader.validated()) as Box<dyn RecordBatchReader + Send>)
        };
        let readers = streams?.into_iter().enumerate().map(open).collect::<Result<Vec<_>>>()?;
        let result = merge(readers, plan, &context.context)?;
        out.give(cjm_result { result, broken: AtomicBool::new(false) });
        Ok(())
    };
    // SAFETY: `err` is NULL or valid for writing.
    unsafe { guard(err, body) }
}

/// Takes every one of the streams, whatever is wrong with others.
///
/// # Safety
/// `streams` is NULL or points to `n` pointers, each as [`take`] asks for.
unsafe fn take_all(streams: *const *mut FFI_ArrowArrayStream, n: u64) -> Result<Vec<Result<FFI_ArrowArrayStream>>> {
    if streams.is_null() {
        return Err(Error::argument("states is NULL").with("argument", "states"));
    }
    // SAFETY: passed on.
    Ok((0..n as usize).map(|i| unsafe { take(*streams.add(i)) }).collect())
}

/// Gives a table of a result as an Arrow C stream. May be called any number of times, for the same table, too.
///
/// The stream stays valid after the result is freed; it is used by one thread at a time and released by its consumer.
/// A callback of it that fails returns an errno value, for good, and `get_last_error` gives a text that opens with the
/// name of the status, such as `INVALID_DATA: ...`.
///
/// @param[in] result The result.
/// @param[in] name The name of a measure in the plan, such as "dfg", or "state" where the plan asks for one.
/// @param[out] out A place for the stream; what it holds before is overwritten, not released.
/// @param[out] err The error, if any. May be NULL.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cjm_result_table(
    result: *mut cjm_result,
    name: *const c_char,
    out: *mut FFI_ArrowArrayStream,
    err: *mut *mut cjm_error,
) -> cjm_status {
    let body = |call: &mut Call<'_>| {
        // SAFETY: each pointer is NULL or what the header asks for.
        let (result, name, out) =
            unsafe { (call.handle(result, "result")?, call.text(name, "name")?, call.out(out, "out")?) };
        out.write(export(result.result.table(name)?));
        Ok(())
    };
    // SAFETY: `err` is NULL or valid for writing.
    unsafe { guard(err, body) }
}

/// Tells how the run went: a JSON object with `layout`, `rows`, `dropped_rows` (per role), `threads`, `grouping` (each
/// way of grouping that was tried), `partitions` (how many, or null), `looks` (how often the rows were gone through),
/// `naive_timestamps`, `phases` (each `name`, `seconds`), `peak_reserved_bytes`, `memory_limit_bytes`,
/// `memory_limit_from`, `spilled_bytes`; a later version may add members.
///
/// @param[in] result The result.
/// @param[out] json_out The text, to be freed with `cjm_string_free`.
/// @param[out] err The error, if any. May be NULL.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cjm_result_info(
    result: *const cjm_result,
    json_out: *mut *mut c_char,
    err: *mut *mut cjm_error,
) -> cjm_status {
    let body = |call: &mut Call<'_>| {
        // SAFETY: each pointer is NULL or what the header asks for.
        let (result, out) = unsafe { (call.handle(result, "result")?, call.out(json_out, "json_out")?) };
        out.write(text::c_text(&result.result.info()).into_raw());
        Ok(())
    };
    // SAFETY: `err` is NULL or valid for writing.
    unsafe { guard(err, body) }
}

/// Frees a result. Does nothing for NULL. No call may be using it; streams made from it do not need it.
///
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cjm_result_free(result: *mut cjm_result) {
    // SAFETY: the caller passes NULL or a result of this library that nobody uses any more.
    unsafe { guard::free(result) }
}
