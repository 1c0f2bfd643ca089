//! Cases out of rows in any order: split by a hash of the case id, then grouped partition by partition.
//!
//! Each batch is sorted by partition on its own (a counting sort that stays in the cache) and put aside as a [`Chunk`].
//! A partition is then the stretch it has in every chunk, one chunk after the other in input order, so that rows of one
//! case and one timestamp keep their order. Inside a partition a second counting sort brings events together by case
//! (see [`crate::cases::assembler`]).
//! Cost: two moves per event; memory 17 to 20 bytes per event (more with text ids, starts and `order_by`).

use std::ops::Range;

use arrow_array::{GenericStringArray, OffsetSizeTrait};

use crate::hash;
use crate::log::byte_list::ByteList;
use crate::log::encode::Encoded;
use crate::log::text::TextColumn;

/// A batch, sorted by partition.
#[derive(Default)]
pub struct Chunk {
    /// Where its first event stands in the input.
    pub first_order: u64,
    offsets: Vec<u32>,
    keys: Vec<u64>,
    codes: Codes<Vec<u8>, Vec<u32>>,
    times: Vec<i64>,
    starts: Vec<i64>,
    ids: Option<ByteList>,
    ties: Option<ByteList>,
    rows: Option<Vec<u32>>,
}

/// Activity codes in as few bytes as they need: what is put aside is written to memory and read back.
#[derive(Clone, Copy)]
pub enum Codes<N, W> {
    /// All below 256.
    Narrow(N),
    /// Any.
    Wide(W),
}

impl<N: Default, W> Default for Codes<N, W> {
    fn default() -> Codes<N, W> {
        Codes::Narrow(N::default())
    }
}

/// Rows of one partition that follow each other in the input, though others may lie between them.
#[derive(Clone, Copy)]
pub struct Piece<'a> {
    /// Where the chunk that they are of begins in the input.
    pub first_order: u64,
    /// Case key per event.
    pub keys: &'a [u64],
    /// Activity code per event.
    pub codes: Codes<&'a [u8], &'a [u32]>,
    /// Timestamp per event.
    pub times: &'a [i64],
    /// Start timestamp per event; empty where the log has none.
    pub starts: &'a [i64],
    /// Case id per event, where keys are hashes.
    pub ids: Option<Strings<'a>>,
    /// Comparable bytes of the `order_by` columns per event.
    pub ties: Option<Strings<'a>>,
    /// Position of each event after `first_order`, where that is kept.
    pub rows: Option<&'a [u32]>,
}

/// Some of the strings of a list.
#[derive(Clone, Copy)]
pub struct Strings<'a> {
    list: &'a ByteList,
    from: usize,
    to: usize,
}

impl<'a> Strings<'a> {
    /// Those of `list` in `range`.
    pub fn new(list: &'a ByteList, range: Range<usize>) -> Strings<'a> {
        Strings { list, from: range.start, to: range.end }
    }

    /// The one at `at`.
    #[inline]
    pub fn get(&self, at: usize) -> &'a [u8] {
        self.list.get(self.from + at)
    }

    /// Bytes of all of them.
    pub fn size_bytes(&self) -> usize {
        self.list.bytes_of(self.from, self.to)
    }

    /// Adds all of them to `list`.
    pub fn add_to(&self, list: &mut ByteList) {
        list.extend_range(self.list, self.from, self.to);
    }

    /// All of them.
    pub fn iter(self) -> impl Iterator<Item = &'a [u8]> {
        (self.from..self.to).map(move |at| self.list.get(at))
    }
}

impl<'a> Piece<'a> {
    /// Bytes put aside.
    pub fn size_bytes(&self) -> usize {
        let code = match self.codes {
            Codes::Narrow(_) => 1,
            Codes::Wide(_) => 4,
        };
        let texts = [&self.ids, &self.ties].into_iter().flatten();
        self.keys.len() * (8 + 8 + code)
            + self.starts.len() * 8
            + self.rows.map_or(0, |rows| rows.len() * 4)
            + texts.map(|texts| texts.size_bytes() + self.keys.len() * 8).sum::<usize>()
    }

