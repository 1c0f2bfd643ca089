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
}
