//! Cases out of rows in any order: split by a hash of the case id, then grouped partition by partition.
//!
//! Each batch is sorted by partition on its own (a counting sort that stays in the cache) and put aside as a [`Chunk`].
//! A partition is then the stretch it has in every chunk, one chunk after the other in input order, so that rows of one
//! case and one timestamp keep their order. Inside a partition a table that fits the cache gives each case a number,
//! and a second counting sort brings its events together.
//! Cost: two moves per event; memory about 20 bytes per event (more with text ids, starts and `order_by`).

use hashbrown::HashTable;

use crate::cases::batch::{CaseBatch, Fold, Ids};
use crate::cases::order::Orderer;
use crate::error::Result;
use crate::hash;
use crate::log::encode::{ByteList, Encoded};

/// A batch, sorted by partition.
pub struct Chunk {
    /// Where its first event stands in the input.
    pub first_order: u64,
    offsets: Vec<u32>,
    keys: Vec<u64>,
    codes: Vec<u32>,
    times: Vec<i64>,
    starts: Vec<i64>,
    ids: Option<ByteList>,
    ties: Option<ByteList>,
    rows: Option<Vec<u32>>,
}

impl Chunk {
    /// Bytes held.
    pub fn size_bytes(&self) -> usize {
        let lists = [&self.ids, &self.ties].into_iter().flatten().map(ByteList::size_bytes).sum::<usize>();
        self.keys.len() * 8
            + self.codes.len() * 4
            + self.times.len() * 8
            + self.starts.len() * 8
            + self.offsets.len() * 4
            + self.rows.as_ref().map_or(0, |rows| rows.len() * 4)
            + lists
    }
}

/// Into how many partitions a log is split, by the bits of a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partitioning {
    bits: u32,
}

/// Events that a partition should hold, so that its columns and tables stay in the second-level cache.
const PARTITION_ROWS: u64 = 64 * 1024;
/// What a log of unknown size is split into.
const UNKNOWN_BITS: u32 = 9;
const MAX_BITS: u32 = 12;

impl Partitioning {
    /// The split for a log of `rows` events, if that is known.
    pub fn for_rows(rows: Option<u64>) -> Partitioning {
        let bits = match rows {
            None => UNKNOWN_BITS,
            Some(rows) => (rows / PARTITION_ROWS).max(1).next_power_of_two().trailing_zeros().min(MAX_BITS),
        };
        Partitioning { bits }
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
    places: Vec<u32>,
}

impl Partitioner {
    /// A partitioner; `with_rows` keeps each event's input position.
    pub fn new(partitioning: Partitioning, with_rows: bool) -> Partitioner {
        Partitioner { partitioning, with_rows, homes: Vec::new(), cursors: Vec::new(), places: Vec::new() }
    }

    /// The batch, sorted by partition.
    pub fn split(&mut self, batch: &Encoded<'_>) -> Chunk {
        let rows = batch.keys.len();
        let offsets = self.count(batch.keys);
        let mut chunk = Chunk {
            first_order: batch.first_order,
            offsets,
            keys: vec![0; rows],
            codes: vec![0; rows],
            times: vec![0; rows],
            starts: vec![0; batch.starts.map_or(0, <[i64]>::len)],
            ids: None,
            ties: None,
            rows: None,
        };
        let keep_places = self.with_rows || batch.ids.is_some() || batch.ties.is_some();
        self.places.resize(if keep_places { rows } else { 0 }, 0);
        for row in 0..rows {
            let cursor = &mut self.cursors[usize::from(self.homes[row])];
            let to = *cursor as usize;
            *cursor += 1;
            chunk.keys[to] = batch.keys[row];
            chunk.codes[to] = batch.codes[row];
            chunk.times[to] = batch.times[row];
            if keep_places {
                self.places[to] = row as u32;
            }
        }
        if let Some(starts) = batch.starts {
            // Rare: a second pass keeps the first one free of it.
            self.cursors.clear();
            self.cursors.extend_from_slice(&chunk.offsets[..chunk.offsets.len() - 1]);
            for (row, &start) in starts.iter().enumerate() {
                let cursor = &mut self.cursors[usize::from(self.homes[row])];
                chunk.starts[*cursor as usize] = start;
                *cursor += 1;
            }
        }
        let gathered = |value: &dyn Fn(usize, &mut ByteList)| {
            let mut list = ByteList::default();
            self.places.iter().for_each(|&place| value(place as usize, &mut list));
            list
        };
        chunk.ids = batch.ids.map(|ids| gathered(&|row, list| list.push(ids.value(row))));
        chunk.ties = batch.ties.map(|ties| gathered(&|row, list| list.push(ties.get(row))));
        chunk.rows = self.with_rows.then(|| self.places.clone());
        chunk
    }

