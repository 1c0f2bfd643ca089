//! The cases of many runs, each in input order, as one stream in input order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use super::rows::{Form, Rows};
use super::table::Columns;
use crate::error::Result;
use crate::spill::{Block, KeptFile};

/// Cases on disk, in runs.
pub struct Runs {
    /// Where they are.
    pub file: KeptFile,
    /// What columns they have.
    pub form: Form,
    /// The runs.
    pub runs: Vec<Run>,
}

/// Cases in input order.
pub struct Run {
    /// Block by block, with the number of cases in it.
    pub blocks: Vec<(Block, u32)>,
}

/// How far a merge is.
#[derive(Default)]
pub struct Merging {
    cursors: Vec<Cursor>,
    /// The next case of each run that has one, by its place in the input.
    next: BinaryHeap<Reverse<(u64, usize)>>,
    begun: bool,
}

/// Where a run is.
struct Cursor {
    next_block: usize,
    rows: Rows,
    at: usize,
}

impl Merging {
    /// The next `n` cases of all runs, or as many as there are.
    ///
    /// # Errors
    /// IO.
    pub fn take(&mut self, n: usize, runs: &Runs) -> Result<Columns> {
        if !self.begun {
            self.begin(runs)?;
        }
        let mut columns = Columns::new(runs.form.metrics);
        while columns.len() < n {
            let Some(mut top) = self.next.peek_mut() else { break };
            let run = top.0.1;
            let cursor = &mut self.cursors[run];
            columns.push(&cursor.rows, cursor.at);
            match cursor.advance(&runs.runs[run], runs)? {
                Some(order) => top.0.0 = order,
                None => _ = PeekMut::pop(top),
            }
        }
        Ok(columns)
    }

    fn begin(&mut self, runs: &Runs) -> Result<()> {
        for (i, run) in runs.runs.iter().enumerate() {
            let rows = runs.read(run.blocks[0])?;
            self.next.push(Reverse((rows.order[0], i)));
            self.cursors.push(Cursor { next_block: 1, rows, at: 0 });
        }
        self.begun = true;
        Ok(())
    }
}

impl Cursor {
    /// Goes on to the next case; its place in the input, if there is one.
    fn advance(&mut self, run: &Run, runs: &Runs) -> Result<Option<u64>> {
        self.at += 1;
        if self.at == self.rows.len() {
            let Some(&block) = run.blocks.get(self.next_block) else { return Ok(None) };
            (self.rows, self.at) = (runs.read(block)?, 0);
            self.next_block += 1;
        }
        Ok(Some(self.rows.order[self.at]))
    }
}

impl Runs {
    /// How many cases there are.
    pub fn cases(&self) -> u64 {
        self.runs.iter().flat_map(|run| &run.blocks).map(|&(_, cases)| u64::from(cases)).sum()
    }

    fn read(&self, (block, cases): (Block, u32)) -> Result<Rows> {
        Rows::read(&self.file.read(block)?, cases as usize, self.form)
    }
}
