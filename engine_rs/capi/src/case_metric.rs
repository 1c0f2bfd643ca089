//! How does a function pointer of the embedder become a case metric of the engine?

use std::ffi::c_void;
use std::ptr;

use cjm_core::context::{CaseMetric, MetricBatch};
use cjm_core::error::{Error, ErrorKind, Result};

/// A number per case, computed by the embedder over a batch of whole cases.
///
/// Case `i` holds the events from `offsets[i]` up to, not including, `offsets[i + 1]`, in the order of the case.
///
/// - `user`: what was given to `cjm_context_add_case_metric`.
/// - `offsets`: `n_cases + 1` positions, the first one 0; `offsets[n_cases]` is the number of events.
/// - `activities`: one code per event. Where the plan declares `activities` for this metric: the position in that list,
///   -1 for all others. Where it does not: a number that is equal for equal activities and means nothing else.
/// - `times`: one timestamp (the end) per event, in the ticks of the log's unit since 1970-01-01 UTC.
/// - `start_times`: the same for the starts, or NULL for a log without them.
/// - `out`: `n_cases` places for the answers, all NaN before the call; NaN means "no value" (null in the table).
///
/// Returns non-zero for success; 0 makes the run fail with `CJM_CALLBACK`. (Compiled Python functions return 0 when
/// they raise.) The arrays are lent for the call. It is called from threads of the engine, several at once, and must
/// not throw, unwind or jump out. It may call `cjm_cancel`, `cjm_progress` and
/// `cjm_progress_detail`, and nothing else on its own context.
/// @since 0.1
pub type cjm_case_metric_fn = Option<
    unsafe extern "C" fn(
        user: *mut c_void,
        n_cases: i64,
        offsets: *const i64,
        activities: *const i32,
        times: *const i64,
        start_times: *const i64,
        out: *mut f64,
    ) -> i32,
>;

type Function = unsafe extern "C" fn(*mut c_void, i64, *const i64, *const i32, *const i64, *const i64, *mut f64) -> i32;

/// The embedder's function with its own data.
pub(crate) struct ForeignMetric {
    name: String,
    function: Function,
    user: *mut c_void,
}

// SAFETY: the header asks for a function that may be called, with `user`, from any thread and from several at once.
unsafe impl Send for ForeignMetric {}
// SAFETY: as above.
unsafe impl Sync for ForeignMetric {}

impl ForeignMetric {
    /// A metric from the arguments of `cjm_context_add_case_metric`.
    pub(crate) fn new(name: &str, function: cjm_case_metric_fn, user: *mut c_void) -> Result<ForeignMetric> {
        let function = function.ok_or_else(|| Error::argument("function is NULL").with("argument", "function"))?;
        Ok(ForeignMetric { name: name.to_owned(), function, user })
    }
}

impl CaseMetric for ForeignMetric {
    fn evaluate(&self, batch: &MetricBatch<'_>, out: &mut [f64]) -> Result<()> {
        let events = batch.offsets.last().map_or(0, |&end| end as usize);
        assert!(
            batch.offsets.len() == out.len() + 1
                && batch.activities.len() >= events
                && batch.times.len() >= events
                && batch.start_times.is_none_or(|starts| starts.len() >= events),
            "a metric batch has the lengths it declares"
        );
        out.fill(f64::NAN);
        let starts = batch.start_times.map_or(ptr::null(), <[i64]>::as_ptr);
        // SAFETY: the lengths are those the header states, checked above; the function keeps the header's rules.
        let succeeded = unsafe {
            (self.function)(
                self.user,
                out.len() as i64,
                batch.offsets.as_ptr(),
                batch.activities.as_ptr(),
                batch.times.as_ptr(),
                starts,
                out.as_mut_ptr(),
            )
        };
        if succeeded != 0 {
            return Ok(());
        }
        let text = format!("case metric {:?} reported a failure", self.name);
        Err(Error::new(ErrorKind::Callback, text).with("metric", self.name.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts the events of each case; fails for a batch of one case.
    unsafe extern "C" fn count(
        _: *mut c_void,
        n_cases: i64,
        offsets: *const i64,
        _: *const i32,
        _: *const i64,
        _: *const i64,
        out: *mut f64,
    ) -> i32 {
        for case in 0..n_cases as usize {
            // SAFETY: the lengths of the header.
            unsafe { *out.add(case) = (*offsets.add(case + 1) - *offsets.add(case)) as f64 };
        }
        i32::from(n_cases > 1)
    }

    #[test]
    fn values_come_back_and_zero_is_a_failure_that_names_the_metric() {
        let metric = ForeignMetric::new("events", Some(count), ptr::null_mut()).unwrap();
        let batch = MetricBatch { offsets: &[0, 2, 3], activities: &[0, 1, 0], times: &[5, 6, 7], start_times: None };
        let mut out = [0.0; 2];
        metric.evaluate(&batch, &mut out).unwrap();
        assert_eq!(out, [2.0, 1.0]);
        let one = MetricBatch { offsets: &[0, 1], ..batch };
        let error = metric.evaluate(&one, &mut out[..1]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Callback);
        assert_eq!(error.details_json(), r#"{"metric":"events"}"#);
        assert!(ForeignMetric::new("events", None, ptr::null_mut()).is_err());
    }
}
