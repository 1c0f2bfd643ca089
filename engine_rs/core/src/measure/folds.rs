//! All the folds of a plan, side by side: what one thread keeps while it goes through its cases.

use crate::cases::batch::{CaseBatch, Fold};
use crate::context::{Account, Context, Step};
use crate::error::Result;
use crate::log::encode::Labels;
use crate::log::spec::Negative;
use crate::measure::{activities, cases, dfg, durations, metrics, overview, variants};
use crate::plan::Plan;

/// The folds that a plan needs. Measures share: `overview` counts the variants and edges that others list.
pub struct Folds<'a> {
    labels: &'a Labels,
    with_ties: bool,
    account: Account<'a>,
    /// Events, cases, times, ties.
    pub overview: overview::State,
    /// Counters per activity.
    pub activities: Option<activities::State>,
    /// Edges and gaps.
    pub dfg: Option<dfg::State>,
    /// Distinct sequences.
    pub variants: Option<variants::State<'a>>,
    /// Case durations.
    pub durations: Option<durations::State>,
    /// Facts of every case.
    pub cases: Option<cases::State>,
    /// Values of case metrics.
    pub metrics: Option<metrics::State>,
}

impl<'a> Folds<'a> {
    /// The folds of `plan` for one thread.
    ///
    /// # Errors
    /// INVALID_ARGUMENT for a case metric without a function.
    pub fn new(plan: &Plan, negative: Negative, labels: &'a Labels, context: &'a Context) -> Result<Folds<'a>> {
        let keep = variants::Keep { durations: plan.variants.is_some(), cases: plan.cases };
        Ok(Folds {
            labels,
            with_ties: plan.overview,
            account: Account::new(context, Step::Measures),
            overview: overview::State::default(),
            activities: plan.activities.then(|| match plan.dfg {
                Some(_) => activities::State::without_events(),
                None => activities::State::default(),
            }),
            dfg: (plan.dfg.is_some() || plan.overview).then(|| dfg::State::new(plan.dfg.as_deref(), negative)),
            variants: (keep != variants::Keep::default() || plan.overview)
                .then(|| variants::State::new(keep, aside(plan, context))),
            durations: plan.durations.as_deref().map(durations::State::new),
            cases: plan.cases.then(cases::State::default),
            metrics: match plan.case_metrics.is_empty() {
                true => None,
                false => Some(metrics::State::new(&plan.case_metrics, context)?),
            },
        })
    }

    /// About how many bytes the folds hold.
    fn size_bytes(&self) -> u64 {
        let dfg = self.dfg.as_ref().map_or(0, dfg::State::size_bytes);
        let variants = self.variants.as_ref().map_or(0, variants::State::size_bytes);
        let durations = self.durations.as_ref().map_or(0, durations::State::size_bytes);
        let cases = self.cases.as_ref().map_or(0, cases::State::size_bytes);
        (dfg + variants + durations + cases) as u64
    }
}

/// The part of the memory limit that all threads' variants may take.
const VARIANTS_SHARE: u64 = 8;

/// Where variants go that do not fit. If all are listed, they have to fit in the end.
fn aside<'a>(plan: &Plan, context: &'a Context) -> Option<variants::Aside<'a>> {
    if plan.variants.as_ref().is_some_and(|asked| asked.top.is_none()) {
        return None;
    }
    let quota_bytes = context.memory().limit_bytes()? / VARIANTS_SHARE / context.threads() as u64;
    Some(variants::Aside::new(context.spill()?, quota_bytes, context))
}

impl Fold for Folds<'_> {
    fn fold(&mut self, batch: &CaseBatch<'_>) -> Result<()> {
        // A single case may have any number of events.
        let context = self.account.context();
        self.overview.fold(batch, self.with_ties)?;
        if let Some(activities) = &mut self.activities {
            context.check_cancelled()?;
            activities.fold(batch);
        }
        context.check_cancelled()?;
        if let Some(dfg) = &mut self.dfg {
            dfg.fold(batch)?;
        }
        context.check_cancelled()?;
        if let Some(variants) = &mut self.variants {
            variants.fold(batch)?;
        }
        if let Some(durations) = &mut self.durations {
            durations.fold(batch);
        }
        if let Some(cases) = &mut self.cases {
            cases.fold(batch);
        }
        if let Some(metrics) = &mut self.metrics {
            metrics.fold(batch, self.labels)?;
        }
        self.account.set(self.size_bytes())
    }
}

/// The folds of a second look, for percentiles that the first one missed.
pub struct SecondLook<'a> {
    account: Account<'a>,
    /// Gaps of edges.
    pub dfg: dfg::State,
    /// Case durations.
    pub durations: Option<durations::State>,
}

impl<'a> SecondLook<'a> {
    /// A look at gaps and durations.
    pub fn new(dfg: dfg::State, durations: Option<durations::State>, context: &'a Context) -> SecondLook<'a> {
        SecondLook { account: Account::new(context, Step::Measures), dfg, durations }
    }
}

impl Fold for SecondLook<'_> {
    fn fold(&mut self, batch: &CaseBatch<'_>) -> Result<()> {
        if let Some(durations) = &mut self.durations {
            durations.fold(batch);
        }
        self.dfg.fold(batch)?;
        let durations = self.durations.as_ref().map_or(0, durations::State::size_bytes);
        self.account.set((self.dfg.size_bytes() + durations) as u64)
    }
}
