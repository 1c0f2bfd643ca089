//! The sequence of every case, put aside by hash and counted part by part.
//!
//! A table of all sequences does not fit the cache, and one look-up per case in it would cost more than everything else
//! a case needs. So a case only appends its sequence to the part its hash belongs to. A part is counted when it has
//! grown as large as its table, and at the end: its table fits the cache while that lasts.

use super::sequences::{Sequences, write_codes};
use crate::cases::batch::CaseBatch;
use crate::error::{Error, Result};
use crate::hash;

/// Parts of the range of hashes.
pub const PARTS: usize = 128;

/// The part of a hash: not by its low bits nor by its highest, which the tables use.
#[inline]
fn part_of(hash: u64) -> usize {
    (hash >> 32) as usize % PARTS
}

/// Which case follows which sequence.
#[derive(Clone, Copy)]
pub struct Follower {
    /// Number of the case among those of its thread, in the order in which they were folded.
    pub case: u32,
    /// Number of its sequence in the part.
    pub number: u32,
}

/// What one thread has seen of one part.
#[derive(Default)]
pub struct Part {
    /// Not counted yet: hash, case, length and bytes of one sequence after the other.
    raw: Vec<u8>,
    records: usize,
    /// Counted.
    pub sequences: Sequences,
    /// The cases that were counted, where cases are kept.
    pub followers: Vec<Follower>,
}

const HEAD: usize = 16;

/// A part with less than this to count is left alone.
const FEW_BYTES: usize = 64 * 1024;

impl Part {
    #[inline]
    fn push(&mut self, hash: u64, case: u32, sequence: &[u8], keep_cases: bool) {
        let mut head = [0u8; HEAD];
        head[..8].copy_from_slice(&hash.to_le_bytes());
        head[8..12].copy_from_slice(&case.to_le_bytes());
        head[12..].copy_from_slice(&(sequence.len() as u32).to_le_bytes());
        if sequence.len() <= HEAD {
            // Nearly all are short: two lengths known beforehand are copied without a call, and the rest cut off.
            let mut record = [0u8; 2 * HEAD];
            record[..HEAD].copy_from_slice(&head);
            record[HEAD..].iter_mut().zip(sequence).for_each(|(to, &byte)| *to = byte);
            self.raw.extend_from_slice(&record);
            self.raw.truncate(self.raw.len() - HEAD + sequence.len());
        } else {
            self.raw.extend_from_slice(&head);
            self.raw.extend_from_slice(sequence);
        }
        self.records += 1;
        if self.raw.len() >= FEW_BYTES && self.raw.len() >= self.sequences.size_bytes() {
            self.count(keep_cases);
        }
    }

    #[cold]
    fn count(&mut self, keep_cases: bool) {
        let (sequences, followers) = (&mut self.sequences, &mut self.followers);
        sequences.reserve(self.records, self.raw.len() - self.records * HEAD);
        followers.reserve(if keep_cases { self.records } else { 0 });
        for_each_record(&self.raw, |hash, case, sequence| {
            let number = sequences.add(hash, sequence, 1);
            if keep_cases {
                followers.push(Follower { case, number });
            }
        });
        self.raw.clear();
        self.records = 0;
    }

    /// Counts what is left, and gives back the space that took.
    pub fn finish(&mut self, keep_cases: bool) {
        self.count(keep_cases);
        self.raw = Vec::new();
    }

    fn size_bytes(&self) -> usize {
        self.raw.len() + self.sequences.size_bytes() + self.followers.len() * size_of::<Follower>()
    }
}

fn for_each_record(raw: &[u8], mut take: impl FnMut(u64, u32, &[u8])) {
    let mut rest = raw;
    while let Some((head, after)) = rest.split_first_chunk::<HEAD>() {
        let (mut hash, mut case, mut length) = ([0; 8], [0; 4], [0; 4]);
        hash.copy_from_slice(&head[..8]);
        case.copy_from_slice(&head[8..12]);
        length.copy_from_slice(&head[12..]);
        let (sequence, after) = after.split_at(u32::from_le_bytes(length) as usize);
        take(u64::from_le_bytes(hash), u32::from_le_bytes(case), sequence);
        rest = after;
    }
}

/// What one thread has seen.
pub struct State {
    /// By part.
    pub parts: Vec<Part>,
    /// Cases folded.
    pub cases: u64,
    /// Whether it is remembered which case follows which sequence.
    pub keep_cases: bool,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl State {
    /// A state; `keep_cases` remembers the sequence of every case.
    pub fn new(keep_cases: bool) -> State {
        let parts = (0..PARTS).map(|_| Part::default()).collect();
        State { parts, cases: 0, keep_cases, bytes: Vec::new(), ends: Vec::new() }
    }

    /// Takes in some cases.
    ///
    /// # Errors
    /// UNSUPPORTED beyond 2^32 cases in a thread, or for a sequence of 4 GiB.
    pub fn fold(&mut self, batch: &CaseBatch<'_>) -> Result<()> {
        let first = match u32::try_from(self.cases + batch.cases() as u64) {
            Ok(_) => self.cases as u32,
            Err(_) if !self.keep_cases => 0,
            Err(_) => return Err(Error::unsupported("more than 2^32 cases in one thread with variants listed")),
        };
        self.write(batch);
        if u32::try_from(self.bytes.len()).is_err() {
            return Err(Error::unsupported("a batch of cases with sequences beyond 4 GiB"));
        }
        let mut from = 0;
        for (case, &end) in self.ends.iter().enumerate() {
            let sequence = &self.bytes[from..end];
            let hash = hash::of_bytes(sequence);
            self.parts[part_of(hash)].push(hash, first.wrapping_add(case as u32), sequence, self.keep_cases);
            from = end;
        }
        self.cases += batch.cases() as u64;
        Ok(())
    }

    /// The bytes of every sequence of the batch, and where they end.
    fn write(&mut self, batch: &CaseBatch<'_>) {
        let (from, to) = (batch.offsets[0] as usize, batch.offsets[batch.cases()] as usize);
        let codes = &batch.codes[from..to];
        self.bytes.clear();
        self.ends.clear();
        if codes.iter().fold(0, |all, &code| all | code) < 0x80 {
            // A code is a byte: the bytes lie as the codes do.
            self.bytes.extend(codes.iter().map(|&code| code as u8));
            self.ends.extend(batch.offsets[1..].iter().map(|&end| end as usize - from));
            return;
        }
        for i in 0..batch.cases() {
            write_codes(&batch.codes[batch.events(i)], &mut self.bytes);
            self.ends.push(self.bytes.len());
        }
    }

    /// Bytes held.
    pub fn size_bytes(&self) -> usize {
        self.parts.iter().map(Part::size_bytes).sum()
    }
}
