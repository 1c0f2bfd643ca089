//! Which of some values lie in a few ranges, and how many below each? One look, no branch that depends on a value.

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
    all(values, windows, kept, sift_any);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,popcnt")]
fn avx2_retain(values: &mut Vec<i64>, windows: &mut [Window]) {
    within(values, windows, sift_any);
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
type Some = [i64; CHUNK + LANES];

#[inline(always)]
fn all(
    values: &[i64],
    windows: &mut [Window],
    kept: &mut Vec<i64>,
    sift: impl Fn(&[i64; CHUNK], &mut [Window], &mut Some) -> usize,
) {
    let (chunks, rest) = values.as_chunks();
    let mut some = [0; CHUNK + LANES];
    for chunk in chunks {
        let found = sift(chunk, windows, &mut some);
        kept.extend_from_slice(&some[..found]);
    }
    let found = sift_few(rest, windows, &mut some);
    kept.extend_from_slice(&some[..found]);
}

#[inline(always)]
fn within(
    values: &mut Vec<i64>,
    windows: &mut [Window],
    sift: impl Fn(&[i64; CHUNK], &mut [Window], &mut Some) -> usize,
) {
    let (whole, mut kept) = (values.len() - values.len() % CHUNK, 0);
    let mut some = [0; CHUNK + LANES];
    for from in (0..whole).step_by(CHUNK) {
        let Some(chunk) = values[from..].first_chunk() else { break };
        let found = sift(chunk, windows, &mut some);
        values[kept..kept + found].copy_from_slice(&some[..found]);
        kept += found;
    }
    let found = sift_few(&values[whole..], windows, &mut some);
    values[kept..kept + found].copy_from_slice(&some[..found]);
    values.truncate(kept + found);
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
        unsafe { _mm512_storeu_epi64(some.as_mut_ptr().add(found), kept) };
        found += inside[at].count_ones() as usize;
    }
    found
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
        some[found % CHUNK] = value;
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
        some[found] = value;
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
            mut ends in prop::collection::btree_set(prop_oneof![-60i64..60, any::<i64>(), Just(i64::MIN), Just(i64::MAX)], 0..9),
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
