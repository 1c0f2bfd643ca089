//! Where does a run of equal keys begin, and do its times ascend?

use crate::widest;

/// Writes down where each run of equal keys begins, and returns whether no time is earlier than the one before it in its
/// run. `keys` and `times` are of one length, which fits 32 bits.
#[inline]
pub fn run_starts(keys: &[u64], times: &[i64], starts: &mut Vec<u32>) -> bool {
    widest!(plain, avx2, avx512, keys, times, starts)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,popcnt")]
fn avx512(keys: &[u64], times: &[i64], starts: &mut Vec<u32>) -> bool {
    use std::arch::x86_64::{
        __m512i, _mm512_add_epi32, _mm512_cmpgt_epi64_mask, _mm512_cmpneq_epi64_mask, _mm512_loadu_epi64,
        _mm512_maskz_compress_epi32, _mm512_set1_epi32, _mm512_setr_epi32, _mm512_storeu_epi32,
    };
    const LANES: usize = 8;
    let n = keys.len().min(times.len());
    let pairs = n.saturating_sub(1);
    starts.clear();
    // Each store writes two vectors' places, found or not.
    starts.resize(n + 2 * LANES, 0);
    let (mut runs, mut descends) = (usize::from(n > 0), 0u32);
    let mut places = _mm512_setr_epi32(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16);
    let whole = pairs - pairs % (2 * LANES);
    for at in (0..whole).step_by(2 * LANES) {
        // SAFETY: at + 16 is at most `pairs`, and the pair at `pairs - 1` ends at n - 1.
        let load = |values: *const i64, from: usize| -> __m512i { unsafe { _mm512_loadu_epi64(values.add(from)) } };
        let (keys, times) = (keys.as_ptr().cast::<i64>(), times.as_ptr());
        let mut differs = 0u32;
        for half in [0, LANES] {
            let other = _mm512_cmpneq_epi64_mask(load(keys, at + half), load(keys, at + half + 1));
            let later = _mm512_cmpgt_epi64_mask(load(times, at + half), load(times, at + half + 1));
            descends |= u32::from(later & !other);
            differs |= u32::from(other) << half;
        }
        let found = _mm512_maskz_compress_epi32(differs as u16, places);
        // SAFETY: `runs` is at most n, and 16 more places have room behind that.
        unsafe { _mm512_storeu_epi32(starts[runs..runs + 2 * LANES].as_mut_ptr().cast(), found) };
        runs += differs.count_ones() as usize;
        places = _mm512_add_epi32(places, _mm512_set1_epi32(2 * LANES as i32));
    }
    rest(keys, times, whole, runs, starts) & (descends == 0)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,popcnt")]
fn avx2(keys: &[u64], times: &[i64], starts: &mut Vec<u32>) -> bool {
    use std::arch::x86_64::{
        __m128i, __m256i, _mm_add_epi32, _mm_loadu_si128, _mm_set1_epi32, _mm_shuffle_epi8, _mm_storeu_si128,
        _mm256_and_si256, _mm256_castsi256_pd, _mm256_cmpeq_epi64, _mm256_cmpgt_epi64, _mm256_loadu_si256,
        _mm256_movemask_pd, _mm256_or_si256, _mm256_setzero_si256, _mm256_testz_si256,
    };
    const LANES: usize = 4;
    let n = keys.len().min(times.len());
    let pairs = n.saturating_sub(1);
    starts.clear();
    // Each store writes a vector's places, found or not.
    starts.resize(n + LANES, 0);
    let (mut runs, mut descends) = (usize::from(n > 0), _mm256_setzero_si256());
    // SAFETY: four numbers.
    let mut places = unsafe { _mm_loadu_si128([1u32, 2, 3, 4].as_ptr().cast()) };
    let whole = pairs - pairs % LANES;
    for at in (0..whole).step_by(LANES) {
        let load = |values: *const i64, from: usize| -> __m256i {
            // SAFETY: at + 4 is at most `pairs`, and the pair at `pairs - 1` ends at n - 1.
            unsafe { _mm256_loadu_si256(values.add(from).cast()) }
        };
        let (keys, times) = (keys.as_ptr().cast::<i64>(), times.as_ptr());
        let same = _mm256_cmpeq_epi64(load(keys, at), load(keys, at + 1));
        let later = _mm256_cmpgt_epi64(load(times, at), load(times, at + 1));
        descends = _mm256_or_si256(descends, _mm256_and_si256(same, later));
        let differs = !_mm256_movemask_pd(_mm256_castsi256_pd(same)) as usize % FIRST_OF_MASK.len();
        // SAFETY: sixteen bytes.
        let order: __m128i = unsafe { _mm_loadu_si128(FIRST_OF_MASK[differs].as_ptr().cast()) };
        // SAFETY: `runs` is at most n, and 4 more places have room behind that.
        unsafe { _mm_storeu_si128(starts[runs..runs + LANES].as_mut_ptr().cast(), _mm_shuffle_epi8(places, order)) };
        runs += differs.count_ones() as usize;
        places = _mm_add_epi32(places, _mm_set1_epi32(LANES as i32));
    }
    rest(keys, times, whole, runs, starts) & (_mm256_testz_si256(descends, descends) == 1)
}

/// By mask of four numbers of 32 bits, the bytes of those of the mask first.
#[cfg(target_arch = "x86_64")]
const FIRST_OF_MASK: [[u8; 16]; 16] = {
    let mut orders = [[0; 16]; 16];
    let mut mask = 0;
    while mask < orders.len() {
        let (mut byte, mut at) = (0, 0);
        while byte < 16 {
            if mask >> (byte / 4) & 1 == 1 {
                orders[mask][at] = byte;
                at += 1;
            }
            byte += 1;
        }
        mask += 1;
    }
    orders
};

/// [`run_starts`] for every processor.
pub fn plain(keys: &[u64], times: &[i64], starts: &mut Vec<u32>) -> bool {
    of(keys, times, starts)
}

#[inline(always)]
fn of(keys: &[u64], times: &[i64], starts: &mut Vec<u32>) -> bool {
    starts.clear();
    if keys.is_empty() {
        return true;
    }
    starts.resize(keys.len(), 0);
    rest(keys, times, 0, 1, starts)
}

/// The pairs from the one at `from` on, one by one, before which `runs` begin; `starts` has room for all.
#[inline(always)]
fn rest(keys: &[u64], times: &[i64], from: usize, mut runs: usize, starts: &mut Vec<u32>) -> bool {
    let mut descends = false;
    let pairs = keys[from..].windows(2).zip(times[from..].windows(2));
    for (at, (keys, times)) in (from..).zip(pairs) {
        // Every row is written down, and kept if it differs: no branch that could be guessed wrong.
        let differs = keys[0] != keys[1];
        starts[runs] = at as u32 + 1;
        runs += usize::from(differs);
        descends |= !differs & (times[1] < times[0]);
    }
    starts.truncate(runs);
    !descends
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_form_finds_the_same_runs(
            runs in prop::collection::vec((prop_oneof![0u64..3, any::<u64>()], 1usize..40, -3i64..20), 0..40),
            steps in prop::collection::vec(-1i64..40, 40),
        ) {
            let (mut keys, mut times) = (Vec::new(), Vec::new());
            for &(key, length, step) in &runs {
                keys.extend(std::iter::repeat_n(key, length));
                let first = step.wrapping_mul(i64::MAX / 64);
                times.extend(steps[..length].iter().scan(first, |time, step| {
                    *time = time.wrapping_add(*step * i64::from(step % 7 != 0));
                    Some(*time)
                }));
            }
            let begins = |&at: &usize| at == 0 || keys[at] != keys[at - 1];
            let expected: Vec<u32> = (0..keys.len()).filter(begins).map(|at| at as u32).collect();
            let ascends = (1..keys.len()).all(|at| begins(&at) || times[at - 1] <= times[at]);
            for form in [run_starts, plain] {
                let mut starts = vec![9; 3];
                prop_assert_eq!(form(&keys, &times, &mut starts), ascends);
                prop_assert_eq!(&starts, &expected);
            }
        }
    }
}
