//! Gaps per edge: brought together in bins, then summed up and, where percentiles are asked for, sieved.
//!
//! Telling every gap to its edge at once costs a miss of the cache, of the address translation, or a wrong guess for nearly
//! every event. So each edge has a bin that is emptied when it is full: all bins together stay in the cache. With very
//! many edges they do not: then gaps gather, with their edges, and are sorted at the end or when they have become many.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::EdgeTable;
use super::edge::EdgeState;
use super::gathered::{Gathered, Sorted, settle};
use super::table::Edges;
use crate::cases::batch::CaseBatch;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::log::spec::Negative;
use crate::stats::asked::Asked;
use crate::stats::kept::Kept;
use crate::stats::quantile::Percentile;
use crate::stats::sieve::Sieve;
use crate::stats::sorting;

/// What one thread has seen.
pub struct State {
    /// Numbers of the edges.
    pub table: EdgeTable,
    /// By number; none for edges whose gaps are all gathered. Locked by nobody while the log is read: threads share them
    /// only when they are merged.
    edges: Vec<Mutex<EdgeState>>,
    /// Gaps below zero by number, where the log has starts.
    negatives: Vec<u64>,
    kept_bytes: isize,
    /// Percentiles of the gaps; none where only the edges count.
    asked: Option<Asked>,
    /// Whether this is a second look, for which only the edges known beforehand matter.
    second: bool,
    negative: Negative,
    /// Cases so far. The first is 1, so that 0 is none.
    case: u64,
    numbers: Vec<u32>,
    gaps: Vec<i64>,
    slots: Vec<Slot>,
    bins: Vec<[i64; BIN]>,
    gathered: Gathered,
    /// Bytes that may be gathered.
    quota_bytes: usize,
}

/// All that one thread has seen.
pub struct Known {
    /// The edges that were told of gaps, or that were only noted, with their numbers, by pair.
    pub order: Vec<((u32, u32), u32)>,
    /// What they were told, by number; empty where they were only noted.
    pub edges: Vec<Mutex<EdgeState>>,
    /// Gaps below zero that they were told of, by number, where there are such.
    pub negatives: Vec<u64>,
    /// The gaps that no edge was told of.
    pub gaps: Sorted,
}

/// How full an edge's bin is, in how many cases the edge was seen since it was emptied, and the last case it was seen in:
/// one number, so that it is read and written at once.
#[derive(Clone, Copy, Default)]
struct Slot(u64);

impl Slot {
    fn filled(self) -> usize {
        self.0 as usize & 0xff
    }

    fn cases(self) -> u64 {
        self.0 >> 8 & 0xff
    }

    /// With one gap more, of case number `case`, which has to be below 2^48.
    #[inline]
    fn with(self, case: u64) -> Slot {
        let another = u64::from(self.0 >> 16 != case);
        Slot((case << 16 | self.0 & 0xffff) + (another << 8) + 1)
    }

    fn emptied(self) -> Slot {
        Slot(self.0 & !0xffff)
    }
}

/// Gaps in a bin.
const BIN: usize = 64;

/// Events of a case that are taken one after the other. What is kept of gaps goes by those that came before: in a case
/// that tells a long story these are of another kind than those to come, unless stretches of it are mixed.
const LONG: usize = 1 << 16;
const STRETCH: usize = 1 << 8;

/// Up to this many edges have bins: 4 MiB.
const MAX_BINS: usize = 8 * 1024;

impl State {
    /// A state for the percentiles asked for, which gathers at most `quota_bytes`; where there is not even a list of them,
    /// only edges are noted, not gaps.
    pub fn new(asked: Option<&Asked>, negative: Negative, quota_bytes: usize) -> State {
        State {
            table: EdgeTable::default(),
            edges: Vec::new(),
            negatives: Vec::new(),
            kept_bytes: 0,
            asked: asked.cloned(),
            second: false,
            negative,
            case: 0,
            numbers: Vec::new(),
            gaps: Vec::new(),
            slots: Vec::new(),
            bins: Vec::new(),
            gathered: Gathered::default(),
            quota_bytes,
        }
    }

    /// A state for a second look, at those of `edges` whose percentiles the first has missed.
    pub fn second(edges: &Edges<'_>, asked: &[Percentile], negative: Negative, quota_bytes: usize) -> State {
        let mut state = State { second: true, ..State::new(Some(&Asked::exact(asked)), negative, quota_bytes) };
        let missed = edges.missed().map(|(edge, sieve)| (edge.pair(), sieve));
        state.table.make_room(missed.clone().map(|((a, b), _)| a.max(b) as usize + 1).max().unwrap_or(0));
        for ((source, target), sieve) in missed {
            state.table.number(source, target);
            state
                .edges
                .push(Mutex::new(EdgeState { gaps: Kept::Sieve(Sieve::second(sieve, asked)), ..EdgeState::default() }));
        }
        state
    }

