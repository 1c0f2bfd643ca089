//! How does a partition become cases? Its cases are numbered, and its events brought together by these numbers.
//!
//! A table that fits the cache gives each case a number and counts its events; then one counting sort brings codes and
//! times to where they belong. Space is used again and again, and only grows: what a partition needs is overwritten.

use crate::cases::batch::{CaseBatch, Fold, Ids};
use crate::cases::order::Orderer;
use crate::cases::partition::{Codes, Piece, Strings};
use crate::cases::table::CaseTable;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::log::byte_list::ByteList;

/// Groups partitions into cases; used again and again by one thread.
#[derive(Default)]
pub struct Assembler {
    table: CaseTable,
    /// Of the partition that was gathered; columns have room for as many at least.
    events: usize,
    homes: Vec<u32>,
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
        self.events = events;
        make_room(&mut self.homes, events);
        if !self.number_by_key(pieces, context)? {
            self.number_by_id(pieces, context)?;
        }
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
        if self.events == 0 {
            return Ok(0);
        }
        let (codes, times) = (&mut self.codes[..self.events], &mut self.times[..self.events]);
        let starts = self.has_starts.then_some(&mut self.starts[..]);
        if self.has_ties || !ascending {
            let ties = self.has_ties.then_some(&self.ties);
            self.orderer.order_in_place(&self.offsets, codes, times, starts, ties, context)?;
        }
        fold.fold(&CaseBatch {
            offsets: &self.offsets,
            codes,
            times,
            starts: self.has_starts.then(|| &self.starts[..self.events]),
            keys: self.table.keys(),
            ids: if self.has_ids { Ids::Each(&self.case_ids) } else { Ids::Keys },
            orders: &self.case_orders,
        })?;
        Ok(self.table.cases() as u64)
    }

    /// Gives each case a number, in the order of first rows, and each event its case's: events with one key are of one
    /// case. Returns false if their ids say otherwise.
    fn number_by_key(&mut self, pieces: &[Piece<'_>], context: &Context) -> Result<bool> {
        self.table.clear();
        self.case_ids.clear();
        self.case_orders.clear();
        let mut homes = &mut self.homes[..self.events];
        for piece in pieces {
            context.check_cancelled()?;
            let of_piece = homes.split_off_mut(..piece.keys.len()).unwrap_or_default();
            self.table.number_all(piece.keys, of_piece);
            if let Some(ids) = &piece.ids {
                for (&case, id) in of_piece.iter().zip(ids.iter()) {
                    if case as usize == self.case_ids.len() {
                        self.case_ids.push(id);
                    } else if self.case_ids.get(case as usize) != id {
                        return Ok(false);
                    }
                }
            }
            if let Some(rows) = &piece.rows {
                for (&case, &row) in of_piece.iter().zip(*rows) {
                    if case as usize == self.case_orders.len() {
                        self.case_orders.push(piece.first_order + u64::from(row));
                    }
                }
            }
        }
        Ok(true)
    }

    /// The same where different ids have equal keys, as hashes have once in a very long time.
    fn number_by_id(&mut self, pieces: &[Piece<'_>], context: &Context) -> Result<()> {
        self.table.clear();
        self.case_ids.clear();
        self.case_orders.clear();
        let mut homes = self.homes.iter_mut();
        for piece in pieces {
            context.check_cancelled()?;
            let Some(ids) = &piece.ids else { continue };
            for ((i, &key), home) in piece.keys.iter().enumerate().zip(&mut homes) {
                *home = self.table.number(key, |case| self.case_ids.get(case as usize) == ids.get(i));
                if *home as usize == self.case_ids.len() {
                    self.case_ids.push(ids.get(i));
                    self.case_orders.extend(piece.rows.map(|rows| piece.first_order + u64::from(rows[i])));
                }
            }
        }
        Ok(())
    }

    fn sort_by_case(&mut self, pieces: &[Piece<'_>], context: &Context) -> Result<()> {
        self.offsets.clear();
        self.offsets.push(0);
        let mut end = 0;
        self.offsets.extend(self.table.counts().iter().map(|&count| {
            end += count;
            end
        }));
        make_room(&mut self.codes, self.events);
        make_room(&mut self.times, self.events);
        self.rewind();
        let mut homes = &self.homes[..self.events];
        for piece in pieces {
            context.check_cancelled()?;
            let of_piece = homes.split_off(..piece.keys.len()).unwrap_or_default();
            let to = Targets { cursors: &mut self.cursors, codes: &mut self.codes, times: &mut self.times };
            match piece.codes {
                Codes::Narrow(codes) => to.scatter(of_piece, codes, piece.times),
                Codes::Wide(codes) => to.scatter(of_piece, codes, piece.times),
            }
        }
        if self.has_starts {
            let starts = pieces.iter().flat_map(|piece| piece.starts);
            make_room(&mut self.starts, self.events);
            self.rewind();
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
        let mut sorted: Vec<&[u8]> = vec![&[]; self.events];
        self.rewind();
        for (&home, tie) in self.homes.iter().zip(ties) {
            let cursor = &mut self.cursors[home as usize];
            sorted[*cursor as usize] = tie;
            *cursor += 1;
        }
        self.ties.clear();
        sorted.into_iter().for_each(|tie| self.ties.push(tie));
    }

    /// Sets the cursors to where cases begin.
    fn rewind(&mut self) {
        self.cursors.clear();
        self.cursors.extend_from_slice(&self.offsets[..self.table.cases()]);
    }
}

/// Makes a column long enough for all `events`, whatever it holds.
fn make_room<T: Copy + Default>(column: &mut Vec<T>, events: usize) {
    if column.len() < events {
        column.resize(events, T::default());
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
    use proptest::prelude::*;
    use std::sync::Arc;

    use crate::cases::partition::{Partitioner, Partitioning};
    use crate::log::encode::Encoded;
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
                neighbours_differ: false,
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

    proptest! {
        #[test]
        fn any_rows_come_together_as_the_obvious_way_says(
            cases in prop::collection::vec(0u32..60, 1..400),
            hashes in prop::option::of(1u64..70),
            bits in 0u32..4,
            batch_rows in 1usize..150,
        ) {
            // With hashes, ids are texts, and different ones may have one key.
            let ids: Vec<String> = cases.iter().map(u32::to_string).collect();
            let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
            let keys: Vec<u64> = cases.iter().map(|&case| u64::from(case) % hashes.unwrap_or(u64::MAX)).collect();
            let mut expected: Vec<(String, u64, Vec<u32>)> = Vec::new();
            for ((&id, order), code) in ids.iter().zip(0..).zip(0..) {
                match expected.iter_mut().find(|(known, ..)| known == id) {
                    Some((_, _, codes)) => codes.push(code),
                    None => expected.push((id.to_owned(), order, vec![code])),
                }
            }
            expected.sort();
            prop_assert_eq!(assembled(&keys, hashes.map(|_| &ids[..]), bits, batch_rows), expected);
        }
    }
}
