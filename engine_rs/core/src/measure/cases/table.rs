//! The rows of `cases`, batch by batch.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BinaryArray, Float64Array, Int64Array, RecordBatch, RecordBatchReader, StringArray, UInt32Array,
    UInt64Array,
};
use arrow_cast::cast;
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};

use super::State;
use super::aside::ranked;
use super::merge::{Merging, Runs};
use super::rows::Rows;
use crate::context::{Context, Step};
use crate::error;
use crate::log::byte_list::ByteList;
use crate::log::roles::EventTypes;
use crate::log::time::is_text;
use crate::stats::sorting;
use crate::units::ratio;

/// Everything that the rows of `cases` are made of.
pub struct CasesTable {
    source: Source,
    types: EventTypes,
    schema: SchemaRef,
}

/// Where the rows are.
enum Source {
    Memory(Held),
    Disk(Runs),
}

/// Knows the rank of the variant that each case follows.
pub trait Ranks: Sync {
    /// In how many parts the cases come.
    fn parts(&self) -> usize;

    /// Hands out the cases of a part: the thread, the case's number there, and the rank, counted from 1.
    ///
    /// # Errors
    /// MEMORY_LIMIT; IO.
    fn each_case(&self, part: usize, take: &mut dyn FnMut(usize, u32, u32)) -> error::Result<()>;
}

/// Rows in memory, as threads have folded them.
struct Held {
    states: Vec<State<'static>>,
    /// Per thread, variant rank per case, counted from 1.
    ranks: Vec<Vec<u32>>,
    /// Values per thread, by metric.
    metrics: Vec<Vec<Vec<f64>>>,
    /// (thread, case) of every row.
    rows: Vec<(u32, u32)>,
}

/// Some rows, column by column.
pub struct Columns {
    key: Vec<u64>,
    ids: ByteList,
    events: Vec<u32>,
    first: Vec<i64>,
    last: Vec<i64>,
    ranks: Vec<u32>,
    metrics: Vec<Vec<f64>>,
}

const BATCH_ROWS: usize = 64 * 1024;

impl CasesTable {
    /// Puts the cases of all threads in input order; `metrics` are the names and the values per thread. Where some cases
    /// were put aside, all have to be.
    ///
    /// # Errors
    /// CANCELLED; MEMORY_LIMIT; IO.
    pub fn new(
        states: Vec<State<'_>>,
        metrics: Vec<(String, Vec<Vec<f64>>)>,
        of_variants: &dyn Ranks,
        types: EventTypes,
        context: &Context,
    ) -> error::Result<CasesTable> {
        let mut fields = vec![
            types.case_field(),
            Field::new("events", DataType::UInt32, false),
            Field::new("first_ts", types.timestamp(), false),
            Field::new("last_ts", types.timestamp(), false),
            Field::new("duration_s", DataType::Float64, false),
            Field::new("variant_rank", DataType::UInt64, false),
        ];
        fields.extend(metrics.iter().map(|(name, _)| Field::new(name, DataType::Float64, true)));
        let schema = Arc::new(Schema::new(fields));
        let (states, asides): (Vec<_>, Vec<_>) = states.into_iter().map(State::split).unzip();
        let asides: Option<Vec<_>> = asides.into_iter().collect();
        let source = match asides.zip(context.spill()).filter(|(asides, _)| !asides.is_empty()) {
            Some((asides, spill)) => Source::Disk(ranked(asides, spill, of_variants, context)?),
            None => {
                let metrics = metrics.into_iter().map(|(_, values)| values).collect();
                Source::Memory(Held::new(states, metrics, of_variants, context)?)
            }
        };
        Ok(CasesTable { source, types, schema })
    }

    /// How many rows there are.
    fn row_count(&self) -> u64 {
        match &self.source {
            Source::Memory(held) => held.rows.len() as u64,
            Source::Disk(runs) => runs.cases(),
        }
    }

    /// A stream over all rows.
    pub fn reader(self: &Arc<CasesTable>) -> CasesReader {
        CasesReader { table: Arc::clone(self), done: 0, merging: Merging::default() }
    }

    fn batch(&self, columns: Columns) -> Result<RecordBatch, ArrowError> {
        let per_second = i128::from(self.types.unit.per_second());
        let ticks = columns.first.iter().zip(&columns.last);
        let durations = ticks.map(|(first, last)| ratio(i128::from(last - first), per_second));
        let durations = durations.map(Some).collect::<Float64Array>();
        let ranks = columns.ranks.iter().map(|&rank| u64::from(rank));
        let time = |ticks: Vec<i64>| cast(&Int64Array::from(ticks), &self.types.timestamp());
        let mut arrays: Vec<ArrayRef> = vec![
            self.ids(columns.key, &columns.ids)?,
            Arc::new(UInt32Array::from(columns.events)),
            time(columns.first)?,
            time(columns.last)?,
            Arc::new(durations),
            Arc::new(ranks.collect::<UInt64Array>()),
        ];
        for values in columns.metrics {
            let column: Float64Array = values.into_iter().map(|value| (!value.is_nan()).then_some(value)).collect();
            arrays.push(Arc::new(column));
        }
        RecordBatch::try_new(Arc::clone(&self.schema), arrays)
    }

