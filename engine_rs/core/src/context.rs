//! What surrounds a run: how many threads, how much memory, whether to stop, how far it is, which user metrics.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::machine;
use crate::memory::Budget;
use crate::spill::{Quota, Spill};
use crate::turns::{Turn, Turns};

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
    /// Rows are read and mined as they lie.
    Reading = 1,
    /// After that, whether any case came twice: its parts are those of the range of hashes.
    Checking = 2,
    /// Rows are read and put aside by partition.
    Partitioning = 3,
    /// Partitions are grouped into cases and mined: its parts.
    Mining = 4,
    /// Partial results are combined into tables, one step after the other: its parts are those of the present step.
    Finishing = 5,
}

const PHASES: [Phase; 6] =
    [Phase::Idle, Phase::Reading, Phase::Checking, Phase::Partitioning, Phase::Mining, Phase::Finishing];

impl Phase {
    /// The phase's public name.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Idle => "idle",
            Phase::Reading => "reading",
            Phase::Checking => "checking",
            Phase::Partitioning => "partitioning",
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
    /// Events that cannot be split further, since they are of one case.
    Case,
    /// What the measures keep.
    Measures,
    /// The distinct variants: a part of them, or the ranks of all.
    Variants,
    /// The rows of `cases` and the values of case metrics.
    Cases,
    /// What is kept of the log to be merged with others.
    State,
}

impl Step {
    /// What an error calls it.
    pub fn name(self) -> &'static str {
        match self {
            Step::Partitions => "the partitions",
            Step::Case => "the largest case",
            Step::Measures => "the measures",
            Step::Variants => "all variants",
            Step::Cases => "the cases and their metrics",
            Step::State => "the state",
        }
    }

    /// How many times as much the rest of the run may come to need. Partitions are followed by measures, which keep up
    /// to as many bytes of an event again; new variants and edges come unevenly. The largest case comes before others,
    /// and what measures may keep meanwhile is a share of the limit.
    fn room(self) -> f64 {
        match self {
            Step::Partitions => 2.5,
            Step::Case => 1.25,
            Step::Measures | Step::Variants | Step::Cases | Step::State => 1.5,
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

    /// The run that it is of.
    pub fn context(&self) -> &'a Context {
        self.context
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

/// Who set a memory limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitFrom {
    /// The embedder, with a number of bytes.
    Given,
    /// It is a share of the machine's memory.
    Machine,
    /// It is a share of what a control group of the process may take.
    Container,
}

impl LimitFrom {
    /// The public name.
    pub fn name(self) -> &'static str {
        match self {
            LimitFrom::Given => "given",
            LimitFrom::Machine => "machine",
            LimitFrom::Container => "container",
        }
    }
}

/// Bytes that are little for a thread, however many there are.
const LEAST_ENOUGH: u64 = 16 << 20;

/// The part of the memory there is that a run may hold where the limit is "auto". What is not counted (libraries, what
/// decoding takes) and other programs need room, too.
const AUTO_SHARE: u64 = 2;

/// The limit that the option asks for, and who set it.
fn memory_limit(option: &serde_json::Value) -> Result<Option<(u64, LimitFrom)>> {
    if option.is_null() {
        return Ok(None);
    }
    if let Some(bytes) = option.as_u64() {
        return Ok(Some((bytes, LimitFrom::Given)));
    }
    if option.as_str() != Some("auto") {
        let text = format!(
            "context options: memory_limit_bytes is a whole number from 0 to 2^64 - 1, \"auto\" or null, not {option}"
        );
        return Err(Error::argument(text).with("option", "memory_limit_bytes"));
    }
    Ok(machine::memory().map(|found| {
        let from = if found.in_container { LimitFrom::Container } else { LimitFrom::Machine };
        (found.bytes / AUTO_SHARE, from)
    }))
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
    /// Parts of the phase, or of its present step, that are done.
    pub parts_done: u64,
    /// How many there are; 0 in phases that have none.
    pub parts_total: u64,
    /// Which look at the rows this is, from 1; a second one finds percentiles that the first has missed.
    pub look: u64,
    /// Bytes reserved now.
    pub reserved_bytes: u64,
    /// Bytes put aside on disk so far.
    pub spilled_bytes: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    version: u32,
    #[serde(default)]
    threads: Option<usize>,
    #[serde(default)]
    memory_limit_bytes: serde_json::Value,
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
    parts_done: AtomicU64,
    parts_total: AtomicU64,
    look: AtomicU64,
}

