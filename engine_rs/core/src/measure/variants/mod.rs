//! `variants`: one row per distinct activity sequence, with the cases that follow it.
//!
//! Sequences are compared exactly, activity by activity; a hash only finds where to compare. Rows come by cases (most
//! first), then by the sequence of labels, so that ranks are a total order. `share` is of all cases, `cumulative_share`
//! adds up from the first row; the mean and percentiles are of the durations of the variant's cases.
//! Sum of cases x length = events.
//!
//! Cost: O(events) to write each case's sequence down and look it up; memory 36 to 44 bytes per distinct sequence, one more
//! per event of those longer than 15 events (while there are fewer than 128 activities), and 12 per case. Only the variants
//! that are shown are ranked among themselves. Under a memory limit all this is put aside; where all variants are listed or
//! ranked and do not fit, they are put in order part by part, on disk, and merged while they are read.

mod codes;
mod distinct;
mod fold;
mod gathered;
mod key;
mod listing;
mod rank;
mod runs;
mod sequences;
mod table;

pub use codes::read_codes;
pub use distinct::{Merged, Wanted, each_part, even_out};
pub use fold::{Aside, Keep, PARTS, State};
pub use gathered::Gathered;
pub use listing::{About, AllRanks, Listed, Listing};
pub use rank::Ranking;
pub use table::{RowBytes, Shown, rows, table};
