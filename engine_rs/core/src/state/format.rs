//! How is a state written down? As one table of rows of four kinds, so that it is one Arrow stream and one Arrow file.
//!
//! | `part` | columns that are not null |
//! |---|---|
//! | `activities` | `labels`: the labels, ascending; the place of each, from 0 and on through such rows, is its code |
//! | `variant` | `path`: its codes; `ticks` and `counts`: each duration of its cases, and how many have it |
//! | `edge` | `path`: two codes; `ticks` and `counts`: each gap, and how often it is there; `negatives` |
//! | `cases` | `ids`: ids of cases |
//!
//! What is long is cut into several rows, which add up. The metadata of the schema has the facts, as a JSON object with a
//! version, under [`FACTS`], and under [`CHECKSUM`] the CRC-32 of that text and of all values: whatever carried the state,
//! it is found out if anything was changed. Besides, the parts have to agree with each other and with the facts.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, UInt64Type};
use arrow_array::{Array, ListArray, RecordBatch, StringArray, UInt64Array};
use arrow_schema::{DataType, Field};
use serde::{Deserialize, Serialize};

use crate::cases::layout::Layout;
use crate::error::{Error, Result};
use crate::log::spec::Negative;
use crate::state::ids::{Ids, Kind};
use crate::state::{Facts, MOST};
use crate::units::Unit;

/// The version of the form that is written, and the only one that is read.
pub const VERSION: u64 = 1;
/// The member of the metadata with the facts.
pub const FACTS: &str = "pycjm.state";
/// The member of the metadata with the checksum.
pub const CHECKSUM: &str = "pycjm.state.crc32";
/// The member of the metadata with what errors call the state; whoever hands it over may set it.
pub const NAME: &str = "pycjm.state.name";

pub(super) const ACTIVITIES: &str = "activities";
pub(super) const VARIANT: &str = "variant";
pub(super) const EDGE: &str = "edge";
pub(super) const CASES: &str = "cases";

/// The facts as they are written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    version: u64,
    unit: String,
    zone: Option<String>,
    negative: Option<String>,
    layout: String,
    events: u64,
    cases: u64,
    first: Option<i64>,
    last: Option<i64>,
    tied_pairs: u64,
    cases_with_ties: u64,
    dropped_rows: [u64; 4],
    case_ids: Option<String>,
}

impl Document {
    pub(super) fn new(facts: &Facts, ids: Option<&Ids>) -> Document {
        Document {
            version: VERSION,
            unit: facts.unit.name().to_owned(),
            zone: facts.zone.as_deref().map(str::to_owned),
            negative: facts.starts.map(|negative| negative.name().to_owned()),
            layout: facts.layout.name().to_owned(),
            events: facts.events,
            cases: facts.cases,
            first: facts.span.map(|span| span.0),
            last: facts.span.map(|span| span.1),
            tied_pairs: facts.tied_pairs,
            cases_with_ties: facts.cases_with_ties,
            dropped_rows: facts.dropped,
            case_ids: ids.map(|ids| kind_name(ids.kind()).to_owned()),
        }
    }

    /// The facts and the kind of ids; none where a word is not known.
    pub(super) fn facts(&self) -> Option<(Facts, Option<Kind>)> {
        let layouts = [Layout::Case, Layout::Time, Layout::None];
        let counts = [self.events, self.cases, self.tied_pairs, self.cases_with_ties];
        if counts.iter().chain(&self.dropped_rows).any(|&count| count > MOST) {
            return None;
        }
        let facts = Facts {
            unit: Unit::parse(&self.unit).ok()?,
            zone: self.zone.as_deref().map(Arc::from),
            starts: match &self.negative {
                None => None,
                Some(name) => Some(Negative::parse(name)?),
            },
            layout: layouts.into_iter().find(|layout| layout.name() == self.layout)?,
            events: self.events,
            cases: self.cases,
            span: match (self.first, self.last) {
                (Some(first), Some(last)) if self.events > 0 => Some((first, last)),
                (None, None) if self.events == 0 => None,
                _ => return None,
            },
            tied_pairs: self.tied_pairs,
            cases_with_ties: self.cases_with_ties,
            dropped: self.dropped_rows,
        };
        let kind = match &self.case_ids {
            None => None,
            Some(name) => Some(KINDS.into_iter().find(|kind| kind_name(*kind) == name)?),
        };
        Some((facts, kind))
    }
}

const KINDS: [Kind; 4] = [Kind::Signed, Kind::Unsigned, Kind::Text, Kind::Binary];

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Signed => "int64",
        Kind::Unsigned => "uint64",
        Kind::Text => "utf8",
        Kind::Binary => "binary",
    }
}

fn list_of(kind: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("item", kind, false)))
}

/// The columns; ids are text where there are none.
pub(super) fn fields(kind: Option<Kind>) -> Vec<Field> {
    vec![
        Field::new("part", DataType::Utf8, false),
        Field::new("labels", list_of(DataType::Utf8), true),
        Field::new("path", list_of(DataType::UInt32), true),
        Field::new("ticks", list_of(DataType::Int64), true),
        Field::new("counts", list_of(DataType::UInt64), true),
        Field::new("negatives", DataType::UInt64, true),
        Field::new("ids", list_of(kind.unwrap_or(Kind::Text).data_type()), true),
    ]
}

/// The columns of a batch.
pub(super) struct Rows<'a> {
    pub(super) part: &'a StringArray,
    pub(super) labels: &'a ListArray,
    pub(super) path: &'a ListArray,
    pub(super) ticks: &'a ListArray,
    pub(super) counts: &'a ListArray,
    pub(super) negatives: &'a UInt64Array,
    pub(super) ids: &'a ListArray,
}

impl<'a> Rows<'a> {
    /// The columns, whose types were checked.
    pub(super) fn of(batch: &'a RecordBatch) -> Result<Rows<'a>> {
        let columns = batch.columns();
        let lists = || Error::data("a column of another type");
        let list = |i: usize| columns[i].as_list_opt::<i32>().ok_or_else(lists);
        Ok(Rows {
            part: columns[0].as_string_opt::<i32>().ok_or_else(lists)?,
            labels: list(1)?,
            path: list(2)?,
            ticks: list(3)?,
            counts: list(4)?,
            negatives: columns[5].as_primitive_opt::<UInt64Type>().ok_or_else(lists)?,
            ids: list(6)?,
        })
    }
}

/// The values of row `i` of a list of numbers; none where that is null, or a value in it.
pub(super) fn numbers_of<T: ArrowPrimitiveType>(list: &ListArray, i: usize) -> Option<&[T::Native]> {
    let values = list.values().as_primitive_opt::<T>().filter(|values| values.null_count() == 0)?;
    let (from, to) = (list.value_offsets()[i] as usize, list.value_offsets()[i + 1] as usize);
    list.is_valid(i).then(|| &values.values()[from..to])
}
