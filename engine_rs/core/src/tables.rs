//! How do the threads' folds become tables? Merged in a fixed order, sorted by total orders, one measure after the other.

use std::sync::Arc;

use arrow_array::{RecordBatch, StringArray};
use arrow_schema::SchemaRef;

use crate::cases::layout::Layout;
use crate::context::{Account, Context};
use crate::error::{Error, Result};
use crate::log::labels;
use crate::log::roles::EventTypes;
use crate::measure::cases::{CasesTable, Ranks};
use crate::measure::folds::{Folds, even_out};
use crate::measure::overview::Totals;
use crate::measure::statistics::Sieved;
use crate::measure::variants::{AllRanks, Listed, Listing, Merged, Ranking, RowBytes, Wanted};
use crate::measure::{activities, dfg, durations, metrics, overview, variants};
use crate::plan::Plan;
use crate::stats::sieve::Sieve;

/// A table: small ones are made, large ones are made while they are read.
pub enum Table {
    /// One row per case.
    Cases(Arc<CasesTable>),
    /// One row per variant, where they do not fit.
    Variants(Arc<Listing>),
    /// Rows in batches, of this schema.
    Batches(SchemaRef, Vec<RecordBatch>),
}

impl From<RecordBatch> for Table {
    fn from(batch: RecordBatch) -> Table {
        Table::Batches(batch.schema(), vec![batch])
    }
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
    cases: Vec<crate::measure::cases::State<'a>>,
    metrics: Vec<Vec<(String, Vec<f64>)>>,
    metrics_aside: Vec<metrics::Aside<'a>>,
    /// What all this takes.
    accounts: Vec<Account<'a>>,
}

impl<'a> Parts<'a> {
    fn new(mut folds: Vec<Folds<'a>>, context: &'a Context) -> Result<Parts<'a>> {
        let mut parts = Parts::default();
        even_out(&mut folds)?;
        for mut fold in folds {
            parts.accounts.push(fold.close_account(context)?);
            parts.overview.merge(&fold.overview)?;
            if let Some(state) = fold.activities.take() {
                parts.activities.merge(state);
            }
            parts.variants.extend(fold.variants.take());
            parts.cases.extend(fold.cases.take());
            if let Some(mut metrics) = fold.metrics.take() {
                parts.metrics_aside.extend(metrics.aside.take());
                parts.metrics.push(metrics.take());
            }
        }
        Ok(parts)
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
pub struct Gaps<'a> {
    /// All edges.
    pub edges: dfg::Edges<'a>,
    /// All case durations, where they are asked for.
    pub durations: Option<Sieved>,
}

impl Gaps<'_> {
    /// Whether percentiles were missed.
    pub fn missed(&self) -> bool {
        self.edges.missed().next().is_some() || self.missed_durations().is_some()
    }

    /// What is known of the durations, where their percentiles were missed.
    pub fn missed_durations(&self) -> Option<&Sieve> {
        self.durations.as_ref().and_then(Sieved::missed)
    }
}

/// All variants.
enum Variants<'a> {
    Held(Merged),
    Aside(Listed<'a>),
}

/// All variants with a rank for each.
enum Ranked<'a> {
    Held(&'a Merged, Ranking),
    Aside(AllRanks<'a>),
}

impl Variants<'_> {
    fn distinct(&self) -> u64 {
        match self {
            Variants::Held(merged) => merged.distinct() as u64,
            Variants::Aside(listed) => listed.distinct,
        }
    }
}

impl Ranks for Ranked<'_> {
    fn parts(&self) -> usize {
        variants::PARTS
    }

    fn each_case(&self, part: usize, take: &mut dyn FnMut(usize, u32, u32)) -> Result<()> {
        match self {
            Ranked::Held(merged, ranking) => ranking.each_case(merged, part, take),
            Ranked::Aside(ranks) => ranks.each_case(part, take),
        }
    }
}

