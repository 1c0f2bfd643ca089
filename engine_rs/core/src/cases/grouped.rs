//! Cases out of rows that lie together: batches are cut where the case id changes, with no copy but at the seams.
//!
//! The first and the last run of a task may go on in its neighbours, so they are kept as fragments until all tasks are
//! read and then joined in input order. Every case's key is kept, too: if one comes twice, the rows did not lie
//! together after all, and the caller starts again with [`super::partition`].
//! Cost: O(1) per event; memory 8 bytes per case, plus the fragments.

use crate::cases::batch::{CaseBatch, Fold, Ids};
use crate::cases::layout::{Keys, Summary, run_starts};
use crate::cases::order::{Ordered, Orderer};
use crate::context::{Account, Context, Step};
use crate::error::Result;
use crate::log::byte_list::ByteList;
use crate::log::encode::Encoded;

/// Events of one case at the edge of a task or batch, copied.
#[derive(Default)]
struct Fragment {
    key: u64,
    id: Option<Box<[u8]>>,
    order: u64,
    codes: Vec<u32>,
    times: Vec<i64>,
    starts: Option<Vec<i64>>,
    ties: Option<ByteList>,
}

/// Copies of a fragment that there may be.
const COPIES: usize = 3;

impl Fragment {
    fn new(batch: &Encoded<'_>, from: usize, to: usize) -> Fragment {
        let mut fragment = Fragment {
            key: batch.keys[from],
            id: batch.ids.map(|ids| ids.value(from).into()),
            order: batch.first_order + from as u64,
            ..Fragment::default()
        };
        fragment.add(batch, from, to);
        fragment
    }

    fn add(&mut self, batch: &Encoded<'_>, from: usize, to: usize) {
        self.codes.extend_from_slice(&batch.codes[from..to]);
        self.times.extend_from_slice(&batch.times[from..to]);
        if let Some(starts) = batch.starts {
            self.starts.get_or_insert_default().extend_from_slice(&starts[from..to]);
        }
        if let Some(ties) = batch.ties {
            self.ties.get_or_insert_default().extend_range(ties, from, to);
        }
    }

    fn append(&mut self, other: &Fragment) {
        self.codes.extend_from_slice(&other.codes);
        self.times.extend_from_slice(&other.times);
        if let (Some(starts), Some(more)) = (&mut self.starts, &other.starts) {
            starts.extend_from_slice(more);
        }
        if let (Some(ties), Some(more)) = (&mut self.ties, &other.ties) {
            ties.extend_range(more, 0, more.len());
        }
    }

    fn is_case_of(&self, batch: &Encoded<'_>, at: usize) -> bool {
        self.key == batch.keys[at] && batch.ids.is_none_or(|ids| self.id.as_deref() == Some(ids.value(at)))
    }

    fn same_case(&self, other: &Fragment) -> bool {
        self.key == other.key && self.id == other.id
    }

    /// Bytes that it takes, and what it is joined to, and the order it is brought into.
    fn size_bytes(&self) -> u64 {
        let starts = self.starts.as_ref().map_or(0, |starts| starts.len() * 8);
        let ties = self.ties.as_ref().map_or(0, ByteList::size_bytes);
        ((self.codes.len() * 4 + self.times.len() * 8 + starts + ties) * COPIES) as u64
    }

    fn fold(&self, orderer: &mut Orderer, fold: &mut impl Fold, context: &Context) -> Result<()> {
        let offsets = [0, self.codes.len() as u32];
        let (starts, ties) = (self.starts.as_deref(), self.ties.as_ref());
        let ordered = orderer.order(&offsets, &self.codes, &self.times, starts, ties, context)?;
        let mut list = ByteList::default();
        let ids = match &self.id {
            None => Ids::Keys,
            Some(id) => {
                list.push(id);
                Ids::Each(&list)
            }
        };
        fold.fold(&CaseBatch {
            offsets: &offsets,
            codes: ordered.codes,
            times: ordered.times,
            starts: ordered.starts,
            keys: &[self.key],
            ids,
            orders: &[self.order],
        })
    }
}

/// The edges of one task: its first run, and its last where that is another one.
pub struct Edges {
    /// The task's layout.
    pub summary: Summary,
    fragments: Vec<Fragment>,
}

