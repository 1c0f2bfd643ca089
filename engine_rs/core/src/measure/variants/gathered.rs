//! The durations of the cases of a part, variant by variant.

use super::fold::Followers;

/// Durations in ticks, those of one variant after those of another.
pub struct Gathered {
    /// Variant, and where its durations begin.
    variants: Vec<(u32, usize)>,
    /// Where the next one of each variant of the part goes; nowhere for those that are left out.
    cursors: Vec<usize>,
    ticks: Vec<i64>,
}

const NOWHERE: usize = usize::MAX;

impl Gathered {
    /// Room for the durations of the variants that are wanted; variant i has the i-th of `cases`.
    pub fn new(cases: impl ExactSizeIterator<Item = u64>, wanted: impl Fn(u32) -> bool) -> Gathered {
        let (mut variants, mut cursors, mut total) = (Vec::new(), vec![NOWHERE; cases.len()], 0);
        for ((cursor, cases), number) in cursors.iter_mut().zip(cases).zip(0..) {
            if wanted(number) {
                variants.push((number, total));
                *cursor = total;
                total += cases as usize;
            }
        }
        Gathered { variants, cursors, ticks: vec![0; total] }
    }

    /// Puts durations where they belong.
    pub fn take(&mut self, followers: &Followers) {
        for (&number, &duration) in followers.numbers.iter().zip(&followers.durations) {
            let cursor = &mut self.cursors[number as usize];
            if *cursor != NOWHERE {
                self.ticks[*cursor] = duration;
                *cursor += 1;
            }
        }
    }

    /// Those of variant `number`, where all are wanted.
    pub fn of(&self, number: u32) -> &[i64] {
        let at = number as usize;
        let end = self.variants.get(at + 1).map_or(self.ticks.len(), |&(_, from)| from);
        &self.ticks[self.variants[at].1..end]
    }

    /// Each variant with its durations, to be put in order.
    pub fn each_mut(&mut self) -> impl Iterator<Item = (u32, &mut [i64])> {
        let ends = self.variants.iter().skip(1).map(|&(_, from)| from).chain([self.ticks.len()]);
        let mut rest = &mut self.ticks[..];
        self.variants.iter().zip(ends).map(move |(&(number, from), end)| {
            let (own, others) = std::mem::take(&mut rest).split_at_mut(end - from);
            rest = others;
            (number, own)
        })
    }

    /// Each variant with its durations.
    pub fn each(&self) -> impl Iterator<Item = (u32, &[i64])> {
        let ends = self.variants.iter().skip(1).map(|&(_, from)| from).chain([self.ticks.len()]);
        self.variants.iter().zip(ends).map(|(&(number, from), end)| (number, &self.ticks[from..end]))
    }
}
