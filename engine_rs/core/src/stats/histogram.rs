//! Between which values does a percentile lie, if only the numbers of values in buckets are kept?
//!
//! One histogram per set, over the buckets of a [`Scale`]. What it says depends on the number of values in each bucket and
//! on nothing else, and merging adds these numbers: so the order of values, batches and threads cannot show.
//!
//! The bound. Let percentile p of n sorted values be `(1 - f) x[i] + f x[i+1]` (R type 7), and let `l[i] <= x[i] <= u[i]` be
//! the ends of the bucket that holds rank i. The percentile rises with both neighbours, so it lies between
//! `lo = (1 - f) l[i] + f l[i+1]` and `hi = (1 - f) u[i] + f u[i+1]`. Since `u - l <= 2e |x|` in each bucket, the middle of lo
//! and hi, which is the answer, is off by at most `e ((1 - f) |x[i]| + f |x[i+1]|)`. That is e times the percentile where
//! both neighbours have the same sign; where they have not, the percentile may be next to zero, and the bound is the share e
//! of what lies around it. Ends are cut to the least and greatest value, which are known and are ranks 0 and n - 1.
//! All is computed in whole ticks and rounded to a float once, which keeps order: lo <= exact <= hi also as floats.
//!
//! Cost: O(n), a few steps per value. Space: 4 bytes per value at first; then 8 per bucket in pages of 32 buckets, of which
//! there are at most as many as the scale has, whatever n: 60 kB and as much below zero for e = 0.01, about 10 kB in practice.

use crate::stats::moments::Moments;
use crate::stats::quantile::{Percentile, of_ranked, ranks};
use crate::stats::scale::Scale;

/// Buckets in a page.
const PAGE_BITS: u32 = 5;
const PAGE: usize = 1 << PAGE_BITS;

/// Below this many values, a list of their buckets takes the least space.
const FEW: usize = 256;

/// A list may take as many bytes per value (half of them spare) before pages are at least as good.
const BYTES_OF_ONE: usize = 2 * size_of::<i32>();

/// How many values are in each bucket.
#[derive(Clone, Debug)]
pub struct Histogram {
    scale: Scale,
    /// The bucket of each value, while there are few; all are in pages otherwise.
    few: Vec<i32>,
    /// How many are few, once that has been looked at.
    next: usize,
    /// Number of the page that comes first in the table: that of a bucket is `bucket >> PAGE_BITS`.
    first: i32,
    /// By page: its place in `pages`, from 1; 0 where it has no value.
    table: Vec<u32>,
    pages: Vec<[u64; PAGE]>,
}

impl Histogram {
    /// A histogram of no values.
    pub fn new(scale: Scale) -> Histogram {
        Histogram { scale, few: Vec::new(), next: FEW, first: 0, table: Vec::new(), pages: Vec::new() }
    }

    /// The histogram of values that are there so often.
    pub fn of_counts(scale: Scale, values: &[i64], counts: &[u64]) -> Histogram {
        let mut histogram = Histogram::new(scale);
        values.iter().zip(counts).for_each(|(&value, &count)| histogram.add(scale.bucket(value), count));
        histogram
    }

    /// Bytes held besides the histogram itself.
    pub fn size_bytes(&self) -> usize {
        (self.few.capacity() + self.table.capacity()) * size_of::<u32>()
            + self.pages.capacity() * size_of::<[u64; PAGE]>()
    }

    /// Takes in values.
    pub fn take(&mut self, values: &[i64]) {
        let scale = self.scale;
        if self.pages.is_empty() {
            self.few.extend(values.iter().map(|&value| scale.bucket(value)));
            self.settle();
        } else {
            values.iter().for_each(|&value| self.add(scale.bucket(value), 1));
        }
    }

