//! The rows of `variants`.

use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder, UInt32Builder};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field};

use super::codes::read_codes;
use super::gathered::Gathered;
use super::{Merged, Ranking};
use crate::context::{Context, Step};
use crate::error::{Error, Result};
use crate::measure::columns::{batch, counts};
use crate::measure::statistics::{Description, float_field, floats, mean_s};
use crate::stats::asked::Asked;
use crate::stats::ranks::Ranks;
use crate::units::{Unit, ratio};
use crate::workers;

/// Rows of a batch, and bytes in it, at most; but a single row may have any number.
const BATCH_ROWS: usize = 64 * 1024;
const BATCH_BYTES: usize = 2 << 20;

/// Bytes of the labels of a row, at most: offsets are 32 bits wide.
const MOST_BYTES: usize = i32::MAX as usize - BATCH_BYTES;

/// The variants table.
///
/// # Errors
/// CANCELLED; MEMORY_LIMIT.
pub fn table(
    variants: &Merged,
    ranking: &Ranking,
    names: &[String],
    asked: &Asked,
    unit: Unit,
    context: &Context,
) -> Result<Vec<RecordBatch>> {
    let row_bytes = RowBytes::new(names, asked);
    let bytes = ranking.order.iter().map(|&number| row_bytes.of(variants.sequence(number))).sum();
    let _reserved = context.reserve_for_now(Step::Variants, bytes)?;
    let described = describe(variants, ranking, asked, unit, context)?;
    let shown = ranking.order.iter().zip(&described).map(|(&number, description)| Shown {
        codes: read_codes(variants.sequence(number)),
        cases: variants.cases_of(number),
        mean_s: mean_s(&description.moments, unit),
        percentiles: &description.percentiles,
    });
    rows(shown, variants.cases, names, asked, context)
}

/// A variant as it is shown.
pub struct Shown<'a, C> {
    /// The codes of its activities.
    pub codes: C,
    /// Cases that follow it.
    pub cases: u64,
    /// The mean of their durations, in seconds.
    pub mean_s: Option<f64>,
    /// The percentiles of their durations, in seconds.
    pub percentiles: &'a [f64],
}

/// The table of these variants, best first, in one batch or more; `total` is the number of all cases.
///
/// # Errors
/// CANCELLED.
pub fn rows<'a, C: Iterator<Item = u32>>(
    variants: impl Iterator<Item = Shown<'a, C>>,
    total: u64,
    labels: &[String],
    asked: &Asked,
    context: &Context,
) -> Result<Vec<RecordBatch>> {
    let (mut batches, mut builder) = (Vec::new(), Builder::new(total, asked));
    for (row, variant) in variants.enumerate() {
        if row % 4096 == 0 {
            context.check_cancelled()?;
        }
        if builder.is_full() {
            batches.push(builder.finish()?);
        }
        builder.push(variant, labels)?;
    }
    if batches.is_empty() || builder.rows() > 0 {
        batches.push(builder.finish()?);
    }
    Ok(batches)
}

const FIXED_COLUMNS: usize = 6;

/// Makes the table of variants, best first, batch by batch.
pub struct Builder {
    total: u64,
    percentiles: Vec<String>,
    /// Rows and cases of the batches before.
    rows_before: u64,
    cases_before: u64,
    bytes: usize,
    paths: ListBuilder<StringBuilder>,
    lengths: UInt32Builder,
    cases: Vec<u64>,
    means: Vec<Option<f64>>,
    /// By column.
    figures: Vec<Vec<Option<f64>>>,
}

impl Builder {
    /// No rows of a log with `total` cases.
    pub fn new(total: u64, asked: &Asked) -> Builder {
        let percentiles = asked.columns();
        Builder {
            total,
            figures: vec![Vec::new(); percentiles.len()],
            percentiles,
            rows_before: 0,
            cases_before: 0,
            bytes: 0,
            paths: ListBuilder::new(StringBuilder::new()),
            lengths: UInt32Builder::new(),
            cases: Vec::new(),
            means: Vec::new(),
        }
    }

    /// Adds a row.
    ///
    /// # Errors
    /// UNSUPPORTED for labels of 2 GiB.
    pub fn push<C: Iterator<Item = u32>>(&mut self, variant: Shown<'_, C>, labels: &[String]) -> Result<()> {
        let (mut length, mut bytes) = (0u32, 0usize);
        for code in variant.codes {
            let label = &labels[code as usize];
            bytes += label.len() + size_of::<i32>();
            if bytes > MOST_BYTES {
                let text = "a variant whose labels take more than 2 GiB cannot be listed; use shorter labels, or top=";
                return Err(Error::unsupported(text));
            }
            self.paths.values().append_value(label);
            length += 1;
        }
        self.bytes += bytes + (FIXED_COLUMNS + self.figures.len()) * size_of::<Option<f64>>();
        self.paths.append(true);
        self.lengths.append_value(length);
        self.cases.push(variant.cases);
        self.means.push(variant.mean_s);
        for (i, column) in self.figures.iter_mut().enumerate() {
            column.push(variant.percentiles.get(i).copied());
        }
        Ok(())
    }

