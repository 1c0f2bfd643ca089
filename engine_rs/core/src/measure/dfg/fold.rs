//! Gaps per edge: kept one by one where percentiles are asked for, summed up where not.

use super::EdgeTable;
use crate::cases::batch::CaseBatch;
use crate::error::{Error, Result};
use crate::log::spec::Negative;
use crate::stats::moments::Moments;

/// What is known of one edge.
#[derive(Default)]
pub struct EdgeState {
    /// Adjacent pairs.
    pub count: u64,
    /// Cases with one.
    pub cases: u64,
    /// Gaps below zero.
    pub negatives: u64,
    last_case: u64,
    /// Gaps, block after block; all but the last are full.
    pub blocks: Vec<Vec<i64>>,
    open: Vec<i64>,
    /// Sums, where gaps are not kept.
    pub moments: Moments,
}

/// A block starts small, for there may be very many edges, and grows, for some have most of the gaps.
const FIRST_BLOCK: usize = 16;
const LAST_BLOCK: usize = 16 * 1024;

impl EdgeState {
    #[inline]
    fn keep(&mut self, gap: i64) {
        if self.open.len() == self.open.capacity() {
            let room = (self.open.capacity() * 2).clamp(FIRST_BLOCK, LAST_BLOCK);
            let full = std::mem::replace(&mut self.open, Vec::with_capacity(room));
            if !full.is_empty() {
                self.blocks.push(full);
            }
        }
        self.open.push(gap);
    }

    /// Hands over all gaps kept.
    pub fn take_blocks(&mut self) -> Vec<Vec<i64>> {
        let mut blocks = std::mem::take(&mut self.blocks);
        blocks.push(std::mem::take(&mut self.open));
        blocks
    }
}

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
    /// By edge number.
    pub edges: Vec<EdgeState>,
    /// Gaps kept, of all edges.
    pub kept: u64,
    detail: Detail,
    negative: Negative,
    case: u64,
}

impl State {
    /// A state that keeps as much as `detail` says.
    pub fn new(detail: Detail, negative: Negative) -> State {
        State { table: EdgeTable::default(), edges: Vec::new(), kept: 0, detail, negative, case: 0 }
    }

    /// Takes in some cases.
    ///
    /// # Errors
    /// INVALID_DATA for a gap below zero, if those are not allowed.
    pub fn fold(&mut self, batch: &CaseBatch<'_>) -> Result<()> {
        let (from, to) = (batch.offsets[0] as usize, batch.offsets[batch.cases()] as usize);
        let highest = batch.codes[from..to].iter().max().map_or(0, |&code| code as usize + 1);
        self.table.make_room(highest);
        match (batch.starts, self.detail) {
            (_, Detail::Edges) => {
                for i in 0..batch.cases() {
                    batch.codes[batch.events(i)].windows(2).for_each(|pair| {
                        self.table.number(pair[0], pair[1]);
                    });
                }
                Ok(())
            }
            (None, _) => {
                (0..batch.cases())
                    .for_each(|i| self.fold_case(&batch.codes[batch.events(i)], &batch.times[batch.events(i)]));
                Ok(())
            }
            (Some(starts), _) => (0..batch.cases()).try_for_each(|i| {
                let events = batch.events(i);
                self.fold_intervals(&batch.codes[events.clone()], &batch.times[events.clone()], &starts[events])
            }),
        }
    }

    #[inline]
    fn fold_case(&mut self, codes: &[u32], times: &[i64]) {
        self.case += 1;
        for (codes, times) in codes.windows(2).zip(times.windows(2)) {
            self.add(codes[0], codes[1], times[1] - times[0]);
        }
    }

    fn fold_intervals(&mut self, codes: &[u32], times: &[i64], starts: &[i64]) -> Result<()> {
        self.case += 1;
        for (i, pair) in codes.windows(2).enumerate() {
            let gap = starts[i + 1] - times[i];
            let kept = if gap < 0 && self.negative == Negative::Zero { 0 } else { gap };
            if gap < 0 && self.negative == Negative::Error {
                let text = format!(
                    "an event starts {} ticks before the one before it in its case ends; pass negative=\"keep\" or \"zero\" to accept overlaps",
                    -gap
                );
                return Err(Error::data(text).with("column", "start_timestamp"));
            }
            let edge = self.add(pair[0], pair[1], kept);
            self.edges[edge].negatives += u64::from(gap < 0);
        }
        Ok(())
    }

    #[inline]
    fn add(&mut self, source: u32, target: u32, gap: i64) -> usize {
        let number = self.table.number(source, target);
        if number == self.edges.len() {
            self.edges.push(EdgeState::default());
        }
        let edge = &mut self.edges[number];
        edge.count += 1;
        if edge.last_case != self.case {
            edge.last_case = self.case;
            edge.cases += 1;
        }
        if self.detail == Detail::Gaps {
            edge.keep(gap);
            self.kept += 1;
        } else {
            edge.moments.push(gap);
        }
        number
    }
}
