//! The facts of every case.

use super::aside::Aside;
use crate::cases::batch::CaseBatch;
use crate::error::Result;
use crate::log::byte_list::ByteList;
use crate::spill::Spill;

/// What one thread has seen, column by column.
#[derive(Default)]
pub struct State<'a> {
    /// The cases before those here, where they were put aside.
    pub aside: Option<Aside<'a>>,
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

impl<'a> State<'a> {
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

    /// Puts all cases aside in `spill`, with the values of their metrics.
    ///
    /// # Errors
    /// IO.
    pub fn put_aside(&mut self, metrics: &[&[f64]], spill: &'a Spill) -> Result<()> {
        let mut aside = match self.aside.take() {
            Some(aside) => aside,
            None => Aside::new(spill)?,
        };
        aside.write(self, metrics)?;
        *self = State { aside: Some(aside), ..State::default() };
        Ok(())
    }

    /// The cases here, and those that were put aside.
    pub fn split(mut self) -> (State<'static>, Option<Aside<'a>>) {
        let aside = self.aside.take();
        let State { order, key, ids, events, first, last, .. } = self;
        (State { aside: None, order, key, ids, events, first, last }, aside)
    }

    /// Bytes held.
    pub fn size_bytes(&self) -> usize {
        self.order.len() * 36 + self.ids.size_bytes()
    }
}
