//! All variants where they do not fit: put in order part by part, on disk, and merged while they are read.

use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::{RecordBatch, RecordBatchReader};
use arrow_schema::{ArrowError, SchemaRef};

use super::codes::read_codes;
use super::distinct::{Whole, firsts, whole};
use super::fold::{Aside, Keep, PARTS, State};
use super::gathered::Gathered;
use super::runs::{Form, Merging, Runs};
use super::table::{Builder, RowBytes, Shown};
use crate::context::{Context, Reserved, Step};
use crate::error::{Error, Result};
use crate::log::byte_list::ByteList;
use crate::measure::statistics::{Description, mean_s};
use crate::spill::{Block, Spill, SpillFile};
use crate::stats::asked::Asked;
use crate::stats::ranks::Ranks;
use crate::stats::sorting;
use crate::units::Unit;
use crate::workers;

/// All variants of a log, put aside, and in order.
pub struct Listed<'a> {
    asides: Vec<Option<Aside<'a>>>,
    keep: Keep,
    /// The number of the first variant of each part.
    first: Vec<u32>,
    /// What it takes to merge the parts.
    merge_bytes: u64,
    context: &'a Context,
    /// How many variants there are.
    pub distinct: u64,
    /// Their table.
    pub table: Arc<Listing>,
}

/// The table of variants, on disk.
pub struct Listing {
    runs: Runs,
    /// In order.
    labels: Vec<String>,
    /// What is told of durations, where there is a table.
    asked: Option<Asked>,
    rows: u64,
    cases: u64,
    schema: SchemaRef,
}

/// What a listing is made from.
pub struct About<'a> {
    /// Labels by code.
    pub names: &'a [String],
    /// Each activity's place among the sorted labels.
    pub label_order: &'a [u32],
    /// What is asked of durations; none where only ranks are.
    pub asked: Option<&'a Asked>,
    /// Only the first so many are in the table; all where none.
    pub top: Option<u64>,
    /// Of durations.
    pub unit: Unit,
}

/// The part of the memory limit that blocks of all runs may take while they are merged.
const MERGE_SHARE: u64 = 16;
/// How many times as much is held of the block of a run that is merged: it, and a row of it to compare.
const MERGED: u64 = 2;
/// How many times as much a row takes while it grows.
const BUILT: u64 = 3;
/// Bytes of a block, at least and at most.
const BLOCK_BYTES: (u64, u64) = (4 << 10, 1 << 20);

impl<'a> Listed<'a> {
    /// Puts the variants of each part in order, on disk; those of all threads have to be aside.
    ///
    /// # Errors
    /// CANCELLED; MEMORY_LIMIT where a part does not fit; UNSUPPORTED beyond 2^32 variants; IO.
    pub fn new(states: Vec<State<'a>>, about: &About<'_>, spill: &Spill, context: &'a Context) -> Result<Listed<'a>> {
        let keep = states.first().map(|state| state.keep).unwrap_or_default();
        let cases = states.iter().map(|state| state.cases).sum();
        let asides: Vec<_> = states.into_iter().map(|state| state.aside.filter(Aside::is_used)).collect();
        let figures = about.asked.map_or(0, |asked| 1 + asked.columns().len());
        let form = Form::new(about.names.len(), figures);
        let merged_bytes = context.memory().limit_bytes().unwrap_or(u64::MAX) / MERGE_SHARE;
        let block_bytes = (merged_bytes / PARTS as u64).clamp(BLOCK_BYTES.0, BLOCK_BYTES.1) as usize;
        let file = Mutex::new(spill.file()?);
        let row_bytes = about.asked.map(|asked| RowBytes::new(about.names, asked));
        let parts = workers::for_each_with(context, PARTS, Ranks::default, |space, part| {
            let whole = whole(&asides, part, keep, context)?;
            let sequences = &whole.sequences;
            let sizes = || {
                (0..sequences.len() as u32).map(|number| row_bytes.as_ref().map(|row| row.of(sequences.get(number))))
            };
            let longest = sizes().flatten().max().unwrap_or(0);
            let blocks = write(&whole, about, (form, block_bytes), space, &file, context)?;
            Ok((longest, (sequences.len(), blocks)))
        })?;
        let file = file.into_inner().unwrap_or_else(PoisonError::into_inner).keep()?;
        let (longest, parts): (Vec<u64>, Vec<_>) = parts.into_iter().unzip();
        let (counts, runs): (Vec<usize>, Vec<_>) = parts.into_iter().unzip();
        let merge_bytes = runs.iter().map(|blocks| largest(blocks)).sum::<u64>() * MERGED;
        // Whoever reads the table holds a row or more while it grows, and the blocks that are merged.
        let reading_bytes = merge_bytes + longest.into_iter().max().unwrap_or(0) * BUILT;
        drop(context.reserve_for_now(Step::Variants, reading_bytes)?);
        let first = firsts(counts.iter().copied())?;
        let distinct = counts.iter().sum::<usize>() as u64;
        let mut labels = vec![String::new(); about.names.len()];
        about.names.iter().zip(about.label_order).for_each(|(name, &place)| labels[place as usize].clone_from(name));
        let schema = Builder::new(cases, about.asked.unwrap_or(&Asked::default())).finish()?.schema();
        let rows = about.top.map_or(distinct, |top| top.min(distinct));
        let runs = Runs { file, form, runs };
        let table = Arc::new(Listing { runs, labels, asked: about.asked.cloned(), rows, cases, schema });
        Ok(Listed { asides, keep, first, merge_bytes, context, distinct, table })
    }

    /// The rank of every variant.
    ///
    /// # Errors
    /// CANCELLED; MEMORY_LIMIT; IO.
    pub fn ranked(&self) -> Result<AllRanks<'_>> {
        let _merging = self.context.reserve_for_now(Step::Variants, self.merge_bytes)?;
        let bytes = self.distinct * size_of::<u32>() as u64;
        let reserved = self.context.reserve_for_now(Step::Variants, bytes)?;
        let (mut ranks, mut rank) = (vec![0u32; self.distinct as usize], 0u32);
        Merging::default().each(&self.table.runs, |part, row| {
            if rank.is_multiple_of(LOOK) {
                self.context.check_cancelled()?;
            }
            rank += 1;
            ranks[(self.first[part] + row.number) as usize] = rank;
            Ok(true)
        })?;
        Ok(AllRanks { variants: self, ranks, _reserved: reserved })
    }
}

