//! The rows of `metrics`.

use arrow_array::RecordBatch;

use super::aside::{Aside, Merging};
use crate::error::Result;
use crate::measure::columns::{batch, counts, labels};
use crate::measure::statistics::{float_field, floats};
use crate::stats::quantile::{Percentile, of_floats, of_sorted_floats, ranks};

/// What is said about one metric.
struct Row {
    n: u64,
    spread: Option<[Option<f64>; 4]>,
    percentiles: Vec<f64>,
}

/// The metrics table, out of each metric's name and values per thread, or, where they were put aside, out of those.
///
/// # Errors
/// INTERNAL if the columns do not fit together; IO.
pub fn table(metrics: &[(String, Vec<Vec<f64>>)], asides: &[Aside<'_>], asked: &[Percentile]) -> Result<RecordBatch> {
    let describe = |(i, (_, values)): (usize, &(String, Vec<Vec<f64>>))| match asides {
        [] => Ok(describe(values, asked)),
        asides => describe_aside(|| Merging::new(asides, i), asked),
    };
    let rows = metrics.iter().enumerate().map(describe).collect::<Result<Vec<Row>>>()?;
    let spread = |i: usize| floats(rows.iter().map(move |row| row.spread.and_then(|spread| spread[i])));
    let mut columns = vec![
        labels("metric", metrics.iter().map(|(name, _)| name.as_str())),
        counts("n", rows.iter().map(|row| row.n)),
        (float_field("mean"), spread(0)),
        (float_field("min"), spread(1)),
        (float_field("max"), spread(2)),
        (float_field("std"), spread(3)),
    ];
    for (i, percentile) in asked.iter().enumerate() {
        let values = rows.iter().map(|row| row.percentiles.get(i).copied());
        columns.push((float_field(&percentile.name()), floats(values)));
    }
    batch(columns)
}

fn describe(values: &[Vec<f64>], asked: &[Percentile]) -> Row {
    let mut sorted: Vec<f64> = values.iter().flatten().copied().filter(|value| !value.is_nan()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let n = sorted.len();
    let (Some(&min), Some(&max)) = (sorted.first(), sorted.last()) else {
        return Row { n: 0, spread: None, percentiles: Vec::new() };
    };
    // Rounding may lead beyond the ends.
    let mean = (sorted.iter().sum::<f64>() / n as f64).clamp(min, max);
    let squares: f64 = sorted.iter().map(|value| (value - mean) * (value - mean)).sum();
    let std = (n > 1).then(|| (squares / (n - 1) as f64).sqrt());
    let percentiles = of_sorted_floats(&sorted, asked).unwrap_or_default();
    Row { n: n as u64, spread: Some([Some(mean), Some(min), Some(max), std]), percentiles }
}

/// As [`describe`], to the bit, in two rounds over values that come in ascending order.
fn describe_aside<'a>(sorted: impl Fn() -> Result<Merging<'a>>, asked: &[Percentile]) -> Result<Row> {
    let mut values = sorted()?;
    let n = values.len();
    if n == 0 {
        return Ok(Row { n: 0, spread: None, percentiles: Vec::new() });
    }
    let mut wanted = ranks(asked, n);
    wanted.extend([0, n - 1]);
    wanted.sort_unstable();
    wanted.dedup();
    let mut found = Vec::with_capacity(wanted.len());
    let note = |(rank, value): (u64, f64)| {
        if wanted.get(found.len()) == Some(&rank) {
            found.push(value);
        }
        value
    };
    let sum = (0..).zip(values.by_ref()).map(note).sum::<f64>();
    values.check()?;
    let value = |rank: u64| wanted.binary_search(&rank).map_or(f64::NAN, |at| found[at]);
    let (min, max) = (value(0), value(n - 1));
    let mean = (sum / n as f64).clamp(min, max);
    let mut values = sorted()?;
    let squares: f64 = values.by_ref().map(|value| (value - mean) * (value - mean)).sum();
    values.check()?;
    let std = (n > 1).then(|| (squares / (n - 1) as f64).sqrt());
    Ok(Row { n, spread: Some([Some(mean), Some(min), Some(max), std]), percentiles: of_floats(n, value, asked) })
}
