//! How does an XES log become columns? One streaming pass over the text, in constant memory.
//!
//! ```text
//! file ─> unpack, decode ─> tags ─> structure ─┬─> describe: which columns are there?
//!         (source)         (tags)  (walk)      └─> XesReader: the wanted ones as record batches
//! ```
//!
//! What is a column: an attribute (`string`, `date`, `int`, `float`, `boolean`, `id`) that stands directly in an
//! `<event>` is the column of its key; one that stands directly in a `<trace>` is the column `case:<key>`, repeated
//! for each event of the trace. Children of attributes, lists, containers, log attributes, globals, classifiers and
//! extensions are no columns. Events directly below `<log>` have no trace attributes. Namespace prefixes of elements
//! are ignored. Of a key that a parent holds twice, the last one counts.
//!
//! What is refused, always with INVALID_DATA and the place: a DTD (so there are no entities beyond the five of XML),
//! text that is not well-formed or cut off, a `log`, `trace` or `event` outside its place, and text between the
//! elements of a log: leaving these out would quietly lose events or attributes. Values of columns nobody asked for
//! are not looked at.
//!
//! Memory: at most 16 MiB for one tag, 64 MiB for the wanted values of one event or trace, 1,000 open elements, and
//! 64 MiB of rows that wait for the attributes of their trace. Hostile input beyond that is an error, not an
//! allocation.

mod column;
mod describe;
mod read;
mod source;
mod syntax;
mod tags;
mod value;
mod walk;

#[cfg(test)]
mod tests;

pub use describe::{XesDescription, describe, describe_with};
pub use read::XesReader;

/// The longest tag, attributes included.
const MAX_TAG_BYTES: usize = 16 << 20;
/// The longest element name; names of open elements are kept.
const MAX_NAME_BYTES: usize = 1 << 10;
/// The deepest nesting of elements. Real logs stay below ten.
const MAX_DEPTH: usize = 1_000;
/// The most wanted values, in bytes, that one event or one trace may carry.
const MAX_ROW_BYTES: usize = 4 * MAX_TAG_BYTES;
/// Rows of a trace wait for wanted trace attributes that have not come yet up to this many bytes.
const HOLD_BYTES: usize = 64 << 20;
/// A batch ends at this many bytes of values, however few its rows.
const BATCH_BYTES: usize = 16 << 20;
/// A batch ends after this much text, so that a caller who checks for cancellation between batches is heard in time.
const STEP_BYTES: u64 = 8 << 20;
/// The most keys, and bytes of keys, that a description lists.
const MAX_KEYS: usize = 100_000;
const MAX_KEYS_BYTES: usize = MAX_TAG_BYTES;
