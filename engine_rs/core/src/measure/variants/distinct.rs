//! From the threads' sequences to those of the whole log, part by part.

use std::sync::{Mutex, PoisonError};

use super::State;
use super::fold::{Followers, Keep, PARTS, Part};
use super::sequences::Sequences;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::workers;

/// The distinct sequences of the whole log. A variant's number counts through the parts.
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
}

impl Merged {
    /// Merges the sequences of all threads.
    ///
    /// # Errors
    /// CANCELLED; UNSUPPORTED beyond 2^32 variants.
    pub fn new(states: Vec<State>, context: &Context) -> Result<Merged> {
        let keep = states.first().map(|state| state.keep).unwrap_or_default();
        let cases_of_threads = states.iter().map(|state| state.cases).collect();
        let mut by_part: Vec<Mutex<Vec<Part>>> = (0..PARTS).map(|_| Mutex::default()).collect();
        for state in states {
            for (cell, part) in by_part.iter_mut().zip(state.parts) {
                cell.get_mut().unwrap_or_else(PoisonError::into_inner).push(part);
            }
        }
        let parts = workers::for_each(context, PARTS, |part| {
            let threads = std::mem::take(&mut *by_part[part].lock().unwrap_or_else(PoisonError::into_inner));
            merge(threads, keep)
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

    /// The durations of all cases, where they were kept.
    pub fn durations(&self) -> Vec<&[i64]> {
        let followers = self.parts.iter().flat_map(|part| &part.followers);
        followers.map(|followers| followers.durations.as_slice()).collect()
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
    Ok(MergedPart { sequences: merged.unwrap_or_default(), followers })
}
