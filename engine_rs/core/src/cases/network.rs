//! How are a few numbers sorted without a branch that depends on them? By the same comparisons in any case.
//!
//! Insertion guesses wrong about once per number, which costs more than all the comparisons of a network. This is Batcher's
//! odd-even merge sort (K. E. Batcher, Sorting networks and their applications, 1968): sorted stretches of 1, 2, 4, ...
//! are merged in pairs. Cost: 19 comparisons for 8 numbers, 63 for 16, 191 for 32.

/// Sorts `words`; their number is a power of two, 32 at most.
#[inline]
pub fn sort<const N: usize>(words: &mut [u64; N]) {
    const { assert!(N.is_power_of_two() && N <= 32) };
    // Each length is written out, so that it is known where the loops of a merge end.
    merge_all::<N, 1>(words);
    merge_all::<N, 2>(words);
    merge_all::<N, 4>(words);
    merge_all::<N, 8>(words);
    merge_all::<N, 16>(words);
}

/// Merges every two sorted stretches of `HALF` words.
#[inline(always)]
fn merge_all<const N: usize, const HALF: usize>(words: &mut [u64; N]) {
    if HALF < N {
        (0..N).step_by(2 * HALF).for_each(|from| merge::<N, HALF>(words, from));
    }
}

#[inline(always)]
fn merge<const N: usize, const HALF: usize>(words: &mut [u64; N], from: usize) {
    for at in from..from + HALF {
        exchange(words, at, at + HALF);
    }
    let mut apart = HALF / 2;
    while apart > 0 {
        for first in (apart..2 * HALF - apart).step_by(2 * apart) {
            for at in from + first..from + first + apart {
                exchange(words, at, at + apart);
            }
        }
        apart /= 2;
    }
}

#[inline(always)]
fn exchange<const N: usize>(words: &mut [u64; N], low: usize, high: usize) {
    let (a, b) = (words[low], words[high]);
    words[low] = a.min(b);
    words[high] = a.max(b);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What sorts all words of zeros and ones sorts all words.
    fn sorts_zeros_and_ones<const N: usize>() {
        for bits in 0..1u32 << N {
            let mut words: [u64; N] = std::array::from_fn(|at| u64::from(bits >> at & 1));
            sort(&mut words);
            assert!(words.is_sorted() && words.iter().sum::<u64>() == u64::from(bits.count_ones()), "{bits:b}");
        }
    }

    #[test]
    fn all_zeros_and_ones_are_sorted() {
        sorts_zeros_and_ones::<1>();
        sorts_zeros_and_ones::<2>();
        sorts_zeros_and_ones::<4>();
        sorts_zeros_and_ones::<8>();
        sorts_zeros_and_ones::<16>();
    }

    #[test]
    fn two_sorted_halves_of_zeros_and_ones_merge() {
        for (low, high) in (0..=16).flat_map(|low| (0..=16).map(move |high| (low, high))) {
            let mut words: [u64; 32] = std::array::from_fn(|at| u64::from(at % 16 >= if at < 16 { low } else { high }));
            merge::<32, 16>(&mut words, 0);
            assert!(words.is_sorted(), "{low} {high}");
        }
    }

    proptest! {
        #[test]
        fn any_words_are_sorted(words in prop::array::uniform32(any::<u64>())) {
            let (mut sorted, mut expected) = (words, words);
            sort(&mut sorted);
            expected.sort_unstable();
            prop_assert_eq!(sorted, expected);
        }
    }
}
