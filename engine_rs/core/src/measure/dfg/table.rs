//! From the threads' states to the rows of `dfg`.

use std::sync::{Mutex, PoisonError};

use arrow_array::RecordBatch;
use arrow_select::concat::concat_batches;

use super::State;
use super::edge::EdgeState;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::measure::columns::{batch, counts, labels};
use crate::measure::statistics::{Description, Sieved, float_field, floats, spread};
use crate::stats::quantile::Percentile;
use crate::stats::sieve::Sieve;
use crate::units::{Unit, ratio};
use crate::workers;

/// One edge of the whole log.
pub struct Edge {
    source: u32,
    target: u32,
    count: u64,
    cases: u64,
    negatives: u64,
    gaps: Sieved,
}

impl Edge {
    /// An edge whose gaps are known.
    pub fn new((source, target): (u32, u32), cases: u64, negatives: u64, gaps: Description) -> Edge {
        Edge { source, target, count: gaps.moments.n(), cases, negatives, gaps: Sieved::known(gaps) }
    }

    /// (source, target)
    pub fn pair(&self) -> (u32, u32) {
        (self.source, self.target)
    }

    /// How often the target follows the source.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// What is known of the gaps, where that was not enough for the percentiles.
    pub fn missed(&self) -> Option<&Sieve> {
        self.gaps.missed()
    }
}

/// The edges of one thread, found by their places: those in `order`, by pair.
struct Ordered {
    order: Vec<((u32, u32), u32)>,
    edges: Vec<Mutex<EdgeState>>,
}

/// Edges merged in one go by a thread.
const STRETCH: usize = 64;

/// Merges the threads' states and describes the gaps of every edge; the edges come by pair.
///
/// # Errors
/// CANCELLED.
pub fn finish(states: Vec<State>, asked: &[Percentile], unit: Unit, context: &Context) -> Result<Vec<Edge>> {
    let cells: Vec<Mutex<Option<State>>> = states.into_iter().map(|state| Mutex::new(Some(state))).collect();
    let threads = workers::for_each(context, cells.len(), |i| {
        let state = cells[i].lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut state = state.ok_or_else(|| Error::internal("a state was taken twice"))?;
        let mut order: Vec<_> = state.table.pairs().iter().copied().zip(0u32..).collect();
        order.sort_unstable();
        Ok(Ordered { order, edges: state.take_edges() })
    })?;
    // Pairs in ranges, cut where the longest list has as many edges as a thread takes at once.
    let longest = threads.iter().map(|thread| &thread.order).max_by_key(|order| order.len());
    let cuts: Vec<(u32, u32)> = longest
        .into_iter()
        .flat_map(|order| order.iter().skip(STRETCH).step_by(STRETCH).map(|(pair, _)| *pair))
        .collect();
    let parts = workers::for_each(context, cuts.len() + 1, |i| {
        let from = |order: &[((u32, u32), u32)], cut: Option<&(u32, u32)>, none: usize| {
            cut.map_or(none, |cut| order.partition_point(|(pair, _)| pair < cut))
        };
        let own = threads.iter().map(|thread| {
            let order = &thread.order;
            let before = i.checked_sub(1).and_then(|i| cuts.get(i));
            (&order[from(order, before, 0)..from(order, cuts.get(i), order.len())], &thread.edges[..])
        });
        Ok(merge(own.collect(), asked, unit))
    })?;
    Ok(parts.into_iter().flatten().collect())
}

/// The edges of one thread in a range of pairs, and all its edges by number.
type Stretch<'a> = (&'a [((u32, u32), u32)], &'a [Mutex<EdgeState>]);

fn merge(mut threads: Vec<Stretch<'_>>, asked: &[Percentile], unit: Unit) -> Vec<Edge> {
    let mut merged = Vec::new();
    let mut parts = Vec::new();
    while let Some(pair) = threads.iter().filter_map(|(order, _)| order.first()).map(|(pair, _)| *pair).min() {
        for (order, edges) in &mut threads {
            let Some((&(_, number), rest)) = order.split_first().filter(|((own, _), _)| *own == pair) else { continue };
            *order = rest;
            // Where only edges are looked at, there is nothing to take.
            let Some(cell) = edges.get(number as usize) else { continue };
            parts.push(std::mem::take(&mut *cell.lock().unwrap_or_else(PoisonError::into_inner)));
        }
        merged.push(described(pair, &mut parts, asked, unit));
    }
    merged
}

