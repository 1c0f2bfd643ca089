//! Was anything changed since a state was written? A CRC-32 over its facts and values, whatever carries them.

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt32Type, UInt64Type};
use arrow_array::{Array, ArrayRef};
use flate2::Crc;

use crate::state::format::{Rows, numbers_of};

/// What is summed up of facts and rows, in the order of the rows, however they are cut into batches.
pub(super) struct Checksum {
    crc: Crc,
    bytes: Vec<u8>,
}

/// Bytes gathered before they are summed up.
const GATHERED: usize = 1 << 16;

impl Checksum {
    /// Of the facts, so far.
    pub(super) fn new(facts: &str) -> Checksum {
        let mut crc = Crc::new();
        crc.update(facts.as_bytes());
        Checksum { crc, bytes: Vec::new() }
    }

    /// The sum, in eight digits.
    pub(super) fn text(mut self) -> String {
        self.flush();
        format!("{:08x}", self.crc.sum())
    }

    fn flush(&mut self) {
        self.crc.update(&self.bytes);
        self.bytes.clear();
    }

    /// Adds the values of a row's column, by how many there are and then one by one; nothing where that is null.
    fn values<'v>(&mut self, column: u8, n: usize, values: impl Iterator<Item = &'v [u8]>) {
        self.bytes.push(column);
        self.bytes.extend_from_slice(&(n as u64).to_le_bytes());
        for value in values {
            self.bytes.extend_from_slice(value);
            if self.bytes.len() >= GATHERED {
                self.flush();
            }
        }
    }

    fn numbers<const N: usize>(&mut self, column: u8, values: impl ExactSizeIterator<Item = [u8; N]>) {
        self.values(column, values.len(), std::iter::empty());
        for value in values {
            self.bytes.extend_from_slice(&value);
            if self.bytes.len() >= GATHERED {
                self.flush();
            }
        }
    }

    fn texts(&mut self, column: u8, values: &ArrayRef) {
        let each = |bytes: &[u8], own: &mut Checksum| own.values(column, bytes.len(), std::iter::once(bytes));
        self.values(column, values.len(), std::iter::empty());
        if let Some(texts) = values.as_string_opt::<i32>() {
            texts.iter().flatten().for_each(|text| each(text.as_bytes(), self));
        } else if let Some(texts) = values.as_binary_opt::<i32>() {
            texts.iter().flatten().for_each(|bytes| each(bytes, self));
        } else if let Some(numbers) = values.as_primitive_opt::<Int64Type>() {
            self.numbers(column, numbers.values().iter().map(|value| value.to_le_bytes()));
        } else if let Some(numbers) = values.as_primitive_opt::<UInt64Type>() {
            self.numbers(column, numbers.values().iter().map(|value| value.to_le_bytes()));
        }
    }

    /// Adds the rows of a batch.
    pub(super) fn add(&mut self, rows: &Rows<'_>) {
        for i in 0..rows.part.len() {
            let part = rows.part.value(i).as_bytes();
            self.values(0, part.len(), std::iter::once(part));
            if rows.labels.is_valid(i) {
                self.texts(1, &rows.labels.value(i));
            }
            if let Some(path) = numbers_of::<UInt32Type>(rows.path, i) {
                self.numbers(2, path.iter().map(|code| code.to_le_bytes()));
            }
            if let Some(ticks) = numbers_of::<Int64Type>(rows.ticks, i) {
                self.numbers(3, ticks.iter().map(|ticks| ticks.to_le_bytes()));
            }
            if let Some(counts) = numbers_of::<UInt64Type>(rows.counts, i) {
                self.numbers(4, counts.iter().map(|count| count.to_le_bytes()));
            }
            if rows.negatives.is_valid(i) {
                self.numbers(5, std::iter::once(rows.negatives.value(i).to_le_bytes()));
            }
            if rows.ids.is_valid(i) {
                self.texts(6, &rows.ids.value(i));
            }
        }
    }
}
