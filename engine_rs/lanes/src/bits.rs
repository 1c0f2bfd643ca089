//! How often is each of 64 bits set in some words? Counted for all bits at once.

use crate::widest;

/// Adds to `totals` how many of `words` have each bit set.
#[inline]
pub fn count_bits(words: &[u64], totals: &mut [u64; 64]) {
    widest!(plain, avx2, avx512, words, totals)
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

/// As with AVX-512, but each byte has to find its bit in the word: it takes the byte of the word that has it, and compares.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2(words: &[u64], totals: &mut [u64; 64]) {
    use std::arch::x86_64::{
        __m256i, _mm256_and_si256, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_set1_epi64x, _mm256_setzero_si256,
        _mm256_shuffle_epi8, _mm256_storeu_si256, _mm256_sub_epi8,
    };
    const LANES: usize = 32;
    const BYTE_OF: [u8; 64] = {
        let mut byte_of = [0; 64];
        let mut bit = 0;
        while bit < 64 {
            byte_of[bit] = bit as u8 / 8;
            bit += 1;
        }
        byte_of
    };
    // SAFETY: 32 bytes.
    let load = |half: usize| -> __m256i { unsafe { _mm256_loadu_si256(BYTE_OF[half * LANES..].as_ptr().cast()) } };
    let byte_of = [load(0), load(1)];
    let bit_of = _mm256_set1_epi64x(0x8040_2010_0804_0201_u64.cast_signed());
    for words in words.chunks(usize::from(u8::MAX)) {
        let mut counts = [_mm256_setzero_si256(); 2];
        for &word in words {
            let word = _mm256_set1_epi64x(word.cast_signed());
            for (counts, &byte_of) in counts.iter_mut().zip(&byte_of) {
                let own = _mm256_and_si256(_mm256_shuffle_epi8(word, byte_of), bit_of);
                // What is equal is -1.
                *counts = _mm256_sub_epi8(*counts, _mm256_cmpeq_epi8(own, bit_of));
            }
        }
        for (counts, totals) in counts.into_iter().zip(totals.chunks_mut(LANES)) {
            let mut of_bit = [0u8; LANES];
            // SAFETY: 32 bytes.
            unsafe { _mm256_storeu_si256(of_bit.as_mut_ptr().cast(), counts) };
            totals.iter_mut().zip(of_bit).for_each(|(total, count)| *total += u64::from(count));
        }
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
