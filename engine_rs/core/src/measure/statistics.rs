//! Which columns describe a set of durations, and in which order? The same ones in every table that has them.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array};
use arrow_schema::{DataType, Field};

use crate::stats::moments::Moments;
use crate::stats::quantile::{Percentile, of_ticks};
use crate::units::{Unit, ratio};

/// The description of one set of durations.
#[derive(Clone, Debug)]
pub struct Description {
    /// Count, sum, extremes, deviation.
    pub moments: Moments,
    /// The asked percentiles in seconds; empty where there is no duration.
    pub percentiles: Vec<f64>,
}

impl Description {
    /// Describes `values` (reordered on the way).
    pub fn of(values: &mut [i64], asked: &[Percentile], unit: Unit) -> Description {
        let moments = Moments::of(values);
        let percentiles = match asked.is_empty() {
            true => Vec::new(),
            false => of_ticks(values, asked, unit.per_second()).unwrap_or_default(),
        };
        Description { moments, percentiles }
    }
}

/// Exact mean in seconds: the sum over `n` times the ticks of a second, divided once.
pub fn mean_s(moments: &Moments, unit: Unit) -> Option<f64> {
    let n = i128::from(moments.n());
    (n > 0).then(|| ratio(moments.sum(), n * i128::from(unit.per_second())))
}

/// One float column; null where a value is missing.
pub fn floats(values: impl Iterator<Item = Option<f64>>) -> ArrayRef {
    Arc::new(values.collect::<Float64Array>())
}

/// A nullable float column's field.
pub fn float_field(name: &str) -> Field {
    Field::new(name, DataType::Float64, true)
}

/// The columns `mean_s`, `min_s`, `max_s`, `std_s`, and one per percentile.
pub fn spread(rows: &[&Description], asked: &[Percentile], unit: Unit) -> Vec<(Field, ArrayRef)> {
    let seconds = |ticks: Option<i64>| ticks.map(|ticks| ratio(i128::from(ticks), i128::from(unit.per_second())));
    let column = |name: &str, value: &dyn Fn(&Description) -> Option<f64>| {
        (float_field(name), floats(rows.iter().map(|row| value(row))))
    };
    let mut columns = vec![
        column("mean_s", &|row| mean_s(&row.moments, unit)),
        column("min_s", &|row| seconds(row.moments.min())),
        column("max_s", &|row| seconds(row.moments.max())),
        column("std_s", &|row| row.moments.std().map(|std| std / unit.per_second() as f64)),
    ];
    columns.extend(percentiles(rows, asked));
    columns
}

/// One column per percentile.
pub fn percentiles(rows: &[&Description], asked: &[Percentile]) -> Vec<(Field, ArrayRef)> {
    let column = |(i, p): (usize, &Percentile)| {
        let values = rows.iter().map(|row| row.percentiles.get(i).copied());
        (float_field(&format!("{}_s", p.name())), floats(values))
    };
    asked.iter().enumerate().map(column).collect()
}
