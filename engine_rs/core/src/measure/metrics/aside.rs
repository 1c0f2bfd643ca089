//! Values that do not fit: on disk in ascending order, run by run, and merged on the way back.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use arrow_buffer::{ScalarBuffer, ToByteSlice};

use crate::error::{Error, Result};
use crate::spill::{Block, Spill, SpillFile};

/// Values of a block, so that a block of each run fits into memory.
const BLOCK_VALUES: usize = 1024;

/// The values that one thread has put aside.
pub struct Aside<'a> {
    file: SpillFile<'a>,
    /// The blocks of each run of each metric.
    runs: Vec<Vec<Vec<Block>>>,
}

impl<'a> Aside<'a> {
    /// A place for values in `spill`.
    ///
    /// # Errors
    /// IO.
    pub fn new(spill: &'a Spill) -> Result<Aside<'a>> {
        Ok(Aside { file: spill.file()?, runs: Vec::new() })
    }

    /// Writes values of metric number `metric`, without those that are NaN.
    ///
    /// # Errors
    /// IO.
    pub fn write(&mut self, metric: usize, mut values: Vec<f64>) -> Result<()> {
        values.retain(|value| !value.is_nan());
        values.sort_unstable_by(f64::total_cmp);
        let blocks = values.chunks(BLOCK_VALUES).map(|block| self.file.write(block.to_byte_slice()));
        let run = blocks.collect::<Result<_>>()?;
        self.runs.resize_with(self.runs.len().max(metric + 1), Vec::new);
        self.runs[metric].push(run);
        Ok(())
    }
}

/// The values of one metric in ascending order. Ends early where they cannot be read: see [`Merging::check`].
pub struct Merging<'a> {
    runs: Vec<Run<'a>>,
    next: BinaryHeap<Reverse<Value>>,
    values: u64,
    error: Option<Error>,
}

struct Run<'a> {
    file: &'a SpillFile<'a>,
    blocks: std::slice::Iter<'a, Block>,
    block: ScalarBuffer<f64>,
    at: usize,
}

/// A value of a run.
struct Value(f64, usize);

impl Ord for Value {
    fn cmp(&self, other: &Value) -> Ordering {
        self.0.total_cmp(&other.0).then(self.1.cmp(&other.1))
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Value) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Value {}

impl<'a> Merging<'a> {
    /// What all threads have put aside of metric number `metric`.
    ///
    /// # Errors
    /// IO.
    pub fn new(asides: &'a [Aside<'a>], metric: usize) -> Result<Merging<'a>> {
        let (mut runs, mut next, mut bytes) = (Vec::new(), BinaryHeap::new(), 0);
        for aside in asides {
            for blocks in aside.runs.get(metric).into_iter().flatten() {
                bytes += blocks.iter().map(|block| block.bytes()).sum::<u64>();
                let mut run = Run { file: &aside.file, blocks: blocks.iter(), block: Vec::new().into(), at: 0 };
                if let Some(value) = run.next()? {
                    next.push(Reverse(Value(value, runs.len())));
                    runs.push(run);
                }
            }
        }
        Ok(Merging { runs, next, values: bytes / size_of::<f64>() as u64, error: None })
    }

    /// How many values there are.
    pub fn len(&self) -> u64 {
        self.values
    }

    /// Whether all values came.
    ///
    /// # Errors
    /// IO where they did not.
    pub fn check(self) -> Result<()> {
        self.error.map_or(Ok(()), Err)
    }
}

impl Iterator for Merging<'_> {
    type Item = f64;

    fn next(&mut self) -> Option<f64> {
        let mut top = self.next.peek_mut()?;
        let Value(value, run) = top.0;
        match self.runs[run].next() {
            Ok(Some(following)) => top.0.0 = following,
            Ok(None) => _ = std::collections::binary_heap::PeekMut::pop(top),
            Err(error) => {
                drop(top);
                self.error = Some(error);
                self.next.clear();
            }
        }
        Some(value)
    }
}

impl Run<'_> {
    fn next(&mut self) -> Result<Option<f64>> {
        while self.at == self.block.len() {
            let Some(&block) = self.blocks.next() else { return Ok(None) };
            let bytes = self.file.read(block)?;
            let values = bytes.len() / size_of::<f64>();
            (self.block, self.at) = (ScalarBuffer::new(bytes, 0, values), 0);
        }
        self.at += 1;
        Ok(Some(self.block[self.at - 1]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_all_runs_come_in_ascending_order() {
        let dir = tempfile::tempdir().unwrap();
        let spill = Spill::new(dir.path(), None);
        let mut asides: Vec<Aside<'_>> = (0..3).map(|_| Aside::new(&spill).unwrap()).collect();
        let mut all = Vec::new();
        for i in 0..7usize {
            let values: Vec<f64> = (0..i * 700).map(|j| ((j * 7919 + i) % 5003) as f64 - 2500.5).collect();
            all.extend(&values);
            let with_holes = values.into_iter().chain([f64::NAN, -0.0, 0.0]).collect();
            all.extend([-0.0, 0.0]);
            asides[i % 3].write(1, with_holes).unwrap();
        }
        all.sort_by(f64::total_cmp);
        let mut merging = Merging::new(&asides, 1).unwrap();
        assert_eq!(merging.len(), all.len() as u64);
        let came: Vec<u64> = merging.by_ref().map(f64::to_bits).collect();
        merging.check().unwrap();
        assert_eq!(came, all.into_iter().map(f64::to_bits).collect::<Vec<u64>>());
        assert_eq!(Merging::new(&asides, 0).unwrap().count() + Merging::new(&asides, 2).unwrap().count(), 0);
    }
}