    /// The rows in `range` alone.
    pub fn cut(&self, range: Range<usize>) -> Piece<'a> {
        let texts =
            |texts: &Strings<'a>| Strings { from: texts.from + range.start, to: texts.from + range.end, ..*texts };
        Piece {
            first_order: self.first_order,
            keys: &self.keys[range.clone()],
            codes: match self.codes {
                Codes::Narrow(codes) => Codes::Narrow(&codes[range.clone()]),
                Codes::Wide(codes) => Codes::Wide(&codes[range.clone()]),
            },
            times: &self.times[range.clone()],
            starts: if self.starts.is_empty() { &[] } else { &self.starts[range.clone()] },
            ids: self.ids.as_ref().map(texts),
            ties: self.ties.as_ref().map(texts),
            rows: self.rows.map(|rows| &rows[range.clone()]),
        }
    }
}

impl Chunk {
    /// How many rows it has.
    pub fn rows(&self) -> usize {
        self.keys.len()
    }

    /// Where the rows of `partition` are in its columns.
    #[inline]
    pub fn range(&self, partition: usize) -> Range<usize> {
        self.offsets[partition] as usize..self.offsets[partition + 1] as usize
    }

    /// Case key per row.
    pub fn keys(&self) -> &[u64] {
        &self.keys
    }

    /// Timestamp per row.
    pub fn times(&self) -> &[i64] {
        &self.times
    }

    /// Start timestamp per row; empty where the log has none.
    pub fn starts(&self) -> &[i64] {
        &self.starts
    }

    /// Activity code per row.
    pub fn codes(&self) -> Codes<&[u8], &[u32]> {
        match &self.codes {
            Codes::Narrow(codes) => Codes::Narrow(codes),
            Codes::Wide(codes) => Codes::Wide(codes),
        }
    }

    /// Activity code per row, where none needs more than a byte; else empty.
    pub fn narrow_codes(&self) -> &[u8] {
        match &self.codes {
            Codes::Narrow(codes) => codes,
            Codes::Wide(_) => &[],
        }
    }

    /// Position of each row after `first_order`; empty where that is not kept.
    pub fn places(&self) -> &[u32] {
        self.rows.as_deref().unwrap_or_default()
    }

    /// Whether the position of each row is kept.
    pub fn keeps_rows(&self) -> bool {
        self.rows.is_some()
    }

    /// Bytes held.
    pub fn size_bytes(&self) -> usize {
        let lists = [&self.ids, &self.ties].into_iter().flatten().map(ByteList::size_bytes).sum::<usize>();
        let codes = match &self.codes {
            Codes::Narrow(codes) => codes.capacity(),
            Codes::Wide(codes) => codes.capacity() * 4,
        };
        (self.keys.capacity() + self.times.capacity() + self.starts.capacity()) * 8
            + codes
            + self.offsets.capacity() * 4
            + self.rows.as_ref().map_or(0, |rows| rows.len() * 4)
            + lists
    }

    /// The rows of `partition`.
    pub fn piece(&self, partition: usize) -> Piece<'_> {
        let own = self.range(partition);
        Piece {
            first_order: self.first_order,
            keys: &self.keys[own.clone()],
            codes: match &self.codes {
                Codes::Narrow(codes) => Codes::Narrow(&codes[own.clone()]),
                Codes::Wide(codes) => Codes::Wide(&codes[own.clone()]),
            },
            times: &self.times[own.clone()],
            starts: if self.starts.is_empty() { &[] } else { &self.starts[own.clone()] },
            ids: self.ids.as_ref().map(|list| Strings::new(list, own.clone())),
            ties: self.ties.as_ref().map(|list| Strings::new(list, own.clone())),
            rows: self.rows.as_ref().map(|rows| &rows[own]),
        }
    }
}

/// A batch takes the space of one that was at most so many times as large.
const SPACIOUS: usize = 2;

/// Into how many partitions a log is split, by the bits of a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partitioning {
    pub(super) bits: u32,
}

