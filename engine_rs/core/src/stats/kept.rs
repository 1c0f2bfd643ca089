//! What is kept of a set of values, so that its percentiles can be told at the end? Some of them, or numbers per bucket.

use crate::stats::asked::Asked;
use crate::stats::histogram::Histogram;
use crate::stats::moments::Moments;
use crate::stats::quantile::{Percentile, of_ranked};
use crate::stats::sieve::Sieve;

/// What is kept of a set.
#[derive(Clone, Debug)]
pub enum Kept {
    /// For exact percentiles.
    Sieve(Sieve),
    /// For percentiles within bounds.
    Histogram(Histogram),
}

impl Default for Kept {
    fn default() -> Kept {
        Kept::Sieve(Sieve::default())
    }
}

impl Kept {
    /// What has to be kept of a set, nothing yet.
    pub fn new(asked: &Asked) -> Kept {
        asked.scale().map_or_else(Kept::default, |scale| Kept::Histogram(Histogram::new(scale)))
    }

    /// Bytes held besides this itself.
    pub fn size_bytes(&self) -> usize {
        match self {
            Kept::Sieve(sieve) => sieve.size_bytes(),
            Kept::Histogram(histogram) => histogram.size_bytes(),
        }
    }

    /// Takes in values of which the percentiles `asked` are wanted: the same ones at every call.
    pub fn take(&mut self, values: &[i64], asked: &[Percentile]) {
        match self {
            Kept::Sieve(sieve) => sieve.take(values, asked),
            Kept::Histogram(histogram) => histogram.take(values),
        }
    }

    /// The percentiles of the values that all `parts` have seen together, as figures for [`Asked::columns`], in units of
    /// `per_second` ticks. There is at least one value, and `moments` are of all.
    ///
    /// # Errors
    /// The sieve where values were missed, for a second look.
    pub fn percentiles(
        parts: impl Iterator<Item = Kept>,
        moments: &Moments,
        asked: &[Percentile],
        per_second: i64,
    ) -> Result<Vec<f64>, Box<Sieve>> {
        let (mut sieves, mut whole) = (Vec::new(), None::<Histogram>);
        for part in parts {
            match (part, &mut whole) {
                (Kept::Sieve(sieve), _) => sieves.push(sieve),
                (Kept::Histogram(histogram), None) => whole = Some(histogram),
                (Kept::Histogram(histogram), Some(whole)) => whole.merge(histogram),
            }
        }
        match whole {
            Some(mut whole) => Ok(whole.percentiles(moments, asked, per_second)),
            None => Sieve::merged(sieves.into_iter(), moments.n(), asked)
                .map(|found| of_ranked(&found, moments.n(), asked, per_second)),
        }
    }
}
