//! Which tables does a state give? All but those of single cases, as if its log were mined.

use std::cmp::Reverse;

use arrow_array::{RecordBatch, StringArray};

use crate::context::{Context, Step};
use crate::error::{Error, Result};
use crate::log::roles::EventTypes;
use crate::measure::dfg::{Edge, EdgeTable};
use crate::measure::overview::Totals;
use crate::measure::statistics::{Description, Sieved, mean_s};
use crate::measure::{activities, dfg, durations, overview, variants};
use crate::plan::Plan;
use crate::state::State;
use crate::state::paths::Paths;
use crate::stats::asked::Asked;
use crate::stats::histogram::Histogram;
use crate::stats::piles::{moments, percentiles, sorted};
use crate::workers;

/// Sequences described in one go by a thread.
const STRETCH: usize = 1024;

impl State {
    /// Refuses what no state can answer.
    ///
    /// # Errors
    /// INVALID_ARGUMENT, with what is possible.
    pub fn check_plan(plan: &Plan) -> Result<()> {
        let refused = [("cases", plan.cases), ("metrics", !plan.case_metrics.is_empty())];
        match refused.iter().find(|(_, asked)| *asked) {
            Some((name, _)) => Err(Error::argument(format!(
                "a state keeps no single cases, so {name:?} cannot be had from it; possible are overview, activities, dfg, variants and durations"
            ))),
            None => Ok(()),
        }
    }

    /// The tables of `plan`, in the order in which measures are listed.
    ///
    /// # Errors
    /// INVALID_ARGUMENT for a plan that asks for single cases; CANCELLED.
    pub fn tables(&self, plan: &Plan, context: &Context) -> Result<Vec<(&'static str, Vec<RecordBatch>)>> {
        State::check_plan(plan)?;
        let (facts, unit) = (&self.facts, self.facts.unit);
        let types = EventTypes {
            case: arrow_schema::DataType::Utf8,
            case_metadata: arrow_schema::Metadata::default(),
            unit,
            zone: facts.zone.clone(),
            has_start: facts.starts.is_some(),
            order: Vec::new(),
        };
        let label_order: Vec<u32> = (0..self.labels.len() as u32).collect();
        let mut tables = Vec::new();
        if plan.overview {
            let span = facts.span.unwrap_or((i64::MAX, i64::MIN));
            let ties = (facts.tied_pairs, facts.cases_with_ties);
            let counted = overview::State::known(facts.events, facts.cases, span, ties);
            let totals = Totals {
                activities: self.labels.len() as u64,
                variants: self.variants.len() as u64,
                edges: self.edges.len() as u64,
                dropped: facts.dropped,
                layout: facts.layout,
            };
            tables.push(("overview", vec![overview::table(&counted, &totals, &types)?]));
        }
        if plan.activities {
            let mut counted = activities::State::default();
            (0..self.variants.len()).for_each(|i| counted.add(self.variants.path(i), self.variants.n(i)));
            tables.push((
                "activities",
                vec![activities::table(counted, std::iter::empty(), &self.labels, &label_order)?],
            ));
        }
        if let Some(asked) = &plan.dfg {
            let edges = self.described_edges(asked, context)?;
            let rows = dfg::Rows {
                names: &StringArray::from_iter_values(&self.labels),
                label_order: &label_order,
                asked,
                unit,
                with_negatives: facts.starts.is_some(),
            };
            tables.push(("dfg", dfg::table(edges.iter(), &rows, context)?));
        }
        if let Some(asked) = &plan.variants {
            let order = self.ranked(asked.top);
            let described = described(&self.variants, &order, &asked.percentiles, unit.per_second(), context)?;
            let shown = order.iter().zip(&described).map(|(&i, description)| variants::Shown {
                codes: self.variants.path(i).iter().copied(),
                cases: description.moments.n(),
                mean_s: mean_s(&description.moments, unit),
                percentiles: &description.percentiles,
            });
            tables.push(("variants", variants::rows(shown, facts.cases, &self.labels, &asked.percentiles, context)?));
        }
        if let Some(asked) = &plan.durations {
            let bytes = self.variants.ticks.len() * size_of::<(i64, u64)>() * 2;
            let _reserved = context.reserve_for_now(Step::State, bytes as u64)?;
            let all = self.variants.ticks.iter().copied().zip(self.variants.counts.iter().copied()).collect();
            let all = sorted(all, || context.check_cancelled())?;
            let (ticks, counts): (Vec<i64>, Vec<u64>) = all.into_iter().unzip();
            let description = description(&ticks, &counts, asked, unit.per_second());
            tables.push(("durations", vec![durations::table(&Sieved::known(description), asked, unit)?]));
        }
        Ok(tables)
    }

