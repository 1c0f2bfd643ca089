//! What surrounds a run from outside: its options, its case metrics, and the two calls allowed beside it.

use std::ffi::{c_char, c_void};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cjm_core::context::Context;
use cjm_core::error::{Error, Result};

use crate::case_metric::{ForeignMetric, cjm_case_metric_fn};
use crate::error::{cjm_error, cjm_status};
use crate::guard::{self, Call, Handle, guard};

/// The surroundings of a run: threads, memory limit, case metrics, the cancel flag, the progress.
///
/// Thread-safe but for `cjm_context_free`. One run at a time: a second `cjm_mine` or `cjm_log_events` beside a running
/// one in the same context is refused with `CJM_INVALID_ARGUMENT`. Cancelling is for good, so a program that goes on
/// after it makes a new context; making one is cheap.
/// @since 0.1
pub struct cjm_context {
    pub(crate) context: Context,
    running: AtomicBool,
    broken: AtomicBool,
}

impl Handle for cjm_context {
    const NAME: &'static str = "context";

    fn broken(&self) -> &AtomicBool {
        &self.broken
    }
}

/// Holds a context for one run.
pub(crate) struct Running<'a>(&'a AtomicBool);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl cjm_context {
    /// Refuses a second run beside this one: both would count into one progress and one memory account.
    pub(crate) fn start(&self) -> Result<Running<'_>> {
        if self.running.swap(true, Ordering::Acquire) {
            let text = "this context is in use by another run; make a context per run";
            return Err(Error::argument(text).with("argument", "context"));
        }
        Ok(Running(&self.running))
    }
}

/// How far a run is. Filled by `cjm_progress`.
///
/// @since 0.1
#[repr(C)]
pub struct cjm_progress_t {
    /// "idle", "reading", "checking", "partitioning", "mining" or "finishing", NUL-terminated. A later version may add
    /// names.
    pub phase: [c_char; 32],
    /// Rows dealt with in this phase.
    pub rows_done: u64,
    /// Rows this phase has to deal with; 0 while that is not known.
    pub rows_total: u64,
}

/// More on how far a run is. Filled by `cjm_progress_detail`.
///
/// @since 0.1
#[repr(C)]
pub struct cjm_progress_detail_t {
    /// Which look at the rows this is, from 1; 0 while nothing runs. A second look finds percentiles that the first has
    /// missed.
    pub look: u64,
    /// Parts that are done: partitions while "mining", parts of the present step while "checking" or "finishing".
    pub parts_done: u64,
    /// How many there are; 0 in phases that have none.
    pub parts_total: u64,
    /// Bytes reserved now under the memory limit.
    pub reserved_bytes: u64,
    /// Bytes written to `spill_dir` so far.
    pub spilled_bytes: u64,
}

/// Makes a context.
///
/// `options_json` is a JSON object: `{"version": 1, "threads": null, "memory_limit_bytes": null, "batch_rows": null,
/// "spill_dir": null, "spill_limit_bytes": null}`, where all but `version` may be left out and null means the engine's
/// choice (as many threads as the process may use, no limit). What does not fit under the memory limit is put aside in
/// nameless files in `spill_dir`; without one, that is an error. The limit may be `"auto"`: half of what the machine has,
/// or a control group of the process allows. Only then the engine looks at the machine, and it writes nowhere but to
/// `spill_dir`: no environment variable is read, and no directory for temporary files is guessed. Results do not depend
/// on these options.
///
/// @param[in] options_json The options.
/// @param[out] out The context, to be freed with `cjm_context_free`.
/// @param[out] err The error, if any. May be NULL.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cjm_context_new(
    options_json: *const c_char,
    out: *mut *mut cjm_context,
    err: *mut *mut cjm_error,
) -> cjm_status {
    let body = |call: &mut Call<'_>| {
        // SAFETY: each pointer is NULL or what the header asks for.
        let (options, out) = unsafe { (call.text(options_json, "options_json")?, call.out(out, "out")?) };
        let context = Context::from_json(options)?;
        out.give(cjm_context { context, running: AtomicBool::new(false), broken: AtomicBool::new(false) });
        Ok(())
    };
    // SAFETY: `err` is NULL or valid for writing.
    unsafe { guard(err, body) }
}

