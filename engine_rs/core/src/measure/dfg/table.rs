//! From the threads' states to the rows of `dfg`.

use std::sync::Mutex;
use std::sync::PoisonError;

use arrow_array::RecordBatch;

use super::{EdgeTable, State};
use crate::context::Context;
use crate::error::Result;
use crate::measure::columns::{batch, counts, labels};
use crate::measure::statistics::{Description, float_field, floats, spread};
use crate::stats::moments::Moments;
use crate::stats::quantile::Percentile;
use crate::units::{Unit, ratio};
use crate::workers;

/// One edge of the whole log.
pub struct Edge {
    source: u32,
    target: u32,
    count: u64,
    cases: u64,
    negatives: u64,
    gaps: Description,
}

/// The parts of one edge in the threads' states.
struct Parts {
    pair: (u32, u32),
    count: u64,
    cases: u64,
    negatives: u64,
    moments: Moments,
    blocks: Vec<Vec<i64>>,
}

/// Merges the threads' states and describes the gaps of every edge.
///
/// # Errors
/// CANCELLED.
pub fn finish(states: Vec<State>, asked: &[Percentile], unit: Unit, context: &Context) -> Result<Vec<Edge>> {
    let mut numbers = EdgeTable::default();
    let mut parts: Vec<Parts> = Vec::new();
    for mut state in states {
        let codes = state.table.pairs().iter().map(|&(a, b)| a.max(b) as usize + 1).max().unwrap_or(0);
        numbers.make_room(codes);
        for (local, &(source, target)) in state.table.pairs().iter().enumerate() {
            let number = numbers.number(source, target);
            if number == parts.len() {
                let pair = (source, target);
                let (moments, blocks) = (Moments::default(), Vec::new());
                parts.push(Parts { pair, count: 0, cases: 0, negatives: 0, moments, blocks });
            }
            let Some(edge) = state.edges.get_mut(local) else { continue };
            let part = &mut parts[number];
            part.count += edge.count;
            part.cases += edge.cases;
            part.negatives += edge.negatives;
            part.moments.merge(&edge.moments);
            part.blocks.append(&mut edge.take_blocks());
        }
    }
    // The heaviest edges first, so that no thread is left with one at the end.
    parts.sort_by(|a, b| b.count.cmp(&a.count).then(a.pair.cmp(&b.pair)));
    let cells: Vec<Mutex<Option<Parts>>> = parts.into_iter().map(|part| Mutex::new(Some(part))).collect();
    let describe = |i: usize| -> Result<Option<Edge>> {
        let part = cells[i].lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(part.map(|part| {
            let mut gaps: Vec<i64> = Vec::with_capacity(part.blocks.iter().map(Vec::len).sum());
            part.blocks.into_iter().for_each(|block| gaps.extend_from_slice(&block));
            let gaps = match gaps.is_empty() {
                true => Description { moments: part.moments, percentiles: Vec::new() },
                false => Description::of(&mut gaps, asked, unit),
            };
            let (source, target) = part.pair;
            Edge { source, target, count: part.count, cases: part.cases, negatives: part.negatives, gaps }
        }))
    };
    Ok(workers::for_each(context, cells.len(), describe)?.into_iter().flatten().collect())
}

/// The dfg table.
///
/// # Errors
/// INTERNAL if the columns do not fit together.
pub fn table(
    mut edges: Vec<Edge>,
    names: &[String],
    asked: &[Percentile],
    unit: Unit,
    with_negatives: bool,
) -> Result<RecordBatch> {
    let name = |code: u32| names[code as usize].as_str();
    edges.sort_by(|a, b| {
        let by_name = || (name(a.source), name(a.target)).cmp(&(name(b.source), name(b.target)));
        b.count.cmp(&a.count).then_with(by_name)
    });
    let totals = edges.iter().map(|edge| Some(ratio(edge.gaps.moments.sum(), i128::from(unit.per_second()))));
    let mut columns = vec![
        labels("source", edges.iter().map(|edge| name(edge.source))),
        labels("target", edges.iter().map(|edge| name(edge.target))),
        counts("count", edges.iter().map(|edge| edge.count)),
        counts("cases", edges.iter().map(|edge| edge.cases)),
        (float_field("total_s"), floats(totals)),
    ];
    let gaps: Vec<&Description> = edges.iter().map(|edge| &edge.gaps).collect();
    columns.extend(spread(&gaps, asked, unit));
    if with_negatives {
        columns.push(counts("negatives", edges.iter().map(|edge| edge.negatives)));
    }
    batch(columns)
}
