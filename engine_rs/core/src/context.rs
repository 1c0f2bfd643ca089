//! What surrounds a run: how many threads, how much memory, whether to stop, how far it is, which user metrics.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::memory::Budget;
use crate::spill::Spill;

/// A number computed per case by the embedder, over batches of whole cases. Called from several threads at once.
pub trait CaseMetric: Send + Sync {
    /// Writes one value per case of `batch` into `out` (NaN for "no value").
    fn evaluate(&self, batch: &MetricBatch<'_>, out: &mut [f64]) -> Result<()>;
}

/// Some whole cases, as a case metric sees them.
#[derive(Clone, Copy, Debug)]
pub struct MetricBatch<'a> {
    /// Case `i` holds the events `offsets[i]..offsets[i + 1]`.
    pub offsets: &'a [i64],
    /// Index in the metric's declared activities, -1 for others; a dense code where none were declared.
    pub activities: &'a [i32],
    /// Timestamps (ends) in ticks.
    pub times: &'a [i64],
    /// Start timestamps in ticks, where the log has them.
    pub start_times: Option<&'a [i64]>,
}

/// What a run is doing. The order is the order in which a run goes through them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Nothing runs.
    Idle = 0,
    /// Rows are read (and mined on the way where the layout allows).
    Reading = 1,
    /// Partitions are grouped into cases and mined.
    Mining = 2,
    /// Partial results are combined into tables.
    Finishing = 3,
}

impl Phase {
    /// The phase's public name.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Idle => "idle",
            Phase::Reading => "reading",
            Phase::Mining => "mining",
            Phase::Finishing => "finishing",
        }
    }
}

/// What memory is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Events put aside by partition.
    Partitions,
    /// What the measures keep.
    Measures,
    /// What is kept of the log to be merged with others.
    State,
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Step::Partitions => "the partitions",
            Step::Measures => "the measures",
            Step::State => "the state",
        }
    }

    /// How many times as much the rest of the run may come to need. Partitions are followed by measures, which keep up
    /// to as many bytes of an event again; new variants and edges come unevenly.
    fn room(self) -> f64 {
        match self {
            Step::Partitions => 2.5,
            Step::Measures | Step::State => 1.5,
        }
    }
}

/// The bytes that something holds which grows and shrinks; they are given back when this goes.
pub struct Account<'a> {
    context: &'a Context,
    step: Step,
    bytes: u64,
}

impl<'a> Account<'a> {
    /// An account of nothing yet, for `step`.
    pub fn new(context: &'a Context, step: Step) -> Account<'a> {
        Account { context, step, bytes: 0 }
    }

    /// Bytes held now.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Notes that `bytes` are held now.
    ///
    /// # Errors
    /// MEMORY_LIMIT.
    pub fn set(&mut self, bytes: u64) -> Result<()> {
        match bytes.checked_sub(self.bytes) {
            Some(more) => self.context.reserve(self.step, more)?,
            None => self.context.memory.release(self.bytes - bytes),
        }
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for Account<'_> {
    fn drop(&mut self) {
        self.context.memory.release(self.bytes);
    }
}

/// Bytes that are given back when this goes.
pub struct Reserved<'a> {
    memory: &'a Budget,
    bytes: u64,
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        self.memory.release(self.bytes);
    }
}

/// How far a run is: `rows_done` of `rows_total` (0 = not known) in `phase`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The phase's name.
    pub phase: &'static str,
    /// Rows dealt with in this phase.
    pub rows_done: u64,
    /// Rows in all, 0 where the source does not say.
    pub rows_total: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    version: u32,
    #[serde(default)]
    threads: Option<usize>,
    #[serde(default)]
    memory_limit_bytes: Option<u64>,
    #[serde(default)]
    batch_rows: Option<usize>,
    #[serde(default)]
    spill_dir: Option<PathBuf>,
    #[serde(default)]
    spill_limit_bytes: Option<u64>,
}

#[derive(Default)]
struct Meter {
    phase: AtomicU8,
    done: AtomicU64,
    total: AtomicU64,
}

/// The surroundings of a run. Shared by reference; cancelling and asking for progress are allowed beside a run.
pub struct Context {
    threads: usize,
    batch_rows: usize,
    memory: Budget,
    spill: Option<Spill>,
    cancelled: AtomicBool,
    meter: Meter,
    metrics: Mutex<Vec<(String, Arc<dyn CaseMetric>)>>,
}

/// Rows handled between two looks at the cancel flag.
const DEFAULT_BATCH_ROWS: usize = 64 * 1024;

impl Context {
    /// A context from its options document, `{"version": 1, "threads": 2}`.
    ///
    /// # Errors
    /// INVALID_ARGUMENT for an unknown option, version or a zero.
    pub fn from_json(text: &str) -> Result<Context> {
        let options: Options =
            serde_json::from_str(text).map_err(|error| Error::argument(format!("context options: {error}")))?;
        if options.version != 1 {
            let text =
                format!("context options: version {} is not known; this engine reads version 1", options.version);
            return Err(Error::argument(text));
        }
        if options.threads == Some(0) || options.batch_rows == Some(0) {
            return Err(Error::argument("context options: threads and batch_rows must be at least 1"));
        }
        let threads = options.threads.unwrap_or_else(available_threads).min(1024);
        Ok(Context {
            threads,
            batch_rows: options.batch_rows.unwrap_or(DEFAULT_BATCH_ROWS).min(1 << 24),
            memory: Budget::new(options.memory_limit_bytes),
            spill: options.spill_dir.map(|dir| Spill::new(dir, options.spill_limit_bytes)),
            cancelled: AtomicBool::new(false),
            meter: Meter::default(),
            metrics: Mutex::new(Vec::new()),
        })
    }

