//! The rows of `variants`.

use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder, UInt32Builder};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field};

use super::fold::read_codes;
use super::{Merged, Ranking, State};
use crate::context::Context;
use crate::error::Result;
use crate::measure::columns::{batch, counts};
use crate::measure::statistics::{Description, float_field, floats, mean_s, percentiles};
use crate::stats::quantile::Percentile;
use crate::units::{Unit, ratio};
use crate::workers;

/// Which variant each case follows, and how long it took.
pub struct CaseVariants<'a> {
    /// The distinct sequences.
    pub variants: &'a Merged,
    /// The threads' cases.
    pub states: &'a [State],
    /// Case durations per thread, in the order of the states' cases.
    pub durations: &'a [&'a [i64]],
}

/// The variants table.
///
/// # Errors
/// CANCELLED.
pub fn table(
    cases: &CaseVariants<'_>,
    ranking: &Ranking,
    names: &[String],
    asked: &[Percentile],
    unit: Unit,
    context: &Context,
) -> Result<RecordBatch> {
    let described = describe(cases, ranking, asked, unit, context)?;
    let variants = cases.variants;
    let total: u64 = variants.all_cases().sum();
    let mut paths = ListBuilder::new(StringBuilder::new());
    let mut lengths = UInt32Builder::new();
    let (mut shares, mut cumulated, mut so_far) = (Vec::new(), Vec::new(), 0u64);
    for &number in &ranking.order {
        let mut length = 0u32;
        for code in read_codes(variants.sequence(number)) {
            paths.values().append_value(&names[code as usize]);
            length += 1;
        }
        paths.append(true);
        lengths.append_value(length);
        so_far += variants.cases(number);
        shares.push(Some(ratio(i128::from(variants.cases(number)), i128::from(total))));
        cumulated.push(Some(ratio(i128::from(so_far), i128::from(total))));
    }
    let paths = paths.finish();
    let rows: Vec<&Description> = described.iter().collect();
    let mut columns = vec![
        counts("rank", 1..=ranking.order.len() as u64),
        (Field::new("activities", paths.data_type().clone(), false), Arc::new(paths) as ArrayRef),
        (Field::new("length", DataType::UInt32, false), Arc::new(lengths.finish()) as ArrayRef),
        counts("cases", ranking.order.iter().map(|&number| variants.cases(number))),
        (float_field("share"), floats(shares.into_iter())),
        (float_field("cumulative_share"), floats(cumulated.into_iter())),
        (float_field("mean_s"), floats(rows.iter().map(|row| mean_s(&row.moments, unit)))),
    ];
    columns.extend(percentiles(&rows, asked));
    batch(columns)
}

/// Describes the case durations of every ranked variant.
fn describe(
    cases: &CaseVariants<'_>,
    ranking: &Ranking,
    asked: &[Percentile],
    unit: Unit,
    context: &Context,
) -> Result<Vec<Description>> {
    let mut cursors = Vec::with_capacity(ranking.order.len());
    let mut total = 0usize;
    for &number in &ranking.order {
        cursors.push(total);
        total += cases.variants.cases(number) as usize;
    }
    let starts = cursors.clone();
    let mut gathered = vec![0i64; total];
    for (thread, state) in cases.states.iter().enumerate() {
        context.check_cancelled()?;
        // Ranks by the thread's own numbers: one look-up a case instead of two.
        let ranks: Vec<Option<usize>> =
            cases.variants.numbers[thread].iter().map(|&number| ranking.of(number)).collect();
        for (&own, &duration) in state.of_case.iter().zip(cases.durations[thread]) {
            if let Some(rank) = ranks[own as usize] {
                gathered[cursors[rank]] = duration;
                cursors[rank] += 1;
            }
        }
    }
    const ROWS: usize = 1024;
    let chunks = ranking.order.len().div_ceil(ROWS);
    let parts = workers::for_each(context, chunks, |chunk| {
        let ranks = chunk * ROWS..((chunk + 1) * ROWS).min(starts.len());
        let of_rank = |rank: usize| {
            let end = starts.get(rank + 1).copied().unwrap_or(total);
            Description::of(&mut gathered[starts[rank]..end].to_vec(), asked, unit)
        };
        Ok(ranks.map(of_rank).collect::<Vec<Description>>())
    })?;
    Ok(parts.into_iter().flatten().collect())
}
