//! The rows of a log, by partition: how is one after the other mined, whether it fits into memory or not?

use std::cmp::Reverse;
use std::fs::File;

use crate::cases::aside::{Aside, AsideWriter, Loaded, Stored, bytes_of};
use crate::cases::assembler::Assembler;
use crate::cases::batch::Fold;
use crate::cases::partition::{Chunk, Partitioning, Piece};
use crate::cases::split::split;
use crate::context::{Account, Context, Step};
use crate::error::{Error, ErrorKind, Result};
use crate::spill::Spill;

/// The rows of a log, put aside by partition.
pub struct Partitions<'a> {
    context: &'a Context,
    /// What is held, in input order.
    pub chunks: Vec<Chunk>,
    /// Chunks that were brought together.
    pub asides: Vec<Aside<'a>>,
    /// What they hold in memory, by the thread that read them.
    pub accounts: Vec<Account<'a>>,
    partitioning: Partitioning,
    /// Whether rows are in the order of time.
    pub ascending: bool,
    /// How many there are.
    pub rows: u64,
    /// Whether they are likely to be put aside.
    pub memory_is_short: bool,
}

/// Bytes of space to bring an event's together with those of its case, and to hand them to the measures, in proportion to
/// those put aside.
pub const ASSEMBLED: u64 = 2;

/// How many times as large as others a partition is that is very large.
const LARGE_TIMES: u64 = 2;

/// Above this many events, a thread gives back the space that a partition took.
const LARGE_EVENTS: u64 = 1 << 20;

impl<'a> Partitions<'a> {
    /// No rows yet.
    pub fn new(partitioning: Partitioning, context: &'a Context) -> Partitions<'a> {
        let (chunks, asides, accounts) = (Vec::new(), Vec::new(), Vec::new());
        Partitions {
            context,
            chunks,
            asides,
            accounts,
            partitioning,
            ascending: false,
            rows: 0,
            memory_is_short: false,
        }
    }

    /// How many partitions there are.
    pub fn count(&self) -> usize {
        self.partitioning.count()
    }

    /// Whether some rows are held in memory.
    pub fn are_held(&self) -> bool {
        !self.chunks.is_empty() || self.asides.iter().any(Aside::is_in_memory)
    }

    /// Writes what is held to `spill`.
    ///
    /// # Errors
    /// IO; CANCELLED; MEMORY_LIMIT.
    pub fn put_aside(&mut self, spill: &'a Spill) -> Result<()> {
        let mut writer = AsideWriter::new(spill, self.context)?;
        writer.write_all(&self.asides, &self.chunks, self.partitioning.count())?;
        self.chunks = Vec::new();
        self.asides.retain(|aside| !aside.is_in_memory());
        self.asides.push(writer.finish());
        self.accounts.clear();
        self.memory_is_short = true;
        let mut account = Account::new(self.context, Step::Partitions);
        account.set(self.asides.iter().map(Aside::size_bytes).sum::<usize>() as u64)?;
        self.accounts.push(account);
        Ok(())
    }

    /// Gives back all memory, and the files to be closed.
    pub fn discard(self) -> Vec<File> {
        let files = self.asides.into_iter().filter_map(|aside| match aside {
            Aside::Disk(file, _) => file.discard(),
            Aside::Packed(_) | Aside::Plain(_) => None,
        });
        files.collect()
    }

    /// The partitions in the order in which they should be mined. Where memory is short very large ones come first: they
    /// want most of the memory while the measures do not yet. The others stay as they are: partitions with long cases
    /// first would show the measures another kind of log than the one to come.
    pub fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.count()).collect();
        if self.memory_is_short {
            let bytes: Vec<u64> =
                order.iter().map(|&partition| bytes_of(partition, &self.chunks, &self.asides)).collect();
            let large = bytes.iter().sum::<u64>() / self.count() as u64 * LARGE_TIMES;
            order.sort_by_key(|&partition| Reverse(Some(bytes[partition]).filter(|&bytes| bytes > large)));
        }
        order
    }

    /// Folds the cases of a partition; returns (events, cases).
    ///
    /// # Errors
    /// Those of the fold; IO; CANCELLED; MEMORY_LIMIT where a single case does not fit.
    pub fn fold(&self, partition: usize, assembler: &mut Assembler, fold: &mut impl Fold) -> Result<(u64, u64)> {
        let blocks: Vec<Stored<'_>> = self.asides.iter().flat_map(|aside| aside.stored(partition)).collect();
        let held = self.chunks.iter().map(|chunk| chunk.piece(partition));
        let held = held.chain(self.asides.iter().flat_map(|aside| aside.held(partition)));
        self.fold_rows(&blocks, &held.collect::<Vec<_>>(), assembler, fold)
    }

    fn fold_rows(
        &self,
        blocks: &[Stored<'_>],
        held: &[Piece<'_>],
        assembler: &mut Assembler,
        fold: &mut impl Fold,
    ) -> Result<(u64, u64)> {
        let context = self.context;
        let loaded: u64 = blocks.iter().map(Stored::loaded_bytes).sum();
        let to_load = blocks.iter().map(Stored::bytes_to_load).max().unwrap_or(0);
        let assembled = (loaded + held.iter().map(|piece| piece.size_bytes() as u64).sum::<u64>()) * ASSEMBLED;
        let mut turn = match context.reserve_in_turn(Step::Case, loaded + to_load + assembled) {
            Ok(turn) => turn,
            // What is held was too little to be put aside.
            Err(error) if error.kind() == ErrorKind::MemoryLimit && held.is_empty() => {
                return self.fold_split(blocks, error, assembler, fold);
            }
            Err(error) => return Err(error),
        };
        let (mut read, mut space) = (Vec::with_capacity(blocks.len()), Vec::new());
        for block in blocks {
            context.check_cancelled()?;
            block.load(&mut space, &mut read)?;
        }
        let mut pieces: Vec<Piece<'_>> = held.iter().copied().chain(read.iter().flat_map(Loaded::pieces)).collect();
        // Stable: what was cut from one chunk keeps its order.
        pieces.sort_by_key(|piece| piece.first_order);
        let events = assembler.gather(&pieces, context)?;
        drop(pieces);
        drop((read, space));
        turn.shrink(assembled);
        context.advance(events);
        let cases = assembler.fold(self.ascending, context, fold)?;
        if events > LARGE_EVENTS {
            *assembler = Assembler::default();
        }
        Ok((events, cases))
    }

    /// Folds the rows of `blocks`, which do not fit into memory as `error` says, part by part.
    fn fold_split(
        &self,
        blocks: &[Stored<'_>],
        error: Error,
        assembler: &mut Assembler,
        fold: &mut impl Fold,
    ) -> Result<(u64, u64)> {
        let Some(spill) = self.context.spill() else { return Err(error) };
        let memory = self.context.memory();
        let free = memory.limit_bytes().unwrap_or(u64::MAX).saturating_sub(memory.used_bytes());
        let wanted_bytes = free / (1 + ASSEMBLED) / self.context.threads() as u64;
        let Some((parts, count)) = split(blocks, wanted_bytes, spill, self.context)? else { return Err(error) };
        let (mut events, mut cases) = (0, 0);
        for part in 0..count {
            self.context.check_cancelled()?;
            let of_part = parts.stored(part);
            if !of_part.is_empty() {
                let (of_events, of_cases) = self.fold_rows(&of_part, &[], assembler, fold)?;
                events += of_events;
                cases += of_cases;
            }
        }
        Ok((events, cases))
    }
}
