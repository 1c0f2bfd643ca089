//! `durations`: one row about the durations of cases.
//!
//! The duration of a case is its last timestamp minus its first; with start timestamps, its last end minus its earliest
//! start. Count, mean, extremes, sample deviation and percentiles (R type 7) are exact. An empty log has n = 0 and nulls.
//!
//! Cost: O(cases); memory hardly grows with them: see [`crate::stats::sieve`].

mod fold;
mod table;

pub use fold::State;
pub use table::{finish, table};
