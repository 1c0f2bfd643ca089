//! The one row of `overview`.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray, StructArray, UInt64Array};
use arrow_cast::cast;
use arrow_schema::{DataType, Field};

use super::State;
use crate::cases::layout::Layout;
use crate::error::{Error, Result};
use crate::log::normalise::REQUIRED;
use crate::log::roles::EventTypes;
use crate::measure::columns::batch;

/// What the other folds count for the overview.
pub struct Totals {
    /// Distinct activities.
    pub activities: u64,
    /// Distinct variants.
    pub variants: u64,
    /// Distinct edges.
    pub edges: u64,
    /// Rows left out per role.
    pub dropped: [u64; 4],
    /// The layout.
    pub layout: Layout,
}

/// The overview table.
///
/// # Errors
/// INTERNAL if the columns do not fit together.
pub fn table(state: &State, totals: &Totals, types: &EventTypes) -> Result<RecordBatch> {
    let count = |name: &str, value: u64| {
        (Field::new(name, DataType::UInt64, false), Arc::new(UInt64Array::from(vec![value])) as ArrayRef)
    };
    let time = |name: &str, tick: i64| -> Result<(Field, ArrayRef)> {
        let ticks: ArrayRef = Arc::new(Int64Array::from(vec![(state.events > 0).then_some(tick)]));
        let column = cast(&ticks, &types.timestamp()).map_err(|error| Error::internal(error.to_string()))?;
        Ok((Field::new(name, types.timestamp(), true), column))
    };
    let roles = if types.has_start { 4 } else { 3 };
    let dropped: Vec<(Arc<Field>, ArrayRef)> = (0..roles)
        .map(|role| count(REQUIRED[role], totals.dropped[role]))
        .map(|(field, column)| (Arc::new(field), column))
        .collect();
    let dropped = StructArray::from(dropped);
    let columns = vec![
        count("events", state.events),
        count("cases", state.cases),
        count("activities", totals.activities),
        count("variants", totals.variants),
        count("edges", totals.edges),
        time("first_ts", state.first)?,
        time("last_ts", state.last)?,
        count("tied_pairs", state.tied_pairs),
        count("cases_with_ties", state.cases_with_ties),
        (Field::new("dropped_rows", dropped.data_type().clone(), false), Arc::new(dropped) as ArrayRef),
        (
            Field::new("layout", DataType::Utf8, false),
            Arc::new(StringArray::from(vec![totals.layout.name()])) as ArrayRef,
        ),
    ];
    batch(columns)
}
