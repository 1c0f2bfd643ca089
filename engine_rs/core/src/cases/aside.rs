//! Rows by partition: the chunks that a thread has so far, brought together partition by partition, on disk or in memory.
//!
//! On disk they go where memory is short. In memory they are brought together where partitions are many: then a chunk has
//! so few rows of each that finding them costs more than copying them. They stay as they are there, or are packed where
//! they will go to disk. A frame holds one partition's rows of many chunks, column after column, their numbers
//! [`crate::cases::packed`]. The stretches of the chunks stay apart, since other threads' chunks may come between them in
//! the input. On disk a block has one frame or a few; a partition has as many blocks as keep each of them small, so that
//! one that does not fit into memory can be gone through block by block.

use std::ops::Range;

use crate::cases::packed::{Number, Repeats, pack, unpack, unpack_repeats};
use crate::cases::partition::{Chunk, Codes, Piece, Strings};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::log::byte_list::ByteList;
use crate::spill::{Block, Spill, SpillFile};

/// Chunks brought together by partition.
pub enum Aside<'a> {
    /// In one file, in rounds of all partitions.
    Disk(SpillFile<'a>, Vec<Round>),
    /// One frame of each partition, in memory.
    Packed(Frames),
    /// Rows as they are.
    Plain(Box<Together>),
}

/// Rows of many chunks in memory, partition after partition.
#[derive(Default)]
pub struct Together {
    rows: Loaded,
    /// The first stretch and the first row of each partition, and the ends of the last one's.
    firsts: Vec<(usize, usize)>,
}

/// The blocks of all partitions that were written in one go.
pub struct Round {
    /// Those of the first partition, then those of the next ...
    blocks: Vec<Put>,
    /// Where those of each partition begin, and where those of the last one end.
    firsts: Vec<u32>,
}

/// A block on disk, and how many bytes it takes once it is loaded.
#[derive(Clone, Copy)]
pub struct Put {
    block: Block,
    loaded_bytes: u64,
}

/// A frame of each partition, one after the other; empty where it has no rows.
pub struct Frames {
    bytes: Vec<u8>,
    /// Where each one ends, and how many bytes it takes once it is loaded.
    ends: Vec<(usize, u64)>,
}

/// A frame in memory, and how many bytes it takes once it is loaded.
#[derive(Clone, Copy)]
pub struct Frame<'s> {
    bytes: &'s [u8],
    loaded_bytes: u64,
}

/// Packs the rows of chunks in memory; used again and again by one thread, with its space.
#[derive(Default)]
pub struct Packer {
    rows: Together,
    repeats: Repeats,
    /// Space of frames that were written to disk.
    spare: Vec<Vec<u8>>,
}

/// Rows of a partition, wherever they are.
pub enum Stored<'s> {
    /// On disk.
    Disk(&'s SpillFile<'s>, Put),
    /// In memory.
    Memory(Frame<'s>),
}

/// The rows of some stretches, such as those of one frame, read back.
#[derive(Default)]
pub struct Loaded {
    /// Where each stretch begins in the input, and how many rows it has.
    stretches: Vec<(u64, usize)>,
    keys: Vec<u64>,
    times: Vec<i64>,
    starts: Vec<i64>,
    codes: LoadedCodes,
    rows: Option<Vec<u32>>,
    ids: Option<ByteList>,
    ties: Option<ByteList>,
}

enum LoadedCodes {
    Narrow(Vec<u8>),
    Wide(Vec<u32>),
}

impl Default for LoadedCodes {
    fn default() -> LoadedCodes {
        LoadedCodes::Narrow(Vec::new())
    }
}

/// Numbers at the head of a frame: stretches, rows, what columns there are, bytes of ids and of ties.
const HEAD: usize = 5;

const WIDE: u64 = 1;
const STARTS: u64 = 2;
const ROWS: u64 = 4;
const IDS: u64 = 8;
const TIES: u64 = 16;

