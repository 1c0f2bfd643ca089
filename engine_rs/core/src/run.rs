//! How is a plan answered? One reading of the log, folds on every thread, then tables.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use arrow_array::{RecordBatchIterator, RecordBatchReader};
use serde_json::json;

use crate::cases::aside::{AsideWriter, bytes_of};
use crate::cases::assembler::Assembler;
use crate::cases::batch::Fold;
use crate::cases::grouped::{Edges, Grouper, stitch};
use crate::cases::layout::{Keys, Layout, ascends, decide, has_duplicates, looks_grouped};
use crate::cases::partition::{Partitioner, Partitioning};
use crate::cases::partitions::{ASSEMBLED, Partitions};
use crate::cases::splitter::{CHUNKS_SHARE, Splitter};
use crate::context::{Account, Context, LimitFrom, Phase, Step};
use crate::error::{Error, ErrorKind, Result, guarded};
use crate::log::encode::{Encoded, Encoder};
use crate::log::labels::Labels;
use crate::log::normalise::{Normaliser, NullTally};
use crate::log::numbering::Numbering;
use crate::log::source::Task;
use crate::log::{Log, dropped_json};
use crate::measure::folds::{Folds, SecondLook, gaps_quota};
use crate::measure::{dfg, durations};
use crate::plan::{MEASURES, Plan};
use crate::state::State;
use crate::state::collect::{Beside, Collector, Read};
use crate::stats::asked::Asked;
use crate::tables::{Gaps, Table, Tables, finish};
use crate::workers::{self, FirstError};

mod merge;

pub use merge::merge;

/// The tables of a run and how it went.
pub struct MiningResult {
    tables: Vec<(&'static str, Table)>,
    info: serde_json::Value,
}

impl MiningResult {
    /// The names of the tables.
    pub fn names(&self) -> Vec<&'static str> {
        self.tables.iter().map(|(name, _)| *name).collect()
    }

    /// A stream over the table `name`; it may be asked for again and outlives the result.
    ///
    /// # Errors
    /// INVALID_ARGUMENT for a table that the plan did not ask for.
    pub fn table(&self, name: &str) -> Result<Box<dyn RecordBatchReader + Send>> {
        match self.tables.iter().find(|(known, _)| *known == name) {
            Some((_, Table::Cases(cases))) => Ok(Box::new(cases.reader())),
            Some((_, Table::Variants(variants))) => Ok(Box::new(variants.reader())),
            Some((_, Table::Batches(schema, batches))) => {
                let batches: Vec<_> = batches.iter().cloned().map(Ok).collect();
                Ok(Box::new(RecordBatchIterator::new(batches, Arc::clone(schema))))
            }
            None if MEASURES.contains(&name) => {
                let text = format!("the plan did not ask for {name:?}; it has: {}", self.names().join(", "));
                Err(Error::argument(text))
            }
            None => {
                Err(Error::argument(format!("there is no table {name:?}; tables are: {}", self.names().join(", "))))
            }
        }
    }

    /// Layout, rows, threads, phases with seconds, as JSON.
    pub fn info(&self) -> String {
        self.info.to_string()
    }
}

/// Answers a plan.
///
/// # Errors
/// Everything that [`crate::error::ErrorKind`] lists.
pub fn mine(log: &Log, plan: &str, context: &Context) -> Result<MiningResult> {
    let outcome = guarded(|| {
        let plan = Plan::parse(plan)?;
        Run {
            log,
            plan: &plan,
            context,
            labels: Labels::default(),
            of_labels: Mutex::new(Account::new(context, Step::Measures)),
            numbering: OnceLock::new(),
            of_numbering: Mutex::new(Account::new(context, Step::Measures)),
            nulls: NullTally::default(),
            phases: Mutex::default(),
        }
        .answer()
    });
    context.enter(Phase::Idle, 0);
    context.enter_look(0);
    outcome
}

/// The name of the table that is the state.
const STATE: &str = "state";

/// Folds and what stood beside them.
fn apart<'a>(fed: Vec<Beside<'a, Folds<'a>>>) -> (Vec<Folds<'a>>, Vec<Collector<'a>>) {
    let (folds, collectors): (Vec<_>, Vec<_>) = fed.into_iter().map(|fed| (fed.fold, fed.collector)).unzip();
    (folds, collectors.into_iter().flatten().collect())
}

