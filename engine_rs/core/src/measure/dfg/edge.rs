//! What does a thread know of one edge?

use crate::stats::moments::Moments;

/// Count, cases and gaps of one edge.
#[derive(Default)]
pub struct EdgeState {
    /// Cases with it.
    pub cases: u64,
    /// Gaps below zero.
    pub negatives: u64,
    /// Sums and extremes of the gaps, and how many there are.
    pub moments: Moments,
    parts: Vec<Part>,
    open: Vec<i64>,
    blocks: Vec<Vec<i64>>,
}

/// A stretch of a sorted batch.
#[derive(Clone, Copy)]
struct Part {
    batch: u32,
    from: u32,
    to: u32,
}

/// A block starts small, for there may be very many edges, and grows, for some have most of the gaps. The largest is
/// small enough to be cut from the heap and not to be a mapping of its own, whose pages would all be touched anew.
const FIRST_BLOCK: usize = 8;
const LAST_BLOCK: usize = 8 * 1024;

impl EdgeState {
    /// What knowing a stretch takes.
    pub const STRETCH_BYTES: usize = size_of::<Part>();

    /// Takes in gaps that lie in `cases` cases not seen before, and stay where they are in batch number `batch`.
    pub fn take_part(&mut self, gaps: &[i64], cases: u64, batch: usize, from: u32) {
        self.cases += cases;
        self.moments.extend(gaps);
        self.parts.push(Part { batch: batch as u32, from, to: from + gaps.len() as u32 });
    }

    /// Takes in gaps that lie in `cases` cases not seen before, and keeps them if `keep`.
    pub fn take(&mut self, gaps: &[i64], cases: u64, keep: bool) {
        self.cases += cases;
        self.moments.extend(gaps);
        if !keep {
            return;
        }
        let mut rest = gaps;
        while !rest.is_empty() {
            if self.open.len() == self.open.capacity() {
                let room = (self.open.capacity() * 2).max(rest.len()).clamp(FIRST_BLOCK, LAST_BLOCK);
                let full = std::mem::replace(&mut self.open, Vec::with_capacity(room));
                if !full.is_empty() {
                    self.blocks.push(full);
                }
            }
            let (now, later) = rest.split_at(rest.len().min(self.open.capacity() - self.open.len()));
            self.open.extend_from_slice(now);
            rest = later;
        }
    }

    /// Adds what another thread knows of the edge.
    pub fn merge(&mut self, mut other: EdgeState) {
        self.parts.append(&mut other.parts);
        self.cases += other.cases;
        self.negatives += other.negatives;
        self.moments.merge(&other.moments);
        self.blocks.append(&mut other.blocks);
        self.blocks.push(other.open);
    }

    /// From now on the batches pointed to have `before` others before them.
    pub fn move_parts(&mut self, before: usize) {
        self.parts.iter_mut().for_each(|part| part.batch += before as u32);
    }

    /// The gaps that were kept, here or in `batches`.
    pub fn blocks<'a>(&'a self, batches: &'a [Vec<i64>]) -> Vec<&'a [i64]> {
        let parts = self.parts.iter().map(|part| &batches[part.batch as usize][part.from as usize..part.to as usize]);
        let own = self.blocks.iter().chain([&self.open]).map(Vec::as_slice).filter(|block| !block.is_empty());
        parts.chain(own).collect()
    }
}