impl Listing {
    /// The columns of the table.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// A stream over the table.
    pub fn reader(self: &Arc<Listing>) -> Reader {
        let builder = Builder::new(self.cases, self.asked.as_ref().unwrap_or(&Asked::default()));
        Reader { listing: Arc::clone(self), left: self.rows, merging: Merging::default(), builder }
    }
}

/// Variants between two looks at the cancel flag.
const LOOK: u32 = 1 << 16;

fn largest(blocks: &[Block]) -> u64 {
    blocks.iter().map(|block| block.bytes()).max().unwrap_or(0)
}

/// Writes all variants of a part in order; returns the blocks.
fn write(
    whole: &Whole<'_>,
    about: &About<'_>,
    (form, block_bytes): (Form, usize),
    space: &mut Ranks,
    file: &Mutex<SpillFile<'_>>,
    context: &Context,
) -> Result<Vec<Block>> {
    let sequences = &whole.sequences;
    let (mut places, mut bytes) = (ByteList::default(), Vec::new());
    for number in 0..sequences.len() as u32 {
        bytes.clear();
        read_codes(sequences.get(number))
            .for_each(|code| form.write_place(about.label_order[code as usize], &mut bytes));
        places.push(&bytes);
    }
    let mut order: Vec<u32> = (0..sequences.len() as u32).collect();
    let compared = |number: &u32| (sequences.cases(*number), places.get(*number as usize));
    let compare = |a: &u32, b: &u32| {
        let ((cases, places), (other_cases, other_places)) = (compared(a), compared(b));
        other_cases.cmp(&cases).then_with(|| places.cmp(other_places))
    };
    sorting::sort_by(&mut order, compare, || context.check_cancelled())?;
    let gathered = about.asked.map(|_| {
        let mut gathered = Gathered::new(sequences.all_cases(), |_| true);
        whole.followers.iter().for_each(|(_, followers)| gathered.take(followers));
        gathered
    });
    let (mut blocks, mut figures) = (Vec::new(), Vec::new());
    bytes.clear();
    for number in order {
        figures.clear();
        if let (Some(asked), Some(gathered)) = (about.asked, &gathered) {
            let described = Description::of(&[gathered.of(number)], asked, about.unit, space);
            figures.push(mean_s(&described.moments, about.unit).unwrap_or(f64::NAN));
            figures.extend(described.percentiles);
        }
        form.write(sequences.cases(number), number, &figures, places.get(number as usize), &mut bytes);
        if bytes.len() >= block_bytes {
            context.check_cancelled()?;
            blocks.push(file.lock().unwrap_or_else(PoisonError::into_inner).write(&bytes)?);
            bytes.clear();
        }
    }
    if !bytes.is_empty() {
        blocks.push(file.lock().unwrap_or_else(PoisonError::into_inner).write(&bytes)?);
    }
    Ok(blocks)
}

/// The rank of every variant of a log.
pub struct AllRanks<'a> {
    variants: &'a Listed<'a>,
    /// By number.
    ranks: Vec<u32>,
    _reserved: Reserved<'a>,
}

impl AllRanks<'_> {
    /// Hands out the cases of a part: the thread, the case's number there, and its variant's rank, counted from 1.
    ///
    /// # Errors
    /// MEMORY_LIMIT; IO.
    pub fn each_case(&self, part: usize, mut take: impl FnMut(usize, u32, u32)) -> Result<()> {
        let Listed { asides, keep, first, context, .. } = self.variants;
        for (thread, followers) in &whole(asides, part, *keep, context)?.followers {
            for (&case, number) in followers.cases.iter().zip(&followers.numbers) {
                take(*thread, case, self.ranks[(first[part] + number) as usize]);
            }
        }
        Ok(())
    }
}

/// A stream of the table.
pub struct Reader {
    listing: Arc<Listing>,
    left: u64,
    merging: Merging,
    builder: Builder,
}

impl Reader {
    fn batch(&mut self) -> Result<RecordBatch> {
        let Reader { listing, left, merging, builder } = self;
        let mut figures = Vec::new();
        merging.each(&listing.runs, |_, row| {
            figures.clear();
            figures.extend(row.figures());
            let (mean_s, percentiles) =
                figures.split_first().map_or((None, &[][..]), |(mean, rest)| (Some(*mean), rest));
            let codes = listing.runs.form.places(row);
            builder.push(Shown { codes, cases: row.cases, mean_s, percentiles }, &listing.labels)?;
            *left -= 1;
            Ok(*left > 0 && !builder.is_full())
        })?;
        if builder.rows() == 0 {
            return Err(Error::internal("variants that were put aside are gone"));
        }
        builder.finish()
    }
}

impl Iterator for Reader {
    type Item = std::result::Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        let batch = self.batch();
        if batch.is_err() {
            self.left = 0;
        }
        Some(batch.map_err(|error| ArrowError::IoError(format!("{error}"), std::io::Error::other("variants"))))
    }
}

impl RecordBatchReader for Reader {
    fn schema(&self) -> SchemaRef {
        self.listing.schema()
    }
}