/// Makes the tables of the plan, in the order in which measures are listed.
///
/// # Errors
/// CANCELLED; UNSUPPORTED beyond 2^32 variants; MEMORY_LIMIT; IO.
pub fn finish<'a>(folds: Vec<Folds<'a>>, gaps: Gaps<'_>, with: &Tables<'a>) -> Result<Vec<(&'static str, Table)>> {
    let (plan, unit) = (with.plan, with.types.unit);
    let Gaps { edges, durations } = gaps;
    let mut parts = Parts::new(folds, with.context)?;
    let (_, label_order) = labels::in_order(&with.names, with.context)?;
    let variants = match parts.variants.is_empty() {
        true => None,
        false => {
            // Without a table of them, none is among the first; but each case has the rank of its variant.
            let top = plan.variants.as_ref().map_or(Some(0), |asked| asked.top).filter(|_| !plan.cases);
            let listed = plan.variants.as_ref().filter(|asked| asked.top.is_none());
            let row_bytes = listed.map(|asked| RowBytes::new(&with.names, &asked.percentiles));
            let wanted = Wanted { top, label_order: &label_order, row_bytes: row_bytes.as_ref() };
            let mut states = std::mem::take(&mut parts.variants);
            let are_aside = variants::even_out(&mut states, wanted, with.context)?;
            match with.context.spill().filter(|_| are_aside && top.is_none()) {
                None => Some(Variants::Held(Merged::new(states, wanted, with.context)?)),
                Some(spill) => {
                    let (asked, names) = (plan.variants.as_ref(), &with.names[..]);
                    let top = asked.and_then(|asked| asked.top);
                    let asked = asked.map(|asked| &asked.percentiles);
                    let about = variants::About { names, label_order: &label_order, asked, top, unit };
                    Some(Variants::Aside(Listed::new(states, &about, spill, with.context)?))
                }
            }
        }
    };
    let mut tables = Vec::new();
    if plan.overview {
        let totals = Totals {
            activities: with.names.len() as u64,
            variants: variants.as_ref().map_or(0, Variants::distinct),
            edges: edges.count as u64,
            dropped: with.dropped,
            layout: with.layout,
        };
        tables.push(("overview", Table::from(overview::table(&parts.overview, &totals, with.types)?)));
    }
    if plan.activities {
        let incoming = edges.iter().map(|edge| (edge.pair().1, edge.count()));
        let table = activities::table(std::mem::take(&mut parts.activities), incoming, &with.names, &label_order)?;
        tables.push(("activities", Table::from(table)));
    }
    if let Some(asked) = &plan.dfg {
        let rows = dfg::Rows {
            names: &StringArray::from_iter_values(&with.names),
            label_order: &label_order,
            asked,
            unit,
            with_negatives: with.types.has_start,
        };
        let batches = dfg::table(edges.iter(), &rows, with.context)?;
        tables.push(("dfg", Table::Batches(batches[0].schema(), batches)));
    }
    if let (Some(asked), Some(variants)) = (&plan.variants, &variants) {
        let table = match variants {
            Variants::Aside(listed) => Table::Variants(Arc::clone(&listed.table)),
            Variants::Held(merged) => {
                let ranking = Ranking::new(merged, asked.top, &label_order, with.context)?;
                let batches = variants::table(merged, &ranking, &with.names, &asked.percentiles, unit, with.context)?;
                Table::Batches(batches[0].schema(), batches)
            }
        };
        tables.push(("variants", table));
    }
    if let (Some(asked), Some(durations)) = (&plan.durations, &durations) {
        tables.push(("durations", Table::from(durations::table(durations, asked, unit)?)));
    }
    let metrics = parts.metrics();
    if let Some(asked) = &plan.metrics {
        let table = metrics::table(&metrics, &parts.metrics_aside, asked)?;
        tables.push(("metrics", Table::from(table)));
    }
    if plan.cases {
        let variants = variants.as_ref().ok_or_else(|| Error::internal("cases need variants"))?;
        let ranked = match variants {
            Variants::Held(merged) => Ranked::Held(merged, Ranking::new(merged, None, &label_order, with.context)?),
            Variants::Aside(listed) => Ranked::Aside(listed.ranked()?),
        };
        let states = std::mem::take(&mut parts.cases);
        let cases = CasesTable::new(states, metrics, &ranked, with.types.clone(), with.context)?;
        tables.push(("cases", Table::Cases(Arc::new(cases))));
    }
    Ok(tables)
}
