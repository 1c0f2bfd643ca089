//! The rows of `activities`.

use std::cmp::Reverse;

use arrow_array::RecordBatch;

use super::State;
use super::fold::Counts;
use crate::error::Result;
use crate::measure::columns::{batch, counts, labels};

/// The activities table; `incoming` are the targets of edges with their counts.
///
/// # Errors
/// INTERNAL if the columns do not fit together.
pub fn table(
    mut state: State,
    incoming: impl Iterator<Item = (u32, u64)>,
    names: &[String],
    label_order: &[u32],
) -> Result<RecordBatch> {
    let mut all = state.take_counts();
    if state.lacks_events() {
        all.iter_mut().for_each(|counts| counts.events = counts.starts);
        incoming.for_each(|(target, count)| all[target as usize].events += count);
    }
    let mut codes: Vec<usize> = (0..all.len()).filter(|&code| all[code].events > 0).collect();
    codes.sort_unstable_by_key(|&code| (Reverse(all[code].events), label_order[code]));
    let column = |name: &str, value: fn(&Counts) -> u64| counts(name, codes.iter().map(|&code| value(&all[code])));
    batch(vec![
        labels("activity", codes.iter().map(|&code| names[code].as_str())),
        column("events", |counts| counts.events),
        column("cases", |counts| counts.cases),
        column("starts", |counts| counts.starts),
        column("ends", |counts| counts.ends),
        column("rework_cases", |counts| counts.rework_cases),
    ])
}
