//! In which order do the events of a case come? By timestamp, then `order_by`, then input position: a total order.

use std::ops::Range;

use crate::cases::network;
use crate::context::Context;
use crate::error::Result;
use crate::log::byte_list::ByteList;
use crate::stats::sorting;

/// Space for the reordered events of a batch, used again and again.
#[derive(Default)]
pub struct Orderer {
    ordered: Columns,
    scratch: Columns,
    places: Vec<u32>,
    packed: Vec<u64>,
}

/// Copies of columns.
#[derive(Default)]
struct Columns {
    codes: Vec<u32>,
    times: Vec<i64>,
    starts: Vec<i64>,
}

impl Columns {
    fn copy(&mut self, codes: &[u32], times: &[i64], starts: Option<&[i64]>) {
        self.codes.clear();
        self.codes.extend_from_slice(codes);
        self.times.clear();
        self.times.extend_from_slice(times);
        self.starts.clear();
        self.starts.extend_from_slice(starts.unwrap_or(&[]));
    }
}

/// Cases up to this long are sorted by insertion, and those up to a few more by a network.
const SHORT: usize = 4;
const FEW: usize = 32;

/// Events ordered between two looks at the cancel flag.
const LONG: usize = 1 << 18;

/// The columns of a batch after ordering.
pub struct Ordered<'a> {
    /// Activity code per event.
    pub codes: &'a [u32],
    /// Timestamp per event.
    pub times: &'a [i64],
    /// Start timestamp per event.
    pub starts: Option<&'a [i64]>,
}

impl Orderer {
    /// Orders the events of each case. `offsets` cut the columns into cases; columns that are in order already are
    /// handed back as they are.
    ///
    /// # Errors
    /// CANCELLED.
    pub fn order<'a>(
        &'a mut self,
        offsets: &[u32],
        codes: &'a [u32],
        times: &'a [i64],
        starts: Option<&'a [i64]>,
        ties: Option<&ByteList>,
        context: &Context,
    ) -> Result<Ordered<'a>> {
        let Some(first) = first_unordered(offsets, times, ties) else { return Ok(Ordered { codes, times, starts }) };
        let mut ordered = std::mem::take(&mut self.ordered);
        ordered.copy(codes, times, starts);
        let own_starts = starts.is_some().then_some(&mut ordered.starts[..]);
        self.order_in_place(&offsets[first..], &mut ordered.codes, &mut ordered.times, own_starts, ties, context)?;
        self.ordered = ordered;
        let Columns { codes, times, starts: own_starts } = &self.ordered;
        Ok(Ordered { codes, times, starts: starts.map(|_| &own_starts[..]) })
    }

    /// As [`Orderer::order`], in the columns themselves.
    ///
    /// # Errors
    /// CANCELLED.
    pub fn order_in_place(
        &mut self,
        offsets: &[u32],
        codes: &mut [u32],
        times: &mut [i64],
        mut starts: Option<&mut [i64]>,
        ties: Option<&ByteList>,
        context: &Context,
    ) -> Result<()> {
        let mut unchecked = 0;
        for pair in offsets.windows(2) {
            let (from, to) = (pair[0] as usize, pair[1] as usize);
            unchecked += to - from;
            if unchecked > LONG {
                context.check_cancelled()?;
                unchecked = 0;
            }
            if in_order(&times[from..to], from, ties) {
                continue;
            }
            if ties.is_none() && starts.is_none() {
                if to - from <= FEW {
                    sort_few(codes, times, from..to);
                    continue;
                }
                self.sort_plain(&mut codes[from..to], &mut times[from..to], context)?;
                continue;
            }
            self.scratch.copy(&codes[from..to], &times[from..to], starts.as_deref().map(|starts| &starts[from..to]));
            self.find_places(times, from, to, ties, context)?;
            for (to, &place) in (from..to).zip(&self.places) {
                codes[to] = self.scratch.codes[place as usize - from];
                times[to] = self.scratch.times[place as usize - from];
                if let Some(starts) = &mut starts {
                    starts[to] = self.scratch.starts[place as usize - from];
                }
            }
        }
        Ok(())
    }

    /// Orders one case that has nothing but activities and times.
    fn sort_plain(&mut self, codes: &mut [u32], times: &mut [i64], context: &Context) -> Result<()> {
        let least = times.iter().copied().min().unwrap_or(0);
        let span = times.iter().map(|&time| time.wrapping_sub(least) as u64).max().unwrap_or(0);
        let bits = usize::BITS - times.len().leading_zeros();
        self.scratch.copy(codes, times, None);
        if bits <= span.leading_zeros() {
            // Time and position in one number: all differ, so the fastest sort is stable enough.
            self.packed.clear();
            let pack = |(at, &time): (usize, &i64)| (time.wrapping_sub(least) as u64) << bits | at as u64;
            self.packed.extend(times.iter().enumerate().map(pack));
            match self.packed.len() <= LONG {
                true => self.packed.sort_unstable(),
                false => sorting::sort_by(&mut self.packed, u64::cmp, || context.check_cancelled())?,
            }
            for ((code, time), &packed) in codes.iter_mut().zip(times).zip(&self.packed) {
                *code = self.scratch.codes[(packed & ((1 << bits) - 1)) as usize];
                *time = least.wrapping_add((packed >> bits) as i64);
            }
            return Ok(());
        }
        self.find_places(times, 0, times.len(), None, context)?;
        for ((code, time), &place) in codes.iter_mut().zip(times).zip(&self.places) {
            *code = self.scratch.codes[place as usize];
            *time = self.scratch.times[place as usize];
        }
        Ok(())
    }

    /// The places of the events `from..to` in their order.
    fn find_places(
        &mut self,
        times: &[i64],
        from: usize,
        to: usize,
        ties: Option<&ByteList>,
        context: &Context,
    ) -> Result<()> {
        self.places.clear();
        self.places.extend(from as u32..to as u32);
        let check = || context.check_cancelled();
        // Stable, so that the input position decides last.
        match ties {
            None => sorting::sort_by(&mut self.places, |&a, &b| times[a as usize].cmp(&times[b as usize]), check),
            Some(ties) => {
                let compare = |&a: &u32, &b: &u32| {
                    let (a, b) = (a as usize, b as usize);
                    times[a].cmp(&times[b]).then_with(|| ties.get(a).cmp(ties.get(b)))
                };
                sorting::sort_by(&mut self.places, compare, check)
            }
        }
    }
}

