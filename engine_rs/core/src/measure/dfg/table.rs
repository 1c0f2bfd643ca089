//! From the threads' states to the rows of `dfg`.

use std::cmp::Reverse;
use std::sync::{Mutex, PoisonError};

use arrow_array::{RecordBatch, StringArray, UInt32Array};
use arrow_schema::{DataType, Field};
use arrow_select::concat::concat_batches;
use arrow_select::take::take;

use super::State;
use super::edge::EdgeState;
use super::fold::Known;
use super::gathered::{Walk, settle};
use crate::context::{Context, Reserved, Step};
use crate::error::{Error, Result};
use crate::log::spec::Negative;
use crate::measure::columns::{batch, counts};
use crate::measure::statistics::{Description, Sieved, float_field, floats, spread};
use crate::stats::asked::Asked;
use crate::stats::kept::Kept;
use crate::stats::moments::Moments;
use crate::stats::ranks::Ranks;
use crate::stats::sieve::Sieve;
use crate::stats::sorting;
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

/// Edges merged in one go by a thread, or as many as gaps of theirs that were not told to them.
const STRETCH: usize = 64;
const GAPS: usize = 1 << 15;

/// All edges of a log.
#[derive(Default)]
pub struct Edges<'a> {
    /// By pair, in parts that were made in one go; none where they were only counted.
    parts: Vec<Vec<Edge>>,
    /// How many there are.
    pub count: usize,
    _reserved: Option<Reserved<'a>>,
}

impl Edges<'_> {
    /// All, by pair; none where they were only counted.
    pub fn iter(&self) -> impl Iterator<Item = &Edge> + Clone {
        self.parts.iter().flatten()
    }

    /// Those whose percentiles were missed.
    pub fn missed(&self) -> impl Iterator<Item = (&Edge, &Sieve)> + Clone {
        self.iter().filter_map(|edge| Some((edge, edge.missed()?)))
    }

    fn find(&self, pair: (u32, u32)) -> Option<&Edge> {
        let starts_by = |part: &Vec<Edge>| part.first().is_none_or(|first| first.pair() <= pair);
        let part = &self.parts[self.parts.partition_point(starts_by).checked_sub(1)?];
        part.binary_search_by_key(&pair, Edge::pair).ok().map(|at| &part[at])
    }
}

/// How many edges the threads' states know together.
///
/// # Errors
/// MEMORY_LIMIT; CANCELLED.
pub fn count<'a>(states: Vec<State>, context: &'a Context) -> Result<Edges<'a>> {
    let lists: Vec<Vec<(u32, u32)>> = states.into_iter().map(State::into_pairs).collect();
    let count = match &lists[..] {
        [one] => one.len(),
        lists => {
            let all = lists.iter().map(Vec::len).sum::<usize>();
            // Sorted in place and with as much space again.
            let _reserved = context.reserve_for_now(Step::Measures, (2 * all * size_of::<(u32, u32)>()) as u64)?;
            let mut all = lists.concat();
            sorting::sort_by(&mut all, Ord::cmp, || context.check_cancelled())?;
            all.chunk_by(PartialEq::eq).count()
        }
    };
    Ok(Edges { count, ..Edges::default() })
}

/// Merges the threads' states and describes the gaps of every edge.
///
/// # Errors
/// MEMORY_LIMIT; CANCELLED.
pub fn finish<'a>(states: Vec<State>, about: &About<'_>, context: &'a Context) -> Result<Edges<'a>> {
    let cells: Vec<Mutex<Option<State>>> = states.into_iter().map(|state| Mutex::new(Some(state))).collect();
    let threads = workers::for_each(context, cells.len(), |i| {
        let state = cells[i].lock().unwrap_or_else(PoisonError::into_inner).take();
        state.ok_or_else(|| Error::internal("a state was taken twice"))?.known(context)
    })?;
    // At most as many as all threads know, one by one.
    let most: usize = threads.iter().map(|thread| thread.order.len() + thread.gaps.edges()).sum();
    let of_edge = size_of::<Edge>() + about.asked.columns().len() * size_of::<f64>();
    let reserved = context.reserve_for_now(Step::Measures, (most * of_edge) as u64)?;
    // Edges in ranges of pairs.
    let mut cuts: Vec<(u32, u32)> = Vec::new();
    if let Some(order) = threads.iter().map(|thread| &thread.order).max_by_key(|order| order.len()) {
        cuts.extend(order.iter().skip(STRETCH).step_by(STRETCH).map(|(pair, _)| *pair));
    }
    if let Some(gaps) = threads.iter().map(|thread| &thread.gaps).max_by_key(|gaps| gaps.len()) {
        cuts.extend(gaps.every(GAPS));
    }
    cuts.sort_unstable();
    cuts.dedup();
    let mut parts = workers::for_each(context, cuts.len() + 1, |i| {
        Ok(merge(&threads, i.checked_sub(1).and_then(|i| cuts.get(i)).copied(), cuts.get(i).copied(), about))
    })?;
    parts.retain(|part| !part.is_empty());
    Ok(Edges { count: parts.iter().map(Vec::len).sum(), parts, _reserved: Some(reserved) })
}