    /// Adds the values of another histogram of the same scale.
    pub fn merge(&mut self, mut other: Histogram) {
        debug_assert_eq!(self.scale, other.scale);
        if self.pages.len() < other.pages.len() {
            std::mem::swap(self, &mut other);
        }
        if self.pages.is_empty() {
            self.few.append(&mut other.few);
            self.settle();
        } else {
            other.few.iter().for_each(|&bucket| self.add(bucket, 1));
            other.in_pages().for_each(|(bucket, count)| self.add(bucket, count));
        }
    }

    /// The buckets that hold values, ascending, with how many: all that there is to know.
    pub fn counts(&mut self) -> Vec<(i32, u64)> {
        if !self.pages.is_empty() {
            return self.in_pages().collect();
        }
        self.few.sort_unstable();
        self.few.chunk_by(|a, b| a == b).map(|same| (same[0], same.len() as u64)).collect()
    }

    /// Every percentile of the values, whose moments are given, in units of `per_second` ticks: first the middle between
    /// its bounds, then the lower and the upper bound. Nothing of no values.
    pub fn percentiles(&mut self, moments: &Moments, asked: &[Percentile], per_second: i64) -> Vec<f64> {
        let (Some(min), Some(max), n) = (moments.min(), moments.max(), moments.n()) else { return Vec::new() };
        let (min, max) = (i128::from(min), i128::from(max));
        let mut buckets = self.counts().into_iter();
        let (mut bucket, mut end) = (0, 0);
        let mut bounds_of = |rank: u64| {
            while end <= rank {
                let Some((next, count)) = buckets.next() else { break };
                (bucket, end) = (next, end + count);
            }
            let (low, high) = self.scale.bounds(bucket);
            match rank {
                0 => (min, min),
                last if last == n - 1 => (max, max),
                _ => (low.max(min), high.min(max)),
            }
        };
        let bounds: Vec<(u64, (i128, i128))> =
            ranks(asked, n).into_iter().map(|rank| (rank, bounds_of(rank))).collect();
        let of = |end: &dyn Fn((i128, i128)) -> i128, per_unit: i64| {
            let found: Vec<(u64, i128)> = bounds.iter().map(|&(rank, bounds)| (rank, end(bounds))).collect();
            of_ranked(&found, n, asked, per_unit)
        };
        let middles = of(&|(low, high)| low + high, 2 * per_second);
        let ends = of(&|(low, _)| low, per_second).into_iter().zip(of(&|(_, high)| high, per_second));
        middles.into_iter().zip(ends).flat_map(|(middle, (low, high))| [middle, low, high]).collect()
    }

    #[inline]
    fn add(&mut self, bucket: i32, count: u64) {
        let page = (bucket >> PAGE_BITS).wrapping_sub(self.first) as u32;
        let place = match self.table.get(page as usize) {
            Some(&place) if place > 0 => place,
            _ => self.open(bucket >> PAGE_BITS),
        };
        self.pages[place as usize - 1][bucket as usize % PAGE] += count;
    }

    /// Makes a page; returns its place.
    #[cold]
    #[inline(never)]
    fn open(&mut self, page: i32) -> u32 {
        if self.table.is_empty() {
            self.first = page;
        }
        if page < self.first {
            self.table.splice(0..0, std::iter::repeat_n(0, (self.first - page) as usize));
            self.first = page;
        }
        let at = (page - self.first) as usize;
        self.table.resize(self.table.len().max(at + 1), 0);
        self.pages.push([0; PAGE]);
        self.table[at] = self.pages.len() as u32;
        self.table[at]
    }

    fn in_pages(&self) -> impl Iterator<Item = (i32, u64)> {
        let opened = self.table.iter().zip(self.first..).filter(|(place, _)| **place > 0);
        opened.flat_map(|(&place, page)| {
            let counts = self.pages[place as usize - 1].iter().zip(page << PAGE_BITS..);
            counts.filter(|(count, _)| **count > 0).map(|(&count, bucket)| (bucket, count))
        })
    }

