//! The threads' sequences become one list: split by hash, each part merged on its own.

use super::State;
use super::fold::Sequences;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::workers;

/// The distinct sequences of the whole log. A variant's number counts through the parts.
pub struct Merged {
    parts: Vec<Sequences>,
    first: Vec<u32>,
    /// Per thread: the number of each of its own sequences.
    pub numbers: Vec<Vec<u32>>,
}

const PARTS: usize = 64;

impl Merged {
    /// Merges the sequences of all threads.
    ///
    /// # Errors
    /// CANCELLED; UNSUPPORTED beyond 2^32 variants.
    pub fn new(states: &mut [State], context: &Context) -> Result<Merged> {
        if let [only] = states {
            let sequences = std::mem::take(&mut only.sequences);
            let numbers = vec![(0..sequences.len() as u32).collect()];
            return Ok(Merged { parts: vec![sequences], first: vec![0], numbers });
        }
        let lists: Vec<&Sequences> = states.iter().map(|state| &state.sequences).collect();
        let split: Vec<Vec<Vec<u32>>> = workers::for_each(context, lists.len(), |i| Ok(by_part(lists[i])))?;
        let merged = workers::for_each(context, PARTS, |part| Ok(merge_part(&lists, &split, part)))?;
        let mut numbers: Vec<Vec<u32>> = lists.iter().map(|list| vec![0; list.len()]).collect();
        let mut first = Vec::with_capacity(PARTS);
        let mut next = 0u32;
        let mut parts = Vec::with_capacity(PARTS);
        for (part, (sequences, local)) in merged.into_iter().enumerate() {
            for (thread, places) in local.into_iter().enumerate() {
                for (&own, place) in split[thread][part].iter().zip(places) {
                    numbers[thread][own as usize] = next + place;
                }
            }
            first.push(next);
            let count = u32::try_from(sequences.len()).ok().and_then(|count| next.checked_add(count));
            next = count.ok_or_else(|| Error::unsupported("more than 2^32 distinct variants"))?;
            parts.push(sequences);
        }
        Ok(Merged { parts, first, numbers })
    }

    /// How many variants there are.
    pub fn count(&self) -> usize {
        self.parts.iter().map(Sequences::len).sum()
    }

    /// Cases that follow variant `number`.
    pub fn cases(&self, number: u32) -> u64 {
        let (part, own) = self.place(number);
        self.parts[part].cases[own as usize]
    }

    /// The sequence of variant `number`, as written by `write_codes`.
    pub fn sequence(&self, number: u32) -> &[u8] {
        let (part, own) = self.place(number);
        self.parts[part].get(own)
    }

    /// Cases by variant number.
    pub fn all_cases(&self) -> impl Iterator<Item = u64> + '_ {
        self.parts.iter().flat_map(|part| part.cases.iter().copied())
    }

    fn place(&self, number: u32) -> (usize, u32) {
        let part = self.first.partition_point(|&first| first <= number) - 1;
        (part, number - self.first[part])
    }
}

/// The numbers of a thread's sequences, by part.
fn by_part(sequences: &Sequences) -> Vec<Vec<u32>> {
    let mut parts = vec![Vec::new(); PARTS];
    for (number, &hash) in sequences.hashes.iter().enumerate() {
        parts[(hash >> 58) as usize].push(number as u32);
    }
    parts
}

/// One part's sequences of all threads as one list, and where each thread's own went.
fn merge_part(lists: &[&Sequences], split: &[Vec<Vec<u32>>], part: usize) -> (Sequences, Vec<Vec<u32>>) {
    let mut merged = Sequences::default();
    let places = lists.iter().zip(split).map(|(list, split)| {
        let add = |&own: &u32| merged.add(list.hashes[own as usize], list.get(own), list.cases[own as usize]);
        split[part].iter().map(add).collect()
    });
    let places = places.collect();
    (merged, places)
}
