//! What tells a sequence from all others at a glance? Sixteen bytes: itself where it is short, else where it lies.

use std::ops::Range;

use crate::hash;

/// A short sequence with its length, or the place of a long one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Key([u8; KEY]);

/// Bytes of a key.
pub const KEY: usize = 16;

/// Sequences of up to so many bytes are short. Five of six cases follow such a one, by and large.
pub const SHORT: usize = KEY - 1;

/// In the place of the length, for a long sequence.
const LONG: u8 = u8::MAX;

impl Key {
    /// The short sequence that the first `length` of `bytes` are. Its length does not lead to a jump that nobody foresees.
    #[inline]
    pub fn short(bytes: [u8; KEY], length: usize) -> Key {
        debug_assert!(length <= SHORT);
        let own = u128::from_le_bytes(bytes) & ((1 << (8 * length as u32)) - 1);
        Key((own | (length as u128) << (8 * SHORT as u32)).to_le_bytes())
    }

    /// A long sequence that lies at `offset`.
    #[inline]
    pub fn long(offset: u32, length: u32) -> Key {
        let place = u128::from(offset) | u128::from(length) << u32::BITS;
        Key((place | u128::from(LONG) << (8 * SHORT as u32)).to_le_bytes())
    }

    /// The hash of a short sequence.
    #[inline]
    pub fn hash(self) -> u64 {
        let both = u128::from_le_bytes(self.0);
        hash::of_pair(both as u64, (both >> u64::BITS) as u64)
    }

    /// Where a long sequence lies; none for a short one.
    #[inline]
    pub fn place(self) -> Option<Range<usize>> {
        let place = u128::from_le_bytes(self.0);
        let (offset, length) = (place as u32 as usize, (place >> u32::BITS) as u32 as usize);
        (self.0[SHORT] == LONG).then_some(offset..offset + length)
    }

    /// The bytes of the sequence; long ones lie in `bytes`.
    #[inline]
    pub fn get<'a>(&'a self, bytes: &'a [u8]) -> &'a [u8] {
        match self.place() {
            Some(place) => &bytes[place],
            None => &self.0[..usize::from(self.0[SHORT])],
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever follows a short sequence is no part of it, and its length is.
        #[test]
        fn short_keys_are_equal_just_where_sequences_are(
            a in prop::collection::vec(0u8..2, 0..=SHORT),
            b in prop::collection::vec(0u8..2, 0..=SHORT),
            padding: [u8; KEY],
        ) {
            let key = |sequence: &[u8]| {
                let padded: Vec<u8> = sequence.iter().chain(&padding).copied().take(KEY).collect();
                Key::short(padded.try_into().unwrap(), sequence.len())
            };
            prop_assert_eq!(key(&a) == key(&b), a == b);
            let key = key(&a);
            prop_assert_eq!(key.get(&[]), &a[..]);
            prop_assert_eq!(key.place(), None);
        }

        #[test]
        fn long_keys_tell_where_a_sequence_lies(offset: u32, length: u32) {
            let (key, end) = (Key::long(offset, length), offset as usize + length as usize);
            prop_assert_eq!(key.place(), Some(offset as usize..end));
        }
    }

    #[test]
    fn a_long_sequence_is_what_lies_in_its_place() {
        assert_eq!(Key::long(2, 3).get(b"abcdef"), b"cde");
    }
}
