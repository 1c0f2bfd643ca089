//! Which number has a case? Numbers by key, in a table that one partition's cases keep in the cache.

use crate::hash;

/// Case numbers by key, in the order of first events, and how many events each case has. A slot is no more than a number, so
/// that many can stay empty: most keys are found in the first place that is looked at.
#[derive(Default)]
pub struct CaseTable {
    slots: Vec<u32>,
    /// Key per case, and room for those of a step.
    keys: Vec<u64>,
    /// Events per case; none for those to come.
    counts: Vec<u32>,
    cases: usize,
}

/// Marks an empty slot.
const EMPTY: u32 = u32::MAX;

/// Keys between two looks at whether there is room for as many new cases.
const STEP: usize = 256;

const FEWEST: usize = 1024;

/// Slots that a case gets, while they are no more than would fit the cache beside the events.
const SLOTS_PER_CASE: usize = 6;
const CACHED: usize = 1 << 16;

impl CaseTable {
    /// Forgets all cases.
    pub fn clear(&mut self) {
        // As many as the last ones wanted, and where they were very many, room for them and a few more.
        let least = self.cases * 2 + self.cases / 8;
        let wanted = (self.cases * SLOTS_PER_CASE).min(CACHED).max(least).max(FEWEST);
        self.slots.clear();
        self.slots.resize(wanted.next_power_of_two(), EMPTY);
        self.counts[..self.cases].fill(0);
        self.cases = 0;
    }

    /// How many cases there are.
    pub fn cases(&self) -> usize {
        self.cases
    }

    /// Key per case.
    pub fn keys(&self) -> &[u64] {
        &self.keys[..self.cases]
    }

    /// Events per case.
    pub fn counts(&self) -> &[u32] {
        &self.counts[..self.cases]
    }

    /// The case of each of the `keys`, into `homes`, which is as long: events with one key are of one case.
    pub fn number_all(&mut self, keys: &[u64], homes: &mut [u32]) {
        for (keys, homes) in keys.chunks(STEP).zip(homes.chunks_mut(STEP)) {
            self.make_room();
            self.number_step(keys, homes);
        }
    }

    /// Numbers as many keys as there is room for. Whether a key is new is nothing that could be guessed: it is written down as
    /// the next case's at any rate, and stays if its slot was empty.
    fn number_step(&mut self, keys: &[u64], homes: &mut [u32]) {
        let (slots, known, counts) = (&mut self.slots[..], &mut self.keys[..], &mut self.counts[..]);
        let mask = slots.len() - 1;
        let mut cases = self.cases;
        for (&key, home) in keys.iter().zip(homes) {
            let mut at = hash::of_key(key) as usize & mask;
            let case = loop {
                let found = slots[at];
                let is_new = found == EMPTY;
                let case = if is_new { cases as u32 } else { found };
                slots[at] = case;
                known[cases] = key;
                cases += usize::from(is_new);
                if known[case as usize] == key {
                    break case;
                }
                at = (at + 1) & mask;
            };
            counts[case as usize] += 1;
            *home = case;
        }
        self.cases = cases;
    }

    /// The case of an event with `key` that is the `same`, or a new one.
    pub fn number(&mut self, key: u64, same: impl Fn(u32) -> bool) -> u32 {
        self.make_room();
        let mask = self.slots.len() - 1;
        let mut at = hash::of_key(key) as usize & mask;
        while self.slots[at] != EMPTY {
            let case = self.slots[at];
            if self.keys[case as usize] == key && same(case) {
                self.counts[case as usize] += 1;
                return case;
            }
            at = (at + 1) & mask;
        }
        let case = self.cases as u32;
        self.slots[at] = case;
        self.keys[self.cases] = key;
        self.counts[self.cases] += 1;
        self.cases += 1;
        case
    }

    /// Makes room for the cases of a step, and for one that is written down and not kept.
    #[inline]
    fn make_room(&mut self) {
        let wanted = self.cases + STEP;
        if self.keys.len() <= wanted || self.slots.len() < wanted * 2 {
            self.grow(wanted);
        }
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, wanted: usize) {
        if self.keys.len() <= wanted {
            let room = (wanted + 1).next_power_of_two();
            self.keys.resize(room, 0);
            self.counts.resize(room, 0);
        }
        if self.slots.len() >= wanted * 2 {
            return;
        }
        let more = (wanted * 2).next_power_of_two().max(self.slots.len() * 4);
        self.slots.clear();
        self.slots.resize(more, EMPTY);
        for (&key, case) in self.keys[..self.cases].iter().zip(0..) {
            let mut at = hash::of_key(key) as usize & (more - 1);
            while self.slots[at] != EMPTY {
                at = (at + 1) & (more - 1);
            }
            self.slots[at] = case;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    /// The numbers of `keys`, in the order of first ones, the obvious way.
    fn expected(keys: &[u64]) -> (Vec<u32>, Vec<u64>, Vec<u32>) {
        let (mut numbers, mut known, mut counts) = (HashMap::new(), Vec::new(), Vec::new());
        let homes = keys.iter().map(|&key| {
            let case = *numbers.entry(key).or_insert_with(|| {
                known.push(key);
                counts.push(0);
                known.len() as u32 - 1
            });
            counts[case as usize] += 1;
            case
        });
        (homes.collect(), known, counts)
    }

    fn check(table: &mut CaseTable, keys: &[u64], piece: usize) {
        table.clear();
        let mut homes = vec![7; keys.len()];
        keys.chunks(piece).zip(homes.chunks_mut(piece)).for_each(|(keys, homes)| table.number_all(keys, homes));
        let (numbers, known, counts) = expected(keys);
        assert!(homes == numbers && table.keys() == known && table.counts() == counts);
        assert_eq!(table.cases(), known.len());
        table.clear();
        let one_by_one: Vec<u32> = keys.iter().map(|&key| table.number(key, |_| true)).collect();
        assert!(one_by_one == numbers && table.keys() == known && table.counts() == counts);
    }

    #[test]
    fn keys_keep_their_numbers_while_the_table_grows() {
        let mut table = CaseTable::default();
        for round in 0..3 {
            let keys: Vec<u64> = (0..50_000 >> round).chain(0..5_000).map(|case| case * 7).collect();
            check(&mut table, &keys, 20_000);
        }
    }

    #[test]
    fn equal_keys_of_different_cases_stay_apart() {
        let mut table = CaseTable::default();
        table.clear();
        assert_eq!(table.number(9, |_| false), 0);
        assert_eq!(table.number(9, |_| false), 1);
        assert_eq!(table.number(9, |case| case == 1), 1);
        assert_eq!((table.keys(), table.counts()), (&[9, 9][..], &[1, 2][..]));
    }

    proptest! {
        #[test]
        fn numbers_are_those_of_the_obvious_way(
            logs in prop::collection::vec(prop::collection::vec(0u64..400, 0..1500), 1..4), piece in 1usize..700
        ) {
            let mut table = CaseTable::default();
            logs.iter().for_each(|keys| check(&mut table, keys, piece));
        }
    }
}
