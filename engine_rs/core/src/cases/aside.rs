//! Rows by partition: the chunks that a thread has so far, brought together partition by partition, on disk or in memory.
//!
//! On disk they go where memory is short. In memory they are brought together where partitions are many: then a chunk has
//! so few rows of each that finding them costs more than copying them. A block holds one partition's rows of many chunks, column after column. The stretches of the chunks stay apart, since
//! other threads' chunks may come between them in the input.

use arrow_buffer::{ArrowNativeType, Buffer, ScalarBuffer, ToByteSlice};

use crate::cases::partition::{Chunk, Codes, Piece, Strings};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::log::encode::ByteList;
use crate::spill::{Block, Spill, SpillFile};

/// Chunks brought together by partition.
pub struct Aside<'a> {
    place: Place<'a>,
}

/// Blocks by partition; empty where it has no rows.
enum Place<'a> {
    Disk(SpillFile<'a>, Vec<Block>),
    Memory(Vec<Buffer>),
}

/// One partition's rows, read back.
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
    /// Brings `chunks`, which come in input order, together: on disk if a place is given, else in memory.
    ///
    /// # Errors
    /// IO; CANCELLED.
    pub fn write(
        chunks: &[Chunk],
        partitions: usize,
        spill: Option<&'a Spill>,
        context: &Context,
    ) -> Result<Aside<'a>> {
        let mut place = match spill {
            Some(spill) => Place::Disk(spill.file()?, Vec::with_capacity(partitions)),
            None => Place::Memory(Vec::with_capacity(partitions)),
        };
        let mut bytes = Vec::new();
        for partition in 0..partitions {
            context.check_cancelled()?;
            let pieces: Vec<Piece<'_>> =
                chunks.iter().map(|chunk| chunk.piece(partition)).filter(|piece| !piece.keys.is_empty()).collect();
            bytes.clear();
            encode(&pieces, &mut bytes);
            match &mut place {
                Place::Disk(file, blocks) => {
                    blocks.push(if pieces.is_empty() { Block::default() } else { file.write(&bytes)? });
                }
                Place::Memory(blocks) => blocks.push(Buffer::from_slice_ref(&bytes)),
            }
        }
        Ok(Aside { place })
    }

    /// Moves what is in memory to disk.
    ///
    /// # Errors
    /// IO.
    pub fn move_to(&mut self, spill: &'a Spill) -> Result<()> {
        if let Place::Memory(held) = &mut self.place {
            let mut file = spill.file()?;
            let write = |bytes: Buffer| if bytes.is_empty() { Ok(Block::default()) } else { file.write(&bytes) };
            let blocks = held.drain(..).map(write).collect::<Result<_>>()?;
            self.place = Place::Disk(file, blocks);
        }
        Ok(())
    }

    /// Whether there are rows of `partition`.
    pub fn has(&self, partition: usize) -> bool {
        match &self.place {
            Place::Disk(_, blocks) => blocks[partition].bytes() > 0,
            Place::Memory(blocks) => !blocks[partition].is_empty(),
        }
    }

    /// Bytes that loading a partition's rows takes.
    pub fn bytes_to_load(&self, partition: usize) -> u64 {
        match &self.place {
            Place::Disk(_, blocks) => blocks[partition].bytes(),
            Place::Memory(_) => 0,
        }
    }

    /// The rows of `partition`.
    ///
    /// # Errors
    /// IO.
    pub fn load(&self, partition: usize) -> Result<Loaded> {
        let loaded = match &self.place {
            Place::Disk(file, blocks) => decode(&file.read(blocks[partition])?),
            Place::Memory(blocks) => decode(&blocks[partition]),
        };
        loaded.ok_or_else(|| Error::internal("rows that were put aside have another form than they were given"))
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
        let spill = Spill::new(dir.path(), None);
        let context = Context::new();
        for full in [false, true] {
            let partitioning = Partitioning::for_rows(Some(1), true);
            let chunks = chunks(full, partitioning);
            for place in [None, Some(&spill)] {
                let aside = Aside::write(&chunks, partitioning.count(), place, &context).unwrap();
                for partition in 0..partitioning.count() {
                    let pieces = chunks.iter().map(|chunk| chunk.piece(partition));
                    let written: Vec<_> =
                        pieces.filter(|piece| !piece.keys.is_empty()).map(|piece| told(&piece)).collect();
                    assert_eq!(aside.has(partition), !written.is_empty());
                    if aside.has(partition) {
                        let loaded = aside.load(partition).unwrap();
                        assert_eq!(loaded.pieces().map(|piece| told(&piece)).collect::<Vec<_>>(), written);
                    }
                }
            }
        }
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
