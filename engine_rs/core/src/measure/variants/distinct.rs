//! From the threads' sequences to those of the whole log, part by part.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::State;
use super::fold::{Aside, Followers, Keep, PARTS, Part};
use super::rank::{RANKED, by_labels};
use super::sequences::Sequences;
use super::table::bytes_of;
use crate::context::{Context, Reserved, Step};
use crate::error::{Error, ErrorKind, Result};
use crate::workers;

/// How many times as many bytes a part takes while it is merged as it takes on disk.
const LOADED: u64 = 3;

/// Which of the variants are wanted in the end.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// Only the first so many; all where none.
    pub top: Option<u64>,
    /// Each activity's place among the sorted labels.
    pub label_order: &'a [u32],
    /// Bytes that an event takes in the table, by its code, where all variants are listed.
    pub label_bytes: Option<&'a [u64]>,
}

/// The distinct sequences of the whole log, or those of them that may be among the first. A variant's number counts
/// through the parts.
pub struct Merged<'a> {
    context: &'a Context,
    parts: Vec<MergedPart<'a>>,
    first: Vec<u32>,
    /// What was put aside, per thread.
    asides: Vec<Option<Aside<'a>>>,
    /// Cases folded, per thread.
    pub cases_of_threads: Vec<u64>,
}

/// One part of the range of hashes.
pub struct MergedPart<'a> {
    /// The distinct sequences.
    pub sequences: Sequences,
    /// The cases that follow them, per thread; none where they wait on disk.
    followers: Option<Vec<Followers>>,
    /// How many distinct sequences there are, with those that are left out.
    distinct: usize,
    /// For the sequences, where they were on disk before.
    _reserved: Option<Reserved<'a>>,
}

impl<'a> Merged<'a> {
    /// Merges the sequences of all threads. Where some were put aside, all have to be; then all but the first of each
    /// part are left out once they are counted, or, where all are wanted, the cases that follow them wait on disk.
    ///
    /// # Errors
    /// CANCELLED; UNSUPPORTED beyond 2^32 variants; MEMORY_LIMIT where a part does not fit, or all do not which are
    /// wanted; IO.
    pub fn new(states: Vec<State<'a>>, wanted: Wanted<'_>, context: &'a Context) -> Result<Merged<'a>> {
        let keep = states.first().map(|state| state.keep).unwrap_or_default();
        let cases_of_threads = states.iter().map(|state| state.cases).collect();
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
        } else if wanted.top.is_some() {
            workers::for_each(context, PARTS, |part| first_of_aside(&asides, part, keep, wanted, context))?
        } else {
            drop(by_part);
            all_of_aside(&asides, wanted, context)?
        };
        let mut first = Vec::with_capacity(PARTS);
        let mut next = 0u32;
        for part in &parts {
            first.push(next);
            let count = u32::try_from(part.sequences.len()).ok().and_then(|count| next.checked_add(count));
            next = count.ok_or_else(|| Error::unsupported("more than 2^32 distinct variants"))?;
        }
        Ok(Merged { context, parts, first, asides, cases_of_threads })
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
    pub fn cases(&self, number: u32) -> u64 {
        let (part, own) = self.place(number);
        self.parts[part].sequences.cases[own as usize]
    }

    /// The sequence of variant `number`, as written by `write_codes`.
    pub fn sequence(&self, number: u32) -> &[u8] {
        let (part, own) = self.place(number);
        self.parts[part].sequences.get(own)
    }

    /// Cases by variant number.
    pub fn all_cases(&self) -> impl Iterator<Item = u64> + '_ {
        self.parts.iter().flat_map(|part| part.sequences.cases.iter().copied())
    }

    /// Into how many parts variants are split.
    pub fn parts(&self) -> usize {
        self.parts.len()
    }

    /// A part with the number of its first variant.
    pub fn part(&self, part: usize) -> (u32, &Sequences) {
        (self.first[part], &self.parts[part].sequences)
    }

    /// Hands out the cases that follow the variants of a part, some of a thread at a time, with that thread.
    ///
    /// # Errors
    /// IO; MEMORY_LIMIT where what was put aside at once does not fit.
    pub fn each_followers(&self, part: usize, mut take: impl FnMut(usize, &Followers) -> Result<()>) -> Result<()> {
        let MergedPart { sequences, followers, .. } = &self.parts[part];
        if let Some(followers) = followers {
            return followers.iter().enumerate().try_for_each(|(thread, followers)| take(thread, followers));
        }
        for (thread, aside) in self.asides.iter().enumerate() {
            let Some(aside) = aside else { continue };
            let most = aside.bytes(part).max().unwrap_or(0) * LOADED;
            let _reserved = self.context.reserve_for_now(Step::Variants, most)?;
            for round in aside.load(part) {
                let mut round = round?;
                let number = |number| sequences.number_of(&round.sequences, number);
                let numbers: Option<Vec<u32>> = (0..round.sequences.len() as u32).map(number).collect();
                let numbers = numbers.ok_or_else(|| Error::internal("a variant that was put aside is not known"))?;
                round.followers.numbers.iter_mut().for_each(|number| *number = numbers[*number as usize]);
                take(thread, &round.followers)?;
            }
        }
        Ok(())
    }

