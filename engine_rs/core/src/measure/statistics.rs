//! Which columns describe a set of durations, and in which order? The same ones in every table that has them.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array};
use arrow_schema::{DataType, Field};

use crate::error::{Error, Result};
use crate::stats::asked::Asked;
use crate::stats::histogram::Histogram;
use crate::stats::kept::Kept;
use crate::stats::moments::Moments;
use crate::stats::quantile::{Percentile, of_ticks};
use crate::stats::ranks::Ranks;
use crate::stats::sieve::Sieve;
use crate::units::{Unit, ratio};

/// The description of one set of durations.
#[derive(Clone, Debug)]
pub struct Description {
    /// Count, sum, extremes, deviation.
    pub moments: Moments,
    /// The asked percentiles in seconds, a figure for each of [`Asked::columns`]; empty where there is no duration.
    pub percentiles: Vec<f64>,
}

impl Description {
    /// Describes all values in `blocks`.
    pub fn of(blocks: &[&[i64]], asked: &Asked, unit: Unit, space: &mut Ranks) -> Description {
        let mut moments = Moments::default();
        blocks.iter().for_each(|block| moments.extend(block));
        let percentiles = match (asked.is_empty(), moments.min(), asked.scale()) {
            (true, ..) | (_, None, _) => Vec::new(),
            (_, Some(least), None) => of_ticks(blocks, least, asked, unit.per_second(), space).unwrap_or_default(),
            (_, _, Some(scale)) => {
                let mut histogram = Histogram::new(scale);
                blocks.iter().for_each(|block| histogram.take(block));
                histogram.percentiles(&moments, asked, unit.per_second())
            }
        };
        Description { moments, percentiles }
    }
}

/// The description of a set of durations of which only what percentiles need was kept.
#[derive(Debug)]
pub struct Sieved {
    /// What is known; without percentiles where they were missed.
    pub description: Description,
    missed: Option<Box<Sieve>>,
}

impl Sieved {
    /// Describes the durations with these moments that all `parts` have seen together.
    pub fn new(moments: Moments, parts: impl Iterator<Item = Kept>, asked: &[Percentile], unit: Unit) -> Sieved {
        let (mut percentiles, mut missed) = (Vec::new(), None);
        if !asked.is_empty() && moments.n() > 0 {
            match Kept::percentiles(parts, &moments, asked, unit.per_second()) {
                Ok(found) => percentiles = found,
                Err(sieve) => missed = Some(sieve),
            }
        }
        Sieved { description: Description { moments, percentiles }, missed }
    }

    /// What is known of durations that were all there.
    pub fn known(description: Description) -> Sieved {
        Sieved { description, missed: None }
    }

    /// What is known where that was not enough for the percentiles: then a second look is needed.
    pub fn missed(&self) -> Option<&Sieve> {
        self.missed.as_deref()
    }

    /// Takes what was missed from a second look at the same durations.
    ///
    /// # Errors
    /// INVALID_DATA where that look did not see the same.
    pub fn complete(&mut self, second: Option<&Sieved>) -> Result<()> {
        if self.missed.is_none() {
            return Ok(());
        }
        let moments = &self.description.moments;
        let same = second.filter(|second| second.missed.is_none() && second.description.moments == *moments);
        let same = same.ok_or_else(|| Error::data("the log has changed while it was read; run again"))?;
        self.description.percentiles.clone_from(&same.description.percentiles);
        self.missed = None;
        Ok(())
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

/// The columns `mean_s`, `min_s`, `max_s`, `std_s`, and those of the percentiles.
pub fn spread(rows: &[&Description], asked: &Asked, unit: Unit) -> Vec<(Field, ArrayRef)> {
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
    let percentile = |(i, name): (usize, String)| {
        let values = rows.iter().map(|row| row.percentiles.get(i).copied());
        (float_field(&format!("{name}_s")), floats(values))
    };
    columns.extend(asked.columns().into_iter().enumerate().map(percentile));
    columns
}
