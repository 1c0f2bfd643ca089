//! How are numbers put aside in few bytes? Each less the least of its block, counted in the largest unit that fits all of
//! them, in as many bytes as the largest needs; or, where that takes fewer, each less the one before it.
//!
//! Case ids of a dense range, and timestamps that are in order or coarser than their type, take half the bytes that way,
//! which is as much as the disk has less to do; hashes take as many as before. Keys that come again and again, as in a log
//! by time, are written once, with their places among all others. A column is a head (least, unit, bytes of a number and
//! whether they are steps, the first number) and its numbers. Exact division is one multiplication with the inverse modulo
//! 2^64, which tells, too, whether it is exact (Granlund and Montgomery, "Division by invariant integers using
//! multiplication", 1994, section 9).

use crate::cases::table::CaseTable;

/// A number that can be packed.
pub trait Number: Copy {
    /// The number; those of one type keep their order, or all differences modulo 2^64.
    fn widened(self) -> i64;

    /// The number of which that was made.
    fn narrowed(wide: i64) -> Self;
}

impl Number for u32 {
    #[inline]
    fn widened(self) -> i64 {
        i64::from(self)
    }

    #[inline]
    fn narrowed(wide: i64) -> u32 {
        wide as u32
    }
}

impl Number for u64 {
    #[inline]
    fn widened(self) -> i64 {
        self as i64
    }

    #[inline]
    fn narrowed(wide: i64) -> u64 {
        wide as u64
    }
}

impl Number for i64 {
    #[inline]
    fn widened(self) -> i64 {
        self
    }

    #[inline]
    fn narrowed(wide: i64) -> i64 {
        wide
    }
}

/// Bytes at the head of a column.
pub const HEAD: usize = 32;

/// Beside the bytes of a number, where it is the step from the one before.
const STEPS: u64 = 0x100;

/// What timestamps in nanoseconds or less may be multiples of: seconds, milli- and microseconds.
const UNITS: [u64; 3] = [1_000_000_000, 1_000_000, 1_000];

/// A unit to count in.
#[derive(Clone, Copy)]
struct Unit {
    size: u64,
    /// The inverse of its odd part modulo 2^64.
    inverse: u64,
    /// How often two divides it.
    twos: u32,
}

impl Unit {
    fn new(size: u64) -> Unit {
        let twos = size.trailing_zeros();
        let odd = size >> twos;
        // Newton's method: three bits are right at first, and each step doubles them.
        let inverse = (0..5).fold(odd, |inverse, _| inverse.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(inverse))));
        Unit { size, inverse, twos }
    }

    /// How many of it are in `number`, if that is a whole number.
    #[inline]
    fn count(self, number: u64) -> u64 {
        number.wrapping_mul(self.inverse).rotate_right(self.twos)
    }

    /// The largest that all of `numbers` are multiples of.
    fn of(numbers: impl Iterator<Item = u64> + Clone) -> Unit {
        let fits = |unit: &Unit| {
            let most = u64::MAX / unit.size;
            numbers.clone().all(|number| unit.count(number) <= most)
        };
        UNITS.into_iter().map(Unit::new).find(fits).unwrap_or(Unit::new(1))
    }
}

