//! How do the threads' folds become tables? Merged in a fixed order, sorted by total orders, one measure after the other.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use crate::cases::layout::Layout;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::log::roles::EventTypes;
use crate::measure::cases::CasesTable;
use crate::measure::folds::Folds;
use crate::measure::overview::Totals;
use crate::measure::statistics::Sieved;
use crate::measure::variants::{Merged, Ranking};
use crate::measure::{activities, dfg, durations, metrics, overview, variants};
use crate::plan::Plan;
use crate::stats::sieve::Sieve;

/// A table: small ones are made, `cases` is made while it is read.
pub enum Table {
    /// All rows.
    Batch(RecordBatch),
    /// One row per case.
    Cases(Arc<CasesTable>),
    /// Rows in batches, of this schema.
    Batches(SchemaRef, Vec<RecordBatch>),
}

/// What the tables are made with.
pub struct Tables<'a> {
    /// Which ones.
    pub plan: &'a Plan,
    /// Types of the log's columns.
    pub types: &'a EventTypes,
    /// Label by activity code.
    pub names: Vec<String>,
    /// Rows left out.
    pub dropped: [u64; 4],
    /// The log's layout.
    pub layout: Layout,
    /// Threads and cancel flag.
    pub context: &'a Context,
}

/// Every thread's part of every fold.
#[derive(Default)]
struct Parts<'a> {
    overview: overview::State,
    activities: activities::State,
    variants: Vec<variants::State<'a>>,
    cases: Vec<crate::measure::cases::State>,
    metrics: Vec<Vec<(String, Vec<f64>)>>,
}

impl<'a> Parts<'a> {
    fn new(folds: Vec<Folds<'a>>) -> Parts<'a> {
        let mut parts = Parts::default();
        for mut fold in folds {
            parts.overview.merge(&fold.overview);
            if let Some(state) = fold.activities.take() {
                parts.activities.merge(state);
            }
            parts.variants.extend(fold.variants.take());
            parts.cases.extend(fold.cases.take());
            parts.metrics.extend(fold.metrics.take().map(metrics::State::take));
        }
        parts
    }

    /// Name of every metric with its values per thread.
    fn metrics(&mut self) -> Vec<(String, Vec<Vec<f64>>)> {
        let mut columns: Vec<(String, Vec<Vec<f64>>)> = Vec::new();
        for part in self.metrics.drain(..) {
            for (i, (name, values)) in part.into_iter().enumerate() {
                match columns.get_mut(i) {
                    Some((_, parts)) => parts.push(values),
                    None => columns.push((name, vec![values])),
                }
            }
        }
        columns
    }
}

/// What is merged before the tables, since it may need a second look at the rows.
pub struct Gaps {
    /// All edges.
    pub edges: Vec<dfg::Edge>,
    /// All case durations, where they are asked for.
    pub durations: Option<Sieved>,
}

impl Gaps {
    /// Whether percentiles were missed.
    pub fn missed(&self) -> bool {
        self.edges.iter().any(|edge| edge.missed().is_some()) || self.missed_durations().is_some()
    }

    /// What is known of the durations, where their percentiles were missed.
    pub fn missed_durations(&self) -> Option<&Sieve> {
        self.durations.as_ref().and_then(Sieved::missed)
    }
}

/// Makes the tables of the plan, in the order in which measures are listed.
///
/// # Errors
/// CANCELLED; UNSUPPORTED beyond 2^32 variants.
pub fn finish(folds: Vec<Folds<'_>>, gaps: Gaps, with: &Tables<'_>) -> Result<Vec<(&'static str, Table)>> {
    let (plan, unit) = (with.plan, with.types.unit);
    let Gaps { edges, durations } = gaps;
    let mut parts = Parts::new(folds);
    let label_order = label_order(&with.names);
    let variants = match parts.variants.is_empty() {
        true => None,
        false => {
            // Without a table of them, none is among the first.
            let top = plan.variants.as_ref().map_or(Some(0), |asked| asked.top);
            Some(Merged::new(std::mem::take(&mut parts.variants), top, &label_order, with.context)?)
        }
    };
    let mut tables = Vec::new();
    if plan.overview {
        let totals = Totals {
            activities: with.names.len() as u64,
            variants: variants.as_ref().map_or(0, Merged::distinct) as u64,
            edges: edges.len() as u64,
            dropped: with.dropped,
            layout: with.layout,
        };
        tables.push(("overview", Table::Batch(overview::table(&parts.overview, &totals, with.types)?)));
    }
    if plan.activities {
        let incoming = edges.iter().map(|edge| (edge.pair().1, edge.count()));
        let table = activities::table(std::mem::take(&mut parts.activities), incoming, &with.names, &label_order)?;
        tables.push(("activities", Table::Batch(table)));
    }
    if plan.dfg.is_some() {
        let rows = dfg::Rows {
            names: &with.names,
            label_order: &label_order,
            asked: plan.dfg.as_deref().unwrap_or(&[]),
            unit,
            with_negatives: with.types.has_start,
        };
        tables.push(("dfg", Table::Batch(dfg::table(&edges, &rows, with.context)?)));
    }
    if let (Some(asked), Some(variants)) = (&plan.variants, &variants) {
        let ranking = Ranking::new(variants, asked.top, &label_order, with.context)?;
        let table = variants::table(variants, &ranking, &with.names, &asked.percentiles, unit, with.context)?;
        tables.push(("variants", Table::Batch(table)));
    }
    if let (Some(asked), Some(durations)) = (&plan.durations, &durations) {
        tables.push(("durations", Table::Batch(durations::table(durations, asked, unit)?)));
    }
    let metrics = parts.metrics();
    if let Some(asked) = &plan.metrics {
        tables.push(("metrics", Table::Batch(metrics::table(&metrics, asked)?)));
    }
    if plan.cases {
        let variants = variants.as_ref().ok_or_else(|| Error::internal("cases need variants"))?;
        let ranks = Ranking::new(variants, None, &label_order, with.context)?.of_cases(variants)?;
        let cases = CasesTable::new(std::mem::take(&mut parts.cases), ranks, metrics, with.types.clone());
        tables.push(("cases", Table::Cases(Arc::new(cases))));
    }
    Ok(tables)
}

/// Each activity's place among the sorted labels.
fn label_order(names: &[String]) -> Vec<u32> {
    let mut sorted: Vec<usize> = (0..names.len()).collect();
    sorted.sort_by(|&a, &b| names[a].as_bytes().cmp(names[b].as_bytes()));
    let mut order = vec![0; names.len()];
    sorted.iter().enumerate().for_each(|(place, &code)| order[code] = place as u32);
    order
}