/// The edge that `parts` are of, which are used up.
fn described((source, target): (u32, u32), parts: &mut Vec<EdgeState>, asked: &[Percentile], unit: Unit) -> Edge {
    let mut whole = EdgeState::default();
    parts.iter().for_each(|part| whole.add(part));
    let EdgeState { cases, negatives, moments, .. } = whole;
    let gaps = Sieved::new(moments, parts.drain(..).map(|part| part.gaps), asked, unit);
    Edge { source, target, count: moments.n(), cases, negatives, gaps }
}

/// Fills in the percentiles that `edges` miss with those that a second look has found.
///
/// # Errors
/// INVALID_DATA where that look did not see the same gaps as the first; CANCELLED.
pub fn complete(
    edges: &mut [Edge],
    second: Vec<State>,
    asked: &[Percentile],
    unit: Unit,
    context: &Context,
) -> Result<()> {
    let found = finish(second, asked, unit, context)?;
    for edge in edges.iter_mut().filter(|edge| edge.missed().is_some()) {
        let again = found.binary_search_by_key(&edge.pair(), Edge::pair).ok().map(|at| &found[at].gaps);
        edge.gaps.complete(again)?;
    }
    Ok(())
}

/// What the rows of the table are made with.
pub struct Rows<'a> {
    /// Label by activity code.
    pub names: &'a [String],
    /// Each activity's place among the sorted labels.
    pub label_order: &'a [u32],
    /// Percentiles.
    pub asked: &'a [Percentile],
    /// Unit of the gaps.
    pub unit: Unit,
    /// Whether gaps below zero are listed.
    pub with_negatives: bool,
}

/// Rows made in one go by a thread: as many edges as stay in the cache while their columns are written.
const ROWS: usize = 4096;

/// The dfg table.
///
/// # Errors
/// CANCELLED; INTERNAL if the columns do not fit together.
pub fn table(edges: &[Edge], with: &Rows<'_>, context: &Context) -> Result<RecordBatch> {
    // Names were compared once each; edges are by the places of their names, and only their numbers move.
    let place = |code: u32| with.label_order[code as usize];
    let mut order: Vec<(std::cmp::Reverse<u64>, u32, u32, u32)> = edges
        .iter()
        .zip(0..)
        .map(|(edge, i)| (std::cmp::Reverse(edge.count), place(edge.source), place(edge.target), i))
        .collect();
    order.sort_unstable();
    let chunks: Vec<_> = if order.is_empty() { vec![&order[..]] } else { order.chunks(ROWS).collect() };
    let batches = workers::for_each(context, chunks.len(), |i| {
        rows(chunks[i].iter().map(|&(_, _, _, edge)| &edges[edge as usize]).collect(), with)
    })?;
    concat_batches(&batches[0].schema(), &batches).map_err(|error| Error::internal(error.to_string()))
}

fn rows(edges: Vec<&Edge>, with: &Rows<'_>) -> Result<RecordBatch> {
    let name = |code: u32| with.names[code as usize].as_str();
    let totals =
        edges.iter().map(|edge| Some(ratio(edge.gaps.description.moments.sum(), i128::from(with.unit.per_second()))));
    let mut columns = vec![
        labels("source", edges.iter().map(|edge| name(edge.source))),
        labels("target", edges.iter().map(|edge| name(edge.target))),
        counts("count", edges.iter().map(|edge| edge.count)),
        counts("cases", edges.iter().map(|edge| edge.cases)),
        (float_field("total_s"), floats(totals)),
    ];
    let gaps: Vec<&Description> = edges.iter().map(|edge| &edge.gaps.description).collect();
    columns.extend(spread(&gaps, with.asked, with.unit));
    if with.with_negatives {
        columns.push(counts("negatives", edges.iter().map(|edge| edge.negatives)));
    }
    batch(columns)
}