/// Adds the numbers of all `parts` to `bytes`, as one column.
pub fn pack<'a, T: Number + 'a>(parts: impl Iterator<Item = &'a [T]> + Clone, bytes: &mut Vec<u8>) {
    let mut values: Vec<i64> = Vec::with_capacity(parts.clone().map(<[T]>::len).sum());
    parts.for_each(|part| values.extend(part.iter().map(|value| value.widened())));
    let first = values.first().copied().unwrap_or(0);
    let range = Range::of(values.iter().copied());
    let steps = Range::of(values.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).chain([0]));
    let unit = Unit::of(values.iter().map(|&value| range.above(value)));
    let [width, of_steps] = [&range, &steps].map(|range| bytes_of(unit.count(range.span())));
    // Of multiples of a unit, moved by the least of them, the steps are such multiples, too, and so is what they are more
    // than the least step; unless they have gone beyond what numbers there are.
    let by_steps = of_steps < width && range.span() <= i64::MAX as u64;
    let (least, width) = if by_steps { (steps.least, of_steps) } else { (range.least, width) };
    let form = width as u64 | if by_steps { STEPS } else { 0 };
    for number in [least as u64, unit.size, form, first as u64] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    if width == 0 {
        return;
    }
    let from = bytes.len();
    bytes.resize(from + packed_bytes(values.len(), width), 0);
    let mut put = |i: usize, above: i64| {
        // The next one overwrites what is too much.
        let at = from + i * width;
        bytes[at..at + 8].copy_from_slice(&unit.count(above.wrapping_sub(least) as u64).to_le_bytes());
    };
    if by_steps {
        put(0, 0);
        values.windows(2).enumerate().for_each(|(i, pair)| put(i + 1, pair[1].wrapping_sub(pair[0])));
    } else {
        values.iter().enumerate().for_each(|(i, &value)| put(i, value));
    }
}

/// The least and the most of some numbers.
struct Range {
    least: i64,
    most: i64,
}

impl Range {
    fn of(values: impl Iterator<Item = i64>) -> Range {
        let none = Range { least: i64::MAX, most: i64::MIN };
        values.fold(none, |range, value| Range { least: range.least.min(value), most: range.most.max(value) })
    }

    #[inline]
    fn above(&self, value: i64) -> u64 {
        value.wrapping_sub(self.least) as u64
    }

    fn span(&self) -> u64 {
        if self.least > self.most { 0 } else { self.above(self.most) }
    }
}

/// Keys that come again and again: each once, and their places. Used again and again by one thread.
#[derive(Default)]
pub struct Repeats {
    table: CaseTable,
    places: Vec<u32>,
    /// Columns in a row for which that did not pay.
    in_vain: u32,
}

/// Keys come as often as that at least where it pays.
const OFTEN: usize = 2;

/// After so many columns in vain, only one in so many is tried.
const TRIES: u32 = 8;
const SELDOM: u32 = 64;

impl Repeats {
    /// Adds the keys of all `parts` to `bytes`, as one column.
    pub fn pack<'a>(&mut self, parts: impl Iterator<Item = &'a [u64]> + Clone, bytes: &mut Vec<u8>) {
        let is_tried = self.in_vain < TRIES || self.in_vain.is_multiple_of(SELDOM);
        if is_tried && self.find(parts.clone()) {
            self.in_vain = 0;
            let keys = self.table.keys();
            bytes.extend_from_slice(&(keys.len() as u64).to_le_bytes());
            pack([keys].into_iter(), bytes);
            pack([&self.places[..]].into_iter(), bytes);
        } else {
            self.in_vain = self.in_vain.saturating_add(1);
            bytes.extend_from_slice(&0u64.to_le_bytes());
            pack(parts, bytes);
        }
    }

    /// Finds the distinct keys and their places. Returns whether they are few.
    fn find<'a>(&mut self, parts: impl Iterator<Item = &'a [u64]> + Clone) -> bool {
        self.table.clear();
        self.places.clear();
        self.places.resize(parts.clone().map(<[u64]>::len).sum(), 0);
        let mut places = &mut self.places[..];
        for part in parts {
            let of_part = places.split_off_mut(..part.len()).unwrap_or_default();
            self.table.number_all(part, of_part);
        }
        self.table.cases() * OFTEN <= self.places.len() && !self.places.is_empty()
    }
}

