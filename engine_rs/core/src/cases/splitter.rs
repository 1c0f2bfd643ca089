//! Where do rows in any order stay until all are read? Split by partition batch by batch, in memory, and beyond its share on
//! disk.

use crate::cases::aside::{Aside, AsideWriter, Packer};
use crate::cases::layout::Summary;
use crate::cases::partition::{Chunk, Partitioner};
use crate::context::{Account, Context, Step};
use crate::error::Result;
use crate::log::encode::Encoded;

/// Puts the batches of one thread aside, split by partition.
pub struct Splitter<'a> {
    partitioner: Partitioner,
    context: &'a Context,
    /// What is held as it was split.
    pub chunks: Vec<Chunk>,
    held_rows: usize,
    /// Bytes that may be held before they are put aside.
    quota_bytes: u64,
    /// Whether rows are likely to go to disk.
    memory_is_short: bool,
    /// Of what is held, and of space to be used again.
    pub account: Account<'a>,
    held_bytes: u64,
    /// What is held together by partition.
    pub asides: Vec<Aside<'a>>,
    packer: Packer,
    /// To the disk, once it is needed.
    pub writer: Option<AsideWriter<'a>>,
    /// The layout of every task.
    pub summaries: Vec<Summary>,
}

/// Chunks that have as few rows of a partition as that are brought together in memory, once all have so many of one.
const FEW_ROWS: usize = 64;
const ROWS_TOGETHER: usize = 512;

/// How often rows are there once more while they are packed: brought together, and packed.
const PACKING_COPIES: u64 = 2;

/// The part of the memory limit that all chunks may hold.
pub const CHUNKS_SHARE: u64 = 2;

impl<'a> Splitter<'a> {
    /// A splitter by `partitioner`; rows that are likely to go to disk, where `memory_is_short`, are packed.
    pub fn new(partitioner: Partitioner, memory_is_short: bool, context: &'a Context) -> Splitter<'a> {
        Splitter {
            partitioner,
            memory_is_short,
            context,
            chunks: Vec::new(),
            held_rows: 0,
            quota_bytes: context.quota_bytes(CHUNKS_SHARE).unwrap_or(u64::MAX),
            account: Account::new(context, Step::Partitions),
            held_bytes: 0,
            asides: Vec::new(),
            packer: Packer::default(),
            writer: None,
            summaries: Vec::new(),
        }
    }

    /// Writes what is held to disk, if there is a place for it.
    ///
    /// # Errors
    /// IO; MEMORY_LIMIT; CANCELLED.
    pub fn put_aside(&mut self) -> Result<()> {
        let Some(spill) = self.context.spill() else { return Ok(()) };
        if self.writer.is_none() {
            self.writer = Some(AsideWriter::new(spill, self.context)?);
        }
        let Some(writer) = &mut self.writer else { return Ok(()) };
        if !self.chunks.is_empty() || !self.asides.is_empty() {
            self.chunks.sort_by_key(|chunk| chunk.first_order);
            writer.write_all(&self.asides, &self.chunks, self.partitioner.partitions())?;
            self.held_bytes = writer.size_bytes() as u64;
            self.asides.drain(..).for_each(|aside| self.packer.recycle(aside));
            self.recycle_chunks();
        }
        self.make_room(0)
    }

    fn recycle_chunks(&mut self) {
        self.partitioner.recycle(self.chunks.drain(..));
        self.held_rows = 0;
    }

    /// Takes the memory for what is held and for `bytes` more; space that is not used gives way to them.
    fn make_room(&mut self, bytes: u64) -> Result<()> {
        let wanted = self.held_bytes + bytes;
        let spare = loop {
            let spare = (self.packer.size_bytes() + self.partitioner.size_bytes()) as u64;
            let fits = wanted.saturating_add(spare) <= self.quota_bytes;
            if fits || !(self.packer.shrink() || self.partitioner.shrink()) {
                break spare;
            }
        };
        self.account.set(wanted + spare)
    }

    /// Gives back all space that is not used.
    ///
    /// # Errors
    /// MEMORY_LIMIT.
    pub fn finish(&mut self) -> Result<()> {
        (self.packer, self.quota_bytes) = (Packer::default(), 0);
        self.make_room(0)
    }

    /// Brings the chunks together by partition, if there is room for both for a moment.
    fn bring_together(&mut self) -> Result<()> {
        let of_chunks = self.chunks.iter().map(|chunk| chunk.size_bytes() as u64).sum::<u64>();
        let copies = if self.memory_is_short { PACKING_COPIES } else { 1 };
        if self.held_bytes + of_chunks * copies > self.quota_bytes {
            return self.put_aside();
        }
        loop {
            // The packer's own space counts as long as it does not give way, too.
            let own = self.packer.size_bytes();
            self.make_room((of_chunks * copies).saturating_sub(own as u64))?;
            if self.packer.size_bytes() == own {
                break;
            }
        }
        self.chunks.sort_by_key(|chunk| chunk.first_order);
        let partitions = self.partitioner.partitions();
        let aside = match self.memory_is_short {
            true => self.packer.pack(&self.chunks, partitions, self.context)?,
            false => Aside::plain(&self.chunks, partitions, self.context)?,
        };
        self.recycle_chunks();
        self.held_bytes = self.held_bytes - of_chunks + aside.size_bytes() as u64;
        self.asides.push(aside);
        self.make_room(0)
    }

    /// Begins task `seq`.
    pub fn begin(&mut self, seq: u64) {
        self.summaries.push(Summary::new(seq));
    }

    /// Takes in the task's next batch.
    ///
    /// # Errors
    /// IO; MEMORY_LIMIT; CANCELLED.
    pub fn push(&mut self, batch: &Encoded<'_>) -> Result<()> {
        if batch.keys.is_empty() {
            return Ok(());
        }
        if let Some(summary) = self.summaries.last_mut() {
            summary.add(batch, batch.runs());
        }
        let chunk = self.partitioner.split(batch);
        let bytes = chunk.size_bytes() as u64;
        if self.held_bytes + bytes > self.quota_bytes {
            self.put_aside()?;
        }
        self.make_room(bytes)?;
        self.held_bytes += bytes;
        self.chunks.push(chunk);
        self.held_rows += batch.keys.len();
        let partitions = self.partitioner.partitions();
        let few = self.held_rows <= self.chunks.len() * partitions * FEW_ROWS;
        if few && partitions > 1 && self.held_rows >= partitions * ROWS_TOGETHER {
            self.bring_together()?;
        }
        Ok(())
    }
}
