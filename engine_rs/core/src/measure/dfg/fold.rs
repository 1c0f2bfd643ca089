//! Gaps per edge: sorted by edge batch by batch, then summed up and, where percentiles are asked for, kept.
//!
//! Writing every gap straight to its edge costs a miss of the cache, of the address translation, or a wrong guess for
//! nearly every event. So the gaps of a batch are brought together by edge first, by a counting sort without branches
//! that stays in the cache, and stay there: an edge only knows its stretch. With very many edges a batch has few gaps of
//! each: then they gather over many batches before they are sorted, and each edge keeps its own.

use super::EdgeTable;
use super::edge::EdgeState;
use super::gathered::Gathered;
use crate::cases::batch::CaseBatch;
use crate::error::{Error, Result};
use crate::log::spec::Negative;

/// How much of each gap is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Nothing: only which edges there are.
    Edges,
    /// Sums and extremes.
    Moments,
    /// Every gap.
    Gaps,
}

/// What one thread has seen.
pub struct State {
    /// Numbers of the edges.
    pub table: EdgeTable,
    edges: Vec<EdgeState>,
    kept: u64,
    stretches: u64,
    detail: Detail,
    negative: Negative,
    /// Cases so far. The first is 1, so that 0 is none.
    case: u64,
    numbers: Vec<u32>,
    gaps: Vec<i64>,
    slots: Vec<Slot>,
    /// Gaps of a batch, sorted by edge; the last one is space where gaps are not kept.
    batches: Vec<Vec<i64>>,
    gathered: Gathered,
}

/// Where an edge's next gap goes, and in how many cases of the batch the edge was seen.
#[derive(Clone, Copy, Default)]
struct Slot {
    next: u32,
    last_case: u32,
    cases: u32,
}

/// Up to this many edges, gaps are sorted batch by batch: the slots of all edges are run through for each.
const MAX_SORTED_EDGES: usize = 16 * 1024;

/// A batch with fewer events per edge is gathered: a stretch takes as many bytes as two gaps.
const FEWEST_PER_EDGE: usize = 2;

impl State {
    /// A state that keeps as much as `detail` says.
    pub fn new(detail: Detail, negative: Negative) -> State {
        State {
            table: EdgeTable::default(),
            edges: Vec::new(),
            kept: 0,
            stretches: 0,
            detail,
            negative,
            case: 0,
            numbers: Vec::new(),
            gaps: Vec::new(),
            slots: Vec::new(),
            batches: Vec::new(),
            gathered: Gathered::default(),
        }
    }

    /// Bytes held.
    pub fn size_bytes(&self) -> usize {
        let edges = self.table.pairs().len() * (size_of::<EdgeState>() + size_of::<Slot>() + 16);
        self.kept as usize * 8 + self.stretches as usize * EdgeState::STRETCH_BYTES + edges + self.gathered.size_bytes()
    }

    /// Hands over what is known, by edge number, and the batches with their gaps. Empty where only edges were looked at.
    pub fn take_edges(&mut self) -> (Vec<EdgeState>, Vec<Vec<i64>>) {
        self.take_gathered();
        (std::mem::take(&mut self.edges), std::mem::take(&mut self.batches))
    }

    /// Takes in some cases.
    ///
    /// # Errors
    /// INVALID_DATA for a gap below zero, if those are not allowed.
    pub fn fold(&mut self, batch: &CaseBatch<'_>) -> Result<()> {
        let (from, to) = (batch.offsets[0] as usize, batch.offsets[batch.cases()] as usize);
        let codes = &batch.codes[from..to];
        let highest = codes.iter().max().map_or(0, |&code| code as usize + 1);
        self.table.make_room(highest);
        let firsts = || batch.offsets[..batch.cases()].iter().map(|&at| at as usize - from);
        self.table.number_pairs(codes, firsts, &mut self.numbers);
        if self.detail == Detail::Edges {
            return Ok(());
        }
        self.edges.resize_with(self.table.pairs().len(), EdgeState::default);
        match batch.starts {
            None => gaps_between(&batch.times[from..to], &mut self.gaps),
            Some(starts) => self.gaps_between_intervals(&batch.times[from..to], &starts[from..to])?,
        }
        let edges = self.edges.len();
        if edges <= MAX_SORTED_EDGES && to - from >= edges * FEWEST_PER_EDGE {
            self.sort(batch.cases());
        } else {
            self.gathered.add(&self.numbers, &self.gaps, self.case);
            if self.gathered.is_full(self.edges.len()) {
                self.take_gathered();
            }
        }
        self.case += batch.cases() as u64;
        if self.detail == Detail::Gaps {
            self.kept += (to - from - batch.cases()) as u64;
        }
        Ok(())
    }

