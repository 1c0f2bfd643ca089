//! `activities`: one row per activity.
//!
//! `events` are its occurrences, `cases` the cases that contain it, `starts` and `ends` the cases that begin and end with
//! it, `rework_cases` the cases that contain it at least twice. Rows come by events (most first), then by label.
//! Sum of events = events of the log; sums of starts and ends = cases.
//!
//! Cost: O(events). Up to 64 activities a case is two words of bits (seen, seen again), counted for all activities at
//! once; beyond, each event touches one counter line of its activity.

mod fold;
mod table;

pub use fold::State;
pub use table::table;