/// The surroundings of a run. Shared by reference; cancelling and asking for progress are allowed beside a run.
pub struct Context {
    threads: usize,
    batch_rows: usize,
    memory: Budget,
    limit_from: Option<LimitFrom>,
    spill: Option<Spill>,
    turns: Turns,
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
        let limit = memory_limit(&options.memory_limit_bytes)?;
        Ok(Context {
            threads,
            batch_rows: options.batch_rows.unwrap_or(DEFAULT_BATCH_ROWS).min(1 << 24),
            memory: Budget::new(limit.map(|(bytes, _)| bytes)),
            limit_from: limit.map(|(_, from)| from),
            spill: options.spill_dir.map(|dir| Spill::new(dir, options.spill_limit_bytes)),
            turns: Turns::default(),
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

    /// Who set the memory limit, where there is one.
    pub fn limit_from(&self) -> Option<LimitFrom> {
        self.memory.limit_bytes().and(self.limit_from)
    }

    /// The `share`-th part of the memory limit for each thread, which it may fill before it puts something aside; none
    /// where there is no limit.
    pub fn quota_bytes(&self, share: u64) -> Option<u64> {
        Some(self.memory.limit_bytes()? / share / self.threads as u64)
    }

    /// What each thread may hold of something before it is put aside, where there is a limit: the `share`-th part of it
    /// for all threads; and `enough_bytes` for all of them where nobody has said that so much memory may be taken.
    pub fn quota(&self, share: u64, enough_bytes: u64) -> Option<Quota> {
        let most_bytes = self.quota_bytes(share)?;
        let enough_bytes = match self.limit_from {
            Some(LimitFrom::Given) => most_bytes,
            _ => (enough_bytes / self.threads as u64).max(LEAST_ENOUGH),
        };
        Some(Quota { most_bytes, enough_bytes })
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
            // On disk, what tells where rows are grows with them, and shrinks as the limit grows.
            let more = if step == Step::Partitions && self.spill.is_some() { share.sqrt() } else { share };
            (used as f64 * more * step.room()) as u64
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

    /// As [`Context::reserve_for_now`], and whoever else wants some waits for that. A thread must not take some while it
    /// holds some.
    ///
    /// # Errors
    /// MEMORY_LIMIT where it does not fit even alone, with a limit that is likely to do; CANCELLED.
    pub fn reserve_in_turn(&self, step: Step, bytes: u64) -> Result<Turn<'_>> {
        let whole = |used: u64| (used as f64 * step.room()).ceil() as u64;
        let take = || self.memory.reserve(step.name(), bytes, whole);
        self.turns.reserve(&self.memory, bytes, take, || self.check_cancelled())
    }

    /// MEMORY_LIMIT for `step`, where `needed` bytes would do.
    pub fn too_small(&self, step: Step, needed: u64) -> Error {
        self.memory.too_small(step.name(), needed)
    }

    /// Enters a phase of `total` rows (0 = not known).
    pub fn enter(&self, phase: Phase, total: u64) {
        self.meter.done.store(0, Ordering::Relaxed);
        self.meter.total.store(total, Ordering::Relaxed);
        self.enter_parts(0);
        self.meter.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// Begins a step of the phase that has so many parts.
    pub fn enter_parts(&self, total: u64) {
        self.meter.parts_done.store(0, Ordering::Relaxed);
        self.meter.parts_total.store(total, Ordering::Relaxed);
    }

    /// Says which look at the rows begins, from 1; 0 where nothing runs.
    pub fn enter_look(&self, look: u64) {
        self.meter.look.store(look, Ordering::Relaxed);
    }

    /// Counts rows as dealt with.
    pub fn advance(&self, rows: u64) {
        self.meter.done.fetch_add(rows, Ordering::Relaxed);
    }

    /// Counts a part as dealt with.
    pub fn advance_part(&self) {
        self.meter.parts_done.fetch_add(1, Ordering::Relaxed);
    }

    /// How far the run is.
    pub fn progress(&self) -> Progress {
        let number = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let phase = PHASES[usize::from(self.meter.phase.load(Ordering::Relaxed))];
        Progress {
            phase: phase.name(),
            rows_done: number(&self.meter.done),
            rows_total: number(&self.meter.total),
            parts_done: number(&self.meter.parts_done),
            parts_total: number(&self.meter.parts_total),
            look: number(&self.meter.look),
            reserved_bytes: self.memory.used_bytes(),
            spilled_bytes: self.spill.as_ref().map_or(0, Spill::used_bytes),
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
        for limit in ["18446744073709551616", "-1", "1.5", r#""1G""#, "true", "[]"] {
            let error = Context::from_json(&format!(r#"{{"version":1,"memory_limit_bytes":{limit}}}"#)).err().unwrap();
            assert!(error.message().contains("memory_limit_bytes is a whole number"), "{error}");
        }
    }

    #[test]
    fn a_limit_is_given_taken_from_the_machine_or_not_there() {
        let limit = |option: &str| {
            let context = Context::from_json(&format!(r#"{{"version":1,"memory_limit_bytes":{option}}}"#)).unwrap();
            (context.memory().limit_bytes(), context.limit_from())
        };
        assert_eq!(limit("null"), (None, None));
        assert_eq!(limit("5"), (Some(5), Some(LimitFrom::Given)));
        let there = machine::memory();
        let (bytes, from) = limit(r#""auto""#);
        assert_eq!(bytes, there.map(|there| there.bytes / 2));
        assert_eq!(from.is_some_and(|from| from == LimitFrom::Container), there.is_some_and(|it| it.in_container));
    }

    #[test]
    fn a_phase_begins_with_nothing_done() {
        let context = Context::new();
        for phase in PHASES {
            context.enter(phase, 7);
            context.enter_parts(3);
            context.advance(5);
            context.advance_part();
            let now = context.progress();
            assert_eq!((now.phase, now.rows_done, now.rows_total), (phase.name(), 5, 7));
            assert_eq!((now.parts_done, now.parts_total), (1, 3));
        }
        context.enter(Phase::Idle, 0);
        let now = context.progress();
        assert_eq!((now.phase, now.rows_done, now.rows_total, now.parts_done, now.parts_total), ("idle", 0, 0, 0, 0));
    }

    #[test]
    fn cancel_is_seen_by_the_next_check() {
        let context = Context::new();
        assert!(context.check_cancelled().is_ok());
        context.cancel();
        assert!(context.check_cancelled().is_err());
    }
}
