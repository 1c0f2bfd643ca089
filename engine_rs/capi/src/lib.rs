//! How do programs in C, C++, Go, Java, Python reach the engine? Through the functions of this crate and no others.
//!
//! The doc comments on the exported items are rendered into `pycjm/include/pycjm.h`, which is the specification; the
//! conventions and the JSON documents are in this crate's `README.md`. Every exported function is written out, and its
//! body is one call into [`guard`], which owns the rules on errors, panics and broken handles.
#![warn(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]
// What a caller has to keep is said once, in the header's preamble ("Pointers"), and in each function's own words.
#![allow(clippy::missing_safety_doc)]
// The names are those of the C header.
#![allow(non_camel_case_types)]

mod export;
mod guard;
mod import;
mod shape;

// In the order in which the header is to present them.
pub mod versions;

pub mod error;

pub mod text;

pub mod case_metric;
pub mod context;

pub mod log;

pub mod result;