/// Bytes of a stretch once it is loaded.
const STRETCH: usize = 16;

impl<'a> Aside<'a> {
    /// Brings `chunks`, which come in input order, together in memory, as they are.
    ///
    /// # Errors
    /// CANCELLED.
    pub fn plain(chunks: &[Chunk], partitions: usize, context: &Context) -> Result<Aside<'a>> {
        let mut together = Box::<Together>::default();
        together.fill(chunks, partitions, context)?;
        together.rows.stretches.shrink_to_fit();
        Ok(Aside::Plain(together))
    }

    /// Those rows of `partition` that are in memory as they are, in input order.
    pub fn held(&self, partition: usize) -> impl Iterator<Item = Piece<'_>> {
        let together = match self {
            Aside::Plain(together) => Some(together),
            Aside::Disk(..) | Aside::Packed(_) => None,
        };
        together.into_iter().flat_map(move |together| together.pieces(partition))
    }

    /// Whether the rows are in memory.
    pub fn is_in_memory(&self) -> bool {
        !matches!(self, Aside::Disk(..))
    }

    /// The other rows of `partition`, in input order.
    pub fn stored(&self, partition: usize) -> Vec<Stored<'_>> {
        match self {
            Aside::Disk(file, rounds) => {
                rounds.iter().flat_map(|round| round.of(partition)).map(|&put| Stored::Disk(file, put)).collect()
            }
            Aside::Packed(frames) => frames.of(partition).map(Stored::Memory).into_iter().collect(),
            Aside::Plain(_) => Vec::new(),
        }
    }

    /// Bytes held in memory.
    pub fn size_bytes(&self) -> usize {
        match self {
            Aside::Disk(_, rounds) => rounds.iter().map(Round::size_bytes).sum(),
            Aside::Packed(frames) => frames.bytes.capacity() + frames.ends.len() * size_of::<(usize, u64)>(),
            Aside::Plain(together) => together.size_bytes(),
        }
    }
}

impl Frames {
    /// That of `partition`, if it has rows.
    fn of(&self, partition: usize) -> Option<Frame<'_>> {
        let from = partition.checked_sub(1).map_or(0, |before| self.ends[before].0);
        let (end, loaded_bytes) = self.ends[partition];
        (from < end).then(|| Frame { bytes: &self.bytes[from..end], loaded_bytes })
    }
}

impl Packer {
    /// Brings `chunks`, which come in input order, together in memory, packed.
    ///
    /// # Errors
    /// CANCELLED.
    pub fn pack<'a>(&mut self, chunks: &[Chunk], partitions: usize, context: &Context) -> Result<Aside<'a>> {
        // As they are first: then there are few stretches, and long ones.
        self.rows.fill(chunks, partitions, context)?;
        let mut bytes = self.spare.pop().unwrap_or_default();
        bytes.clear();
        let space = bytes.capacity();
        bytes.reserve_exact(self.rows.rows.size_bytes());
        let (mut ends, mut pieces) = (Vec::with_capacity(partitions), Vec::new());
        for partition in 0..partitions {
            context.check_cancelled()?;
            pieces.clear();
            pieces.extend(self.rows.pieces(partition));
            encode(&pieces, &mut self.repeats, &mut bytes);
            ends.push((bytes.len(), loaded_bytes(&pieces)));
        }
        if bytes.capacity() > space {
            bytes.shrink_to_fit();
        }
        Ok(Aside::Packed(Frames { bytes, ends }))
    }

    /// Takes back the space of what was packed.
    pub fn recycle(&mut self, aside: Aside<'_>) {
        if let Aside::Packed(frames) = aside {
            self.spare.push(frames.bytes);
        }
    }

    /// Bytes of space.
    pub fn size_bytes(&self) -> usize {
        self.rows.size_bytes() + self.spare.iter().map(Vec::capacity).sum::<usize>()
    }

