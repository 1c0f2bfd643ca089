//! Which cases have been seen, so that none is counted twice? Their ids, in order.

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt64Type};
use arrow_array::{Array, ArrayRef, BinaryArray, Int64Array, StringArray, UInt64Array};
use arrow_schema::DataType;
use std::sync::Arc;

use crate::cases::batch::CaseBatch;
use crate::context::{Context, Step};
use crate::error::{Error, Result};
use crate::log::byte_list::ByteList;
use crate::log::time::is_text;
use crate::stats::sorting;

/// What ids are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Integers that may be negative.
    Signed,
    /// Integers that may be beyond 2^63.
    Unsigned,
    /// Texts.
    Text,
    /// Bytes.
    Binary,
}

impl Kind {
    /// The kind of ids of this type.
    pub fn of(kind: &DataType) -> Kind {
        match kind {
            DataType::Dictionary(_, value) => Kind::of(value),
            DataType::UInt64 => Kind::Unsigned,
            kind if kind.is_integer() => Kind::Signed,
            kind if is_text(kind) => Kind::Text,
            _ => Kind::Binary,
        }
    }

    /// The type of a column of ids.
    pub fn data_type(self) -> DataType {
        match self {
            Kind::Signed => DataType::Int64,
            Kind::Unsigned => DataType::UInt64,
            Kind::Text => DataType::Utf8,
            Kind::Binary => DataType::Binary,
        }
    }

    /// Whether they are integers.
    pub fn is_integer(self) -> bool {
        matches!(self, Kind::Signed | Kind::Unsigned)
    }

    fn word(self) -> &'static str {
        match self {
            Kind::Signed | Kind::Unsigned => "integers",
            Kind::Text => "texts",
            Kind::Binary => "binary",
        }
    }
}

/// The ids of many cases.
#[derive(Clone, Debug)]
pub struct Ids {
    kind: Kind,
    /// Integer ids, moved so that they compare as they should.
    keys: Vec<u64>,
    texts: ByteList,
}

/// An id that is in two lists, and which lists those are.
type Twice = (String, usize, usize);

/// Moves signed integers among the unsigned ones, and back.
const SIGN: u64 = 1 << 63;

impl Ids {
    /// No ids yet.
    pub fn new(kind: Kind) -> Ids {
        Ids { kind, keys: Vec::new(), texts: ByteList::default() }
    }