    fn ids(&self, keys: Vec<u64>, texts: &ByteList) -> Result<ArrayRef, ArrowError> {
        let texts = || (0..texts.len()).map(|row| texts.get(row));
        let ids: ArrayRef = match &self.types.case {
            DataType::UInt64 => Arc::new(UInt64Array::from(keys)),
            kind if kind.is_integer() => Arc::new(keys.into_iter().map(|key| key as i64).collect::<Int64Array>()),
            kind if is_text(kind) => Arc::new(StringArray::from_iter_values(texts().map(String::from_utf8_lossy))),
            _ => Arc::new(BinaryArray::from_iter_values(texts())),
        };
        if *arrow_array::Array::data_type(&ids) == self.types.case { Ok(ids) } else { cast(&ids, &self.types.case) }
    }
}

impl Held {
    fn new(
        states: Vec<State<'static>>,
        metrics: Vec<Vec<Vec<f64>>>,
        of_variants: &dyn Ranks,
        context: &Context,
    ) -> error::Result<Held> {
        let cases: usize = states.iter().map(|state| state.order.len()).sum();
        // Their ranks, and their order.
        let _reserved = context.reserve_for_now(Step::Cases, (cases * (4 + 8)) as u64)?;
        let mut ranks: Vec<Vec<u32>> = states.iter().map(|state| vec![0; state.order.len()]).collect();
        for part in 0..of_variants.parts() {
            context.check_cancelled()?;
            of_variants.each_case(part, &mut |thread, case, rank| ranks[thread][case as usize] = rank)?;
        }
        let mut rows: Vec<(u32, u32)> = Vec::with_capacity(cases);
        for (thread, state) in states.iter().enumerate() {
            rows.extend((0..state.order.len() as u32).map(|case| (thread as u32, case)));
        }
        let order = |&(thread, case): &(u32, u32)| states[thread as usize].order[case as usize];
        sorting::sort_by(&mut rows, |a, b| order(a).cmp(&order(b)), || context.check_cancelled())?;
        Ok(Held { states, ranks, metrics, rows })
    }

    fn columns(&self, rows: &[(u32, u32)]) -> Columns {
        let state = |&(thread, case): &(u32, u32)| (&self.states[thread as usize], case as usize);
        let mut ids = ByteList::default();
        for (state, case) in rows.iter().map(state).filter(|(state, _)| !state.ids.is_empty()) {
            ids.push(state.ids.get(case));
        }
        let values = |values: &Vec<Vec<f64>>| {
            rows.iter().map(|&(thread, case)| values[thread as usize][case as usize]).collect()
        };
        Columns {
            key: rows.iter().map(state).map(|(state, case)| state.key[case]).collect(),
            ids,
            events: rows.iter().map(state).map(|(state, case)| state.events[case]).collect(),
            first: rows.iter().map(state).map(|(state, case)| state.first[case]).collect(),
            last: rows.iter().map(state).map(|(state, case)| state.last[case]).collect(),
            ranks: rows.iter().map(|&(thread, case)| self.ranks[thread as usize][case as usize]).collect(),
            metrics: self.metrics.iter().map(values).collect(),
        }
    }
}

impl Columns {
    /// No rows, with so many metrics.
    pub fn new(metrics: usize) -> Columns {
        let (key, events, first, last, ranks) = (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Columns { key, ids: ByteList::default(), events, first, last, ranks, metrics: vec![Vec::new(); metrics] }
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.key.len()
    }

    /// Adds the case `at` of `rows`.
    pub fn push(&mut self, rows: &Rows, at: usize) {
        self.key.push(rows.key[at]);
        if !rows.ids.is_empty() {
            self.ids.push(rows.ids.get(at));
        }
        self.events.push(rows.events[at]);
        self.first.push(rows.first[at]);
        self.last.push(rows.last[at]);
        self.ranks.push(rows.ranks[at]);
        self.metrics.iter_mut().zip(&rows.metrics).for_each(|(own, values)| own.push(values[at]));
    }
}

/// A stream of the rows of `cases`.
pub struct CasesReader {
    table: Arc<CasesTable>,
    done: u64,
    merging: Merging,
}

impl Iterator for CasesReader {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let left = usize::try_from(self.table.row_count() - self.done).unwrap_or(BATCH_ROWS).min(BATCH_ROWS);
        if left == 0 {
            return None;
        }
        let columns = match &self.table.source {
            Source::Memory(held) => Ok(held.columns(&held.rows[self.done as usize..][..left])),
            Source::Disk(runs) => self.merging.take(left, runs),
        };
        self.done += left as u64;
        let failed = |error| ArrowError::IoError(format!("{error}"), std::io::Error::other("cases"));
        Some(columns.map_err(failed).and_then(|columns| self.table.batch(columns)))
    }
}

impl RecordBatchReader for CasesReader {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.table.schema)
    }
}
