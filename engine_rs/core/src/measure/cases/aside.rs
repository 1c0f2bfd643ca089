//! Cases that do not fit: on disk run by run, given their ranks, put in order, and read again while they are merged.
//!
//! The rank of a variant is known when all variants are. Then each part of the variants hands out its cases with their
//! ranks; they are sorted by run, on disk, and each run is read, ranked, put in input order, and written in blocks that
//! are small enough for one of each run to fit into memory.

use std::sync::{Mutex, PoisonError};

use arrow_buffer::{ScalarBuffer, ToByteSlice};

use super::State;
use super::merge::{Run, Runs};
use super::rows::{Form, Rows, of_state};
use super::table::Ranks;
use crate::context::{Context, Step};
use crate::error::{Error, Result};
use crate::spill::{Block, Spill, SpillFile};
use crate::workers;

/// What one thread has put aside, in runs.
pub struct Aside<'a> {
    file: SpillFile<'a>,
    runs: Vec<RawRun>,
    form: Form,
}

/// Cases as they were folded.
struct RawRun {
    block: Block,
    /// Number of the first case among those of the thread.
    first: u32,
    cases: u32,
}

/// The part of the memory limit that blocks of all runs may take while they are merged.
const MERGE_SHARE: u64 = 16;
/// Without a limit.
const MERGE_BYTES: u64 = 64 << 20;
/// Cases of a block, at least and at most.
const BLOCK_CASES: (u64, u64) = (16, 16 * 1024);
/// How many times as many bytes a run takes while it is put in order as it takes on disk.
const LOADED: u64 = 3;

impl<'a> Aside<'a> {
    /// A place for cases in `spill`.
    ///
    /// # Errors
    /// IO.
    pub fn new(spill: &'a Spill) -> Result<Aside<'a>> {
        Ok(Aside { file: spill.file()?, runs: Vec::new(), form: Form { metrics: 0, ids: false, ranks: false } })
    }

    /// Writes all cases of `state` as a run, with the values of their metrics.
    ///
    /// # Errors
    /// IO.
    pub fn write(&mut self, state: &State<'_>, metrics: &[&[f64]]) -> Result<()> {
        if state.order.is_empty() {
            return Ok(());
        }
        self.form = Form { metrics: metrics.len(), ids: !state.ids.is_empty(), ranks: false };
        let block = self.file.write(&of_state(state, metrics))?;
        let first = self.runs.last().map_or(0, |run| run.first + run.cases);
        self.runs.push(RawRun { block, first, cases: state.order.len() as u32 });
        Ok(())
    }

    /// The run of the thread's case `case`.
    fn run_of(&self, case: u32) -> usize {
        self.runs.partition_point(|run| run.first <= case) - 1
    }
}

/// The cases of all threads, ranked and ready to be merged.
///
/// # Errors
/// CANCELLED; MEMORY_LIMIT where a run does not fit; IO.
pub fn ranked(asides: Vec<Aside<'_>>, spill: &Spill, of_variants: &dyn Ranks, context: &Context) -> Result<Runs> {
    // The first run of each thread among all.
    let mut first_of_thread = Vec::with_capacity(asides.len());
    let mut runs = Vec::new();
    for (thread, aside) in asides.iter().enumerate() {
        first_of_thread.push(runs.len());
        runs.extend(aside.runs.iter().map(|run| (thread, run)));
    }
    let by_run = Scattered::new(&asides, &first_of_thread, runs.len(), spill, of_variants, context)?;
    let form = asides.iter().map(|aside| aside.form).find(|form| form.metrics > 0 || form.ids);
    let form = Form { ranks: true, ..form.unwrap_or(Form { metrics: 0, ids: false, ranks: true }) };
    let bytes: u64 = runs.iter().map(|(_, run)| run.block.bytes()).sum();
    let cases: u64 = runs.iter().map(|(_, run)| u64::from(run.cases)).sum();
    let merged_bytes = context.memory().limit_bytes().map_or(MERGE_BYTES, |limit| limit / MERGE_SHARE);
    let of_run = merged_bytes / (runs.len() as u64).max(1);
    let block_cases = (of_run / (bytes / cases.max(1)).max(1)).clamp(BLOCK_CASES.0, BLOCK_CASES.1) as usize;
    let sorted = Mutex::new(spill.file()?);
    let runs = workers::for_each(context, runs.len(), |i| {
        let (thread, run) = runs[i];
        let _reserved = context.reserve_for_now(Step::Cases, run.block.bytes() * LOADED)?;
        let of_aside = &asides[thread];
        let rows = Rows::read(&of_aside.file.read(run.block)?, run.cases as usize, of_aside.form)?;
        let ranks = by_run.of_run(i, run.cases as usize, context)?;
        let mut places: Vec<u32> = (0..run.cases).collect();
        places.sort_unstable_by_key(|&place| rows.order[place as usize]);
        let write = |places: &[u32]| {
            context.check_cancelled()?;
            let bytes = rows.write(places, &ranks, form);
            Ok((locked(&sorted).write(&bytes)?, places.len() as u32))
        };
        places.chunks(block_cases).map(write).collect::<Result<Vec<_>>>().map(|blocks| Run { blocks })
    })?;
    let file = sorted.into_inner().unwrap_or_else(PoisonError::into_inner).keep()?;
    Ok(Runs { file, form, runs })
}

/// The ranks of all cases, on disk by run.
struct Scattered<'a> {
    file: SpillFile<'a>,
    blocks: Vec<Vec<Block>>,
}

impl<'a> Scattered<'a> {
    /// Goes through the variants part by part.
    fn new(
        asides: &[Aside<'_>],
        first_of_thread: &[usize],
        runs: usize,
        spill: &'a Spill,
        of_variants: &dyn Ranks,
        context: &Context,
    ) -> Result<Scattered<'a>> {
        let scattered = Mutex::new(Scattered { file: spill.file()?, blocks: vec![Vec::new(); runs] });
        let space = || vec![Vec::<u32>::new(); runs];
        workers::for_each_with(context, of_variants.parts(), space, |by_run, part| {
            by_run.iter_mut().for_each(Vec::clear);
            of_variants.each_case(part, &mut |thread, case, rank| {
                let run = asides[thread].run_of(case);
                by_run[first_of_thread[thread] + run].extend([case - asides[thread].runs[run].first, rank]);
            })?;
            let mut scattered = locked(&scattered);
            for (run, pairs) in by_run.iter().enumerate().filter(|(_, pairs)| !pairs.is_empty()) {
                context.check_cancelled()?;
                let block = scattered.file.write(pairs.to_byte_slice())?;
                scattered.blocks[run].push(block);
            }
            Ok(())
        })?;
        Ok(scattered.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// The ranks of the cases of a run.
    fn of_run(&self, run: usize, cases: usize, context: &Context) -> Result<Vec<u32>> {
        let mut ranks = vec![0; cases];
        for &block in &self.blocks[run] {
            context.check_cancelled()?;
            let bytes = self.file.read(block)?;
            let numbers = bytes.len() / size_of::<u32>();
            let pairs = ScalarBuffer::<u32>::new(bytes, 0, numbers);
            pairs.chunks_exact(2).for_each(|pair| ranks[pair[0] as usize] = pair[1]);
        }
        match ranks.contains(&0) {
            true => Err(Error::internal("a case that was put aside has no variant")),
            false => Ok(ranks),
        }
    }
}

fn locked<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