    /// What they are.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        if self.kind.is_integer() { self.keys.len() } else { self.texts.len() }
    }

    /// Bytes held.
    pub fn size_bytes(&self) -> u64 {
        (self.keys.capacity() * size_of::<u64>() + self.texts.size_bytes()) as u64
    }

    /// Takes in the ids of some cases.
    pub fn fold(&mut self, batch: &CaseBatch<'_>) {
        match self.kind {
            Kind::Signed => self.keys.extend(batch.keys.iter().map(|key| key ^ SIGN)),
            Kind::Unsigned => self.keys.extend_from_slice(batch.keys),
            _ => (0..batch.cases()).filter_map(|i| batch.id(i)).for_each(|id| self.texts.push(id)),
        }
    }

    /// Takes in a column of them.
    ///
    /// # Errors
    /// INVALID_DATA for a column of another type or with nulls.
    pub fn extend(&mut self, column: &ArrayRef) -> Result<()> {
        if *column.data_type() != self.kind.data_type() || column.null_count() > 0 {
            return Err(Error::data("case ids of another type"));
        }
        match self.kind {
            Kind::Signed => {
                self.keys.extend(column.as_primitive::<Int64Type>().values().iter().map(|&id| id as u64 ^ SIGN));
            }
            Kind::Unsigned => self.keys.extend_from_slice(column.as_primitive::<UInt64Type>().values()),
            Kind::Text => column.as_string::<i32>().iter().flatten().for_each(|id| self.texts.push(id.as_bytes())),
            Kind::Binary => column.as_binary::<i32>().iter().flatten().for_each(|id| self.texts.push(id)),
        }
        Ok(())
    }

    /// The ids `from..to` as a column.
    pub fn column(&self, from: usize, to: usize) -> ArrayRef {
        let texts = || (from..to).map(|i| self.texts.get(i));
        match self.kind {
            Kind::Signed => {
                Arc::new(Int64Array::from_iter_values(self.keys[from..to].iter().map(|k| (k ^ SIGN) as i64)))
            }
            Kind::Unsigned => Arc::new(UInt64Array::from_iter_values(self.keys[from..to].iter().copied())),
            Kind::Text => Arc::new(StringArray::from_iter_values(texts().map(String::from_utf8_lossy))),
            Kind::Binary => Arc::new(BinaryArray::from_iter_values(texts())),
        }
    }

    /// Bytes of id `i` in a column.
    pub fn width(&self, i: usize) -> usize {
        if self.kind.is_integer() { size_of::<u64>() } else { self.texts.get(i).len() }
    }

    /// All ids of several lists, in order; or the first id that is in two, and in which.
    ///
    /// # Errors
    /// MEMORY_LIMIT; CANCELLED.
    pub fn union(parts: &[Ids], context: &Context) -> Result<std::result::Result<Ids, Twice>> {
        let all: usize = parts.iter().map(Ids::len).sum();
        // With its part, and up to half as much space to sort in.
        let _reserved = context.reserve_for_now(Step::State, (all * size_of::<(u64, usize)>() * 3 / 2) as u64)?;
        let check = || context.check_cancelled();
        let mut whole = Ids::new(parts.first().map_or(Kind::Signed, |first| first.kind));
        if whole.kind.is_integer() {
            let of_part = |(number, part): (usize, &Ids)| part.keys.iter().map(move |&key| (key, number)).collect();
            let mut all: Vec<(u64, usize)> =
                parts.iter().enumerate().flat_map(|part| -> Vec<_> { of_part(part) }).collect();
            sorting::sort_by(&mut all, Ord::cmp, check)?;
            if let Some(pair) = all.windows(2).find(|pair| pair[0].0 == pair[1].0) {
                let key = pair[0].0;
                let id = if whole.kind == Kind::Signed { ((key ^ SIGN) as i64).to_string() } else { key.to_string() };
                return Ok(Err((id, pair[0].1, pair[1].1)));
            }
            whole.keys = all.into_iter().map(|(key, _)| key).collect();
            return Ok(Ok(whole));
        }
        let of_part = |(number, part): (usize, &Ids)| (0..part.len()).map(move |i| (number, i)).collect();
        let mut all: Vec<(usize, usize)> =
            parts.iter().enumerate().flat_map(|part| -> Vec<_> { of_part(part) }).collect();
        let id = |&(part, i): &(usize, usize)| parts[part].texts.get(i);
        sorting::sort_by(&mut all, |a, b| id(a).cmp(id(b)), check)?;
        if let Some(pair) = all.windows(2).find(|pair| id(&pair[0]) == id(&pair[1])) {
            let text = match whole.kind {
                Kind::Text => format!("{:?}", String::from_utf8_lossy(id(&pair[0]))),
                _ => id(&pair[0]).iter().map(|byte| format!("{byte:02x}")).collect(),
            };
            return Ok(Err((text, pair[0].0, pair[1].0)));
        }
        all.iter().for_each(|place| whole.texts.push(id(place)));
        Ok(Ok(whole))
    }

    /// The same ids as another kind of integer; none where one does not fit, or where it is another kind of thing.
    pub fn converted(mut self, kind: Kind) -> std::result::Result<Ids, String> {
        if self.kind == kind {
            return Ok(self);
        }
        if !self.kind.is_integer() || !kind.is_integer() {
            return Err(format!(
                "the case ids of the first are {}, those of the second {}",
                kind.word(),
                self.kind.word()
            ));
        }
        // Both ways the ids have to lie where the two ranges meet; then only what they were moved by differs.
        let moved = |key: u64| if self.kind == Kind::Signed { key >= SIGN } else { key < SIGN };
        if !self.keys.iter().all(|&key| moved(key)) {
            return Err("the case ids of both do not fit into one type of 64 bits".to_owned());
        }
        self.keys.iter_mut().for_each(|key| *key ^= SIGN);
        self.kind = kind;
        Ok(self)
    }

    /// Whether all ids may be signed integers.
    pub fn fits_signed(&self) -> bool {
        self.kind == Kind::Signed || self.kind == Kind::Unsigned && self.keys.iter().all(|&key| key < SIGN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(column: ArrayRef) -> Ids {
        let mut ids = Ids::new(Kind::of(column.data_type()));
        ids.extend(&column).unwrap();
        ids
    }

    #[test]
    fn ids_come_in_order_and_one_in_two_lists_is_found() {
        let one = of(Arc::new(Int64Array::from(vec![5, -7, i64::MIN])));
        let two = of(Arc::new(Int64Array::from(vec![0, i64::MAX])));
        let both = union(&[one.clone(), two.clone()]).unwrap();
        let expected: ArrayRef = Arc::new(Int64Array::from(vec![i64::MIN, -7, 0, 5, i64::MAX]));
        assert_eq!(&both.column(0, both.len()), &expected);
        assert_eq!(union(&[two, both]).unwrap_err(), ("0".to_owned(), 0, 1));
        let texts = of(Arc::new(StringArray::from(vec!["b", "", "a"])));
        let expected: ArrayRef = Arc::new(StringArray::from(vec!["", "a"]));
        assert_eq!(&union(std::slice::from_ref(&texts)).unwrap().column(0, 2), &expected);
        assert_eq!(union(&[one_text("c"), texts, one_text("a")]).unwrap_err(), ("\"a\"".to_owned(), 1, 2));
        let binary = of(Arc::new(BinaryArray::from_vec(vec![b"\xff\0"])));
        assert_eq!(union(&[binary.clone(), binary]).unwrap_err().0, "ff00");
    }

    fn union(parts: &[Ids]) -> std::result::Result<Ids, Twice> {
        Ids::union(parts, &Context::new()).unwrap()
    }

    fn one_text(text: &str) -> Ids {
        of(Arc::new(StringArray::from(vec![text])))
    }

    #[test]
    fn integers_of_both_kinds_meet_where_they_fit() {
        let signed = of(Arc::new(Int64Array::from(vec![3])));
        let unsigned = of(Arc::new(UInt64Array::from(vec![3])));
        let huge = of(Arc::new(UInt64Array::from(vec![u64::MAX])));
        let negative = of(Arc::new(Int64Array::from(vec![-3])));
        assert!(unsigned.fits_signed() && !huge.fits_signed() && !one_text("3").fits_signed());
        assert!(union(&[signed.clone(), unsigned.converted(Kind::Signed).unwrap()]).is_err());
        assert!(union(&[huge.clone(), signed.clone().converted(Kind::Unsigned).unwrap()]).is_ok());
        assert!(huge.converted(Kind::Signed).is_err() && negative.converted(Kind::Unsigned).is_err());
        assert!(signed.converted(Kind::Text).unwrap_err().contains("integers"));
    }
}
