//! The one row of `durations`.

use arrow_array::RecordBatch;

use crate::error::Result;
use crate::measure::columns::{batch, counts};
use crate::measure::statistics::{Description, spread};
use crate::stats::quantile::Percentile;
use crate::stats::ranks::Ranks;
use crate::units::Unit;

/// The durations table, out of the durations per thread.
///
/// # Errors
/// INTERNAL if the columns do not fit together.
pub fn table(durations: &[&[i64]], asked: &[Percentile], unit: Unit) -> Result<RecordBatch> {
    let described = Description::of(durations, asked, unit, &mut Ranks::default());
    let mut columns = vec![counts("n", std::iter::once(described.moments.n()))];
    columns.extend(spread(&[&described], asked, unit));
    batch(columns)
}