/// Events that a partition should hold, so that its columns and tables stay in the second-level cache.
const PARTITION_ROWS: u64 = 32 * 1024;
/// What a log of unknown size is split into.
const UNKNOWN_BITS: u32 = 9;
/// At least so many where memory is short.
const SHORT_BITS: u32 = 8;
const MAX_BITS: u32 = 12;

impl Partitioning {
    /// The split for a log of `rows` events, if that is known; into many partitions where `memory_is_short` and a few of
    /// them have to fit, however wide the rows are.
    pub fn for_rows(rows: Option<u64>, memory_is_short: bool) -> Partitioning {
        let bits = match rows {
            None => UNKNOWN_BITS,
            Some(rows) => (rows / PARTITION_ROWS).max(1).next_power_of_two().trailing_zeros().min(MAX_BITS),
        };
        Partitioning { bits: bits.max(if memory_is_short { SHORT_BITS } else { 0 }) }
    }

    /// A single one.
    pub fn none() -> Partitioning {
        Partitioning { bits: 0 }
    }

    /// How many partitions there are.
    pub fn count(self) -> usize {
        1 << self.bits
    }

    #[inline]
    fn of(self, key: u64) -> usize {
        // Two shifts, since one by 64 is not defined.
        (hash::of_key(key) >> 1 >> (63 - self.bits)) as usize
    }
}

/// Sorts the batches of one thread by partition.
pub struct Partitioner {
    partitioning: Partitioning,
    with_rows: bool,
    homes: Vec<u16>,
    cursors: Vec<u32>,
    /// Chunks whose space may be used again.
    spare: Vec<Chunk>,
}

impl Partitioner {
    /// A partitioner; `with_rows` keeps each event's input position.
    pub fn new(partitioning: Partitioning, with_rows: bool) -> Partitioner {
        Partitioner { partitioning, with_rows, homes: Vec::new(), cursors: Vec::new(), spare: Vec::new() }
    }

    /// Into how many partitions batches are sorted.
    pub fn partitions(&self) -> usize {
        self.partitioning.count()
    }

    /// The batch, sorted by partition.
    pub fn split(&mut self, batch: &Encoded<'_>) -> Chunk {
        let rows = batch.keys.len();
        // Space that is much too large would be held for nothing.
        let spare = self.spare.pop().filter(|spare| spare.keys.capacity() / SPACIOUS <= rows);
        let Chunk { mut offsets, mut keys, codes, mut times, .. } = spare.unwrap_or_default();
        self.count(batch.keys, &mut offsets);
        // Exactly: what was too small grows by doubling else.
        keys.reserve_exact(rows.saturating_sub(keys.len()));
        keys.resize(rows, 0);
        times.reserve_exact(rows.saturating_sub(times.len()));
        times.resize(rows, 0);
        let (mut narrow, mut wide) = match codes {
            Codes::Narrow(narrow) => (narrow, Vec::new()),
            Codes::Wide(wide) => (Vec::new(), wide),
        };
        let codes = if batch.codes.iter().fold(0, |all, &code| all | code) < 0x100 {
            self.spread_events(&offsets, batch, |code| code as u8, (&mut keys, &mut times, &mut narrow));
            Codes::Narrow(narrow)
        } else {
            self.spread_events(&offsets, batch, |code| code, (&mut keys, &mut times, &mut wide));
            Codes::Wide(wide)
        };
        let mut chunk = Chunk {
            first_order: batch.first_order,
            keys,
            times,
            starts: batch.starts.map(|starts| self.spread(&offsets, starts, |start| start)).unwrap_or_default(),
            offsets,
            codes,
            ids: None,
            ties: None,
            rows: None,
        };
        if self.with_rows || batch.ids.is_some() || batch.ties.is_some() {
            let rows: Vec<u32> = (0..batch.keys.len() as u32).collect();
            let places = self.spread(&chunk.offsets, &rows, |row| row);
            chunk.ids = batch.ids.map(|ids| gathered_ids(&places, ids));
            chunk.ties = batch.ties.map(|ties| gathered(&places, |row| ties.get(row)));
            chunk.rows = self.with_rows.then_some(places);
        }
        chunk
    }

    /// Takes back the space of chunks.
    pub fn recycle(&mut self, chunks: impl Iterator<Item = Chunk>) {
        self.spare.extend(chunks);
    }

