//! How often is each of 64 bits set in some words? Counted for all bits at once.

/// Adds to `totals` how many of `words` have each bit set.
#[inline]
pub fn count_bits(words: &[u64], totals: &mut [u64; 64]) {
    #[cfg(target_arch = "x86_64")]
    if crate::has_avx512() {
        // SAFETY: the processor has what the function is compiled for.
        return unsafe { avx512(words, totals) };
    }
    plain(words, totals)
}

/// A word is a mask of 64 bytes, each of which counts one bit; they are added to the totals before one is full.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512bw")]
fn avx512(words: &[u64], totals: &mut [u64; 64]) {
    use std::arch::x86_64::{_mm512_mask_add_epi8, _mm512_set1_epi8, _mm512_setzero_si512, _mm512_storeu_epi8};
    let one = _mm512_set1_epi8(1);
    for words in words.chunks(usize::from(u8::MAX)) {
        let mut counts = _mm512_setzero_si512();
        for &word in words {
            counts = _mm512_mask_add_epi8(counts, word, counts, one);
        }
        let mut of_bit = [0u8; 64];
        // SAFETY: 64 bytes.
        unsafe { _mm512_storeu_epi8(of_bit.as_mut_ptr().cast(), counts) };
        totals.iter_mut().zip(of_bit).for_each(|(total, count)| *total += u64::from(count));
    }
}

/// Words counted before the planes are read off: none of the counters overflows.
const BLOCK: usize = (1 << PLANES) - 1;
const PLANES: usize = 8;

/// [`count_bits`] for every processor. Counters of 64 bits are kept as planes: plane `k` holds bit `k` of each of them, so
/// that a word is added to all by a few carries, however many of its bits are set.
pub fn plain(words: &[u64], totals: &mut [u64; 64]) {
    for words in words.chunks(BLOCK) {
        let mut planes = [0u64; PLANES];
        for &word in words {
            let mut carry = word;
            for plane in &mut planes {
                let next = *plane & carry;
                *plane ^= carry;
                carry = next;
            }
        }
        for (bit, total) in totals.iter_mut().enumerate() {
            *total += planes.iter().enumerate().map(|(k, plane)| (plane >> bit & 1) << k).sum::<u64>();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_form_counts_as_one_bit_after_the_other(
            words in prop::collection::vec(prop_oneof![any::<u64>(), Just(u64::MAX), Just(1)], 0..1200)
        ) {
            let mut expected = [5u64; 64];
            for word in &words {
                (0..64).for_each(|bit| expected[bit] += word >> bit & 1);
            }
            for form in [count_bits, plain] {
                let mut totals = [5u64; 64];
                form(&words, &mut totals);
                prop_assert_eq!(totals, expected);
            }
        }
    }
}
