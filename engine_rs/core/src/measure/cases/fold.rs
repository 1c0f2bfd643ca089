//! The facts of every case.

use crate::cases::batch::CaseBatch;
use crate::log::encode::ByteList;

/// What one thread has seen, column by column.
#[derive(Default)]
pub struct State {
    /// Where the case's first event stands in the input.
    pub order: Vec<u64>,
    /// Integer id, or hash of the text id.
    pub key: Vec<u64>,
    /// Text ids, where ids are text.
    pub ids: ByteList,
    /// Events.
    pub events: Vec<u32>,
    /// First time in ticks.
    pub first: Vec<i64>,
    /// Last time in ticks.
    pub last: Vec<i64>,
}

impl State {
    /// Takes in some cases.
    pub fn fold(&mut self, batch: &CaseBatch<'_>) {
        self.order.extend_from_slice(batch.orders);
        self.key.extend_from_slice(batch.keys);
        for i in 0..batch.cases() {
            let events = batch.events(i);
            if let Some(id) = batch.id(i) {
                self.ids.push(id);
            }
            self.first.push(batch.first_time(i));
            self.last.push(batch.times[events.end - 1]);
            self.events.push(events.len() as u32);
        }
    }

    /// Bytes held.
    pub fn size_bytes(&self) -> usize {
        self.order.len() * 36 + self.ids.size_bytes()
    }
}