    /// Gives some of the space back; returns whether there was any.
    pub fn shrink(&mut self) -> bool {
        let is_used = self.size_bytes() > 0;
        if self.spare.pop().is_none() {
            self.rows = Together::default();
        }
        is_used
    }
}

/// Partitions whose rows are copied together. Of each chunk they are a long stretch, which is read as fast as memory goes;
/// where they are written to fits the cache.
const AT_ONCE: usize = 32;

impl Together {
    /// Takes in the rows of `chunks`, which come in input order, in place of what is held.
    fn fill(&mut self, chunks: &[Chunk], partitions: usize, context: &Context) -> Result<()> {
        let keeps_rows = chunks.iter().any(Chunk::keeps_rows);
        // Nothing comes between chunks that follow each other in the input: what they have of a partition is one stretch,
        // unless each row tells its place in its chunk.
        let pairs = chunks.iter().zip(chunks.iter().skip(1));
        let follows = pairs.map(|(one, next)| !keeps_rows && one.first_order + one.rows() as u64 == next.first_order);
        let follows: Vec<bool> = std::iter::once(false).chain(follows).collect();
        let Together { rows, firsts } = self;
        let (stretches, mut row) = (&mut rows.stretches, 0);
        stretches.clear();
        firsts.clear();
        for partition in 0..partitions {
            context.check_cancelled()?;
            firsts.push((stretches.len(), row));
            let mut goes_on = false;
            for (chunk, follows) in chunks.iter().zip(&follows) {
                let length = chunk.range(partition).len();
                goes_on &= follows;
                match stretches.last_mut() {
                    _ if length == 0 => continue,
                    Some((_, rows)) if goes_on => *rows += length,
                    _ => stretches.push((chunk.first_order, length)),
                }
                goes_on = true;
                row += length;
            }
        }
        firsts.push((stretches.len(), row));
        let is_wide = chunks.iter().any(|chunk| matches!(chunk.codes(), Codes::Wide(_)));
        let all = Gatherer { chunks, firsts, context };
        all.column(Chunk::keys, &mut rows.keys)?;
        all.column(Chunk::times, &mut rows.times)?;
        all.column(Chunk::starts, &mut rows.starts)?;
        match (is_wide, &mut rows.codes) {
            (true, codes) => {
                let mut wide = Vec::new();
                all.column_with(&mut wide, |chunk, range, to| match chunk.codes() {
                    Codes::Narrow(codes) => to.iter_mut().zip(&codes[range]).for_each(|(to, &code)| *to = code.into()),
                    Codes::Wide(codes) => to.copy_from_slice(&codes[range]),
                })?;
                *codes = LoadedCodes::Wide(wide);
            }
            (false, codes) => {
                let mut narrow = match std::mem::take(codes) {
                    LoadedCodes::Narrow(codes) => codes,
                    LoadedCodes::Wide(_) => Vec::new(),
                };
                all.column(Chunk::narrow_codes, &mut narrow)?;
                *codes = LoadedCodes::Narrow(narrow);
            }
        }
        rows.rows = keeps_rows.then(Vec::new);
        if let Some(places) = &mut rows.rows {
            all.column(Chunk::places, places)?;
        }
        rows.ids = all.strings(|piece| piece.ids)?;
        rows.ties = all.strings(|piece| piece.ties)?;
        Ok(())
    }

    fn size_bytes(&self) -> usize {
        self.rows.size_bytes() + self.firsts.len() * size_of::<(usize, usize)>()
    }

    fn pieces(&self, partition: usize) -> impl Iterator<Item = Piece<'_>> {
        let [(stretch, row), (end, _)] = [self.firsts[partition], self.firsts[partition + 1]];
        self.rows.pieces_of(stretch..end, row)
    }
}

/// Brings the columns of chunks together, one by one.
struct Gatherer<'a> {
    chunks: &'a [Chunk],
    firsts: &'a [(usize, usize)],
    context: &'a Context,
}

