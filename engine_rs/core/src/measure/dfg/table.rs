//! From the threads' states to the rows of `dfg`.

use std::sync::Mutex;
use std::sync::PoisonError;

use arrow_array::RecordBatch;

use super::edge::EdgeState;
use super::{EdgeTable, State};
use crate::context::Context;
use crate::error::Result;
use crate::measure::columns::{batch, counts, labels};
use crate::measure::statistics::{Description, float_field, floats, spread};
use crate::stats::quantile::Percentile;
use crate::stats::ranks::Ranks;
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

/// Merges the threads' states and describes the gaps of every edge.
///
/// # Errors
/// CANCELLED.
pub fn finish(states: Vec<State>, asked: &[Percentile], unit: Unit, context: &Context) -> Result<Vec<Edge>> {
    let (merged, batches) = merge(states);
    // The heaviest edges first, so that no thread is left with one at the end.
    let mut order: Vec<u32> = (0..merged.len() as u32).collect();
    order.sort_unstable_by_key(|&i| (std::cmp::Reverse(merged[i as usize].1.moments.n()), i));
    let cells: Vec<Mutex<((u32, u32), EdgeState)>> = merged.into_iter().map(Mutex::new).collect();
    workers::for_each_with(context, cells.len(), Ranks::default, |space, i| {
        // Taken out, so that what it holds is gone when it is described.
        let cell = &cells[order[i] as usize];
        let (pair, edge) = std::mem::take(&mut *cell.lock().unwrap_or_else(PoisonError::into_inner));
        let gaps = Description::of_moments(edge.moments, &edge.blocks(&batches), asked, unit, space);
        let (source, target) = pair;
        let (count, cases, negatives) = (edge.moments.n(), edge.cases, edge.negatives);
        Ok(Edge { source, target, count, cases, negatives, gaps })
    })
}

type Merged = (Vec<((u32, u32), EdgeState)>, Vec<Vec<i64>>);

/// The edges of all states and the batches that their gaps lie in.
fn merge(states: Vec<State>) -> Merged {
    let mut numbers = EdgeTable::default();
    let (mut merged, mut batches): Merged = Default::default();
    for mut state in states {
        let codes = state.table.pairs().iter().map(|&(a, b)| a.max(b) as usize + 1).max().unwrap_or(0);
        numbers.make_room(codes);
        let (mut edges, mut more) = state.take_edges();
        edges.iter_mut().for_each(|edge| edge.move_parts(batches.len()));
        batches.append(&mut more);
        let edges = edges.into_iter().map(Some).chain(std::iter::repeat_with(|| None));
        for (&pair, edge) in state.table.pairs().iter().zip(edges) {
            let number = numbers.number(pair.0, pair.1);
            match (merged.get_mut(number), edge) {
                (None, edge) => merged.push((pair, edge.unwrap_or_default())),
                (Some((_, known)), Some(edge)) => known.merge(edge),
                (Some(_), None) => {}
            }
        }
    }
    (merged, batches)
}

/// The dfg table; `label_order` is each activity's place among the sorted labels.
///
/// # Errors
/// INTERNAL if the columns do not fit together.
pub fn table(
    edges: Vec<Edge>,
    names: &[String],
    label_order: &[u32],
    asked: &[Percentile],
    unit: Unit,
    with_negatives: bool,
) -> Result<RecordBatch> {
    let name = |code: u32| names[code as usize].as_str();
    // Names were compared once each; edges are by the places of their names, and only their numbers move.
    let place = |code: u32| label_order[code as usize];
    let mut order: Vec<(std::cmp::Reverse<u64>, u32, u32, u32)> = edges
        .iter()
        .zip(0..)
        .map(|(edge, i)| (std::cmp::Reverse(edge.count), place(edge.source), place(edge.target), i))
        .collect();
    order.sort_unstable();
    let edges: Vec<&Edge> = order.iter().map(|&(_, _, _, i)| &edges[i as usize]).collect();
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