/// What is asked of gaps.
pub struct About<'a> {
    /// Percentiles.
    pub asked: &'a Asked,
    /// Unit of the gaps.
    pub unit: Unit,
    /// What becomes of those below zero.
    pub negative: Negative,
}

/// The edges of all threads from pair `from` to before `end`.
fn merge(threads: &[Known], from: Option<(u32, u32)>, end: Option<(u32, u32)>, about: &About<'_>) -> Vec<Edge> {
    let mut parts: Vec<Part<'_>> = threads.iter().map(|thread| Part::new(thread, from, end)).collect();
    let mut space = Space::default();
    let mut merged = Vec::new();
    while let Some((source, target)) = parts.iter().filter_map(Part::peek).min() {
        space.clear();
        parts.iter_mut().for_each(|part| part.next((source, target), &mut space));
        space.negatives += settle(&mut space.gaps, about.negative);
        let (cases, negatives) = (space.cases, space.negatives);
        let gaps = space.described(about);
        merged.push(Edge { source, target, count: gaps.description.moments.n(), cases, negatives, gaps });
    }
    merged
}

/// What one thread knows of a range of edges and was not met yet.
struct Part<'a> {
    thread: &'a Known,
    order: &'a [((u32, u32), u32)],
    walk: Walk<'a>,
}

impl<'a> Part<'a> {
    fn new(thread: &'a Known, from: Option<(u32, u32)>, end: Option<(u32, u32)>) -> Part<'a> {
        let place = |pair: (u32, u32)| thread.order.partition_point(|(own, _)| *own < pair);
        let order = &thread.order[from.map_or(0, place)..end.map_or(thread.order.len(), place)];
        Part { thread, order, walk: thread.gaps.walk(from, end) }
    }

    /// The edge that comes next.
    fn peek(&self) -> Option<(u32, u32)> {
        let told = self.order.first().map(|(pair, _)| *pair);
        [told, self.walk.peek()].into_iter().flatten().min()
    }

    /// Adds what is known of `pair`, which comes next or not at all.
    fn next(&mut self, pair: (u32, u32), space: &mut Space) {
        space.cases += self.walk.next(pair, &mut space.gaps);
        let Some((&(_, number), rest)) = self.order.split_first().filter(|((own, _), _)| *own == pair) else { return };
        self.order = rest;
        let number = number as usize;
        space.negatives += self.thread.negatives.get(number).copied().unwrap_or(0);
        // Where edges are only noted, there is nothing to take.
        let Some(cell) = self.thread.edges.get(number) else { return };
        let told = std::mem::take(&mut *cell.lock().unwrap_or_else(PoisonError::into_inner));
        if told.moments.n() > 0 {
            space.cases += told.cases;
            space.told.push(told);
        }
    }
}

/// What is known of one edge, and space to describe it: used again for edge after edge.
#[derive(Default)]
struct Space {
    cases: u64,
    negatives: u64,
    told: Vec<EdgeState>,
    gaps: Vec<i64>,
    ranks: Ranks,
}

impl Space {
    fn clear(&mut self) {
        (self.cases, self.negatives) = (0, 0);
        self.told.clear();
        self.gaps.clear();
    }

    /// Describes all gaps, those that were told to the edge and those that are here; the former are used up.
    fn described(&mut self, &About { asked, unit, .. }: &About<'_>) -> Sieved {
        if self.told.is_empty() {
            return Sieved::known(Description::of(&[&self.gaps], asked, unit, &mut self.ranks));
        }
        if !self.gaps.is_empty() {
            let mut rest = EdgeState { gaps: Kept::new(asked), ..EdgeState::default() };
            rest.take(&self.gaps, 0, asked);
            self.told.push(rest);
        }
        let mut moments = Moments::default();
        self.told.iter().for_each(|told| moments.merge(&told.moments));
        Sieved::new(moments, self.told.drain(..).map(|told| told.gaps), asked, unit)
    }
}

/// Fills in the percentiles that `edges` miss with those that a second look has found.
///
/// # Errors
/// INVALID_DATA where that look did not see the same gaps as the first; CANCELLED.
pub fn complete(edges: &mut Edges<'_>, second: Vec<State>, about: &About<'_>, context: &Context) -> Result<()> {
    let found = finish(second, about, context)?;
    for edge in edges.parts.iter_mut().flatten().filter(|edge| edge.missed().is_some()) {
        edge.gaps.complete(found.find(edge.pair()).map(|again| &again.gaps))?;
    }
    Ok(())
}

/// What the rows of the table are made with.
pub struct Rows<'a> {
    /// Label by activity code.
    pub names: &'a StringArray,
    /// Each activity's place among the sorted labels.
    pub label_order: &'a [u32],
    /// Percentiles.
    pub asked: &'a Asked,
    /// Unit of the gaps.
    pub unit: Unit,
    /// Whether gaps below zero are listed.
    pub with_negatives: bool,
}