impl<'a> Gatherer<'a> {
    /// A column, in place of what `column` holds; empty where no chunk has it.
    fn column<T: Copy + Default + 'a>(&self, of: impl Fn(&'a Chunk) -> &'a [T], column: &mut Vec<T>) -> Result<()> {
        if self.chunks.iter().all(|chunk| of(chunk).is_empty()) {
            column.clear();
            return Ok(());
        }
        self.column_with(column, |chunk, range, to| to.copy_from_slice(&of(chunk)[range]))
    }

    /// A column of which `copy` copies some rows of a chunk, in place of what `column` holds.
    fn column_with<T: Copy + Default>(
        &self,
        column: &mut Vec<T>,
        copy: impl Fn(&'a Chunk, Range<usize>, &mut [T]),
    ) -> Result<()> {
        let partitions = self.firsts.len() - 1;
        let rows = self.firsts[partitions].1;
        column.reserve_exact(rows.saturating_sub(column.len()));
        column.resize(rows, T::default());
        for from in (0..partitions).step_by(AT_ONCE) {
            self.context.check_cancelled()?;
            let some = from..(from + AT_ONCE).min(partitions);
            let mut ends: [usize; AT_ONCE] = [0; AT_ONCE];
            ends.iter_mut().zip(&self.firsts[some.clone()]).for_each(|(end, &(_, row))| *end = row);
            for chunk in self.chunks {
                for (partition, end) in some.clone().zip(&mut ends) {
                    let range = chunk.range(partition);
                    let begin = *end;
                    *end += range.len();
                    copy(chunk, range, &mut column[begin..*end]);
                }
            }
        }
        Ok(())
    }

    /// A column of strings; none where no chunk has it.
    fn strings(&self, of: impl Fn(Piece<'a>) -> Option<Strings<'a>>) -> Result<Option<ByteList>> {
        let partitions = self.firsts.len() - 1;
        let of_partition = |partition| pieces(self.chunks, partition).filter_map(&of);
        if (0..partitions).flat_map(of_partition).next().is_none() {
            return Ok(None);
        }
        let bytes = (0..partitions).flat_map(of_partition).map(|strings| strings.size_bytes()).sum();
        let mut list = ByteList::with_capacity(self.firsts[partitions].1, bytes);
        for partition in 0..partitions {
            self.context.check_cancelled()?;
            of_partition(partition).for_each(|strings| strings.add_to(&mut list));
        }
        Ok(Some(list))
    }
}

impl Round {
    fn of(&self, partition: usize) -> &[Put] {
        &self.blocks[self.firsts[partition] as usize..self.firsts[partition + 1] as usize]
    }

    fn size_bytes(&self) -> usize {
        self.blocks.len() * size_of::<Put>() + self.firsts.len() * size_of::<u32>()
    }
}

impl Stored<'_> {
    /// Bytes that it takes once it is loaded.
    pub fn loaded_bytes(&self) -> u64 {
        match self {
            Stored::Disk(_, put) => put.loaded_bytes,
            Stored::Memory(frame) => frame.loaded_bytes,
        }
    }

    /// Bytes that loading it takes besides.
    pub fn bytes_to_load(&self) -> u64 {
        match self {
            Stored::Disk(_, put) => put.block.bytes(),
            Stored::Memory(_) => 0,
        }
    }

    /// Adds its rows to `loaded`; `space` is for what is read, and may be used again.
    ///
    /// # Errors
    /// IO.
    pub fn load(&self, space: &mut Vec<u8>, loaded: &mut Vec<Loaded>) -> Result<()> {
        let mut rest = match self {
            Stored::Disk(file, put) => file.read_into(put.block, space)?,
            Stored::Memory(frame) => frame.bytes,
        };
        while !rest.is_empty() {
            let (frame, length) = decode(rest)
                .ok_or_else(|| Error::internal("rows that were put aside have another form than they were given"))?;
            loaded.push(frame);
            rest = &rest[length..];
        }
        Ok(())
    }
}

