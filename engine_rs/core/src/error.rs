//! What can go wrong, in one type: a kind from the fixed taxonomy, a message for people, details for programs.
//!
//! Panics are bugs of ours or of a decoder fed with hostile bytes. They are caught at thread and ABI borders by
//! [`quietly`], which marks the thread so that an embedder's panic hook can tell them from its own.

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::{Map, Value};

/// The taxonomy shared by Rust, C and Python. The numbers are part of the ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum ErrorKind {
    /// The caller's mistake.
    InvalidArgument = 1,
    /// The log breaks a rule; column and row are named.
    InvalidData = 2,
    /// The memory limit is too small for a step.
    MemoryLimit = 3,
    /// The operating system refused; errno is kept.
    Io = 4,
    /// The caller asked to stop.
    Cancelled = 5,
    /// A user metric failed.
    Callback = 6,
    /// Understood, not built; the type or feature is named.
    Unsupported = 7,
    /// A bug in the engine.
    Internal = 8,
}

impl ErrorKind {
    /// Every kind, in the order of its code.
    pub const ALL: [ErrorKind; 8] = [
        ErrorKind::InvalidArgument,
        ErrorKind::InvalidData,
        ErrorKind::MemoryLimit,
        ErrorKind::Io,
        ErrorKind::Cancelled,
        ErrorKind::Callback,
        ErrorKind::Unsupported,
        ErrorKind::Internal,
    ];

    /// The code that crosses the ABI (1..=8).
    pub fn code(self) -> i32 {
        self as i32
    }

    /// The name used in the C header, without prefix.
    pub fn name(self) -> &'static str {
        match self {
            ErrorKind::InvalidArgument => "INVALID_ARGUMENT",
            ErrorKind::InvalidData => "INVALID_DATA",
            ErrorKind::MemoryLimit => "MEMORY_LIMIT",
            ErrorKind::Io => "IO",
            ErrorKind::Cancelled => "CANCELLED",
            ErrorKind::Callback => "CALLBACK",
            ErrorKind::Unsupported => "UNSUPPORTED",
            ErrorKind::Internal => "INTERNAL",
        }
    }
}

/// An error: kind, message, and machine-readable details (`column`, `row`, `path`, `errno`, ...).
#[derive(Clone, Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    details: Box<Map<String, Value>>,
}

/// The result of every fallible function of the engine.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error without details.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error { kind, message: message.into(), details: Box::default() }
    }

    /// The caller's mistake.
    pub fn argument(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::InvalidArgument, message)
    }

    /// The log breaks a rule.
    pub fn data(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::InvalidData, message)
    }

    /// Understood, not built.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::Unsupported, message)
    }

    /// A bug in the engine.
    pub fn internal(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::Internal, message)
    }

    /// The caller asked to stop.
    pub fn cancelled() -> Self {
        Error::new(ErrorKind::Cancelled, "the run was cancelled; no result was made")
    }

    /// An operating system error while `doing` something to `path`, with its errno.
    pub fn io(doing: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        let built = Error::new(ErrorKind::Io, format!("cannot {doing} {}: {error}", path.display()))
            .with("path", path.display().to_string());
        match error.raw_os_error() {
            Some(errno) => built.with("errno", errno),
            None => built,
        }
    }

    /// The same error with one more detail.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.details.insert(key.to_owned(), value.into());
        self
    }

    /// Whether it is the memory limit that was too small for `step`.
    pub fn is_short_of(&self, step: &str) -> bool {
        let named = self.details.get("step").and_then(Value::as_str) == Some(step);
        self.kind == ErrorKind::MemoryLimit && named
    }

    /// What kind of error it is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The message for people: what is wrong, where, what to do.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The details as a JSON object.
    pub fn details_json(&self) -> String {
        Value::Object((*self.details).clone()).to_string()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Whether the current thread runs inside [`quietly`]: a panic hook may leave such panics unprinted, since they are
/// caught and reported as errors.
pub fn is_quiet() -> bool {
    QUIET.with(Cell::get)
}

/// Runs `body`, turning a panic into its payload text.
pub fn quietly<R>(body: impl FnOnce() -> R) -> std::result::Result<R, String> {
    let before = QUIET.with(|quiet| quiet.replace(true));
    let outcome = catch_unwind(AssertUnwindSafe(body));
    QUIET.with(|quiet| quiet.set(before));
    outcome.map_err(|payload| panic_text(payload.as_ref()))
}

/// Runs a fallible `body`, turning a panic into an INTERNAL error.
pub fn guarded<R>(body: impl FnOnce() -> Result<R>) -> Result<R> {
    quietly(body).unwrap_or_else(|text| {
        Err(Error::internal(format!("the engine failed unexpectedly ({text}); please report this as a bug")))
    })
}

fn panic_text(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "no message".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_one_to_eight_in_order() {
        let codes: Vec<i32> = ErrorKind::ALL.iter().map(|kind| kind.code()).collect();
        assert_eq!(codes, (1..=8).collect::<Vec<i32>>());
    }

    #[test]
    fn a_panic_becomes_an_internal_error_with_its_text() {
        let error = guarded::<()>(|| panic!("boom {}", 7)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
        assert!(error.message().contains("boom 7"));
        assert!(!is_quiet());
    }

    #[test]
    fn details_are_a_json_object() {
        let error = Error::data("x").with("row", 17u64).with("column", "case");
        assert_eq!(error.details_json(), r#"{"row":17,"column":"case"}"#);
    }
}
