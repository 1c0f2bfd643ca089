//! The duration of every case.

use crate::cases::batch::CaseBatch;

/// What one thread has seen: a duration per case.
#[derive(Default)]
pub struct State {
    /// In ticks.
    pub of_case: Vec<i64>,
}

impl State {
    /// Takes in some cases.
    pub fn fold(&mut self, batch: &CaseBatch<'_>) {
        self.of_case.extend((0..batch.cases()).map(|i| batch.duration(i)));
    }
}
