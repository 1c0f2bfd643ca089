//! What does a slow, obvious reader make of a log? The same rules as the reader's, on quick-xml and maps of strings.

use std::collections::BTreeMap;

use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};

type Row = BTreeMap<String, String>;

/// The events of a log, each with all its columns as text; an error for whatever is not a sound log.
pub(super) fn rows(text: &str) -> Result<Vec<Row>, String> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    reader.config_mut().allow_dangling_amp = true;
    let mut state = State::default();
    loop {
        match reader.read_event().map_err(|error| error.to_string())? {
            Event::Start(tag) => state.start(&tag)?,
            Event::End(_) => state.end(),
            Event::DocType(_) => return Err("DTD".to_owned()),
            Event::Text(text) if !text.trim_ascii().is_empty() && !state.may_hold_text() => {
                return Err("text".to_owned());
            }
            Event::CData(_) | Event::GeneralRef(_) if !state.may_hold_text() => return Err("text".to_owned()),
            Event::Eof if !state.open.is_empty() => return Err("cut off".to_owned()),
            Event::Eof if !state.had_root => return Err("empty".to_owned()),
            Event::Eof => return Ok(state.rows),
            _ => {}
        }
    }
}

#[derive(Default)]
struct State {
    open: Vec<String>,
    had_root: bool,
    trace: Row,
    trace_rows: usize,
    event: Row,
    rows: Vec<Row>,
}

impl State {
    fn may_hold_text(&self) -> bool {
        !self.open.iter().all(|name| matches!(&name[..], "log" | "trace" | "event"))
    }

    fn start(&mut self, tag: &BytesStart<'_>) -> Result<(), String> {
        let name = tag.local_name().as_ref().to_owned();
        let parents: Vec<&str> = self.open.iter().map(String::as_str).collect();
        let attribute = matches!(&name[..], "string" | "id" | "date" | "int" | "float" | "boolean");
        for part in tag.attributes() {
            part.map_err(|error| error.to_string())?;
        }
        match (&parents[..], &name[..]) {
            ([], "log") if !self.had_root => self.had_root = true,
            ([], _) => return Err("root".to_owned()),
            (["log"], "trace") | (["log"] | ["log", "trace"], "event") => {}
            (_, "log" | "trace" | "event") => return Err("misplaced".to_owned()),
            (["log", "trace"], _) if attribute => add(&mut self.trace, "case:", tag)?,
            (["log", "event"] | ["log", "trace", "event"], _) if attribute => add(&mut self.event, "", tag)?,
            _ => {}
        }
        self.open.push(name);
        Ok(())
    }

    fn end(&mut self) {
        let name = self.open.pop().expect("quick-xml checks that tags match");
        let parents: Vec<&str> = self.open.iter().map(String::as_str).collect();
        match (&parents[..], &name[..]) {
            (["log"] | ["log", "trace"], "event") => {
                self.rows.push(std::mem::take(&mut self.event));
                self.trace_rows += parents.len() - 1;
            }
            (["log"], "trace") => {
                let from = self.rows.len() - std::mem::take(&mut self.trace_rows);
                for row in &mut self.rows[from..] {
                    row.extend(self.trace.clone());
                }
                self.trace.clear();
            }
            _ => {}
        }
    }
}

fn add(row: &mut Row, prefix: &str, tag: &BytesStart<'_>) -> Result<(), String> {
    let part = |name: &str| {
        let part = tag.try_get_attribute(name).map_err(|error| error.to_string())?;
        let value = part.map(|part| part.normalized_value(XmlVersion::Explicit1_0).map(|value| value.into_owned()));
        value.transpose().map_err(|error| error.to_string())
    };
    if let Some(key) = part("key")?
        && let Some(value) = part("value")?
    {
        row.insert(format!("{prefix}{key}"), value);
    }
    Ok(())
}
