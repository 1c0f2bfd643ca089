//! The rows of `cases`, batch by batch.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BinaryArray, Float64Array, Int64Array, RecordBatch, RecordBatchReader, StringArray, UInt32Array,
    UInt64Array,
};
use arrow_cast::cast;
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};

use super::State;
use crate::context::Context;
use crate::error;
use crate::log::roles::EventTypes;
use crate::log::time::is_text;
use crate::stats::sorting;
use crate::units::ratio;

/// Everything that the rows of `cases` are made of.
pub struct CasesTable {
    states: Vec<State>,
    /// Per thread, variant rank per case, counted from 1.
    ranks: Vec<Vec<u32>>,
    /// Name, and values per thread.
    metrics: Vec<(String, Vec<Vec<f64>>)>,
    /// (thread, case) of every row.
    rows: Vec<(u32, u32)>,
    types: EventTypes,
    schema: SchemaRef,
}

const BATCH_ROWS: usize = 64 * 1024;

impl CasesTable {
    /// Puts the cases of all threads in input order.
    ///
    /// # Errors
    /// CANCELLED.
    pub fn new(
        states: Vec<State>,
        ranks: Vec<Vec<u32>>,
        metrics: Vec<(String, Vec<Vec<f64>>)>,
        types: EventTypes,
        context: &Context,
    ) -> error::Result<CasesTable> {
        let mut rows: Vec<(u32, u32)> = Vec::with_capacity(states.iter().map(|state| state.order.len()).sum());
        for (thread, state) in states.iter().enumerate() {
            rows.extend((0..state.order.len() as u32).map(|case| (thread as u32, case)));
        }
        let order = |&(thread, case): &(u32, u32)| states[thread as usize].order[case as usize];
        sorting::sort_by(&mut rows, |a, b| order(a).cmp(&order(b)), || context.check_cancelled())?;
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
        Ok(CasesTable { states, ranks, metrics, rows, types, schema })
    }

    /// A stream over all rows.
    pub fn reader(self: &Arc<CasesTable>) -> CasesReader {
        CasesReader { table: Arc::clone(self), next: 0 }
    }

    fn batch(&self, rows: &[(u32, u32)]) -> Result<RecordBatch, ArrowError> {
        let ticks = |value: fn(&State) -> &Vec<i64>| -> Result<ArrayRef, ArrowError> {
            let ticks = rows.iter().map(|&(thread, case)| value(&self.states[thread as usize])[case as usize]);
            cast(&(Arc::new(ticks.collect::<Int64Array>()) as ArrayRef), &self.types.timestamp())
        };
        let per_second = i128::from(self.types.unit.per_second());
        let events = rows.iter().map(|&(thread, case)| self.states[thread as usize].events[case as usize]);
        let durations = rows.iter().map(|&(thread, case)| {
            let state = &self.states[thread as usize];
            ratio(i128::from(state.last[case as usize] - state.first[case as usize]), per_second)
        });
        let ranks = rows.iter().map(|&(thread, case)| u64::from(self.ranks[thread as usize][case as usize]));
        let mut columns: Vec<ArrayRef> = vec![
            self.ids(rows)?,
            Arc::new(events.collect::<UInt32Array>()),
            ticks(|state| &state.first)?,
            ticks(|state| &state.last)?,
            Arc::new(durations.map(Some).collect::<Float64Array>()),
            Arc::new(ranks.collect::<UInt64Array>()),
        ];
        for (_, values) in &self.metrics {
            let values = rows.iter().map(|&(thread, case)| values[thread as usize][case as usize]);
            let column: Float64Array = values.map(|value| (!value.is_nan()).then_some(value)).collect();
            columns.push(Arc::new(column));
        }
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
    }

    fn ids(&self, rows: &[(u32, u32)]) -> Result<ArrayRef, ArrowError> {
        let bytes = |&(thread, case): &(u32, u32)| self.states[thread as usize].ids.get(case as usize);
        let keys = || rows.iter().map(|&(thread, case)| self.states[thread as usize].key[case as usize]);
        let ids: ArrayRef = match &self.types.case {
            DataType::UInt64 => Arc::new(keys().collect::<UInt64Array>()),
            kind if kind.is_integer() => Arc::new(keys().map(|key| key as i64).collect::<Int64Array>()),
            kind if is_text(kind) => {
                let text = |row| String::from_utf8_lossy(bytes(row));
                Arc::new(StringArray::from_iter_values(rows.iter().map(text)))
            }
            _ => Arc::new(BinaryArray::from_iter_values(rows.iter().map(bytes))),
        };
        if *arrow_array::Array::data_type(&ids) == self.types.case { Ok(ids) } else { cast(&ids, &self.types.case) }
    }
}

/// A stream of the rows of `cases`.
pub struct CasesReader {
    table: Arc<CasesTable>,
    next: usize,
}

impl Iterator for CasesReader {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rows = self.table.rows.get(self.next..(self.next + BATCH_ROWS).min(self.table.rows.len()))?;
        if rows.is_empty() {
            return None;
        }
        self.next += rows.len();
        Some(self.table.batch(rows))
    }
}

impl RecordBatchReader for CasesReader {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.table.schema)
    }
}
