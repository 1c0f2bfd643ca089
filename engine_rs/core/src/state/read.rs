//! From rows to a state: nothing is taken for one that is not whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt32Type, UInt64Type};
use arrow_array::{Array, RecordBatchReader};
use arrow_schema::{ArrowError, Field, Schema};

use crate::context::{Account, Context, Step};
use crate::error::{Error, Result};
use crate::state::answer::{pair_of, steps};
use crate::state::checksum::Checksum;
use crate::state::format::{
    ACTIVITIES, CASES, CHECKSUM, Document, EDGE, FACTS, NAME, Rows, VARIANT, VERSION, fields, numbers_of,
};
use crate::state::ids::{Ids, Kind};
use crate::state::paths::Paths;
use crate::state::{Facts, MOST, State, of};

impl State {
    /// Reads a state that was written down, and the name it has or the one given.
    ///
    /// # Errors
    /// INVALID_DATA for anything but a whole state; UNSUPPORTED for one of a later version; MEMORY_LIMIT; CANCELLED; what
    /// the reader reports.
    pub fn read(reader: Box<dyn RecordBatchReader + Send>, name: String, context: &Context) -> Result<(String, State)> {
        let schema = reader.schema();
        let name = schema.metadata().get(NAME).cloned().unwrap_or(name);
        match read(reader, &schema, context) {
            Ok(state) => Ok((name, state)),
            Err(error) => Err(of(&name, &error)),
        }
    }
}

fn damaged(what: &str) -> Error {
    Error::data(format!("this state is damaged ({what}); make it anew from its log, or take another copy of it"))
}

fn foreign() -> Error {
    Error::data("this is no state of pycjm; states are made by mining a log with state=...")
}

/// The facts of a schema, as text and read.
fn facts_of(schema: &Schema) -> Result<(&str, Facts, Option<Kind>)> {
    let text = schema.metadata().get(FACTS).ok_or_else(foreign)?;
    let document: serde_json::Value = serde_json::from_str(text).map_err(|_| damaged("its facts are no JSON"))?;
    match document["version"].as_u64() {
        Some(VERSION) => {}
        Some(version) if version > VERSION => {
            return Err(Error::unsupported(format!(
                "this state was written by a later pycjm, in version {version} of its form; this one reads version {VERSION}: upgrade pycjm"
            )));
        }
        _ => return Err(damaged("its version is not known")),
    }
    let document: Document =
        serde_json::from_value(document).map_err(|error| damaged(&format!("its facts: {error}")))?;
    let (facts, kind) = document.facts().ok_or_else(|| damaged("its facts contradict each other"))?;
    Ok((text, facts, kind))
}

/// What was read of a state so far.
struct Reading {
    labels: Vec<String>,
    variants: Paths,
    edges: Paths,
    negatives: Vec<((u32, u32), u64)>,
    ids: Option<Ids>,
}

fn read(reader: Box<dyn RecordBatchReader + Send>, schema: &Schema, context: &Context) -> Result<State> {
    let (text, facts, kind) = facts_of(schema)?;
    let same = |(found, expected): (&Arc<Field>, &Field)| {
        found.name() == expected.name() && found.data_type().equals_datatype(expected.data_type())
    };
    let expected = fields(kind);
    if schema.fields().len() != expected.len() || !schema.fields().iter().zip(&expected).all(same) {
        return Err(damaged("its columns are others"));
    }
    let mut checksum = Checksum::new(text);
    let mut account = Account::new(context, Step::State);
    let mut reading = Reading {
        labels: Vec::new(),
        variants: Paths::default(),
        edges: Paths::default(),
        negatives: Vec::new(),
        ids: kind.map(Ids::new),
    };
    for batch in reader {
        context.check_cancelled()?;
        let batch = batch.map_err(told)?;
        let rows = Rows::of(&batch).map_err(|error| damaged(error.message()))?;
        checksum.add(&rows);
        reading.add(&rows)?;
        account.set(reading.size_bytes())?;
    }
    if schema.metadata().get(CHECKSUM) != Some(&checksum.text()) {
        return Err(damaged("its checksum is not that of its content"));
    }
    let state = reading.finish(facts, context)?;
    state.check()?;
    Ok(state)
}

/// The engine's error inside an Arrow one, or the nearest to it.
fn told(error: ArrowError) -> Error {
    match error {
        ArrowError::ExternalError(inner) => match inner.downcast::<Error>() {
            Ok(ours) => *ours,
            Err(other) => damaged(&other.to_string()),
        },
        other => damaged(&other.to_string()),
    }
}

