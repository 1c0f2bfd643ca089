//! Which values stand at asked percentiles of a set too large to keep? One pass that keeps only values near the answers.
//!
//! The first values are all kept. From them, and again and again as more come, a window is set around every asked
//! percentile, wide enough for what the rest of the set may still change: values inside the windows are kept, all others
//! only counted. Where an asked rank lies in a window at the end, the value there is exact, whatever the order in which
//! values came; where it does not (the values changed in kind on the way), the sieve says so, and a second look with
//! fixed windows finds it. (Munro and Paterson 1980 give this scheme of narrowing passes and its bounds.)
//! Cost: O(n), a few comparisons per value; space about the square root of n, and a thousandth of n.

use std::cmp::Reverse;

use cjm_lanes::sift::{self, Window, sift};

use crate::stats::quantile::{Percentile, ranks};
use crate::stats::ranks::select;

/// Values that are kept before windows are set.
const FIRST: usize = 1024;

/// How many times as many values are kept until windows are narrowed again. What is kept grows with the root of what is
/// seen, for which 4 is the cheapest.
const GROWTH: usize = 4;

/// So many may be kept beyond those with which windows are narrowed: values come by the chunk, mostly.
const BEYOND: usize = sift::ROOM;

/// How far the windows reach to both sides: deviations of a percentile's rank in a random order, a share of all values for
/// an order that is not quite random, and a few values.
const DEVIATIONS: f64 = 6.0;
const SHARE: f64 = 1.0 / 1024.0;
const FEW: f64 = 4.0;

/// Above this many values, ones that are often the same are kept as one with a number.
const MANY: usize = 1 << 15;

/// So many values show whether that is likely for fewer: if less than three quarters of them are distinct.
const SAMPLE: usize = 256;

/// What is known of a set of values, a few of them kept.
#[derive(Clone, Debug, Default)]
pub struct Sieve {
    seen: u64,
    kept: Bag,
    /// Whether only values in windows are kept: not so at first.
    sifts: bool,
    /// Ranges of values that are kept: ascending, apart from each other.
    windows: Vec<Window>,
    /// Windows of a second look stay as they are.
    fixed: bool,
    /// Values kept when the windows are next narrowed.
    next: usize,
}

impl Sieve {
    /// A sieve for a second look at the set of `first`, which missed some of the ranks of the percentiles asked for.
    pub fn second(first: &Sieve, asked: &[Percentile]) -> Sieve {
        let missed = ranks(asked, first.seen).into_iter().filter(|&rank| first.place(rank).is_none());
        let spaces = missed.map(|rank| first.space_around(rank));
        let mut windows: Vec<Window> = first.windows.iter().map(|window| empty(window.low, window.high)).collect();
        windows.extend(spaces);
        windows.sort_unstable_by_key(|window| (window.low, window.high));
        windows.dedup_by(|next, last| joins(&mut last.high, next.low, next.high));
        Sieve { sifts: true, fixed: true, windows, ..Sieve::default() }
    }

    /// A sieve that keeps nothing.
    pub fn closed() -> Sieve {
        Sieve { sifts: true, fixed: true, ..Sieve::default() }
    }

    /// How many values were taken in.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Bytes held besides the sieve itself.
    pub fn size_bytes(&self) -> usize {
        self.kept.size_bytes() + self.windows.capacity() * size_of::<Window>()
    }

    /// Takes in values of which the percentiles `asked` are wanted: the same ones at every call.
    pub fn take(&mut self, values: &[i64], asked: &[Percentile]) {
        self.see(values);
        if !self.fixed && self.kept.raw.len() >= self.next.max(FIRST) {
            self.narrow(asked);
        }
    }

    fn see(&mut self, values: &[i64]) {
        self.seen += values.len() as u64;
        match self.sifts {
            true => sift(values, &mut self.windows, &mut self.kept.raw),
            false => self.kept.raw.extend_from_slice(values),
        }
    }

