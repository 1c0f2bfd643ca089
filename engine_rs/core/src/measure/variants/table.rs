//! The rows of `variants`.

use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder, UInt32Builder};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field};

use super::sequences::read_codes;
use super::{Merged, Ranking};
use crate::context::{Context, Step};
use crate::error::Result;
use crate::measure::columns::{batch, counts};
use crate::measure::statistics::{Description, float_field, floats, mean_s, percentiles};
use crate::stats::asked::Asked;
use crate::stats::ranks::Ranks;
use crate::units::{Unit, ratio};
use crate::workers;

/// The variants table.
///
/// # Errors
/// CANCELLED; MEMORY_LIMIT; IO.
pub fn table(
    variants: &Merged<'_>,
    ranking: &Ranking,
    names: &[String],
    asked: &Asked,
    unit: Unit,
    context: &Context,
) -> Result<RecordBatch> {
    let label_bytes = label_bytes(names);
    let bytes = ranking.order.iter().map(|&number| bytes_of(variants.sequence(number), &label_bytes)).sum();
    let _reserved = context.reserve_for_now(Step::Variants, bytes)?;
    let described = describe(variants, ranking, asked, unit, context)?;
    let row = |(&number, description)| (read_codes(variants.sequence(number)), variants.cases(number), description);
    let shown: Vec<_> = ranking.order.iter().zip(&described).map(row).collect();
    rows(shown, variants.cases_of_threads.iter().sum(), names, asked, unit, context)
}

/// The table of these variants, best first: the codes of each, its cases, their durations.
///
/// # Errors
/// CANCELLED.
pub fn rows(
    variants: Vec<(impl Iterator<Item = u32>, u64, &Description)>,
    total: u64,
    names: &[String],
    asked: &Asked,
    unit: Unit,
    context: &Context,
) -> Result<RecordBatch> {
    let mut paths = ListBuilder::new(StringBuilder::new());
    let mut lengths = UInt32Builder::new();
    let (mut shares, mut cumulated, mut so_far) = (Vec::new(), Vec::new(), 0u64);
    let (mut cases, mut described) = (Vec::new(), Vec::new());
    for (row, (codes, cases_of_row, description)) in variants.into_iter().enumerate() {
        if row % 4096 == 0 {
            context.check_cancelled()?;
        }
        let mut length = 0u32;
        for code in codes {
            paths.values().append_value(&names[code as usize]);
            length += 1;
        }
        paths.append(true);
        lengths.append_value(length);
        so_far += cases_of_row;
        shares.push(Some(ratio(i128::from(cases_of_row), i128::from(total))));
        cumulated.push(Some(ratio(i128::from(so_far), i128::from(total))));
        cases.push(cases_of_row);
        described.push(description);
    }
    let paths = paths.finish();
    let mut columns = vec![
        counts("rank", 1..=cases.len() as u64),
        (Field::new("activities", paths.data_type().clone(), false), Arc::new(paths) as ArrayRef),
        (Field::new("length", DataType::UInt32, false), Arc::new(lengths.finish()) as ArrayRef),
        counts("cases", cases.into_iter()),
        (float_field("share"), floats(shares.into_iter())),
        (float_field("cumulative_share"), floats(cumulated.into_iter())),
        (float_field("mean_s"), floats(described.iter().map(|row| mean_s(&row.moments, unit)))),
    ];
    columns.extend(percentiles(&described, asked));
    batch(columns)
}

/// Bytes that an event takes in the table, by its code.
pub fn label_bytes(names: &[String]) -> Vec<u64> {
    names.iter().map(|name| (name.len() + size_of::<i32>()) as u64).collect()
}

/// Bytes of a variant in the table.
pub fn bytes_of(sequence: &[u8], label_bytes: &[u64]) -> u64 {
    /// Of the columns besides the labels.
    const ROW: u64 = 100;
    ROW + read_codes(sequence).map(|code| label_bytes[code as usize]).sum::<u64>()
}

/// Describes the case durations of every ranked variant.
fn describe(
    variants: &Merged<'_>,
    ranking: &Ranking,
    asked: &Asked,
    unit: Unit,
    context: &Context,
) -> Result<Vec<Description>> {
    let described = workers::for_each_with(context, variants.parts(), Ranks::default, |space, part| {
        let (first, sequences) = variants.part(part);
        // Where the durations of each ranked variant of the part begin; the others are left out.
        let mut ranks = Vec::new();
        let mut cursors = vec![usize::MAX; sequences.len()];
        let mut total = 0usize;
        for (number, cursor) in cursors.iter_mut().enumerate() {
            if let Some(rank) = ranking.of(first + number as u32) {
                ranks.push((rank, total));
                *cursor = total;
                total += sequences.cases[number] as usize;
            }
        }
        let _reserved = context.reserve_for_now(Step::Variants, (total * size_of::<i64>()) as u64)?;
        let mut gathered = vec![0i64; total];
        variants.each_followers(part, |_, followers| {
            for (&number, &duration) in followers.numbers.iter().zip(&followers.durations) {
                let cursor = &mut cursors[number as usize];
                if *cursor != usize::MAX {
                    gathered[*cursor] = duration;
                    *cursor += 1;
                }
            }
            Ok(())
        })?;
        let ends = ranks.iter().skip(1).map(|&(_, from)| from).chain([total]);
        let describe = |(&(rank, from), end): (&(usize, usize), usize)| {
            (rank, Description::of(&[&gathered[from..end]], asked, unit, space))
        };
        Ok(ranks.iter().zip(ends).map(describe).collect::<Vec<_>>())
    })?;
    let mut described: Vec<(usize, Description)> = described.into_iter().flatten().collect();
    described.sort_unstable_by_key(|(rank, _)| *rank);
    Ok(described.into_iter().map(|(_, description)| description).collect())
}
