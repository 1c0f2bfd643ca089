//! From the threads' sequences to those of the whole log, part by part.

use std::sync::{Mutex, PoisonError};

use super::State;
use super::fold::{Aside, Followers, Keep, PARTS, Part};
use super::rank::by_labels;
use super::sequences::Sequences;
use crate::context::{Context, Step};
use crate::error::{Error, Result};
use crate::workers;

/// How many times as many bytes a part takes while it is merged as it takes on disk.
const LOADED: u64 = 3;

/// The distinct sequences of the whole log, or those of them that may be among the first. A variant's number counts
/// through the parts.
pub struct Merged {
    parts: Vec<MergedPart>,
    first: Vec<u32>,
    /// Cases folded, per thread.
    pub cases_of_threads: Vec<u64>,
}

/// One part of the range of hashes.
pub struct MergedPart {
    /// The distinct sequences.
    pub sequences: Sequences,
    /// Per thread, the cases that follow them.
    pub followers: Vec<Followers>,
    /// How many distinct sequences there are, with those that are left out.
    distinct: usize,
}

impl Merged {
    /// Merges the sequences of all threads. Where some were put aside, all but the first `top` of each part are left out
    /// once they are counted, in the order that `label_order` gives.
    ///
    /// # Errors
    /// CANCELLED; UNSUPPORTED beyond 2^32 variants; MEMORY_LIMIT where a part does not fit; IO.
    pub fn new(states: Vec<State<'_>>, top: Option<u64>, label_order: &[u32], context: &Context) -> Result<Merged> {
        let keep = states.first().map(|state| state.keep).unwrap_or_default();
        let cases_of_threads = states.iter().map(|state| state.cases).collect();
        let mut by_part: Vec<Mutex<Vec<Part>>> = (0..PARTS).map(|_| Mutex::default()).collect();
        let mut asides = Vec::new();
        for state in states {
            for (cell, part) in by_part.iter_mut().zip(state.parts) {
                cell.get_mut().unwrap_or_else(PoisonError::into_inner).push(part);
            }
            asides.extend(state.aside.filter(Aside::is_used));
        }
        let parts = workers::for_each(context, PARTS, |part| {
            let mut threads = std::mem::take(&mut *by_part[part].lock().unwrap_or_else(PoisonError::into_inner));
            if asides.is_empty() {
                return merge(threads, keep);
            }
            let bytes = asides.iter().map(|aside| aside.bytes(part)).sum::<u64>() * LOADED;
            let _reserved = context.reserve_in_turn(Step::Measures, bytes)?;
            for aside in &asides {
                threads.extend(aside.load(part)?);
            }
            Ok(first(merge(threads, keep)?, top, label_order))
        })?;
        let mut first = Vec::with_capacity(PARTS);
        let mut next = 0u32;
        for part in &parts {
            first.push(next);
            let count = u32::try_from(part.sequences.len()).ok().and_then(|count| next.checked_add(count));
            next = count.ok_or_else(|| Error::unsupported("more than 2^32 distinct variants"))?;
        }
        Ok(Merged { parts, first, cases_of_threads })
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

    /// Every part with the number of its first variant.
    pub fn parts(&self) -> impl Iterator<Item = (u32, &MergedPart)> {
        self.first.iter().copied().zip(&self.parts)
    }

    fn place(&self, number: u32) -> (usize, u32) {
        let part = self.first.partition_point(|&first| first <= number) - 1;
        (part, number - self.first[part])
    }
}

/// One part of all threads as one list. The first thread's numbers stay, the others' are looked up.
fn merge(threads: Vec<Part>, keep: Keep) -> Result<MergedPart> {
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
    Ok(MergedPart { distinct: sequences.len(), sequences, followers })
}

/// A part with no more than its first `top` sequences and those who follow them.
fn first(part: MergedPart, top: Option<u64>, label_order: &[u32]) -> MergedPart {
    let wanted = top.map_or(usize::MAX, |top| top as usize);
    if part.sequences.len() <= wanted {
        return part;
    }
    let MergedPart { sequences, followers, distinct } = part;
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