/// The `n` keys of the column at `from` of `block`, and where it ends; none where the block ends before, or a place is none.
pub fn unpack_repeats(block: &[u8], from: usize, n: usize) -> Option<(Vec<u64>, usize)> {
    let distinct = usize::try_from(u64_at(block.get(from..from.checked_add(8)?)?, 0)).ok()?;
    if distinct == 0 {
        return unpack(block, from + 8, n);
    }
    if distinct > n {
        return None;
    }
    let (keys, end) = unpack::<u64>(block, from + 8, distinct)?;
    let (places, end) = unpack::<u32>(block, end, n)?;
    let keys = places.into_iter().map(|place| keys.get(place as usize).copied()).collect::<Option<_>>()?;
    Some((keys, end))
}

/// Bytes that `number` needs.
fn bytes_of(number: u64) -> usize {
    (u64::BITS - number.leading_zeros()).div_ceil(u8::BITS) as usize
}

/// Bytes of `n` numbers of `width` bytes: each is written and read as eight.
fn packed_bytes(n: usize, width: usize) -> usize {
    if n == 0 || width == 0 { 0 } else { n.saturating_mul(width).saturating_add(8 - width) }
}

/// The `n` numbers of the column at `from` of `block`, and where it ends; none where the block ends before.
pub fn unpack<T: Number>(block: &[u8], from: usize, n: usize) -> Option<(Vec<T>, usize)> {
    let head = block.get(from..from.checked_add(HEAD)?)?;
    let [least, unit, form, first] = [0, 8, 16, 24].map(|at| u64_at(head, at));
    let (by_steps, width) = (form & STEPS != 0, form & !STEPS);
    if width > 8 {
        return None;
    }
    let width = width as usize;
    let end = from + HEAD + packed_bytes(n, width);
    let packed = block.get(from + HEAD..end)?;
    let number = |packed: u64| (least as i64).wrapping_add(packed.wrapping_mul(unit) as i64);
    // A column without bytes has the same number again and again.
    let mask = u64::MAX.checked_shr((u64::BITS as usize - width * 8) as u32).unwrap_or(0);
    let packed = |i: usize| if width == 0 { 0 } else { u64_at(packed, i * width) & mask };
    let values = match by_steps {
        false if width == 0 => vec![T::narrowed(number(0)); n],
        false => (0..n).map(|i| T::narrowed(number(packed(i)))).collect(),
        true => {
            let mut last = first as i64;
            let mut next = |step: i64| {
                last = last.wrapping_add(step);
                T::narrowed(last)
            };
            (0..n).map(|i| next(number(packed(i)))).collect()
        }
    };
    Some((values, end))
}

