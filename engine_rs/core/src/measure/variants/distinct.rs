//! From the threads' sequences to those of the whole log, part by part.

use std::sync::{Mutex, PoisonError};

use super::State;
use super::fold::{Aside, Followers, Keep, PARTS, Part};
use super::rank::{RANKED, at_least, by_labels};
use super::sequences::Sequences;
use super::table::RowBytes;
use crate::context::{Context, Step};
use crate::error::{Error, Result};
use crate::turns::Turn;
use crate::workers;

/// How many times as many bytes a part takes while it is merged, and put in order, as its rounds took without tables.
const LOADED: u64 = 4;

/// Which of the variants are wanted in the end.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// Only the first so many; all where none.
    pub top: Option<u64>,
    /// Each activity's place among the sorted labels.
    pub label_order: &'a [u32],
    /// Bytes of their rows, where all are listed.
    pub row_bytes: Option<&'a RowBytes>,
}

/// The distinct sequences of the whole log, or those of them that may be among the first. A variant's number counts
/// through the parts.
pub struct Merged {
    parts: Vec<MergedPart>,
    first: Vec<u32>,
    /// Cases folded, in all threads.
    pub cases: u64,
}

/// One part of the range of hashes.
pub struct MergedPart {
    /// The distinct sequences.
    pub sequences: Sequences,
    /// The cases that follow them, per thread.
    followers: Vec<Followers>,
    /// How many distinct sequences there are, with those that are left out.
    distinct: usize,
}

/// All of a part that was put aside.
pub struct Whole<'a> {
    /// The distinct sequences.
    pub sequences: Sequences,
    /// The cases that follow them, some of a thread at a time, with that thread.
    pub followers: Vec<(usize, Followers)>,
    _turn: Turn<'a>,
}

