//! How are numbers put aside in few bytes? Each less the least of its block, counted in the largest unit that fits all of
//! them, in as many bytes as the largest needs.
//!
//! Case ids of a dense range and timestamps that are coarser than their type take half the bytes that way, which is as
//! much as the disk has less to do; hashes take as many as before. A column is a head (least, unit, bytes of a number) and
//! its numbers. Exact division is one multiplication with the inverse modulo 2^64, which tells, too, whether it is exact
//! (Granlund and Montgomery, "Division by invariant integers using multiplication", 1994, section 9).

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
pub const HEAD: usize = 24;

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
    let values = parts.clone().flatten().map(|value| value.widened());
    let (least, most) =
        values.clone().fold((i64::MAX, i64::MIN), |(least, most), value| (least.min(value), most.max(value)));
    let above = |value: i64| value.wrapping_sub(least) as u64;
    let unit = Unit::of(values.map(above));
    let width = if least > most { 0 } else { bytes_of(unit.count(above(most))) };
    for number in [least as u64, unit.size, width as u64] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    if width == 0 {
        return;
    }
    let mut at = bytes.len();
    let n: usize = parts.clone().map(<[T]>::len).sum();
    bytes.resize(at + packed_bytes(n, width), 0);
    for part in parts {
        for &value in part {
            // The next one overwrites what is too much.
            bytes[at..at + 8].copy_from_slice(&unit.count(above(value.widened())).to_le_bytes());
            at += width;
        }
    }
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
    let [least, unit, width] = [0, 8, 16].map(|at| u64_at(head, at));
    if width > 8 {
        return None;
    }
    let width = width as usize;
    let end = from + HEAD + packed_bytes(n, width);
    let packed = block.get(from + HEAD..end)?;
    let number = |packed: u64| T::narrowed((least as i64).wrapping_add(packed.wrapping_mul(unit) as i64));
    let values = match width {
        0 => vec![number(0); n],
        _ => {
            let mask = u64::MAX >> (u64::BITS as usize - width * 8);
            (0..n).map(|i| number(u64_at(packed, i * width) & mask)).collect()
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
    use super::*;

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
            check(&[17, 18, 17u64.wrapping_add((most >> 8) + 1)], width as usize);
        }
        check(&[i64::MIN, i64::MAX, 0, -1, 1], 8);
        check(&[-5i64, 250, 3, -4], 1);
        check(&[u32::MAX, 0, 7], 4);
        check(&[70_000u32, 70_255], 1);
    }

    #[test]
    fn times_are_counted_in_the_largest_unit_of_all() {
        for (unit, width) in [(1i64, 8), (1000, 7), (1_000_000, 6), (1_000_000_000, 5), (60_000_000_000, 5)] {
            let most = (1i64 << 62) / unit;
            let times: Vec<i64> = (0..50).map(|i| (most / 49 * i - most / 2) * unit + 333).collect();
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
