//! `overview`: one row about the whole log.
//!
//! Events, cases, distinct activities, variants and edges; the first and the last timestamp; `tied_pairs`, the adjacent
//! events of a case with equal timestamps, and `cases_with_ties`; rows left out because of nulls, per role; the layout.
//! A row with several nulls counts for the first role in the order case, activity, timestamp, start_timestamp, so that
//! the counts add up to the rows lost. With start timestamps, `first_ts` is the earliest start.
//!
//! Cost: O(events) for the ties, besides what counting variants and edges costs.

mod fold;
mod table;

pub use fold::{State, check_range};
pub use table::{Totals, table};
