//! From labels to numbers: activities become dense codes, case ids become 64-bit keys.
//!
//! An integer case id is its own key, exactly. A text id's key is its hash: whoever groups by keys must compare the
//! texts of equal keys before taking them for one case.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int64Type, UInt64Type};
use arrow_array::{Array, ArrayRef};
use arrow_buffer::ScalarBuffer;
use arrow_cast::cast;
use arrow_row::{RowConverter, SortField};
use arrow_schema::{DataType, SortOptions};

use crate::error::{Error, Result};
use crate::hash;
use crate::log::byte_list::ByteList;
use crate::log::labels::{KnownLabels, Labels};
use crate::log::normalise::EventBatch;
use crate::log::numbering::Numbering;
use crate::log::roles::EventTypes;
use crate::log::text::TextColumn;

/// A batch of events as numbers, in input order.
pub struct Encoded<'a> {
    /// Case key per event.
    pub keys: &'a [u64],
    /// Case id per event, where keys are hashes.
    pub ids: Option<&'a TextColumn>,
    /// Whether neighbours with different ids are known to have different keys.
    pub neighbours_differ: bool,
    /// Activity code per event.
    pub codes: &'a [u32],
    /// Timestamp per event, in ticks.
    pub times: &'a [i64],
    /// Start timestamp per event, in ticks.
    pub starts: Option<&'a [i64]>,
    /// Comparable bytes of the `order_by` columns per event.
    pub ties: Option<&'a ByteList>,
    /// Where the first event stands in the input; the others follow one by one.
    pub first_order: u64,
}

impl Encoded<'_> {
    /// Whether events `a` and `b` are of one case.
    #[inline]
    pub fn same_case(&self, a: usize, b: usize) -> bool {
        self.keys[a] == self.keys[b] && self.ids.is_none_or(|ids| ids.value(a) == ids.value(b))
    }

    /// How many maximal runs of events of one case there are.
    pub fn runs(&self) -> usize {
        let pairs = || self.keys.windows(2);
        let changes = pairs().map(|pair| usize::from(pair[0] != pair[1])).sum::<usize>();
        usize::from(!self.keys.is_empty()) + changes + self.hidden_starts().count()
    }

    /// Where runs begin that keys do not show, since neighbours with different ids have one: once in a very long time.
    pub fn hidden_starts(&self) -> impl Iterator<Item = usize> + '_ {
        let ids = self.ids.filter(|_| !self.neighbours_differ);
        ids.into_iter().flat_map(|ids| {
            (1..self.keys.len()).filter(|&at| self.keys[at - 1] == self.keys[at] && ids.value(at - 1) != ids.value(at))
        })
    }
}

/// Not yet looked up.
const UNKNOWN: u32 = u32::MAX;

/// Not yet hashed; a value that has this hash is hashed whenever it comes.
const NOT_HASHED: u64 = 0;

/// Hashes of a dictionary are remembered if it has at most so many times as many values as a batch has rows.
const REMEMBERED: usize = 4;

/// Encodes the batches that one thread reads.
pub struct Encoder<'a> {
    labels: KnownLabels<'a>,
    dictionary: Option<(ArrayRef, Vec<u32>)>,
    codes: Vec<u32>,
    numbering: Option<&'a Numbering>,
    keys: ScalarBuffer<u64>,
    ids: Option<TextColumn>,
    neighbours_differ: bool,
    hashes: Option<(ArrayRef, Vec<u64>)>,
    ties: Option<(RowConverter, ByteList)>,
}

/// The comparable bytes of -0.0 and 0.0 differ although they are equal numbers: adding zero leaves only the latter.
fn without_negative_zero(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Float64 => {
            Arc::new(column.as_primitive::<Float64Type>().unary::<_, Float64Type>(|value| value + 0.0))
        }
        DataType::Float32 => {
            Arc::new(column.as_primitive::<Float32Type>().unary::<_, Float32Type>(|value| value + 0.0))
        }
        _ => Arc::clone(column),
    }
}

