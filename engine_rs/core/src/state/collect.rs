//! How does a state come out of a log? A fold beside those of the measures, made into one state at the end.

use std::collections::BTreeMap;

use crate::cases::batch::{self, CaseBatch, Fold};
use crate::cases::layout::Layout;
use crate::context::{Account, Context, Step};
use crate::error::{Error, Result};
use crate::log::labels::{self, Labels};
use crate::log::roles::EventTypes;
use crate::log::spec::Negative;
use crate::log::text::TextColumn;
use crate::measure::dfg::{EdgeTable, refused};
use crate::measure::overview;
use crate::measure::variants::{self, Gathered, Keep, read_codes};
use crate::plan::StatePlan;
use crate::state::ids::{Ids, Kind};
use crate::state::paths::Paths;
use crate::state::{Facts, State};
use crate::stats::piles::{Piles, counted};

/// What one thread has seen.
pub struct Collector<'a> {
    overview: overview::State,
    table: EdgeTable,
    /// By number.
    edges: Vec<Gaps>,
    gaps_bytes: isize,
    variants: variants::State<'a>,
    ids: Option<Ids>,
    negative: Negative,
    numbers: Vec<u32>,
    account: Account<'a>,
}

/// The gaps of one edge.
#[derive(Default)]
struct Gaps {
    piles: Piles,
    negatives: u64,
}

impl<'a> Collector<'a> {
    /// Nothing seen yet, of a log whose columns have these types.
    pub fn new(asked: &StatePlan, types: &EventTypes, negative: Negative, context: &'a Context) -> Collector<'a> {
        Collector {
            overview: overview::State::default(),
            table: EdgeTable::default(),
            edges: Vec::new(),
            gaps_bytes: 0,
            variants: variants::State::new(Keep { durations: true, cases: false }, None),
            ids: asked.case_ids.then(|| Ids::new(Kind::of(&types.case))),
            negative,
            numbers: Vec::new(),
            account: Account::new(context, Step::State),
        }
    }

    fn fold_gaps(&mut self, batch: &CaseBatch<'_>) -> Result<()> {
        let (from, to) = (batch.offsets[0] as usize, batch.offsets[batch.cases()] as usize);
        let codes = &batch.codes[from..to];
        self.table.make_room(codes.iter().max().map_or(0, |&code| code as usize + 1));
        let firsts = || batch.offsets[..batch.cases()].iter().map(|&at| at as usize - from);
        self.table.number_pairs(codes, firsts, &mut self.numbers);
        self.edges.resize_with(self.table.pairs().len(), Gaps::default);
        for (at, &number) in (from..to).zip(&self.numbers) {
            let Some(edge) = (number as usize).checked_sub(1) else { continue };
            let edge = &mut self.edges[edge];
            let start = batch.starts.map_or(batch.times[at], |starts| starts[at]);
            let mut gap = start.wrapping_sub(batch.times[at - 1]);
            if gap < 0 {
                edge.negatives += 1;
                match self.negative {
                    Negative::Keep => {}
                    Negative::Zero => gap = 0,
                    Negative::Error => return Err(refused(gap)),
                }
            }
            self.gaps_bytes += edge.piles.push(gap);
        }
        Ok(())
    }
}

impl Fold for Collector<'_> {
    fn fold(&mut self, batch: &CaseBatch<'_>) -> Result<()> {
        self.overview.fold(batch, true)?;
        self.fold_gaps(batch)?;
        self.variants.fold(batch, &self.overview.durations)?;
        if let Some(ids) = &mut self.ids {
            ids.fold(batch);
        }
        let edges = self.edges.len() * size_of::<Gaps>() + self.gaps_bytes.max(0) as usize;
        let ids = self.ids.as_ref().map_or(0, Ids::size_bytes);
        self.account.set((edges + self.variants.size_bytes()) as u64 + ids)
    }
}

/// A fold, and the collector of a state beside it where one is asked for.
pub struct Beside<'a, F> {
    /// The fold.
    pub fold: F,
    /// The collector.
    pub collector: Option<Collector<'a>>,
    /// The ids, where keys number them.
    pub ids: Option<&'a TextColumn>,
}