    /// Adds what another sieve for the same percentiles has seen of a disjoint set. The windows are not narrowed any more.
    pub fn merge(&mut self, mut other: Sieve) {
        if !self.sifts {
            std::mem::swap(self, &mut other);
        }
        if !other.sifts {
            // It has all its values.
            self.see(&other.kept.raw);
            return;
        }
        // What both have kept is a rank's value if the rank is in it; below it, values were counted or are still there.
        let (mut own, mut others) = (Vec::new(), Vec::new());
        for (one_at, one) in self.windows.iter().enumerate() {
            for (two_at, two) in other.windows.iter().enumerate() {
                let (low, high) = (one.low.max(two.low), one.high.min(two.high));
                if low <= high {
                    own.push(Cut { low, high, of: one_at });
                    others.push(Cut { low, high, of: two_at });
                }
            }
        }
        self.cut(&own);
        other.cut(&others);
        self.seen += other.seen;
        for (window, more) in self.windows.iter_mut().zip(&other.windows) {
            window.below += more.below;
            window.inside += more.inside;
        }
        self.fixed = true;
        self.kept.append(other.kept);
    }

    /// The answer of all `parts` together, which have seen `n` values, at least one; or the whole sieve where it was missed.
    ///
    /// # Errors
    /// The sieve, for a second look.
    pub fn merged(
        parts: impl Iterator<Item = Sieve>,
        n: u64,
        asked: &[Percentile],
    ) -> Result<Vec<(u64, i64)>, Box<Sieve>> {
        // What has the most comes first, so that what has little is moved.
        let mut parts: Vec<Sieve> = parts.collect();
        parts.sort_unstable_by_key(|part| Reverse(part.kept.raw.len()));
        let mut parts = parts.into_iter();
        let mut whole = parts.next().unwrap_or_default();
        parts.for_each(|part| whole.merge(part));
        // An answer about other values than were counted would be wrong without a sign of it.
        let found = if whole.seen == n { whole.answer(asked) } else { None };
        found.ok_or_else(|| Box::new(whole))
    }

    /// The values at the neighbouring ranks of every percentile (R type 7), ascending by rank, with the ranks; none where
    /// one of them was missed.
    pub fn answer(&mut self, asked: &[Percentile]) -> Option<Vec<(u64, i64)>> {
        let ranks = ranks(asked, self.seen);
        let places = ranks.iter().map(|&rank| self.place(rank)).collect::<Option<Vec<usize>>>()?;
        let found = self.kept.at(&places);
        Some(ranks.into_iter().zip(found).collect())
    }

    /// How many of the kept values lie below the value at `rank` of all, if that is one of them.
    fn place(&self, rank: u64) -> Option<usize> {
        if !self.sifts {
            return Some(rank as usize);
        }
        let mut before = 0;
        for window in &self.windows {
            if (window.below..window.below + window.inside).contains(&rank) {
                return Some((before + rank - window.below) as usize);
            }
            before += window.inside;
        }
        None
    }

    /// The window above the value at `rank`, which lies in none of them: how many of them are below it.
    fn window_above(&self, rank: u64) -> usize {
        self.windows.partition_point(|window| window.below <= rank)
    }

    /// Between which windows the value at `rank` lies, if it is in none of them.
    fn space_around(&self, rank: u64) -> Window {
        let after = self.window_above(rank);
        let low = after.checked_sub(1).map_or(i64::MIN, |before| self.windows[before].high.saturating_add(1));
        let high = self.windows.get(after).map_or(i64::MAX, |window| window.low.saturating_sub(1));
        empty(low, high)
    }

    /// What is left of the window next to a rank that has left all windows: its end, which tells where to look for the
    /// rank the second time.
    fn mark(&self, rank: u64) -> Option<Cut> {
        let after = self.window_above(rank);
        match after.checked_sub(1) {
            Some(of) => Some(Cut { low: self.windows[of].high, high: self.windows[of].high, of }),
            None => self.windows.first().map(|above| Cut { low: above.low, high: above.low, of: 0 }),
        }
    }

