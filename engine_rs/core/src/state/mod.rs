//! What has to be kept of a log so that it can be joined with others later, as if they had been mined together?
//!
//! - the activities;
//! - each variant with the durations of its cases, each edge with its gaps: every tick and how often it is there;
//! - counts of events, cases, ties, rows left out, gaps below zero; the first and the last time; the layout;
//! - the ids of the cases, if wanted, so that none is counted twice.
//!
//! From this every additive measure follows exactly, with any percentiles: a state does not depend on what was asked of
//! the log. It has one form: activities by label, everything else in their order; so the state of two logs is to the byte
//! what their states merge to, in any order and grouping. Only the layout is coarser: of several logs it is `case`
//! where it is that of all, and `none` otherwise.
//!
//! `collect` makes a state while a log is mined, `write` and `read` bring it into the form that `format` describes and
//! back, `answer` makes tables.
//! Cost: O(n log n) for n distinct values; 16 bytes per distinct value, that is up to 16 per event and 16 per case, the
//! ids, and while states are merged about twice that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::cases::layout::Layout;
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::log::spec::Negative;
use crate::measure::overview;
use crate::units::Unit;

mod answer;
mod checksum;
pub mod collect;
pub mod format;
mod ids;
mod paths;
mod read;
mod write;

use ids::{Ids, Kind};
use paths::{Paths, scaled};

/// What is known of a log besides its sequences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The unit of all ticks.
    pub unit: Unit,
    /// The zone of the log's times; none for naive ones.
    pub zone: Option<Arc<str>>,
    /// Whether events have a start of their own, and what was done with gaps below zero then.
    pub starts: Option<Negative>,
    /// How the rows lie.
    pub layout: Layout,
    /// Events.
    pub events: u64,
    /// Cases.
    pub cases: u64,
    /// The first and the last time, if there is any event.
    pub span: Option<(i64, i64)>,
    /// Adjacent events of a case with equal timestamps.
    pub tied_pairs: u64,
    /// Cases with at least one of them.
    pub cases_with_ties: u64,
    /// Rows left out per role.
    pub dropped: [u64; 4],
}

/// The state of a log.
#[derive(Debug)]
pub struct State {
    facts: Facts,
    /// In ascending order.
    labels: Vec<String>,
    /// Sequences with the durations of the cases that follow them.
    variants: Paths,
    /// Pairs with their gaps.
    edges: Paths,
    /// Gaps below zero by pair, where there are any.
    negatives: BTreeMap<(u32, u32), u64>,
    /// The cases that are known by their ids.
    ids: Option<Ids>,
}

/// No count may be larger, so that no sum of ticks overflows.
const MOST: u64 = i64::MAX as u64;

impl State {
    /// What is known besides the sequences.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The state of the logs of all these states together. Each has a name for errors. What they hold is on the
    /// caller's account.
    ///
    /// # Errors
    /// INVALID_ARGUMENT for no state, or states of logs that could not be mined together; INVALID_DATA where they have
    /// cases in common, or times that do not fit into the finest of their units; MEMORY_LIMIT; CANCELLED.
    pub fn merged(mut states: Vec<(String, State)>, context: &Context) -> Result<State> {
        let facts = common(&states)?;
        if let [_] = &states[..] {
            return states.pop().map(|(_, state)| state).ok_or_else(|| Error::internal("a state was lost"));
        }
        let ids = merged_ids(&mut states, context)?;
        let labels: BTreeSet<&String> = states.iter().flat_map(|(_, state)| &state.labels).collect();
        let labels: Vec<String> = labels.into_iter().cloned().collect();
        let (mut variants, mut edges, mut negatives) = (Vec::new(), Vec::new(), BTreeMap::new());
        for (name, mut state) in states {
            let factor = facts.unit.per_second() / state.facts.unit.per_second();
            state.variants.scale(factor).and_then(|()| state.edges.scale(factor)).map_err(|error| of(&name, &error))?;
            // Both lists are in order, and so is what becomes of their codes.
            let place = |label: &String| labels.binary_search(label).map_or(0, |place| place as u32);
            let codes: Vec<u32> = state.labels.iter().map(place).collect();
            state.variants.recode(&codes);
            state.edges.recode(&codes);
            for ((source, target), count) in state.negatives {
                *negatives.entry((codes[source as usize], codes[target as usize])).or_default() += count;
            }
            variants.push(state.variants);
            edges.push(state.edges);
        }
        let (variants, edges) = (Paths::joined(variants, context)?, Paths::joined(edges, context)?);
        Ok(State { facts, labels, variants, edges, negatives, ids })
    }

    /// Bytes held, about.
    pub fn size_bytes(&self) -> u64 {
        self.variants.size_bytes() + self.edges.size_bytes() + self.ids.as_ref().map_or(0, Ids::size_bytes)
    }
}

/// An error about one of the states, with its name.
fn of(name: &str, error: &Error) -> Error {
    Error::new(error.kind(), format!("{name}: {}", error.message())).with("path", name)
}

