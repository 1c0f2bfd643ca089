//! Counters per activity.

use crate::cases::batch::CaseBatch;

/// The counters of one activity.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Occurrences.
    pub events: u64,
    /// Cases with it.
    pub cases: u64,
    /// Cases that begin with it.
    pub starts: u64,
    /// Cases that end with it.
    pub ends: u64,
    /// Cases with it twice or more.
    pub rework_cases: u64,
    /// Twice the number of the last case it was seen in (counted from 1), plus one if it was seen there again.
    seen: u64,
}

/// What one thread has seen, by activity code.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Counters by code.
    pub counts: Vec<Counts>,
    case: u64,
}

impl State {
    /// Takes in some cases.
    pub fn fold(&mut self, batch: &CaseBatch<'_>) {
        let (from, to) = (batch.offsets[0] as usize, batch.offsets[batch.cases()] as usize);
        let highest = batch.codes[from..to].iter().max().map_or(0, |&code| code as usize + 1);
        if highest > self.counts.len() {
            self.counts.resize(highest, Counts::default());
        }
        for i in 0..batch.cases() {
            let codes = &batch.codes[batch.events(i)];
            self.case += 1;
            let fresh = 2 * self.case;
            for &code in codes {
                let counts = &mut self.counts[code as usize];
                counts.events += 1;
                if counts.seen < fresh {
                    counts.seen = fresh;
                    counts.cases += 1;
                } else if counts.seen == fresh {
                    counts.seen = fresh + 1;
                    counts.rework_cases += 1;
                }
            }
            if let (Some(&first), Some(&last)) = (codes.first(), codes.last()) {
                self.counts[first as usize].starts += 1;
                self.counts[last as usize].ends += 1;
            }
        }
    }

    /// Adds what another thread has seen.
    pub fn merge(&mut self, other: &State) {
        self.counts.resize(self.counts.len().max(other.counts.len()), Counts::default());
        for (counts, more) in self.counts.iter_mut().zip(&other.counts) {
            counts.events += more.events;
            counts.cases += more.cases;
            counts.starts += more.starts;
            counts.ends += more.ends;
            counts.rework_cases += more.rework_cases;
        }
    }
}