    /// Bytes of space.
    pub fn size_bytes(&self) -> usize {
        self.spare.iter().map(Chunk::size_bytes).sum()
    }

    /// Gives some of the space back; returns whether there was any.
    pub fn shrink(&mut self) -> bool {
        self.spare.pop().is_some()
    }

    /// Into `keys`, `times` and `codes` those of the batch, each in its partition's stretch. One pass for the columns that
    /// every log has: where a row goes is looked up once.
    fn spread_events<U: Copy + Default>(
        &mut self,
        offsets: &[u32],
        batch: &Encoded<'_>,
        to: impl Fn(u32) -> U,
        (keys, times, codes): (&mut [u64], &mut [i64], &mut Vec<U>),
    ) {
        self.rewind(offsets);
        codes.reserve_exact(batch.codes.len().saturating_sub(codes.len()));
        codes.resize(batch.codes.len(), U::default());
        let rows = self.homes.iter().zip(batch.keys).zip(batch.times).zip(batch.codes);
        for (((&home, &key), &time), &code) in rows {
            let cursor = &mut self.cursors[usize::from(home)];
            let place = *cursor as usize;
            *cursor += 1;
            keys[place] = key;
            times[place] = time;
            codes[place] = to(code);
        }
    }

    /// The values of another column, each in its partition's stretch.
    fn spread<T: Copy, U: Copy + Default>(&mut self, offsets: &[u32], values: &[T], to: impl Fn(T) -> U) -> Vec<U> {
        self.rewind(offsets);
        let mut spread = vec![U::default(); values.len()];
        for (&home, &value) in self.homes.iter().zip(values) {
            let cursor = &mut self.cursors[usize::from(home)];
            spread[*cursor as usize] = to(value);
            *cursor += 1;
        }
        spread
    }

    /// Sets the cursors to where partitions begin.
    fn rewind(&mut self, offsets: &[u32]) {
        self.cursors.clear();
        self.cursors.extend_from_slice(&offsets[..offsets.len() - 1]);
    }

    /// Finds each row's partition; where partitions begin comes in place of what `offsets` holds.
    fn count(&mut self, keys: &[u64], offsets: &mut Vec<u32>) {
        let partitioning = self.partitioning;
        self.homes.clear();
        self.homes.extend(keys.iter().map(|&key| partitioning.of(key) as u16));
        offsets.clear();
        offsets.resize(partitioning.count() + 1, 0);
        self.homes.iter().for_each(|&home| offsets[usize::from(home) + 1] += 1);
        for i in 1..offsets.len() {
            offsets[i] += offsets[i - 1];
        }
    }
}

/// The ids of the rows at `places`.
fn gathered_ids(places: &[u32], ids: &TextColumn) -> ByteList {
    match ids {
        TextColumn::Utf8(array) => gathered_strings(places, array),
        TextColumn::LargeUtf8(array) => gathered_strings(places, array),
        other => gathered(places, |row| other.value(row)),
    }
}

fn gathered_strings<O: OffsetSizeTrait>(places: &[u32], array: &GenericStringArray<O>) -> ByteList {
    let ends = array.value_offsets();
    ByteList::gathered(array.value_data(), places, |row| ends[row].as_usize()..ends[row + 1].as_usize())
}

/// The texts of the rows at `places`.
fn gathered<'t>(places: &[u32], text: impl Fn(usize) -> &'t [u8]) -> ByteList {
    let bytes = (0..places.len()).map(|row| text(row).len()).sum();
    let mut list = ByteList::with_capacity(places.len(), bytes);
    places.iter().for_each(|&place| list.push(text(place as usize)));
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_follow_the_size() {
        assert_eq!(Partitioning::for_rows(Some(10), false).count(), 1);
        assert_eq!(Partitioning::for_rows(Some(1 << 26), false).count(), 2048);
        assert_eq!(Partitioning::for_rows(Some(u64::MAX / 2), true).count(), 1 << MAX_BITS);
        assert_eq!(Partitioning { bits: 0 }.of(u64::MAX), 0);
    }
}
