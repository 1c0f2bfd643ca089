//! Gaps per edge: brought together in bins, then summed up and, where percentiles are asked for, sieved.
//!
//! Telling every gap to its edge at once costs a miss of the cache, of the address translation, or a wrong guess for nearly
//! every event. So each edge has a bin that is emptied when it is full: all bins together stay in the cache. With very
//! many edges they do not: then gaps gather over many batches before they are sorted.

use std::sync::{Mutex, PoisonError};

use super::EdgeTable;
use super::edge::EdgeState;
use super::gathered::Gathered;
use super::table::Edge;
use crate::cases::batch::CaseBatch;
use crate::error::{Error, Result};
use crate::log::spec::Negative;
use crate::stats::quantile::Percentile;
use crate::stats::sieve::Sieve;

/// What one thread has seen.
pub struct State {
    /// Numbers of the edges.
    pub table: EdgeTable,
    /// By number. Locked by nobody while the log is read: threads share them only when they are merged.
    edges: Vec<Mutex<EdgeState>>,
    kept_bytes: isize,
    /// Percentiles of the gaps; none where only the edges count.
    asked: Option<Vec<Percentile>>,
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

/// Up to this many edges have bins: 4 MiB.
const MAX_BINS: usize = 8 * 1024;

impl State {
    /// A state for the percentiles asked for; where there is not even a list of them, only edges are noted, not gaps.
    pub fn new(asked: Option<&[Percentile]>, negative: Negative) -> State {
        State {
            table: EdgeTable::default(),
            edges: Vec::new(),
            kept_bytes: 0,
            asked: asked.map(<[Percentile]>::to_vec),
            second: false,
            negative,
            case: 0,
            numbers: Vec::new(),
            gaps: Vec::new(),
            slots: Vec::new(),
            bins: Vec::new(),
            gathered: Gathered::default(),
        }
    }

    /// A state for a second look, at those of `edges` whose percentiles the first has missed.
    pub fn second(edges: &[Edge], asked: &[Percentile], negative: Negative) -> State {
        let mut state = State { second: true, ..State::new(Some(asked), negative) };
        let missed = || edges.iter().filter_map(|edge| edge.missed().map(|sieve| (edge.pair(), sieve)));
        state.table.make_room(missed().map(|((a, b), _)| a.max(b) as usize + 1).max().unwrap_or(0));
        for ((source, target), sieve) in missed() {
            state.table.number(source, target);
            state.edges.push(Mutex::new(EdgeState { gaps: Sieve::second(sieve, asked), ..EdgeState::default() }));
        }
        state
    }

    /// Bytes held.
    pub fn size_bytes(&self) -> usize {
        let of_edge = size_of::<Mutex<EdgeState>>() + 16;
        let bins = self.bins.len() * (size_of::<[i64; BIN]>() + size_of::<Slot>());
        self.kept_bytes.max(0) as usize + self.table.pairs().len() * of_edge + bins + self.gathered.size_bytes()
    }

    /// Hands over what is known, by edge number. Empty where only edges were looked at.
    pub fn take_edges(&mut self) -> Vec<Mutex<EdgeState>> {
        self.empty_bins();
        self.take_gathered();
        std::mem::take(&mut self.edges)
    }

    /// Takes in some cases.
    ///
    /// # Errors
    /// INVALID_DATA for a gap below zero, if those are not allowed.
    pub fn fold(&mut self, batch: &CaseBatch<'_>) -> Result<()> {
        let (from, to) = (batch.offsets[0] as usize, batch.offsets[batch.cases()] as usize);
        let codes = &batch.codes[from..to];
        let highest = codes.iter().max().map_or(0, |&code| code as usize + 1);
        self.table.make_room(highest);
        let firsts = || batch.offsets[..batch.cases()].iter().map(|&at| at as usize - from);
        self.table.number_pairs(codes, firsts, &mut self.numbers);
        if self.asked.is_none() {
            return Ok(());
        }
        let second = self.second;
        let unknown =
            || EdgeState { gaps: if second { Sieve::closed() } else { Sieve::default() }, ..EdgeState::default() };
        self.edges.resize_with(self.table.pairs().len(), || Mutex::new(unknown()));
        match batch.starts {
            None => gaps_between(&batch.times[from..to], &mut self.gaps),
            Some(starts) => self.gaps_between_intervals(&batch.times[from..to], &starts[from..to])?,
        }
        if self.edges.len() <= MAX_BINS {
            self.fill_bins();
        } else {
            self.empty_bins();
            self.gathered.add(&self.numbers, &self.gaps, self.case);
            if self.gathered.is_full(self.edges.len()) {
                self.take_gathered();
            }
        }
        self.case += batch.cases() as u64;
        Ok(())
    }

    /// Gaps from the end of one event to the start of the next.
    fn gaps_between_intervals(&mut self, times: &[i64], starts: &[i64]) -> Result<()> {
        self.gaps.clear();
        self.gaps.resize(times.len(), 0);
        for i in 1..times.len() {
            if self.numbers[i] == 0 {
                continue;
            }
            let gap = starts[i] - times[i - 1];
            self.gaps[i] = gap;
            if gap >= 0 {
                continue;
            }
            known(&mut self.edges[self.numbers[i] as usize - 1]).negatives += 1;
            match self.negative {
                Negative::Keep => {}
                Negative::Zero => self.gaps[i] = 0,
                Negative::Error => return Err(refused(gap)),
            }
        }
        Ok(())
    }

    /// Puts the gaps of the batch in the bins of their edges.
    fn fill_bins(&mut self) {
        // Number 0 is the first event of a case, which has no gap: its bin is filled in vain, so that there is no branch.
        self.slots.resize(self.edges.len() + 1, Slot::default());
        self.bins.resize(self.edges.len() + 1, [0; BIN]);
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

    fn empty_bins(&mut self) {
        let State { slots, bins, edges, asked, kept_bytes, .. } = self;
        let asked = asked.as_deref().unwrap_or(&[]);
        for (number, (slot, bin)) in slots.iter_mut().zip(bins.iter()).enumerate() {
            *kept_bytes += empty(slot, bin, edges, number, asked);
        }
        // A case that goes on is not seen twice in an edge: batches hold whole cases.
        (self.slots, self.bins) = (Vec::new(), Vec::new());
    }

    fn take_gathered(&mut self) {
        let State { gathered, edges, kept_bytes, asked, .. } = self;
        let asked = asked.as_deref().unwrap_or(&[]);
        let take = |number, gaps: &[i64], cases| {
            *kept_bytes += known(&mut edges[number as usize - 1]).take(gaps, cases, asked);
        };
        gathered.drain(take);
    }
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

/// Gaps from each event to the next; what stands at the first event of a case is no gap.
fn gaps_between(times: &[i64], gaps: &mut Vec<i64>) {
    gaps.clear();
    gaps.push(0);
    gaps.extend(times.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])));
}
