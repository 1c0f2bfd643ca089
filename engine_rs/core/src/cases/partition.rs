//! Cases out of rows in any order: split by a hash of the case id, then grouped partition by partition.
//!
//! Each batch is sorted by partition on its own (a counting sort that stays in the cache) and put aside as a [`Chunk`].
//! A partition is then the stretch it has in every chunk, one chunk after the other in input order, so that rows of one
//! case and one timestamp keep their order. Inside a partition a table that fits the cache gives each case a number,
//! and a second counting sort brings its events together.
//! Cost: two moves per event; memory 17 to 20 bytes per event (more with text ids, starts and `order_by`).

use std::ops::Range;

use crate::cases::batch::{CaseBatch, Fold, Ids};
use crate::cases::order::Orderer;
use crate::cases::table::{CaseTable, LOOK, Slot};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::hash;
use crate::log::byte_list::ByteList;
use crate::log::encode::Encoded;

/// A batch, sorted by partition.
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

    fn size_bytes(&self) -> usize {
        self.list.bytes_of(self.from, self.to)
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
    /// Bytes held.
    pub fn size_bytes(&self) -> usize {
        let lists = [&self.ids, &self.ties].into_iter().flatten().map(ByteList::size_bytes).sum::<usize>();
        let codes = match &self.codes {
            Codes::Narrow(codes) => codes.len(),
            Codes::Wide(codes) => codes.len() * 4,
        };
        self.keys.len() * 8
            + codes
            + self.times.len() * 8
            + self.starts.len() * 8
            + self.offsets.len() * 4
            + self.rows.as_ref().map_or(0, |rows| rows.len() * 4)
            + lists
    }

    /// The rows of `partition`.
    pub fn piece(&self, partition: usize) -> Piece<'_> {
        let own = self.offsets[partition] as usize..self.offsets[partition + 1] as usize;
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

/// Into how many partitions a log is split, by the bits of a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partitioning {
    bits: u32,
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
}

impl Partitioner {
    /// A partitioner; `with_rows` keeps each event's input position.
    pub fn new(partitioning: Partitioning, with_rows: bool) -> Partitioner {
        Partitioner { partitioning, with_rows, homes: Vec::new(), cursors: Vec::new() }
    }

    /// Into how many partitions batches are sorted.
    pub fn partitions(&self) -> usize {
        self.partitioning.count()
    }

    /// The batch, sorted by partition.
    pub fn split(&mut self, batch: &Encoded<'_>) -> Chunk {
        let offsets = self.count(batch.keys);
        let codes = match batch.codes.iter().fold(0, |all, &code| all | code) < 0x100 {
            true => Codes::Narrow(self.spread(&offsets, batch.codes, |code| code as u8)),
            false => Codes::Wide(self.spread(&offsets, batch.codes, |code| code)),
        };
        let mut chunk = Chunk {
            first_order: batch.first_order,
            keys: self.spread(&offsets, batch.keys, |key| key),
            times: self.spread(&offsets, batch.times, |time| time),
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
            let gathered = |value: &dyn Fn(usize, &mut ByteList)| {
                let mut list = ByteList::default();
                places.iter().for_each(|&place| value(place as usize, &mut list));
                list
            };
            chunk.ids = batch.ids.map(|ids| gathered(&|row, list| list.push(ids.value(row))));
            chunk.ties = batch.ties.map(|ties| gathered(&|row, list| list.push(ties.get(row))));
            chunk.rows = self.with_rows.then_some(places);
        }
        chunk
    }

    /// The values of a column, each in its partition's stretch. One column after the other: the stretches of one fit
    /// the cache, and so do the places they are written to.
    fn spread<T: Copy, U: Copy + Default>(&mut self, offsets: &[u32], values: &[T], to: impl Fn(T) -> U) -> Vec<U> {
        self.cursors.clear();
        self.cursors.extend_from_slice(&offsets[..offsets.len() - 1]);
        let mut spread = vec![U::default(); values.len()];
        for (&home, &value) in self.homes.iter().zip(values) {
            let cursor = &mut self.cursors[usize::from(home)];
            spread[*cursor as usize] = to(value);
            *cursor += 1;
        }
        spread
    }

    /// Finds each row's partition; returns where partitions begin.
    fn count(&mut self, keys: &[u64]) -> Vec<u32> {
        let partitioning = self.partitioning;
        self.homes.clear();
        self.homes.extend(keys.iter().map(|&key| partitioning.of(key) as u16));
        let mut offsets = vec![0u32; partitioning.count() + 1];
        self.homes.iter().for_each(|&home| offsets[usize::from(home) + 1] += 1);
        for i in 1..offsets.len() {
            offsets[i] += offsets[i - 1];
        }
        offsets
    }
}

/// Groups partitions into cases; used again and again by one thread.
#[derive(Default)]
pub struct Assembler {
    table: CaseTable,
    homes: Vec<u32>,
    case_keys: Vec<u64>,
    case_ids: ByteList,
    case_orders: Vec<u64>,
    offsets: Vec<u32>,
    cursors: Vec<u32>,
    codes: Vec<u32>,
    times: Vec<i64>,
    starts: Vec<i64>,
    ties: ByteList,
    has_ids: bool,
    has_ties: bool,
    has_starts: bool,
    orderer: Orderer,
}

