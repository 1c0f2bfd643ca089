//! All variants on disk: those of each part in order, and all parts merged.
//!
//! A row holds what the table and the ranks need. Its activities are written as their labels' places among the sorted
//! labels, the high byte first and all equally wide: so rows of as many cases compare as their bytes do.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use arrow_buffer::Buffer;

use crate::error::{Error, Result};
use crate::spill::{Block, KeptFile};

/// Variants on disk, best first in each run.
pub struct Runs {
    /// Where they are.
    pub file: KeptFile,
    /// What a row is made of.
    pub form: Form,
    /// The blocks of each run.
    pub runs: Vec<Vec<Block>>,
}

/// What a row is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    width: usize,
    figures: usize,
}

/// A variant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row<'a> {
    /// Cases that follow it.
    pub cases: u64,
    /// Its number in its part.
    pub number: u32,
    figures: &'a [u8],
    places: &'a [u8],
}

/// Cases, number, bytes of the places.
const HEAD: usize = 8 + 4 + 8;

impl Form {
    /// Rows with so many figures, of a log with so many labels.
    pub fn new(labels: usize, figures: usize) -> Form {
        let bits = usize::BITS - labels.saturating_sub(1).leading_zeros();
        Form { width: (bits.div_ceil(8) as usize).clamp(1, size_of::<u32>()), figures }
    }

    /// Appends the place of a label.
    pub fn write_place(self, place: u32, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&place.to_be_bytes()[size_of::<u32>() - self.width..]);
    }

    /// Appends a row.
    pub fn write(self, cases: u64, number: u32, figures: &[f64], places: &[u8], bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&cases.to_le_bytes());
        bytes.extend_from_slice(&number.to_le_bytes());
        bytes.extend_from_slice(&(places.len() as u64).to_le_bytes());
        figures.iter().for_each(|figure| bytes.extend_from_slice(&figure.to_le_bytes()));
        bytes.extend_from_slice(places);
    }

    /// The first row in `bytes`, and how long it is.
    fn read(self, bytes: &[u8]) -> Option<(Row<'_>, usize)> {
        let (cases, rest) = bytes.split_first_chunk()?;
        let (number, rest) = rest.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let (figures, rest) = rest.split_at_checked(self.figures * size_of::<f64>())?;
        let places = rest.get(..usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
        let row = Row { cases: u64::from_le_bytes(*cases), number: u32::from_le_bytes(*number), figures, places };
        Some((row, HEAD + figures.len() + places.len()))
    }

    /// The places of the labels of a row.
    pub fn places(self, row: Row<'_>) -> impl Iterator<Item = u32> + '_ {
        let place = |bytes: &[u8]| bytes.iter().fold(0, |place, &byte| place << 8 | u32::from(byte));
        row.places.chunks_exact(self.width).map(place)
    }
}

impl Row<'_> {
    /// Its figures.
    pub fn figures(&self) -> impl Iterator<Item = f64> + '_ {
        self.figures
            .chunks_exact(size_of::<f64>())
            .map(|bytes| f64::from_le_bytes(bytes.try_into().unwrap_or_default()))
    }
}

/// How far a merge is.
#[derive(Default)]
pub struct Merging {
    cursors: Vec<Cursor>,
    next: BinaryHeap<Reverse<Next>>,
    begun: bool,
}

/// Where a run is.
struct Cursor {
    next_block: usize,
    bytes: Buffer,
    at: usize,
}

/// What the next row of a run is compared by.
#[derive(Default, PartialEq, Eq, PartialOrd, Ord)]
struct Next {
    cases: Reverse<u64>,
    places: Vec<u8>,
    run: usize,
}