    /// A context with default options.
    pub fn new() -> Context {
        Context::from_json(r#"{"version":1}"#).expect("the default options are valid")
    }

    /// Worker threads of a run.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Rows per batch that the engine aims at.
    pub fn batch_rows(&self) -> usize {
        self.batch_rows
    }

    /// The memory account of the run.
    pub fn memory(&self) -> &Budget {
        &self.memory
    }

    /// Where to put what does not fit into memory, if there is a place.
    pub fn spill(&self) -> Option<&Spill> {
        self.spill.as_ref()
    }

    /// Registers the function behind a case metric named in a plan.
    ///
    /// # Errors
    /// INVALID_ARGUMENT for an empty or repeated name.
    pub fn add_case_metric(&self, name: &str, metric: Arc<dyn CaseMetric>) -> Result<()> {
        let mut metrics = self.metrics.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if name.is_empty() || metrics.iter().any(|(known, _)| known == name) {
            return Err(Error::argument(format!("case metric {name:?}: a name must be new and not empty")));
        }
        metrics.push((name.to_owned(), metric));
        Ok(())
    }

    /// The function registered under `name`.
    pub fn case_metric(&self, name: &str) -> Option<Arc<dyn CaseMetric>> {
        let metrics = self.metrics.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        metrics.iter().find(|(known, _)| known == name).map(|(_, metric)| Arc::clone(metric))
    }

    /// Asks a run in this context to stop; it ends with CANCELLED. Lasting: a later run stops at once, too.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// CANCELLED if somebody asked to stop.
    pub fn check_cancelled(&self) -> Result<()> {
        if self.cancelled.load(Ordering::Relaxed) { Err(Error::cancelled()) } else { Ok(()) }
    }

    /// Takes `bytes` from the memory account for `step`.
    ///
    /// # Errors
    /// MEMORY_LIMIT, with the limit that the whole log is likely to need, by the share of its rows that are dealt with;
    /// where the number of rows is not known, with what is needed up to now.
    pub fn reserve(&self, step: Step, bytes: u64) -> Result<()> {
        self.memory.reserve(step.name(), bytes, |used| {
            let progress = self.progress();
            // Before the first rows are done with, they are at most a batch.
            let done = if progress.rows_done > 0 { progress.rows_done } else { self.batch_rows as u64 };
            let share = (progress.rows_total as f64 / done as f64).max(1.0);
            (used as f64 * share * step.room()) as u64
        })
    }

    /// As [`Context::reserve`], for something that is needed only for a while, whatever the number of rows: it is given
    /// back when what is returned goes.
    ///
    /// # Errors
    /// MEMORY_LIMIT, with a limit that is likely to do.
    pub fn reserve_for_now(&self, step: Step, bytes: u64) -> Result<Reserved<'_>> {
        self.memory.reserve(step.name(), bytes, |used| (used as f64 * step.room()) as u64)?;
        Ok(Reserved { memory: &self.memory, bytes })
    }

    /// Enters a phase of `total` rows (0 = not known).
    pub fn enter(&self, phase: Phase, total: u64) {
        self.meter.done.store(0, Ordering::Relaxed);
        self.meter.total.store(total, Ordering::Relaxed);
        self.meter.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// Counts rows as dealt with.
    pub fn advance(&self, rows: u64) {
        self.meter.done.fetch_add(rows, Ordering::Relaxed);
    }

    /// How far the run is.
    pub fn progress(&self) -> Progress {
        let phase = match self.meter.phase.load(Ordering::Relaxed) {
            1 => Phase::Reading,
            2 => Phase::Mining,
            3 => Phase::Finishing,
            _ => Phase::Idle,
        };
        Progress {
            phase: phase.name(),
            rows_done: self.meter.done.load(Ordering::Relaxed),
            rows_total: self.meter.total.load(Ordering::Relaxed),
        }
    }
}

impl Default for Context {
    fn default() -> Self {
        Context::new()
    }
}

fn available_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_options_and_versions_are_refused() {
        for text in ["{}", r#"{"version":2}"#, r#"{"version":1,"thread":2}"#, r#"{"version":1,"threads":0}"#] {
            assert!(Context::from_json(text).is_err(), "{text}");
        }
        assert_eq!(Context::from_json(r#"{"version":1,"threads":3}"#).unwrap().threads(), 3);
    }

    #[test]
    fn cancel_is_seen_by_the_next_check() {
        let context = Context::new();
        assert!(context.check_cancelled().is_ok());
        context.cancel();
        assert!(context.check_cancelled().is_err());
    }
}
