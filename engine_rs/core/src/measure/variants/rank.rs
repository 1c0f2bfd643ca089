//! Which variants come first? By cases, then by labels; only as many are put in order as are asked for.

use std::cmp::Ordering;

use super::Merged;
use super::codes::read_codes;
use crate::context::{Context, Step};
use crate::error::{Error, Result};
use crate::workers;

/// The first variants, in order, and the rank of each of them.
pub struct Ranking {
    /// Variant numbers, best first.
    pub order: Vec<u32>,
    ranks: Vec<u32>,
}

/// Bytes that it takes at most to rank a variant.
pub const RANKED: u64 = 80;

/// Variants whose ranks are written down between two looks at the cancel flag.
const LOOK: usize = 1 << 20;

/// Not among the ranked.
const UNRANKED: u32 = u32::MAX;

impl Ranking {
    /// Ranks the first `top` variants (all where none); `label_order` is each activity's place among the sorted labels.
    ///
    /// # Errors
    /// CANCELLED; MEMORY_LIMIT.
    pub fn new(variants: &Merged, top: Option<u64>, label_order: &[u32], context: &Context) -> Result<Ranking> {
        let _reserved = context.reserve_for_now(Step::Variants, variants.count() as u64 * RANKED)?;
        let wanted = top.map_or(variants.count(), |top| (top as usize).min(variants.count()));
        let mut order = sorted(candidates(variants, wanted), variants, label_order, context)?;
        order.truncate(wanted);
        let mut ranks = vec![UNRANKED; variants.count()];
        for (order, first) in order.chunks(LOOK).zip((0u32..).step_by(LOOK)) {
            context.check_cancelled()?;
            order.iter().zip(first..).for_each(|(&number, rank)| ranks[number as usize] = rank);
        }
        Ok(Ranking { order, ranks })
    }

    /// The rank of variant `number`, counted from 0, if it is among the ranked.
    #[inline]
    pub fn of(&self, number: u32) -> Option<usize> {
        let rank = self.ranks[number as usize];
        (rank != UNRANKED).then_some(rank as usize)
    }

    /// Hands out the cases that follow the variants of a part: the thread, the case's number there, and the variant's
    /// rank, counted from 1. All variants have to be ranked.
    ///
    /// # Errors
    /// INTERNAL where one is not.
    pub fn each_case(&self, variants: &Merged, part: usize, mut take: impl FnMut(usize, u32, u32)) -> Result<()> {
        let (first, _) = variants.part(part);
        for (thread, followers) in variants.followers(part).iter().enumerate() {
            for (&case, number) in followers.cases.iter().zip(&followers.numbers) {
                let rank = self.of(first + number).map(|rank| rank as u32 + 1);
                take(thread, case, rank.ok_or_else(|| Error::internal("a variant has no rank"))?);
            }
        }
        Ok(())
    }
}

/// What variants are compared by: cases, then the first labels, then, with the number, all labels.
#[derive(Clone, Copy)]
struct Candidate {
    cases: u64,
    prefix: u64,
    number: u32,
}

/// Variants sorted at once: few enough that a look at the cancel flag in between comes soon.
const RUN: usize = 16 * 1024;

/// The candidates in order, by a merge sort on all threads.
fn sorted(candidates: Vec<(u64, u32)>, variants: &Merged, label_order: &[u32], context: &Context) -> Result<Vec<u32>> {
    let bits = u64::BITS - (label_order.len() as u64).leading_zeros();
    let compare = |a: &Candidate, b: &Candidate| {
        let all_labels = || by_labels(variants.sequence(a.number), variants.sequence(b.number), label_order);
        b.cases.cmp(&a.cases).then(a.prefix.cmp(&b.prefix)).then_with(all_labels)
    };
    let mut runs = workers::for_each(context, candidates.len().div_ceil(RUN), |run| {
        let of_run = &candidates[run * RUN..((run + 1) * RUN).min(candidates.len())];
        let candidate = |&(cases, number): &(u64, u32)| {
            let prefix = prefix(variants.sequence(number), label_order, bits);
            Candidate { cases, prefix, number }
        };
        let mut run: Vec<Candidate> = of_run.iter().map(candidate).collect();
        run.sort_unstable_by(compare);
        Ok(run)
    })?;
    while runs.len() > 1 {
        runs = workers::for_each(context, runs.len().div_ceil(2), |pair| match &runs[pair * 2..] {
            [one, other, ..] => merged(one, other, compare, context),
            rest => Ok(rest.concat()),
        })?;
    }
    context.check_cancelled()?;
    Ok(runs.into_iter().flatten().map(|candidate| candidate.number).collect())
}

fn merged(
    mut one: &[Candidate],
    mut other: &[Candidate],
    compare: impl Fn(&Candidate, &Candidate) -> Ordering,
    context: &Context,
) -> Result<Vec<Candidate>> {
    let mut merged = Vec::with_capacity(one.len() + other.len());
    while let ([first, rest @ ..], [first_other, rest_other @ ..]) = (one, other) {
        if merged.len() % RUN == 0 {
            context.check_cancelled()?;
        }
        if compare(first, first_other) == Ordering::Greater {
            merged.push(*first_other);
            other = rest_other;
        } else {
            merged.push(*first);
            one = rest;
        }
    }
    merged.extend_from_slice(one);
    merged.extend_from_slice(other);
    Ok(merged)
}

/// The places of the first labels among the sorted labels, in `bits` each, from 1: a number that compares as they do.
fn prefix(sequence: &[u8], label_order: &[u32], bits: u32) -> u64 {
    let places = u64::BITS / bits;
    let mut codes = read_codes(sequence);
    (0..places)
        .fold(0, |prefix, _| prefix << bits | codes.next().map_or(0, |code| u64::from(label_order[code as usize]) + 1))
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
    let least = at_least(variants.all_cases(), wanted);
    all().filter(|&(cases, _)| cases >= least).collect()
}

/// A number of cases that `wanted` variants or more have, close to the largest such; `all` has that of each variant.
pub fn at_least(all: impl Iterator<Item = u64>, wanted: usize) -> u64 {
    // Most variants have few cases, so counting how many have one, two, three ... cases finds it in one go.
    const MANY: usize = 4096;
    let mut counts = vec![0usize; MANY + 1];
    all.for_each(|cases| counts[MANY.min(cases as usize)] += 1);
    let mut above = 0;
    let found = (1..=MANY).rev().find(|&cases| {
        above += counts[cases];
        above >= wanted
    });
    found.unwrap_or(1) as u64
}

/// Compares two sequences label by label.
pub fn by_labels(a: &[u8], b: &[u8], label_order: &[u32]) -> Ordering {
    let order = |code: u32| label_order[code as usize];
    read_codes(a).map(order).cmp(read_codes(b).map(order))
}
