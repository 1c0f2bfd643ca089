//! What does a thread know of one edge?

use crate::stats::kept::Kept;
use crate::stats::moments::Moments;
use crate::stats::quantile::Percentile;

/// Count, cases and gaps of one edge.
#[derive(Default)]
pub struct EdgeState {
    /// Cases with it.
    pub cases: u64,
    /// Sums and extremes of the gaps, and how many there are.
    pub moments: Moments,
    /// What percentiles need of the gaps.
    pub gaps: Kept,
}

impl EdgeState {
    /// Takes in gaps that lie in `cases` cases not seen before. Returns by how many bytes the state has grown, which may
    /// be fewer than none.
    pub fn take(&mut self, gaps: &[i64], cases: u64, asked: &[Percentile]) -> isize {
        self.cases += cases;
        self.moments.extend(gaps);
        if asked.is_empty() {
            return 0;
        }
        let before = self.gaps.size_bytes() as isize;
        self.gaps.take(gaps, asked);
        self.gaps.size_bytes() as isize - before
    }
}
