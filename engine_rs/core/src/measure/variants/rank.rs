//! Which variants come first? By cases, then by labels; only as many are put in order as are asked for.

use std::cmp::Ordering;

use super::Merged;
use super::fold::read_codes;

/// The first variants, in order, and the rank of each of them.
pub struct Ranking {
    /// Variant numbers, best first.
    pub order: Vec<u32>,
    ranks: Vec<u32>,
}

/// Not among the ranked.
const UNRANKED: u32 = u32::MAX;

impl Ranking {
    /// Ranks the first `top` variants (all where none); `label_order` is each activity's place among the sorted labels.
    pub fn new(variants: &Merged, top: Option<u64>, label_order: &[u32]) -> Ranking {
        let wanted = top.map_or(variants.count(), |top| (top as usize).min(variants.count()));
        let mut order = candidates(variants, wanted);
        let compare = |&(a_cases, a): &(u64, u32), &(b_cases, b): &(u64, u32)| {
            b_cases.cmp(&a_cases).then_with(|| by_labels(variants.sequence(a), variants.sequence(b), label_order))
        };
        if wanted < order.len() && wanted > 0 {
            order.select_nth_unstable_by(wanted - 1, compare);
        }
        order.truncate(wanted);
        order.sort_unstable_by(compare);
        let order: Vec<u32> = order.into_iter().map(|(_, number)| number).collect();
        let mut ranks = vec![UNRANKED; variants.count()];
        order.iter().enumerate().for_each(|(rank, &number)| ranks[number as usize] = rank as u32);
        Ranking { order, ranks }
    }

    /// The rank of variant `number`, counted from 0, if it is among the ranked.
    #[inline]
    pub fn of(&self, number: u32) -> Option<usize> {
        let rank = self.ranks[number as usize];
        (rank != UNRANKED).then_some(rank as usize)
    }
}

/// All variants with at least as many cases as the `wanted`-th: labels need to be compared among these only.
fn candidates(variants: &Merged, wanted: usize) -> Vec<(u64, u32)> {
    let all = || variants.all_cases().zip(0u32..);
    if wanted == 0 {
        return Vec::new();
    }
    if wanted >= variants.count() {
        return all().collect();
    }
    let mut cases: Vec<u64> = variants.all_cases().collect();
    let (_, &mut least, _) = cases.select_nth_unstable_by(wanted - 1, |a, b| b.cmp(a));
    all().filter(|&(cases, _)| cases >= least).collect()
}

fn by_labels(a: &[u8], b: &[u8], label_order: &[u32]) -> Ordering {
    let order = |code: u32| label_order[code as usize];
    read_codes(a).map(order).cmp(read_codes(b).map(order))
}
