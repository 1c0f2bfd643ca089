//! Gaps of very many edges, gathered until there is something to sort: then no edge has to be looked up for each of its
//! gaps, which would miss the cache every time.

use crate::log::spec::Negative;

/// Gaps with their edges and cases, in the order in which they were met.
#[derive(Default)]
pub struct Gathered {
    records: Vec<Record>,
    /// Space to sort in.
    spare: Vec<Record>,
}

#[derive(Clone, Copy, Default)]
struct Record {
    source: u32,
    target: u32,
    /// The low half of the case's number: cases that follow each other in one edge differ in it.
    case: u32,
    gap: i64,
}

impl Record {
    fn pair(&self) -> (u32, u32) {
        (self.source, self.target)
    }
}

/// Records gathered at most before they are sorted.
const MOST: usize = 1 << 23;

/// The highest bits, by which records are spread to places that are sorted one by one, in the cache.
const SPREAD: u32 = 10;

/// Bits sorted by in one pass there.
const DIGIT: u32 = 8;

/// Records that are not worth such passes.
const FEW: usize = 64;

impl Gathered {
    /// Adds the gaps of a batch, each from the event before to the one at its place; `marks` are 0 at the first event of
    /// a case. `case` cases came before.
    pub fn add(&mut self, codes: &[u32], marks: &[u32], gaps: &[i64], case: u64) {
        let mut case = case as u32;
        self.records.reserve(codes.len());
        let mut source = 0;
        for ((&target, &mark), &gap) in codes.iter().zip(marks).zip(gaps) {
            if mark == 0 {
                case = case.wrapping_add(1);
            } else {
                self.records.push(Record { source, target, case, gap });
            }
            source = target;
        }
    }

    /// Whether there are so many that they are to be told to their edges, within `quota_bytes`.
    pub fn is_full(&self, quota_bytes: usize) -> bool {
        self.records.len() >= MOST.min(quota_bytes / (2 * size_of::<Record>()))
    }

    /// Bytes held.
    pub fn size_bytes(&self) -> usize {
        (self.records.capacity() + self.spare.capacity()) * size_of::<Record>()
    }

    /// The highest code.
    pub fn highest(&self) -> u32 {
        self.records.iter().map(|record| record.source.max(record.target)).max().unwrap_or(0)
    }

    /// Hands out all gaps edge by edge, with the number of cases they lie in, and forgets them.
    pub fn drain(&mut self, mut take: impl FnMut((u32, u32), &mut [i64], u64)) {
        self.sort();
        let (mut walk, mut gaps) = (Walk { rest: &self.records }, Vec::new());
        while let Some(pair) = walk.peek() {
            gaps.clear();
            let cases = walk.next(pair, &mut gaps);
            take(pair, &mut gaps, cases);
        }
        self.records.clear();
    }

    /// All gaps, sorted by edge.
    pub fn sorted(mut self) -> Sorted {
        self.sort();
        Sorted { records: self.records }
    }

    /// Sorts by edge, stably.
    fn sort(&mut self) {
        let bits = u32::BITS - self.highest().leading_zeros();
        let key = |record: &Record| u64::from(record.source) << bits | u64::from(record.target);
        let spread_by = SPREAD.min(2 * bits);
        let rest = 2 * bits - spread_by;
        self.spare.resize(self.records.len(), Record::default());
        let mut ends = vec![0; 1 << spread_by];
        spread(&self.records, &mut self.spare, &mut ends, |record| (key(record) >> rest) as usize);
        let mut from = 0;
        for end in ends {
            sort_few(&mut self.spare[from..end], &mut self.records[from..end], rest, key);
            from = end;
        }
        std::mem::swap(&mut self.records, &mut self.spare);
        self.spare.clear();
    }
}

/// Writes records to the places of their digits, in order; `counts`, which are zero, become the ends of the places.
fn spread(from: &[Record], to: &mut [Record], counts: &mut [usize], digit: impl Fn(&Record) -> usize) {
    from.iter().for_each(|record| counts[digit(record)] += 1);
    let mut at = 0;
    for count in &mut *counts {
        at += *count;
        *count = at - *count;
    }
    for record in from {
        let place = &mut counts[digit(record)];
        to[*place] = *record;
        *place += 1;
    }
}

/// Sorts `records` stably by the lowest `bits` of their keys, digit by digit from the lowest; `spare` is as long.
fn sort_few(records: &mut [Record], spare: &mut [Record], bits: u32, key: impl Fn(&Record) -> u64) {
    if records.len() < FEW {
        records.sort_by_key(key);
        return;
    }
    let (mut from, mut to) = (records, spare);
    let mut is_swapped = false;
    for shift in (0..bits).step_by(DIGIT as usize) {
        let digit = |record: &Record| (key(record) >> shift) as usize % (1 << DIGIT);
        let first = digit(&from[0]);
        if from.iter().all(|record| digit(record) == first) {
            continue;
        }
        spread(from, to, &mut [0; 1 << DIGIT], digit);
        (from, to) = (to, from);
        is_swapped = !is_swapped;
    }
    if is_swapped {
        to.copy_from_slice(from);
    }
}

/// Treats gaps below zero by the rule, and counts them.
pub fn settle(gaps: &mut [i64], rule: Negative) -> u64 {
    let negatives = gaps.iter().filter(|&&gap| gap < 0).count();
    if negatives > 0 && rule == Negative::Zero {
        gaps.iter_mut().for_each(|gap| *gap = (*gap).max(0));
    }
    negatives as u64
}

