//! `dfg`: the directly-follows graph, one row per edge (pair of activities adjacent in a case), self-loops included.
//!
//! `count` is the number of adjacent pairs, `cases` the number of cases with at least one. The gap of a pair is
//! time(target) - time(source); with start timestamps start(target) - time(source), which may be below zero: it is then
//! kept, taken as zero, or an error, and counted in `negatives`. Sum, mean, extremes, sample deviation and percentiles
//! (R type 7) of the gaps are exact. Rows come by count (most first), then source, then target.
//! Sum of counts = events - cases.
//!
//! Cost: O(events): one look-up in a dense table (a hash table above 512 activities), one move to the gaps of the edge (or
//! a few in sorting, where edges are very many),
//! and where percentiles are asked for a few comparisons per gap. Memory does not grow with the log but slightly: see
//! [`crate::stats::sieve`]. Where the gaps of an edge change in kind while the log is read, it is read a second time.

mod edge;
mod edges;
mod fold;
mod gathered;
mod table;

pub use edges::EdgeTable;
pub use fold::{State, refused};
pub use table::{About, Edge, Edges, Rows, complete, count, finish, table};
