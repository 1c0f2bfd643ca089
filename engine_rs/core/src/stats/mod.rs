//! Pure mathematics over slices of ticks: exact percentiles and moments.

pub mod moments;
pub mod piles;
pub mod quantile;
pub mod ranks;
pub mod sieve;
