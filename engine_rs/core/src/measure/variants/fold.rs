//! The sequence of every case, put aside by hash and counted part by part.
//!
//! A table of all sequences does not fit the cache, and one look-up per case in it would cost more than everything else
//! a case needs. So a case only appends its sequence to the part its hash belongs to. A part is counted when it has
//! grown as large as what is counted of it, and at the end: its table fits the cache while that lasts.

use super::sequences::{Follower, PADDING, Sequences, write_codes};
use crate::cases::batch::CaseBatch;
use crate::error::{Error, Result};
use crate::hash;

/// Parts of the range of hashes.
pub const PARTS: usize = 128;

/// The part of a hash: not by its low bits, which the tables use.
#[inline]
fn part_of(hash: u64) -> usize {
    (hash >> 32) as usize % PARTS
}

/// What is remembered of the cases that follow a sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// Their durations.
    pub durations: bool,
    /// Which ones they are.
    pub cases: bool,
}

/// Cases, in one order: the number of each one's sequence, and what else is kept of it.
#[derive(Default)]
pub struct Followers {
    /// Number of the sequence, in its part.
    pub numbers: Vec<u32>,
    /// Duration in ticks, where those are kept.
    pub durations: Vec<i64>,
    /// Number of the case among those of its thread, in the order in which they were folded, where that is kept.
    pub cases: Vec<u32>,
}

/// What one thread has seen of one part.
#[derive(Default)]
pub struct Part {
    /// Counted, but for the last ones.
    pub sequences: Sequences,
    /// The cases that were counted.
    pub followers: Followers,
}

/// A part with less than this to count is left alone.
const FEW_BYTES: usize = 16 * 1024;

impl Part {
    fn count(&mut self, keep: Keep) {
        let Part { sequences, followers } = self;
        let Followers { numbers, durations, cases } = followers;
        match (keep.durations, keep.cases) {
            (false, false) => sequences.count(|_, _| ()),
            (true, false) => sequences.count(|Follower { duration, .. }, number| {
                numbers.push(number);
                durations.push(duration);
            }),
            (with_durations, _) => sequences.count(|Follower { duration, case }, number| {
                numbers.push(number);
                cases.push(case);
                durations.extend(with_durations.then_some(duration));
            }),
        }
    }

    /// Counts what is left, and gives back the space that took.
    pub fn finish(&mut self, keep: Keep) {
        self.count(keep);
        self.sequences.shrink();
    }

    fn size_bytes(&self) -> usize {
        let Followers { numbers, durations, cases } = &self.followers;
        self.sequences.size_bytes() + numbers.len() * 4 + durations.len() * 8 + cases.len() * 4
    }
}

/// What one thread has seen.
pub struct State {
    /// By part.
    pub parts: Vec<Part>,
    /// Cases folded.
    pub cases: u64,
    /// What is remembered of each case.
    pub keep: Keep,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl State {
    /// A state that remembers of each case what `keep` says.
    pub fn new(keep: Keep) -> State {
        let parts = (0..PARTS).map(|_| Part::default()).collect();
        State { parts, cases: 0, keep, bytes: Vec::new(), ends: Vec::new() }
    }

    /// Takes in some cases.
    ///
    /// # Errors
    /// UNSUPPORTED beyond 2^32 cases in a thread with cases listed, for sequences of 4 GiB, or too many of them.
    pub fn fold(&mut self, batch: &CaseBatch<'_>) -> Result<()> {
        let first = match u32::try_from(self.cases + batch.cases() as u64) {
            Ok(_) => self.cases as u32,
            Err(_) if !self.keep.cases => 0,
            Err(_) => return Err(Error::unsupported("more than 2^32 cases in one thread with cases listed")),
        };
        self.write(batch);
        if u32::try_from(self.bytes.len()).is_err() {
            return Err(Error::unsupported("a batch of cases with sequences beyond 4 GiB"));
        }
        let mut from = 0;
        for (case, &end) in self.ends.iter().enumerate() {
            let hash = hash::of_bytes(&self.bytes[from..end]);
            let duration = if self.keep.durations { batch.duration(case) } else { 0 };
            let part = &mut self.parts[part_of(hash)];
            let follower = Follower { case: first.wrapping_add(case as u32), duration };
            part.sequences.push(hash, &self.bytes, from, end, follower);
            if part.sequences.is_full(FEW_BYTES) {
                part.count(self.keep);
                part.sequences.check_room()?;
            }
            from = end;
        }
        self.cases += batch.cases() as u64;
        Ok(())
    }

    /// The bytes of every sequence of the batch, and where they end; padding follows.
    fn write(&mut self, batch: &CaseBatch<'_>) {
        let (from, to) = (batch.offsets[0] as usize, batch.offsets[batch.cases()] as usize);
        let codes = &batch.codes[from..to];
        self.bytes.clear();
        self.ends.clear();
        if codes.iter().fold(0, |all, &code| all | code) < 0x80 {
            // A code is a byte: the bytes lie as the codes do.
            self.bytes.extend(codes.iter().map(|&code| code as u8));
            self.ends.extend(batch.offsets[1..].iter().map(|&end| end as usize - from));
        } else {
            for i in 0..batch.cases() {
                write_codes(&batch.codes[batch.events(i)], &mut self.bytes);
                self.ends.push(self.bytes.len());
            }
        }
        self.bytes.extend_from_slice(&[0; PADDING]);
    }

    /// Bytes held.
    pub fn size_bytes(&self) -> usize {
        self.parts.iter().map(Part::size_bytes).sum()
    }
}
