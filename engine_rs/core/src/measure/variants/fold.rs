//! The sequence of every case, put aside by hash and counted part by part.
//!
//! A table of all sequences does not fit the cache, and one look-up per case in it would cost more than everything else
//! a case needs. So a case only appends its sequence to the part its hash belongs to. A part is counted when it has
//! grown as large as what is counted of it, and at the end: its table fits the cache while that lasts.

use super::codes::write_codes;
use super::key::{KEY, SHORT};
use super::sequences::{Sequences, hashed};
use crate::cases::batch::CaseBatch;
use crate::cases::packed::{pack, unpack};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::spill::{Block, Quota, Spill, SpillFile};

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

impl Followers {
    fn size_bytes(&self) -> usize {
        self.numbers.len() * 4 + self.durations.len() * 8 + self.cases.len() * 4
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        for n in [self.numbers.len(), self.durations.len(), self.cases.len()] {
            bytes.extend_from_slice(&(n as u64).to_le_bytes());
        }
        pack([&self.numbers[..]].into_iter(), bytes);
        pack([&self.durations[..]].into_iter(), bytes);
        pack([&self.cases[..]].into_iter(), bytes);
    }

    fn read(bytes: &[u8]) -> Option<Followers> {
        let length = |at: usize| usize::try_from(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?)).ok();
        let (numbers, at) = unpack(bytes, 24, length(0)?)?;
        let (durations, at) = unpack(bytes, at, length(8)?)?;
        let (cases, _) = unpack(bytes, at, length(16)?)?;
        Some(Followers { numbers, durations, cases })
    }
}

/// What one thread has seen of one part.
#[derive(Default)]
pub struct Part {
    /// Distinct ones.
    pub sequences: Sequences,
    /// The cases that follow them.
    pub followers: Followers,
}

impl Part {
    /// Counts what is left.
    pub fn count(&mut self, keep: Keep) {
        self.sequences.count(&mut self.followers.numbers);
        if keep == Keep::default() {
            self.followers.numbers.clear();
        }
    }

    /// Reads a part that was put aside; none where it was something else.
    pub fn read(bytes: &[u8]) -> Option<Part> {
        let (sequences, rest) = Sequences::read(bytes)?;
        Some(Part { sequences, followers: Followers::read(rest)? })
    }

    fn size_bytes(&self) -> usize {
        self.sequences.size_bytes() + self.followers.size_bytes()
    }
}

/// Where parts go when they have grown too large: block by block, in rounds of all parts.
pub struct Aside<'a> {
    spill: &'a Spill,
    context: &'a Context,
    quota: Quota,
    file: Option<SpillFile<'a>>,
    rounds: Vec<Vec<Put>>,
}

/// A part on disk, and how many bytes it took in memory, but for the table.
#[derive(Clone, Copy)]
struct Put {
    block: Block,
    bytes: u64,
}

impl<'a> Aside<'a> {
    /// A place in `spill` for what is beyond `quota`.
    pub fn new(spill: &'a Spill, quota: Quota, context: &'a Context) -> Aside<'a> {
        Aside { spill, context, quota, file: None, rounds: Vec::new() }
    }

    /// Whether anything was put aside.
    pub fn is_used(&self) -> bool {
        self.file.is_some()
    }

    /// Bytes that part number `part` took in memory, but for its tables, round by round.
    pub fn bytes(&self, part: usize) -> impl Iterator<Item = u64> + '_ {
        self.rounds.iter().map(move |puts| puts[part].bytes)
    }

    /// What was put aside of part number `part`, round by round: each is read when it is asked for, or fails with IO.
    pub fn load(&self, part: usize) -> impl Iterator<Item = Result<Part>> + '_ {
        let of_file = move |file| self.rounds.iter().map(move |puts| (file, puts[part].block));
        self.file.iter().flat_map(of_file).map(|(file, block)| {
            self.context.check_cancelled()?;
            let bytes = file.read(block)?;
            Part::read(&bytes).ok_or_else(|| Error::internal("variants that were put aside have another form"))
        })
    }
}