    /// Sets the windows anew, by what is known by now.
    #[cold]
    fn narrow(&mut self, asked: &[Percentile]) {
        if !self.sifts {
            self.sifts = true;
            self.windows.push(Window { inside: self.seen, ..empty(i64::MIN, i64::MAX) });
        }
        self.kept.settle();
        // Places of the ends of new windows among the kept values; none where an end of the old window stays.
        let (mut ends, mut places, mut cuts) = (Vec::new(), Vec::new(), Vec::new());
        for (from, to) in spans(asked, self.seen) {
            let (mut before, found) = (0, ends.len());
            for (of, window) in self.windows.iter().enumerate() {
                let end = window.below + window.inside;
                if from < end && to >= window.below {
                    let place = |rank: u64| (before + rank - window.below) as usize;
                    let low = (from > window.below).then(|| place(from));
                    let high = (to + 1 < end).then(|| place(to));
                    places.extend([low, high].into_iter().flatten());
                    ends.push((of, low, high));
                }
                before += window.inside;
            }
            if ends.len() == found {
                cuts.extend(self.mark(from));
            }
        }
        places.sort_unstable();
        places.dedup();
        let values = self.kept.at(&places);
        let value = |place: usize| places.binary_search(&place).map_or(0, |at| values[at]);
        cuts.extend(ends.iter().map(|&(of, low, high)| Cut {
            low: low.map_or(self.windows[of].low, value),
            high: high.map_or(self.windows[of].high, value),
            of,
        }));
        cuts.sort_unstable_by_key(|cut| (cut.low, cut.high));
        cuts.dedup_by(|next, last| joins(&mut last.high, next.low, next.high));
        self.cut(&cuts);
        self.next = GROWTH * (self.kept.raw.len() + self.kept.piles.len());
        // At once what is filled before the next time, and not step by step.
        self.kept.raw.reserve_exact((self.next + BEYOND).saturating_sub(self.kept.raw.len()));
    }

    /// Sets windows that lie inside of the present ones: ascending and apart.
    fn cut(&mut self, cuts: &[Cut]) {
        let mut windows: Vec<Window> = cuts.iter().map(|cut| empty(cut.low, cut.high)).collect();
        self.kept.retain(&mut windows);
        // Of the kept values, those of the windows before were counted below the old window, too.
        let (mut before, mut next) = (0, 0);
        for (window, cut) in windows.iter_mut().zip(cuts) {
            before += self.windows[next..cut.of].iter().map(|window| window.inside).sum::<u64>();
            next = cut.of;
            window.below += self.windows[next].below - before;
        }
        self.windows = windows;
    }
}

/// A part of window number `of`.
struct Cut {
    low: i64,
    high: i64,
    of: usize,
}

/// A window that has seen nothing.
fn empty(low: i64, high: i64) -> Window {
    Window { low, high, below: 0, inside: 0 }
}

/// Whether a range from `low` to `high` joins the one before it, which then reaches as far.
fn joins(last_high: &mut i64, low: i64, high: i64) -> bool {
    let joins = low <= *last_high;
    *last_high = if joins { high.max(*last_high) } else { *last_high };
    joins
}

/// The ranks between which percentiles may come to lie, of `n` values seen by now; ascending and apart. The first and the
/// last rank of all stand for whatever may still come beyond.
fn spans(asked: &[Percentile], n: u64) -> Vec<(u64, u64)> {
    let span = |p: &Percentile| {
        let [low, high] = p.neighbours(n);
        let (share, all) = (p.share(), n as f64);
        let margin = (DEVIATIONS * (all * share * (1.0 - share)).sqrt() + all * SHARE + FEW) as u64;
        (low.saturating_sub(margin), (high + margin).min(n - 1))
    };
    let mut spans: Vec<(u64, u64)> = asked.iter().map(span).collect();
    spans.sort_unstable();
    spans.dedup_by(|next, last| {
        let joins = next.0 <= last.1;
        last.1 = if joins { last.1.max(next.1) } else { last.1 };
        joins
    });
    spans
}

/// Values in no order, and values with how often they are there.
#[derive(Clone, Debug, Default)]
struct Bag {
    raw: Vec<i64>,
    /// Ascending, each value once.
    piles: Vec<(i64, u64)>,
}

impl Bag {
    fn size_bytes(&self) -> usize {
        self.raw.capacity() * size_of::<i64>() + self.piles.capacity() * size_of::<(i64, u64)>()
    }

    /// The values at `places` (ascending, distinct) of all in order.
    fn at(&mut self, places: &[usize]) -> Vec<i64> {
        if self.piles.is_empty() {
            select(&mut self.raw, places, 0);
            return places.iter().map(|&place| self.raw[place]).collect();
        }
        self.pile_up();
        let (mut piles, mut end) = (self.piles.iter(), 0);
        let mut value = 0;
        let find = |&place: &usize| {
            while end <= place as u64 {
                let Some(&(next, count)) = piles.next() else { break };
                (value, end) = (next, end + count);
            }
            value
        };
        places.iter().map(find).collect()
    }

