//! Which values stand at asked percentiles of a set too large to keep? One pass that keeps only values near the answers.
//!
//! The first values are all kept. From them, and again and again as more come, a window is set around every asked
//! percentile, wide enough for what the rest of the set may still change: values inside the windows are kept, all others
//! only counted. Where an asked rank lies in a window at the end, the value there is exact, whatever the order in which
//! values came; where it does not (the values changed in kind on the way), the sieve says so, and a second look with
//! fixed windows finds it. (Munro and Paterson 1980 give this scheme of narrowing passes and its bounds.)
//! Cost: O(n), a few comparisons per value; space about the square root of n, and a thousandth of n.

use std::cmp::Reverse;

use crate::stats::quantile::{Percentile, ranks};
use crate::stats::ranks::select;

/// Values that are kept before windows are set.
const FIRST: usize = 1024;

/// How many times as many values are kept until windows are narrowed again. What is kept grows with the root of what is
/// seen, for which 4 is the cheapest.
const GROWTH: usize = 4;

/// How far the windows reach to both sides: deviations of a percentile's rank in a random order, a share of all values for
/// an order that is not quite random, and a few values.
const DEVIATIONS: f64 = 6.0;
const SHARE: f64 = 1.0 / 1024.0;
const FEW: f64 = 4.0;

/// Above this many values, ones that are often the same are kept as one with a number.
const MANY: usize = 1 << 15;

/// So many values show whether that is likely for fewer: if less than three quarters of them are distinct.
const SAMPLE: usize = 256;

/// A range of values that are kept, both ends included: those whose [`key`] lies in it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Window {
    low: f32,
    high: f32,
    /// Values below `low`.
    below: u64,
}

impl Window {
    const ALL: Window = Window { low: f32::NEG_INFINITY, high: f32::INFINITY, below: 0 };

    #[inline]
    fn holds(&self, value: i64) -> bool {
        self.low <= key(value) && key(value) <= self.high
    }
}

/// What values are compared with windows by: rounded, which keeps their order, so that more are compared at once.
#[inline]
fn key(value: i64) -> f32 {
    value as f32
}

/// What is known of a set of values, a few of them kept.
#[derive(Clone, Debug, Default)]
pub struct Sieve {
    seen: u64,
    kept: Bag,
    /// Whether only values in windows are kept: not so at first.
    sifts: bool,
    /// Ascending, apart from each other.
    windows: Vec<Window>,
    /// Windows of a second look stay as they are.
    fixed: bool,
    /// Values kept when the windows are next narrowed.
    next: usize,
}

impl Sieve {
    /// A sieve for a second look at the set of `first`, which missed some of the ranks of the percentiles asked for.
    pub fn second(first: &Sieve, asked: &[Percentile]) -> Sieve {
        let mut windows = first.windows.clone();
        let inside = first.inside();
        for rank in ranks(asked, first.seen) {
            if first.place(rank, &inside).is_none() {
                windows.push(first.space_around(rank));
            }
        }
        windows.iter_mut().for_each(|window| window.below = 0);
        Sieve { sifts: true, fixed: true, windows: joined(windows), ..Sieve::default() }
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
        self.seen += values.len() as u64;
        if self.sifts {
            sift(values, &mut self.windows, &mut self.kept.raw);
        } else {
            self.kept.raw.extend_from_slice(values);
        }
        if !self.fixed && self.kept.raw.len() >= self.next.max(FIRST) {
            self.narrow(asked);
        }
    }

    /// Adds what another sieve for the same percentiles has seen of a disjoint set.
    pub fn merge(&mut self, mut other: Sieve, asked: &[Percentile]) {
        if !self.sifts {
            std::mem::swap(self, &mut other);
        }
        if !other.sifts {
            // It has all its values.
            self.take(&other.kept.raw, asked);
            return;
        }
        self.seen += other.seen;
        // What both have kept is a rank's value if the rank is in it; below it, values were counted or are still there.
        let mut windows = Vec::new();
        for one in &self.windows {
            for two in &other.windows {
                let (low, high) = (one.low.max(two.low), one.high.min(two.high));
                if low <= high {
                    let below = self.below(one, low) + other.below(two, low);
                    windows.push(Window { low, high, below });
                }
            }
        }
        self.windows = windows;
        self.fixed = true;
        self.kept.retain(&self.windows);
        other.kept.retain(&self.windows);
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
        parts.for_each(|part| whole.merge(part, asked));
        // An answer about other values than were counted would be wrong without a sign of it.
        let found = if whole.seen == n { whole.answer(asked) } else { None };
        found.ok_or_else(|| Box::new(whole))
    }

    /// The values at the neighbouring ranks of every percentile (R type 7), ascending by rank, with the ranks; none where
    /// one of them was missed.
    pub fn answer(&mut self, asked: &[Percentile]) -> Option<Vec<(u64, i64)>> {
        let (ranks, inside) = (ranks(asked, self.seen), self.inside());
        let places = ranks.iter().map(|&rank| self.place(rank, &inside)).collect::<Option<Vec<usize>>>()?;
        let found = self.kept.at(&places);
        Some(ranks.into_iter().zip(found).collect())
    }

    /// Values below `low`, which lies in `window`.
    fn below(&self, window: &Window, low: f32) -> u64 {
        window.below + self.kept.count(window.low, low)
    }

    /// Values kept in each window.
    fn inside(&self) -> Vec<u64> {
        self.windows.iter().map(|window| self.kept.count_to(window.low, window.high)).collect()
    }

    /// How many of the kept values lie below the value at `rank` of all, if that is one of them.
    fn place(&self, rank: u64, inside: &[u64]) -> Option<usize> {
        if !self.sifts {
            return Some(rank as usize);
        }
        let mut before = 0;
        for (window, inside) in self.windows.iter().zip(inside) {
            if (window.below..window.below + inside).contains(&rank) {
                return Some((before + rank - window.below) as usize);
            }
            before += inside;
        }
        None
    }

