//! Which columns does a log have, and how many events and traces? One pass, since a key may first appear at the end.

use std::collections::HashMap;
use std::path::Path;

use arrow_schema::{DataType, TimeUnit};

use super::walk::{Item, Kind, Scope, Walk};
use super::{MAX_KEYS, MAX_KEYS_BYTES, STEP_BYTES, value};
use crate::error::Result;

/// What a log consists of.
#[derive(Clone, Debug, PartialEq)]
pub struct XesDescription {
    /// Names and types: trace attributes (`case:<key>`) first, then event attributes, each in order of appearance.
    pub columns: Vec<(String, DataType)>,
    /// How many events there are, in traces and directly in the log.
    pub events: u64,
    /// How many traces there are, with events or without.
    pub traces: u64,
}

/// Reads a log through and lists its columns.
///
/// The type of a column is that of its attributes: `string` and `id` give Utf8, `date` a timestamp in microseconds,
/// `int` Int64, `float` Float64, `boolean` Boolean; attributes of different types give Utf8. Values are not looked at,
/// but for the offset of dates: where one lacks it, the column is without a zone, otherwise it is in UTC. Takes time proportional to the text and memory proportional to the keys.
///
/// # Errors
/// IO; INVALID_DATA when the text is no sound XES (see the module); UNSUPPORTED for an unknown encoding.
pub fn describe(path: &Path) -> Result<XesDescription> {
    describe_with(path, &mut |_| Ok(()))
}

/// [`describe`] for large logs: calls `check` every few megabytes with the number of events so far; an error ends the
/// reading and is returned.
pub fn describe_with(path: &Path, check: &mut dyn FnMut(u64) -> Result<()>) -> Result<XesDescription> {
    describe_walk(Walk::open(path)?, check)
}

pub(super) fn describe_walk(mut walk: Walk, check: &mut dyn FnMut(u64) -> Result<()>) -> Result<XesDescription> {
    let mut keys = [Keys::default(), Keys::default()];
    let mut checked = 0;
    loop {
        match walk.next()? {
            Item::Attribute(scope, kind) => {
                if let Some(raw) = walk.key() {
                    let date = walk.value().filter(|_| kind == Kind::Date);
                    keys[scope as usize].note(raw, kind, date).map_err(|message| walk.fail(&message))?;
                }
            }
            Item::Pause if walk.position() - checked >= STEP_BYTES => {
                checked = walk.position();
                check(walk.events())?;
            }
            Item::Pause | Item::EventEnd | Item::TraceEnd => {}
            Item::End => break,
        }
    }
    let [trace, event] = [Scope::Trace, Scope::Event].map(|scope| std::mem::take(&mut keys[scope as usize]));
    Ok(XesDescription { columns: columns(trace, event), events: walk.events(), traces: walk.traces() })
}

/// A key as written, and what its values have in common.
struct Key {
    raw: Vec<u8>,
    /// None where there are several.
    kind: Option<Kind>,
    /// Whether there is a date without an offset from UTC.
    naive: bool,
}

impl Key {
    fn data_type(&self) -> DataType {
        match self.kind {
            None | Some(Kind::Text) => DataType::Utf8,
            Some(Kind::Date) if self.naive => DataType::Timestamp(TimeUnit::Microsecond, None),
            Some(Kind::Date) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Some(Kind::Int) => DataType::Int64,
            Some(Kind::Float) => DataType::Float64,
            Some(Kind::Boolean) => DataType::Boolean,
        }
    }
}

/// The keys of a scope, in order of appearance.
#[derive(Default)]
struct Keys {
    found: Vec<Key>,
    places: HashMap<Vec<u8>, usize>,
    bytes: usize,
    /// The place after that of the last key: attributes mostly come in the same order.
    guess: usize,
}

impl Keys {
    fn note(&mut self, raw: &[u8], kind: Kind, date: Option<&[u8]>) -> std::result::Result<(), String> {
        let place = match self.found.get(self.guess) {
            Some(key) if key.raw == raw => Some(self.guess),
            _ => self.places.get(raw).copied(),
        };
        let place = match place {
            Some(place) => place,
            None => self.add(raw, kind)?,
        };
        let key = &mut self.found[place];
        key.kind = key.kind.filter(|known| *known == kind);
        key.naive = key.naive || date.is_some_and(|date| !value::has_offset(date));
        self.guess = place + 1;
        Ok(())
    }

    fn add(&mut self, raw: &[u8], kind: Kind) -> std::result::Result<usize, String> {
        self.bytes += raw.len();
        if self.found.len() == MAX_KEYS || self.bytes > MAX_KEYS_BYTES {
            return Err("there are too many different keys; are values used as keys?".to_owned());
        }
        value::text(raw)?;
        self.places.insert(raw.to_owned(), self.found.len());
        self.found.push(Key { raw: raw.to_owned(), kind: Some(kind), naive: false });
        Ok(self.found.len() - 1)
    }
}

/// The columns of both scopes; a name may come from several keys, as two spellings of one text do.
fn columns(trace: Keys, event: Keys) -> Vec<(String, DataType)> {
    let named = |prefix: &'static str| {
        move |key: Key| {
            let name = format!("{prefix}{}", String::from_utf8_lossy(&value::text(&key.raw).unwrap_or_default()));
            (name, key.data_type())
        }
    };
    let mut places = HashMap::new();
    let mut columns: Vec<(String, DataType)> = Vec::new();
    let found = trace.found.into_iter().map(named("case:")).chain(event.found.into_iter().map(named("")));
    for (name, data_type) in found {
        let place = *places.entry(name.clone()).or_insert(columns.len());
        match columns.get_mut(place) {
            None => columns.push((name, data_type)),
            Some((_, known)) => *known = common(known, data_type),
        }
    }
    columns
}

/// The type that holds two kinds of values: text, unless both are dates.
fn common(known: &DataType, found: DataType) -> DataType {
    match (known, &found) {
        _ if *known == found => found,
        (DataType::Timestamp(unit, _), DataType::Timestamp(..)) => DataType::Timestamp(*unit, None),
        _ => DataType::Utf8,
    }
}
