//! Which number has a sequence of activities? Told apart by hash, then compared byte by byte.
//!
//! Sequences are appended uncounted, one record after the other, and counted later, many at once: a record that is the
//! first of its sequence moves up to the counted ones and stays there, so that nothing is copied elsewhere.

use crate::error::{Error, Result};

/// Distinct sequences in the order of first sight, and behind them records that are not counted yet.
#[derive(Default)]
pub struct Sequences {
    /// Counted: hash, length and bytes of each distinct sequence. Then uncounted: a [`Follower`], hash, length and bytes.
    records: Vec<u8>,
    counted: usize,
    uncounted: usize,
    /// Where each distinct sequence's record begins.
    offsets: Vec<u32>,
    /// Cases by number.
    pub cases: Vec<u64>,
    /// Number + 1 by hash; 0 is empty. A power of two, at most half full.
    slots: Vec<u32>,
}

/// A case that follows a sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Follower {
    /// Its number among those of its thread, in the order in which they were folded.
    pub case: u32,
    /// Its duration in ticks.
    pub duration: i64,
}

/// Bytes of a record before those of its sequence.
const COUNTED_HEAD: usize = 12;
const FOLLOWER: usize = 12;
const HEAD: usize = FOLLOWER + COUNTED_HEAD;

/// Sequences up to this long are copied at once, whatever their length.
const SHORT: usize = 16;

/// Bytes that must follow a sequence handed over.
pub const PADDING: usize = SHORT;

/// Beyond this, the offsets of what is counted next might not fit.
const MOST_BYTES: usize = 1 << 30;

const FEWEST_SLOTS: usize = 64;

impl Sequences {
    /// Appends the sequence `bytes[from..to]`, with its hash, uncounted. [`PADDING`] bytes have to lie behind `to`.
    #[inline]
    pub fn push(&mut self, hash: u64, bytes: &[u8], from: usize, to: usize, follower: Follower) {
        let mut record = [0u8; HEAD + SHORT];
        record[..4].copy_from_slice(&follower.case.to_le_bytes());
        record[4..FOLLOWER].copy_from_slice(&follower.duration.to_le_bytes());
        record[FOLLOWER..FOLLOWER + 8].copy_from_slice(&hash.to_le_bytes());
        record[FOLLOWER + 8..HEAD].copy_from_slice(&((to - from) as u32).to_le_bytes());
        if to - from <= SHORT {
            // Nearly all are short: a length known beforehand is copied without a call, and the rest cut off.
            record[HEAD..].copy_from_slice(&bytes[from..from + SHORT]);
            self.records.extend_from_slice(&record);
            self.records.truncate(self.records.len() - SHORT + (to - from));
        } else {
            self.records.extend_from_slice(&record[..HEAD]);
            self.records.extend_from_slice(&bytes[from..to]);
        }
        self.uncounted += 1;
    }

    /// Whether there is enough uncounted for a run through the table, and no more than fits.
    #[inline]
    pub fn is_full(&self, few_bytes: usize) -> bool {
        let uncounted = self.records.len() - self.counted;
        uncounted >= few_bytes && uncounted >= self.counted
    }

    /// Counts what was appended; hands out each follower with the number of its sequence, in the order of appending.
    pub fn count(&mut self, mut take: impl FnMut(Follower, u32)) {
        self.reserve(self.uncounted);
        let (mut read, mut write) = (self.counted, self.counted);
        while read < self.records.len() {
            let follower = Follower {
                case: u32::from_le_bytes(self.array(read)),
                duration: i64::from_le_bytes(self.array(read + 4)),
            };
            let record = read + FOLLOWER;
            let (hash, length) = self.head(record);
            read = record + COUNTED_HEAD + length;
            let bytes = &self.records[record + COUNTED_HEAD..read];
            let (slot, known) = self.find(hash, bytes);
            let number = known.unwrap_or_else(|| {
                self.records.copy_within(record..read, write);
                self.insert(slot, write)
            });
            write += if known.is_none() { COUNTED_HEAD + length } else { 0 };
            self.cases[number as usize] += 1;
            take(follower, number);
        }
        self.records.truncate(write);
        (self.counted, self.uncounted) = (write, 0);
    }

    /// Makes room to [`Sequences::add`] all of `other`, as if none of them were known.
    pub fn make_room_for(&mut self, other: &Sequences) {
        self.reserve(other.len());
        self.records.reserve(other.counted);
        self.offsets.reserve(other.len());
        self.cases.reserve(other.len());
    }