/// What holds for the logs of all states together.
fn common(states: &[(String, State)]) -> Result<Facts> {
    let Some(((first_name, first), others)) = states.split_first() else {
        return Err(Error::argument("no state is given: name at least one"));
    };
    let mut all = first.facts.clone();
    for (name, state) in others {
        let facts = &state.facts;
        let differ = |what: String| {
            let text = format!("{first_name} and {name} cannot be merged: {what}");
            Error::argument(text).with("path", name.as_str())
        };
        if all.zone.is_some() != facts.zone.is_some() {
            let word = |zone: bool| if zone { "have a zone" } else { "have none" };
            return Err(differ(format!(
                "the times of the first {}, those of the second {}; mine the logs with timezone=... so that all have one",
                word(first.facts.zone.is_some()),
                word(facts.zone.is_some())
            )));
        }
        match (first.facts.starts, facts.starts) {
            (Some(one), Some(other)) if one != other => {
                return Err(differ(format!(
                    "gaps below zero were treated as negative={:?} in the first and as negative={:?} in the second; mine the logs with the same",
                    one.name(),
                    other.name()
                )));
            }
            (one, other) if one.is_some() != other.is_some() => {
                let word = |starts: bool| if starts { "with" } else { "without" };
                return Err(differ(format!(
                    "the first was mined {} a start_timestamp, the second {}; mine both logs alike",
                    word(one.is_some()),
                    word(other.is_some())
                )));
            }
            _ => {}
        }
        let unit = all.unit.max(facts.unit);
        let span = |facts: &Facts| -> Result<Option<(i64, i64)>> {
            let factor = unit.per_second() / facts.unit.per_second();
            facts.span.map(|(low, high)| Ok((scaled(low, factor)?, scaled(high, factor)?))).transpose()
        };
        let (one, other) =
            (span(&all).map_err(|error| of(first_name, &error))?, span(facts).map_err(|error| of(name, &error))?);
        all.span = match (one, other) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (one, other) => one.or(other),
        };
        all.span.map_or(Ok(()), overview::check_range).map_err(|error| of(name, &error))?;
        all.layout = match (all.events, facts.events) {
            (0, _) => facts.layout,
            (_, 0) => all.layout,
            _ if all.layout == Layout::Case && facts.layout == Layout::Case => Layout::Case,
            _ => Layout::None,
        };
        all.unit = unit;
        if all.zone != facts.zone {
            all.zone = Some(Arc::from("UTC"));
        }
        let add = |one: &mut u64, more: u64| -> Result<()> {
            *one = one
                .checked_add(more)
                .filter(|&sum| sum <= MOST)
                .ok_or_else(|| Error::unsupported("more than 2^63 events"))?;
            Ok(())
        };
        add(&mut all.events, facts.events)?;
        add(&mut all.cases, facts.cases)?;
        add(&mut all.tied_pairs, facts.tied_pairs)?;
        add(&mut all.cases_with_ties, facts.cases_with_ties)?;
        all.dropped.iter_mut().zip(facts.dropped).try_for_each(|(one, more)| add(one, more))?;
    }
    Ok(all)
}

/// The ids of all states that have some, none of them twice.
fn merged_ids(states: &mut [(String, State)], context: &Context) -> Result<Option<Ids>> {
    let mut names = Vec::new();
    let mut lists = Vec::new();
    let mut nothing: Option<Kind> = None;
    for (name, state) in states {
        let Some(ids) = state.ids.take() else { continue };
        if ids.len() > 0 {
            names.push(name.as_str());
            lists.push(ids);
        } else {
            // The ids of a log without cases go with any others.
            nothing = Some(nothing.filter(|&kind| kind != ids.kind()).map_or(ids.kind(), |_| Kind::Text));
        }
    }
    let Some(first) = lists.first().map(Ids::kind) else { return Ok(nothing.map(Ids::new)) };
    let kind = match lists.iter().all(|ids| ids.kind().is_integer()) && lists.iter().any(|ids| ids.kind() != first) {
        true if lists.iter().all(Ids::fits_signed) => Kind::Signed,
        true => Kind::Unsigned,
        false => first,
    };
    let convert = |(name, ids): (&&str, Ids)| {
        ids.converted(kind).map_err(|why| {
            let text = format!("{} and {name} cannot be merged: {why}", names[0]);
            Error::argument(text).with("path", *name)
        })
    };
    let lists = names.iter().zip(lists).map(convert).collect::<Result<Vec<_>>>()?;
    let twice = |(id, one, other): (String, usize, usize)| {
        let text = format!(
            "case {id} is in {} and in {}: states can be merged only of logs that have no case in common; mine those logs together",
            names[one], names[other]
        );
        Error::new(ErrorKind::InvalidData, text).with("path", names[other]).with("case", id)
    };
    Ids::union(&lists, context)?.map(Some).map_err(twice)
}

impl Negative {
    /// The name in a log spec.
    fn name(self) -> &'static str {
        match self {
            Negative::Keep => "keep",
            Negative::Zero => "zero",
            Negative::Error => "error",
        }
    }

    fn parse(name: &str) -> Option<Negative> {
        [Negative::Keep, Negative::Zero, Negative::Error].into_iter().find(|negative| negative.name() == name)
    }
}
