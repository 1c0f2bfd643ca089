//! Some cases as bytes: what is put aside and comes back.
//!
//! Columns of 8 bytes go first, then those of 4, then text, so that each is aligned where it is read.

use arrow_buffer::{ArrowNativeType, Buffer, ScalarBuffer, ToByteSlice};

use super::State;
use crate::error::{Error, Result};
use crate::log::byte_list::ByteList;

/// Some cases, read back.
pub struct Rows {
    /// Where each one's first event stands in the input.
    pub order: ScalarBuffer<u64>,
    /// Integer id, or hash of the text id.
    pub key: ScalarBuffer<u64>,
    /// First time in ticks.
    pub first: ScalarBuffer<i64>,
    /// Last time in ticks.
    pub last: ScalarBuffer<i64>,
    /// Values by metric.
    pub metrics: Vec<ScalarBuffer<f64>>,
    /// Events.
    pub events: ScalarBuffer<u32>,
    /// Rank of the variant, where that is known.
    pub ranks: ScalarBuffer<u32>,
    /// Text ids, where ids are text.
    pub ids: ByteList,
}

/// The columns of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// How many case metrics there are.
    pub metrics: usize,
    /// Whether ids are text.
    pub ids: bool,
    /// Whether ranks are there.
    pub ranks: bool,
}

/// Bytes of all cases of `state`, with the values of their metrics.
pub fn of_state(state: &State<'_>, metrics: &[&[f64]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    append(&mut bytes, &state.order);
    append(&mut bytes, &state.key);
    append(&mut bytes, &state.first);
    append(&mut bytes, &state.last);
    metrics.iter().for_each(|values| append(&mut bytes, values));
    append(&mut bytes, &state.events);
    append_texts(&mut bytes, (0..state.ids.len()).map(|i| state.ids.get(i)));
    bytes
}

fn append<T: ArrowNativeType>(bytes: &mut Vec<u8>, values: &[T]) {
    bytes.extend_from_slice(values.to_byte_slice());
}

fn append_texts<'a>(bytes: &mut Vec<u8>, texts: impl Iterator<Item = &'a [u8]> + Clone) {
    texts.clone().for_each(|text| bytes.extend_from_slice(&(text.len() as u32).to_ne_bytes()));
    texts.for_each(|text| bytes.extend_from_slice(text));
}

impl Rows {
    /// The `n` cases that `bytes` are.
    ///
    /// # Errors
    /// INTERNAL where they are something else.
    pub fn read(bytes: &Buffer, n: usize, form: Form) -> Result<Rows> {
        let mut reader = Reader { bytes, at: 0 };
        let rows = (|| {
            Some(Rows {
                order: reader.next(n)?,
                key: reader.next(n)?,
                first: reader.next(n)?,
                last: reader.next(n)?,
                metrics: (0..form.metrics).map(|_| reader.next(n)).collect::<Option<_>>()?,
                events: reader.next(n)?,
                ranks: reader.next(if form.ranks { n } else { 0 })?,
                ids: match form.ids {
                    false => ByteList::default(),
                    true => ByteList::from_lengths(&reader.next::<u32>(n)?, &bytes[reader.at..])?,
                },
            })
        })();
        rows.ok_or_else(|| Error::internal("cases that were put aside have another form than they were given"))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Bytes of the cases `places`, in that order, with their ranks.
    pub fn write(&self, places: &[u32], ranks: &[u32], form: Form) -> Vec<u8> {
        let mut bytes = Vec::new();
        gather(&mut bytes, &self.order, places);
        gather(&mut bytes, &self.key, places);
        gather(&mut bytes, &self.first, places);
        gather(&mut bytes, &self.last, places);
        self.metrics.iter().for_each(|values| gather(&mut bytes, values, places));
        gather(&mut bytes, &self.events, places);
        gather(&mut bytes, ranks, places);
        if form.ids {
            append_texts(&mut bytes, places.iter().map(|&place| self.ids.get(place as usize)));
        }
        bytes
    }
}

fn gather<T: ArrowNativeType>(bytes: &mut Vec<u8>, values: &[T], places: &[u32]) {
    places.iter().for_each(|&place| append(bytes, &values[place as usize..=place as usize]));
}

/// Reads column after column.
struct Reader<'a> {
    bytes: &'a Buffer,
    at: usize,
}

impl Reader<'_> {
    fn next<T: ArrowNativeType>(&mut self, n: usize) -> Option<ScalarBuffer<T>> {
        let length = n.checked_mul(size_of::<T>())?;
        let end = self.at.checked_add(length).filter(|&end| end <= self.bytes.len())?;
        let values = ScalarBuffer::new(self.bytes.slice_with_length(self.at, length), 0, n);
        self.at = end;
        Some(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_come_back_in_any_order_and_cut_ones_are_refused() {
        for with_ids in [false, true] {
            let mut state = State { order: vec![9, 4, 7], key: vec![1, 2, u64::MAX], ..State::default() };
            (state.first, state.last, state.events) = (vec![-1, 0, 1], vec![5, 6, i64::MIN], vec![1, 2, 3]);
            if with_ids {
                ["a", "", "xyz"].iter().for_each(|id| state.ids.push(id.as_bytes()));
            }
            let raw = Form { metrics: 2, ids: with_ids, ranks: false };
            let bytes = of_state(&state, &[&[0.5, f64::NAN, -0.0], &[1.0, 2.0, 3.0]]);
            assert!(Rows::read(&Buffer::from(&bytes[..bytes.len() - 1]), 3, raw).is_err());
            let rows = Rows::read(&Buffer::from_vec(bytes), 3, raw).unwrap();
            assert_eq!((&rows.order[..], &rows.last[..], rows.len()), (&state.order[..], &state.last[..], 3));
            let ranked = Form { ranks: true, ..raw };
            let sorted = rows.write(&[1, 2, 0], &[30, 10, 20], ranked);
            let sorted = Rows::read(&Buffer::from_vec(sorted), 3, ranked).unwrap();
            assert_eq!((&sorted.order[..], &sorted.ranks[..]), (&[4, 7, 9][..], &[10, 20, 30][..]));
            assert_eq!((&sorted.key[..], &sorted.events[..]), (&[2, u64::MAX, 1][..], &[2, 3, 1][..]));
            assert!(sorted.metrics[0][0].is_nan() && sorted.metrics[1][..] == [2.0, 3.0, 1.0]);
            if with_ids {
                assert_eq!((0..3).map(|i| sorted.ids.get(i)).collect::<Vec<_>>(), [&b""[..], b"xyz", b"a"]);
            }
        }
    }
}
