//! Rows by partition: the chunks that a thread has so far, brought together partition by partition, on disk or in memory.
//!
//! On disk they go where memory is short. In memory they are brought together where partitions are many: then a chunk has
//! so few rows of each that finding them costs more than copying them. A block holds one partition's rows of many chunks,
//! column after column. The stretches of the chunks stay apart, since other threads' chunks may come between them in the
//! input. On disk a partition has as many blocks as keep each of them small, so that one that does not fit into memory
//! can be gone through block by block.

use arrow_buffer::{ArrowNativeType, Buffer, ScalarBuffer, ToByteSlice};

use crate::cases::partition::{Chunk, Codes, Piece, Strings};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::log::byte_list::ByteList;
use crate::spill::{Block, Spill, SpillFile};

/// Chunks brought together by partition.
pub enum Aside<'a> {
    /// In one file, in rounds of all partitions.
    Disk(SpillFile<'a>, Vec<Round>),
    /// One block of each partition; empty where it has no rows.
    Memory(Vec<Buffer>),
}

/// The blocks of all partitions that were written in one go.
pub struct Round {
    /// Those of the first partition, then those of the next ...
    blocks: Vec<Block>,
    /// Where those of each partition begin, and where those of the last one end.
    firsts: Vec<u32>,
}

/// A block, wherever it is.
pub enum Stored<'s> {
    /// On disk.
    Disk(&'s SpillFile<'s>, Block),
    /// In memory.
    Memory(&'s Buffer),
}

/// One block's rows, read back.
pub struct Loaded {
    /// Where each stretch begins in the input, and how many rows it has.
    stretches: Vec<(u64, usize)>,
    keys: ScalarBuffer<u64>,
    times: ScalarBuffer<i64>,
    starts: ScalarBuffer<i64>,
    codes: LoadedCodes,
    rows: Option<ScalarBuffer<u32>>,
    ids: Option<ByteList>,
    ties: Option<ByteList>,
}

enum LoadedCodes {
    Narrow(ScalarBuffer<u8>),
    Wide(ScalarBuffer<u32>),
}

/// Numbers at the head of a block: stretches, rows, what columns there are, bytes of ids and of ties.
const HEAD: usize = 5;

const WIDE: u64 = 1;
const STARTS: u64 = 2;
const ROWS: u64 = 4;
const IDS: u64 = 8;
const TIES: u64 = 16;

/// Columns begin at multiples of this.
const ALIGNMENT: usize = 8;

impl<'a> Aside<'a> {
    /// Brings `chunks`, which come in input order, together in memory.
    ///
    /// # Errors
    /// CANCELLED.
    pub fn in_memory(chunks: &[Chunk], partitions: usize, context: &Context) -> Result<Aside<'a>> {
        let mut blocks = Vec::with_capacity(partitions);
        let mut bytes = Vec::new();
        for partition in 0..partitions {
            context.check_cancelled()?;
            bytes.clear();
            encode(&pieces(chunks, partition).collect::<Vec<_>>(), &mut bytes);
            blocks.push(Buffer::from_slice_ref(&bytes));
        }
        Ok(Aside::Memory(blocks))
    }

    /// The blocks of `partition`, in input order.
    pub fn stored(&self, partition: usize) -> Vec<Stored<'_>> {
        match self {
            Aside::Disk(file, rounds) => {
                rounds.iter().flat_map(|round| round.of(partition)).map(|&block| Stored::Disk(file, block)).collect()
            }
            Aside::Memory(blocks) => {
                blocks.get(partition).filter(|block| !block.is_empty()).map(Stored::Memory).into_iter().collect()
            }
        }
    }

    /// Bytes of `partition` on disk.
    pub fn bytes_on_disk(&self, partition: usize) -> u64 {
        match self {
            Aside::Disk(_, rounds) => {
                rounds.iter().flat_map(|round| round.of(partition)).map(|block| block.bytes()).sum()
            }
            Aside::Memory(_) => 0,
        }
    }
}

impl Round {
    fn of(&self, partition: usize) -> &[Block] {
        &self.blocks[self.firsts[partition] as usize..self.firsts[partition + 1] as usize]
    }

    fn size_bytes(&self) -> usize {
        self.blocks.len() * size_of::<Block>() + self.firsts.len() * size_of::<u32>()
    }
}