    /// Bytes held.
    pub fn size_bytes(&self) -> usize {
        let edges = self.edges.len() * size_of::<Mutex<EdgeState>>() + self.table.pairs().len() * 16;
        let bins = self.bins.len() * (size_of::<[i64; BIN]>() + size_of::<Slot>());
        self.kept_bytes.max(0) as usize + edges + self.negatives.len() * 8 + bins + self.gathered.size_bytes()
    }

    /// All edges.
    pub fn into_pairs(self) -> Vec<(u32, u32)> {
        self.table.into_pairs()
    }

    /// Hands over what is known.
    ///
    /// # Errors
    /// CANCELLED.
    pub fn known(mut self, context: &Context) -> Result<Known> {
        self.empty_bins();
        if self.second {
            // Only the sieves of the edges know which of the gaps are looked for.
            self.take_gathered();
        }
        let mut order: Vec<_> = self.table.pairs().iter().copied().zip(0u32..).collect();
        sorting::sort_by(&mut order, Ord::cmp, || context.check_cancelled())?;
        Ok(Known { order, edges: self.edges, negatives: self.negatives, gaps: self.gathered.sorted() })
    }

    /// Takes in some cases.
    ///
    /// # Errors
    /// INVALID_DATA for a gap below zero, if those are not allowed.
    pub fn fold(&mut self, batch: &CaseBatch<'_>) -> Result<()> {
        let (from, to) = (batch.offsets[0] as usize, batch.offsets[batch.cases()] as usize);
        let codes = &batch.codes[from..to];
        let firsts = || batch.offsets[..batch.cases()].iter().map(|&at| at as usize - from);
        let gathers = self.asked.is_some() && self.table.pairs().len() > MAX_BINS;
        if !gathers && batch.starts.is_none() && self.asked.is_some() {
            self.table.make_room(codes.iter().fold(0, |all, &code| all | code) as usize + 1);
            if self.table.is_dense() {
                self.fold_plain(batch);
                return Ok(());
            }
        }
        if gathers {
            self.numbers.clear();
            self.numbers.resize(codes.len(), 1);
            firsts().for_each(|at| self.numbers[at] = 0);
        } else {
            self.table.make_room(codes.iter().max().map_or(0, |&code| code as usize + 1));
            self.table.number_pairs(codes, firsts, &mut self.numbers);
        }
        if self.asked.is_none() {
            return Ok(());
        }
        let times = &batch.times[from..to];
        match batch.starts {
            None => gaps_between(times, times, &mut self.gaps),
            Some(starts) => {
                gaps_between(times, &starts[from..to], &mut self.gaps);
                self.check_negatives()?;
            }
        }
        if gathers {
            self.empty_bins();
            self.gathered.add(codes, &self.numbers, &self.gaps, self.case);
            if self.gathered.is_full(self.quota_bytes) {
                self.take_gathered();
            }
        } else {
            self.make_edges();
            if batch.starts.is_some() {
                self.settle_negatives();
            }
            self.fill_bins();
        }
        self.case += batch.cases() as u64;
        Ok(())
    }

    /// Puts the gaps of a batch in the bins of their edges, where there is nothing else to do: found, taken and put away
    /// one by one, which nearly all logs allow.
    fn fold_plain(&mut self, batch: &CaseBatch<'_>) {
        self.make_bins();
        for i in 0..batch.cases() {
            self.case += 1;
            let events = batch.events(i);
            let (codes, times) = (&batch.codes[events.clone()], &batch.times[events]);
            if codes.len() <= LONG {
                self.fold_stretch(codes, times);
            } else {
                for stretch in mixed_stretches(codes.len()) {
                    self.fold_stretch(&codes[stretch.clone()], &times[stretch]);
                }
            }
        }
    }

    /// Puts the gaps of some of a case's events in the bins of their edges.
    #[inline(always)]
    fn fold_stretch(&mut self, codes: &[u32], times: &[i64]) {
        let mut done = self.fill(codes, times);
        while done + 1 < codes.len() {
            self.meet(codes[done], codes[done + 1]);
            done += self.fill(&codes[done..], &times[done..]);
        }
    }

