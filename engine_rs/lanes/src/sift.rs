//! Which of some values lie in a few ranges, and how many below each? One look, no branch that depends on a value.

use std::mem::MaybeUninit;

use crate::widest;

/// A range of values, both ends included, and how many values were seen below it and in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its least value.
    pub low: i64,
    /// Its greatest value.
    pub high: i64,
    /// Values below `low`.
    pub below: u64,
    /// Values from `low` to `high`.
    pub inside: u64,
}

/// Values looked at in one go.
const CHUNK: usize = 64;
const LANES: usize = 8;

/// Counts `values` below and inside each of `windows`, which lie apart, and appends those that are inside of one to `kept`,
/// in their order.
#[inline]
pub fn sift(values: &[i64], windows: &mut [Window], kept: &mut Vec<i64>) {
    widest!(plain, avx2, avx512, values, windows, kept)
}

/// As [`sift`], keeping in `values` only those that are inside.
#[inline]
pub fn retain(values: &mut Vec<i64>, windows: &mut [Window]) {
    widest!(plain_retain, avx2_retain, avx512_retain, values, windows)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,popcnt")]
fn avx512(values: &[i64], windows: &mut [Window], kept: &mut Vec<i64>) {
    all(values, windows, kept, |chunk, windows, some| sift_512(chunk, windows, some));
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,popcnt")]
fn avx512_retain(values: &mut Vec<i64>, windows: &mut [Window]) {
    within(values, windows, |chunk, windows, some| sift_512(chunk, windows, some));
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,popcnt")]
fn avx2(values: &[i64], windows: &mut [Window], kept: &mut Vec<i64>) {
    all(values, windows, kept, |chunk, windows, some| sift_256(chunk, windows, some));
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,popcnt")]
fn avx2_retain(values: &mut Vec<i64>, windows: &mut [Window]) {
    within(values, windows, |chunk, windows, some| sift_256(chunk, windows, some));
}

/// [`sift`] for every processor.
pub fn plain(values: &[i64], windows: &mut [Window], kept: &mut Vec<i64>) {
    all(values, windows, kept, sift_any);
}

/// [`retain`] for every processor.
pub fn plain_retain(values: &mut Vec<i64>, windows: &mut [Window]) {
    within(values, windows, sift_any);
}

/// Room for the values of a chunk that are kept, and for a vector behind the last of them.
type Some = [MaybeUninit<i64>; ROOM];

/// Values that may be appended beyond those that are kept, before they are forgotten again.
pub const ROOM: usize = CHUNK + LANES;

#[inline(always)]
fn all(
    values: &[i64],
    windows: &mut [Window],
    kept: &mut Vec<i64>,
    sift: impl Fn(&[i64; CHUNK], &mut [Window], &mut Some) -> usize,
) {
    if windows.is_empty() {
        return;
    }
    let (chunks, rest) = values.as_chunks();
    for chunk in chunks {
        append(kept, |some| sift(chunk, windows, some));
    }
    append(kept, |some| sift_few(rest, windows, some));
}

/// Appends as many values as `put` says it has put down.
#[inline(always)]
fn append(kept: &mut Vec<i64>, put: impl FnOnce(&mut Some) -> usize) {
    kept.reserve(ROOM);
    let before = kept.len();
    let Some(some) = kept.spare_capacity_mut().first_chunk_mut() else { return };
    let found = put(some).min(CHUNK);
    // SAFETY: so many values were put down behind the others, and there was room for more.
    unsafe { kept.set_len(before + found) };
}

#[inline(always)]
fn within(
    values: &mut Vec<i64>,
    windows: &mut [Window],
    sift: impl Fn(&[i64; CHUNK], &mut [Window], &mut Some) -> usize,
) {
    let mut kept = Vec::with_capacity(2 * CHUNK);
    let (whole, mut end) = (values.len() - values.len() % CHUNK, 0);
    for from in (0..whole).step_by(CHUNK) {
        let Some(chunk) = values[from..].first_chunk() else { break };
        kept.clear();
        append(&mut kept, |some| sift(chunk, windows, some));
        values[end..end + kept.len()].copy_from_slice(&kept);
        end += kept.len();
    }
    kept.clear();
    append(&mut kept, |some| sift_few(&values[whole..], windows, some));
    values.truncate(end);
    values.extend_from_slice(&kept);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,popcnt")]
#[inline]
fn sift_512(chunk: &[i64; CHUNK], windows: &mut [Window], some: &mut Some) -> usize {
    use std::arch::x86_64::{
        __m512i, _mm512_cmpge_epi64_mask, _mm512_loadu_epi64, _mm512_mask_cmple_epi64_mask,
        _mm512_maskz_compress_epi64, _mm512_set1_epi64, _mm512_storeu_epi64,
    };
    const VECTORS: usize = CHUNK / LANES;
    let vectors: [__m512i; VECTORS] = std::array::from_fn(|at| {
        // SAFETY: the last of the eight vectors ends where the chunk ends.
        unsafe { _mm512_loadu_epi64(chunk.as_ptr().add(at * LANES)) }
    });
    let mut inside = [0u8; VECTORS];
    for window in windows {
        let (low, high) = (_mm512_set1_epi64(window.low), _mm512_set1_epi64(window.high));
        let (mut above, mut held) = ([0u8; VECTORS], [0u8; VECTORS]);
        for at in 0..VECTORS {
            above[at] = _mm512_cmpge_epi64_mask(vectors[at], low);
            held[at] = _mm512_mask_cmple_epi64_mask(above[at], vectors[at], high);
            inside[at] |= held[at];
        }
        window.below += CHUNK as u64 - u64::from(u64::from_le_bytes(above).count_ones());
        window.inside += u64::from(u64::from_le_bytes(held).count_ones());
    }
    let mut found = 0;
    for at in 0..VECTORS {
        let kept = _mm512_maskz_compress_epi64(inside[at], vectors[at]);
        // SAFETY: at most LANES values of each vector before were kept, so that a whole one has room behind them.
        unsafe { _mm512_storeu_epi64(some.as_mut_ptr().add(found).cast(), kept) };
        found += inside[at].count_ones() as usize;
    }
    found
}

/// Sixteen values at a time stay in registers while all windows pass by.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,popcnt")]
#[inline]
fn sift_256(chunk: &[i64; CHUNK], windows: &mut [Window], some: &mut Some) -> usize {
    use std::arch::x86_64::{
        __m256i, _mm256_add_epi64, _mm256_and_si256, _mm256_castsi256_pd, _mm256_cmpgt_epi64, _mm256_loadu_si256,
        _mm256_movemask_pd, _mm256_or_si256, _mm256_permutevar8x32_epi32, _mm256_set1_epi64x, _mm256_setzero_si256,
        _mm256_storeu_si256,
    };
    const LANES: usize = 4;
    const VECTORS: usize = 4;
    /// Windows that pass by at once.
    const AT_ONCE: usize = 4;
    let load = |at: usize| -> __m256i {
        // SAFETY: four values.
        unsafe { _mm256_loadu_si256(chunk[at..at + LANES].as_ptr().cast()) }
    };
    // Bit i is set where value i lies outside of all windows.
    let mut outside = u64::MAX;
    for windows in windows.chunks_mut(AT_ONCE) {
        let mut counts = [[_mm256_setzero_si256(); 2]; AT_ONCE];
        for from in (0..CHUNK).step_by(VECTORS * LANES) {
            let values: [__m256i; VECTORS] = std::array::from_fn(|at| load(from + at * LANES));
            let mut apart = [_mm256_set1_epi64x(-1); VECTORS];
            for (window, [below, above]) in windows.iter().zip(&mut counts) {
                let (low, high) = (_mm256_set1_epi64x(window.low), _mm256_set1_epi64x(window.high));
                // What is true is -1.
                let (mut less, mut greater) = (*below, *above);
                for (&value, apart) in values.iter().zip(&mut apart) {
                    let (is_less, is_greater) = (_mm256_cmpgt_epi64(low, value), _mm256_cmpgt_epi64(value, high));
                    less = _mm256_add_epi64(less, is_less);
                    greater = _mm256_add_epi64(greater, is_greater);
                    *apart = _mm256_and_si256(*apart, _mm256_or_si256(is_less, is_greater));
                }
                (*below, *above) = (less, greater);
            }
            let bits = apart.into_iter().enumerate().fold(0, |bits, (at, apart)| {
                bits | (_mm256_movemask_pd(_mm256_castsi256_pd(apart)) as u64) << (at * LANES)
            });
            outside &= bits << from | !(0xffff << from);
        }
        for (window, [below, above]) in windows.iter_mut().zip(&counts) {
            let (below, above) = (minus_sum_256(*below), minus_sum_256(*above));
            window.below += below;
            window.inside += CHUNK as u64 - below - above;
        }
    }
    let mut found = 0;
    for from in (0..CHUNK).step_by(LANES) {
        let mask = (!outside >> from) as usize % FIRST_OF_MASK.len();
        // SAFETY: eight numbers.
        let order = unsafe { _mm256_loadu_si256(FIRST_OF_MASK[mask].as_ptr().cast()) };
        let kept = _mm256_permutevar8x32_epi32(load(from), order);
        // SAFETY: at most LANES values of each vector before were kept, so that a whole one has room behind them.
        unsafe { _mm256_storeu_si256(some.as_mut_ptr().add(found).cast(), kept) };
        found += mask.count_ones() as usize;
    }
    found
}

/// By mask of four values, their halves with those of the mask first.
#[cfg(target_arch = "x86_64")]
const FIRST_OF_MASK: [[u32; 8]; 16] = {
    let mut orders = [[0; 8]; 16];
    let mut mask = 0;
    while mask < orders.len() {
        let (mut value, mut at) = (0, 0);
        while value < 4 {
            if mask >> value & 1 == 1 {
                orders[mask][at] = 2 * value;
                orders[mask][at + 1] = 2 * value + 1;
                at += 2;
            }
            value += 1;
        }
        mask += 1;
    }
    orders
};

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[inline]
fn minus_sum_256(counts: std::arch::x86_64::__m256i) -> u64 {
    let mut of_lane = [0u64; 4];
    // SAFETY: four words.
    unsafe { std::arch::x86_64::_mm256_storeu_si256(of_lane.as_mut_ptr().cast(), counts) };
    of_lane.into_iter().fold(0, u64::wrapping_sub)
}

#[inline(always)]
fn sift_any(chunk: &[i64; CHUNK], windows: &mut [Window], some: &mut Some) -> usize {
    // All loops but the last have no order: they are done for several values at once.
    let mut inside = [0i64; CHUNK];
    for window in windows {
        let (mut from_low, mut within) = (0, 0);
        for (&value, inside) in chunk.iter().zip(&mut inside) {
            let above = i64::from(value >= window.low);
            let held = above & i64::from(value <= window.high);
            from_low += above;
            within += held;
            *inside |= held;
        }
        window.below += (CHUNK as i64 - from_low) as u64;
        window.inside += within as u64;
    }
    let mut found = 0;
    for (&value, &inside) in chunk.iter().zip(&inside) {
        some[found % CHUNK].write(value);
        found += inside as usize;
    }
    found
}

/// Fewer values than a chunk.
fn sift_few(values: &[i64], windows: &mut [Window], some: &mut Some) -> usize {
    let mut found = 0;
    for &value in values {
        let mut inside = false;
        for window in &mut *windows {
            let held = (window.low..=window.high).contains(&value);
            window.below += u64::from(value < window.low);
            window.inside += u64::from(held);
            inside |= held;
        }
        some[found % CHUNK].write(value);
        found += usize::from(inside);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type AnyForm = Box<dyn Fn(&[i64], &mut [Window], &mut Vec<i64>)>;

    proptest! {
        #[test]
        fn every_form_finds_what_comparing_one_by_one_finds(
            values in prop::collection::vec(prop_oneof![-50i64..50, any::<i64>(), Just(i64::MIN), Just(i64::MAX)], 0..300),
            mut ends in prop::collection::btree_set(prop_oneof![-60i64..60, any::<i64>(), Just(i64::MIN), Just(i64::MAX)], 0..29),
        ) {
            if ends.len() % 2 == 1 {
                ends.pop_last();
            }
            let ends: Vec<i64> = ends.into_iter().collect();
            let windows: Vec<Window> =
                ends.chunks(2).map(|ends| Window { low: ends[0], high: ends[1], below: 7, inside: 3 }).collect();
            let holds = |window: &Window, value: i64| (window.low..=window.high).contains(&value);
            let expected: Vec<i64> =
                values.iter().copied().filter(|&value| windows.iter().any(|window| holds(window, value))).collect();
            type Form = fn(&[i64], &mut [Window], &mut Vec<i64>);
            let in_place = |retain: fn(&mut Vec<i64>, &mut [Window])| move |values: &[i64], windows: &mut [Window], kept: &mut Vec<i64>| {
                let mut values = values.to_vec();
                retain(&mut values, windows);
                kept.append(&mut values);
            };
            let forms: [AnyForm; 4] = [
                Box::new(sift as Form), Box::new(plain as Form), Box::new(in_place(retain)), Box::new(in_place(plain_retain)),
            ];
            for form in forms {
                let (mut seen, mut kept) = (windows.clone(), vec![42]);
                form(&values, &mut seen, &mut kept);
                prop_assert_eq!(kept[0], 42);
                prop_assert_eq!(&kept[1..], &expected[..]);
                for (seen, window) in seen.iter().zip(&windows) {
                    let below = values.iter().filter(|&&value| value < window.low).count() as u64;
                    let inside = values.iter().filter(|&&value| holds(window, value)).count() as u64;
                    prop_assert_eq!((seen.below, seen.inside), (7 + below, 3 + inside));
                }
            }
        }
    }
}
