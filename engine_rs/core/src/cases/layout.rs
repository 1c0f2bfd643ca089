//! Do the rows of every case lie together, or at least the rows of the log in time order? Guessed first, verified always.

use hashbrown::HashTable;

use crate::hash;
use crate::log::encode::Encoded;

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

/// The layout shown by the summaries of all tasks, in input order, of a log with `cases` cases.
pub fn decide(summaries: &[Summary], cases: u64) -> Layout {
    let mut runs = 0;
    let mut ascending = true;
    let mut last: Option<&Edge> = None;
    for summary in summaries.iter().filter(|summary| summary.rows > 0) {
        runs += summary.runs;
        ascending &= summary.ascending;
        if let Some(last) = last {
            runs -= u64::from(last.same_case(&summary.first));
            ascending &= last.time <= summary.first.time;
        }
        last = Some(&summary.last);
    }
    match (runs == cases, ascending) {
        (true, _) => Layout::Case,
        (false, true) => Layout::Time,
        (false, false) => Layout::None,
    }
}

/// Where each run of rows of one case begins.
pub fn run_starts(batch: &Encoded<'_>, starts: &mut Vec<u32>) {
    starts.clear();
    if batch.keys.is_empty() {
        return;
    }
    starts.push(0);
    match batch.ids {
        None => {
            let changes = batch.keys.windows(2).enumerate().filter(|(_, pair)| pair[0] != pair[1]);
            starts.extend(changes.map(|(i, _)| i as u32 + 1));
        }
        Some(_) => starts.extend((1..batch.keys.len()).filter(|&i| !batch.same_case(i - 1, i)).map(|i| i as u32)),
    }
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

/// Whether any key comes twice.
///
/// Cost: one pass to split the keys by hash, then small tables that fit the cache.
pub fn has_duplicates(keys: &[&[u64]]) -> bool {
    let total: usize = keys.iter().map(|part| part.len()).sum();
    let bits = (total / 4096).max(1).next_power_of_two().trailing_zeros().min(16);
    let bucket = |key: u64| if bits == 0 { 0 } else { (hash::of_key(key) >> (64 - bits)) as usize };
    let mut counts = vec![0u32; 1 << bits];
    keys.iter().flat_map(|part| part.iter()).for_each(|&key| counts[bucket(key)] += 1);
    let mut cursors = Vec::with_capacity(counts.len());
    let mut at = 0usize;
    for &count in &counts {
        cursors.push(at);
        at += count as usize;
    }
    let mut sorted = vec![0u64; total];
    for &key in keys.iter().flat_map(|part| part.iter()) {
        let cursor = &mut cursors[bucket(key)];
        sorted[*cursor] = key;
        *cursor += 1;
    }
    let mut from = 0;
    for &count in &counts {
        let part = &mut sorted[from..from + count as usize];
        part.sort_unstable();
        if part.windows(2).any(|pair| pair[0] == pair[1]) {
            return true;
        }
        from += count as usize;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded<'a>(keys: &'a [u64], times: &'a [i64]) -> Encoded<'a> {
        Encoded { keys, ids: None, codes: &[], times, starts: None, ties: None, first_order: 0 }
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

    #[test]
    fn duplicates_are_found_among_many() {
        let keys: Vec<u64> = (0..50_000u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
        assert!(!has_duplicates(&[&keys[..20_000], &keys[20_000..]]));
        assert!(has_duplicates(&[&keys, &keys[777..778]]));
        assert!(!has_duplicates(&[]));
    }

    #[test]
    fn single_row_runs_do_not_look_grouped() {
        assert!(looks_grouped(&encoded(&[1, 1, 2, 2], &[0; 4])));
        assert!(!looks_grouped(&encoded(&[1, 1, 2, 1], &[0; 4])));
        assert!(!looks_grouped(&encoded(&[1, 2, 3, 4], &[0; 4])));
    }
}
