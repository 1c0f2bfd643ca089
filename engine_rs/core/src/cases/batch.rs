//! What does a measure see? Some whole cases, column by column, events in order.

use crate::error::Result;
use crate::log::byte_list::ByteList;
use crate::log::text::TextColumn;

/// Some whole cases. Case `i` holds the events `offsets[i]..offsets[i + 1]`, ordered by time.
#[derive(Clone, Copy)]
pub struct CaseBatch<'a> {
    /// n + 1 positions.
    pub offsets: &'a [u32],
    /// Activity code per event.
    pub codes: &'a [u32],
    /// Timestamp per event.
    pub times: &'a [i64],
    /// Start timestamp per event, where the log has them.
    pub starts: Option<&'a [i64]>,
    /// Key per case.
    pub keys: &'a [u64],
    /// Id per case, where keys are hashes.
    pub ids: Ids<'a>,
    /// Where each case's first event stands in the input.
    pub orders: &'a [u64],
}

/// The texts of case ids.
#[derive(Clone, Copy)]
pub enum Ids<'a> {
    /// The keys are the ids.
    Keys,
    /// Case `i`'s id stands in row `rows[i]` of a column.
    Rows {
        /// The column.
        column: &'a TextColumn,
        /// A row of each case.
        rows: &'a [u32],
    },
    /// Case `i`'s id is the list's `i`-th.
    Each(&'a ByteList),
    /// Keys number the values of a column.
    Numbered(&'a TextColumn),
}

impl CaseBatch<'_> {
    /// How many cases there are.
    pub fn cases(&self) -> usize {
        self.offsets.len() - 1
    }

    /// The events of case `i`.
    #[inline]
    pub fn events(&self, i: usize) -> std::ops::Range<usize> {
        self.offsets[i] as usize..self.offsets[i + 1] as usize
    }

    /// When case `i` begins: its first timestamp, or its earliest start.
    #[inline]
    pub fn first_time(&self, i: usize) -> i64 {
        let events = self.events(i);
        match self.starts {
            None => self.times[events.start],
            Some(starts) => starts[events].iter().copied().min().unwrap_or(0),
        }
    }

    /// Writes down how long each case takes, to its last timestamp.
    pub fn durations(&self, durations: &mut Vec<i64>) {
        durations.clear();
        match self.starts {
            None => durations.extend(self.offsets.windows(2).map(|ends| self.last_of(ends) - self.first_of(ends))),
            Some(_) => durations
                .extend(self.offsets.windows(2).enumerate().map(|(i, ends)| self.last_of(ends) - self.first_time(i))),
        }
    }

    /// The first timestamp of the case whose events lie between `ends`.
    #[inline]
    pub fn first_of(&self, ends: &[u32]) -> i64 {
        self.times[ends[0] as usize]
    }

    /// The last one.
    #[inline]
    pub fn last_of(&self, ends: &[u32]) -> i64 {
        self.times[ends[1] as usize - 1]
    }

    /// The text id of case `i`, where ids are text.
    pub fn id(&self, i: usize) -> Option<&[u8]> {
        match self.ids {
            Ids::Keys => None,
            Ids::Rows { column, rows } => Some(column.value(rows[i] as usize)),
            Ids::Each(list) => Some(list.get(i)),
            Ids::Numbered(column) => Some(column.value(self.keys[i] as usize)),
        }
    }
}

/// Whatever takes in cases.
pub trait Fold: Send {
    /// Takes in some cases. Which cases come together, and in which order, must not show in any result.
    ///
    /// # Errors
    /// Those of the measures: memory, callbacks, times out of range.
    fn fold(&mut self, batch: &CaseBatch<'_>) -> Result<()>;
}
