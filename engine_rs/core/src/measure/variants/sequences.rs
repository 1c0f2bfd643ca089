//! Which number has a sequence of activities? Told apart by hash, then compared as a whole.
//!
//! Sequences are appended uncounted, and counted later, many at once: so the table is in the cache while it is needed. A
//! short sequence is its own key, so that it is compared with two words; the bytes of long ones lie elsewhere.

use std::hint::black_box;

use super::key::{KEY, Key, SHORT};
use crate::cases::packed::{pack, unpack};
use crate::error::{Error, Result};
use crate::hash;

/// Distinct sequences in the order of first sight, and sequences that are not counted yet.
pub struct Sequences {
    uncounted: Vec<Key>,
    /// So many of them are worth a run through the table.
    enough: usize,
    entries: Vec<Entry>,
    /// Some bits of the hash of each entry.
    hashes: Vec<u32>,
    /// Number + 1 by the low bits of a hash, with its other bits above; 0 is empty. A power of two, at most half full.
    slots: Vec<u32>,
    /// Long sequences, those of the entries first.
    bytes: Vec<u8>,
    counted_bytes: usize,
}

/// A sequence, and how many cases follow it: side by side, since they are needed together.
#[derive(Clone, Copy)]
struct Entry {
    key: Key,
    cases: u64,
}

/// Fewer sequences than this are not worth a run through the table.
const FEW: usize = 512;

/// Beyond this, the offsets of what comes next might not fit.
const MOST_BYTES: usize = 1 << 30;

const FEWEST_SLOTS: usize = 64;

/// Bytes of a cache line.
const LINE: usize = 64;

/// Sequences that are counted between two looks at the room in the table.
const AT_ONCE: usize = 32;

/// What tells the sequence `bytes[from..to]` from others if it is short, and its hash. [`KEY`] bytes have to lie behind
/// `from`.
#[inline]
pub fn hashed(bytes: &[u8], from: usize, to: usize) -> (Key, u64) {
    let length = to - from;
    let mut own = [0; KEY];
    own.copy_from_slice(&bytes[from..from + KEY]);
    let key = Key::short(own, length.min(SHORT));
    (key, if length > SHORT { hash::of_bytes(&bytes[from..to]) } else { key.hash() })
}

impl Default for Sequences {
    fn default() -> Sequences {
        Sequences {
            uncounted: Vec::new(),
            enough: FEW,
            entries: Vec::new(),
            hashes: Vec::new(),
            slots: Vec::new(),
            bytes: Vec::new(),
            counted_bytes: 0,
        }
    }
}

impl Sequences {
    /// Appends a short sequence, uncounted.
    #[inline]
    pub fn push(&mut self, key: Key) {
        self.uncounted.push(key);
    }

    /// Appends a long sequence, uncounted.
    #[inline]
    pub fn push_long(&mut self, sequence: &[u8]) {
        self.uncounted.push(Key::long(self.bytes.len() as u32, sequence.len() as u32));
        self.bytes.extend_from_slice(sequence);
        if self.bytes.len() - self.counted_bytes >= self.enough * KEY {
            self.enough = 0;
        }
    }