#[inline]
fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut eight = [0; 8];
    eight.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(eight)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::hash;

    fn packed<T: Number>(parts: &[&[T]]) -> Vec<u8> {
        let mut bytes = vec![7; 3];
        pack(parts.iter().copied(), &mut bytes);
        bytes
    }

    fn check<T: Number + PartialEq + std::fmt::Debug>(values: &[T], width: usize) {
        let middle = values.len() / 3;
        let bytes = packed(&[&values[..middle], &[], &values[middle..]]);
        let n = values.len();
        assert_eq!(bytes.len(), 3 + HEAD + if width == 0 { 0 } else { n * width + 8 - width }, "{values:?}");
        let (read, end) = unpack::<T>(&bytes, 3, n).unwrap();
        assert_eq!((&read[..], end), (values, bytes.len()));
        for cut in 3..bytes.len() {
            assert!(unpack::<T>(&bytes[..cut], 3, n).is_none(), "{cut}");
        }
    }

    #[test]
    fn numbers_come_back_in_as_few_bytes_as_their_range_needs() {
        check::<u64>(&[], 0);
        check(&[u64::MAX; 5], 0);
        for width in 1..=8u32 {
            let most = u64::MAX >> (64 - 8 * width);
            check(&[17, 18, 17u64.wrapping_add(most), 17 + most / 2], width as usize);
            check(&[18, 17u64.wrapping_add((most >> 8) + 1), 17], width as usize);
        }
        check(&[i64::MIN, i64::MAX, 0, -1, 1], 8);
        check(&[-5i64, 250, 3, -4], 1);
        check(&[u32::MAX, 0, 7], 4);
        check(&[70_000u32, 70_255], 1);
    }

    #[test]
    fn numbers_in_order_take_the_bytes_of_their_steps() {
        for (step, width) in [(1i64, 1), (255, 1), (1 << 20, 3), (1_000_000, 1), (60_000_000, 1), (1 << 55, 7)] {
            let times: Vec<i64> = (0..120).map(|i| i * step - 7).collect();
            check(&times, width);
            let falling: Vec<i64> = times.iter().rev().copied().collect();
            check(&falling, width);
        }
        // From one end of all numbers to the other, steps would not come back.
        check(&[i64::MIN, -1, i64::MAX - 5, i64::MAX], 8);
    }

    #[test]
    fn keys_that_come_again_are_written_once() {
        let keys: Vec<u64> = (0..3000).map(|i| hash::of_key(i % 700)).collect();
        let (mut repeats, mut bytes) = (Repeats::default(), Vec::new());
        repeats.pack([&keys[..1000], &keys[1000..]].into_iter(), &mut bytes);
        assert!(bytes.len() < 700 * 8 + 3000 * 2 + 100, "{}", bytes.len());
        let (read, end) = unpack_repeats(&bytes, 0, keys.len()).unwrap();
        assert!(read == keys && end == bytes.len());
        assert!((0..bytes.len()).all(|cut| unpack_repeats(&bytes[..cut], 0, keys.len()).is_none()));
        // A place that is none is told.
        let mut damaged = 1u64.to_le_bytes().to_vec();
        pack([&[5u64][..]].into_iter(), &mut damaged);
        pack([&[0u32, 1][..]].into_iter(), &mut damaged);
        assert!(unpack_repeats(&damaged, 0, 2).is_none());
    }

    proptest! {
        #[test]
        fn any_numbers_come_back(
            parts in prop::collection::vec(prop::collection::vec(any::<i64>(), 0..30), 0..6), shift in 0u32..64, by in 1i64..2000,
        ) {
            let parts: Vec<Vec<i64>> =
                parts.iter().map(|part| part.iter().map(|value| (value >> shift).wrapping_mul(by)).collect()).collect();
            let mut bytes = vec![9; 5];
            pack(parts.iter().map(Vec::as_slice), &mut bytes);
            let values = parts.concat();
            prop_assert_eq!(unpack::<i64>(&bytes, 5, values.len()), Some((values, bytes.len())));
        }

        #[test]
        fn any_keys_come_back_column_after_column(
            columns in prop::collection::vec(prop::collection::vec(0u64..40, 0..60), 0..90),
        ) {
            let (mut repeats, mut bytes) = (Repeats::default(), Vec::new());
            columns.iter().for_each(|keys| repeats.pack(keys.chunks(7), &mut bytes));
            let mut at = 0;
            for keys in columns {
                let (read, end) = unpack_repeats(&bytes, at, keys.len()).unwrap();
                prop_assert_eq!(read, keys);
                at = end;
            }
            prop_assert_eq!(at, bytes.len());
        }
    }

    #[test]
    fn times_are_counted_in_the_largest_unit_of_all() {
        for (unit, width) in [(1i64, 8), (1000, 7), (1_000_000, 6), (1_000_000_000, 5), (60_000_000_000, 5)] {
            let most = (1i64 << 62) / unit;
            let times: Vec<i64> = (0..50).map(|i| (most / 49 * (i * 27 % 50) - most / 2) * unit + 333).collect();
            let expected = if unit == 60_000_000_000 { 5 } else { width };
            check(&times, expected);
            let mut one_off = times;
            one_off[20] += 1;
            check(&one_off, 8);
        }
        let thousands = Unit::new(1000);
        for number in (0..5000).chain(u64::MAX - 5000..=u64::MAX) {
            let whole = thousands.count(number) <= u64::MAX / 1000;
            assert_eq!(whole, number % 1000 == 0, "{number}");
            assert!(!whole || thousands.count(number) == number / 1000);
        }
    }
}
