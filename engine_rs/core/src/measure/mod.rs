//! Every question is a fold over cases: one folder each, with the same files inside.
//!
//! `mod.rs` says what is computed, what is guaranteed and what it costs; `fold.rs` takes cases in and merges; `table.rs`
//! makes the Arrow table. All folds of a plan see each case batch while it is in the cache, so that asking for one more
//! thing does not read the log again.

pub mod activities;
pub mod cases;
pub mod columns;
pub mod dfg;
pub mod durations;
pub mod folds;
pub mod metrics;
pub mod overview;
pub mod statistics;
pub mod variants;