    /// Finds each row's partition; returns where partitions begin and sets the cursors there.
    fn count(&mut self, keys: &[u64]) -> Vec<u32> {
        let partitioning = self.partitioning;
        self.homes.clear();
        self.homes.extend(keys.iter().map(|&key| partitioning.of(key) as u16));
        let mut offsets = vec![0u32; partitioning.count() + 1];
        self.homes.iter().for_each(|&home| offsets[usize::from(home) + 1] += 1);
        for i in 1..offsets.len() {
            offsets[i] += offsets[i - 1];
        }
        self.cursors.clear();
        self.cursors.extend_from_slice(&offsets[..offsets.len() - 1]);
        offsets
    }
}

/// Groups partitions into cases; used again and again by one thread.
#[derive(Default)]
pub struct Assembler {
    keys: Vec<u64>,
    codes: Vec<u32>,
    times: Vec<i64>,
    starts: Vec<i64>,
    ids: ByteList,
    ties: ByteList,
    rows: Vec<u64>,
    homes: Vec<u32>,
    slots: HashTable<u32>,
    case_keys: Vec<u64>,
    case_rows: Vec<u32>,
    case_orders: Vec<u64>,
    offsets: Vec<u32>,
    cursors: Vec<u32>,
    places: Vec<u32>,
    sorted_codes: Vec<u32>,
    sorted_times: Vec<i64>,
    sorted_starts: Vec<i64>,
    sorted_ties: ByteList,
    orderer: Orderer,
}

impl Assembler {
    /// Brings the events of `partition` together by case and folds them. Returns (events, cases).
    ///
    /// # Errors
    /// Those of the fold.
    pub fn assemble(&mut self, chunks: &[Chunk], partition: usize, fold: &mut impl Fold) -> Result<(u64, u64)> {
        self.gather(chunks, partition);
        let events = self.keys.len();
        if events == 0 {
            return Ok((0, 0));
        }
        let has_ids = chunks.iter().any(|chunk| chunk.ids.is_some());
        self.number_cases(has_ids);
        self.sort_by_case();
        let has_ties = self.ties.len() == events;
        let starts = (self.sorted_starts.len() == events).then_some(&self.sorted_starts[..]);
        let ordered = self.orderer.order(
            &self.offsets,
            &self.sorted_codes,
            &self.sorted_times,
            starts,
            has_ties.then_some(&self.sorted_ties),
        );
        let ids = if has_ids { Ids::List { list: &self.ids, at: &self.case_rows } } else { Ids::Keys };
        fold.fold(&CaseBatch {
            offsets: &self.offsets,
            codes: ordered.codes,
            times: ordered.times,
            starts: ordered.starts,
            keys: &self.case_keys,
            ids,
            orders: &self.case_orders,
        })?;
        Ok((events as u64, self.case_keys.len() as u64))
    }

