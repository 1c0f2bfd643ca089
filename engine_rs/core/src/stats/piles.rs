//! What is kept of a set of values that may have to be joined with others later? Each value, and how often it is there.
//!
//! Count, sum, extremes, deviation and percentiles of any union of such sets follow exactly.

use std::convert::Infallible;

use crate::stats::moments::Moments;
use crate::stats::quantile::{Percentile, of_ranked, ranks};
use crate::stats::sorting;

/// Values with how often each is there; those taken in last are not sorted yet.
#[derive(Clone, Debug, Default)]
pub struct Piles {
    raw: Vec<i64>,
    /// Ascending, each value once.
    piles: Vec<(i64, u64)>,
    /// Values taken in until they are looked at for ones that are alike.
    next: usize,
}

/// Fewer values than this are not looked at.
const FEW: usize = 256;

impl Piles {
    /// Takes in a value. Returns by how many bytes the piles have grown, which may be fewer than none.
    #[inline]
    pub fn push(&mut self, value: i64) -> isize {
        if self.raw.len() < self.raw.capacity() {
            self.raw.push(value);
            return 0;
        }
        self.grow(value)
    }

    #[cold]
    fn grow(&mut self, value: i64) -> isize {
        let before = self.size_bytes() as isize;
        if self.raw.len() >= self.next.max(FEW) {
            self.settle();
        }
        self.raw.push(value);
        self.size_bytes() as isize - before
    }

    /// Bytes held besides the struct itself.
    pub fn size_bytes(&self) -> usize {
        self.raw.capacity() * size_of::<i64>() + self.piles.capacity() * size_of::<(i64, u64)>()
    }

    /// Piles values up where that saves space.
    fn settle(&mut self) {
        self.raw.sort_unstable();
        let changes = self.raw.windows(2).filter(|pair| pair[0] != pair[1]).count();
        if changes < self.raw.len() / 2 || self.piles.len() >= FEW {
            let raw = std::mem::take(&mut self.raw);
            let Ok(piles) = joined(vec![std::mem::take(&mut self.piles), counted(&raw)], || Ok::<(), Infallible>(()));
            self.piles = piles;
            self.piles.shrink_to_fit();
        }
        self.next = 2 * self.raw.len().max(self.piles.len());
    }

    /// All values in ascending order, each once, with how often it is there in one of `parts`; `check` is called again
    /// and again and stops it.
    ///
    /// # Errors
    /// Those of `check`.
    pub fn union<E>(parts: Vec<Piles>, check: impl Fn() -> Result<(), E>) -> Result<Vec<(i64, u64)>, E> {
        let mut lists = Vec::with_capacity(2 * parts.len());
        for mut part in parts {
            sorting::sort_by(&mut part.raw, Ord::cmp, &check)?;
            lists.extend([part.piles, counted(&part.raw)]);
        }
        joined(lists, check)
    }
}

/// Ascending values, each once, with how often it is there.
pub fn counted(sorted: &[i64]) -> Vec<(i64, u64)> {
    sorted.chunk_by(|a, b| a == b).map(|same| (same[0], same.len() as u64)).collect()
}

/// Several such lists as one. What is there more than 2^64 times stays at that.
///
/// # Errors
/// Those of `check`, which is called again and again.
pub fn joined<E>(mut lists: Vec<Vec<(i64, u64)>>, check: impl Fn() -> Result<(), E>) -> Result<Vec<(i64, u64)>, E> {
    lists.retain(|list| !list.is_empty());
    if lists.len() < 2 {
        return Ok(lists.pop().unwrap_or_default());
    }
    sorted(lists.concat(), check)
}

/// Values with counts in any order as such a list.
///
/// # Errors
/// Those of `check`, which is called again and again.
pub fn sorted<E>(mut all: Vec<(i64, u64)>, check: impl Fn() -> Result<(), E>) -> Result<Vec<(i64, u64)>, E> {
    sorting::sort_by(&mut all, |one, other| one.0.cmp(&other.0), check)?;
    all.dedup_by(|next, last| {
        let same = next.0 == last.0;
        last.1 = if same { last.1.saturating_add(next.1) } else { last.1 };
        same
    });
    Ok(all)
}

/// The moments of values with these counts, which together have to stay below 2^63.
pub fn moments(ticks: &[i64], counts: &[u64]) -> Moments {
    let mut moments = Moments::default();
    ticks.iter().zip(counts).for_each(|(&value, &times)| moments.push_many(value, times));
    moments
}

/// The percentiles of ascending values with these counts, in units of `per_second` ticks; none of no values.
pub fn percentiles(ticks: &[i64], counts: &[u64], asked: &[Percentile], per_second: i64) -> Vec<f64> {
    let n: u64 = counts.iter().sum();
    if n == 0 || asked.is_empty() {
        return Vec::new();
    }
    let (mut at, mut end) = (0, counts[0]);
    let mut value = |rank: u64| {
        while end <= rank {
            at += 1;
            end += counts[at];
        }
        (rank, ticks[at])
    };
    let found: Vec<(u64, i64)> = ranks(asked, n).into_iter().map(&mut value).collect();
    of_ranked(&found, n, asked, per_second)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::quantile::of_ticks;
    use crate::stats::ranks::Ranks;
    use proptest::prelude::*;

    fn all(parts: Vec<Piles>) -> Vec<(i64, u64)> {
        let Ok(all) = Piles::union(parts, || Ok::<(), Infallible>(()));
        all
    }

    proptest! {
        #[test]
        fn piles_tell_what_the_values_tell(
            values in prop_oneof![
                prop::collection::vec(any::<i64>(), 1..1500),
                prop::collection::vec(-3i64..3, 1..3000),
            ],
            cut in 1usize..2000,
            picks in prop::collection::vec(0u32..=1000, 1..6),
        ) {
            let asked: Vec<Percentile> = picks.iter().map(|&p| Percentile::new(f64::from(p) / 10.0).unwrap()).collect();
            let mut grown = 0;
            let piled = |part: &[i64]| {
                let mut piles = Piles::default();
                part.iter().for_each(|&value| grown += piles.push(value));
                piles
            };
            let parts: Vec<Piles> = values.chunks(cut).map(piled).collect();
            prop_assert_eq!(grown, parts.iter().map(|part| part.size_bytes() as isize).sum::<isize>());
            let (ticks, counts): (Vec<i64>, Vec<u64>) = all(parts).into_iter().unzip();
            prop_assert!(ticks.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert_eq!(moments(&ticks, &counts), Moments::of(&values));
            let least = *values.iter().min().unwrap();
            let plain = of_ticks(&[&values], least, &asked, 1000, &mut Ranks::default()).unwrap();
            prop_assert_eq!(percentiles(&ticks, &counts, &asked, 1000), plain);
        }
    }

    #[test]
    fn many_alike_take_little_space_and_none_have_no_percentiles() {
        let mut piles = Piles::default();
        (0..1_000_000).for_each(|i| {
            piles.push(i % 5);
        });
        assert!(piles.size_bytes() < 16 * 1024, "{}", piles.size_bytes());
        assert_eq!(all(vec![piles]), (0..5).map(|i| (i, 200_000)).collect::<Vec<_>>());
        assert!(percentiles(&[], &[], &[Percentile::new(50.0).unwrap()], 1).is_empty());
    }
}