    /// Gaps from the end of one event to the start of the next.
    fn gaps_between_intervals(&mut self, times: &[i64], starts: &[i64]) -> Result<()> {
        self.gaps.clear();
        self.gaps.resize(times.len(), 0);
        for i in 1..times.len() {
            if self.numbers[i] == 0 {
                continue;
            }
            let gap = starts[i] - times[i - 1];
            self.gaps[i] = gap;
            if gap >= 0 {
                continue;
            }
            self.edges[self.numbers[i] as usize - 1].negatives += 1;
            match self.negative {
                Negative::Keep => {}
                Negative::Zero => self.gaps[i] = 0,
                Negative::Error => {
                    let text = format!(
                        "an event starts {} ticks before the one before it in its case ends; pass negative=\"keep\" or \"zero\" to accept overlaps",
                        -gap
                    );
                    return Err(Error::data(text).with("column", "start_timestamp"));
                }
            }
        }
        Ok(())
    }

    /// Brings the gaps of the batch, which has `cases` cases, together by edge and tells each edge its own.
    fn sort(&mut self, cases: usize) {
        let keep = self.detail == Detail::Gaps;
        let State { numbers, gaps, slots, batches, edges, stretches, .. } = self;
        slots.clear();
        slots.resize(edges.len() + 1, Slot::default());
        numbers.iter().for_each(|&number| slots[number as usize].next += 1);
        // Number 0 is the first event of a case, which has no gap: what goes to its slot, the last one, is cut off.
        let mut at = 0;
        for slot in slots[1..].iter_mut() {
            at += slot.next;
            slot.next = at - slot.next;
        }
        slots[0].next = at;
        let mut sorted = if keep { Vec::new() } else { batches.pop().unwrap_or_default() };
        sorted.resize(numbers.len(), 0);
        let mut case = 0;
        for (&number, &gap) in numbers.iter().zip(gaps.iter()) {
            case += u32::from(number == 0);
            let slot = &mut slots[number as usize];
            let next = slot.next;
            sorted[next as usize] = gap;
            *slot = Slot { next: next + 1, last_case: case, cases: slot.cases + u32::from(slot.last_case != case) };
        }
        let mut from = 0;
        for (slot, edge) in slots[1..].iter().zip(edges) {
            let own = &sorted[from as usize..slot.next as usize];
            match (own.is_empty(), keep) {
                (true, _) => {}
                (false, true) => {
                    edge.take_part(own, u64::from(slot.cases), batches.len(), from);
                    *stretches += 1;
                }
                (false, false) => edge.take(own, u64::from(slot.cases), false),
            }
            from = slot.next;
        }
        if keep {
            sorted.truncate(numbers.len() - cases);
            if cases > numbers.len() / 8 {
                sorted.shrink_to_fit();
            }
        }
        batches.push(sorted);
    }

    fn take_gathered(&mut self) {
        let (edges, keep) = (&mut self.edges, self.detail == Detail::Gaps);
        self.gathered.drain(|number, gaps, cases| edges[number as usize - 1].take(gaps, cases, keep));
    }
}

/// Gaps from each event to the next; what stands at the first event of a case is no gap.
fn gaps_between(times: &[i64], gaps: &mut Vec<i64>) {
    gaps.clear();
    gaps.push(0);
    gaps.extend(times.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])));
}