struct Run<'a> {
    log: &'a Log,
    plan: &'a Plan,
    context: &'a Context,
    labels: Labels,
    of_labels: Mutex<Account<'a>>,
    /// Numbers for case ids, where they are values of one dictionary.
    numbering: OnceLock<Numbering>,
    of_numbering: Mutex<Account<'a>>,
    nulls: NullTally,
    phases: Mutex<Vec<(&'static str, f64)>>,
}

/// The folds of all threads after the whole log, and what the layout turned out to be.
struct Folded<'a> {
    folds: Vec<Folds<'a>>,
    /// Of the state, where one is asked for.
    collectors: Vec<Collector<'a>>,
    layout: Layout,
    /// The rows by partition, where they were put aside.
    partitions: Option<Partitions<'a>>,
}

/// What the first rows show.
#[derive(Default)]
struct Looks {
    /// Whether the rows of a case seem to stand together.
    grouped: bool,
    /// Bytes that a row takes in a chunk, where there is a limit.
    row_bytes: Option<u64>,
}

impl Run<'_> {
    fn answer(self) -> Result<MiningResult> {
        self.context.check_cancelled()?;
        self.context.enter_look(1);
        self.log.roles()?;
        Folds::new(self.plan, self.log.spec().negative, &self.labels, self.context)?;
        self.number_ids()?;
        let Looks { grouped, row_bytes } = self.look();
        let mut attempts = vec![if grouped { "case" } else { "partitioned" }];
        let mut folded = if grouped { self.read_grouped()? } else { None };
        if folded.is_none() {
            if grouped {
                attempts.push("partitioned");
            }
            folded = Some(self.read_partitioned(row_bytes)?);
        }
        let Folded { mut folds, collectors, layout, mut partitions } =
            folded.ok_or_else(|| Error::internal("no reading was made"))?;
        let n_partitions = partitions.as_ref().map(|partitions| partitions.count());
        let (gaps, looks) = self.gaps(&mut folds, &mut partitions)?;
        self.log.note_dropped(self.nulls.rows());
        let rows = folds.iter().map(|folds| folds.overview.events).sum::<u64>();
        let types = &self.log.roles()?.types;
        let files = partitions.map(Partitions::discard).unwrap_or_default();
        let tables = workers::beside((!files.is_empty()).then_some(|| drop(files)), || {
            let state = self.state(collectors, layout)?;
            let mut tables = self.timed("finishing", || {
                self.context.enter(Phase::Finishing, 0);
                let tables = Tables {
                    plan: self.plan,
                    types,
                    names: self.labels.list(),
                    dropped: self.nulls.rows(),
                    layout,
                    context: self.context,
                };
                finish(folds, gaps, &tables)
            })?;
            tables.extend(state);
            Ok(tables)
        })?;
        let phases = self.phases.lock().unwrap_or_else(PoisonError::into_inner);
        let info = json!({
            "layout": layout.name(),
            "rows": rows,
            "dropped_rows": dropped_json(&self.nulls.rows(), types.has_start),
            "threads": self.context.threads(),
            "grouping": attempts,
            "partitions": n_partitions,
            "looks": looks,
            "naive_timestamps": types.zone.is_none(),
            "phases": phases.iter().map(|(name, seconds)| json!({"name": name, "seconds": seconds})).collect::<Vec<_>>(),
            "peak_reserved_bytes": self.context.memory().peak_bytes(),
            "memory_limit_bytes": self.context.memory().limit_bytes(),
            "memory_limit_from": self.context.limit_from().map(LimitFrom::name),
            "spilled_bytes": self.context.spill().map_or(0, |spill| spill.written_bytes()),
        });
        Ok(MiningResult { tables, info })
    }

    fn timed<R>(&self, name: &'static str, work: impl FnOnce() -> Result<R>) -> Result<R> {
        let start = Instant::now();
        let outcome = work();
        let seconds = start.elapsed().as_secs_f64();
        let mut phases = self.phases.lock().unwrap_or_else(PoisonError::into_inner);
        match phases.iter_mut().find(|(known, _)| *known == name) {
            Some((_, so_far)) => *so_far += seconds,
            None => phases.push((name, seconds)),
        }
        outcome
    }

    /// Finds numbers for the case ids, if they are the values of one dictionary, and these not more than there are rows.
    fn number_ids(&self) -> Result<()> {
        let (roles, source) = (self.log.roles()?, self.log.source());
        let [case] = roles.case[..] else { return Ok(()) };
        if roles.types.case.is_integer() {
            return Ok(());
        }
        // What is wrong with the rows is told when they are read.
        let Ok(Some(dictionary)) = source.dictionary(&roles.columns[case]) else { return Ok(()) };
        let is_small = source.rows().is_some_and(|rows| dictionary.len() as u64 <= rows);
        if !dictionary.is_empty()
            && is_small
            && let Some(numbering) = Numbering::new(&dictionary, self.context)?
            && self.has_room_for(&numbering)
        {
            let _ = self.numbering.set(numbering);
        }
        Ok(())
    }

    fn has_room_for(&self, numbering: &Numbering) -> bool {
        let mut account = self.of_numbering.lock().unwrap_or_else(PoisonError::into_inner);
        account.set(numbering.size_bytes() as u64).is_ok()
    }

    /// A look at the first rows: do cases seem to lie together? A source that can be read only once is partitioned at
    /// once: there is no second try.
    fn look(&self) -> Looks {
        let source = self.log.source();
        let look = || -> Result<Looks> {
            let roles = self.log.roles()?;
            let Some(batch) = source.peek(&roles.columns, self.context.batch_rows())? else {
                return Ok(Looks::default());
            };
            let batch = batch.slice(0, batch.num_rows().min(self.context.batch_rows()));
            let (labels, nulls) = (Labels::default(), NullTally::default());
            let events = Normaliser::new(roles, self.log.spec(), &nulls).apply(&batch, 0, None)?;
            let mut encoder = Encoder::new(&labels, &roles.types, self.numbering.get())?;
            let sample = encoder.encode(&events, 0)?;
            let grouped = looks_grouped(&sample);
            let row_bytes = (self.context.memory().limit_bytes().is_some() && !sample.keys.is_empty()).then(|| {
                let chunk = Partitioner::new(Partitioning::none(), self.plan.cases).split(&sample);
                chunk.size_bytes().div_ceil(sample.keys.len()) as u64
            });
            Ok(Looks { grouped, row_bytes })
        };
        // An error here will come again, and be reported with its place, when the rows are read in earnest.
        if source.reopens() { look().unwrap_or_default() } else { Looks::default() }
    }

    fn new_folds(&self) -> Result<Beside<'_, Folds<'_>>> {
        let negative = self.log.spec().negative;
        let types = &self.log.roles()?.types;
        let collector = self.plan.state.as_ref().map(|asked| Collector::new(asked, types, negative, self.context));
        let ids = self.numbering.get().map(Numbering::values);
        Ok(Beside { fold: Folds::new(self.plan, negative, &self.labels, self.context)?, collector, ids })
    }

    /// The state of the log, where one is asked for.
    fn state(&self, collectors: Vec<Collector<'_>>, layout: Layout) -> Result<Option<(&'static str, Table)>> {
        if self.plan.state.is_none() {
            return Ok(None);
        }
        self.timed("finishing", || {
            self.context.enter(Phase::Finishing, 0);
            let types = &self.log.roles()?.types;
            let read = Read { types, labels: &self.labels, layout, dropped: self.nulls.rows() };
            let written = State::of(collectors, &read, self.context)?.write(self.context)?;
            Ok(Some((STATE, Table::Batches(written.schema, written.batches))))
        })
    }

    /// The reading for rows of a case lying together; none if they turn out not to.
    fn read_grouped(&self) -> Result<Option<Folded<'_>>> {
        let read = self.fold_grouped(&self.nulls, || self.new_folds(), || Keys::new(self.context));
        let (fed, keys) = match read {
            // A case too long to be held while it is read: on disk its size is known before it is loaded.
            Err(error) if self.context.spill().is_some() && error.is_short_of(Step::Case.name()) => {
                self.nulls.reset();
                return Ok(None);
            }
            read => read?,
        };
        let found = self.timed(Phase::Checking.name(), || {
            self.context.enter(Phase::Checking, 0);
            has_duplicates(&keys, self.context)
        });
        if found? {
            self.nulls.reset();
            return Ok(None);
        }
        let (folds, collectors) = apart(fed);
        Ok(Some(Folded { folds, collectors, layout: Layout::Case, partitions: None }))
    }

    /// Folds cases as they lie. Returns the folds of all threads and the keys of all cases.
    fn fold_grouped<'k, F: Fold>(
        &'k self,
        nulls: &NullTally,
        fold: impl Fn() -> Result<F> + Sync,
        new_keys: impl Fn() -> Keys<'k> + Sync,
    ) -> Result<(Vec<F>, Vec<Keys<'k>>)> {
        let groupers = self.read(Phase::Reading, nulls, || Ok(Grouper::new(fold()?, new_keys(), self.context)))?;
        let (mut folds, mut keys, mut edges) = (Vec::new(), Vec::new(), Vec::<Edges>::new());
        let mut accounts = Vec::new();
        for grouper in groupers {
            accounts.push(grouper.account);
            folds.push(grouper.fold);
            keys.push(grouper.keys);
            edges.extend(grouper.edges);
        }
        let first = folds.first_mut().ok_or_else(|| Error::internal("no thread has read"))?;
        keys.push(self.timed(Phase::Reading.name(), || stitch(&mut edges, first, new_keys(), self.context))?);
        Ok((folds, keys))
    }

    /// The reading for rows in any order.
    fn read_partitioned(&self, row_bytes: Option<u64>) -> Result<Folded<'_>> {
        let memory_is_short = self.memory_is_short(row_bytes)?;
        let partitioning = Partitioning::for_rows(self.log.source().rows(), memory_is_short);
        let splitter = || {
            let partitioner = Partitioner::new(partitioning, self.plan.cases);
            Ok(Splitter::new(partitioner, memory_is_short, self.context))
        };
        let mut splitters = self.read(Phase::Partitioning, &self.nulls, splitter)?;
        splitters.iter_mut().try_for_each(Splitter::finish)?;
        let memory = self.context.memory();
        let held = |partition| {
            splitters.iter().map(|splitter| bytes_of(partition, &splitter.chunks, &splitter.asides)).sum::<u64>()
        };
        // It matters, and they are few, only where there is a limit.
        let largest = if memory_is_short { (0..partitioning.count()).map(held).max().unwrap_or(0) } else { 0 };
        let growth = memory.limit_bytes().unwrap_or(0) / GROWTH_SHARE;
        let fits = memory.fits(largest * (1 + ASSEMBLED) + growth);
        if splitters.iter().any(|splitter| splitter.writer.is_some()) || !fits {
            // The measures will want the room.
            self.timed(Phase::Partitioning.name(), || splitters.iter_mut().try_for_each(Splitter::put_aside))?;
        }
        let mut partitions = Partitions::new(partitioning, self.context);
        partitions.memory_is_short = memory_is_short;
        let mut summaries = Vec::new();
        for splitter in splitters {
            partitions.accounts.push(splitter.account);
            partitions.chunks.extend(splitter.chunks);
            partitions.asides.extend(splitter.asides);
            partitions.asides.extend(splitter.writer.map(AsideWriter::finish));
            summaries.extend(splitter.summaries);
        }
        partitions.chunks.sort_by_key(|chunk| chunk.first_order);
        summaries.sort_by_key(|summary| summary.seq);
        partitions.rows = summaries.iter().map(|summary| summary.rows).sum();
        partitions.ascending = ascends(&summaries);
        let (fed, cases) = self.mine_partitions_making_room(&mut partitions, || self.new_folds())?;
        let (folds, collectors) = apart(fed);
        Ok(Folded { folds, collectors, layout: decide(&summaries, cases), partitions: Some(partitions) })
    }

    /// Whether the rows are likely to be put aside: more than the limit has room for, or nobody knows how many.
    fn memory_is_short(&self, row_bytes: Option<u64>) -> Result<bool> {
        let Some(limit) = self.context.memory().limit_bytes() else { return Ok(false) };
        let types = &self.log.roles()?.types;
        let has_texts = !types.case.is_integer() || !types.order.is_empty();
        let row_bytes = match row_bytes {
            // Later rows may be wider than the first ones.
            Some(first) => first * 2,
            None => {
                if has_texts {
                    ROW_BYTES + TEXT_BYTES
                } else {
                    ROW_BYTES
                }
            }
        };
        Ok(self.log.source().rows().is_none_or(|rows| rows.saturating_mul(row_bytes) > limit / CHUNKS_SHARE))
    }

    /// Folds the cases of all partitions, where there is no room for that beside rows that are held, once more with these
    /// on disk. Returns the folds of all threads and the number of cases.
    fn mine_partitions_making_room<'p, F: Fold>(
        &'p self,
        partitions: &mut Partitions<'p>,
        fold: impl Fn() -> Result<F> + Sync,
    ) -> Result<(Vec<F>, u64)> {
        let spill = self.context.spill().filter(|_| partitions.are_held());
        match (self.mine_partitions(partitions, &fold), spill) {
            (Err(error), Some(spill)) if error.kind() == ErrorKind::MemoryLimit => {
                self.timed(Phase::Partitioning.name(), || {
                    self.context.enter(Phase::Partitioning, 0);
                    partitions.put_aside(spill)
                })?;
                self.mine_partitions(partitions, fold)
            }
            (outcome, _) => outcome,
        }
    }

    /// Folds the cases of all partitions. Returns the folds of all threads and the number of cases.
    fn mine_partitions<F: Fold>(
        &self,
        partitions: &Partitions<'_>,
        fold: impl Fn() -> Result<F> + Sync,
    ) -> Result<(Vec<F>, u64)> {
        self.timed("mining", || {
            self.context.enter(Phase::Mining, partitions.rows);
            let (next, order) = (AtomicUsize::new(0), partitions.order());
            self.context.enter_parts(order.len() as u64);
            let parts = workers::on_all(self.context, |_| {
                let mut folds = fold()?;
                let mut assembler = Assembler::default();
                let mut cases = 0;
                loop {
                    self.context.check_cancelled()?;
                    let Some(&partition) = order.get(next.fetch_add(1, Ordering::Relaxed)) else {
                        return Ok((folds, cases));
                    };
                    let folded = partitions.fold(partition, &mut assembler, &mut folds);
                    if folded.is_err() {
                        // Nor need the others go on.
                        next.store(order.len(), Ordering::Relaxed);
                    }
                    cases += folded?.1;
                    self.context.advance_part();
                }
            })?;
            let cases = parts.iter().map(|(_, cases)| cases).sum();
            Ok((parts.into_iter().map(|(folds, _)| folds).collect(), cases))
        })
    }

    /// The gaps and durations of the log, by a second look at its rows where percentiles need one. Returns how many
    /// looks it took, too.
    fn gaps<'p>(&'p self, folds: &mut [Folds<'_>], partitions: &mut Option<Partitions<'p>>) -> Result<(Gaps<'p>, u32)> {
        let nothing = Asked::default();
        let (asked, unit) = (self.plan.dfg.as_ref().unwrap_or(&nothing), self.log.roles()?.types.unit);
        let about = dfg::About { asked, unit, negative: self.log.spec().negative };
        let mut gaps = self.timed("finishing", || {
            self.context.enter(Phase::Finishing, 0);
            let edges: Vec<_> = folds.iter_mut().filter_map(|folds| folds.dfg.take()).collect();
            let durations = folds.iter_mut().filter_map(|folds| folds.durations.take()).collect();
            let of_cases = self.plan.durations.as_deref();
            Ok(Gaps {
                edges: match self.plan.dfg {
                    Some(_) => dfg::finish(edges, &about, self.context)?,
                    None => dfg::count(edges, self.context)?,
                },
                durations: of_cases.map(|asked| durations::finish(durations, asked, unit)),
            })
        })?;
        if !gaps.missed() {
            return Ok((gaps, 1));
        }
        self.context.enter_look(2);
        let of_cases = self.plan.durations.as_deref().unwrap_or(&[]);
        let look = || {
            let durations = gaps.missed_durations().map(|first| durations::State::second(first, of_cases));
            let edges = dfg::State::second(&gaps.edges, asked, about.negative, gaps_quota(self.context));
            Ok(SecondLook::new(edges, durations, self.context))
        };
        let looks = match partitions {
            Some(partitions) => self.mine_partitions_making_room(partitions, look)?.0,
            None => self.fold_grouped(&NullTally::default(), look, || Keys::unwanted(self.context))?.0,
        };
        drop(partitions.take());
        self.timed("finishing", || {
            self.context.enter(Phase::Finishing, 0);
            let (edges, durations): (Vec<_>, Vec<_>) = looks.into_iter().map(|look| (look.dfg, look.durations)).unzip();
            dfg::complete(&mut gaps.edges, edges, &about, self.context)?;
            if let Some(known) = &mut gaps.durations {
                known.complete(Some(&durations::finish(durations.into_iter().flatten().collect(), of_cases, unit)))?;
            }
            Ok((gaps, 2))
        })
    }

    /// Reads the log through into one sink per thread; `phase` says what for.
    fn read<S: Sink>(&self, phase: Phase, nulls: &NullTally, sink: impl Fn() -> Result<S> + Sync) -> Result<Vec<S>> {
        self.timed(phase.name(), || {
            let (roles, source) = (self.log.roles()?, self.log.source());
            let queue = source.open(&roles.columns, &roles.dictionary(), self.context.batch_rows())?;
            self.context.enter(phase, source.rows().unwrap_or(0));
            let errors = FirstError::default();
            let sinks = workers::on_all(self.context, |_| {
                let mut sink = sink()?;
                let mut encoder = Encoder::new(&self.labels, &roles.types, self.numbering.get())?;
                let mut normaliser = Normaliser::new(roles, self.log.spec(), nulls);
                while !errors.is_set() {
                    if phase == Phase::Partitioning && self.context.spill().is_some_and(|spill| spill.used_bytes() > 0)
                    {
                        queue.make_way();
                    }
                    let task = match queue.next() {
                        Ok(Some(task)) => task,
                        Ok(None) => break,
                        // Only a stream fails between tasks, and after its last one.
                        Err(error) => {
                            errors.note(u64::MAX, error);
                            break;
                        }
                    };
                    let seq = task.seq;
                    if let Err(error) = guarded(|| self.read_task(task, &mut normaliser, &mut encoder, &mut sink)) {
                        // Tasks before this one are all under way and will still report what is wrong with them: the
                        // error that is reported is the first in the input, whatever the threads' timing.
                        errors.note(seq, error);
                        break;
                    }
                }
                Ok(sink)
            })?;
            match errors.take() {
                Some(error) => Err(error),
                None => nulls.check(self.log.spec()).map(|()| sinks),
            }
        })
    }

    /// Takes the memory that labels need, new ones and all copies of them that tables are made from.
    fn account_for_labels(&self) -> Result<()> {
        let bytes = self.labels.size_bytes() as u64 * LABEL_COPIES;
        let mut account = self.of_labels.lock().unwrap_or_else(PoisonError::into_inner);
        if bytes > account.bytes() { account.set(bytes) } else { Ok(()) }
    }

    /// Rows that a thread encodes at once: few where memory is very short.
    fn rows_at_once(&self) -> usize {
        let limit_bytes = self.context.memory().limit_bytes().unwrap_or(u64::MAX);
        let share = limit_bytes / self.context.threads() as u64 / ROW_SHARE_BYTES;
        (share as usize).max(FEWEST_ROWS).min(self.context.batch_rows())
    }

    fn read_task<S: Sink>(
        &self,
        task: Task,
        normaliser: &mut Normaliser<'_>,
        encoder: &mut Encoder<'_>,
        sink: &mut S,
    ) -> Result<()> {
        sink.begin(task.seq);
        let mut row = task.first_row;
        for batch in task.batches {
            let batch = batch?;
            let rows = self.rows_at_once();
            for from in (0..batch.num_rows()).step_by(rows) {
                self.context.check_cancelled()?;
                let part = batch.slice(from, rows.min(batch.num_rows() - from));
                let events = normaliser.apply(&part, row, task.path.as_ref())?;
                sink.push(&encoder.encode(&events, row)?)?;
                row += part.num_rows() as u64;
                self.context.advance(part.num_rows() as u64);
                self.account_for_labels()?;
            }
        }
        sink.end();
        Ok(())
    }
}

