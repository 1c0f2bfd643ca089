//! Which number has a sequence of activities? Told apart by hash, then compared byte by byte.

use hashbrown::HashTable;

/// Distinct sequences in the order of first sight.
#[derive(Default)]
pub struct Sequences {
    slots: HashTable<(u64, u32)>,
    /// Hash by number.
    pub hashes: Vec<u64>,
    /// Cases by number.
    pub cases: Vec<u64>,
    ends: Vec<usize>,
    bytes: Vec<u8>,
}

impl Sequences {
    /// The number of a sequence (its bytes as written by [`write_codes`]) that `cases` more cases follow.
    #[inline]
    pub fn add(&mut self, hash: u64, sequence: &[u8], cases: u64) -> u32 {
        let (ends, bytes) = (&self.ends, &self.bytes);
        let same = |&(known, number): &(u64, u32)| known == hash && stretch(ends, bytes, number) == sequence;
        if let Some(&(_, number)) = self.slots.find(hash, same) {
            self.cases[number as usize] += cases;
            return number;
        }
        let number = self.cases.len() as u32;
        self.slots.insert_unique(hash, (hash, number), |&(hash, _)| hash);
        self.hashes.push(hash);
        self.cases.push(cases);
        self.bytes.extend_from_slice(sequence);
        self.ends.push(self.bytes.len());
        number
    }

    /// Makes room for `more` sequences of `bytes` bytes in all, should they all be new.
    pub fn reserve(&mut self, more: usize, bytes: usize) {
        self.slots.reserve(more, |&(hash, _)| hash);
        self.hashes.reserve(more);
        self.cases.reserve(more);
        self.ends.reserve(more);
        self.bytes.reserve(bytes);
    }

    /// The bytes of sequence `number`.
    #[inline]
    pub fn get(&self, number: u32) -> &[u8] {
        stretch(&self.ends, &self.bytes, number)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.cases.len()
    }

    /// Bytes held.
    pub fn size_bytes(&self) -> usize {
        self.bytes.len() + self.len() * (8 + 8 + 8 + 16)
    }
}

#[inline]
fn stretch<'a>(ends: &[usize], bytes: &'a [u8], number: u32) -> &'a [u8] {
    let from = if number == 0 { 0 } else { ends[number as usize - 1] };
    &bytes[from..ends[number as usize]]
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

    #[test]
    fn equal_hashes_of_different_sequences_stay_apart() {
        let mut sequences = Sequences::default();
        assert_eq!(sequences.add(7, b"ab", 1), 0);
        assert_eq!(sequences.add(7, b"ba", 1), 1);
        assert_eq!(sequences.add(7, b"ab", 2), 0);
        assert_eq!(sequences.cases, [3, 1]);
        assert_eq!(sequences.get(1), b"ba");
    }
}
