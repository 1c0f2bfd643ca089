//! The journey mining engine: a log is a stream of case batches, a question is a fold over them.
//!
//! [`log::Log`] brings events in, [`run::mine`] answers a plan in one pass, and every answer is an Arrow table.
#![forbid(unsafe_code)]

pub mod context;
pub mod error;
pub mod hash;
pub mod machine;
pub mod memory;
pub mod spill;
pub mod stats;
pub mod turns;
pub mod units;
pub mod workers;

pub mod log;

pub mod cases;

pub mod measure;

pub mod plan;
pub mod run;
pub mod state;
pub mod tables;

/// The engine's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The version of the Arrow libraries inside.
pub const ARROW_VERSION: &str = arrow_array::ARROW_VERSION;
/// Whether this is a "release" or a "debug" build; benchmarks refuse the latter.
pub const PROFILE: &str = if cfg!(debug_assertions) { "debug" } else { "release" };