    fn gather(&mut self, chunks: &[Chunk], partition: usize) {
        self.keys.clear();
        self.codes.clear();
        self.times.clear();
        self.starts.clear();
        self.ids.clear();
        self.ties.clear();
        self.rows.clear();
        for chunk in chunks {
            let (from, to) = (chunk.offsets[partition] as usize, chunk.offsets[partition + 1] as usize);
            self.keys.extend_from_slice(&chunk.keys[from..to]);
            self.codes.extend_from_slice(&chunk.codes[from..to]);
            self.times.extend_from_slice(&chunk.times[from..to]);
            if !chunk.starts.is_empty() {
                self.starts.extend_from_slice(&chunk.starts[from..to]);
            }
            if let Some(ids) = &chunk.ids {
                self.ids.extend_range(ids, from, to);
            }
            if let Some(ties) = &chunk.ties {
                self.ties.extend_range(ties, from, to);
            }
            if let Some(rows) = &chunk.rows {
                self.rows.extend(rows[from..to].iter().map(|&row| chunk.first_order + u64::from(row)));
            }
        }
    }

    /// Gives each case a number, in the order of first rows, and each event its case's.
    fn number_cases(&mut self, has_ids: bool) {
        self.slots.clear();
        self.homes.clear();
        self.case_keys.clear();
        self.case_rows.clear();
        let (case_keys, case_rows, ids) = (&mut self.case_keys, &mut self.case_rows, &self.ids);
        for (row, &key) in self.keys.iter().enumerate() {
            let hash = hash::of_key(key);
            let same = |&case: &u32| {
                case_keys[case as usize] == key
                    && (!has_ids || ids.get(case_rows[case as usize] as usize) == ids.get(row))
            };
            let case = match self.slots.find(hash, same) {
                Some(&case) => case,
                None => {
                    let case = case_keys.len() as u32;
                    case_keys.push(key);
                    case_rows.push(row as u32);
                    self.slots.insert_unique(hash, case, |&case| hash::of_key(case_keys[case as usize]));
                    case
                }
            };
            self.homes.push(case);
        }
        self.case_orders.clear();
        if !self.rows.is_empty() {
            self.case_orders.extend(self.case_rows.iter().map(|&row| self.rows[row as usize]));
        }
    }

    fn sort_by_case(&mut self) {
        let events = self.keys.len();
        self.offsets.clear();
        self.offsets.resize(self.case_keys.len() + 1, 0);
        self.homes.iter().for_each(|&home| self.offsets[home as usize + 1] += 1);
        for i in 1..self.offsets.len() {
            self.offsets[i] += self.offsets[i - 1];
        }
        self.cursors.clear();
        self.cursors.extend_from_slice(&self.offsets[..self.case_keys.len()]);
        self.sorted_codes.resize(events, 0);
        self.sorted_times.resize(events, 0);
        self.sorted_starts.resize(self.starts.len(), 0);
        let has_ties = self.ties.len() == events;
        self.places.resize(if has_ties { events } else { 0 }, 0);
        for row in 0..events {
            let cursor = &mut self.cursors[self.homes[row] as usize];
            let to = *cursor as usize;
            *cursor += 1;
            self.sorted_codes[to] = self.codes[row];
            self.sorted_times[to] = self.times[row];
            if !self.starts.is_empty() {
                self.sorted_starts[to] = self.starts[row];
            }
            if has_ties {
                self.places[to] = row as u32;
            }
        }
        self.sorted_ties.clear();
        self.places.iter().for_each(|&place| self.sorted_ties.push(self.ties.get(place as usize)));
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
        let mut assembler = Assembler::default();
        for partition in 0..partitioning.count() {
            assembler.assemble(&chunks, partition, &mut notes).unwrap();
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
        assert_eq!(Partitioning::for_rows(Some(10)).count(), 1);
        assert_eq!(Partitioning::for_rows(Some(1 << 26)).count(), 1024);
        assert_eq!(Partitioning::for_rows(Some(u64::MAX / 2)).count(), 1 << MAX_BITS);
        assert_eq!(Partitioning { bits: 0 }.of(u64::MAX), 0);
    }
}