impl Stored<'_> {
    /// Bytes that loading it takes.
    pub fn bytes_to_load(&self) -> u64 {
        match self {
            Stored::Disk(_, block) => block.bytes(),
            Stored::Memory(_) => 0,
        }
    }

    /// Its rows.
    ///
    /// # Errors
    /// IO.
    pub fn load(&self) -> Result<Loaded> {
        let loaded = match self {
            Stored::Disk(file, block) => decode(&file.read(*block)?),
            Stored::Memory(block) => decode(block),
        };
        loaded.ok_or_else(|| Error::internal("rows that were put aside have another form than they were given"))
    }
}

fn pieces(chunks: &[Chunk], partition: usize) -> impl Iterator<Item = Piece<'_>> {
    chunks.iter().map(move |chunk| chunk.piece(partition)).filter(|piece| !piece.keys.is_empty())
}

/// Bytes of a block on disk: not many more, where no single row has them, and a 64th of the memory limit.
const BLOCK_BYTES: u64 = 1 << 20;
const FEWEST_BLOCK_BYTES: u64 = 1 << 14;
const BLOCK_SHARE: u64 = 64;

/// Bytes of a block on disk in a run of `context`.
pub fn block_bytes(context: &Context) -> u64 {
    let limit_bytes = context.memory().limit_bytes().unwrap_or(u64::MAX);
    (limit_bytes / BLOCK_SHARE).clamp(FEWEST_BLOCK_BYTES, BLOCK_BYTES)
}

/// Writes rows to disk, in rounds of all partitions.
pub struct AsideWriter<'a> {
    context: &'a Context,
    file: SpillFile<'a>,
    rounds: Vec<Round>,
    block_bytes: usize,
}

impl<'a> AsideWriter<'a> {
    /// A writer to a new file in `spill`.
    ///
    /// # Errors
    /// IO.
    pub fn new(spill: &'a Spill, context: &'a Context) -> Result<AsideWriter<'a>> {
        let block_bytes = block_bytes(context) as usize;
        Ok(AsideWriter { context, file: spill.file()?, rounds: Vec::new(), block_bytes })
    }

    /// Writes `chunks`, which come in input order.
    ///
    /// # Errors
    /// IO; CANCELLED.
    pub fn write_chunks(&mut self, chunks: &[Chunk], partitions: usize) -> Result<()> {
        self.write((0..partitions).map(|partition| pieces(chunks, partition)))
    }

    /// Writes the rows of each partition, in as many blocks as it takes.
    ///
    /// # Errors
    /// IO; CANCELLED; UNSUPPORTED beyond 2^32 blocks.
    pub fn write<'p, P: Iterator<Item = Piece<'p>>>(&mut self, partitions: impl Iterator<Item = P>) -> Result<()> {
        let mut round = Round { blocks: Vec::new(), firsts: vec![0] };
        let (mut together, mut space) = (Vec::new(), Vec::new());
        for pieces in partitions {
            let mut bytes = 0;
            for piece in pieces {
                let rows = piece.keys.len();
                // Cut evenly, should it alone be more than a block.
                let step = rows.div_ceil(piece.size_bytes().div_ceil(self.block_bytes).max(1)).max(1);
                for from in (0..rows).step_by(step) {
                    let own = piece.cut(from..(from + step).min(rows));
                    if bytes > 0 && bytes + own.size_bytes() > self.block_bytes {
                        round.blocks.push(self.write_block(&together, &mut space)?);
                        together.clear();
                        bytes = 0;
                    }
                    bytes += own.size_bytes();
                    together.push(own);
                }
            }
            if !together.is_empty() {
                round.blocks.push(self.write_block(&together, &mut space)?);
                together.clear();
            }
            let end = u32::try_from(round.blocks.len());
            round.firsts.push(end.map_err(|_| Error::unsupported("more than 2^32 blocks put aside at once"))?);
        }
        self.rounds.push(round);
        Ok(())
    }

    /// Writes what was brought together in memory.
    ///
    /// # Errors
    /// IO; CANCELLED.
    pub fn write_aside(&mut self, aside: Aside<'_>) -> Result<()> {
        let Aside::Memory(held) = aside else { return Ok(()) };
        let mut round = Round { blocks: Vec::new(), firsts: vec![0] };
        for bytes in held {
            self.context.check_cancelled()?;
            if !bytes.is_empty() {
                round.blocks.push(self.file.write(&bytes)?);
            }
            round.firsts.push(round.blocks.len() as u32);
        }
        self.rounds.push(round);
        Ok(())
    }

    fn write_block(&mut self, pieces: &[Piece<'_>], space: &mut Vec<u8>) -> Result<Block> {
        self.context.check_cancelled()?;
        space.clear();
        encode(pieces, space);
        self.file.write(space)
    }

    /// Bytes held of what was written: where it is.
    pub fn size_bytes(&self) -> usize {
        self.rounds.iter().map(Round::size_bytes).sum()
    }

    /// What was written.
    pub fn finish(self) -> Aside<'a> {
        Aside::Disk(self.file, self.rounds)
    }
}