/// What one thread has seen.
pub struct State<'a> {
    /// By part.
    pub parts: Vec<Part>,
    /// Cases folded.
    pub cases: u64,
    /// What is remembered of each case.
    pub keep: Keep,
    /// What did not fit, if there is a place for it.
    pub aside: Option<Aside<'a>>,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl<'a> State<'a> {
    /// A state that remembers of each case what `keep` says.
    pub fn new(keep: Keep, aside: Option<Aside<'a>>) -> State<'a> {
        let parts = (0..PARTS).map(|_| Part::default()).collect();
        State { parts, cases: 0, keep, aside, bytes: Vec::new(), ends: Vec::new() }
    }

    /// Whether anything was put aside.
    pub fn is_aside(&self) -> bool {
        self.aside.as_ref().is_some_and(Aside::is_used)
    }

    /// Puts all parts aside if they have grown too large.
    fn make_room(&mut self) -> Result<()> {
        let bytes = self.size_bytes() as u64;
        let Some(aside) = &mut self.aside else { return Ok(()) };
        match aside.quota.is_exceeded(bytes, aside.spill, &mut aside.file)? {
            true => self.put_aside(),
            false => Ok(()),
        }
    }

    /// Puts all parts aside, if there is a place for them.
    ///
    /// # Errors
    /// IO.
    pub fn put_aside(&mut self) -> Result<()> {
        let Some(aside) = &mut self.aside else { return Ok(()) };
        let mut puts = Vec::with_capacity(PARTS);
        let mut bytes = Vec::new();
        if aside.file.is_none() {
            aside.file = Some(aside.spill.file()?);
        }
        let Some(file) = &mut aside.file else { return Ok(()) };
        for part in &mut self.parts {
            aside.context.check_cancelled()?;
            bytes.clear();
            part.count(self.keep);
            part.sequences.write(&mut bytes);
            part.followers.write(&mut bytes);
            let counted = part.sequences.counted_size_bytes() + part.followers.size_bytes();
            puts.push(Put { block: file.write(&bytes)?, bytes: counted as u64 });
            *part = Part::default();
        }
        aside.rounds.push(puts);
        Ok(())
    }

    /// Takes in some cases, which take as long as `durations` says.
    ///
    /// # Errors
    /// UNSUPPORTED beyond 2^32 cases in a thread with cases listed, for sequences of 4 GiB, or too many of them; IO.
    pub fn fold(&mut self, batch: &CaseBatch<'_>, durations: &[i64]) -> Result<()> {
        let first = match u32::try_from(self.cases + batch.cases() as u64) {
            Ok(_) => self.cases as u32,
            Err(_) if !self.keep.cases => 0,
            Err(_) => return Err(Error::unsupported("more than 2^32 cases in one thread with cases listed")),
        };
        self.write(batch);
        if u32::try_from(self.bytes.len()).is_err() {
            return Err(Error::unsupported("a batch of cases with sequences beyond 4 GiB"));
        }
        let (mut from, mut case) = (0, first);
        for (&end, &duration) in self.ends.iter().zip(durations) {
            let (key, hash) = hashed(&self.bytes, from, end);
            let part = &mut self.parts[part_of(hash)];
            match end - from <= SHORT {
                true => part.sequences.push(key),
                false => part.sequences.push_long(&self.bytes[from..end]),
            }
            part.followers.numbers.push(hash as u32);
            if self.keep.durations {
                part.followers.durations.push(duration);
            }
            if self.keep.cases {
                part.followers.cases.push(case);
            }
            if part.sequences.is_full() {
                part.count(self.keep);
                part.sequences.check_room()?;
            }
            (from, case) = (end, case.wrapping_add(1));
        }
        self.cases += batch.cases() as u64;
        self.make_room()
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
        self.bytes.extend_from_slice(&[0; KEY]);
    }

    /// Bytes held.
    pub fn size_bytes(&self) -> usize {
        self.parts.iter().map(Part::size_bytes).sum()
    }
}
