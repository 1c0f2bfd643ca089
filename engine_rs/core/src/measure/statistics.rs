//! Which columns describe a set of durations, and in which order? The same ones in every table that has them.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array};
use arrow_schema::{DataType, Field};

use crate::stats::moments::Moments;
use crate::stats::quantile::{Percentile, of_ticks};
use crate::stats::ranks::Ranks;
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
    /// Describes all values in `blocks`.
    pub fn of(blocks: &[&[i64]], asked: &[Percentile], unit: Unit, space: &mut Ranks) -> Description {
        let mut moments = Moments::default();
        blocks.iter().for_each(|block| moments.extend(block));
        Description::of_moments(moments, blocks, asked, unit, space)
    }

    /// As [`Description::of`], of values whose moments are known; no percentiles where the values were not kept.
    pub fn of_moments(
        moments: Moments,
        blocks: &[&[i64]],
        asked: &[Percentile],
        unit: Unit,
        space: &mut Ranks,
    ) -> Description {
        let percentiles = match (asked.is_empty(), moments.min()) {
            (false, Some(least)) => of_ticks(blocks, least, asked, unit.per_second(), space).unwrap_or_default(),
            _ => Vec::new(),
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
