//! Many byte strings in two allocations.

use std::ops::Range;

/// Bytes of short strings.
const PIECE: usize = 48;

/// Byte strings one after the other.
#[derive(Clone, Debug)]
pub struct ByteList {
    offsets: Vec<usize>,
    bytes: Vec<u8>,
}

impl Default for ByteList {
    fn default() -> Self {
        ByteList { offsets: vec![0], bytes: Vec::new() }
    }
}

impl ByteList {
    /// Room for so many strings of so many bytes in all.
    pub fn with_capacity(strings: usize, bytes: usize) -> ByteList {
        let mut offsets = Vec::with_capacity(strings + 1);
        offsets.push(0);
        ByteList { offsets, bytes: Vec::with_capacity(bytes) }
    }

    /// The strings at `places`: each where `range` says in `bytes`. Short ones are moved in one piece of a fixed size, which
    /// takes no call and no jump that depends on the length.
    pub fn gathered(bytes: &[u8], places: &[u32], range: impl Fn(usize) -> Range<usize>) -> ByteList {
        let total = places.iter().map(|&place| range(place as usize).len()).sum();
        let mut list = ByteList { offsets: Vec::with_capacity(places.len() + 1), bytes: vec![0; total + PIECE] };
        list.offsets.push(0);
        let mut at = 0;
        for &place in places {
            let own = range(place as usize);
            match bytes[own.start..].first_chunk::<PIECE>() {
                Some(piece) if own.len() <= PIECE => list.bytes[at..at + PIECE].copy_from_slice(piece),
                _ => list.bytes[at..at + own.len()].copy_from_slice(&bytes[own.clone()]),
            }
            at += own.len();
            list.offsets.push(at);
        }
        list.bytes.truncate(total);
        list
    }

    /// Adds one at the end.
    pub fn push(&mut self, value: &[u8]) {
        self.bytes.extend_from_slice(value);
        self.offsets.push(self.bytes.len());
    }

    /// The one at `at`.
    #[inline]
    pub fn get(&self, at: usize) -> &[u8] {
        &self.bytes[self.offsets[at]..self.offsets[at + 1]]
    }

    /// Bytes of the strings `from..to`.
    pub fn bytes_of(&self, from: usize, to: usize) -> usize {
        self.offsets[to] - self.offsets[from]
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds `other`'s strings `from..to`.
    pub fn extend_range(&mut self, other: &ByteList, from: usize, to: usize) {
        let (start, end) = (other.offsets[from], other.offsets[to]);
        let shift = self.bytes.len();
        self.bytes.extend_from_slice(&other.bytes[start..end]);
        self.offsets.extend(other.offsets[from + 1..=to].iter().map(|&offset| offset - start + shift));
    }

    /// The strings of these lengths that `bytes` hold one after the other; none where they do not fit together.
    pub fn from_lengths(lengths: &[u32], bytes: &[u8]) -> Option<ByteList> {
        let mut offsets = Vec::with_capacity(lengths.len() + 1);
        let mut end = 0usize;
        offsets.push(end);
        for &length in lengths {
            end = end.checked_add(length as usize)?;
            offsets.push(end);
        }
        (end == bytes.len()).then(|| ByteList { offsets, bytes: bytes.to_vec() })
    }

    /// All strings one after the other.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Removes all, keeping the space.
    pub fn clear(&mut self) {
        self.offsets.truncate(1);
        self.bytes.clear();
    }

    /// Bytes held.
    pub fn size_bytes(&self) -> usize {
        self.bytes.len() + self.offsets.len() * size_of::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn gathered_strings_are_those_at_their_places(
            strings in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..2 * PIECE), 1..40),
            places in prop::collection::vec(any::<prop::sample::Index>(), 0..60),
        ) {
            let mut all = ByteList::default();
            strings.iter().for_each(|string| all.push(string));
            let places: Vec<u32> = places.iter().map(|place| place.index(strings.len()) as u32).collect();
            let list = ByteList::gathered(&all.bytes, &places, |at| all.offsets[at]..all.offsets[at + 1]);
            prop_assert_eq!(list.len(), places.len());
            for (at, &place) in places.iter().enumerate() {
                prop_assert_eq!(list.get(at), &strings[place as usize]);
            }
            prop_assert_eq!(list.bytes().len(), list.bytes_of(0, list.len()));
        }
    }
}