/// Cuts the batches of one thread's tasks into cases and folds them.
pub struct Grouper<'a, F> {
    /// Where complete cases went.
    pub fold: F,
    /// Edges of the tasks read.
    pub edges: Vec<Edges>,
    /// Keys of the complete cases.
    pub keys: Keys<'a>,
    summary: Summary,
    head: Option<Fragment>,
    open: Option<Fragment>,
    orderer: Orderer,
    starts: Vec<u32>,
    case_keys: Vec<u64>,
    case_orders: Vec<u64>,
    context: &'a Context,
    /// What all fragments take.
    pub account: Account<'a>,
    edges_bytes: u64,
}

impl<'a, F: Fold> Grouper<'a, F> {
    /// A grouper in front of `fold`, which adds the keys of complete cases to `keys`.
    pub fn new(fold: F, keys: Keys<'a>, context: &'a Context) -> Grouper<'a, F> {
        Grouper {
            fold,
            edges: Vec::new(),
            keys,
            summary: Summary::default(),
            head: None,
            open: None,
            orderer: Orderer::default(),
            starts: Vec::new(),
            case_keys: Vec::new(),
            case_orders: Vec::new(),
            context,
            account: Account::new(context, Step::Case),
            edges_bytes: 0,
        }
    }

    /// Begins task `seq`.
    pub fn begin(&mut self, seq: u64) {
        self.summary = Summary::new(seq);
        self.head = None;
        self.open = None;
    }

    /// Takes in the task's next batch.
    ///
    /// # Errors
    /// Those of the fold; IO; MEMORY_LIMIT.
    pub fn push(&mut self, batch: &Encoded<'_>) -> Result<()> {
        let rows = batch.keys.len();
        if rows == 0 {
            return Ok(());
        }
        let mut starts = std::mem::take(&mut self.starts);
        let ascends = run_starts(batch, &mut starts);
        self.summary.add(batch, starts.len());
        let outcome = self.push_runs(batch, &mut starts, ascends && batch.ties.is_none());
        self.starts = starts;
        outcome?;
        let fragments = [&self.head, &self.open].into_iter().flatten();
        self.account.set(self.edges_bytes + fragments.map(Fragment::size_bytes).sum::<u64>())
    }

    fn push_runs(&mut self, batch: &Encoded<'_>, starts: &mut Vec<u32>, ordered: bool) -> Result<()> {
        let rows = batch.keys.len() as u32;
        let runs = starts.len();
        starts.push(rows);
        let mut first_whole = 0;
        if let Some(open) = &mut self.open {
            if open.is_case_of(batch, 0) {
                open.add(batch, 0, starts[1] as usize);
                if runs == 1 {
                    return Ok(());
                }
                first_whole = 1;
            }
            self.close_open()?;
        }
        // The last run may go on in the next batch; the first of a task may have begun in the task before.
        let last = runs - 1;
        if self.head.is_none() && first_whole < last {
            self.head = Some(Fragment::new(batch, starts[first_whole] as usize, starts[first_whole + 1] as usize));
            first_whole += 1;
        }
        self.fold_runs(batch, &starts[first_whole..=last], ordered)?;
        self.open = Some(Fragment::new(batch, starts[last] as usize, rows as usize));
        self.keys.make_room()
    }

    /// The open run has ended: it is the task's head, or a whole case.
    fn close_open(&mut self) -> Result<()> {
        let Some(open) = self.open.take() else { return Ok(()) };
        if self.head.is_none() {
            self.head = Some(open);
            return Ok(());
        }
        self.keys.push(open.key);
        open.fold(&mut self.orderer, &mut self.fold, self.context)
    }

    fn fold_runs(&mut self, batch: &Encoded<'_>, starts: &[u32], ordered: bool) -> Result<()> {
        let cases = starts.len() - 1;
        if cases == 0 {
            return Ok(());
        }
        self.case_keys.clear();
        self.case_keys.extend(starts[..cases].iter().map(|&start| batch.keys[start as usize]));
        self.case_orders.clear();
        self.case_orders.extend(starts[..cases].iter().map(|&start| batch.first_order + u64::from(start)));
        self.case_keys.iter().for_each(|&key| self.keys.push(key));
        let ordered = match ordered {
            true => Ordered { codes: batch.codes, times: batch.times, starts: batch.starts },
            false => self.orderer.order(starts, batch.codes, batch.times, batch.starts, batch.ties, self.context)?,
        };
        self.fold.fold(&CaseBatch {
            offsets: starts,
            codes: ordered.codes,
            times: ordered.times,
            starts: ordered.starts,
            keys: &self.case_keys,
            ids: batch.ids.map_or(Ids::Keys, |column| Ids::Rows { column, rows: &starts[..cases] }),
            orders: &self.case_orders,
        })
    }

    /// Ends the task.
    pub fn end(&mut self) {
        let fragments: Vec<Fragment> = self.head.take().into_iter().chain(self.open.take()).collect();
        self.edges_bytes += fragments.iter().map(Fragment::size_bytes).sum::<u64>();
        self.edges.push(Edges { summary: std::mem::take(&mut self.summary), fragments });
    }
}