    /// Rows of the batch so far.
    pub fn rows(&self) -> usize {
        self.cases.len()
    }

    /// Whether the batch is large enough.
    pub fn is_full(&self) -> bool {
        self.rows() >= BATCH_ROWS || self.bytes >= BATCH_BYTES
    }

    /// The batch; the next one goes on where it ends.
    ///
    /// # Errors
    /// INTERNAL where columns do not fit together.
    pub fn finish(&mut self) -> Result<RecordBatch> {
        let of_all = |cases: u64| Some(ratio(i128::from(cases), i128::from(self.total)));
        let shares = floats(self.cases.iter().map(|&cases| of_all(cases)));
        let mut so_far = self.cases_before;
        let cumulated = floats(self.cases.iter().map(|&cases| {
            so_far += cases;
            of_all(so_far)
        }));
        let first_rank = self.rows_before + 1;
        (self.cases_before, self.rows_before, self.bytes) = (so_far, self.rows_before + self.rows() as u64, 0);
        let paths = self.paths.finish();
        let cases = std::mem::take(&mut self.cases);
        let mut columns = vec![
            counts("rank", first_rank..first_rank + cases.len() as u64),
            (Field::new("activities", paths.data_type().clone(), false), Arc::new(paths) as ArrayRef),
            (Field::new("length", DataType::UInt32, false), Arc::new(self.lengths.finish()) as ArrayRef),
            counts("cases", cases.into_iter()),
            (float_field("share"), shares),
            (float_field("cumulative_share"), cumulated),
            (float_field("mean_s"), floats(self.means.drain(..))),
        ];
        let figures = self.percentiles.iter().zip(&mut self.figures);
        columns.extend(figures.map(|(name, values)| (float_field(&format!("{name}_s")), floats(values.drain(..)))));
        batch(columns)
    }
}

/// Bytes that variants take while they are listed.
pub struct RowBytes {
    row: u64,
    /// Of an event, by its code.
    labels: Vec<u64>,
}

impl RowBytes {
    /// Of rows with these labels and figures.
    pub fn new(names: &[String], asked: &Asked) -> RowBytes {
        // Besides the labels: fixed columns and moments; and a figure is described, then built, then in a column.
        let row = 200 + 24 * asked.columns().len() as u64;
        RowBytes { row, labels: names.iter().map(|name| (name.len() + size_of::<i32>()) as u64).collect() }
    }

    /// Of a variant.
    pub fn of(&self, sequence: &[u8]) -> u64 {
        self.row + read_codes(sequence).map(|code| self.labels[code as usize]).sum::<u64>()
    }

    /// At most, of so many variants with so many events.
    pub fn most(&self, variants: u64, events: u64) -> u64 {
        let of_label = self.labels.iter().max().copied().unwrap_or(0);
        variants * self.row + events.saturating_mul(of_label)
    }
}

/// Describes the case durations of every ranked variant.
fn describe(
    variants: &Merged,
    ranking: &Ranking,
    asked: &Asked,
    unit: Unit,
    context: &Context,
) -> Result<Vec<Description>> {
    let described = workers::for_each_with(context, variants.parts(), Ranks::default, |space, part| {
        let (first, sequences) = variants.part(part);
        let rank = |number: u32| ranking.of(first + number);
        let wanted = |number: u32| rank(number).is_some();
        let ranked = sequences.all_cases().zip(0..).filter(|&(_, number)| wanted(number));
        let bytes = ranked.map(|(cases, _)| cases).sum::<u64>() * size_of::<i64>() as u64;
        let _reserved = context.reserve_for_now(Step::Variants, bytes)?;
        let mut gathered = Gathered::new(sequences.all_cases(), wanted);
        variants.followers(part).iter().for_each(|followers| gathered.take(followers));
        let of = |(number, ticks): (u32, &[i64])| (rank(number), Description::of(&[ticks], asked, unit, space));
        Ok(gathered.each().map(of).collect::<Vec<_>>())
    })?;
    let mut described: Vec<(Option<usize>, Description)> = described.into_iter().flatten().collect();
    described.sort_unstable_by_key(|(rank, _)| *rank);
    Ok(described.into_iter().map(|(_, description)| description).collect())
}