fn encode(pieces: &[Piece<'_>], bytes: &mut Vec<u8>) {
    let Some(first) = pieces.first() else { return };
    let any = |has: fn(&Piece<'_>) -> bool, flag: u64| if pieces.iter().any(has) { flag } else { 0 };
    let flags = any(|piece| matches!(piece.codes, Codes::Wide(_)), WIDE)
        | any(|piece| !piece.starts.is_empty(), STARTS)
        | if first.rows.is_some() { ROWS } else { 0 }
        | if first.ids.is_some() { IDS } else { 0 }
        | if first.ties.is_some() { TIES } else { 0 };
    let ids = Texts::new(pieces.iter().filter_map(|piece| piece.ids));
    let ties = Texts::new(pieces.iter().filter_map(|piece| piece.ties));
    let rows: usize = pieces.iter().map(|piece| piece.keys.len()).sum();
    append(bytes, &[pieces.len() as u64, rows as u64, flags, ids.bytes.len() as u64, ties.bytes.len() as u64]);
    append(bytes, &pieces.iter().flat_map(|piece| [piece.first_order, piece.keys.len() as u64]).collect::<Vec<u64>>());
    pieces.iter().for_each(|piece| append(bytes, piece.keys));
    pieces.iter().for_each(|piece| append(bytes, piece.times));
    pieces.iter().for_each(|piece| append(bytes, piece.starts));
    for piece in pieces {
        match piece.codes {
            Codes::Wide(codes) => append(bytes, codes),
            Codes::Narrow(codes) if flags & WIDE == 0 => append(bytes, codes),
            Codes::Narrow(codes) => append(bytes, &codes.iter().map(|&code| u32::from(code)).collect::<Vec<u32>>()),
        }
    }
    pad(bytes);
    pieces.iter().filter_map(|piece| piece.rows).for_each(|rows| append(bytes, rows));
    pad(bytes);
    for texts in [ids, ties] {
        append(bytes, &texts.lengths);
        pad(bytes);
        bytes.extend_from_slice(&texts.bytes);
        pad(bytes);
    }
}

/// Strings one after the other.
#[derive(Default)]
struct Texts {
    lengths: Vec<u32>,
    bytes: Vec<u8>,
}

impl Texts {
    fn new<'a>(strings: impl Iterator<Item = Strings<'a>>) -> Texts {
        let mut texts = Texts::default();
        for string in strings.flat_map(Strings::iter) {
            texts.lengths.push(string.len() as u32);
            texts.bytes.extend_from_slice(string);
        }
        texts
    }
}

fn append<T: ArrowNativeType>(bytes: &mut Vec<u8>, values: &[T]) {
    bytes.extend_from_slice(values.to_byte_slice());
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
}

/// Reads a block from its beginning on.
struct Reader<'a> {
    block: &'a Buffer,
    at: usize,
}

impl Reader<'_> {
    /// The next `n` values, and what pads them; none where the block ends before.
    fn next<T: ArrowNativeType>(&mut self, n: usize) -> Option<ScalarBuffer<T>> {
        let bytes = n.checked_mul(size_of::<T>())?;
        let end = self.at.checked_add(bytes)?.checked_next_multiple_of(ALIGNMENT)?;
        if end > self.block.len() {
            return None;
        }
        let values = ScalarBuffer::new(self.block.slice_with_length(self.at, bytes), 0, n);
        self.at = end;
        Some(values)
    }

    fn strings(&mut self, n: usize, bytes: u64) -> Option<ByteList> {
        let lengths = self.next::<u32>(n)?;
        let bytes = self.next::<u8>(bytes as usize)?;
        ByteList::from_lengths(&lengths, &bytes)
    }
}

