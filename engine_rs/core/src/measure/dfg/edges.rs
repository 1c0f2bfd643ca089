//! Which number has an edge? Numbers are given in the order of first sight; dense table for few activities, hash for many.

use hashbrown::HashTable;

use crate::hash;

/// Numbers for pairs of activity codes.
#[derive(Default)]
pub struct EdgeTable {
    /// Activities the dense table has room for; 0 once there are too many.
    stride: usize,
    /// Edge number + 1 by `source * stride + target`.
    dense: Vec<u32>,
    sparse: HashTable<u32>,
    /// (source, target) by edge number.
    pairs: Vec<(u32, u32)>,
}

/// Above this many activities (1 MiB of table per thread), pairs are hashed.
const MAX_DENSE: usize = 512;

impl EdgeTable {
    /// Makes room for codes below `codes`.
    pub fn make_room(&mut self, codes: usize) {
        let is_sparse = self.stride == 0 && !self.dense.is_empty() || !self.sparse.is_empty();
        if is_sparse || codes <= self.stride {
            return;
        }
        if codes > MAX_DENSE {
            self.stride = 0;
            self.dense = Vec::new();
            for edge in 0..self.pairs.len() as u32 {
                let (pairs, hash) = (&self.pairs, pair_hash(self.pairs[edge as usize]));
                self.sparse.insert_unique(hash, edge, |&edge| pair_hash(pairs[edge as usize]));
            }
            return;
        }
        self.stride = codes.next_power_of_two().max(64);
        self.dense = vec![0; self.stride * self.stride];
        for (edge, &(source, target)) in self.pairs.iter().enumerate() {
            self.dense[source as usize * self.stride + target as usize] = edge as u32 + 1;
        }
    }

    /// The number of the edge, a new one if it was not seen before. Codes must be below what room was made for.
    #[inline]
    pub fn number(&mut self, source: u32, target: u32) -> usize {
        if self.stride > 0 {
            let slot = &mut self.dense[source as usize * self.stride + target as usize];
            if *slot == 0 {
                self.pairs.push((source, target));
                *slot = self.pairs.len() as u32;
            }
            return *slot as usize - 1;
        }
        self.number_sparse(source, target)
    }

    fn number_sparse(&mut self, source: u32, target: u32) -> usize {
        let (pairs, hash) = (&self.pairs, pair_hash((source, target)));
        if let Some(&edge) = self.sparse.find(hash, |&edge| pairs[edge as usize] == (source, target)) {
            return edge as usize;
        }
        let edge = self.pairs.len();
        self.pairs.push((source, target));
        let pairs = &self.pairs;
        self.sparse.insert_unique(hash, edge as u32, |&edge| pair_hash(pairs[edge as usize]));
        edge
    }

    /// (source, target) by number.
    pub fn pairs(&self) -> &[(u32, u32)] {
        &self.pairs
    }
}

fn pair_hash((source, target): (u32, u32)) -> u64 {
    hash::of_key(u64::from(source) << 32 | u64::from(target))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_when_the_table_grows_and_turns_sparse() {
        let mut table = EdgeTable::default();
        table.make_room(2);
        assert_eq!((table.number(0, 1), table.number(1, 1), table.number(0, 1)), (0, 1, 0));
        table.make_room(100);
        assert_eq!((table.number(99, 0), table.number(1, 1)), (2, 1));
        table.make_room(MAX_DENSE + 1);
        assert_eq!((table.number(0, 1), table.number(99, 0), table.number(512, 512)), (0, 2, 3));
        table.make_room(100_000);
        assert_eq!((table.number(99_999, 7), table.number(512, 512)), (4, 3));
        assert_eq!(table.pairs().len(), 5);
    }
}