    fn append(&mut self, mut other: Bag) {
        if !other.piles.is_empty() {
            self.raw.append(&mut other.raw);
            self.pile_up_with(&other.piles);
        } else {
            self.raw.append(&mut other.raw);
        }
    }

    /// Keeps what lies in one of `windows`, which count what is below and inside of them.
    fn retain(&mut self, windows: &mut [Window]) {
        sift::retain(&mut self.raw, windows);
        self.piles.retain(|&(value, count)| {
            let mut held = false;
            for window in &mut *windows {
                let inside = (window.low..=window.high).contains(&value);
                window.below += if value < window.low { count } else { 0 };
                window.inside += if inside { count } else { 0 };
                held |= inside;
            }
            held
        });
    }

    /// Piles up what is often the same, if that is much.
    fn settle(&mut self) {
        if !self.piles.is_empty() {
            self.pile_up();
        } else if self.raw.len() >= MANY || self.repeats() {
            self.raw.sort_unstable();
            if changes(&self.raw) < self.raw.len() / 4 {
                self.pile_up();
            }
        }
    }

    /// Whether some of the values, spread over all, are often the same.
    fn repeats(&self) -> bool {
        let mut sample: Vec<i64> = self.raw.iter().step_by((self.raw.len() / SAMPLE).max(1)).copied().collect();
        sample.sort_unstable();
        changes(&sample) < sample.len() * 3 / 4
    }

    fn pile_up(&mut self) {
        self.pile_up_with(&[]);
    }

    fn pile_up_with(&mut self, more: &[(i64, u64)]) {
        let mut raw = std::mem::take(&mut self.raw);
        raw.sort_unstable();
        let own = raw.chunk_by(|a, b| a == b).map(|same| (same[0], same.len() as u64));
        self.piles.extend(own.chain(more.iter().copied()));
        self.piles.sort_unstable();
        self.piles.dedup_by(|next, last| {
            let same = next.0 == last.0;
            last.1 += if same { next.1 } else { 0 };
            same
        });
    }
}