/// Joins the fragments of all tasks, in input order, and folds the cases they make. Returns `keys` with theirs.
///
/// # Errors
/// Those of the fold.
pub fn stitch<'a>(
    edges: &mut [Edges],
    fold: &mut impl Fold,
    mut keys: Keys<'a>,
    context: &Context,
) -> Result<Keys<'a>> {
    edges.sort_by_key(|edge| edge.summary.seq);
    let mut orderer = Orderer::default();
    let mut open: Option<Fragment> = None;
    // Only the first fragment of a task can go on from the task before: between its first and its last run lie others.
    let fragments = edges.iter_mut().flat_map(|edge| edge.fragments.drain(..).enumerate());
    for (place, fragment) in fragments {
        context.check_cancelled()?;
        match &mut open {
            Some(known) if place == 0 && known.same_case(&fragment) => known.append(&fragment),
            _ => {
                if let Some(done) = open.replace(fragment) {
                    keys.push(done.key);
                    done.fold(&mut orderer, fold, context)?;
                }
            }
        }
    }
    if let Some(done) = open {
        keys.push(done.key);
        done.fold(&mut orderer, fold, context)?;
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Context;

    /// Writes every case down as (key, order, codes).
    #[derive(Default)]
    struct Notes(Vec<(u64, u64, Vec<u32>)>);

    impl Fold for Notes {
        fn fold(&mut self, batch: &CaseBatch<'_>) -> Result<()> {
            for i in 0..batch.cases() {
                self.0.push((batch.keys[i], batch.orders[i], batch.codes[batch.events(i)].to_vec()));
            }
            Ok(())
        }
    }

    /// Groups `keys` cut into tasks and batches of the given sizes.
    fn grouped(keys: &[u64], task_rows: usize, batch_rows: usize) -> Vec<(u64, u64, Vec<u32>)> {
        let codes: Vec<u32> = (0..keys.len() as u32).collect();
        let times: Vec<i64> = (0..keys.len() as i64).collect();
        let context = Context::new();
        let mut grouper = Grouper::new(Notes::default(), Keys::new(&context), &context);
        for (seq, task) in (0..keys.len()).step_by(task_rows).enumerate() {
            grouper.begin(seq as u64);
            let end = (task + task_rows).min(keys.len());
            for from in (task..end).step_by(batch_rows) {
                let rows = from..(from + batch_rows).min(end);
                grouper
                    .push(&Encoded {
                        keys: &keys[rows.clone()],
                        ids: None,
                        neighbours_differ: true,
                        codes: &codes[rows.clone()],
                        times: &times[rows.clone()],
                        starts: None,
                        ties: None,
                        first_order: from as u64,
                    })
                    .unwrap();
            }
            grouper.end();
        }
        let seams = stitch(&mut grouper.edges, &mut grouper.fold, Keys::new(&context), &context).unwrap();
        let mut notes = grouper.fold.0;
        assert_eq!(seams.count() + grouper.keys.count(), notes.len());
        notes.sort();
        notes
    }

    #[test]
    fn a_case_at_both_ends_of_a_task_is_two_runs() {
        let runs = grouped(&[1, 2, 2, 3, 1], 5, 5);
        assert_eq!(runs.iter().filter(|(key, _, _)| *key == 1).count(), 2, "{runs:?}");
        assert_eq!(grouped(&[1, 2, 1], 3, 1).len(), 3);
    }

    #[test]
    fn every_cut_gives_the_same_cases() {
        let keys = [7, 7, 7, 1, 2, 2, 2, 2, 2, 9, 9, 3, 4, 4, 4, 5];
        let whole = grouped(&keys, keys.len(), keys.len());
        assert_eq!(whole.len(), 7);
        assert_eq!(whole[1], (2, 4, vec![4, 5, 6, 7, 8]));
        for task_rows in 1..=keys.len() {
            for batch_rows in 1..=task_rows {
                assert_eq!(grouped(&keys, task_rows, batch_rows), whole, "{task_rows} {batch_rows}");
            }
        }
        assert!(grouped(&[], 1, 1).is_empty());
        assert_eq!(grouped(&[5], 1, 1), [(5, 0, vec![0])]);
    }
}
