//! How does work spread over threads? Scoped threads of the run's own, joined before it returns; no pool outlives it.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::context::Context;
use crate::error::{Error, Result, guarded};

/// Runs `work(worker)` on every thread of the context and returns the results in the order of workers.
///
/// # Errors
/// The first worker's error; a panic is an INTERNAL error.
pub fn on_all<R: Send>(context: &Context, work: impl Fn(usize) -> Result<R> + Sync) -> Result<Vec<R>> {
    let threads = context.threads();
    if threads == 1 {
        return Ok(vec![guarded(|| work(0))?]);
    }
    let outcomes: Vec<Result<R>> = std::thread::scope(|scope| {
        let work = &work;
        let spawn = |worker: usize| {
            let builder = std::thread::Builder::new().name(format!("cjm-{worker}"));
            builder.spawn_scoped(scope, move || guarded(|| work(worker)))
        };
        let handles: Vec<_> = (1..threads).map(spawn).collect();
        let mut outcomes = vec![guarded(|| work(0))];
        for handle in handles {
            outcomes.push(match handle {
                Ok(handle) => handle.join().unwrap_or_else(|_| Err(Error::internal("a worker thread was lost"))),
                Err(error) => Err(Error::internal(format!("a worker thread could not be started: {error}"))),
            });
        }
        outcomes
    });
    outcomes.into_iter().collect()
}

/// Does `work`, and what is to be done `aside`, if anything, on a thread of its own.
pub fn beside<R>(aside: Option<impl FnOnce() + Send>, work: impl FnOnce() -> R) -> R {
    let Some(aside) = aside else { return work() };
    std::thread::scope(|scope| {
        // Where no thread can be started, the closure is dropped, with all it holds.
        let _ = std::thread::Builder::new().name("cjm-aside".to_owned()).spawn_scoped(scope, aside);
        work()
    })
}

/// Computes `work(0) .. work(items - 1)`, each once, on all threads; looks at the cancel flag between items, and tells
/// them as parts of the present step.
///
/// # Errors
/// The error of the first failing item, or CANCELLED.
pub fn for_each<R: Send>(context: &Context, items: usize, work: impl Fn(usize) -> Result<R> + Sync) -> Result<Vec<R>> {
    for_each_with(context, items, || (), |(), item| work(item))
}

/// As [`for_each`], with `space` made once per thread and lent to each of its items.
///
/// # Errors
/// Those of [`for_each`].
pub fn for_each_with<S, R: Send>(
    context: &Context,
    items: usize,
    space: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, usize) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    context.enter_parts(items as u64);
    let next = AtomicUsize::new(0);
    let parts = on_all(context, |_| {
        let mut done = Vec::new();
        let mut space = space();
        loop {
            context.check_cancelled()?;
            let item = next.fetch_add(1, Ordering::Relaxed);
            if item >= items {
                return Ok(done);
            }
            done.push((item, work(&mut space, item)?));
            context.advance_part();
        }
    })?;
    let mut results: Vec<(usize, R)> = parts.into_iter().flatten().collect();
    results.sort_unstable_by_key(|(item, _)| *item);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}

/// The error with the lowest place in the input among those that threads met.
#[derive(Default)]
pub struct FirstError {
    found: Mutex<Option<(u64, Error)>>,
}

impl FirstError {
    /// Notes an error at `place`.
    pub fn note(&self, place: u64, error: Error) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if found.as_ref().is_none_or(|(known, _)| place < *known) {
            *found = Some((place, error));
        }
    }

    /// Whether there is one.
    pub fn is_set(&self) -> bool {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// The error, if there is one.
    pub fn take(&self) -> Option<Error> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).take().map(|(_, error)| error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_and_panics_as_errors() {
        let context = Context::from_json(r#"{"version":1,"threads":3}"#).unwrap();
        assert_eq!(for_each(&context, 100, |i| Ok(i * i)).unwrap()[99], 9801);
        let error = for_each(&context, 10, |i| if i == 7 { panic!("seven") } else { Ok(i) }).unwrap_err();
        assert!(error.message().contains("seven"));
        context.cancel();
        assert!(for_each(&context, 1, Ok).is_err());
    }

    #[test]
    fn the_earliest_error_wins() {
        let first = FirstError::default();
        first.note(5, Error::data("later"));
        first.note(2, Error::data("earlier"));
        first.note(9, Error::data("last"));
        assert_eq!(first.take().unwrap().message(), "earlier");
    }
}
