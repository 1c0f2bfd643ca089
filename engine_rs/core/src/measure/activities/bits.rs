//! How often was each of 64 bits set in many words? Counted for all bits at once.

/// Counters of 64 bits, kept as bit planes: plane `k` holds bit `k` of every counter, so that a word is added to all of
/// them by a few carries, however many of its bits are set.
#[derive(Clone, Debug)]
pub struct BitCounters {
    low: [u64; LOW],
    high: [u64; HIGH],
    words: u32,
    totals: [u64; 64],
}

/// Planes that every word runs through, without a branch that could be guessed wrong.
const LOW: usize = 4;
const LOW_FULL: u32 = (1 << LOW) - 1;
const HIGH: usize = 16;
const FULL: u32 = LOW_FULL << (HIGH - LOW);

impl Default for BitCounters {
    fn default() -> BitCounters {
        BitCounters { low: [0; LOW], high: [0; HIGH], words: 0, totals: [0; 64] }
    }
}

impl BitCounters {
    /// Counts the bits of `word`.
    #[inline]
    pub fn add(&mut self, word: u64) {
        let mut carry = word;
        for plane in &mut self.low {
            let next = *plane & carry;
            *plane ^= carry;
            carry = next;
        }
        self.words += 1;
        if self.words.is_multiple_of(LOW_FULL) {
            self.raise();
        }
    }

    /// How often each bit was set.
    pub fn totals(&mut self) -> &[u64; 64] {
        self.raise();
        self.flush();
        &self.totals
    }

    /// Adds the low planes, which are full, to the high ones.
    fn raise(&mut self) {
        for (k, low) in self.low.iter_mut().enumerate() {
            let mut carry = std::mem::take(low);
            for plane in &mut self.high[k..] {
                let next = *plane & carry;
                *plane ^= carry;
                carry = next;
            }
        }
        if self.words >= FULL {
            self.flush();
        }
    }

    #[cold]
    fn flush(&mut self) {
        for (bit, total) in self.totals.iter_mut().enumerate() {
            let bits = self.high.iter().enumerate().map(|(k, plane)| (plane >> bit & 1) << k);
            *total += bits.sum::<u64>();
        }
        self.high = [0; HIGH];
        self.words = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_is_counted_beyond_the_planes() {
        let mut counters = BitCounters::default();
        let mut expected = [0u64; 64];
        let mut word = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..200_000 {
            word ^= word << 13;
            word ^= word >> 7;
            word ^= word << 17;
            counters.add(word | 1);
            (0..64).for_each(|bit| expected[bit] += (word | 1) >> bit & 1);
        }
        assert_eq!(counters.totals(), &expected);
        assert_eq!(expected[0], 200_000);
        assert_eq!(counters.totals(), &expected);
    }
}