impl<'a> Encoder<'a> {
    /// An encoder into the codes of `labels`, and of case ids into the numbers of `numbering` where there is one.
    ///
    /// # Errors
    /// INVALID_ARGUMENT for an `order_by` column of a type without an order.
    pub fn new(labels: &'a Labels, types: &EventTypes, numbering: Option<&'a Numbering>) -> Result<Encoder<'a>> {
        let options = SortOptions { descending: false, nulls_first: false };
        let fields = types.order.iter().map(|kind| SortField::new_with_options(kind.clone(), options)).collect();
        let ties = match types.order.is_empty() {
            true => None,
            false => {
                let converter = RowConverter::new(fields)
                    .map_err(|error| Error::argument(format!("order_by: this column type has no order: {error}")))?;
                Some((converter, ByteList::default()))
            }
        };
        Ok(Encoder {
            labels: KnownLabels::new(labels),
            dictionary: None,
            codes: Vec::new(),
            numbering,
            keys: ScalarBuffer::from(Vec::new()),
            ids: None,
            neighbours_differ: true,
            hashes: None,
            ties,
        })
    }

    /// Encodes `batch`, whose first event stands at `first_order` in the input.
    ///
    /// # Errors
    /// UNSUPPORTED beyond 2^32 activities; INVALID_ARGUMENT for columns that cannot be ordered by.
    pub fn encode<'b>(&'b mut self, batch: &'b EventBatch, first_order: u64) -> Result<Encoded<'b>> {
        self.encode_activities(&batch.activity)?;
        self.encode_cases(&batch.case)?;
        if let Some((converter, ties)) = &mut self.ties {
            let columns: Vec<ArrayRef> = batch.order.iter().map(without_negative_zero).collect();
            let rows =
                converter.convert_columns(&columns).map_err(|error| Error::argument(format!("order_by: {error}")))?;
            ties.clear();
            rows.iter().for_each(|row| ties.push(row.as_ref()));
        }
        Ok(Encoded {
            keys: &self.keys,
            ids: self.ids.as_ref(),
            neighbours_differ: self.neighbours_differ,
            codes: &self.codes,
            times: &batch.times,
            starts: batch.starts.as_deref(),
            ties: self.ties.as_ref().map(|(_, ties)| ties),
            first_order,
        })
    }

    fn encode_activities(&mut self, column: &ArrayRef) -> Result<()> {
        let text = TextColumn::new(column).ok_or_else(|| Error::internal("the activity is not text"))?;
        let mut codes = std::mem::take(&mut self.codes);
        codes.clear();
        match &text {
            TextColumn::Coded { keys, values, dictionary } => {
                let mut map = self.dictionary_map(dictionary);
                codes.extend(keys.iter().map(|&key| map[key as usize]));
                if codes.contains(&UNKNOWN) {
                    for (code, &key) in codes.iter_mut().zip(keys).filter(|(code, _)| **code == UNKNOWN) {
                        if map[key as usize] == UNKNOWN {
                            map[key as usize] = self.labels.code(values.value(key as usize))?;
                        }
                        *code = map[key as usize];
                    }
                }
                self.dictionary = Some((dictionary.clone(), map));
            }
            plain => {
                codes.reserve(plain.len());
                for row in 0..plain.len() {
                    codes.push(self.labels.code_again(plain.value(row))?);
                }
            }
        }
        self.codes = codes;
        Ok(())
    }

    /// The code per dictionary value found so far: kept while batches share their dictionary.
    fn dictionary_map(&mut self, dictionary: &ArrayRef) -> Vec<u32> {
        match self.dictionary.take() {
            Some((known, map)) if known.to_data().ptr_eq(&dictionary.to_data()) => map,
            _ => vec![UNKNOWN; dictionary.len().max(1)],
        }
    }

    fn encode_cases(&mut self, column: &ArrayRef) -> Result<()> {
        (self.ids, self.neighbours_differ) = (None, true);
        let plain = match column.data_type() {
            DataType::Dictionary(_, value) if value.is_integer() => {
                &cast(column, value).map_err(|error| Error::internal(error.to_string()))?
            }
            _ => column,
        };
        self.keys = match plain.data_type() {
            DataType::Int64 => {
                let values = plain.as_primitive::<Int64Type>().values();
                ScalarBuffer::new(values.inner().clone(), 0, values.len())
            }
            DataType::UInt64 => plain.as_primitive::<UInt64Type>().values().clone(),
            kind if kind.is_integer() => {
                let wide = cast(plain, &DataType::Int64).map_err(|error| Error::internal(error.to_string()))?;
                let values = wide.as_primitive::<Int64Type>().values();
                ScalarBuffer::new(values.inner().clone(), 0, values.len())
            }
            _ => {
                let text = TextColumn::new(plain).ok_or_else(|| Error::internal("the case id has no bytes"))?;
                let keys = match (&text, self.numbering) {
                    (TextColumn::Coded { keys, dictionary, .. }, Some(numbering)) if numbering.is_of(dictionary) => {
                        numbering.numbers(keys)
                    }
                    // A batch that has lost all its rows has lost its dictionary, too.
                    (text, Some(_)) if text.is_empty() => Vec::new(),
                    (_, Some(_)) => return Err(Error::internal("the rows do not share their dictionary after all")),
                    (TextColumn::Coded { keys, values, dictionary }, None) => {
                        let hashes = match self.hashes.take() {
                            Some((known, hashes)) if known.to_data().ptr_eq(&dictionary.to_data()) => hashes,
                            _ if values.len() <= keys.len() * REMEMBERED => vec![NOT_HASHED; values.len()],
                            _ => Vec::new(),
                        };
                        let (keys, hashes) = self.hash_coded(keys, values, hashes);
                        self.hashes = Some((dictionary.clone(), hashes));
                        keys
                    }
                    (text, None) => self.hash_plain(text),
                };
                self.ids = self.numbering.is_none().then_some(text);
                ScalarBuffer::from(keys)
            }
        };
        Ok(())
    }

    /// The hash of each row's id. One that is the same as the one before is not hashed again.
    fn hash_plain(&mut self, ids: &TextColumn) -> Vec<u64> {
        let (mut last_id, mut last_key) = (&[][..], hash::of_bytes(&[]));
        let mut neighbours_differ = true;
        let mut key_of = |id| {
            if id != last_id {
                let key = hash::of_bytes(id);
                neighbours_differ &= key != last_key;
                (last_id, last_key) = (id, key);
            }
            last_key
        };
        let keys = (0..ids.len()).map(|row| key_of(ids.value(row))).collect();
        self.neighbours_differ = neighbours_differ;
        keys
    }

    /// The hash of the value at each of the `indices`, by the `hashes` found so far.
    fn hash_coded(&mut self, indices: &[u32], values: &TextColumn, mut hashes: Vec<u64>) -> (Vec<u64>, Vec<u64>) {
        let (mut last_index, mut last_key) = (None, NOT_HASHED);
        let mut neighbours_differ = true;
        let mut key_of = |index: u32| {
            if last_index != Some(index) {
                let mut key = hashes.get(index as usize).copied().unwrap_or(NOT_HASHED);
                if key == NOT_HASHED {
                    key = hash::of_bytes(values.value(index as usize));
                    if let Some(known) = hashes.get_mut(index as usize) {
                        *known = key;
                    }
                }
                // Of two values that are equal, too.
                neighbours_differ &= key != last_key;
                (last_index, last_key) = (Some(index), key);
            }
            last_key
        };
        let keys = indices.iter().map(|&index| key_of(index)).collect();
        self.neighbours_differ = neighbours_differ;
        (keys, hashes)
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::StringArray;

    use super::*;

    fn runs(keys: &[u64], ids: Option<&[&str]>) -> usize {
        let column = ids.map(|ids| {
            let array: ArrayRef = Arc::new(StringArray::from(ids.to_vec()));
            TextColumn::new(&array).unwrap()
        });
        let (codes, times) = (vec![0; keys.len()], vec![0; keys.len()]);
        let ids = column.as_ref();
        let (neighbours_differ, first_order) = (false, 0);
        Encoded { keys, ids, neighbours_differ, codes: &codes, times: &times, starts: None, ties: None, first_order }
            .runs()
    }

    #[test]
    fn runs_end_where_the_case_changes() {
        assert_eq!(runs(&[], None), 0);
        assert_eq!(runs(&[5], None), 1);
        assert_eq!(runs(&[5, 5, 3, 5, 5], None), 3);
        // Equal hashes of different texts are two cases.
        assert_eq!(runs(&[5, 5, 3, 3], Some(&["a", "a", "b", "c"])), 3);
    }
}
