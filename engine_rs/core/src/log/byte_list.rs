//! Many byte strings in two allocations.

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