impl<F: Fold> Fold for Beside<'_, F> {
    fn fold(&mut self, batch: &CaseBatch<'_>) -> Result<()> {
        let batch = CaseBatch { ids: self.ids.map_or(batch.ids, batch::Ids::Numbered), ..*batch };
        self.fold.fold(&batch)?;
        self.collector.as_mut().map_or(Ok(()), |collector| collector.fold(&batch))
    }
}

/// What is known of a log once it is read.
pub struct Read<'a> {
    /// The types of its columns.
    pub types: &'a EventTypes,
    /// The labels of its activities.
    pub labels: &'a Labels,
    /// How its rows lie.
    pub layout: Layout,
    /// Rows left out per role.
    pub dropped: [u64; 4],
}

impl State {
    /// The state of a log that these collectors have seen.
    ///
    /// # Errors
    /// MEMORY_LIMIT; CANCELLED; UNSUPPORTED beyond 2^32 variants.
    pub fn of(collectors: Vec<Collector<'_>>, read: &Read<'_>, context: &Context) -> Result<State> {
        let names = read.labels.list();
        let (by_label, codes) = labels::in_order(&names, context)?;
        let labels = by_label.iter().map(|&code| names[code as usize].clone()).collect();
        let mut overview = overview::State::default();
        let negative = collectors.first().map_or(Negative::Keep, |first| first.negative);
        let (mut all_edges, mut all_variants, mut ids) = (BTreeMap::<_, Vec<Gaps>>::new(), Vec::new(), Vec::new());
        let mut held = Vec::new();
        for collector in collectors {
            overview.merge(&collector.overview)?;
            for (&(source, target), gaps) in collector.table.pairs().iter().zip(collector.edges) {
                all_edges.entry((codes[source as usize], codes[target as usize])).or_default().push(gaps);
            }
            all_variants.push(collector.variants);
            ids.extend(collector.ids);
            held.push(collector.account);
        }
        let mut account = Account::new(context, Step::State);
        let (mut edges, mut negatives) = (Paths::default(), BTreeMap::new());
        for ((source, target), parts) in all_edges {
            context.check_cancelled()?;
            let below: u64 = parts.iter().map(|part| part.negatives).sum();
            if below > 0 {
                negatives.insert((source, target), below);
            }
            let gaps = Piles::union(parts.into_iter().map(|part| part.piles).collect(), || context.check_cancelled())?;
            edges.push([source, target].into_iter(), gaps.into_iter());
            account.set(edges.size_bytes())?;
        }
        let variants = variants_of(all_variants, &codes, context)?;
        let ids = match ids.is_empty() {
            true => None,
            false => Some(Ids::union(&ids, context)?.map_err(|_| Error::internal("a case was folded twice"))?),
        };
        let facts = Facts {
            unit: read.types.unit,
            zone: read.types.zone.clone(),
            starts: read.types.has_start.then_some(negative),
            layout: read.layout,
            events: overview.events,
            cases: overview.cases,
            span: (overview.events > 0).then_some((overview.first, overview.last)),
            tied_pairs: overview.tied_pairs,
            cases_with_ties: overview.cases_with_ties,
            dropped: read.dropped,
        };
        Ok(State { facts, labels, variants, edges, negatives, ids })
    }
}

/// All variants in the order of their labels, whose places are `places` by code, with the durations of their cases.
fn variants_of(states: Vec<variants::State<'_>>, places: &[u32], context: &Context) -> Result<Paths> {
    let mut account = Account::new(context, Step::State);
    let mut paths = Paths::default();
    variants::each_part(states, context, |sequences, followers| {
        context.check_cancelled()?;
        let mut gathered = Gathered::new(sequences.all_cases(), |_| true);
        followers.for_each(|followers| gathered.take(followers));
        for (number, own) in gathered.each_mut() {
            own.sort_unstable();
            let codes = read_codes(sequences.get(number)).map(|code| places[code as usize]);
            paths.push(codes, counted(own).into_iter());
        }
        account.set(paths.size_bytes())
    })?;
    Paths::joined(vec![paths], context)
}