impl Reading {
    fn add(&mut self, rows: &Rows<'_>) -> Result<()> {
        for i in 0..rows.part.len() {
            match rows.part.value(i) {
                ACTIVITIES => {
                    let labels = rows.labels.value(i);
                    let labels = labels.as_string_opt::<i32>().ok_or_else(|| damaged("a label is no text"))?;
                    self.labels.extend(labels.iter().map(|label| label.unwrap_or_default().to_owned()));
                }
                part @ (VARIANT | EDGE) => {
                    let (Some(path), Some(ticks), Some(counts)) = (
                        numbers_of::<UInt32Type>(rows.path, i),
                        numbers_of::<Int64Type>(rows.ticks, i),
                        numbers_of::<UInt64Type>(rows.counts, i),
                    ) else {
                        return Err(damaged("a value is missing"));
                    };
                    let known = path.iter().all(|&code| (code as usize) < self.labels.len());
                    if !known
                        || path.is_empty()
                        || ticks.is_empty()
                        || ticks.len() != counts.len()
                        || counts.contains(&0)
                    {
                        return Err(damaged("a sequence is not possible"));
                    }
                    let values = ticks.iter().copied().zip(counts.iter().copied());
                    if part == EDGE {
                        let pair = pair_of(path).map_err(|error| damaged(error.message()))?;
                        self.negatives
                            .push((pair, if rows.negatives.is_valid(i) { rows.negatives.value(i) } else { 0 }));
                        self.edges.push(path.iter().copied(), values);
                    } else {
                        self.variants.push(path.iter().copied(), values);
                    }
                }
                CASES => match &mut self.ids {
                    Some(ids) => ids.extend(&rows.ids.value(i)).map_err(|error| damaged(error.message()))?,
                    None => return Err(damaged("ids that are not announced")),
                },
                _ => return Err(damaged("a row of an unknown kind")),
            }
        }
        Ok(())
    }

    fn size_bytes(&self) -> u64 {
        self.variants.size_bytes() + self.edges.size_bytes() + self.ids.as_ref().map_or(0, Ids::size_bytes)
    }

    /// Puts everything in order, whatever order it came in.
    fn finish(self, facts: Facts, context: &Context) -> Result<State> {
        let Reading { labels, variants, edges, negatives, ids } = self;
        if !labels.windows(2).all(|pair| pair[0] < pair[1]) {
            return Err(damaged("its labels are not in order"));
        }
        // Before anything is summed up: no sum can overflow then.
        let sum = |paths: &Paths| paths.counts.iter().try_fold(0u64, |sum, &count| sum.checked_add(count));
        if [&variants, &edges].into_iter().any(|paths| sum(paths).is_none_or(|sum| sum > MOST)) {
            return Err(damaged("its counts are too large"));
        }
        let mut state = State {
            facts,
            labels,
            variants: Paths::joined(vec![variants], context)?,
            edges: Paths::joined(vec![edges], context)?,
            negatives: BTreeMap::new(),
            ids: None,
        };
        for (pair, below) in negatives.into_iter().filter(|(_, below)| *below > 0) {
            *state.negatives.entry(pair).or_default() += below;
        }
        if let Some(ids) = ids {
            let once = Ids::union(&[ids], context)?;
            state.ids = Some(once.map_err(|(id, ..)| damaged(&format!("case {id} is in it twice")))?);
        }
        Ok(state)
    }
}

impl State {
    /// Whether the parts agree with each other and with the facts.
    fn check(&self) -> Result<()> {
        let (mut cases, mut events) = (0u64, 0u64);
        for i in 0..self.variants.len() {
            let n = self.variants.n(i);
            let more = n.checked_mul(self.variants.path(i).len() as u64).and_then(|more| events.checked_add(more));
            events = more.ok_or_else(|| damaged("its counts are too large"))?;
            cases += n;
        }
        if (events, cases) != (self.facts.events, self.facts.cases) {
            return Err(damaged("its cases are not as many as it says"));
        }
        let steps = steps(&self.variants).map_err(|error| damaged(error.message()))?;
        let fits = |i: usize| {
            let pair = pair_of(self.edges.path(i)).ok()?;
            let below = self.negatives.get(&pair).copied().unwrap_or(0);
            steps.of(pair).filter(|&(count, _)| count == self.edges.n(i) && below <= count)
        };
        if steps.len() != self.edges.len() || !(0..self.edges.len()).all(|i| fits(i).is_some()) {
            return Err(damaged("its edges are not those of its variants"));
        }
        if self.ids.as_ref().is_some_and(|ids| ids.len() as u64 > cases) {
            return Err(damaged("it has more case ids than cases"));
        }
        Ok(())
    }
}