/// How many times the labels are there when tables are made: numbered, listed, in order, and in the tables.
const LABEL_COPIES: u64 = 4;

/// A thread's part of the memory limit for each row that it encodes at once.
const ROW_SHARE_BYTES: u64 = 256;
const FEWEST_ROWS: usize = 1024;

/// Bytes of an event in a chunk at most, and of a text in it, generously.
const ROW_BYTES: u64 = 32;
const TEXT_BYTES: u64 = 1024;

/// The part of the memory limit that is left to the measures where all rows are held.
const GROWTH_SHARE: u64 = 8;

/// Takes in the encoded batches of one thread, task by task.
trait Sink: Send {
    fn begin(&mut self, seq: u64);
    fn push(&mut self, batch: &Encoded<'_>) -> Result<()>;
    fn end(&mut self);
}

impl<F: Fold> Sink for Grouper<'_, F> {
    fn begin(&mut self, seq: u64) {
        Grouper::begin(self, seq);
    }

    fn push(&mut self, batch: &Encoded<'_>) -> Result<()> {
        Grouper::push(self, batch)
    }

    fn end(&mut self) {
        Grouper::end(self);
    }
}

impl Sink for Splitter<'_> {
    fn begin(&mut self, seq: u64) {
        Splitter::begin(self, seq);
    }

    fn push(&mut self, batch: &Encoded<'_>) -> Result<()> {
        Splitter::push(self, batch)
    }

    fn end(&mut self) {}
}

#[cfg(test)]
mod tests;