/// Bytes that a frame of `pieces` takes once it is loaded.
fn loaded_bytes(pieces: &[Piece<'_>]) -> u64 {
    pieces.iter().map(|piece| (piece.size_bytes() + STRETCH) as u64).sum()
}

/// Bytes that the rows of `partition` in `chunks` and `asides` take once they are loaded.
pub fn bytes_of(partition: usize, chunks: &[Chunk], asides: &[Aside<'_>]) -> u64 {
    let held = pieces(chunks, partition).chain(asides.iter().flat_map(|aside| aside.held(partition)));
    let stored = asides.iter().flat_map(|aside| aside.stored(partition));
    held.map(|piece| piece.size_bytes() as u64).chain(stored.map(|stored| stored.loaded_bytes())).sum()
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
    /// What is to be written.
    block: Vec<u8>,
    repeats: Repeats,
    loaded_bytes: u64,
}

impl<'a> AsideWriter<'a> {
    /// A writer to a new file in `spill`.
    ///
    /// # Errors
    /// IO.
    pub fn new(spill: &'a Spill, context: &'a Context) -> Result<AsideWriter<'a>> {
        let block_bytes = block_bytes(context) as usize;
        let (file, rounds, block, repeats) = (spill.file()?, Vec::new(), Vec::new(), Repeats::default());
        Ok(AsideWriter { context, file, rounds, block_bytes, block, repeats, loaded_bytes: 0 })
    }

    /// Writes what was brought together in memory, and `chunks`, which came after it.
    ///
    /// # Errors
    /// IO; CANCELLED; UNSUPPORTED beyond 2^32 blocks.
    pub fn write_all(&mut self, asides: &[Aside<'_>], chunks: &[Chunk], partitions: usize) -> Result<()> {
        self.begin();
        for partition in 0..partitions {
            for aside in asides {
                match aside {
                    Aside::Packed(frames) => frames.of(partition).map_or(Ok(()), |frame| self.add_frame(frame))?,
                    Aside::Plain(together) => self.add_rows(together.pieces(partition))?,
                    Aside::Disk(..) => {}
                }
            }
            self.add_rows(pieces(chunks, partition))?;
            self.end_partition()?;
        }
        Ok(())
    }

    /// Writes the rows of each partition.
    ///
    /// # Errors
    /// IO; CANCELLED; UNSUPPORTED beyond 2^32 blocks.
    pub fn write<'p, P: Iterator<Item = Piece<'p>>>(&mut self, partitions: impl Iterator<Item = P>) -> Result<()> {
        self.begin();
        for pieces in partitions {
            self.add_rows(pieces)?;
            self.end_partition()?;
        }
        Ok(())
    }

    /// Begins a round of all partitions.
    fn begin(&mut self) {
        self.rounds.push(Round { blocks: Vec::new(), firsts: vec![0] });
    }

    /// Adds rows to this partition, as they are where a block has room for them.
    fn add_frame(&mut self, frame: Frame<'_>) -> Result<()> {
        if frame.bytes.len() > self.block_bytes {
            let mut loaded = Vec::new();
            Stored::Memory(frame).load(&mut Vec::new(), &mut loaded)?;
            return self.add_rows(loaded.iter().flat_map(Loaded::pieces));
        }
        self.make_room(frame.bytes.len())?;
        self.block.extend_from_slice(frame.bytes);
        self.loaded_bytes += frame.loaded_bytes;
        Ok(())
    }

    /// Adds rows to this partition, in as many frames as it takes.
    fn add_rows<'p>(&mut self, pieces: impl Iterator<Item = Piece<'p>>) -> Result<()> {
        let (mut together, mut bytes) = (Vec::new(), 0);
        for piece in pieces {
            let rows = piece.keys.len();
            // Cut evenly, should it alone be more than a block.
            let step = rows.div_ceil(piece.size_bytes().div_ceil(self.block_bytes).max(1)).max(1);
            for from in (0..rows).step_by(step) {
                let own = piece.cut(from..(from + step).min(rows));
                if bytes > 0 && bytes + own.size_bytes() > self.block_bytes {
                    self.encode(&together, bytes)?;
                    together.clear();
                    bytes = 0;
                }
                bytes += own.size_bytes();
                together.push(own);
            }
        }
        self.encode(&together, bytes)
    }

    fn encode(&mut self, pieces: &[Piece<'_>], bytes: usize) -> Result<()> {
        self.make_room(bytes)?;
        encode(pieces, &mut self.repeats, &mut self.block);
        self.loaded_bytes += loaded_bytes(pieces);
        Ok(())
    }

    /// Writes what is to be written, unless there is room for so many `bytes` beside it.
    fn make_room(&mut self, bytes: usize) -> Result<()> {
        self.context.check_cancelled()?;
        if self.block.len().saturating_add(bytes) <= self.block_bytes {
            return Ok(());
        }
        self.write_block()
    }

    fn write_block(&mut self) -> Result<()> {
        if !self.block.is_empty() {
            let put = Put { block: self.file.write(&self.block)?, loaded_bytes: self.loaded_bytes };
            if let Some(round) = self.rounds.last_mut() {
                round.blocks.push(put);
            }
            self.block.clear();
            self.loaded_bytes = 0;
        }
        Ok(())
    }

    fn end_partition(&mut self) -> Result<()> {
        self.write_block()?;
        if let Some(round) = self.rounds.last_mut() {
            let end = u32::try_from(round.blocks.len());
            round.firsts.push(end.map_err(|_| Error::unsupported("more than 2^32 blocks put aside at once"))?);
        }
        Ok(())
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

/// Adds a frame of `pieces` to `bytes`.
fn encode(pieces: &[Piece<'_>], repeats: &mut Repeats, bytes: &mut Vec<u8>) {
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
    let head = [pieces.len() as u64, rows as u64, flags, ids.bytes.len() as u64, ties.bytes.len() as u64];
    pack([&head[..]].into_iter(), bytes);
    let orders: Vec<u64> = pieces.iter().map(|piece| piece.first_order).collect();
    let lengths: Vec<u32> = pieces.iter().map(|piece| piece.keys.len() as u32).collect();
    pack([&orders[..]].into_iter(), bytes);
    pack([&lengths[..]].into_iter(), bytes);
    repeats.pack(pieces.iter().map(|piece| piece.keys), bytes);
    pack(pieces.iter().map(|piece| piece.times), bytes);
    if flags & STARTS > 0 {
        pack(pieces.iter().map(|piece| piece.starts), bytes);
    }
    let mut wide: Vec<u32> = Vec::new();
    for piece in pieces {
        match piece.codes {
            Codes::Wide(codes) => wide.extend_from_slice(codes),
            Codes::Narrow(codes) if flags & WIDE > 0 => wide.extend(codes.iter().map(|&code| u32::from(code))),
            Codes::Narrow(codes) => bytes.extend_from_slice(codes),
        }
    }
    if flags & WIDE > 0 {
        pack([&wide[..]].into_iter(), bytes);
    }
    if flags & ROWS > 0 {
        pack(pieces.iter().filter_map(|piece| piece.rows), bytes);
    }
    for (texts, flag) in [(ids, IDS), (ties, TIES)] {
        if flags & flag > 0 {
            pack([&texts.lengths[..]].into_iter(), bytes);
            bytes.extend_from_slice(&texts.bytes);
        }
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

/// Reads a frame from its beginning on.
struct Reader<'a> {
    frame: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// The next `n` bytes; none where the frame ends before.
    fn bytes(&mut self, n: usize) -> Option<&'a [u8]> {
        let bytes = self.frame.get(self.at..self.at.checked_add(n)?)?;
        self.at += n;
        Some(bytes)
    }

    fn column<T: Number>(&mut self, n: usize) -> Option<Vec<T>> {
        let (values, end) = unpack(self.frame, self.at, n)?;
        self.at = end;
        Some(values)
    }

    fn keys(&mut self, n: usize) -> Option<Vec<u64>> {
        let (keys, end) = unpack_repeats(self.frame, self.at, n)?;
        self.at = end;
        Some(keys)
    }

    fn strings(&mut self, n: usize, bytes: u64) -> Option<ByteList> {
        let lengths = self.column::<u32>(n)?;
        ByteList::from_lengths(&lengths, self.bytes(usize::try_from(bytes).ok()?)?)
    }
}

/// The frame that `bytes` begin with, and how long it is; none where they end before.
fn decode(bytes: &[u8]) -> Option<(Loaded, usize)> {
    let mut reader = Reader { frame: bytes, at: 0 };
    let head: Vec<u64> = reader.column(HEAD)?;
    let [stretches, n, flags, id_bytes, tie_bytes] = head[..] else { return None };
    let has = |flag: u64| flags & flag > 0;
    let (stretches, n) = (usize::try_from(stretches).ok()?, usize::try_from(n).ok()?);
    let orders = reader.column::<u64>(stretches)?;
    let lengths = reader.column::<u32>(stretches)?;
    let loaded = Loaded {
        stretches: orders.into_iter().zip(lengths).map(|(order, length)| (order, length as usize)).collect(),
        keys: reader.keys(n)?,
        times: reader.column(n)?,
        starts: if has(STARTS) { reader.column(n)? } else { Vec::new() },
        codes: match has(WIDE) {
            true => LoadedCodes::Wide(reader.column(n)?),
            false => LoadedCodes::Narrow(reader.bytes(n)?.to_vec()),
        },
        rows: if has(ROWS) { Some(reader.column(n)?) } else { None },
        ids: if has(IDS) { Some(reader.strings(n, id_bytes)?) } else { None },
        ties: if has(TIES) { Some(reader.strings(n, tie_bytes)?) } else { None },
    };
    Some((loaded, reader.at))
}

impl Loaded {
    fn size_bytes(&self) -> usize {
        let texts = [&self.ids, &self.ties].into_iter().flatten().map(ByteList::size_bytes).sum::<usize>();
        let codes = match &self.codes {
            LoadedCodes::Narrow(codes) => codes.capacity(),
            LoadedCodes::Wide(codes) => codes.capacity() * 4,
        };
        let rows = self.rows.as_ref().map_or(0, |rows| rows.len() * 4);
        self.stretches.capacity() * STRETCH
            + (self.keys.capacity() + self.times.capacity() + self.starts.capacity()) * 8
            + codes
            + rows
            + texts
    }

    /// Case key of every row.
    pub fn keys(&self) -> &[u64] {
        &self.keys
    }

    /// The stretches, one after the other.
    pub fn pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        self.pieces_of(0..self.stretches.len(), 0)
    }

    /// Some of the stretches, of which the first begins with row `from`.
    fn pieces_of(&self, stretches: Range<usize>, mut from: usize) -> impl Iterator<Item = Piece<'_>> {
        self.stretches[stretches].iter().map(move |&(first_order, length)| {
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

    fn loaded(stored: &[Stored<'_>]) -> Vec<Loaded> {
        let (mut loaded, mut space) = (Vec::new(), Vec::new());
        stored.iter().for_each(|stored| stored.load(&mut space, &mut loaded).unwrap());
        loaded
    }

    /// What the rows of some pieces say, one after the other.
    fn all_told<'p>(pieces: impl Iterator<Item = Piece<'p>>) -> Vec<String> {
        pieces.flat_map(|piece| (0..piece.keys.len()).map(move |row| told(&piece.cut(row..row + 1)))).collect()
    }

    /// What a piece says, but for where it begins if its rows do not tell theirs.
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
        let first_order = piece.rows.map(|_| piece.first_order);
        format!("{:?}", (first_order, keys, codes, times, starts, texts, rows))
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
                    neighbours_differ: false,
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
            writer.write_all(&[], &chunks[..1], partitioning.count()).unwrap();
            writer.write_all(&[], &chunks[1..], partitioning.count()).unwrap();
            let packed = |chunks| Packer::default().pack(chunks, partitioning.count(), &context).unwrap();
            let plain = |chunks| Aside::plain(chunks, partitioning.count(), &context).unwrap();
            // In one, of what was held in three ways.
            let mut other = AsideWriter::new(context.spill().unwrap(), &context).unwrap();
            let asides = [packed(&chunks[..1]), plain(&chunks[1..2])];
            other.write_all(&asides, &chunks[2..], partitioning.count()).unwrap();
            for aside in [writer.finish(), other.finish(), packed(&chunks), plain(&chunks)] {
                for partition in 0..partitioning.count() {
                    let written = all_told(pieces(&chunks, partition));
                    let stored = aside.stored(partition);
                    assert_eq!(stored.is_empty(), written.is_empty() || matches!(aside, Aside::Plain(_)));
                    let loaded = loaded(&stored);
                    let read = aside.held(partition).chain(loaded.iter().flat_map(Loaded::pieces));
                    assert_eq!(all_told(read), written);
                }
            }
        }
    }

    #[test]
    fn a_stretch_goes_on_in_the_next_chunk_unless_others_come_between_or_rows_tell_their_places() {
        let context = Context::new();
        let partitioning = Partitioning::for_rows(Some(1), true);
        for (full, of, stretches) in [(false, [0, 1, 2], 1), (false, [0, 2, 1], 3), (true, [0, 1, 2], 3)] {
            let mut all: Vec<_> = chunks(full, partitioning).into_iter().map(Some).collect();
            let chunks: Vec<Chunk> = of.into_iter().map(|at| all[at].take().unwrap()).collect();
            let aside = Aside::plain(&chunks, partitioning.count(), &context).unwrap();
            let all = (0..partitioning.count()).map(|partition| aside.held(partition).collect::<Vec<_>>());
            let most: Vec<Piece<'_>> = all.max_by_key(Vec::len).unwrap();
            assert_eq!(most.len(), stretches, "{full} {of:?}");
            assert_eq!(most.iter().map(|piece| piece.first_order).min(), Some(0));
        }
    }

    #[test]
    fn large_pieces_are_cut_into_blocks_of_bounded_size() {
        let dir = tempfile::tempdir().unwrap();
        let options = serde_json::json!({"version": 1, "memory_limit_bytes": 1, "spill_dir": dir.path()});
        let context = Context::from_json(&options.to_string()).unwrap();
        let chunks = chunks(true, Partitioning::for_rows(Some(1), false));
        let mut writer = AsideWriter::new(context.spill().unwrap(), &context).unwrap();
        let together = [
            Packer::default().pack(&chunks[..1], 1, &context).unwrap(),
            Aside::plain(&chunks[1..2], 1, &context).unwrap(),
        ];
        writer.write_all(&together, &chunks[2..], 1).unwrap();
        let aside = writer.finish();
        let most = aside.stored(0).iter().map(Stored::bytes_to_load).max().unwrap();
        assert!(aside.stored(0).len() > 5 && most < FEWEST_BLOCK_BYTES * 5 / 4, "{most}");
        let loaded = loaded(&aside.stored(0));
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
        encode(&[chunks[0].piece(0)], &mut Repeats::default(), &mut bytes);
        assert!(decode(&bytes).is_some());
        for end in 0..bytes.len() {
            assert!(decode(&bytes[..end]).is_none(), "{end}");
        }
    }
}