fn decode(block: &Buffer) -> Option<Loaded> {
    let mut reader = Reader { block, at: 0 };
    let head = reader.next::<u64>(HEAD)?;
    let [stretches, n, flags, id_bytes, tie_bytes] = head[..] else { return None };
    let (n, has) = (n as usize, |flag: u64| flags & flag > 0);
    let stretches = reader.next::<u64>((stretches as usize).checked_mul(2)?)?;
    let keys = reader.next(n)?;
    let times = reader.next(n)?;
    let starts = reader.next(if has(STARTS) { n } else { 0 })?;
    let codes = match has(WIDE) {
        true => LoadedCodes::Wide(reader.next(n)?),
        false => LoadedCodes::Narrow(reader.next(n)?),
    };
    let rows = reader.next(if has(ROWS) { n } else { 0 })?;
    let ids = reader.strings(if has(IDS) { n } else { 0 }, id_bytes)?;
    let ties = reader.strings(if has(TIES) { n } else { 0 }, tie_bytes)?;
    Some(Loaded {
        stretches: stretches.chunks_exact(2).map(|stretch| (stretch[0], stretch[1] as usize)).collect(),
        keys,
        times,
        starts,
        codes,
        rows: has(ROWS).then_some(rows),
        ids: has(IDS).then_some(ids),
        ties: has(TIES).then_some(ties),
    })
}

impl Loaded {
    /// Case key of every row.
    pub fn keys(&self) -> &[u64] {
        &self.keys
    }

