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
struct Slot {
    key: u64,
    case: u32,
}

const FEWEST: usize = 1024;

impl CaseTable {
    /// Forgets all cases.
    pub fn clear(&mut self) {
        self.slots.clear();
        self.slots.resize(FEWEST.max(self.used.saturating_mul(3).next_power_of_two()), Slot::default());
        self.used = 0;
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
    fn equal_keys_of_different_cases_stay_apart() {
        let mut table = CaseTable::default();
        table.clear();
        assert_eq!(table.number(9, 0, |_| false), 0);
        assert_eq!(table.number(9, 1, |_| false), 1);
        assert_eq!(table.number(9, 2, |case| case == 1), 1);
    }
}
