//! Which values stand at given ranks of a set that lies in blocks? Two looks at the values instead of a sort.
//!
//! The first look counts the values in the buckets of a logarithmic scale with linear steps inside each power of two
//! (as in HdrHistogram); the second one takes out the few buckets that hold an asked rank, and only these are ordered.
//! Exact, whatever the distribution: at worst all values lie in one bucket and are selected from as a whole.
//! Cost: O(n), about two reads of the values from memory; space for the values of the buckets taken out.

/// Steps inside a power of two: 32, so that a bucket holds a few hundredths of the values around it.
const STEP_BITS: u32 = 5;
const STEPS: u64 = 1 << STEP_BITS;
const BUCKETS: usize = ((64 - STEP_BITS as usize) + 1) << STEP_BITS;

/// Below this many values sorting is the faster way.
const FEW: usize = 512;

/// The bucket of a distance from the least value. Ascending distances have ascending buckets.
#[inline]
fn bucket(distance: u64) -> usize {
    let power = 63 - (distance | STEPS).leading_zeros();
    let shift = power - STEP_BITS;
    // Distances below STEPS have the power of STEPS itself and no linear part beyond it: their bucket is themselves.
    ((u64::from(shift) << STEP_BITS) + (distance >> shift)) as usize
}

/// Space for the counts, used again for set after set.
pub struct Ranks {
    counts: Vec<u32>,
    place: Vec<u8>,
    scratch: Vec<i64>,
}

impl Default for Ranks {
    fn default() -> Ranks {
        Ranks { counts: vec![0; 2 * BUCKETS], place: vec![0; BUCKETS], scratch: Vec::new() }
    }
}

impl Ranks {
    /// The values at `ranks` (ascending, distinct, below the number of values) of all values in `blocks`, none of which
    /// is below `least`.
    pub fn of(&mut self, blocks: &[&[i64]], least: i64, ranks: &[usize]) -> Vec<i64> {
        let n: usize = blocks.iter().map(|block| block.len()).sum();
        if n <= FEW || n > u32::MAX as usize || ranks.len() > usize::from(u8::MAX) {
            self.gather(blocks);
            return from_one(&mut self.scratch, ranks);
        }
        self.count(blocks, least);
        self.looked_up(blocks, least, ranks)
    }

    /// All values in order, if they are few.
    pub fn sorted_few(&mut self, blocks: &[&[i64]]) -> Option<&[i64]> {
        if blocks.iter().map(|block| block.len()).sum::<usize>() > FEW {
            return None;
        }
        self.gather(blocks);
        self.scratch.sort_unstable();
        Some(&self.scratch)
    }

    fn gather(&mut self, blocks: &[&[i64]]) {
        self.scratch.clear();
        blocks.iter().for_each(|block| self.scratch.extend_from_slice(block));
    }

    /// The first look. Two counts side by side, since a count that was just written is not at once there to be read.
    fn count(&mut self, blocks: &[&[i64]], least: i64) {
        self.counts.fill(0);
        let (even, odd) = self.counts.split_at_mut(BUCKETS);
        for block in blocks {
            let mut pairs = block.chunks_exact(2);
            for pair in &mut pairs {
                even[bucket(pair[0].wrapping_sub(least) as u64)] += 1;
                odd[bucket(pair[1].wrapping_sub(least) as u64)] += 1;
            }
            for &value in pairs.remainder() {
                even[bucket(value.wrapping_sub(least) as u64)] += 1;
            }
        }
        even.iter_mut().zip(odd).for_each(|(even, odd)| *even += *odd);
    }

    /// The second look: takes the buckets out that hold a rank.
    fn looked_up(&mut self, blocks: &[&[i64]], least: i64, ranks: &[usize]) -> Vec<i64> {
        // Per bucket wanted: how many values lie below it, and the ranks that fall into it.
        let mut wanted: Vec<Wanted> = Vec::new();
        let mut below = 0usize;
        let mut next = 0;
        for (number, &count) in self.counts[..BUCKETS].iter().enumerate() {
            let from = next;
            while next < ranks.len() && ranks[next] < below + count as usize {
                next += 1;
            }
            if next > from {
                wanted.push(Wanted { bucket: number, below, ranks: from..next, values: Vec::new() });
                wanted.last_mut().into_iter().for_each(|wanted| wanted.values.reserve_exact(count as usize));
            }
            below += count as usize;
        }
        wanted.iter().zip(1u8..).for_each(|(wanted, mark)| self.place[wanted.bucket] = mark);
        for block in blocks {
            for &value in *block {
                let mark = self.place[bucket(value.wrapping_sub(least) as u64)];
                if mark > 0 {
                    wanted[usize::from(mark) - 1].values.push(value);
                }
            }
        }
        let mut found = Vec::with_capacity(ranks.len());
        for mut part in wanted {
            self.place[part.bucket] = 0;
            let local: Vec<usize> = ranks[part.ranks].iter().map(|rank| rank - part.below).collect();
            found.append(&mut from_one(&mut part.values, &local));
        }
        found
    }
}