    /// Puts the gaps of a case in the bins of their edges, until one of these was not seen before; returns how many gaps
    /// that were.
    #[inline(always)]
    fn fill(&mut self, codes: &[u32], times: &[i64]) -> usize {
        let State { table, slots, bins, edges, asked, kept_bytes, case, .. } = self;
        let (mut done, case) = (0, *case);
        for (codes, times) in codes.windows(2).zip(times.windows(2)) {
            let number = table.find_dense(codes[0], codes[1]);
            if number == 0 {
                break;
            }
            let (slot, bin) = (&mut slots[number], &mut bins[number]);
            // Read once, and not again behind what is written to the bin.
            let before = *slot;
            bin[before.filled() % BIN] = times[1].wrapping_sub(times[0]);
            *slot = before.with(case);
            if before.filled() + 1 == BIN {
                *kept_bytes += empty(slot, bin, edges, number, asked.as_deref().unwrap_or(&[]));
            }
            done += 1;
        }
        done
    }

    /// Gives an edge that was not seen before a number and a bin.
    #[cold]
    fn meet(&mut self, source: u32, target: u32) {
        self.table.number(source, target);
        self.make_edges();
        self.make_bins();
    }

    /// Makes room for what is known of every edge.
    fn make_edges(&mut self) {
        let Some(asked) = &self.asked else { return };
        let gaps = || if self.second { Kept::Sieve(Sieve::closed()) } else { Kept::new(asked) };
        let unknown = || EdgeState { gaps: gaps(), ..EdgeState::default() };
        self.edges.resize_with(self.table.pairs().len(), || Mutex::new(unknown()));
    }

    /// Refuses gaps below zero, if they are not allowed.
    fn check_negatives(&self) -> Result<()> {
        if self.negative != Negative::Error {
            return Ok(());
        }
        let mut gaps = self.numbers.iter().zip(&self.gaps);
        match gaps.find(|&(&number, &gap)| number > 0 && gap < 0) {
            Some((_, &gap)) => Err(refused(gap)),
            None => Ok(()),
        }
    }

    /// Counts gaps below zero by edge, and makes them zero if they are to be so.
    fn settle_negatives(&mut self) {
        self.negatives.resize(self.edges.len(), 0);
        for (&number, gap) in self.numbers.iter().zip(&mut self.gaps).filter(|(number, _)| **number > 0) {
            self.negatives[number as usize - 1] += settle(std::slice::from_mut(gap), self.negative);
        }
    }

    /// Puts the gaps of the batch in the bins of their edges.
    fn fill_bins(&mut self) {
        self.make_bins();
        let State { numbers, gaps, slots, bins, edges, asked, kept_bytes, .. } = self;
        let asked = asked.as_deref().unwrap_or(&[]);
        let mut case = self.case;
        for (&number, &gap) in numbers.iter().zip(gaps.iter()) {
            let number = number as usize;
            case += u64::from(number == 0);
            let slot = &mut slots[number];
            bins[number][slot.filled() % BIN] = gap;
            *slot = slot.with(case);
            if slot.filled() == BIN {
                *kept_bytes += empty(slot, &bins[number], edges, number, asked);
            }
        }
    }

    /// A bin for every edge. Number 0 is the first event of a case, which has no gap: its bin is filled in vain, so that
    /// there is no branch.
    fn make_bins(&mut self) {
        self.slots.resize(self.edges.len() + 1, Slot::default());
        self.bins.resize(self.edges.len() + 1, [0; BIN]);
    }

    fn empty_bins(&mut self) {
        let State { slots, bins, edges, asked, kept_bytes, .. } = self;
        let asked = asked.as_deref().unwrap_or(&[]);
        for (number, (slot, bin)) in slots.iter_mut().zip(bins.iter()).enumerate() {
            *kept_bytes += empty(slot, bin, edges, number, asked);
        }
        // A case that goes on is not seen twice in an edge: batches hold whole cases.
        (self.slots, self.bins) = (Vec::new(), Vec::new());
    }

    /// Tells the edges what was gathered.
    fn take_gathered(&mut self) {
        self.table.make_room(self.gathered.highest() as usize + 1);
        let mut gathered = std::mem::take(&mut self.gathered);
        gathered.drain(|(source, target), gaps, cases| {
            if self.second && self.table.find(source, target).is_none() {
                return;
            }
            let number = self.table.number(source, target);
            if number >= self.edges.len() {
                self.make_edges();
            }
            let negatives = settle(gaps, self.negative);
            if negatives > 0 {
                self.negatives.resize(self.edges.len(), 0);
                self.negatives[number] += negatives;
            }
            let asked = self.asked.as_deref().unwrap_or(&[]);
            self.kept_bytes += known(&mut self.edges[number]).take(gaps, cases, asked);
        });
        self.gathered = gathered;
    }
}