/// Tells the memory limit that holds in this context: the one that was given, or what `"auto"` has come to.
///
/// @param[in] context The context.
/// @param[out] bytes_out The limit in bytes; `UINT64_MAX` where there is none.
/// @return `CJM_OK`, or `CJM_INVALID_ARGUMENT` for a NULL.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cjm_context_memory_limit(context: *const cjm_context, bytes_out: *mut u64) -> cjm_status {
    guard::status(|call| {
        // SAFETY: each pointer is NULL or what the header asks for.
        let (context, out) = unsafe { (call.peek(context, "context")?, call.out(bytes_out, "bytes_out")?) };
        out.write(context.context.memory().limit_bytes().unwrap_or(u64::MAX));
        Ok(())
    })
}

/// Registers a case metric under the name by which plans refer to it.
///
/// `function` and `user` have to stay valid until the context is freed. Refused while a run uses the context.
///
/// @param[in] context The context.
/// @param[in] name A new name, not empty. It becomes a column of the table `cases`.
/// @param[in] function The function; see `cjm_case_metric_fn` for what it may do and where it runs.
/// @param[in] user Handed to every call of the function, never looked into. May be NULL.
/// @param[out] err The error, if any. May be NULL.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cjm_context_add_case_metric(
    context: *mut cjm_context,
    name: *const c_char,
    function: cjm_case_metric_fn,
    user: *mut c_void,
    err: *mut *mut cjm_error,
) -> cjm_status {
    let body = |call: &mut Call<'_>| {
        // SAFETY: each pointer is NULL or what the header asks for.
        let (context, name) = unsafe { (call.handle(context, "context")?, call.text(name, "name")?) };
        let metric = ForeignMetric::new(name, function, user)?;
        let _running = context.start()?;
        context.context.add_case_metric(name, Arc::new(metric))
    };
    // SAFETY: `err` is NULL or valid for writing.
    unsafe { guard(err, body) }
}

/// Asks the run in this context to stop: it returns `CJM_CANCELLED` soon, and so does every later one.
///
/// Allowed from any thread, beside a running call and inside a case metric. It takes no lock and never waits. When it
/// comes too late to stop anything it does no harm.
///
/// @param[in] context The context.
/// @return `CJM_OK`, or `CJM_INVALID_ARGUMENT` for NULL.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cjm_cancel(context: *mut cjm_context) -> cjm_status {
    guard::status(|call| {
        // SAFETY: NULL or a live context.
        unsafe { call.peek(context, "context") }?.context.cancel();
        Ok(())
    })
}

/// Tells how far the run in this context is.
///
/// Allowed from any thread, beside a running call and inside a case metric. It takes no lock and never waits; the three
/// figures are read one after the other, so around a change of phase they may belong to different ones.
///
/// @param[in] context The context.
/// @param[out] out The progress.
/// @return `CJM_OK`, or `CJM_INVALID_ARGUMENT` for a NULL.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cjm_progress(context: *const cjm_context, out: *mut cjm_progress_t) -> cjm_status {
    guard::status(|call| {
        // SAFETY: each pointer is NULL or what the header asks for.
        let (context, out) = unsafe { (call.peek(context, "context")?, call.out(out, "out")?) };
        let now = context.context.progress();
        let mut phase = [0; 32];
        for (place, byte) in phase[..31].iter_mut().zip(now.phase.bytes()) {
            *place = byte as c_char;
        }
        out.write(cjm_progress_t { phase, rows_done: now.rows_done, rows_total: now.rows_total });
        Ok(())
    })
}

/// Tells more on how far the run in this context is: parts, looks, memory and disk.
///
/// Allowed whenever `cjm_progress` is, and like it not at a single moment.
///
/// @param[in] context The context.
/// @param[out] out The details.
/// @return `CJM_OK`, or `CJM_INVALID_ARGUMENT` for a NULL.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cjm_progress_detail(
    context: *const cjm_context,
    out: *mut cjm_progress_detail_t,
) -> cjm_status {
    guard::status(|call| {
        // SAFETY: each pointer is NULL or what the header asks for.
        let (context, out) = unsafe { (call.peek(context, "context")?, call.out(out, "out")?) };
        let now = context.context.progress();
        out.write(cjm_progress_detail_t {
            look: now.look,
            parts_done: now.parts_done,
            parts_total: now.parts_total,
            reserved_bytes: now.reserved_bytes,
            spilled_bytes: now.spilled_bytes,
        });
        Ok(())
    })
}

/// Frees a context. Does nothing for NULL. No call may be using it; logs, results and streams do not need it.
///
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cjm_context_free(context: *mut cjm_context) {
    // SAFETY: the caller passes NULL or a context of this library that nobody uses any more.
    unsafe { guard::free(context) }
}
