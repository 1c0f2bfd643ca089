//! Pure mathematics over slices of ticks: percentiles, exact ones or within bounds, and moments.

pub mod asked;
pub mod histogram;
pub mod kept;
pub mod moments;
pub mod piles;
pub mod quantile;
pub mod ranks;
pub mod scale;
pub mod sieve;
pub mod sorting;