/// Rows made in one go: as many edges as stay in the cache while their columns are written.
const ROWS: usize = 1024;
/// Rows of a batch, made by one thread.
const BATCH_ROWS: usize = 64 * ROWS;

/// The dfg table, in one batch or more.
///
/// # Errors
/// CANCELLED; INTERNAL if the columns do not fit together.
pub fn table<'e>(
    edges: impl Iterator<Item = &'e Edge>,
    with: &Rows<'_>,
    context: &Context,
) -> Result<Vec<RecordBatch>> {
    // Names were compared once each; edges are by the places of their names, and do not move.
    let place = |code: u32| with.label_order[code as usize];
    let mut order: Vec<(Reverse<u64>, u32, u32, &Edge)> =
        edges.map(|edge| (Reverse(edge.count), place(edge.source), place(edge.target), edge)).collect();
    let by = |&(count, source, target, _): &(_, _, _, _)| (count, source, target);
    sorting::sort_by(&mut order, |one, other| by(one).cmp(&by(other)), || context.check_cancelled())?;
    let made = |order: &[(_, _, _, _)]| rows(order.iter().map(|&(_, _, _, edge)| edge).collect(), with);
    if order.is_empty() {
        return Ok(vec![made(&[])?]);
    }
    let batches: Vec<_> = order.chunks(BATCH_ROWS).collect();
    workers::for_each(context, batches.len(), |i| {
        let parts = batches[i].chunks(ROWS).map(made).collect::<Result<Vec<_>>>()?;
        concat_batches(&parts[0].schema(), &parts).map_err(|error| Error::internal(error.to_string()))
    })
}

fn rows(edges: Vec<&Edge>, with: &Rows<'_>) -> Result<RecordBatch> {
    let label = |name: &str, code: fn(&Edge) -> u32| {
        let codes: UInt32Array = edges.iter().map(|edge| code(edge)).collect();
        let labels = take(with.names, &codes, None).map_err(|error| Error::internal(error.to_string()))?;
        Ok::<_, Error>((Field::new(name, DataType::Utf8, false), labels))
    };
    let totals =
        edges.iter().map(|edge| Some(ratio(edge.gaps.description.moments.sum(), i128::from(with.unit.per_second()))));
    let mut columns = vec![
        label("source", |edge| edge.source)?,
        label("target", |edge| edge.target)?,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::batch::{CaseBatch, Ids};
    use crate::stats::quantile::Percentile;

    /// What is known of every edge, by however many threads, gathering as many bytes as they may.
    fn found(threads: usize, quota_bytes: usize, rule: Negative) -> Vec<String> {
        const CASES: usize = 4000;
        let asked = Asked::exact(&[Percentile::new(50.0).unwrap(), Percentile::new(99.0).unwrap()]);
        let mut states: Vec<State> = (0..threads).map(|_| State::new(Some(&asked), rule, quota_bytes)).collect();
        let offsets: Vec<u32> = (0..=CASES as u32).map(|case| case * 10).collect();
        let (keys, orders) = (vec![0; CASES], vec![0; CASES]);
        for round in 0..6u64 {
            // Edges of the first rounds come back in the last ones, some of them twice in a case.
            let codes: Vec<u32> = (0..CASES as u64 * 10).map(|i| ((i / 10 * 7 + i * i % 30) % 5000) as u32).collect();
            let times: Vec<i64> = (0..CASES as i64 * 10).map(|i| i * i % 1009 + i * round as i64).collect();
            let starts: Vec<i64> = times.iter().map(|time| time - time % 700).collect();
            let batch = CaseBatch {
                offsets: &offsets,
                codes: &codes,
                times: &times,
                starts: Some(&starts),
                keys: &keys,
                ids: Ids::Keys,
                orders: &orders,
            };
            states[round as usize % threads].fold(&batch).unwrap();
        }
        let context = Context::new();
        let about = About { asked: &asked, unit: Unit::Micro, negative: rule };
        let edges = finish(states, &about, &context).unwrap();
        let told = |edge: &Edge| format!("{:?}", (edge.pair(), edge.count, edge.cases, edge.negatives, &edge.gaps));
        edges.iter().map(told).collect()
    }

    #[test]
    fn many_edges_are_the_same_gathered_or_told_by_any_thread() {
        for rule in [Negative::Keep, Negative::Zero] {
            let whole = found(1, usize::MAX, rule);
            assert!(whole.len() > 10_000, "{}", whole.len());
            for (threads, quota_bytes) in [(1, 0), (1, 4 << 20), (2, usize::MAX), (3, 1 << 20), (3, 0)] {
                assert!(found(threads, quota_bytes, rule) == whole, "{threads} {quota_bytes}");
            }
        }
    }
}