/// Orders the few events in `case`.
#[inline]
fn sort_few(codes: &mut [u32], times: &mut [i64], case: Range<usize>) {
    let sorted = match case.len() {
        ..=SHORT => false,
        5..=8 => sort_by_network::<8>(codes, times, case.clone()),
        9..=16 => sort_by_network::<16>(codes, times, case.clone()),
        _ => sort_by_network::<FEW>(codes, times, case.clone()),
    };
    if !sorted {
        insertion_sort(&mut codes[case.clone()], &mut times[case]);
    }
}

/// Zeros for events, then all ones for what stands behind a case.
const BEHIND: [u64; 2 * FEW] = {
    let mut behind = [0; 2 * FEW];
    let mut at = FEW;
    while at < behind.len() {
        behind[at] = u64::MAX;
        at += 1;
    }
    behind
};

/// Orders up to `N` events, or brings them into an order in which those of one time are as they were: where times are too
/// far apart, or nothing stands behind the case. Returns whether they are ordered. `N` events are read at any rate, so
/// that all loops but the last are of a length that is known.
#[inline]
fn sort_by_network<const N: usize>(codes: &mut [u32], times: &mut [i64], case: Range<usize>) -> bool {
    let (Some(&of_codes), Some(&of_times), Some(behind)) = (
        codes[case.start..].first_chunk::<N>(),
        times[case.start..].first_chunk::<N>(),
        BEHIND[FEW - case.len()..].first_chunk::<N>(),
    ) else {
        return false;
    };
    // The time after the first one's and the position in one number, all different, those before the first one lower.
    const SIGN: u64 = 1 << 63;
    let mut words = [0; N];
    for (at, (word, (&time, &behind))) in words.iter_mut().zip(of_times.iter().zip(behind)).enumerate() {
        let after = time.wrapping_sub(of_times[0]) as u64;
        *word = (after << N.trailing_zeros()) ^ (SIGN | at as u64) | behind;
    }
    network::sort(&mut words);
    let (mut ordered, mut last) = (true, i64::MIN);
    for ((code, time), word) in codes[case.clone()].iter_mut().zip(&mut times[case]).zip(words) {
        let at = word as usize % N;
        (*code, *time) = (of_codes[at], of_times[at]);
        ordered &= last <= *time;
        last = *time;
    }
    ordered
}

fn insertion_sort(codes: &mut [u32], times: &mut [i64]) {
    for i in 1..times.len() {
        let (code, time) = (codes[i], times[i]);
        let mut at = i;
        while at > 0 && times[at - 1] > time {
            times[at] = times[at - 1];
            codes[at] = codes[at - 1];
            at -= 1;
        }
        times[at] = time;
        codes[at] = code;
    }
}