    /// Whether there is enough uncounted for a run through the table, and no more than fits.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.uncounted.len() >= self.enough
    }

    /// Counts what was appended. The last of `numbers` are the low bits of the hashes, in the order of appending; they
    /// become the numbers of the sequences.
    pub fn count(&mut self, numbers: &mut [u32]) {
        let mut uncounted = std::mem::take(&mut self.uncounted);
        let from = numbers.len() - uncounted.len();
        let mut end = self.counted_bytes;
        self.warm();
        for (keys, numbers) in uncounted.chunks(AT_ONCE).zip(numbers[from..].chunks_mut(AT_ONCE)) {
            self.reserve(keys.len());
            for (number, &key) in numbers.iter_mut().zip(keys) {
                *number = self.number(*number, key, &mut end);
                self.entries[*number as usize].cases += 1;
            }
        }
        self.bytes.truncate(end);
        self.counted_bytes = end;
        uncounted.clear();
        self.uncounted = uncounted;
        self.enough = FEW.max(self.len());
    }

    /// The number of a sequence that was appended; the bytes of a long one that is new move to `end`.
    #[inline]
    fn number(&mut self, hash: u32, key: Key, end: &mut usize) -> u32 {
        let (slot, known) = self.find(hash, key, &self.bytes);
        known.unwrap_or_else(|| {
            let moved = key.place().map(|place| {
                let moved = Key::long(*end as u32, place.len() as u32);
                *end += place.len();
                self.bytes.copy_within(place.clone(), *end - place.len());
                moved
            });
            self.insert(slot, hash, moved.unwrap_or(key))
        })
    }

    /// Cases that follow sequence `number`.
    #[inline]
    pub fn cases(&self, number: u32) -> u64 {
        self.entries[number as usize].cases
    }

    /// Cases by number.
    pub fn all_cases(&self) -> impl ExactSizeIterator<Item = u64> + '_ {
        self.entries.iter().map(|entry| entry.cases)
    }

    /// Adds all sequences of `other`, and the cases that follow them; returns their numbers here. All must be counted.
    pub fn add_all(&mut self, other: &Sequences) -> Vec<u32> {
        self.entries.reserve(other.len());
        self.hashes.reserve(other.len());
        self.reserve(other.len());
        self.warm();
        (0..other.len() as u32).map(|number| self.add(other, number)).collect()
    }

    /// Adds sequence `number` of `other`, and the cases that follow it; returns its number here. All must be counted.
    pub fn add(&mut self, other: &Sequences, number: u32) -> u32 {
        self.reserve(1);
        let (Entry { key, cases }, hash) = (other.entries[number as usize], other.hashes[number as usize]);
        let (slot, known) = self.find(hash, key, &other.bytes);
        let own = known.unwrap_or_else(|| {
            let copied = key.place().map(|place| {
                let copied = Key::long(self.counted_bytes as u32, place.len() as u32);
                self.bytes.extend_from_slice(&other.bytes[place]);
                self.counted_bytes = self.bytes.len();
                copied
            });
            self.insert(slot, hash, copied.unwrap_or(key))
        });
        self.entries[own as usize].cases += cases;
        own
    }

    /// Appends all that is counted, to be read by [`Sequences::read`].
    pub fn write(&self, bytes: &mut Vec<u8>) {
        let sequences = || self.entries.iter().map(|entry| entry.key.get(&self.bytes));
        let lengths: Vec<u32> = sequences().map(|sequence| sequence.len() as u32).collect();
        let cases: Vec<u64> = self.all_cases().collect();
        bytes.extend_from_slice(&(self.len() as u64).to_le_bytes());
        pack([&lengths[..]].into_iter(), bytes);
        pack([&cases[..]].into_iter(), bytes);
        sequences().for_each(|sequence| bytes.extend_from_slice(sequence));
        // Behind every one of them lie as many bytes as a key has.
        bytes.extend_from_slice(&[0; KEY]);
    }

    /// Reads what [`Sequences::write`] wrote, and returns what follows it; none where it was something else.
    pub fn read(bytes: &[u8]) -> Option<(Sequences, &[u8])> {
        let n = usize::try_from(u64::from_le_bytes(*bytes.first_chunk()?)).ok()?;
        let (lengths, at) = unpack::<u32>(bytes, 8, n)?;
        let (cases, at) = unpack::<u64>(bytes, at, n)?;
        let all = lengths.iter().try_fold(0usize, |all, &length| all.checked_add(length as usize))?;
        let (written, rest) = bytes.get(at..)?.split_at_checked(all.checked_add(KEY)?)?;
        let mut sequences =
            Sequences { entries: Vec::with_capacity(n), hashes: Vec::with_capacity(n), ..Sequences::default() };
        let mut from = 0;
        for (length, cases) in lengths.into_iter().map(|length| length as usize).zip(cases) {
            let (short, hash) = hashed(written, from, from + length);
            let long = (length > SHORT).then(|| Key::long(sequences.bytes.len() as u32, length as u32));
            if long.is_some() {
                sequences.bytes.extend_from_slice(&written[from..from + length]);
            }
            sequences.entries.push(Entry { key: long.unwrap_or(short), cases });
            sequences.hashes.push(hash as u32);
            from += length;
        }
        sequences.counted_bytes = sequences.bytes.len();
        sequences.reserve(0);
        Some((sequences, rest))
    }

    /// The bytes of sequence `number`.
    #[inline]
    pub fn get(&self, number: u32) -> &[u8] {
        self.entries[number as usize].key.get(&self.bytes)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// At least as many as there are distinct sequences, counted or not.
    pub fn most_rows(&self) -> u64 {
        (self.len() + self.uncounted.len()) as u64
    }

    /// At least as many as they have events.
    pub fn most_events(&self) -> u64 {
        let keys = self.entries.iter().map(|entry| &entry.key).chain(&self.uncounted);
        keys.map(|key| key.get(&self.bytes).len() as u64).sum()
    }

    /// Whether more sequences fit.
    ///
    /// # Errors
    /// UNSUPPORTED beyond a GiB.
    pub fn check_room(&self) -> Result<()> {
        match self.counted_bytes.max(self.len() * KEY) > MOST_BYTES {
            true => Err(Error::unsupported("more than about 100 GiB of distinct variants")),
            false => Ok(()),
        }
    }

    /// Bytes of what is counted, without the table.
    pub fn counted_size_bytes(&self) -> usize {
        self.len() * (size_of::<Entry>() + 4) + self.counted_bytes
    }

    /// Bytes held.
    pub fn size_bytes(&self) -> usize {
        // Once it was full, it stays as large.
        let uncounted = if self.entries.is_empty() { self.uncounted.len() } else { self.uncounted.capacity() };
        let long = self.bytes.len() - self.counted_bytes;
        self.counted_size_bytes() + long + self.slots.len() * 4 + uncounted * KEY
    }

    /// Gives back space that is not used.
    pub fn shrink(&mut self) {
        self.entries.shrink_to_fit();
        self.hashes.shrink_to_fit();
        self.bytes.shrink_to_fit();
        self.uncounted = Vec::new();
    }

    /// Brings the table into the cache. To read it from one end to the other, a word per cache line, takes much less time
    /// than to wait for most of its lines later, one by one.
    fn warm(&self) {
        const SLOTS: usize = LINE / size_of::<u32>();
        const ENTRIES: usize = LINE / size_of::<Entry>();
        let of_slots = self.slots.iter().step_by(SLOTS).fold(0, |all, slot| all ^ slot);
        let of_entries = self.entries.iter().step_by(ENTRIES).fold(0, |all, entry| all ^ entry.cases);
        // Nobody needs these, but the compiler must not find out.
        black_box((of_slots, of_entries));
    }

    /// The number of the sequence with this key, if it is known, and where in the table it is or would be. A long one lies
    /// in `bytes`.
    #[inline]
    fn find(&self, hash: u32, key: Key, bytes: &[u8]) -> (usize, Option<u32>) {
        match key.place() {
            None => self.find_where(hash, |own| *own == key),
            Some(place) => {
                let sequence = &bytes[place];
                self.find_where(hash, |own| own.place().is_some_and(|place| &self.bytes[place] == sequence))
            }
        }
    }

    #[inline]
    fn find_where(&self, hash: u32, is_same: impl Fn(&Key) -> bool) -> (usize, Option<u32>) {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot == 0 {
                return (at, None);
            }
            // Where the other bits of the hash differ, the entry need not be looked at.
            if (slot ^ hash) & !(mask as u32) == 0 {
                let number = (slot & mask as u32) - 1;
                if is_same(&self.entries[number as usize].key) {
                    return (at, Some(number));
                }
            }
            at = (at + 1) & mask;
        }
    }

    /// Makes the sequence with `key` the next number's.
    #[inline]
    fn insert(&mut self, slot: usize, hash: u32, key: Key) -> u32 {
        let number = self.entries.len() as u32;
        self.slots[slot] = (number + 1) | hash & !(self.slots.len() as u32 - 1);
        self.entries.push(Entry { key, cases: 0 });
        self.hashes.push(hash);
        number
    }

    /// Makes room in the table for `more` sequences, should they all be new.
    #[inline]
    fn reserve(&mut self, more: usize) {
        if (self.len() + more) * 2 > self.slots.len() || self.slots.is_empty() {
            self.grow(self.len() + more);
        }
    }

    /// Makes the table large enough for `wanted` sequences.
    #[cold]
    #[inline(never)]
    fn grow(&mut self, wanted: usize) {
        let wanted = (wanted * 2).next_power_of_two().max(FEWEST_SLOTS);
        self.slots = vec![0; wanted];
        for (&hash, number) in self.hashes.iter().zip(1..) {
            let mut at = hash as usize & (wanted - 1);
            while self.slots[at] != 0 {
                at = (at + 1) & (wanted - 1);
            }
            self.slots[at] = number | hash & !(wanted as u32 - 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    /// A part by itself: sequences with the numbers, before them the hashes, of what was appended.
    #[derive(Default)]
    struct Appended {
        sequences: Sequences,
        numbers: Vec<u32>,
    }

    impl Appended {
        fn push(&mut self, hash: u64, bytes: &[u8]) {
            let padded = [b"..", bytes, &[7; KEY]].concat();
            match bytes.len() <= SHORT {
                true => self.sequences.push(hashed(&padded, 2, 2 + bytes.len()).0),
                false => self.sequences.push_long(bytes),
            }
            self.numbers.push(hash as u32);
        }

        fn count(&mut self) {
            self.sequences.count(&mut self.numbers);
        }
    }

    fn all_cases(sequences: &Sequences) -> Vec<u64> {
        sequences.all_cases().collect()
    }

    #[test]
    fn equal_hashes_of_different_sequences_stay_apart() {
        let long = [3; SHORT + 1];
        for [one, other] in [[&b"ab"[..], b"ba"], [&long, b"ab"], [&[4; 99], &[5; 99]], [&long, &long[1..]]] {
            let mut part = Appended::default();
            for bytes in [one, other, one] {
                part.push(7, bytes);
            }
            part.count();
            let Appended { sequences, numbers } = part;
            assert_eq!((numbers, all_cases(&sequences), sequences.get(1)), (vec![0, 1, 0], vec![2, 1], other));
        }
    }

    #[test]
    fn sequences_of_every_length_are_counted_once_however_often_and_merged() {
        let long: Vec<u8> = (0..200).collect();
        let mut parts = [Appended::default(), Appended::default()];
        for i in 0..3000usize {
            let bytes = &long[..i * 7 % 200];
            let padded = [bytes, &[0; KEY]].concat();
            parts[i % 2].push(hashed(&padded, 0, bytes.len()).1, bytes);
            if i % 311 < 2 {
                parts[i % 2].count();
            }
        }
        parts.iter_mut().for_each(Appended::count);
        for (part, Appended { sequences, numbers }) in parts.iter().enumerate() {
            assert_eq!(numbers.len(), 1500);
            for (i, &number) in (part..).step_by(2).zip(numbers) {
                assert_eq!(sequences.get(number), &long[..i * 7 % 200]);
            }
            let mut bytes = vec![];
            sequences.write(&mut bytes);
            bytes.push(7);
            let (mut again, rest) = Sequences::read(&bytes).unwrap();
            assert_eq!((rest, all_cases(&again)), (&[7][..], all_cases(sequences)));
            (0..sequences.len() as u32).for_each(|number| assert_eq!(again.add(sequences, number), number));
            assert!((0..bytes.len() - 1).all(|end| Sequences::read(&bytes[..end]).is_none()));
        }
        let [Appended { sequences: mut whole, .. }, Appended { sequences: other, .. }] = parts;
        for (number, own) in whole.add_all(&other).into_iter().enumerate() {
            assert_eq!(whole.get(own), other.get(number as u32));
        }
        assert_eq!((whole.len(), whole.all_cases().sum::<u64>()), (200, 3000));
    }

    proptest! {
        /// As a map would, whatever the hashes are and whenever what was appended is counted.
        #[test]
        fn numbers_are_those_of_a_map(
            appended in prop::collection::vec((prop::collection::vec(0u8..3, 0..40), any::<bool>()), 0..300),
            bits in 0u32..32,
        ) {
            let (mut part, mut map, mut wanted) = (Appended::default(), HashMap::new(), vec![]);
            for (bytes, is_counted) in &appended {
                part.push(hash::of_bytes(bytes) & ((1 << bits) - 1), bytes);
                let next = map.len() as u32;
                let (number, cases) = map.entry(&bytes[..]).or_insert((next, 0));
                *cases += 1;
                wanted.push(*number);
                if *is_counted {
                    part.count();
                }
            }
            let (rows, events) = (part.sequences.most_rows(), part.sequences.most_events());
            part.count();
            prop_assert_eq!(&part.numbers, &wanted);
            prop_assert_eq!(part.sequences.len(), map.len());
            prop_assert!(rows >= map.len() as u64 && rows <= appended.len() as u64);
            prop_assert!(events >= map.keys().map(|bytes| bytes.len() as u64).sum());
            for (bytes, (number, cases)) in map {
                prop_assert_eq!((part.sequences.get(number), part.sequences.cases(number)), (bytes, cases));
            }
        }
    }
}
