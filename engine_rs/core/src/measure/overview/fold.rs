//! Counts of events, cases and ties, and the first and last time.

use cjm_lanes::pairs::any_equal;

use crate::cases::batch::CaseBatch;
use crate::error::{Error, Result};

/// What one thread has seen.
#[derive(Clone, Debug)]
pub struct State {
    /// Events folded.
    pub events: u64,
    /// Cases folded.
    pub cases: u64,
    /// Earliest time (or start), if any.
    pub first: i64,
    /// Latest time.
    pub last: i64,
    /// Adjacent events of a case with equal timestamps.
    pub tied_pairs: u64,
    /// Cases with at least one of them.
    pub cases_with_ties: u64,
    /// How long the cases take that were taken in last.
    pub durations: Vec<i64>,
    /// The extremes of all times, be they starts or ends.
    range: (i64, i64),
}

impl Default for State {
    fn default() -> Self {
        State {
            events: 0,
            cases: 0,
            first: i64::MAX,
            last: i64::MIN,
            tied_pairs: 0,
            cases_with_ties: 0,
            durations: Vec::new(),
            range: (i64::MAX, i64::MIN),
        }
    }
}

/// Pairs of times looked at together for ties.
const LOOK: usize = 256;

impl State {
    /// Takes in some cases.
    ///
    /// # Errors
    /// INVALID_DATA where times lie further apart than their unit can count: no difference of them may overflow.
    pub fn fold(&mut self, batch: &CaseBatch<'_>, with_ties: bool) -> Result<()> {
        let (from, to) = (batch.offsets[0] as usize, batch.offsets[batch.cases()] as usize);
        // The events of a case are in order: its first and last are its extremes.
        let (mut low, mut high) = (i64::MAX, i64::MIN);
        self.durations.clear();
        self.durations.extend(batch.offsets.windows(2).map(|ends| {
            let (first, last) = (batch.first_of(ends), batch.last_of(ends));
            (low, high) = (low.min(first), high.max(last));
            last.wrapping_sub(first)
        }));
        let (start_low, start_high) = batch.starts.map_or((low, high), |starts| range(&starts[from..to]));
        self.range = (self.range.0.min(low).min(start_low), self.range.1.max(high).max(start_high));
        check_range(self.range)?;
        if batch.starts.is_some() {
            batch.durations(&mut self.durations);
        }
        self.events += (to - from) as u64;
        self.cases += batch.cases() as u64;
        // As of cases: from the earliest start, where there are starts, to the last end.
        self.first = self.first.min(if batch.starts.is_some() { start_low } else { low });
        self.last = self.last.max(high);
        if with_ties {
            self.count_ties(batch);
        }
        Ok(())
    }

    /// Looks for equal neighbours whatever their case, since there are few, and then for their case.
    fn count_ties(&mut self, batch: &CaseBatch<'_>) {
        let from = batch.offsets[0] as usize;
        let (mut case, mut last_tied) = (0, usize::MAX);
        let times = &batch.times[from..batch.offsets[batch.cases()] as usize];
        for at in (0..times.len()).step_by(LOOK) {
            let some = &times[at..times.len().min(at + LOOK + 1)];
            // Most of the time there are none: many pairs are compared at once to see that.
            if !any_equal(some) {
                continue;
            }
            for (i, _) in some.windows(2).enumerate().filter(|(_, pair)| pair[0] == pair[1]) {
                let second = from + at + i + 1;
                while batch.offsets[case + 1] as usize <= second {
                    case += 1;
                }
                if batch.offsets[case] as usize != second {
                    self.tied_pairs += 1;
                    self.cases_with_ties += u64::from(last_tied != case);
                    last_tied = case;
                }
            }
        }
    }

    /// Adds what another thread has seen.
    ///
    /// # Errors
    /// INVALID_DATA where times lie further apart than their unit can count: whether they do must not depend on who has
    /// seen which.
    pub fn merge(&mut self, other: &State) -> Result<()> {
        self.events += other.events;
        self.cases += other.cases;
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.tied_pairs += other.tied_pairs;
        self.cases_with_ties += other.cases_with_ties;
        self.range = (self.range.0.min(other.range.0), self.range.1.max(other.range.1));
        check_range(self.range)
    }

    /// Counts that were kept of a log.
    pub fn known(
        events: u64,
        cases: u64,
        (first, last): (i64, i64),
        (tied_pairs, cases_with_ties): (u64, u64),
    ) -> State {
        State { events, cases, first, last, tied_pairs, cases_with_ties, ..State::default() }
    }
}

/// Refuses times of which the first and the last lie further apart than their unit can count.
///
/// # Errors
/// INVALID_DATA.
pub fn check_range((first, last): (i64, i64)) -> Result<()> {
    if first > last || last.checked_sub(first).is_some() {
        return Ok(());
    }
    let text = format!("timestamps from {first} to {last} ticks lie too far apart for their unit; use a coarser one");
    Err(Error::data(text).with("column", "timestamp"))
}

fn range(values: &[i64]) -> (i64, i64) {
    values.iter().fold((i64::MAX, i64::MIN), |(low, high), &value| (low.min(value), high.max(value)))
}
