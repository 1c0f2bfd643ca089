//! The durations of cases.

use crate::cases::batch::CaseBatch;
use crate::stats::moments::Moments;
use crate::stats::quantile::Percentile;
use crate::stats::sieve::Sieve;

/// What one thread has seen, in ticks.
pub struct State {
    /// Count, sums and extremes.
    pub moments: Moments,
    /// Those that percentiles need.
    pub sieve: Sieve,
    asked: Vec<Percentile>,
    of_batch: Vec<i64>,
}

impl State {
    /// A state for these percentiles.
    pub fn new(asked: &[Percentile]) -> State {
        State { moments: Moments::default(), sieve: Sieve::default(), asked: asked.to_vec(), of_batch: Vec::new() }
    }

    /// A state for a second look, after `first` has missed percentiles.
    pub fn second(first: &Sieve, asked: &[Percentile]) -> State {
        State { sieve: Sieve::second(first, asked), ..State::new(asked) }
    }

    /// Takes in some cases.
    pub fn fold(&mut self, batch: &CaseBatch<'_>) {
        self.of_batch.clear();
        self.of_batch.extend((0..batch.cases()).map(|i| batch.duration(i)));
        self.moments.extend(&self.of_batch);
        if !self.asked.is_empty() {
            self.sieve.take(&self.of_batch, &self.asked);
        }
    }

    /// Bytes held.
    pub fn size_bytes(&self) -> usize {
        self.sieve.size_bytes()
    }
}