/// Puts the variants of all threads aside where those of one are, or where all that are wanted do not fit. Returns
/// whether they are.
///
/// # Errors
/// CANCELLED; IO.
pub fn even_out(states: &mut [State<'_>], wanted: Wanted<'_>, context: &Context) -> Result<bool> {
    let is_aside = |states: &[State<'_>]| states.iter().any(State::is_aside);
    if is_aside(states) || (wanted.top.is_none() && !context.memory().fits(most_bytes(states, wanted))) {
        states.iter_mut().try_for_each(State::put_aside)?;
    }
    Ok(is_aside(states))
}

/// Hands out all variants, part by part, with the cases that follow them.
///
/// # Errors
/// Those of `take`; CANCELLED; MEMORY_LIMIT where a part does not fit; UNSUPPORTED beyond 2^32 variants; IO.
pub fn each_part(
    mut states: Vec<State<'_>>,
    context: &Context,
    mut take: impl FnMut(&Sequences, &mut dyn Iterator<Item = &Followers>) -> Result<()>,
) -> Result<()> {
    let all = Wanted { top: None, label_order: &[], row_bytes: None };
    if !even_out(&mut states, all, context)? {
        let merged = Merged::new(states, all, context)?;
        return (merged.parts.iter()).try_for_each(|part| take(&part.sequences, &mut part.followers.iter()));
    }
    let keep = states.first().map(|state| state.keep).unwrap_or_default();
    let asides: Vec<_> = states.into_iter().map(|state| state.aside).collect();
    (0..PARTS).try_for_each(|part| {
        let Whole { sequences, followers, _turn } = whole(&asides, part, keep, context)?;
        take(&sequences, &mut followers.iter().map(|(_, followers)| followers))
    })
}

impl Merged {
    /// Merges the sequences of all threads. Where they were put aside, all but the first of each part are left out once
    /// they are counted.
    ///
    /// # Errors
    /// CANCELLED; UNSUPPORTED beyond 2^32 variants; MEMORY_LIMIT where a part does not fit; IO.
    pub fn new(states: Vec<State<'_>>, wanted: Wanted<'_>, context: &Context) -> Result<Merged> {
        let keep = states.first().map(|state| state.keep).unwrap_or_default();
        let cases = states.iter().map(|state| state.cases).sum();
        let mut by_part: Vec<Mutex<Vec<Part>>> = (0..PARTS).map(|_| Mutex::default()).collect();
        let mut asides = Vec::new();
        for state in states {
            for (cell, part) in by_part.iter_mut().zip(state.parts) {
                cell.get_mut().unwrap_or_else(PoisonError::into_inner).push(part);
            }
            asides.push(state.aside.filter(Aside::is_used));
        }
        let parts = if asides.iter().all(Option::is_none) {
            workers::for_each(context, PARTS, |part| {
                let threads = std::mem::take(&mut *by_part[part].lock().unwrap_or_else(PoisonError::into_inner));
                merge(threads, keep)
            })?
        } else {
            workers::for_each(context, PARTS, |part| first_of_aside(&asides, part, keep, wanted, context))?
        };
        let first = firsts(parts.iter().map(|part| part.sequences.len()))?;
        Ok(Merged { parts, first, cases })
    }

    /// How many variants there are.
    pub fn distinct(&self) -> usize {
        self.parts.iter().map(|part| part.distinct).sum()
    }

    /// How many of them are here.
    pub fn count(&self) -> usize {
        self.parts.iter().map(|part| part.sequences.len()).sum()
    }

    /// Cases that follow variant `number`.
    pub fn cases_of(&self, number: u32) -> u64 {
        let (part, own) = self.place(number);
        self.parts[part].sequences.cases(own)
    }

    /// The sequence of variant `number`, as written by `write_codes`.
    pub fn sequence(&self, number: u32) -> &[u8] {
        let (part, own) = self.place(number);
        self.parts[part].sequences.get(own)
    }

    /// Cases by variant number.
    pub fn all_cases(&self) -> impl Iterator<Item = u64> + '_ {
        self.parts.iter().flat_map(|part| part.sequences.all_cases())
    }

    /// Into how many parts variants are split.
    pub fn parts(&self) -> usize {
        self.parts.len()
    }

    /// A part with the number of its first variant.
    pub fn part(&self, part: usize) -> (u32, &Sequences) {
        (self.first[part], &self.parts[part].sequences)
    }

    /// The cases that follow the variants of a part, per thread.
    pub fn followers(&self, part: usize) -> &[Followers] {
        &self.parts[part].followers
    }

    fn place(&self, number: u32) -> (usize, u32) {
        let part = self.first.partition_point(|&first| first <= number) - 1;
        (part, number - self.first[part])
    }
}

/// The number of the first variant of each part, where parts have so many.
///
/// # Errors
/// UNSUPPORTED beyond 2^32 variants.
pub fn firsts(counts: impl Iterator<Item = usize>) -> Result<Vec<u32>> {
    let mut next = 0u32;
    let first = |count: usize| {
        let first = next;
        let end = u32::try_from(count).ok().and_then(|count| next.checked_add(count));
        next = end.ok_or_else(|| Error::unsupported("more than 2^32 distinct variants"))?;
        Ok(first)
    };
    counts.map(first).collect()
}

/// One part of what was put aside: its first sequences with the cases that follow them.
fn first_of_aside(
    asides: &[Option<Aside<'_>>],
    part: usize,
    keep: Keep,
    wanted: Wanted<'_>,
    context: &Context,
) -> Result<MergedPart> {
    let Whole { sequences, followers, _turn } = whole(asides, part, keep, context)?;
    let followers = followers.into_iter().map(|(_, followers)| followers).collect();
    let all = MergedPart { distinct: sequences.len(), sequences, followers };
    Ok(first(all, wanted.top, wanted.label_order))
}

/// All of a part that was put aside. It is the same each time.
///
/// # Errors
/// CANCELLED; MEMORY_LIMIT where it does not fit; IO.
pub fn whole<'a>(asides: &[Option<Aside<'_>>], part: usize, keep: Keep, context: &'a Context) -> Result<Whole<'a>> {
    let of_threads = || asides.iter().enumerate().filter_map(|(thread, aside)| Some((thread, aside.as_ref()?)));
    let bytes = of_threads().flat_map(|(_, aside)| aside.bytes(part)).sum::<u64>() * LOADED;
    let turn = context.reserve_in_turn(Step::Variants, bytes)?;
    let (mut threads, mut rounds) = (Vec::new(), Vec::new());
    for (thread, aside) in of_threads() {
        for round in aside.load(part) {
            threads.push(thread);
            rounds.push(round?);
        }
    }
    let MergedPart { sequences, followers, .. } = merge(rounds, keep)?;
    Ok(Whole { sequences, followers: threads.into_iter().zip(followers).collect(), _turn: turn })
}

/// At most so many bytes take all variants of all threads once they are ranked and listed.
fn most_bytes(states: &[State<'_>], wanted: Wanted<'_>) -> u64 {
    let sequences = states.iter().flat_map(|state| &state.parts).map(|part| &part.sequences);
    let most = |sequences: &Sequences| {
        let (rows, events) = (sequences.most_rows(), sequences.most_events());
        rows * RANKED + wanted.row_bytes.map_or(0, |row_bytes| row_bytes.most(rows, events))
    };
    sequences.map(most).sum()
}

/// One part of all threads as one list. The numbers of the largest one stay, the others' are looked up.
fn merge(mut threads: Vec<Part>, keep: Keep) -> Result<MergedPart> {
    threads.iter_mut().for_each(|part| part.count(keep));
    let largest = (0..threads.len()).max_by_key(|&thread| threads[thread].sequences.len()).unwrap_or(0);
    let mut sequences = threads.get_mut(largest).map(|part| std::mem::take(&mut part.sequences)).unwrap_or_default();
    let mut followers = Vec::with_capacity(threads.len());
    for (thread, mut part) in threads.into_iter().enumerate() {
        if thread != largest {
            let numbers = sequences.add_all(&part.sequences);
            sequences.check_room()?;
            part.followers.numbers.iter_mut().for_each(|number| *number = numbers[*number as usize]);
        }
        followers.push(part.followers);
    }
    sequences.shrink();
    Ok(MergedPart { distinct: sequences.len(), sequences, followers })
}

/// A part with no more than its first `top` sequences and those who follow them.
fn first(part: MergedPart, top: Option<u64>, label_order: &[u32]) -> MergedPart {
    let wanted = top.map_or(usize::MAX, |top| top as usize);
    if part.sequences.len() <= wanted {
        return part;
    }
    let MergedPart { sequences, followers, distinct } = part;
    let mut numbers = Vec::new();
    if wanted > 0 {
        let cases = |number: u32| sequences.cases(number);
        // Most have few cases: their labels need not be compared.
        let least = at_least(sequences.all_cases(), wanted);
        numbers.extend((0..sequences.len() as u32).filter(|&number| cases(number) >= least));
        numbers.select_nth_unstable_by(wanted - 1, |&a, &b| {
            let labels = || by_labels(sequences.get(a), sequences.get(b), label_order);
            cases(b).cmp(&cases(a)).then_with(labels)
        });
    }
    let mut own = Sequences::default();
    let mut number_here = vec![u32::MAX; sequences.len()];
    for &number in &numbers[..wanted] {
        number_here[number as usize] = own.add(&sequences, number);
    }
    let kept = followers.into_iter().map(|followers| {
        let mut kept = Followers::default();
        for (&number, &duration) in followers.numbers.iter().zip(&followers.durations) {
            if number_here[number as usize] < u32::MAX {
                kept.numbers.push(number_here[number as usize]);
                kept.durations.push(duration);
            }
        }
        kept
    });
    MergedPart { followers: kept.collect(), sequences: own, distinct }
}
