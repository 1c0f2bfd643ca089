//! The durations of cases.

use crate::stats::asked::Asked;
use crate::stats::kept::Kept;
use crate::stats::moments::Moments;
use crate::stats::quantile::Percentile;
use crate::stats::sieve::Sieve;

/// What one thread has seen, in ticks.
pub struct State {
    /// Count, sums and extremes.
    pub moments: Moments,
    /// What percentiles need.
    pub kept: Kept,
    asked: Asked,
}

impl State {
    /// A state for these percentiles.
    pub fn new(asked: &Asked) -> State {
        State { moments: Moments::default(), kept: Kept::new(asked), asked: asked.clone() }
    }

    /// A state for a second look, after `first` has missed percentiles.
    pub fn second(first: &Sieve, asked: &[Percentile]) -> State {
        State { kept: Kept::Sieve(Sieve::second(first, asked)), ..State::new(&Asked::exact(asked)) }
    }

    /// Takes in the durations of some cases.
    pub fn fold(&mut self, durations: &[i64]) {
        self.moments.extend(durations);
        if !self.asked.is_empty() {
            self.kept.take(durations, &self.asked);
        }
    }

    /// Bytes held.
    pub fn size_bytes(&self) -> usize {
        self.kept.size_bytes()
    }
}