    /// Between which windows the value at `rank` lies, if it is in none of them.
    fn space_around(&self, rank: u64) -> Window {
        let after = self.windows.iter().position(|window| window.below > rank).unwrap_or(self.windows.len());
        let low = after.checked_sub(1).map_or(f32::NEG_INFINITY, |before| self.windows[before].high.next_up());
        let high = self.windows.get(after).map_or(f32::INFINITY, |window| window.low.next_down());
        Window { low, high, below: 0 }
    }

    /// What is left of the window next to a rank that has left all windows: its end, which tells where to look for the
    /// rank the second time.
    fn mark(&self, rank: u64) -> Option<Window> {
        let after = self.windows.iter().position(|window| window.below > rank).unwrap_or(self.windows.len());
        match after.checked_sub(1).map(|before| &self.windows[before]) {
            Some(below) => Some(Window { low: below.high, below: self.below(below, below.high), ..*below }),
            None => self.windows.first().map(|above| Window { high: above.low, ..*above }),
        }
    }

    /// Sets the windows anew, by what is known by now.
    #[cold]
    fn narrow(&mut self, asked: &[Percentile]) {
        if !self.sifts {
            self.sifts = true;
            self.windows.push(Window::ALL);
        }
        self.kept.settle();
        let inside = self.inside();
        // Places of the ends of new windows among the kept values, with the end of the old window where they lie outside.
        let (mut cuts, mut places) = (Vec::new(), Vec::new());
        let mut marks = Vec::new();
        for (from, to) in spans(asked, self.seen) {
            let (mut before, found) = (0, cuts.len());
            for (window, inside) in self.windows.iter().zip(&inside) {
                let end = window.below + inside;
                if from < end && to >= window.below {
                    let place = |rank: u64| (before + rank - window.below) as usize;
                    let low = (from > window.below).then(|| place(from));
                    let high = (to + 1 < end).then(|| place(to));
                    places.extend([low, high].into_iter().flatten());
                    cuts.push((*window, low, high));
                }
                before += inside;
            }
            if cuts.len() == found {
                marks.extend(self.mark(from));
            }
        }
        places.sort_unstable();
        places.dedup();
        let values = self.kept.at(&places);
        let value = |place: usize| places.binary_search(&place).map_or(0.0, |at| key(values[at]));
        let cut = |&(window, low, high): &(Window, Option<usize>, Option<usize>)| {
            let (low, high) = (low.map_or(window.low, value), high.map_or(window.high, value));
            Window { low, high, below: self.below(&window, low) }
        };
        self.windows = joined(cuts.iter().map(cut).chain(marks).collect());
        self.kept.retain(&self.windows);
        self.next = GROWTH * (self.kept.raw.len() + self.kept.piles.len());
    }
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

/// Windows in ascending order, those that touch as one.
fn joined(mut windows: Vec<Window>) -> Vec<Window> {
    windows.sort_unstable_by(|a, b| a.low.total_cmp(&b.low).then(a.high.total_cmp(&b.high)));
    windows.dedup_by(|next, last| {
        let joins = next.low <= last.high;
        last.high = if joins { last.high.max(next.high) } else { last.high };
        joins
    });
    windows
}

/// Counts the values below each window and keeps those inside.
fn sift(values: &[i64], windows: &mut [Window], kept: &mut Vec<i64>) {
    const CHUNK: usize = 64;
    for values in values.chunks(CHUNK) {
        // What is no value compares with nothing. No loop has a branch in it, and all but the last have no order.
        let (mut keys, mut inside) = ([f32::NAN; CHUNK], [0u32; CHUNK]);
        keys.iter_mut().zip(values).for_each(|(to, &value)| *to = key(value));
        for window in &mut *windows {
            let mut above = 0;
            for (&key, inside) in keys.iter().zip(&mut inside) {
                let from_low = u32::from(key >= window.low);
                above += from_low;
                *inside |= from_low & u32::from(key <= window.high);
            }
            window.below += values.len() as u64 - u64::from(above);
        }
        let (mut some, mut found) = ([0i64; CHUNK], 0);
        for (&value, &inside) in values.iter().zip(&inside) {
            some[found % CHUNK] = value;
            found += inside as usize;
        }
        kept.extend_from_slice(&some[..found]);
    }
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

    /// Values from `low` to before `end`.
    fn count(&self, low: f32, end: f32) -> u64 {
        self.number(|value| key(value) >= low && key(value) < end)
    }

    /// Values from `low` to `high`.
    fn count_to(&self, low: f32, high: f32) -> u64 {
        self.number(|value| key(value) >= low && key(value) <= high)
    }

    fn number(&self, counts: impl Fn(i64) -> bool) -> u64 {
        let raw: u64 = self.raw.iter().map(|&value| u64::from(counts(value))).sum();
        raw + self.piles.iter().filter(|pile| counts(pile.0)).map(|pile| pile.1).sum::<u64>()
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

    fn retain(&mut self, windows: &[Window]) {
        let holds = |value: i64| windows.iter().any(|window| window.holds(value));
        self.piles.retain(|&(value, _)| holds(value));
        // Each value is moved, and the place moves on where it stays: no branch that would be guessed wrong.
        let mut kept = 0;
        for at in 0..self.raw.len() {
            let value = self.raw[at];
            self.raw[kept] = value;
            kept += usize::from(windows.iter().fold(false, |held, window| held | window.holds(value)));
        }
        self.raw.truncate(kept);
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
                if i == 0 { whole = sieve } else { whole.merge(sieve, asked) }
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