/// The pairs of `events`, in stretches that each begin with the last event of the one before: in an order in which
/// those that come first are from everywhere.
fn mixed_stretches(events: usize) -> impl Iterator<Item = Range<usize>> {
    let n = events.saturating_sub(1).div_ceil(STRETCH);
    // By a step of the golden section the places visited lie evenly all the time (Knuth, TAOCP 3, 6.4).
    let near = (n as f64 * 0.618_033_988_75) as usize;
    let step = (near.max(1)..).find(|&step| gcd(step, n) == 1).unwrap_or(1);
    (0..n).map(move |i| i * step % n * STRETCH).map(move |from| from..(from + STRETCH + 1).min(events))
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The error for a gap below zero, where those are not allowed.
pub fn refused(gap: i64) -> Error {
    let text = format!(
        "an event starts {} ticks before the one before it in its case ends; pass negative=\"keep\" or \"zero\" to accept overlaps",
        gap.unsigned_abs()
    );
    Error::data(text).with("column", "start_timestamp")
}

/// Tells an edge what is in its bin; returns by how many bytes that has grown.
#[inline(never)]
fn empty(slot: &mut Slot, bin: &[i64], edges: &mut [Mutex<EdgeState>], number: usize, asked: &[Percentile]) -> isize {
    let full = std::mem::replace(slot, slot.emptied());
    match number.checked_sub(1) {
        Some(edge) if full.filled() > 0 => known(&mut edges[edge]).take(&bin[..full.filled()], full.cases(), asked),
        _ => 0,
    }
}

fn known(edge: &mut Mutex<EdgeState>) -> &mut EdgeState {
    edge.get_mut().unwrap_or_else(PoisonError::into_inner)
}

/// Gaps from the end of each event to the start of the next; what stands at the first event of a case is no gap.
fn gaps_between(ends: &[i64], starts: &[i64], gaps: &mut Vec<i64>) {
    gaps.clear();
    gaps.push(0);
    gaps.extend(ends.iter().zip(starts.iter().skip(1)).map(|(end, start)| start.wrapping_sub(*end)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::batch::Ids;
    use crate::stats::moments::Moments;
    use crate::stats::quantile::Percentile;

    #[test]
    fn stretches_have_every_pair_of_events_once() {
        for events in [0, 1, 2, STRETCH, STRETCH + 1, STRETCH + 2, LONG + 1, 13 * STRETCH + 77, 40 * STRETCH + 1] {
            let stretches: Vec<_> = mixed_stretches(events).collect();
            assert!(stretches.iter().all(|stretch| stretch.len() <= STRETCH + 1));
            let mut seconds: Vec<usize> = stretches.into_iter().flat_map(|stretch| stretch.skip(1)).collect();
            seconds.sort_unstable();
            assert_eq!(seconds, (1..events).collect::<Vec<_>>(), "{events}");
        }
    }

    #[test]
    fn gaps_of_a_long_case_that_change_in_kind_need_one_look() {
        const EVENTS: usize = 1 << 20;
        let asked = Asked::exact(&[Percentile::new(50.0).unwrap(), Percentile::new(99.0).unwrap()]);
        let codes: Vec<u32> = (0..EVENTS as u64).map(|i| (i * i % 61) as u32).collect();
        // Each gap is longer than the one before.
        let times: Vec<i64> = (0..EVENTS as i64).map(|i| i * i).collect();
        let batch = CaseBatch {
            offsets: &[0, EVENTS as u32],
            codes: &codes,
            times: &times,
            starts: None,
            keys: &[7],
            ids: Ids::Keys,
            orders: &[0],
        };
        let mut state = State::new(Some(&asked), Negative::Error, usize::MAX);
        state.fold(&batch).unwrap();
        let known = state.known(&Context::new()).unwrap();
        let mut counts = 0;
        for (pair, number) in &known.order {
            let EdgeState { cases, moments, gaps } =
                std::mem::take(&mut *known.edges[*number as usize].lock().unwrap());
            let mut own: Vec<i64> = codes
                .windows(2)
                .zip(times.windows(2))
                .filter(|(codes, _)| (codes[0], codes[1]) == *pair)
                .map(|(_, times)| times[1] - times[0])
                .collect();
            own.sort_unstable();
            counts += own.len();
            assert_eq!((cases, moments), (1, Moments::of(&own)));
            let Kept::Sieve(sieve) = gaps else { panic!("not asked within bounds") };
            let found = Sieve::merged(std::iter::once(sieve), own.len() as u64, &asked).unwrap();
            assert!(found.iter().all(|&(rank, value)| own[rank as usize] == value));
        }
        assert_eq!(counts, EVENTS - 1);
    }
}
