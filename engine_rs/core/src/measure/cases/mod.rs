//! `cases`: one row per case, in the order of first rows in the input.
//!
//! Case id, events, first and last timestamp, duration, rank of the case's variant (as in `variants` with all rows), and
//! one column per case metric. With start timestamps, `first_ts` is the earliest start. Handed out as a stream of
//! batches made on the way; what is held per case is about 40 bytes and the text of its id. Under a memory limit that is
//! put aside in runs, which are put in order one by one and merged while the table is read.
//!
//! Cost: O(cases log cases) to put them in input order, and a full ranking of the variants.

mod aside;
mod fold;
mod merge;
mod rows;
mod table;

pub use fold::State;
pub use table::{CasesTable, Ranks};
