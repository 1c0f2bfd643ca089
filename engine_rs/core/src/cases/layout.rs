//! Do the rows of every case lie together, or at least the rows of the log in time order? Guessed first, verified always.

use arrow_buffer::{ScalarBuffer, ToByteSlice};
use hashbrown::HashTable;

use crate::context::{Account, Context, Step};
use crate::error::Result;
use crate::hash;
use crate::log::encode::Encoded;
use crate::spill::{Block, Quota, Spill, SpillFile};
use crate::workers;

/// How the rows of a log lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// All rows of a case lie together.
    Case,
    /// Not that, but no row is earlier than the one before.
    Time,
    /// Neither.
    None,
}

impl Layout {
    /// The public name.
    pub fn name(self) -> &'static str {
        match self {
            Layout::Case => "case",
            Layout::Time => "time",
            Layout::None => "none",
        }
    }
}

/// What one task showed of the layout; summaries of all tasks, in input order, decide.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Position of the task.
    pub seq: u64,
    /// Events in it.
    pub rows: u64,
    /// Maximal runs of rows of one case.
    pub runs: u64,
    /// Whether no row is earlier than the one before.
    pub ascending: bool,
    first: Edge,
    last: Edge,
}

/// The row at an edge of a task.
#[derive(Clone, Debug, Default)]
struct Edge {
    key: u64,
    id: Option<Box<[u8]>>,
    time: i64,
}

impl Summary {
    /// The summary of a task without rows yet.
    pub fn new(seq: u64) -> Summary {
        Summary { seq, ascending: true, ..Summary::default() }
    }

    /// Takes in the next batch of the task; `runs_inside` counts its runs.
    pub fn add(&mut self, batch: &Encoded<'_>, runs_inside: usize) {
        let rows = batch.keys.len();
        if rows == 0 {
            return;
        }
        let edge = |at: usize| Edge {
            key: batch.keys[at],
            id: batch.ids.map(|ids| ids.value(at).into()),
            time: batch.times[at],
        };
        let first = edge(0);
        if self.rows == 0 {
            self.runs = runs_inside as u64;
            self.ascending = batch.times.is_sorted();
            self.first = first;
        } else {
            self.runs += runs_inside as u64 - u64::from(self.last.same_case(&first));
            self.ascending = self.ascending && self.last.time <= first.time && batch.times.is_sorted();
        }
        self.last = edge(rows - 1);
        self.rows += rows as u64;
    }
}

impl Edge {
    fn same_case(&self, other: &Edge) -> bool {
        self.key == other.key && self.id == other.id
    }
}

/// Whether no row is earlier than the one before, by the summaries of all tasks in input order.
pub fn ascends(summaries: &[Summary]) -> bool {
    let with_rows = || summaries.iter().filter(|summary| summary.rows > 0);
    with_rows().all(|summary| summary.ascending)
        && with_rows().zip(with_rows().skip(1)).all(|(one, next)| one.last.time <= next.first.time)
}

/// The layout shown by the summaries of all tasks, in input order, of a log with `cases` cases.
pub fn decide(summaries: &[Summary], cases: u64) -> Layout {
    let mut runs = 0;
    let mut last: Option<&Edge> = None;
    for summary in summaries.iter().filter(|summary| summary.rows > 0) {
        runs += summary.runs;
        if let Some(last) = last {
            runs -= u64::from(last.same_case(&summary.first));
        }
        last = Some(&summary.last);
    }
    match (runs == cases, ascends(summaries)) {
        (true, _) => Layout::Case,
        (false, true) => Layout::Time,
        (false, false) => Layout::None,
    }
}

/// Where each run of rows of one case begins. Returns whether the times in every run ascend.
pub fn run_starts(batch: &Encoded<'_>, starts: &mut Vec<u32>) -> bool {
    let ascends = cjm_lanes::runs::run_starts(batch.keys, batch.times, starts);
    let before = starts.len();
    starts.extend(batch.hidden_starts().map(|at| at as u32));
    if starts.len() > before {
        starts.sort_unstable();
    }
    ascends
}

/// Whether the first rows look as if cases lie together: no case comes back, and runs are longer than single rows.
pub fn looks_grouped(sample: &Encoded<'_>) -> bool {
    let mut starts = Vec::new();
    run_starts(sample, &mut starts);
    let mut seen: HashTable<u64> = HashTable::with_capacity(starts.len());
    for &start in &starts {
        let key = sample.keys[start as usize];
        let hash = hash::of_key(key);
        if seen.find(hash, |&known| known == key).is_some() {
            return false;
        }
        seen.insert_unique(hash, key, |&known| hash::of_key(known));
    }
    sample.keys.len() as f64 >= 1.5 * starts.len() as f64
}