    fn place(&self, number: u32) -> (usize, u32) {
        let part = self.first.partition_point(|&first| first <= number) - 1;
        (part, number - self.first[part])
    }
}

/// One part of what was put aside: its first sequences with the cases that follow them.
fn first_of_aside<'a>(
    asides: &[Option<Aside<'_>>],
    part: usize,
    keep: Keep,
    wanted: Wanted<'_>,
    context: &'a Context,
) -> Result<MergedPart<'a>> {
    let asides = || asides.iter().flatten();
    let bytes = asides().flat_map(|aside| aside.bytes(part)).sum::<u64>() * LOADED;
    let _reserved = context.reserve_in_turn(Step::Measures, bytes)?;
    let threads = asides().flat_map(|aside| aside.load(part)).collect::<Result<Vec<Part>>>()?;
    Ok(first(merge(threads, keep)?, wanted.top, wanted.label_order))
}

/// All sequences that were put aside, without the cases that follow them. Where they do not fit, it is still found out
/// how much they take.
fn all_of_aside<'a>(
    asides: &[Option<Aside<'_>>],
    wanted: Wanted<'_>,
    context: &'a Context,
) -> Result<Vec<MergedPart<'a>>> {
    let (held_bytes, in_all, too_many) = (context.memory().used_bytes(), AtomicU64::new(0), AtomicBool::new(false));
    let parts = workers::for_each(context, PARTS, |part| {
        let mut sequences = Sequences::default();
        for aside in asides.iter().flatten() {
            let most = aside.bytes(part).max().unwrap_or(0) * LOADED;
            let _reserved = context.reserve_for_now(Step::Variants, most)?;
            for round in aside.load(part) {
                let own = round?.sequences;
                (0..own.len() as u32).for_each(|number| _ = sequences.add(&own, number));
                sequences.check_room()?;
            }
        }
        sequences.shrink();
        // With what ranking and listing them will take.
        let all = || (0..sequences.len() as u32).map(|number| sequences.get(number));
        let listed = wanted.label_bytes.map_or(0, |of_labels| all().map(|own| bytes_of(own, of_labels)).sum());
        let bytes = sequences.size_bytes() as u64;
        in_all.fetch_add(bytes + listed + sequences.len() as u64 * RANKED, Ordering::Relaxed);
        let reserved = match context.reserve_for_now(Step::Variants, bytes) {
            Ok(reserved) => Some(reserved),
            Err(error) if error.kind() == ErrorKind::MemoryLimit => {
                too_many.store(true, Ordering::Relaxed);
                None
            }
            Err(error) => return Err(error),
        };
        let distinct = sequences.len();
        let sequences = if too_many.load(Ordering::Relaxed) { Sequences::default() } else { sequences };
        Ok(MergedPart { sequences, followers: None, distinct, _reserved: reserved })
    })?;
    let needed = held_bytes + in_all.into_inner();
    if too_many.into_inner() || context.memory().limit_bytes().is_some_and(|limit| needed > limit) {
        return Err(context.too_small(Step::Variants, needed));
    }
    Ok(parts)
}

/// One part of all threads as one list. The first thread's numbers stay, the others' are looked up.
fn merge<'a>(threads: Vec<Part>, keep: Keep) -> Result<MergedPart<'a>> {
    let mut merged: Option<Sequences> = None;
    let mut followers = Vec::with_capacity(threads.len());
    for mut part in threads {
        part.finish(keep);
        match &mut merged {
            None => merged = Some(part.sequences),
            Some(merged) => {
                let own = &part.sequences;
                let numbers: Vec<u32> = (0..own.len() as u32).map(|number| merged.add(own, number)).collect();
                merged.check_room()?;
                part.followers.numbers.iter_mut().for_each(|number| *number = numbers[*number as usize]);
            }
        }
        followers.push(part.followers);
    }
    let sequences = merged.unwrap_or_default();
    Ok(MergedPart { distinct: sequences.len(), sequences, followers: Some(followers), _reserved: None })
}

/// A part with no more than its first `top` sequences and those who follow them.
fn first<'a>(part: MergedPart<'a>, top: Option<u64>, label_order: &[u32]) -> MergedPart<'a> {
    let wanted = top.map_or(usize::MAX, |top| top as usize);
    if part.sequences.len() <= wanted {
        return part;
    }
    let MergedPart { sequences, followers, distinct, _reserved } = part;
    let mut numbers: Vec<u32> = (0..sequences.len() as u32).collect();
    if wanted > 0 {
        let cases = |number: u32| sequences.cases[number as usize];
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
    let kept = followers.into_iter().flatten().map(|followers| {
        let mut kept = Followers::default();
        for (&number, &duration) in followers.numbers.iter().zip(&followers.durations) {
            if number_here[number as usize] < u32::MAX {
                kept.numbers.push(number_here[number as usize]);
                kept.durations.push(duration);
            }
        }
        kept
    });
    MergedPart { followers: Some(kept.collect()), sequences: own, distinct, _reserved }
}