    /// Turns to pages once they take no more space than the list.
    fn settle(&mut self) {
        if self.few.len() < self.next {
            return;
        }
        self.few.sort_unstable();
        let of = |bucket: i32| bucket >> PAGE_BITS;
        let pages = 1 + self.few.windows(2).filter(|pair| of(pair[0]) != of(pair[1])).count();
        let span = self.few.first().zip(self.few.last()).map_or(0, |(&least, &most)| of(most) - of(least) + 1) as usize;
        if pages * size_of::<[u64; PAGE]>() + span * size_of::<u32>() > self.few.len() * BYTES_OF_ONE {
            self.next = 2 * self.few.len();
            return;
        }
        let few = std::mem::take(&mut self.few);
        few.chunk_by(|a, b| a == b).for_each(|same| self.add(same[0], same.len() as u64));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::quantile::of_ticks;
    use crate::stats::ranks::Ranks;
    use crate::stats::scale::FINEST;
    use proptest::prelude::*;

    fn asked(list: &[f64]) -> Vec<Percentile> {
        list.iter().map(|&p| Percentile::new(p).unwrap()).collect()
    }

    fn histogram(approx: f64, values: &[i64], block: usize) -> Histogram {
        let mut histogram = Histogram::new(Scale::new(approx).unwrap());
        values.chunks(block).for_each(|values| histogram.take(values));
        histogram
    }

    #[test]
    fn the_test_vector_of_the_contract() {
        let values = [208_800, 3_600, 86_400, 7_200];
        let found = histogram(0.01, &values, 1).percentiles(&Moments::of(&values), &asked(&[50.0, 0.0, 100.0]), 1);
        // 7200 is in the bucket from 7168 to 7231, 86400 in the one from 86016 to 87039.
        assert_eq!(found[..3], [46_863.5, 46_592.0, 47_135.0]);
        assert_eq!(found[3..], [3_600.0, 3_600.0, 3_600.0, 208_800.0, 208_800.0, 208_800.0]);
    }

    #[test]
    fn few_values_take_little_space_and_many_no_more_than_the_scale() {
        let few = histogram(0.01, &[1 << 40, 1, -5], 3);
        assert!(few.size_bytes() <= 16, "{}", few.size_bytes());
        let random = |i: u64| crate::hash::of_key(i) as i64 >> (i % 64);
        let many: Vec<i64> = (0..2_000_000).map(random).collect();
        let (some, all) = (histogram(0.01, &many[..200_000], 64), histogram(0.01, &many, 64));
        assert_eq!(some.size_bytes(), all.size_bytes());
        assert!(all.size_bytes() < 256 * 1024, "{}", all.size_bytes());
        let narrow: Vec<i64> = (0..1_000_000).map(|i| 3_600_000_000 + (random(i) & 0xf_ffff_ffff)).collect();
        let narrow = histogram(0.01, &narrow, 64).size_bytes();
        assert!(narrow < 8 * 1024, "{narrow}");
    }

    #[test]
    fn space_grows_with_the_values_until_pages_pay() {
        for n in [10, 100, 1000, 5000, 20_000] {
            let spread: Vec<i64> = (0..n).map(|i| crate::hash::of_key(i) as i64 >> (i % 64)).collect();
            let bytes = histogram(FINEST, &spread, 64).size_bytes();
            assert!(bytes <= 2 * n as usize * BYTES_OF_ONE, "{n}: {bytes}");
        }
    }

    fn multisets() -> impl Strategy<Value = Vec<i64>> {
        let value = prop_oneof![
            4 => (0u32..64, any::<i64>()).prop_map(|(bits, x)| x >> bits),
            2 => -3i64..3,
            2 => 3_600_000_000i64..7_200_000_000,
            1 => prop_oneof![Just(i64::MIN), Just(i64::MAX), Just(0)],
        ];
        let times = prop_oneof![3 => Just(1usize), 1 => 2usize..300];
        prop::collection::vec((value, times), 1..120)
            .prop_map(|tied| tied.into_iter().flat_map(|(value, times)| std::iter::repeat_n(value, times)).collect())
    }

    fn approximations() -> impl Strategy<Value = f64> {
        prop_oneof![Just(FINEST), Just(0.001), Just(0.01), Just(0.1), Just(0.5), FINEST..0.5]
    }

    proptest! {
        #[test]
        fn the_exact_percentile_lies_within_bounds_as_close_as_promised(
            values in multisets(),
            approx in approximations(),
            percentiles in prop::collection::btree_set(0u32..=100_000, 1..8),
            per_second in prop_oneof![Just(1i64), Just(1_000_000), Just(1_000_000_000)],
        ) {
            let list = asked(&percentiles.iter().map(|&p| f64::from(p) / 1000.0).collect::<Vec<f64>>());
            let moments = Moments::of(&values);
            let found = histogram(approx, &values, 50).percentiles(&moments, &list, per_second);
            let exact = of_ticks(&[&values], moments.min().unwrap(), &list, per_second, &mut Ranks::default()).unwrap();
            let mut sorted = values.clone();
            sorted.sort_unstable();
            let seconds = |ticks: i64| ticks as f64 / per_second as f64;
            let mut last = [f64::NEG_INFINITY; 3];
            for ((percentile, exact), found) in list.iter().zip(exact).zip(found.chunks(3)) {
                let &[middle, low, high] = found else { panic!("three figures each") };
                prop_assert!(low <= exact && exact <= high, "{} {} {}", low, exact, high);
                prop_assert!(low <= middle && middle <= high);
                // Percentiles rise with p, as do their bounds.
                prop_assert!(last.iter().zip(found).all(|(last, next)| last <= next));
                last = [middle, low, high];
                let around = percentile.neighbours(sorted.len() as u64).map(|rank| seconds(sorted[rank as usize]));
                let same_sign = (around[0] < 0.0) == (around[1] < 0.0);
                let scale = if same_sign { exact.abs() } else { around[0].abs().max(around[1].abs()) };
                // Figures are rounded, and the difference of two once more.
                let rounding = 1e-15 * scale;
                prop_assert!((middle - exact).abs() <= approx * scale + rounding, "{} {} {}", middle, exact, approx);
                prop_assert!(high - low <= 2.0 * approx * scale + 2.0 * rounding, "{} {}", low, high);
            }
        }

        #[test]
        fn order_and_merging_do_not_show(
            values in multisets(),
            approx in approximations(),
            cuts in prop::collection::vec((any::<prop::sample::Index>(), 1usize..200), 0..8),
            turn in any::<prop::sample::Index>(),
        ) {
            let moments = Moments::of(&values);
            let list = asked(&[0.0, 10.0, 50.0, 99.9, 100.0]);
            let mut whole = histogram(approx, &values, values.len());
            let mut turned = values.clone();
            turned.rotate_left(turn.index(values.len()));
            turned.reverse();
            let mut places: Vec<(usize, usize)> = cuts.iter().map(|(cut, block)| (cut.index(turned.len()), *block)).collect();
            places.push((turned.len(), 64));
            places.sort_unstable();
            let (mut merged, mut from) = (histogram(approx, &[], 1), 0);
            for (i, &(to, block)) in places.iter().enumerate() {
                let part = histogram(approx, &turned[from..to], block);
                if i % 2 == 0 {
                    merged.merge(part);
                } else {
                    let before = std::mem::replace(&mut merged, part);
                    merged.merge(before);
                }
                from = to;
            }
            prop_assert_eq!(merged.counts(), whole.counts());
            let bits = |histogram: &mut Histogram| -> Vec<u64> {
                histogram.percentiles(&moments, &list, 1000).into_iter().map(f64::to_bits).collect()
            };
            prop_assert_eq!(bits(&mut merged), bits(&mut whole));
            prop_assert_eq!(whole.counts().iter().map(|(_, count)| count).sum::<u64>(), values.len() as u64);
        }
    }
}
