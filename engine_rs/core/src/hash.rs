//! Fast, fixed hashes: the same in every run, so that nothing that follows from them can differ between runs.
//!
//! No result depends on hash order, and no hash stands for an identity: equal hashes are always followed by a comparison.

use std::hash::BuildHasher;

use foldhash::quality::FixedState;

const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

/// Hash of a byte string.
#[inline]
pub fn of_bytes(bytes: &[u8]) -> u64 {
    FixedState::with_seed(SEED).hash_one(bytes)
}

/// Hash of an integer: both halves of a 128-bit product, so that any of its bits may choose a partition.
#[inline]
pub fn of_key(key: u64) -> u64 {
    let product = u128::from(key ^ SEED) * u128::from(0xd6e8_feb8_6659_fd93_u64);
    let folded = (product ^ (product >> 64)) as u64;
    // One product leaves the high bits of small keys alike; a second one spreads the folded bits upwards.
    folded.wrapping_mul(SEED)
}

/// Hash of two words: any of its bits may choose a part or a place in a table.
#[inline]
pub fn of_pair(low: u64, high: u64) -> u64 {
    let fold = |a: u64, b: u64| {
        let product = u128::from(a) * u128::from(b);
        product as u64 ^ (product >> 64) as u64
    };
    // One word after the other: the product of both would be the same for all pairs in which one of the factors is zero.
    fold(fold(low ^ SEED, 0xd6e8_feb8_6659_fd93) ^ high, SEED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consecutive_keys_spread_over_the_high_bits() {
        let mut counts = [0u32; 64];
        (0..64_000u64).for_each(|key| counts[(of_key(key) >> 58) as usize] += 1);
        assert!(counts.iter().all(|&count| (700..1300).contains(&count)), "{counts:?}");
        assert_ne!(of_bytes(b"a"), of_bytes(b"b"));
    }

    #[test]
    fn no_word_hides_the_other() {
        for word in [0, SEED, 0xd6e8_feb8_6659_fd93, u64::MAX] {
            for of in [|word, i| of_pair(word, i), |word, i| of_pair(i, word)] {
                let mut hashes: Vec<u64> = (0..1000).map(|i| of(word, i)).collect();
                hashes.sort_unstable();
                hashes.dedup();
                assert_eq!(hashes.len(), 1000, "{word:x}");
            }
        }
    }

    #[test]
    fn pairs_spread_over_low_and_high_bits_whichever_word_differs() {
        for word in 0..3 {
            let (mut low, mut high) = ([0u32; 64], [0u32; 64]);
            for i in 0..64_000u64 {
                let hash = match word {
                    0 => of_pair(i, 7 << 56),
                    1 => of_pair(7, i << 40),
                    _ => of_pair(i << 48, 0),
                };
                low[(hash & 63) as usize] += 1;
                high[(hash >> 32 & 63) as usize] += 1;
            }
            for counts in [low, high] {
                assert!(counts.iter().all(|&count| (700..1300).contains(&count)), "{word}: {counts:?}");
            }
        }
    }
}
