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

    /// The numbers, counted from 1, of the pairs that end at each event; 0 at the first event of a case, whose places
    /// are `firsts`. Codes must be below what room was made for.
    pub fn number_pairs<I: Iterator<Item = usize>>(
        &mut self,
        codes: &[u32],
        firsts: impl Fn() -> I,
        numbers: &mut Vec<u32>,
    ) {
        numbers.clear();
        numbers.push(0);
        if self.stride == 0 {
            numbers.resize(codes.len(), 0);
            firsts().for_each(|at| numbers[at] = 1);
            for (number, pair) in numbers[1..].iter_mut().zip(codes.windows(2)) {
                *number = if *number == 1 { 0 } else { self.number(pair[0], pair[1]) as u32 + 1 };
            }
            numbers[0] = 0;
            return;
        }
        let (stride, dense) = (self.stride, &self.dense);
        numbers.extend(codes.windows(2).map(|pair| dense[pair[0] as usize * stride + pair[1] as usize]));
        // All pairs were looked up, also those across two cases. What is 0 now and no such pair is a new edge.
        firsts().for_each(|at| numbers[at] = 1);
        if numbers.contains(&0) {
            for (number, pair) in numbers[1..].iter_mut().zip(codes.windows(2)).filter(|(number, _)| **number == 0) {
                *number = self.number(pair[0], pair[1]) as u32 + 1;
            }
        }
        firsts().for_each(|at| numbers[at] = 0);
    }

    /// Whether [`EdgeTable::find_dense`] may be used.
    pub fn is_dense(&self) -> bool {
        self.stride > 0
    }

    /// The number, counted from 1, of the edge; 0 if it was not seen before. The table must be dense, with room for the
    /// codes.
    #[inline]
    pub fn find_dense(&self, source: u32, target: u32) -> usize {
        self.dense[source as usize * self.stride + target as usize] as usize
    }

    /// The number of the edge, a new one if it was not seen before. Codes must be below what room was made for.
    #[inline]
    pub fn number(&mut self, source: u32, target: u32) -> usize {
        if self.stride > 0 {
            let at = source as usize * self.stride + target as usize;
            let known = self.dense[at] as usize;
            return if known > 0 { known - 1 } else { self.first_sight(at, source, target) };
        }
        self.number_sparse(source, target)
    }

    /// The number of the edge, if it was seen before. Codes must be below what room was made for.
    pub fn find(&self, source: u32, target: u32) -> Option<usize> {
        if self.stride > 0 {
            let known = self.dense[source as usize * self.stride + target as usize] as usize;
            return known.checked_sub(1);
        }
        let is = |&edge: &u32| self.pairs[edge as usize] == (source, target);
        self.sparse.find(pair_hash((source, target)), is).map(|&edge| edge as usize)
    }

    #[cold]
    #[inline(never)]
    fn first_sight(&mut self, at: usize, source: u32, target: u32) -> usize {
        self.pairs.push((source, target));
        self.dense[at] = self.pairs.len() as u32;
        self.pairs.len() - 1
    }

    #[inline(never)]
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

    /// (source, target) by number, and nothing else any more.
    pub fn into_pairs(self) -> Vec<(u32, u32)> {
        self.pairs
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
        assert_eq!((table.find(1, 1), table.find(1, 0)), (Some(1), None));
        table.make_room(100);
        assert_eq!((table.number(99, 0), table.number(1, 1)), (2, 1));
        table.make_room(MAX_DENSE + 1);
        assert_eq!((table.number(0, 1), table.number(99, 0), table.number(512, 512)), (0, 2, 3));
        table.make_room(100_000);
        assert_eq!((table.number(99_999, 7), table.number(512, 512)), (4, 3));
        assert_eq!((table.find(99_999, 7), table.find(7, 99_999)), (Some(4), None));
        assert_eq!(table.pairs().len(), 5);
    }
}
