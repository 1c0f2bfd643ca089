//! Which number has a case? Numbers by key, in a table that one partition's cases keep in the cache.

use crate::hash;

/// Case numbers by key. Keys may be hashes: who looks one up says which case it is.
#[derive(Default)]
pub struct CaseTable {
    slots: Vec<Slot>,
    used: usize,
}

/// A key with its case's number plus one; 0 marks an empty slot.
#[derive(Clone, Copy, Default)]
pub struct Slot {
    key: u64,
    case: u32,
}

/// Keys that are looked for at once.
pub const LOOK: usize = 16;

const FEWEST: usize = 1024;

impl Slot {
    /// The number of the case with `key`, if it is this one's.
    #[inline]
    pub fn case(self, key: u64) -> Option<u32> {
        if self.key == key { self.case.checked_sub(1) } else { None }
    }
}

impl CaseTable {
    /// Forgets all cases.
    pub fn clear(&mut self) {
        self.slots.clear();
        // As many as the last ones had room in, and a few more.
        let wanted = self.used.saturating_mul(2).saturating_add(self.used / 8);
        self.slots.resize(FEWEST.max(wanted.next_power_of_two()), Slot::default());
        self.used = 0;
    }

    /// What the first places hold in which the cases with `keys` may be, for as many keys as a look is wide. The places are
    /// read without waiting for each other; one that holds its key does so for good.
    #[inline]
    pub fn look(&self, keys: &[u64]) -> [Slot; LOOK] {
        let mask = self.slots.len() - 1;
        let mut seen = [Slot::default(); LOOK];
        for (seen, &key) in seen.iter_mut().zip(keys) {
            *seen = self.slots[hash::of_key(key) as usize & mask];
        }
        seen
    }

    /// The number of the case with `key` that is the `same`, or `new` for one that was not seen before.
    #[inline]
    pub fn number(&mut self, key: u64, new: u32, same: impl Fn(u32) -> bool) -> u32 {
        let mask = self.slots.len() - 1;
        let mut at = hash::of_key(key) as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot.case == 0 {
                self.slots[at] = Slot { key, case: new + 1 };
                self.used += 1;
                if self.used * 2 > self.slots.len() {
                    self.grow();
                }
                return new;
            }
            if slot.key == key && same(slot.case - 1) {
                return slot.case - 1;
            }
            at = (at + 1) & mask;
        }
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self) {
        let more = self.slots.len() * 4;
        let slots = std::mem::replace(&mut self.slots, vec![Slot::default(); more]);
        for slot in slots.into_iter().filter(|slot| slot.case > 0) {
            let mut at = hash::of_key(slot.key) as usize & (more - 1);
            while self.slots[at].case > 0 {
                at = (at + 1) & (more - 1);
            }
            self.slots[at] = slot;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_their_numbers_while_the_table_grows() {
        let mut table = CaseTable::default();
        for round in 0..2 {
            table.clear();
            for case in 0..5_000u32 {
                assert_eq!(table.number(u64::from(case) * 7, case, |_| true), case, "{round}");
            }
            for case in 0..5_000u32 {
                assert_eq!(table.number(u64::from(case) * 7, u32::MAX - 1, |_| true), case, "{round}");
            }
        }
    }

    #[test]
    fn a_look_tells_of_known_keys_only_what_is_so() {
        let mut table = CaseTable::default();
        table.clear();
        let keys: Vec<u64> = (0..600).map(|case| case * 31).collect();
        assert!(table.look(&keys).iter().zip(&keys).all(|(slot, &key)| slot.case(key).is_none()));
        for (&key, case) in keys.iter().zip(0..) {
            table.number(key, case, |_| true);
        }
        let mut known = 0;
        for (first, keys) in (0..).step_by(LOOK).zip(keys.chunks(LOOK)) {
            for ((slot, &key), case) in table.look(keys).iter().zip(keys).zip(first..) {
                assert!(slot.case(key).is_none_or(|found| found == case), "{key}");
                assert_eq!(slot.case(key + 1), None);
                known += usize::from(slot.case(key).is_some());
            }
        }
        // Most of them stand in their first place.
        assert!(known > 400, "{known}");
    }

    #[test]
    fn equal_keys_of_different_cases_stay_apart() {
        let mut table = CaseTable::default();
        table.clear();
        assert_eq!(table.number(9, 0, |_| false), 0);
        assert_eq!(table.number(9, 1, |_| false), 1);
        assert_eq!(table.number(9, 2, |case| case == 1), 1);
    }
}
