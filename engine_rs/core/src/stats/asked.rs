//! Which percentiles are asked for, exactly or within bounds, and which columns do they make?

use std::ops::Deref;

use crate::error::Result;
use crate::stats::quantile::Percentile;
use crate::stats::scale::Scale;

/// Percentiles, and how exactly they are to be told. It is read as the list of percentiles.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    percentiles: Vec<Percentile>,
    scale: Option<Scale>,
}

impl Asked {
    /// Exact percentiles.
    pub fn exact(percentiles: &[Percentile]) -> Asked {
        Asked { percentiles: percentiles.to_vec(), scale: None }
    }

    /// Percentiles, exact ones where `approx` is none.
    ///
    /// # Errors
    /// INVALID_ARGUMENT for an `approx` that no scale is made for.
    pub fn new(percentiles: Vec<Percentile>, approx: Option<f64>) -> Result<Asked> {
        Ok(Asked { percentiles, scale: approx.map(Scale::new).transpose()? })
    }

    /// The scale on which bounds are told; none for exact percentiles.
    pub fn scale(&self) -> Option<Scale> {
        self.scale
    }

    /// The columns, without their unit: one per percentile, or three with its bounds.
    pub fn columns(&self) -> Vec<String> {
        let columns = |p: &Percentile| match self.scale {
            None => vec![p.name()],
            Some(_) => vec![p.name(), format!("{}_lo", p.name()), format!("{}_hi", p.name())],
        };
        self.percentiles.iter().flat_map(columns).collect()
    }
}

impl Deref for Asked {
    type Target = [Percentile];

    fn deref(&self) -> &[Percentile] {
        &self.percentiles
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_stand_beside_their_percentile() {
        let list = || vec![Percentile::new(50.0).unwrap(), Percentile::new(99.9).unwrap()];
        assert_eq!(Asked::exact(&list()).columns(), ["p50", "p99_9"]);
        let within = Asked::new(list(), Some(0.01)).unwrap();
        assert_eq!(within.columns(), ["p50", "p50_lo", "p50_hi", "p99_9", "p99_9_lo", "p99_9_hi"]);
        assert_eq!(within.len(), 2);
        assert!(Asked::new(list(), Some(0.0)).is_err());
    }
}