fn first_unordered(offsets: &[u32], times: &[i64], ties: Option<&ByteList>) -> Option<usize> {
    offsets.windows(2).position(|pair| {
        let (from, to) = (pair[0] as usize, pair[1] as usize);
        !in_order(&times[from..to], from, ties)
    })
}

#[inline]
fn in_order(times: &[i64], from: usize, ties: Option<&ByteList>) -> bool {
    match ties {
        None => times.is_sorted(),
        Some(ties) => times
            .windows(2)
            .enumerate()
            .all(|(i, pair)| pair[0] < pair[1] || (pair[0] == pair[1] && ties.get(from + i) <= ties.get(from + i + 1))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ties_go_by_order_bytes_then_by_position() {
        let mut ties = ByteList::default();
        [&b"z"[..], b"b", b"a", b"a", b"c"].iter().for_each(|tie| ties.push(tie));
        let (codes, times) = ([0, 1, 2, 3, 4], [5, 7, 7, 7, 1]);
        let mut orderer = Orderer::default();
        let starts = [10, 11, 12, 13, 14];
        let ordered = orderer.order(&[0, 5], &codes, &times, Some(&starts), Some(&ties), &Context::new()).unwrap();
        assert_eq!(ordered.codes, [4, 0, 2, 3, 1]);
        assert_eq!(ordered.times, [1, 5, 7, 7, 7]);
        assert_eq!(ordered.starts.unwrap(), [14, 10, 12, 13, 11]);
    }

    #[test]
    fn only_unordered_cases_move() {
        let (codes, times) = ([0, 1, 2, 3], [3, 4, 2, 1]);
        let (mut orderer, context) = (Orderer::default(), Context::new());
        let mut ordered = |offsets: &[u32], n: usize| {
            orderer.order(offsets, &codes[..n], &times[..n], None, None, &context).unwrap().codes.to_vec()
        };
        assert_eq!(ordered(&[0, 2, 4], 4), [0, 1, 3, 2]);
        assert_eq!(ordered(&[0, 2], 2), [0, 1]);
        assert_eq!(ordered(&[0], 0), [0u32; 0]);
    }

    #[test]
    fn a_very_long_case_is_ordered_the_same_way() {
        let n = 2 * LONG + 77;
        let times: Vec<i64> = (0..n as i64).map(|i| i * 7_919 % 40_009).collect();
        // Far apart, they do not fit into one number with their positions.
        let wide: Vec<i64> = times.iter().map(|time| time * (i64::MAX / 40_009)).collect();
        let codes: Vec<u32> = (0..n as u32).collect();
        let mut expected = codes.clone();
        expected.sort_by_key(|&code| times[code as usize]);
        let (mut orderer, context) = (Orderer::default(), Context::new());
        for (times, starts) in [(&times, None), (&wide, None), (&times, Some(&wide[..]))] {
            let ordered = orderer.order(&[0, n as u32], &codes, times, starts, None, &context).unwrap();
            assert!(ordered.codes == expected && ordered.times.is_sorted());
        }
        context.cancel();
        assert!(orderer.order(&[0, n as u32], &codes, &times, None, None, &context).is_err());
    }

    fn check_order(offsets: &[u32], times: &[i64]) {
        let codes: Vec<u32> = (0..times.len() as u32).collect();
        let mut expected = codes.clone();
        for pair in offsets.windows(2) {
            expected[pair[0] as usize..pair[1] as usize].sort_by_key(|&code| times[code as usize]);
        }
        let mut orderer = Orderer::default();
        let ordered = orderer.order(offsets, &codes, times, None, None, &Context::new()).unwrap();
        assert_eq!(ordered.codes, expected);
        assert!(ordered.times.iter().zip(&expected).all(|(&time, &code)| time == times[code as usize]));
    }

    #[test]
    fn times_at_both_ends_are_ordered_in_cases_of_every_length() {
        for length in 1..80 {
            for times in [[i64::MAX, i64::MIN, 0, -1], [i64::MIN, i64::MAX, i64::MAX, i64::MIN], [3, 2, 3, 1]] {
                let times: Vec<i64> = times.into_iter().cycle().take(3 * length).collect();
                check_order(&[0, length as u32, 2 * length as u32, 3 * length as u32], &times);
            }
        }
    }

    proptest! {
        #[test]
        fn cases_are_ordered_by_time_then_by_position(
            cases in prop::collection::vec(prop::collection::vec(-9i64..9, 1..70), 1..20), shift in 0u32..60
        ) {
            let times: Vec<i64> = cases.iter().flatten().map(|time| time << shift).collect();
            let mut offsets = vec![0];
            cases.iter().for_each(|case| offsets.push(offsets[offsets.len() - 1] + case.len() as u32));
            check_order(&offsets, &times);
        }
    }
}
