//! Counters per activity.

use cjm_lanes::bits::count_bits;

use crate::cases::batch::CaseBatch;

/// The counters of one activity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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

/// What one thread has seen.
#[derive(Clone, Debug, Default)]
pub struct State {
    counts: Vec<Counts>,
    case: u64,
    narrow: Option<Box<Narrow>>,
    /// Whether occurrences are not counted, since they follow from other counts.
    without_events: bool,
}

/// Counters of batches with at most 64 activities: a case is two words of bits.
#[derive(Clone, Debug)]
struct Narrow {
    /// Two counts side by side, since a count that was just written is not at once there to be read.
    events: [[u64; WIDTH]; 2],
    starts: [u64; WIDTH],
    ends: [u64; WIDTH],
    cases: [u64; WIDTH],
    rework: [u64; WIDTH],
}

const WIDTH: usize = 64;

/// Cases that are counted together: what is known of them stays close.
const SOME: usize = 255;

impl Default for Narrow {
    fn default() -> Narrow {
        let none = [0; WIDTH];
        Narrow { events: [none; 2], starts: none, ends: none, cases: none, rework: none }
    }
}

impl Narrow {
    fn count_events(&mut self, codes: &[u32]) {
        let [even, odd] = &mut self.events;
        let (pairs, rest) = codes.as_chunks::<2>();
        for pair in pairs {
            even[pair[0] as usize % WIDTH] += 1;
            odd[pair[1] as usize % WIDTH] += 1;
        }
        rest.iter().for_each(|&code| even[code as usize % WIDTH] += 1);
    }

    fn fold(&mut self, batch: &CaseBatch<'_>) {
        // Of some cases, the activities that were seen in each, and those that were seen again.
        let (mut seen, mut again) = ([0; SOME], [0; SOME]);
        for first in (0..batch.cases()).step_by(SOME) {
            let cases = first..batch.cases().min(first + SOME);
            let n = cases.len();
            for ((case, all_seen), all_again) in cases.zip(&mut seen).zip(&mut again) {
                let codes = &batch.codes[batch.events(case)];
                let (mut seen, mut again) = (0u64, 0u64);
                for &code in codes {
                    let bit = 1 << (code % WIDTH as u32);
                    again |= seen & bit;
                    seen |= bit;
                }
                (*all_seen, *all_again) = (seen, again);
                if let (Some(&first), Some(&last)) = (codes.first(), codes.last()) {
                    self.starts[first as usize % WIDTH] += 1;
                    self.ends[last as usize % WIDTH] += 1;
                }
            }
            count_bits(&seen[..n], &mut self.cases);
            count_bits(&again[..n], &mut self.rework);
        }
    }
}

impl State {
    /// A state that does not count occurrences: an activity's are its starts and what the edges to it count.
    pub fn without_events() -> State {
        State { without_events: true, ..State::default() }
    }

    /// Takes in some cases.
    pub fn fold(&mut self, batch: &CaseBatch<'_>) {
        let (from, to) = (batch.offsets[0] as usize, batch.offsets[batch.cases()] as usize);
        let codes = &batch.codes[from..to];
        if codes.iter().fold(0, |all, &code| all | code) < WIDTH as u32 {
            let narrow = self.narrow.get_or_insert_default();
            narrow.fold(batch);
            if !self.without_events {
                narrow.count_events(codes);
            }
        } else {
            self.fold_wide(batch);
        }
    }

    fn fold_wide(&mut self, batch: &CaseBatch<'_>) {
        let events = batch.events(0).start..batch.events(batch.cases() - 1).end;
        let highest = batch.codes[events].iter().max().map_or(0, |&code| code as usize + 1);
        if highest > self.counts.len() {
            self.counts.resize(highest, Counts::default());
        }
        (0..batch.cases()).for_each(|i| self.count(&batch.codes[batch.events(i)], 1));
    }

    /// Bytes held.
    pub fn size_bytes(&self) -> usize {
        self.counts.len() * size_of::<Counts>()
    }

    /// Takes in as many cases of one sequence as `cases` says.
    pub fn add(&mut self, codes: &[u32], cases: u64) {
        let highest = codes.iter().max().map_or(0, |&code| code as usize + 1);
        if highest > self.counts.len() {
            self.counts.resize(highest, Counts::default());
        }
        self.count(codes, cases);
    }

    #[inline]
    fn count(&mut self, codes: &[u32], cases: u64) {
        self.case += 1;
        let fresh = 2 * self.case;
        for &code in codes {
            let counts = &mut self.counts[code as usize];
            counts.events += if self.without_events { 0 } else { cases };
            if counts.seen < fresh {
                counts.seen = fresh;
                counts.cases += cases;
            } else if counts.seen == fresh {
                counts.seen = fresh + 1;
                counts.rework_cases += cases;
            }
        }
        if let (Some(&first), Some(&last)) = (codes.first(), codes.last()) {
            self.counts[first as usize].starts += cases;
            self.counts[last as usize].ends += cases;
        }
    }

    /// Adds what another thread has seen.
    pub fn merge(&mut self, mut other: State) {
        self.without_events |= other.without_events;
        let more = other.take_counts();
        self.counts.resize(self.counts.len().max(more.len()), Counts::default());
        self.counts.iter_mut().zip(&more).for_each(|(counts, more)| counts.add(more));
    }

    /// Whether occurrences were not counted.
    pub fn lacks_events(&self) -> bool {
        self.without_events
    }

    /// The counters by activity code; as many as the highest code asks for, or more.
    pub fn take_counts(&mut self) -> Vec<Counts> {
        if let Some(narrow) = self.narrow.take() {
            self.counts.resize(self.counts.len().max(WIDTH), Counts::default());
            for (code, counts) in self.counts.iter_mut().take(WIDTH).enumerate() {
                let events = narrow.events[0][code] + narrow.events[1][code];
                let (starts, ends) = (narrow.starts[code], narrow.ends[code]);
                let (cases, rework_cases) = (narrow.cases[code], narrow.rework[code]);
                counts.add(&Counts { events, cases, starts, ends, rework_cases, seen: 0 });
            }
        }
        std::mem::take(&mut self.counts)
    }
}

impl Counts {
    fn add(&mut self, more: &Counts) {
        self.events += more.events;
        self.cases += more.cases;
        self.starts += more.starts;
        self.ends += more.ends;
        self.rework_cases += more.rework_cases;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::batch::Ids;
    use proptest::prelude::*;

    fn folded(cases: &[Vec<u32>], wide: bool) -> Vec<Counts> {
        let codes = cases.concat();
        let ends = cases.iter().scan(0, |end, case| {
            *end += case.len() as u32;
            Some(*end)
        });
        let offsets: Vec<u32> = std::iter::once(0).chain(ends).collect();
        let (times, keys) = (vec![0; codes.len()], vec![0; cases.len()]);
        let batch = CaseBatch {
            offsets: &offsets,
            codes: &codes,
            times: &times,
            starts: None,
            keys: &keys,
            ids: Ids::Keys,
            orders: &keys,
        };
        let mut state = State::default();
        if wide {
            state.fold_wide(&batch)
        } else {
            state.fold(&batch)
        }
        let mut counts = state.take_counts();
        counts.iter_mut().for_each(|counts| counts.seen = 0);
        // One of the two has counters up to the highest code only.
        counts.resize(WIDTH, Counts::default());
        counts
    }

    proptest! {
        #[test]
        fn words_of_bits_count_as_counters_do(
            cases in prop::collection::vec(prop::collection::vec(0u32..64, 1..30), 1..50)
        ) {
            prop_assert_eq!(folded(&cases, false), folded(&cases, true));
        }
    }
}