/// The gaps of one thread, sorted by edge.
pub struct Sorted {
    records: Vec<Record>,
}

impl Sorted {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Of how many edges they are.
    pub fn edges(&self) -> usize {
        self.records.chunk_by(|one, next| one.pair() == next.pair()).count()
    }

    /// The edges that stand at every `length`th place.
    pub fn every(&self, length: usize) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.records.iter().skip(length).step_by(length).map(Record::pair)
    }

    /// A walk through the gaps of the edges from `from` to before `end`.
    pub fn walk(&self, from: Option<(u32, u32)>, end: Option<(u32, u32)>) -> Walk<'_> {
        let place = |pair: (u32, u32)| self.records.partition_point(|record| record.pair() < pair);
        Walk { rest: &self.records[from.map_or(0, place)..end.map_or(self.records.len(), place)] }
    }
}

/// Gaps that were not met yet.
pub struct Walk<'a> {
    rest: &'a [Record],
}

impl Walk<'_> {
    /// The edge that comes next.
    pub fn peek(&self) -> Option<(u32, u32)> {
        self.rest.first().map(Record::pair)
    }

    /// Appends the gaps of `pair` if that comes next; returns the number of cases they lie in.
    pub fn next(&mut self, pair: (u32, u32), gaps: &mut Vec<i64>) -> u64 {
        let length = self.rest.iter().take_while(|record| record.pair() == pair).count();
        let (run, after) = self.rest.split_at(length);
        self.rest = after;
        gaps.extend(run.iter().map(|record| record.gap));
        // Records of one edge are still in the order of cases.
        run.chunk_by(|one, next| one.case == next.case).count() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn gaps_come_out_by_edge_in_order_with_their_cases(
            cases in prop::collection::vec(prop::collection::vec((0u32..3, any::<i64>()), 1..7), 0..60),
            factor in prop_oneof![Just(1u32), Just(700), Just(u32::MAX / 2)],
        ) {
            let mut gathered = Gathered::default();
            let mut expected: BTreeMap<(u32, u32), (Vec<i64>, u64)> = BTreeMap::new();
            for (i, case) in cases.iter().enumerate() {
                let codes: Vec<u32> = case.iter().map(|&(code, _)| code * factor).collect();
                let gaps: Vec<i64> = case.iter().map(|&(_, gap)| gap).collect();
                let marks: Vec<u32> = (0..codes.len() as u32).collect();
                gathered.add(&codes, &marks, &gaps, i as u64);
                let mut seen = Vec::new();
                for (pair, &gap) in codes.windows(2).zip(&gaps[1..]) {
                    let pair = (pair[0], pair[1]);
                    let edge = expected.entry(pair).or_default();
                    edge.0.push(gap);
                    edge.1 += u64::from(!seen.contains(&pair));
                    seen.push(pair);
                }
            }
            let mut found = BTreeMap::new();
            gathered.drain(|pair, gaps, cases| assert!(found.insert(pair, (gaps.to_vec(), cases)).is_none()));
            prop_assert_eq!(found, expected);
            prop_assert_eq!(gathered.sorted().len(), 0);
        }
    }

    #[test]
    fn records_are_sorted_stably_whether_few_or_many_have_the_highest_bits() {
        let random = |i: u64| crate::hash::of_key(i);
        for (n, codes, common) in [(50_000, 40, 0), (200_000, 3000, 0), (100_000, u32::MAX, 0), (100_000, 1 << 20, 900)]
        {
            let code = |x: u64| if x % 1000 < common { 7 } else { (x >> 32) as u32 % codes };
            let record = |i: u64| Record {
                source: code(random(2 * i)),
                target: code(random(2 * i + 1)),
                case: i as u32,
                gap: i as i64,
            };
            let records: Vec<Record> = (0..n).map(record).collect();
            let told = |records: &[Record]| records.iter().map(|r| (r.pair(), r.case, r.gap)).collect::<Vec<_>>();
            let mut expected = records.clone();
            expected.sort_by_key(Record::pair);
            let sorted = Gathered { records, ..Gathered::default() }.sorted();
            assert!(told(&sorted.records) == told(&expected), "{n} {codes} {common}");
        }
    }

    #[test]
    fn walks_of_parts_meet_every_edge_once() {
        let mut gathered = Gathered::default();
        let codes: Vec<u32> = (0..1000).map(|i| i * i % 37).collect();
        let marks: Vec<u32> = (0..1000).map(|i| i % 11).collect();
        gathered.add(&codes, &marks, &vec![1; 1000], 0);
        let sorted = gathered.sorted();
        let mut cuts: Vec<_> = sorted.every(100).map(Some).collect();
        cuts.dedup();
        let ends = cuts.iter().copied().chain([None]);
        let mut pairs = Vec::new();
        for (from, end) in [None].into_iter().chain(cuts.iter().copied()).zip(ends) {
            let (mut walk, mut gaps) = (sorted.walk(from, end), Vec::new());
            while let Some(pair) = walk.peek() {
                assert!(walk.next(pair, &mut gaps) > 0);
                pairs.push(pair);
            }
        }
        assert!(pairs.is_sorted_by(|one, next| one < next) && pairs.len() > 30);
    }

    #[test]
    fn gaps_below_zero_are_kept_or_cut_and_counted() {
        let mut gaps = [-5, 0, 7, i64::MIN];
        assert_eq!((settle(&mut gaps, Negative::Keep), gaps), (2, [-5, 0, 7, i64::MIN]));
        assert_eq!((settle(&mut gaps, Negative::Zero), gaps), (2, [0, 0, 7, 0]));
    }
}