    fn described_edges(&self, asked: &Asked, context: &Context) -> Result<Vec<Edge>> {
        let steps = steps(&self.variants)?;
        let order: Vec<usize> = (0..self.edges.len()).collect();
        let described = described(&self.edges, &order, asked, self.facts.unit.per_second(), context)?;
        let edge = |(i, gaps): (usize, Description)| {
            let pair = pair_of(self.edges.path(i))?;
            let (_, cases) = steps.of(pair).ok_or_else(|| Error::internal("an edge that no variant has"))?;
            Ok(Edge::new(pair, cases, self.negatives.get(&pair).copied().unwrap_or(0), gaps))
        };
        described.into_iter().enumerate().map(edge).collect()
    }

    /// The first `top` variants (all where none), by cases and then by labels, which is the order they are in.
    fn ranked(&self, top: Option<u64>) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.variants.len()).collect();
        order.sort_by_cached_key(|&i| Reverse(self.variants.n(i)));
        order.truncate(top.map_or(usize::MAX, |top| top as usize));
        order
    }
}

/// The pair of activities that an edge is.
pub(super) fn pair_of(path: &[u32]) -> Result<(u32, u32)> {
    match path {
        &[source, target] => Ok((source, target)),
        _ => Err(Error::data("an edge that is no pair of activities")),
    }
}

/// How often every pair of activities follows each other, and in how many cases.
pub(super) struct Steps {
    numbers: std::collections::HashMap<(u32, u32), usize>,
    counts: Vec<(u64, u64)>,
}

impl Steps {
    /// (count, cases) of a pair, if there is any.
    pub(super) fn of(&self, pair: (u32, u32)) -> Option<(u64, u64)> {
        self.numbers.get(&pair).map(|&number| self.counts[number])
    }

    /// How many pairs there are.
    pub(super) fn len(&self) -> usize {
        self.counts.len()
    }
}

/// The steps of all variants.
///
/// # Errors
/// INVALID_DATA beyond 2^64 of them.
pub(super) fn steps(variants: &Paths) -> Result<Steps> {
    let mut table = EdgeTable::default();
    let mut counts: Vec<(u64, u64)> = Vec::new();
    // The variant in which each was seen last, from 1.
    let mut seen: Vec<usize> = Vec::new();
    table.make_room(variants.codes.iter().max().map_or(0, |&code| code as usize + 1));
    for i in 0..variants.len() {
        let cases = variants.n(i);
        for pair in variants.path(i).windows(2) {
            let number = table.number(pair[0], pair[1]);
            if number == counts.len() {
                counts.push((0, 0));
                seen.push(0);
            }
            let (count, in_cases) = &mut counts[number];
            *count = count.checked_add(cases).ok_or_else(|| Error::data("more than 2^64 steps"))?;
            if seen[number] != i + 1 {
                seen[number] = i + 1;
                *in_cases += cases;
            }
        }
    }
    let numbers = table.pairs().iter().copied().zip(0..).collect();
    Ok(Steps { numbers, counts })
}

fn description(ticks: &[i64], counts: &[u64], asked: &Asked, per_second: i64) -> Description {
    let moments = moments(ticks, counts);
    let percentiles = match asked.scale() {
        _ if asked.is_empty() => Vec::new(),
        None => percentiles(ticks, counts, asked, per_second),
        Some(scale) => Histogram::of_counts(scale, ticks, counts).percentiles(&moments, asked, per_second),
    };
    Description { moments, percentiles }
}

/// Describes the values of these sequences, in this order.
fn described(
    paths: &Paths,
    order: &[usize],
    asked: &Asked,
    per_second: i64,
    context: &Context,
) -> Result<Vec<Description>> {
    let stretches: Vec<&[usize]> = order.chunks(STRETCH).collect();
    let parts = workers::for_each(context, stretches.len(), |stretch| {
        let describe = |&i: &usize| description(paths.ticks(i), paths.counts(i), asked, per_second);
        Ok(stretches[stretch].iter().map(describe).collect::<Vec<_>>())
    })?;
    Ok(parts.into_iter().flatten().collect())
}
