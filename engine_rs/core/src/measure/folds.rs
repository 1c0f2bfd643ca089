//! All the folds of a plan, side by side: what one thread keeps while it goes through its cases.

use crate::cases::batch::{CaseBatch, Fold};
use crate::context::{Account, Context, Step};
use crate::error::Result;
use crate::log::labels::Labels;
use crate::log::spec::Negative;
use crate::measure::{activities, cases, dfg, durations, metrics, overview, variants};
use crate::plan::Plan;
use crate::spill::Spill;

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
    pub cases: Option<cases::State<'a>>,
    /// Values of case metrics.
    pub metrics: Option<metrics::State<'a>>,
    /// Whether `metrics` is a table of its own.
    with_metrics: bool,
    /// Where cases and metrics go that do not fit.
    room: Option<Room<'a>>,
}

/// A place for what is beyond a number of bytes.
struct Room<'a> {
    spill: &'a Spill,
    quota_bytes: u64,
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
            dfg: (plan.dfg.is_some() || plan.overview)
                .then(|| dfg::State::new(plan.dfg.as_ref(), negative, gaps_quota(context))),
            variants: (keep != variants::Keep::default() || plan.overview)
                .then(|| variants::State::new(keep, variants_aside(context))),
            durations: plan.durations.as_ref().map(durations::State::new),
            cases: plan.cases.then(cases::State::default),
            metrics: match plan.case_metrics.is_empty() {
                true => None,
                false => Some(metrics::State::new(&plan.case_metrics, context)?),
            },
            with_metrics: plan.metrics.is_some(),
            room: context
                .spill()
                .zip(context.quota_bytes(CASES_SHARE))
                .map(|(spill, quota_bytes)| Room { spill, quota_bytes }),
        })
    }

    /// Puts cases and metrics aside if they have grown too large.
    fn make_room(&mut self) -> Result<()> {
        let cases = self.cases.as_ref().map_or(0, cases::State::size_bytes);
        let metrics = self.metrics.as_ref().map_or(0, metrics::State::size_bytes);
        match &self.room {
            Some(room) if (cases + metrics) as u64 > room.quota_bytes => self.put_cases_aside(),
            _ => Ok(()),
        }
    }

    /// Puts cases and metrics aside, if there is a place for them.
    fn put_cases_aside(&mut self) -> Result<()> {
        let Some(Room { spill, .. }) = self.room else { return Ok(()) };
        if let Some(cases) = &mut self.cases {
            let values = self.metrics.as_ref().map(metrics::State::values).unwrap_or_default();
            cases.put_aside(&values, spill)?;
        }
        match &mut self.metrics {
            Some(metrics) => metrics.put_aside(spill, self.with_metrics),
            None => Ok(()),
        }
    }

    /// Whether cases or metrics were put aside.
    fn has_cases_aside(&self) -> bool {
        self.cases.as_ref().is_some_and(|cases| cases.aside.is_some())
            || self.metrics.as_ref().is_some_and(|metrics| metrics.aside.is_some())
    }

    /// Gives up the account of what the folds hold, which is kept until the tables are made.
    ///
    /// # Errors
    /// MEMORY_LIMIT.
    pub fn close_account(&mut self, context: &'a Context) -> Result<Account<'a>> {
        self.account.set(self.size_bytes())?;
        Ok(std::mem::replace(&mut self.account, Account::new(context, Step::Measures)))
    }

    /// About how many bytes the folds hold.
    fn size_bytes(&self) -> u64 {
        let activities = self.activities.as_ref().map_or(0, activities::State::size_bytes);
        let dfg = self.dfg.as_ref().map_or(0, dfg::State::size_bytes);
        let variants = self.variants.as_ref().map_or(0, variants::State::size_bytes);
        let durations = self.durations.as_ref().map_or(0, durations::State::size_bytes);
        let cases = self.cases.as_ref().map_or(0, cases::State::size_bytes);
        let metrics = self.metrics.as_ref().map_or(0, metrics::State::size_bytes);
        (activities + dfg + variants + durations + cases + metrics) as u64
    }
}

/// The part of the memory limit that gaps of very many edges may take.
const GAPS_SHARE: u64 = 8;

/// Bytes of gaps that a thread may gather.
pub fn gaps_quota(context: &Context) -> usize {
    context.quota_bytes(GAPS_SHARE).map_or(usize::MAX, |bytes| bytes as usize)
}

/// The part of the memory limit that all threads' variants may take.
const VARIANTS_SHARE: u64 = 8;

/// Bytes of variants in all threads that are enough.
const ENOUGH_VARIANTS: u64 = 128 << 20;

/// The part of the memory limit that all threads' cases and metrics may take.
const CASES_SHARE: u64 = 16;

/// Where variants go that do not fit.
fn variants_aside(context: &Context) -> Option<variants::Aside<'_>> {
    Some(variants::Aside::new(context.spill()?, context.quota(VARIANTS_SHARE, ENOUGH_VARIANTS)?, context))
}

/// Where one thread has put something aside, all do so with what they have of it.
///
/// # Errors
/// IO.
pub fn even_out(folds: &mut [Folds<'_>]) -> Result<()> {
    let of_variants = folds.iter().any(|folds| folds.variants.as_ref().is_some_and(variants::State::is_aside));
    let of_cases = folds.iter().any(Folds::has_cases_aside);
    for folds in folds {
        if let Some(variants) = folds.variants.as_mut().filter(|_| of_variants) {
            variants.put_aside()?;
        }
        if of_cases {
            folds.put_cases_aside()?;
        }
    }
    Ok(())
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
            variants.fold(batch, &self.overview.durations)?;
        }
        if let Some(durations) = &mut self.durations {
            durations.fold(&self.overview.durations);
        }
        if let Some(cases) = &mut self.cases {
            cases.fold(batch);
        }
        if let Some(metrics) = &mut self.metrics {
            metrics.fold(batch, self.labels)?;
        }
        self.make_room()?;
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
    of_batch: Vec<i64>,
}

impl<'a> SecondLook<'a> {
    /// A look at gaps and durations.
    pub fn new(dfg: dfg::State, durations: Option<durations::State>, context: &'a Context) -> SecondLook<'a> {
        SecondLook { account: Account::new(context, Step::Measures), dfg, durations, of_batch: Vec::new() }
    }
}

impl Fold for SecondLook<'_> {
    fn fold(&mut self, batch: &CaseBatch<'_>) -> Result<()> {
        if let Some(durations) = &mut self.durations {
            batch.durations(&mut self.of_batch);
            durations.fold(&self.of_batch);
        }
        self.dfg.fold(batch)?;
        let durations = self.durations.as_ref().map_or(0, durations::State::size_bytes);
        self.account.set((self.dfg.size_bytes() + durations) as u64)
    }
}