/// Parts of the range of hashes that keys are split into.
const KEY_PARTS: usize = 64;

/// The keys of the cases that one thread met, split by hash.
pub struct Keys<'a> {
    parts: Vec<Vec<u64>>,
    count: usize,
    account: Account<'a>,
    aside: Option<KeysAside<'a>>,
}

/// Where keys go when they are too many: in rounds of all parts.
struct KeysAside<'a> {
    spill: &'a Spill,
    quota: Quota,
    file: Option<SpillFile<'a>>,
    rounds: Vec<Vec<Block>>,
}

/// The part of the memory limit that all threads' keys may take.
const KEYS_SHARE: u64 = 16;

/// Bytes of keys in all threads that are enough.
const ENOUGH_KEYS: u64 = 64 << 20;

impl<'a> Keys<'a> {
    /// No keys; what does not fit under the memory limit of `context` goes where that says.
    pub fn new(context: &'a Context) -> Keys<'a> {
        let quota = context.quota(KEYS_SHARE, ENOUGH_KEYS);
        let aside = |(quota, spill)| KeysAside { spill, quota, file: None, rounds: Vec::new() };
        Keys {
            parts: vec![Vec::new(); KEY_PARTS],
            count: 0,
            account: Account::new(context, Step::Measures),
            aside: quota.zip(context.spill()).map(aside),
        }
    }

    /// Keys that nobody will look at: none is kept.
    pub fn unwanted(context: &'a Context) -> Keys<'a> {
        Keys { parts: Vec::new(), ..Keys::new(context) }
    }

    /// Adds one.
    #[inline]
    pub fn push(&mut self, key: u64) {
        if self.parts.is_empty() {
            return;
        }
        self.count += 1;
        self.parts[hash::of_key(key) as usize % KEY_PARTS].push(key);
    }

    /// Makes room if there are too many.
    ///
    /// # Errors
    /// IO; MEMORY_LIMIT where there is no place for them.
    pub fn make_room(&mut self) -> Result<()> {
        let bytes = (self.count * size_of::<u64>()) as u64;
        self.account.set(bytes)?;
        let Some(aside) = &mut self.aside else { return Ok(()) };
        if !aside.quota.is_exceeded(bytes, aside.spill, &mut aside.file)? {
            return Ok(());
        }
        let Some(file) = &mut aside.file else { return Ok(()) };
        let (parts, context) = (&mut self.parts, self.account.context());
        let blocks = parts.iter_mut().map(|part| {
            context.check_cancelled()?;
            file.write(std::mem::take(part).to_byte_slice())
        });
        aside.rounds.push(blocks.collect::<Result<_>>()?);
        self.count = 0;
        self.account.set(0)
    }

    /// Bytes of the keys of part number `part` that were put aside.
    fn bytes_aside(&self, part: usize) -> u64 {
        self.aside.iter().flat_map(|aside| &aside.rounds).map(|round| round[part].bytes()).sum()
    }

    /// The keys of part number `part` that were put aside.
    fn load(&self, part: usize) -> Result<Vec<ScalarBuffer<u64>>> {
        let Some(KeysAside { file: Some(file), rounds, .. }) = &self.aside else { return Ok(Vec::new()) };
        let load = |round: &Vec<Block>| {
            let block = file.read(round[part])?;
            let keys = block.len() / size_of::<u64>();
            Ok(ScalarBuffer::new(block, 0, keys))
        };
        rounds.iter().map(load).collect()
    }

    /// How many there are.
    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.count
    }
}

/// Whether any key comes twice.
///
/// Cost: one look-up per key, in a table of a part of the keys.
///
/// # Errors
/// CANCELLED; IO; MEMORY_LIMIT where a part of those that were put aside does not fit.
pub fn has_duplicates(keys: &[Keys<'_>], context: &Context) -> Result<bool> {
    let found = workers::for_each(context, KEY_PARTS, |part| {
        // Loaded, and in a table that is between a quarter and half full.
        let bytes = keys.iter().map(|keys| keys.bytes_aside(part)).sum::<u64>() * 5;
        let _reserved = context.reserve_in_turn(Step::Measures, bytes)?;
        let loaded = keys.iter().map(|keys| keys.load(part)).collect::<Result<Vec<_>>>()?.concat();
        let held = keys.iter().map(|keys| keys.parts[part].as_slice());
        let blocks: Vec<&[u64]> = held.chain(loaded.iter().map(|block| &block[..])).collect();
        repeats(&blocks, context)
    })?;
    Ok(found.contains(&true))
}

/// Keys looked up between two looks at the cancel flag.
const LOOK: usize = 1 << 16;

/// Whether a key comes twice in `blocks`.
fn repeats(blocks: &[&[u64]], context: &Context) -> Result<bool> {
    let n = blocks.iter().map(|block| block.len()).sum::<usize>();
    let bits = (2 * n).next_power_of_two().trailing_zeros().max(1);
    let mut slots = vec![0u64; 1 << bits];
    let mut has_zero = false;
    for keys in blocks.iter().flat_map(|block| block.chunks(LOOK)) {
        context.check_cancelled()?;
        for &key in keys {
            // Zero marks an empty slot, so that key is kept apart.
            if key == 0 {
                if std::mem::replace(&mut has_zero, true) {
                    return Ok(true);
                }
                continue;
            }
            let mut slot = (hash::of_key(key) >> (64 - bits)) as usize;
            while slots[slot] != 0 {
                if slots[slot] == key {
                    return Ok(true);
                }
                slot = (slot + 1) & (slots.len() - 1);
            }
            slots[slot] = key;
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded<'a>(keys: &'a [u64], times: &'a [i64]) -> Encoded<'a> {
        let (ids, neighbours_differ, first_order) = (None, true, 0);
        Encoded { keys, ids, neighbours_differ, codes: &[], times, starts: None, ties: None, first_order }
    }

    #[test]
    fn runs_join_over_batches_and_tasks() {
        let mut a = Summary::new(0);
        a.add(&encoded(&[1, 1, 2], &[1, 2, 3]), 2);
        a.add(&encoded(&[2, 3], &[3, 4]), 2);
        assert_eq!((a.runs, a.rows, a.ascending), (3, 5, true));
        let mut b = Summary::new(1);
        b.add(&encoded(&[3, 1], &[4, 5]), 2);
        assert_eq!(decide(&[a.clone(), b.clone()], 4), Layout::Case);
        assert_eq!(decide(&[a.clone(), b], 3), Layout::Time);
        let mut c = Summary::new(1);
        c.add(&encoded(&[1], &[0]), 1);
        assert_eq!(decide(&[a, c], 3), Layout::None);
        assert_eq!(decide(&[], 0), Layout::Case);
    }

    fn has(lists: &[&[u64]]) -> bool {
        let dir = tempfile::tempdir().unwrap();
        let options = serde_json::json!({"version": 1, "memory_limit_bytes": 100_000, "spill_dir": dir.path()});
        let short = Context::from_json(&options.to_string()).unwrap();
        let found = [&Context::new(), &short].map(|context| {
            let keys = |list: &&[u64]| {
                let mut keys = Keys::new(context);
                list.chunks(1000).for_each(|some| {
                    some.iter().for_each(|&key| keys.push(key));
                    keys.make_room().unwrap();
                });
                keys
            };
            has_duplicates(&lists.iter().map(keys).collect::<Vec<_>>(), context).unwrap()
        });
        assert_eq!(found[0], found[1]);
        assert!(lists.concat().len() < 10_000 || short.spill().unwrap().written_bytes() > 0);
        found[0]
    }

    #[test]
    fn duplicates_are_found_among_many() {
        let keys: Vec<u64> = (0..50_000u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
        assert!(!has(&[&keys[..20_000], &keys[20_000..]]));
        assert!(has(&[&keys, &keys[777..778]]));
        assert!(has(&[&keys, &[0]]));
        assert!(!has(&[&keys[1..], &[0, 1, u64::MAX]]));
        assert!(!has(&[]));
    }

    #[test]
    fn single_row_runs_do_not_look_grouped() {
        assert!(looks_grouped(&encoded(&[1, 1, 2, 2], &[0; 4])));
        assert!(!looks_grouped(&encoded(&[1, 1, 2, 1], &[0; 4])));
        assert!(!looks_grouped(&encoded(&[1, 2, 3, 4], &[0; 4])));
    }
}
