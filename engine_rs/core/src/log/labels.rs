//! Which number does a label have? One for all threads, each of which remembers what it has met.

use std::sync::{Mutex, PoisonError};

use hashbrown::HashTable;

use crate::context::Context;
use crate::error::{Error, Result};
use crate::hash;
use crate::log::byte_list::ByteList;
use crate::stats::sorting;

/// All activities of a log: code to label, shared by the threads of a run.
#[derive(Default)]
pub struct Labels {
    table: Mutex<LabelTable>,
}

#[derive(Default)]
struct LabelTable {
    slots: HashTable<(u64, u32)>,
    bytes: ByteList,
}

impl Labels {
    /// Bytes held.
    pub fn size_bytes(&self) -> usize {
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.bytes.size_bytes() + table.slots.capacity() * size_of::<(u64, u32)>()
    }
}

impl LabelTable {
    fn code(&mut self, hash: u64, label: &[u8]) -> Result<u32> {
        let bytes = &self.bytes;
        if let Some(&(_, code)) = self.slots.find(hash, |&(h, code)| h == hash && bytes.get(code as usize) == label) {
            return Ok(code);
        }
        let code = u32::try_from(bytes.len()).ok().filter(|&code| code < u32::MAX);
        let code = code.ok_or_else(|| Error::unsupported("more than 2^32 - 2 distinct activities"))?;
        self.bytes.push(label);
        self.slots.insert_unique(hash, (hash, code), |&(h, _)| h);
        Ok(code)
    }
}

impl Labels {
    fn code(&self, hash: u64, label: &[u8]) -> Result<u32> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner).code(hash, label)
    }

    /// The label of every code.
    pub fn list(&self) -> Vec<String> {
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        (0..table.bytes.len()).map(|code| String::from_utf8_lossy(table.bytes.get(code)).into_owned()).collect()
    }
}

/// The codes of `labels` in order of their bytes, and each code's place there.
///
/// # Errors
/// CANCELLED.
pub fn in_order(labels: &[String], context: &Context) -> Result<(Vec<u32>, Vec<u32>)> {
    let mut codes: Vec<u32> = (0..labels.len() as u32).collect();
    let of = |code: u32| labels[code as usize].as_bytes();
    sorting::sort_by(&mut codes, |&a, &b| of(a).cmp(of(b)), || context.check_cancelled())?;
    let mut places = vec![0; codes.len()];
    codes.iter().zip(0..).for_each(|(&code, place)| places[code as usize] = place);
    Ok((codes, places))
}

/// The labels that one thread has met.
pub struct KnownLabels<'a> {
    shared: &'a Labels,
    own: LabelTable,
    recent: Recent,
    shared_codes: Vec<u32>,
}

impl<'a> KnownLabels<'a> {
    /// None yet of `shared`.
    pub fn new(shared: &'a Labels) -> Self {
        KnownLabels { shared, own: LabelTable::default(), recent: Recent::default(), shared_codes: Vec::new() }
    }

    /// The code of a label.
    ///
    /// # Errors
    /// UNSUPPORTED beyond 2^32 labels.
    pub fn code(&mut self, label: &[u8]) -> Result<u32> {
        let own = self.own_code(label)?;
        Ok(self.shared_codes[own as usize])
    }

    /// As [`KnownLabels::code`], and faster for a label that was asked for lately.
    ///
    /// # Errors
    /// UNSUPPORTED beyond 2^32 labels.
    #[inline]
    pub fn code_again(&mut self, label: &[u8]) -> Result<u32> {
        let ends = Ends::of(label);
        let place = ends.place();
        let known = self.recent.places[place];
        if known.ends == ends && (ends.are_all() || self.own.bytes.get(known.code as usize) == label) {
            return Ok(self.shared_codes[known.code as usize]);
        }
        let code = self.own_code(label)?;
        self.recent.places[place] = Place { ends, code };
        Ok(self.shared_codes[code as usize])
    }

    fn own_code(&mut self, label: &[u8]) -> Result<u32> {
        let hash = hash::of_bytes(label);
        let code = self.own.code(hash, label)?;
        if code as usize == self.shared_codes.len() {
            self.shared_codes.push(self.shared.code(hash, label)?);
        }
        Ok(code)
    }
}

/// The codes of labels met lately, found by the bytes at both ends of a label, without a hash of all of it.
struct Recent {
    places: Box<[Place; RECENT]>,
}

/// A label by its length and its bytes; of those of a long one, only what is at its ends.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Ends {
    length: usize,
    first: u64,
    last: u64,
}

#[derive(Clone, Copy)]
struct Place {
    ends: Ends,
    code: u32,
}

const RECENT: usize = 1 << 10;

impl Ends {
    const BYTES: usize = size_of::<u64>();

    #[inline]
    fn of(label: &[u8]) -> Ends {
        let word = |bytes: [u8; Ends::BYTES]| u64::from_le_bytes(bytes);
        let (first, last) = match (label.first_chunk(), label.last_chunk()) {
            (Some(first), Some(last)) => (word(*first), word(*last)),
            _ => match (label.first_chunk(), label.last_chunk()) {
                (Some(first), Some(last)) => (u32::from_le_bytes(*first).into(), u32::from_le_bytes(*last).into()),
                _ => (label.iter().fold(0, |all, &byte| all << 8 | u64::from(byte)), 0),
            },
        };
        Ends { length: label.len(), first, last }
    }

    /// Whether they are all of the label.
    fn are_all(&self) -> bool {
        self.length <= 2 * Ends::BYTES
    }

    #[inline]
    fn place(&self) -> usize {
        let mixed = hash::of_key(self.first ^ self.last.rotate_left(21) ^ self.length as u64);
        mixed as usize % RECENT
    }
}

impl Default for Recent {
    fn default() -> Self {
        let nobody = Ends { length: usize::MAX, first: 0, last: 0 };
        Recent { places: Box::new([Place { ends: nobody, code: 0 }; RECENT]) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn equal_labels_and_only_they_have_equal_codes(labels in prop::collection::vec("[ab\\x00]{0,4}x{0,30}[ab]{0,20}", 0..500)) {
            let shared = Labels::default();
            let (mut one, mut other) = (KnownLabels::new(&shared), KnownLabels::new(&shared));
            let codes: Vec<u32> = labels.iter().map(|label| one.code_again(label.as_bytes()).unwrap()).collect();
            let listed = shared.list();
            for (label, &code) in labels.iter().zip(&codes) {
                prop_assert_eq!(&listed[code as usize], label);
            }
            for label in labels.iter().rev() {
                prop_assert_eq!(one.code_again(label.as_bytes()).unwrap(), other.code(label.as_bytes()).unwrap());
            }
        }
    }

    #[test]
    fn labels_that_differ_in_their_middle_only_differ() {
        let shared = Labels::default();
        let mut known = KnownLabels::new(&shared);
        let labels: Vec<String> = (0..5000).map(|number| format!("customers-{number:04}-complained")).collect();
        for _ in 0..2 {
            for (label, code) in labels.iter().zip(0..) {
                assert_eq!(known.code_again(label.as_bytes()).unwrap(), code);
            }
        }
        assert_eq!(shared.list(), labels);
    }
}
