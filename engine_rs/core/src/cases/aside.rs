//! Rows by partition on disk: what a thread has put aside so far, written partition by partition, and read back so.
//!
//! A block holds one partition's rows of many chunks, column after column. The stretches of the chunks stay apart, since
//! other threads' chunks may come between them in the input.

use arrow_buffer::{ArrowNativeType, Buffer, ScalarBuffer, ToByteSlice};

use crate::cases::partition::{Chunk, Codes, Piece, Strings};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::log::encode::ByteList;
use crate::spill::{Block, Spill, SpillFile};

/// Chunks on disk.
pub struct Aside<'a> {
    file: SpillFile<'a>,
    /// By partition; empty where it has no rows.
    blocks: Vec<Block>,
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
    /// Writes `chunks`, which come in input order, out.
    ///
    /// # Errors
    /// IO; CANCELLED.
    pub fn write(chunks: &[Chunk], partitions: usize, spill: &'a Spill, context: &Context) -> Result<Aside<'a>> {
        let mut file = spill.file()?;
        let mut blocks = Vec::with_capacity(partitions);
        let mut bytes = Vec::new();
        for partition in 0..partitions {
            context.check_cancelled()?;
            let pieces: Vec<Piece<'_>> =
                chunks.iter().map(|chunk| chunk.piece(partition)).filter(|piece| !piece.keys.is_empty()).collect();
            bytes.clear();
            encode(&pieces, &mut bytes);
            blocks.push(if pieces.is_empty() { Block::default() } else { file.write(&bytes)? });
        }
        Ok(Aside { file, blocks })
    }

    /// Bytes that a partition's rows take, about as many on disk as in memory.
    pub fn bytes(&self, partition: usize) -> u64 {
        self.blocks[partition].bytes()
    }

    /// Reads the rows of `partition` back.
    ///
    /// # Errors
    /// IO.
    pub fn load(&self, partition: usize) -> Result<Loaded> {
        decode(&self.file.read(self.blocks[partition])?)
            .ok_or_else(|| Error::internal("rows that were put aside have another form than they were given"))
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
