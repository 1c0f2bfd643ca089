//! The one row of `durations`.

use arrow_array::RecordBatch;

use super::State;
use crate::error::Result;
use crate::measure::columns::{batch, counts};
use crate::measure::statistics::{Sieved, spread};
use crate::stats::asked::Asked;
use crate::stats::moments::Moments;
use crate::stats::quantile::Percentile;
use crate::units::Unit;

/// Merges the threads' states.
pub fn finish(states: Vec<State>, asked: &[Percentile], unit: Unit) -> Sieved {
    let mut moments = Moments::default();
    states.iter().for_each(|state| moments.merge(&state.moments));
    Sieved::new(moments, states.into_iter().map(|state| state.kept), asked, unit)
}

/// The durations table.
///
/// # Errors
/// INTERNAL if the columns do not fit together.
pub fn table(durations: &Sieved, asked: &Asked, unit: Unit) -> Result<RecordBatch> {
    let described = &durations.description;
    let mut columns = vec![counts("n", std::iter::once(described.moments.n()))];
    columns.extend(spread(&[described], asked, unit));
    batch(columns)
}
