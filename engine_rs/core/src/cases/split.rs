//! How is a partition mined that does not fit into memory? Split again by further bits of the hash, block by block.

use crate::cases::aside::{Aside, AsideWriter, Loaded, Stored, block_bytes};
use crate::cases::partition::{Codes, Piece, Strings};
use crate::context::{Context, Step};
use crate::error::Result;
use crate::hash;
use crate::log::byte_list::ByteList;
use crate::spill::Spill;

/// Into at least, and at most, how many parts one is split, in bits.
const FEWEST_BITS: u32 = 4;
const MOST_BITS: u32 = 8;

/// The part of the memory limit that rows may hold on their way.
const HELD_SHARE: u64 = 32;
const FEWEST_HELD_BYTES: u64 = 1 << 16;
const MOST_HELD_BYTES: u64 = 1 << 28;

/// Splits the rows in `blocks`, of which a part should have `wanted_bytes` at most. Returns the parts, and how many they
/// are; none where all rows have one hash: then they are of one case, but once in a very long time.
///
/// Cost: what the rows have on disk is read twice and written once.
///
/// # Errors
/// IO; MEMORY_LIMIT where there is not even room for that; CANCELLED.
pub fn split<'a>(
    blocks: &[Stored<'_>],
    wanted_bytes: u64,
    spill: &'a Spill,
    context: &'a Context,
) -> Result<Option<(Aside<'a>, usize)>> {
    let limit_bytes = context.memory().limit_bytes().unwrap_or(u64::MAX);
    let held_bytes = (limit_bytes / HELD_SHARE).clamp(FEWEST_HELD_BYTES, MOST_HELD_BYTES);
    let largest = blocks.iter().map(|block| block.loaded_bytes() + block.bytes_to_load()).max().unwrap_or(0);
    // What is held has grown by doubling; a block that is written is another copy.
    let room = largest + held_bytes * 2 + block_bytes(context);
    let _turn = context.reserve_in_turn(Step::Partitions, room)?;
    // The bits in which hashes differ: those before them are the same in all.
    let (mut first, mut differ) = (None, 0);
    let (mut space, mut loaded) = (Vec::new(), Vec::new());
    for block in blocks {
        context.check_cancelled()?;
        block.load(&mut space, &mut loaded)?;
        for &key in loaded.iter().flat_map(Loaded::keys) {
            let hash = hash::of_key(key);
            differ |= hash ^ *first.get_or_insert(hash);
        }
        loaded.clear();
    }
    if differ == 0 {
        return Ok(None);
    }
    let bytes: u64 = blocks.iter().map(Stored::loaded_bytes).sum();
    let wanted = bytes.div_ceil(wanted_bytes.max(1)).next_power_of_two().trailing_zeros();
    let choice = Choice { skipped: differ.leading_zeros(), bits: (wanted + 1).clamp(FEWEST_BITS, MOST_BITS) };
    let mut writer = AsideWriter::new(spill, context)?;
    let mut heaps: Vec<Heap> = Vec::new();
    heaps.resize_with(1 << choice.bits, Heap::default);
    let mut held = 0;
    for block in blocks {
        context.check_cancelled()?;
        block.load(&mut space, &mut loaded)?;
        held += loaded.drain(..).map(|frame| spread(&frame, choice, &mut heaps)).sum::<u64>();
        if held > held_bytes {
            write(&mut heaps, &mut writer)?;
            held = 0;
        }
    }
    write(&mut heaps, &mut writer)?;
    Ok(Some((writer.finish(), heaps.len())))
}

/// Which bits of a hash choose the part.
#[derive(Clone, Copy)]
struct Choice {
    skipped: u32,
    bits: u32,
}

impl Choice {
    #[inline]
    fn of(self, key: u64) -> usize {
        (hash::of_key(key) << self.skipped >> (u64::BITS - self.bits)) as usize
    }
}

/// Adds the rows of a block to the heaps of their parts; returns how many bytes more they hold.
fn spread(block: &Loaded, choice: Choice, heaps: &mut [Heap]) -> u64 {
    let mut bytes = 0;
    for piece in block.pieces() {
        for (row, &key) in piece.keys.iter().enumerate() {
            bytes += heaps[choice.of(key)].push(&piece, row);
        }
    }
    bytes
}

fn write(heaps: &mut [Heap], writer: &mut AsideWriter<'_>) -> Result<()> {
    heaps.iter_mut().for_each(Heap::settle);
    writer.write(heaps.iter().map(Heap::pieces))?;
    heaps.iter_mut().for_each(Heap::clear);
    Ok(())
}

/// Rows of one part on their way to the disk.
#[derive(Default)]
struct Heap {
    /// Where each stretch begins in the input, and how many rows it has.
    stretches: Vec<(u64, usize)>,
    keys: Vec<u64>,
    times: Vec<i64>,
    starts: Vec<i64>,
    codes: Vec<u32>,
    /// The codes once more, where none needs more than a byte.
    narrow: Vec<u8>,
    rows: Vec<u32>,
    ids: Option<ByteList>,
    ties: Option<ByteList>,
}

impl Heap {
    /// Adds a row of `piece`; returns how many bytes that are.
    #[inline]
    fn push(&mut self, piece: &Piece<'_>, row: usize) -> u64 {
        match self.stretches.last_mut() {
            Some((first_order, rows)) if *first_order == piece.first_order => *rows += 1,
            _ => self.stretches.push((piece.first_order, 1)),
        }
        self.keys.push(piece.keys[row]);
        self.times.push(piece.times[row]);
        self.codes.push(match piece.codes {
            Codes::Narrow(codes) => u32::from(codes[row]),
            Codes::Wide(codes) => codes[row],
        });
        let mut bytes = 16 + 8 + 8 + 4;
        if !piece.starts.is_empty() {
            self.starts.push(piece.starts[row]);
            bytes += 8;
        }
        if let Some(rows) = piece.rows {
            self.rows.push(rows[row]);
            bytes += 4;
        }
        for (own, texts) in [(&mut self.ids, piece.ids), (&mut self.ties, piece.ties)] {
            if let Some(texts) = texts {
                own.get_or_insert_default().push(texts.get(row));
                bytes += 8 + texts.get(row).len() as u64;
            }
        }
        bytes
    }

    /// Makes ready to be written.
    fn settle(&mut self) {
        self.narrow.clear();
        if self.codes.iter().all(|&code| code < 0x100) {
            self.narrow.extend(self.codes.iter().map(|&code| code as u8));
        }
    }

    /// The stretches, one after the other.
    fn pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        let mut from = 0;
        self.stretches.iter().map(move |&(first_order, rows)| {
            let own = from..from + rows;
            from = own.end;
            Piece {
                first_order,
                keys: &self.keys[own.clone()],
                codes: match self.narrow.is_empty() {
                    true => Codes::Wide(&self.codes[own.clone()]),
                    false => Codes::Narrow(&self.narrow[own.clone()]),
                },
                times: &self.times[own.clone()],
                starts: if self.starts.is_empty() { &[] } else { &self.starts[own.clone()] },
                ids: self.ids.as_ref().map(|list| Strings::new(list, own.clone())),
                ties: self.ties.as_ref().map(|list| Strings::new(list, own.clone())),
                rows: (!self.rows.is_empty()).then(|| &self.rows[own]),
            }
        })
    }

    /// Gives back all space: a heap that was large once need not be again.
    fn clear(&mut self) {
        *self = Heap::default();
    }
}
