//! Events become cases here, and nowhere else.
//!
//! Three layouts, two ways: where the rows of every case lie together, batches are cut into cases as they come
//! ([`grouped`]) and cases that cross the border of two tasks are stitched; otherwise rows are partitioned by case
//! ([`partition`]), kept ([`splitter`]) until all are read, on disk ([`aside`]) where memory is short, and each partition is
//! grouped on its own ([`assembler`]). Both hand [`batch::CaseBatch`]es, ordered by time inside each case ([`order`]), to a
//! [`batch::Fold`]. Which way is right is guessed from the first rows and then verified ([`layout`]); a wrong guess costs
//! time, never a result.

pub mod aside;
pub mod assembler;
pub mod batch;
pub mod grouped;
pub mod layout;
mod network;
pub mod order;
pub mod packed;
pub mod partition;
pub mod partitions;
pub mod split;
pub mod splitter;
mod table;