impl Merging {
    /// Hands out the next rows, each with the number of its run, for as long as `take` says that it wants more. Returns
    /// whether there may be more.
    ///
    /// # Errors
    /// IO; those of `take`.
    pub fn each(&mut self, runs: &Runs, mut take: impl FnMut(usize, Row<'_>) -> Result<bool>) -> Result<bool> {
        if !self.begun {
            self.begin(runs)?;
        }
        while let Some(mut top) = self.next.peek_mut() {
            let run = top.0.run;
            let cursor = &mut self.cursors[run];
            let (row, length) = cursor.row(runs)?;
            let goes_on = take(run, row)?;
            cursor.at += length;
            if cursor.read_on(&runs.runs[run], runs)? {
                cursor.tell(&mut top.0, runs)?;
            } else {
                PeekMut::pop(top);
            }
            if !goes_on {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn begin(&mut self, runs: &Runs) -> Result<()> {
        for (i, run) in runs.runs.iter().enumerate() {
            let mut cursor = Cursor { next_block: 0, bytes: Buffer::from_vec(Vec::<u8>::new()), at: 0 };
            if cursor.read_on(run, runs)? {
                let mut next = Next { run: i, ..Next::default() };
                cursor.tell(&mut next, runs)?;
                self.next.push(Reverse(next));
            }
            self.cursors.push(cursor);
        }
        self.begun = true;
        Ok(())
    }
}

impl Cursor {
    /// Reads the next block, if this one is at its end. Returns whether there is a row.
    fn read_on(&mut self, run: &[Block], runs: &Runs) -> Result<bool> {
        if self.at == self.bytes.len() {
            let Some(&block) = run.get(self.next_block) else { return Ok(false) };
            (self.bytes, self.at) = (runs.file.read(block)?, 0);
            self.next_block += 1;
        }
        Ok(true)
    }

    fn row(&self, runs: &Runs) -> Result<(Row<'_>, usize)> {
        let row = runs.form.read(&self.bytes[self.at..]);
        row.ok_or_else(|| Error::internal("variants that were put aside have another form than they were given"))
    }

    fn tell(&self, next: &mut Next, runs: &Runs) -> Result<()> {
        let (row, _) = self.row(runs)?;
        next.cases = Reverse(row.cases);
        next.places.clear();
        next.places.extend_from_slice(row.places);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spill::Spill;

    #[test]
    fn places_are_as_wide_as_labels_need() {
        for (labels, width) in
            [(0, 1), (1, 1), (256, 1), (257, 2), (65_536, 2), (65_537, 3), (1 << 24, 3), (1 << 25, 4)]
        {
            assert_eq!(Form::new(labels, 0).width, width, "{labels}");
        }
    }

    #[test]
    fn rows_of_many_runs_and_blocks_come_in_one_order() {
        let form = Form::new(300, 2);
        let dir = tempfile::tempdir().unwrap();
        let spill = Spill::new(dir.path(), None);
        let mut file = spill.file().unwrap();
        let mut wanted = Vec::new();
        let mut runs = vec![Vec::new()];
        for run in 1..6u32 {
            let mut rows: Vec<(Reverse<u64>, Vec<u32>, usize, u32)> = (0..50)
                .map(|i| {
                    (
                        Reverse(u64::from(i % 7)),
                        (0..i % 5).map(|at| (i * 37 + run * at) % 300).collect(),
                        run as usize,
                        i,
                    )
                })
                .collect();
            rows.sort();
            let blocks = rows.chunks(if run == 3 { 50 } else { 7 }).map(|rows| {
                let mut bytes = Vec::new();
                for (cases, places, _, number) in rows {
                    let mut written = Vec::new();
                    places.iter().for_each(|&place| form.write_place(place, &mut written));
                    form.write(cases.0, *number, &[f64::from(*number), -0.5], &written, &mut bytes);
                }
                file.write(&bytes).unwrap()
            });
            runs.push(blocks.collect());
            wanted.extend(rows);
        }
        wanted.sort();
        let runs = Runs { file: file.keep().unwrap(), form, runs };
        for at_once in [1, 3, 1000] {
            let (mut found, mut merging, mut more) = (Vec::new(), Merging::default(), true);
            while more {
                let mut left = at_once;
                more = merging
                    .each(&runs, |run, row| {
                        assert_eq!(row.figures().collect::<Vec<_>>(), [f64::from(row.number), -0.5]);
                        found.push((Reverse(row.cases), form.places(row).collect(), run, row.number));
                        left -= 1;
                        Ok(left > 0)
                    })
                    .unwrap();
            }
            assert_eq!(found, wanted);
        }
        assert!(form.read(&[0; HEAD + 15]).is_none() && form.read(&[0xff; 64]).is_none());
    }
}