impl Assembler {
    /// Brings the events of one partition, which lie in `pieces` in input order, together by case. Returns how many
    /// there are.
    ///
    /// # Errors
    /// UNSUPPORTED beyond 2^32 events; CANCELLED.
    pub fn gather(&mut self, pieces: &[Piece<'_>], context: &Context) -> Result<u64> {
        let has = |part: fn(&Piece<'_>) -> bool| pieces.iter().any(part);
        (self.has_ids, self.has_ties) = (has(|piece| piece.ids.is_some()), has(|piece| piece.ties.is_some()));
        self.has_starts = has(|piece| !piece.starts.is_empty());
        let events = pieces.iter().map(|piece| piece.keys.len()).sum::<usize>();
        if u32::try_from(events).is_err() {
            let text =
                format!("{events} events in one part of the log; at most 2^32 of a case, or of a few, are mined");
            return Err(Error::unsupported(text));
        }
        self.number_cases(pieces, events, context)?;
        self.sort_by_case(pieces, context)?;
        if self.has_ties {
            self.sort_ties(pieces);
        }
        Ok(events as u64)
    }

    /// Orders the events of each case that were gathered and folds them; `ascending` says that the rows of the log are in
    /// the order of time. Returns the number of cases.
    ///
    /// # Errors
    /// Those of the fold; CANCELLED.
    pub fn fold(&mut self, ascending: bool, context: &Context, fold: &mut impl Fold) -> Result<u64> {
        if self.homes.is_empty() {
            return Ok(0);
        }
        if self.has_ties || !ascending {
            let starts = self.has_starts.then_some(&mut self.starts[..]);
            let ties = self.has_ties.then_some(&self.ties);
            self.orderer.order_in_place(&self.offsets, &mut self.codes, &mut self.times, starts, ties, context)?;
        }
        fold.fold(&CaseBatch {
            offsets: &self.offsets,
            codes: &self.codes,
            times: &self.times,
            starts: self.has_starts.then_some(&self.starts[..]),
            keys: &self.case_keys,
            ids: if self.has_ids { Ids::Each(&self.case_ids) } else { Ids::Keys },
            orders: &self.case_orders,
        })?;
        Ok(self.case_keys.len() as u64)
    }

    /// Gives each case a number, in the order of first rows, and each event its case's.
    fn number_cases(&mut self, pieces: &[Piece<'_>], events: usize, context: &Context) -> Result<()> {
        self.table.clear();
        self.homes.clear();
        self.homes.reserve_exact(events);
        self.case_keys.clear();
        self.case_ids.clear();
        self.case_orders.clear();
        for piece in pieces {
            context.check_cancelled()?;
            let mut seen = [Slot::default(); LOOK];
            for (i, &key) in piece.keys.iter().enumerate() {
                if i % LOOK == 0 {
                    seen = self.table.look(&piece.keys[i..]);
                }
                let known = self.case_keys.len() as u32;
                let same = |case: u32| match &piece.ids {
                    None => true,
                    Some(ids) => self.case_ids.get(case as usize) == ids.get(i),
                };
                let case = match seen[i % LOOK].case(key) {
                    Some(case) if same(case) => case,
                    _ => self.table.number(key, known, same),
                };
                self.homes.push(case);
                if case == known {
                    self.case_keys.push(key);
                    if let Some(ids) = &piece.ids {
                        self.case_ids.push(ids.get(i));
                    }
                    if let Some(rows) = &piece.rows {
                        self.case_orders.push(piece.first_order + u64::from(rows[i]));
                    }
                }
            }
        }
        Ok(())
    }

    fn sort_by_case(&mut self, pieces: &[Piece<'_>], context: &Context) -> Result<()> {
        let events = self.homes.len();
        self.offsets.clear();
        self.offsets.resize(self.case_keys.len() + 1, 0);
        self.homes.iter().for_each(|&home| self.offsets[home as usize + 1] += 1);
        for i in 1..self.offsets.len() {
            self.offsets[i] += self.offsets[i - 1];
        }
        self.codes.resize(events, 0);
        self.times.resize(events, 0);
        self.starts.resize(if self.has_starts { events } else { 0 }, 0);
        self.cursors.clear();
        self.cursors.extend_from_slice(&self.offsets[..self.case_keys.len()]);
        let mut homes = self.homes.as_slice();
        for piece in pieces {
            context.check_cancelled()?;
            let (of_piece, rest) = homes.split_at(piece.keys.len());
            homes = rest;
            let to = Targets { cursors: &mut self.cursors, codes: &mut self.codes, times: &mut self.times };
            match piece.codes {
                Codes::Narrow(codes) => to.scatter(of_piece, codes, piece.times),
                Codes::Wide(codes) => to.scatter(of_piece, codes, piece.times),
            }
        }
        if self.has_starts {
            let starts = pieces.iter().flat_map(|piece| piece.starts);
            self.cursors.clear();
            self.cursors.extend_from_slice(&self.offsets[..self.case_keys.len()]);
            for (&home, &start) in self.homes.iter().zip(starts) {
                let cursor = &mut self.cursors[home as usize];
                self.starts[*cursor as usize] = start;
                *cursor += 1;
            }
        }
        Ok(())
    }

    /// Brings the comparable bytes of `order_by` to where their events are.
    fn sort_ties(&mut self, pieces: &[Piece<'_>]) {
        let ties = pieces.iter().filter_map(|piece| piece.ties).flat_map(Strings::iter);
        let mut sorted: Vec<&[u8]> = vec![&[]; self.homes.len()];
        self.cursors.clear();
        self.cursors.extend_from_slice(&self.offsets[..self.case_keys.len()]);
        for (&home, tie) in self.homes.iter().zip(ties) {
            let cursor = &mut self.cursors[home as usize];
            sorted[*cursor as usize] = tie;
            *cursor += 1;
        }
        self.ties.clear();
        sorted.into_iter().for_each(|tie| self.ties.push(tie));
    }
}

/// Where the events of a partition go.
struct Targets<'a> {
    cursors: &'a mut [u32],
    codes: &'a mut [u32],
    times: &'a mut [i64],
}

impl Targets<'_> {
    #[inline]
    fn scatter<C: Copy + Into<u32>>(self, homes: &[u32], codes: &[C], times: &[i64]) {
        for ((&home, &code), &time) in homes.iter().zip(codes).zip(times) {
            let cursor = &mut self.cursors[home as usize];
            let to = *cursor as usize;
            *cursor += 1;
            self.codes[to] = code.into();
            self.times[to] = time;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{ArrayRef, StringArray};
    use std::sync::Arc;

    use crate::log::text::TextColumn;

    #[derive(Default)]
    struct Notes(Vec<(String, u64, Vec<u32>)>);

    impl Fold for Notes {
        fn fold(&mut self, batch: &CaseBatch<'_>) -> Result<()> {
            for i in 0..batch.cases() {
                let id = match batch.id(i) {
                    Some(id) => String::from_utf8_lossy(id).into_owned(),
                    None => batch.keys[i].to_string(),
                };
                self.0.push((id, batch.orders[i], batch.codes[batch.events(i)].to_vec()));
            }
            Ok(())
        }
    }

    fn assembled(keys: &[u64], ids: Option<&[&str]>, bits: u32, batch_rows: usize) -> Vec<(String, u64, Vec<u32>)> {
        let codes: Vec<u32> = (0..keys.len() as u32).collect();
        let times = vec![0i64; keys.len()];
        let partitioning = Partitioning { bits };
        let mut partitioner = Partitioner::new(partitioning, true);
        let mut chunks = Vec::new();
        for from in (0..keys.len()).step_by(batch_rows) {
            let rows = from..(from + batch_rows).min(keys.len());
            let column = ids.map(|ids| {
                let array: ArrayRef = Arc::new(StringArray::from(ids[rows.clone()].to_vec()));
                TextColumn::new(&array).unwrap()
            });
            chunks.push(partitioner.split(&Encoded {
                keys: &keys[rows.clone()],
                ids: column.as_ref(),
                codes: &codes[rows.clone()],
                times: &times[rows.clone()],
                starts: None,
                ties: None,
                first_order: from as u64,
            }));
        }
        let mut notes = Notes::default();
        let (mut assembler, context) = (Assembler::default(), Context::new());
        for partition in 0..partitioning.count() {
            let pieces: Vec<Piece<'_>> = chunks.iter().map(|chunk| chunk.piece(partition)).collect();
            assembler.gather(&pieces, &context).unwrap();
            assembler.fold(true, &context, &mut notes).unwrap();
        }
        notes.0.sort();
        notes.0
    }

    #[test]
    fn interleaved_cases_come_together_in_input_order() {
        let keys = [5, 3, 5, 9, 3, 5, 9, 1];
        let expected = vec![
            ("1".to_owned(), 7, vec![7]),
            ("3".to_owned(), 1, vec![1, 4]),
            ("5".to_owned(), 0, vec![0, 2, 5]),
            ("9".to_owned(), 3, vec![3, 6]),
        ];
        for bits in [0, 1, 3] {
            for batch_rows in 1..=8 {
                assert_eq!(assembled(&keys, None, bits, batch_rows), expected);
            }
        }
    }

    #[test]
    fn equal_hashes_of_different_texts_stay_apart() {
        let got = assembled(&[1, 1, 1, 1], Some(&["x", "y", "x", "y"]), 2, 3);
        assert_eq!(got, [("x".to_owned(), 0, vec![0, 2]), ("y".to_owned(), 1, vec![1, 3])]);
    }

    #[test]
    fn partitions_follow_the_size() {
        assert_eq!(Partitioning::for_rows(Some(10), false).count(), 1);
        assert_eq!(Partitioning::for_rows(Some(1 << 26), false).count(), 2048);
        assert_eq!(Partitioning::for_rows(Some(u64::MAX / 2), true).count(), 1 << MAX_BITS);
        assert_eq!(Partitioning { bits: 0 }.of(u64::MAX), 0);
    }
}
