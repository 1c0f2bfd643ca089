//! `metrics`: numbers that the embedder computes per case, and how they are distributed.
//!
//! A case metric is a function over batches of whole cases, called from the run's threads. Its values are a column of
//! `cases` (NaN is null) and one row here: the values that are not NaN, counted, with mean, extremes, sample deviation
//! and percentiles (R type 7). Floats are summed in ascending order, so that no thread count can show.
//!
//! Cost: that of the function; 8 bytes per case and metric; one sort at the end. Under a memory limit the values are
//! put aside in ascending order, and merged on the way.

mod aside;
mod fold;
mod table;

pub use aside::Aside;
pub use fold::State;
pub use table::table;
