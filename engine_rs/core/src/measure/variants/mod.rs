//! `variants`: one row per distinct activity sequence, with the cases that follow it.
//!
//! Sequences are compared exactly, activity by activity; a hash only finds where to compare. Rows come by cases (most
//! first), then by the sequence of labels, so that ranks are a total order. `share` is of all cases, `cumulative_share`
//! adds up from the first row; the mean and percentiles are of the durations of the variant's cases.
//! Sum of cases x length = events.
//!
//! Cost: O(events) to write each case's sequence down and look it up; memory one byte per event of each distinct
//! sequence (while there are fewer than 128 activities) and 32 more, and 12 bytes per case. Only the variants that are shown are
//! ranked among themselves. Under a memory limit all this is put aside; where all variants are listed or ranked and do not
//! fit, they are put in order part by part, on disk, and merged while they are read.

mod distinct;
mod fold;
mod gathered;
mod listing;
mod rank;
mod runs;
mod sequences;
mod table;

pub use distinct::{Merged, Wanted, each_part, even_out};
pub use fold::{Aside, Keep, PARTS, State};
pub use gathered::Gathered;
pub use listing::{About, AllRanks, Listed, Listing};
pub use rank::Ranking;
pub use sequences::read_codes;
pub use table::{RowBytes, Shown, rows, table};