/// A bucket that holds asked ranks.
struct Wanted {
    bucket: usize,
    below: usize,
    ranks: std::ops::Range<usize>,
    values: Vec<i64>,
}

/// The values at `ranks` (ascending) of `values`, which are reordered on the way.
fn from_one(values: &mut [i64], ranks: &[usize]) -> Vec<i64> {
    if values.len() <= FEW {
        values.sort_unstable();
    } else {
        select(values, ranks, 0);
    }
    ranks.iter().map(|&rank| values[rank]).collect()
}

/// Puts every rank of `ranks` (ascending, counted from `base`) in its place: halving keeps it near n log(ranks).
pub fn select(values: &mut [i64], ranks: &[usize], base: usize) {
    let Some(&middle) = ranks.get(ranks.len() / 2) else { return };
    let at = middle - base;
    values.select_nth_unstable(at);
    let (below, above) = values.split_at_mut(at);
    select(below, &ranks[..ranks.len() / 2], base);
    select(&mut above[1..], &ranks[ranks.len() / 2 + 1..], middle + 1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn buckets_ascend_and_stay_inside() {
        let mut edges: Vec<u64> = (0..64).flat_map(|bit| [1u64 << bit, (1u64 << bit) - 1, (1u64 << bit) + 1]).collect();
        edges.extend((0..4096).chain([u64::MAX, u64::MAX - 1]));
        edges.sort_unstable();
        let buckets: Vec<usize> = edges.iter().map(|&edge| bucket(edge)).collect();
        assert!(buckets.is_sorted());
        assert_eq!((buckets[0], bucket(1), bucket(63), bucket(64)), (0, 1, 63, 64));
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    fn plain(values: &[i64], ranks: &[usize]) -> Vec<i64> {
        let mut sorted = values.to_vec();
        sorted.sort_unstable();
        ranks.iter().map(|&rank| sorted[rank]).collect()
    }

    proptest! {
        #[test]
        fn any_values_in_any_blocks_have_the_ranks_of_the_sorted_ones(
            values in prop_oneof![
                prop::collection::vec(any::<i64>(), 1..1500),
                prop::collection::vec(-3i64..3, 1..1500),
                prop::collection::vec((0u32..62, any::<i64>()).prop_map(|(bits, x)| x >> bits), 1..1500),
            ],
            cut in 1usize..700,
            picks in prop::collection::vec(any::<prop::sample::Index>(), 1..9),
        ) {
            let mut ranks: Vec<usize> = picks.iter().map(|pick| pick.index(values.len())).collect();
            ranks.sort_unstable();
            ranks.dedup();
            let least = *values.iter().min().unwrap();
            let blocks: Vec<&[i64]> = values.chunks(cut).collect();
            let mut space = Ranks::default();
            prop_assert_eq!(space.of(&blocks, least, &ranks), plain(&values, &ranks));
            // The space is clean for the next set.
            prop_assert_eq!(space.of(&blocks, least, &ranks), plain(&values, &ranks));
        }
    }

    #[test]
    fn one_value_repeated_and_extremes_far_apart() {
        let mut space = Ranks::default();
        let same = vec![7i64; 10_000];
        assert_eq!(space.of(&[&same], 7, &[0, 5_000, 9_999]), [7, 7, 7]);
        let mut far: Vec<i64> = (0..10_000).map(|i| if i % 2 == 0 { i64::MIN } else { i64::MAX }).collect();
        assert_eq!(space.of(&[&far], i64::MIN, &[0, 4_999, 5_000]), [i64::MIN, i64::MIN, i64::MAX]);
        far.truncate(1);
        assert_eq!(space.of(&[&far], i64::MIN, &[0]), [i64::MIN]);
    }
}