    /// Adds sequence `number` of `other`, and the cases that follow it; returns its number here. All must be counted.
    pub fn add(&mut self, other: &Sequences, number: u32) -> u32 {
        self.reserve(1);
        let record = other.offsets[number as usize] as usize;
        let (hash, length) = other.head(record);
        let whole = &other.records[record..record + COUNTED_HEAD + length];
        let (slot, known) = self.find(hash, &whole[COUNTED_HEAD..]);
        let own = known.unwrap_or_else(|| {
            self.records.extend_from_slice(whole);
            self.counted = self.records.len();
            self.insert(slot, self.counted - whole.len())
        });
        self.cases[own as usize] += other.cases[number as usize];
        own
    }

    /// The number here of sequence `number` of `other`, if it is known. All must be counted.
    pub fn number_of(&self, other: &Sequences, number: u32) -> Option<u32> {
        let (hash, _) = other.head(other.offsets[number as usize] as usize);
        self.find(hash, other.get(number)).1
    }

    /// Appends all that is counted, to be read by [`Sequences::read`].
    pub fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&(self.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&(self.counted as u64).to_le_bytes());
        self.cases.iter().for_each(|cases| bytes.extend_from_slice(&cases.to_le_bytes()));
        bytes.extend_from_slice(&self.records[..self.counted]);
    }

    /// Reads what [`Sequences::write`] wrote, and returns what follows it; none where it was something else.
    pub fn read(bytes: &[u8]) -> Option<(Sequences, &[u8])> {
        let (n, bytes) = bytes.split_first_chunk::<8>()?;
        let (length, bytes) = bytes.split_first_chunk::<8>()?;
        let cases_bytes = usize::try_from(u64::from_le_bytes(*n)).ok()?.checked_mul(8)?;
        let (cases, bytes) = bytes.split_at_checked(cases_bytes)?;
        let (records, rest) = bytes.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
        let mut sequences = Sequences { records: records.to_vec(), counted: records.len(), ..Sequences::default() };
        sequences
            .cases
            .extend(cases.chunks_exact(8).map(|cases| u64::from_le_bytes(cases.try_into().unwrap_or_default())));
        let mut offset = 0;
        while offset < records.len() {
            let head = records.get(offset..offset + COUNTED_HEAD)?;
            sequences.offsets.push(offset as u32);
            offset += COUNTED_HEAD + u32::from_le_bytes(head[8..].try_into().ok()?) as usize;
        }
        if offset != records.len() || sequences.offsets.len() != sequences.cases.len() {
            return None;
        }
        sequences.reserve(0);
        Some((sequences, rest))
    }

    /// The bytes of sequence `number`.
    #[inline]
    pub fn get(&self, number: u32) -> &[u8] {
        let record = self.offsets[number as usize] as usize;
        let (_, length) = self.head(record);
        &self.records[record + COUNTED_HEAD..record + COUNTED_HEAD + length]
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.cases.len()
    }

    /// At least as many as there are distinct sequences, counted or not.
    pub fn most_rows(&self) -> u64 {
        (self.len() + self.uncounted) as u64
    }

    /// At least as many as they have events.
    pub fn most_events(&self) -> u64 {
        (self.records.len() - self.len() * COUNTED_HEAD - self.uncounted * HEAD) as u64
    }

    /// Whether more sequences fit.
    ///
    /// # Errors
    /// UNSUPPORTED beyond a GiB.
    pub fn check_room(&self) -> Result<()> {
        match self.records.len() > MOST_BYTES {
            true => Err(Error::unsupported("more than about 100 GiB of distinct variants")),
            false => Ok(()),
        }
    }

    /// Bytes held.
    pub fn size_bytes(&self) -> usize {
        self.records.len() + self.len() * (4 + 8) + self.slots.len() * 4
    }

    /// Gives back space that is not used.
    pub fn shrink(&mut self) {
        self.records.shrink_to_fit();
    }

    #[inline]
    fn array<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut array = [0; N];
        array.copy_from_slice(&self.records[at..at + N]);
        array
    }

    /// Hash and length of a counted record.
    #[inline]
    fn head(&self, record: usize) -> (u64, usize) {
        (u64::from_le_bytes(self.array(record)), u32::from_le_bytes(self.array(record + 8)) as usize)
    }

    /// The number of a sequence, if it is known, and where in the table it is or would be.
    #[inline]
    fn find(&self, hash: u64, bytes: &[u8]) -> (usize, Option<u32>) {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        while let Some(number) = self.slots[slot].checked_sub(1) {
            let record = self.offsets[number as usize] as usize;
            if self.head(record) == (hash, bytes.len()) && self.get(number) == bytes {
                return (slot, Some(number));
            }
            slot = (slot + 1) & mask;
        }
        (slot, None)
    }

    /// Makes the record at `offset` the next number's.
    #[inline]
    fn insert(&mut self, slot: usize, offset: usize) -> u32 {
        let number = self.offsets.len() as u32;
        self.offsets.push(offset as u32);
        self.cases.push(0);
        self.slots[slot] = number + 1;
        number
    }

    /// Makes room in the table for `more` sequences, should they all be new.
    fn reserve(&mut self, more: usize) {
        let wanted = ((self.len() + more) * 2).next_power_of_two().max(FEWEST_SLOTS);
        if wanted <= self.slots.len() {
            return;
        }
        self.slots.clear();
        self.slots.resize(wanted, 0);
        for number in 0..self.offsets.len() {
            let (hash, _) = self.head(self.offsets[number] as usize);
            let mut slot = hash as usize & (wanted - 1);
            while self.slots[slot] != 0 {
                slot = (slot + 1) & (wanted - 1);
            }
            self.slots[slot] = number as u32 + 1;
        }
    }
}