/// How often the next one of `sorted` values is another.
fn changes(sorted: &[i64]) -> usize {
    sorted.windows(2).filter(|pair| pair[0] != pair[1]).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn asked(list: &[f64]) -> Vec<Percentile> {
        list.iter().map(|&p| Percentile::new(p).unwrap()).collect()
    }

    fn sifted(values: &[i64], block: usize, asked: &[Percentile]) -> Sieve {
        let mut sieve = Sieve::default();
        values.chunks(block).for_each(|values| sieve.take(values, asked));
        sieve
    }

    /// The answer, by a second look where the first missed one; and whether it did.
    fn looked_up(parts: &[&[i64]], block: usize, asked: &[Percentile]) -> (Vec<(u64, i64)>, bool) {
        let merged = |start: &dyn Fn() -> Sieve| {
            let mut whole = start();
            for (i, part) in parts.iter().enumerate() {
                let mut sieve = start();
                part.chunks(block).for_each(|values| sieve.take(values, asked));
                if i == 0 { whole = sieve } else { whole.merge(sieve) }
            }
            whole
        };
        let mut first = merged(&Sieve::default);
        match first.answer(asked) {
            Some(answer) => (answer, false),
            None => (merged(&|| Sieve::second(&first, asked)).answer(asked).unwrap(), true),
        }
    }

    fn plain(parts: &[&[i64]], asked: &[Percentile]) -> Vec<(u64, i64)> {
        let mut sorted = parts.concat();
        sorted.sort_unstable();
        ranks(asked, sorted.len() as u64).into_iter().map(|rank| (rank, sorted[rank as usize])).collect()
    }

    fn random(n: usize, seed: u64) -> impl Iterator<Item = u64> {
        (0..n as u64).map(move |i| crate::hash::of_key(i ^ seed << 40))
    }

    #[test]
    fn values_in_random_order_need_one_look_and_little_space() {
        let list = asked(&[0.0, 50.0, 90.0, 95.0, 99.0, 99.9, 100.0]);
        let values: Vec<i64> = random(400_000, 1).map(|x| (x >> (x % 40)) as i64).collect();
        let sieve = sifted(&values, 130, &list);
        assert!(sieve.kept.raw.len() < values.len() / 10, "{}", sieve.kept.raw.len());
        let parts: Vec<&[i64]> = values.chunks(150_000).collect();
        assert_eq!(looked_up(&parts, 130, &list), (plain(&parts, &list), false));
    }

    #[test]
    fn few_distinct_values_are_kept_as_piles() {
        let list = asked(&[50.0, 99.0]);
        for (distinct, most) in [(1, 4 * FIRST), (3, 4 * FIRST), (300, 8 * FIRST), (5000, 4 * MANY)] {
            let values: Vec<i64> = random(1_000_000, 2).map(|x| (x % distinct) as i64 * 60).collect();
            let sieve = sifted(&values, 1000, &list);
            assert!(sieve.size_bytes() < most * size_of::<i64>(), "{distinct}: {}", sieve.size_bytes());
            let parts: Vec<&[i64]> = values.chunks(400_000).collect();
            assert_eq!(looked_up(&parts, 1000, &list), (plain(&parts, &list), false));
        }
    }

    #[test]
    fn a_second_look_finds_what_a_change_in_kind_hid() {
        let list = asked(&[10.0, 50.0, 90.0]);
        for values in [(0..100_000).collect::<Vec<i64>>(), (0..100_000).rev().collect()] {
            let parts: Vec<&[i64]> = values.chunks(30_000).collect();
            assert_eq!(looked_up(&parts, 100, &list), (plain(&parts, &list), true));
        }
    }

    #[test]
    fn values_that_leave_the_windows_and_come_back_are_found() {
        let repeated = |value: i64, n: usize| std::iter::repeat_n(value, n);
        let low: Vec<i64> = random(1024, 3).map(|x| (x % 1000) as i64).collect();
        let back: Vec<i64> =
            low.iter().copied().chain(repeated(1_000_000, 100_000)).chain(repeated(500, 3000)).collect();
        let step: Vec<i64> = random(1_000_000, 4)
            .map(|x| (x >> 34) as i64)
            .enumerate()
            .map(|(i, x)| if i < 2000 { x % 1000 } else { x })
            .collect();
        let waves: Vec<i64> = random(300_000, 5)
            .enumerate()
            .map(|(i, x)| ((x >> 40) as f64 * (2.0 + (i as f64 / 12_000.0).sin())) as i64)
            .collect();
        let climbing: Vec<i64> = (0..1_000_000).map(|i| i * 13).collect();
        for values in [back, step, waves, climbing] {
            for list in [asked(&[50.0]), asked(&[50.0, 90.0]), asked(&[1.0, 99.0])] {
                for parts in [1, 2, 7] {
                    let parts: Vec<&[i64]> = values.chunks(values.len().div_ceil(parts)).collect();
                    assert_eq!(looked_up(&parts, 64, &list).0, plain(&parts, &list));
                }
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_the_values_and_their_order_the_answer_is_that_of_sorting(
            kinds in prop::collection::vec((0u32..9, 1usize..3000, 0u32..64, any::<u32>()), 1..9),
            block in 1usize..500,
            percentiles in prop::collection::vec(0u32..=1000, 1..12),
        ) {
            let list = asked(&percentiles.iter().map(|&p| f64::from(p) / 10.0).collect::<Vec<f64>>());
            let part = |&(kind, n, bits, seed): &(u32, usize, u32, u32)| -> Vec<i64> {
                let values = random(n, u64::from(seed)).enumerate();
                values.map(|(i, x)| match kind {
                    0 => x as i64,
                    1 => (x as i64) >> bits,
                    2 => i as i64,
                    3 => -(i as i64) * 3,
                    4 => (x % 3) as i64 - 1,
                    5 => 500 + (x % 100) as i64,
                    6 => 1 << 40,
                    7 => (1 << 20) + (x % 5000) as i64,
                    _ => [i64::MIN, i64::MAX, 0][(x % 3) as usize],
                }).collect()
            };
            let parts: Vec<Vec<i64>> = kinds.iter().map(part).collect();
            let parts: Vec<&[i64]> = parts.iter().map(Vec::as_slice).collect();
            prop_assert_eq!(looked_up(&parts, block, &list).0, plain(&parts, &list));
        }
    }
}
