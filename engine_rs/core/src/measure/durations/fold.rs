//! The duration of every case.

use crate::cases::batch::CaseBatch;

/// What one thread has seen: a duration per case.
#[derive(Default)]
pub struct State {
    /// In ticks.
    pub of_case: Vec<i64>,
}

/// When case `i` begins: its first timestamp, or its earliest start.
#[inline]
pub fn first_time(batch: &CaseBatch<'_>, i: usize) -> i64 {
    let events = batch.events(i);
    match batch.starts {
        None => batch.times[events.start],
        Some(starts) => starts[events].iter().copied().min().unwrap_or(0),
    }
}

impl State {
    /// Takes in some cases.
    pub fn fold(&mut self, batch: &CaseBatch<'_>) {
        let durations = (0..batch.cases()).map(|i| batch.times[batch.events(i).end - 1] - first_time(batch, i));
        self.of_case.extend(durations);
    }
}