/// Appends codes as LEB128: one byte each below 128.
#[inline]
pub fn write_codes(codes: &[u32], bytes: &mut Vec<u8>) {
    for &code in codes {
        let mut rest = code;
        while rest >= 0x80 {
            bytes.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        bytes.push(rest as u8);
    }
}

/// Reads what [`write_codes`] wrote.
pub fn read_codes(bytes: &[u8]) -> impl Iterator<Item = u32> + '_ {
    let mut rest = bytes.iter();
    std::iter::from_fn(move || {
        let (mut code, mut shift) = (0u32, 0);
        loop {
            let &byte = rest.next()?;
            code |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(code);
            }
            shift += 7;
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_every_width_come_back() {
        let codes = [0, 1, 127, 128, 300, 16_383, 16_384, u32::MAX];
        let mut bytes = Vec::new();
        write_codes(&codes, &mut bytes);
        assert_eq!(read_codes(&bytes).collect::<Vec<u32>>(), codes);
    }

    fn pushed(sequences: &mut Sequences, hash: u64, bytes: &[u8], follower: Follower) {
        let padded = [b"..", bytes, &[0; PADDING]].concat();
        sequences.push(hash, &padded, 2, 2 + bytes.len(), follower);
    }

    #[test]
    fn equal_hashes_of_different_sequences_stay_apart() {
        let mut sequences = Sequences::default();
        let mut numbers = Vec::new();
        for bytes in [&b"ab"[..], b"ba", b"ab"] {
            pushed(&mut sequences, 7, bytes, Follower::default());
        }
        sequences.count(|_, number| numbers.push(number));
        assert_eq!((numbers, &sequences.cases[..], sequences.get(1)), (vec![0, 1, 0], &[2, 1][..], &b"ba"[..]));
    }

    #[test]
    fn sequences_of_every_length_are_counted_once_however_often_and_merged() {
        let long: Vec<u8> = (0..200).collect();
        let mut parts = [Sequences::default(), Sequences::default()];
        let mut followers = Vec::new();
        for i in 0..3000usize {
            let bytes = &long[..i * 7 % 200];
            let follower = Follower { case: i as u32, duration: -(i as i64) };
            pushed(&mut parts[i % 2], crate::hash::of_bytes(bytes), bytes, follower);
            if i % 311 < 2 {
                parts[i % 2].count(|follower, number| followers.push((follower, i % 2, number)));
            }
        }
        parts.iter_mut().enumerate().for_each(|(part, sequences)| {
            sequences.count(|follower, number| followers.push((follower, part, number)));
        });
        assert_eq!(followers.len(), 3000);
        for (follower, part, number) in followers {
            assert_eq!(follower.duration, -i64::from(follower.case));
            assert_eq!(parts[part].get(number), &long[..follower.case as usize * 7 % 200]);
        }
        for sequences in &parts {
            let mut bytes = vec![];
            sequences.write(&mut bytes);
            bytes.push(7);
            let (mut again, rest) = Sequences::read(&bytes).unwrap();
            assert_eq!((rest, &again.cases), (&[7][..], &sequences.cases));
            (0..sequences.len() as u32).for_each(|number| assert_eq!(again.add(sequences, number), number));
            assert!((0..bytes.len() - 1).all(|end| Sequences::read(&bytes[..end]).is_none()));
        }
        let [mut whole, other] = parts;
        for number in 0..other.len() as u32 {
            let own = whole.add(&other, number);
            assert_eq!(whole.get(own), other.get(number));
        }
        assert_eq!((whole.len(), whole.cases.iter().sum::<u64>()), (200, 3000));
    }
}