    /// The stretches, one after the other.
    pub fn pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        let mut from = 0;
        self.stretches.iter().map(move |&(first_order, length)| {
            let own = from..from + length;
            from = own.end;
            Piece {
                first_order,
                keys: &self.keys[own.clone()],
                times: &self.times[own.clone()],
                starts: if self.starts.is_empty() { &[] } else { &self.starts[own.clone()] },
                codes: match &self.codes {
                    LoadedCodes::Narrow(codes) => Codes::Narrow(&codes[own.clone()]),
                    LoadedCodes::Wide(codes) => Codes::Wide(&codes[own.clone()]),
                },
                rows: self.rows.as_ref().map(|rows| &rows[own.clone()]),
                ids: self.ids.as_ref().map(|list| Strings::new(list, own.clone())),
                ties: self.ties.as_ref().map(|list| Strings::new(list, own)),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use arrow_array::{ArrayRef, StringArray};

    use crate::cases::partition::{Partitioner, Partitioning};
    use crate::log::encode::Encoded;
    use crate::log::text::TextColumn;

    const ROWS: usize = 3000;

    /// What a piece says.
    fn told(piece: &Piece<'_>) -> String {
        let codes: Vec<u32> = match piece.codes {
            Codes::Narrow(codes) => codes.iter().map(|&code| u32::from(code)).collect(),
            Codes::Wide(codes) => codes.to_vec(),
        };
        let strings = |strings: Option<Strings<'_>>| {
            strings.into_iter().flat_map(Strings::iter).map(<[u8]>::to_vec).collect::<Vec<_>>()
        };
        let rows = piece.rows.unwrap_or(&[]).to_vec();
        let (keys, times, starts) = (piece.keys.to_vec(), piece.times.to_vec(), piece.starts.to_vec());
        let texts = (strings(piece.ids), strings(piece.ties));
        format!("{:?}", (piece.first_order, keys, codes, times, starts, texts, rows))
    }

    fn chunks(full: bool, partitioning: Partitioning) -> Vec<Chunk> {
        let mut partitioner = Partitioner::new(partitioning, full);
        let keys: Vec<u64> = (0..ROWS as u64).map(|i| i * i % 701).collect();
        // The last chunk has codes beyond a byte.
        let codes: Vec<u32> = (0..ROWS as u32).map(|i| if i < 2000 { i % 256 } else { i }).collect();
        let times: Vec<i64> = (0..ROWS as i64).map(|i| i * 7 - 9000).collect();
        let mut ties = ByteList::default();
        (0..ROWS).for_each(|i| ties.push(&vec![i as u8; i % 5]));
        let texts: ArrayRef =
            Arc::new(StringArray::from_iter_values(keys.iter().map(|key| "x".repeat(*key as usize % 9))));
        (0..ROWS)
            .step_by(1000)
            .map(|from| {
                let own = from..from + 1000;
                let column = TextColumn::new(&texts.slice(from, 1000)).unwrap();
                let mut of_chunk = ByteList::default();
                of_chunk.extend_range(&ties, from, from + 1000);
                partitioner.split(&Encoded {
                    keys: &keys[own.clone()],
                    ids: full.then_some(&column),
                    codes: &codes[own.clone()],
                    times: &times[own.clone()],
                    starts: full.then_some(&times[own.clone()]),
                    ties: full.then_some(&of_chunk),
                    first_order: from as u64,
                })
            })
            .collect()
    }

    #[test]
    fn what_is_loaded_is_what_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let options = serde_json::json!({"version": 1, "spill_dir": dir.path()});
        let context = Context::from_json(&options.to_string()).unwrap();
        for full in [false, true] {
            let partitioning = Partitioning::for_rows(Some(1), true);
            let chunks = chunks(full, partitioning);
            let mut writer = AsideWriter::new(context.spill().unwrap(), &context).unwrap();
            // In two rounds.
            writer.write_chunks(&chunks[..1], partitioning.count()).unwrap();
            writer.write_chunks(&chunks[1..], partitioning.count()).unwrap();
            let in_memory = Aside::in_memory(&chunks, partitioning.count(), &context).unwrap();
            for aside in [writer.finish(), in_memory] {
                for partition in 0..partitioning.count() {
                    let written: Vec<_> = pieces(&chunks, partition).map(|piece| told(&piece)).collect();
                    let stored = aside.stored(partition);
                    assert_eq!(stored.is_empty(), written.is_empty());
                    let loaded: Vec<Loaded> = stored.iter().map(|stored| stored.load().unwrap()).collect();
                    let read = loaded.iter().flat_map(Loaded::pieces).map(|piece| told(&piece));
                    assert_eq!(read.collect::<Vec<_>>(), written);
                }
            }
        }
    }

    #[test]
    fn large_pieces_are_cut_into_blocks_of_bounded_size() {
        let dir = tempfile::tempdir().unwrap();
        let options = serde_json::json!({"version": 1, "memory_limit_bytes": 1, "spill_dir": dir.path()});
        let context = Context::from_json(&options.to_string()).unwrap();
        let chunks = chunks(true, Partitioning::for_rows(Some(1), false));
        let mut writer = AsideWriter::new(context.spill().unwrap(), &context).unwrap();
        writer.write_chunks(&chunks, 1).unwrap();
        let aside = writer.finish();
        let most = aside.stored(0).iter().map(Stored::bytes_to_load).max().unwrap();
        assert!(aside.stored(0).len() > 5 && most < FEWEST_BLOCK_BYTES * 5 / 4, "{most}");
        let loaded: Vec<Loaded> = aside.stored(0).iter().map(|stored| stored.load().unwrap()).collect();
        let pieces: Vec<Piece<'_>> = loaded.iter().flat_map(Loaded::pieces).collect();
        let keys: Vec<u64> = pieces.iter().flat_map(|piece| piece.keys.iter().copied()).collect();
        assert_eq!(keys, chunks.iter().flat_map(|chunk| chunk.piece(0).keys.to_vec()).collect::<Vec<_>>());
        let ids = |piece: &Piece<'_>| piece.ids.unwrap().iter().map(<[u8]>::to_vec).collect::<Vec<_>>();
        let whole: Vec<_> = chunks.iter().flat_map(|chunk| ids(&chunk.piece(0))).collect();
        assert_eq!(pieces.iter().flat_map(ids).collect::<Vec<_>>(), whole);
        assert_eq!(pieces.iter().map(|piece| piece.rows.unwrap().len()).sum::<usize>(), ROWS);
    }

    #[test]
    fn a_block_that_is_cut_is_not_read_beyond_its_end() {
        let partitioning = Partitioning::for_rows(Some(1), false);
        let chunks = chunks(true, partitioning);
        let mut bytes = Vec::new();
        encode(&[chunks[0].piece(0)], &mut bytes);
        assert!(decode(&Buffer::from_slice_ref(&bytes)).is_some());
        for end in (0..bytes.len()).step_by(ALIGNMENT) {
            assert!(decode(&Buffer::from_slice_ref(&bytes[..end])).is_none(), "{end}");
        }
    }
}
