//! Which tags are events, traces and their attributes? The structure of a log, and the place of whatever is wrong.

use std::path::{Path, PathBuf};

use super::source::{self, Text};
use super::syntax::{local_name, shown};
use super::tags::{Fault, Tag, Tags};
use crate::error::{Error, Result};

/// What an attribute belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    Trace,
    Event,
}

/// The types of attributes that make columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Date,
    Int,
    Float,
    Boolean,
}

/// What the walk has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// An attribute; [`Walk::key`] and [`Walk::value`] belong to it.
    Attribute(Scope, Kind),
    EventEnd,
    TraceEnd,
    /// Some text lies behind without anything of the above. Comes often enough to check for cancellation.
    Pause,
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Prolog,
    Log,
    Trace,
    /// In an event, in a trace or not.
    Event {
        in_trace: bool,
    },
    Epilog,
}

enum Element {
    Log,
    Trace,
    Event,
    Attribute(Kind),
    Other,
}

impl Element {
    fn of(name: &[u8]) -> Element {
        match name {
            b"string" | b"id" => Element::Attribute(Kind::Text),
            b"date" => Element::Attribute(Kind::Date),
            b"int" => Element::Attribute(Kind::Int),
            b"float" => Element::Attribute(Kind::Float),
            b"boolean" => Element::Attribute(Kind::Boolean),
            b"event" => Element::Event,
            b"trace" => Element::Trace,
            b"log" => Element::Log,
            _ => match local_name(name) {
                local if local.len() < name.len() => Element::of(local),
                _ => Element::Other,
            },
        }
    }
}

/// A walk through a log, in the order of its text.
pub(super) struct Walk {
    path: PathBuf,
    tags: Tags,
    level: Level,
    /// How many elements are open below the attribute or unknown element whose inside is passed over.
    passed: usize,
    traces: u64,
    events: u64,
}

impl Walk {
    const BUFFER_BYTES: usize = 256 << 10;

    /// Opens a log file.
    pub fn open(path: &Path) -> Result<Walk> {
        Ok(Walk::over(source::open(path)?, path, Walk::BUFFER_BYTES))
    }

    /// Walks over text that is said to come from `path`.
    pub fn over(text: Text, path: &Path, buffer_bytes: usize) -> Walk {
        let tags = Tags::new(text, buffer_bytes);
        Walk { path: path.to_owned(), tags, level: Level::Prolog, passed: 0, traces: 0, events: 0 }
    }

    /// The key of the attribute, as written.
    pub fn key(&self) -> Option<&[u8]> {
        self.tags.key()
    }

    /// The value of the attribute, as written.
    pub fn value(&self) -> Option<&[u8]> {
        self.tags.value()
    }

    /// Traces begun so far.
    pub fn traces(&self) -> u64 {
        self.traces
    }

    /// Events begun so far.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Bytes of (unpacked, decoded) text behind.
    pub fn position(&self) -> u64 {
        self.tags.position()
    }

    /// Whether a trace is open.
    pub fn in_trace(&self) -> bool {
        matches!(self.level, Level::Trace | Level::Event { in_trace: true })
    }

    /// Steps on.
    pub fn next(&mut self) -> Result<Item> {
        loop {
            let tag = self.tags.next().map_err(|fault| self.explain(fault))?;
            if tag != Tag::Pause && self.tags.take_text() && self.passed == 0 {
                return Err(self.fail("there is text between the elements of the log, as if a `<` were missing"));
            }
            let item = match tag {
                Tag::Open => self.enter(true)?,
                Tag::Empty => self.enter(false)?,
                Tag::Close if self.passed > 0 => {
                    self.passed -= 1;
                    None
                }
                Tag::Close => self.leave(),
                Tag::Pause => Some(Item::Pause),
                Tag::End if self.level == Level::Epilog => Some(Item::End),
                Tag::End => return Err(self.fail("there is no <log> element; this is no XES log")),
            };
            if let Some(item) = item {
                return Ok(item);
            }
        }
    }

    /// Takes in a start tag, `open` unless it is `<a/>`.
    fn enter(&mut self, open: bool) -> Result<Option<Item>> {
        let element = Element::of(self.tags.name());
        match (self.level, element) {
            (Level::Trace | Level::Event { .. }, Element::Attribute(kind)) if self.passed == 0 => {
                self.passed = usize::from(open);
                let scope = if self.level == Level::Trace { Scope::Trace } else { Scope::Event };
                return Ok(Some(Item::Attribute(scope, kind)));
            }
            (Level::Log, Element::Trace) if self.passed == 0 => {
                self.traces += 1;
                self.level = Level::Trace;
                return Ok(if open { None } else { self.leave() });
            }
            (Level::Log | Level::Trace, Element::Event) if self.passed == 0 => {
                self.events += 1;
                self.level = Level::Event { in_trace: self.level == Level::Trace };
                return Ok(if open { None } else { self.leave() });
            }
            (Level::Prolog, Element::Log) => self.level = if open { Level::Log } else { Level::Epilog },
            (Level::Prolog, _) => return Err(self.misplaced("the root element is", "; a XES log has <log>")),
            (Level::Epilog, _) => return Err(self.misplaced("a second root element", " follows the log")),
            (_, Element::Log | Element::Trace | Element::Event) => {
                return Err(self.misplaced("the element", " stands where the XES standard has none"));
            }
            _ => self.passed += usize::from(open),
        }
        Ok(None)
    }

    /// Closes the log, trace or event that is open.
    fn leave(&mut self) -> Option<Item> {
        let (level, item) = match self.level {
            Level::Event { in_trace: true } => (Level::Trace, Some(Item::EventEnd)),
            Level::Event { in_trace: false } => (Level::Log, Some(Item::EventEnd)),
            Level::Trace => (Level::Log, Some(Item::TraceEnd)),
            Level::Log | Level::Prolog | Level::Epilog => (Level::Epilog, None),
        };
        self.level = level;
        item
    }

    fn misplaced(&self, before: &str, after: &str) -> Error {
        self.fail(&format!("{before} <{}>{after}", shown(self.tags.name())))
    }

    fn explain(&self, fault: Fault) -> Error {
        match fault {
            Fault::Text(message) => self.fail(&message),
            Fault::Read(error) => source::explain(&self.path, &error, |message| self.fail(message)),
        }
    }

    /// An INVALID_DATA error at the current place: the numbers of trace, event, line and byte, each from 1. Line and
    /// byte are of the text, unpacked and decoded.
    pub fn fail(&self, message: &str) -> Error {
        let (line, byte) = (self.tags.line(), self.tags.position() + 1);
        let mut place = String::new();
        if self.in_trace() {
            place.push_str(&format!("trace {}, ", self.traces));
        }
        if self.events > 0 {
            let inside = matches!(self.level, Level::Event { .. });
            place.push_str(&format!("{} {}, ", if inside { "event" } else { "after event" }, self.events));
        }
        let shown = self.path.display();
        let error = Error::data(format!("{shown}: {message} ({place}line {line}, byte {byte})"))
            .with("path", shown.to_string())
            .with("event", self.events)
            .with("line", line)
            .with("byte", byte);
        if self.in_trace() { error.with("trace", self.traces) } else { error }
    }
}
