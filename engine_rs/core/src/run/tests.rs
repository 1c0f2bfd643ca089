//! Does a run that spills give the very same tables, however little memory there is; and what if the disk fails?

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, RecordBatchIterator, StringArray, TimestampSecondArray};
use arrow_schema::{DataType, Field, Schema, TimeUnit};

use super::{MiningResult, mine};
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::hash;
use crate::log::Log;

const PLAN: &str = r#"{"version":1,"measures":[{"measure":"overview"},{"measure":"activities"},
    {"measure":"dfg","percentiles":[50,90]},{"measure":"variants","top":20,"percentiles":[50]},
    {"measure":"durations","percentiles":[50,100]}]}"#;

/// Some cases of which one has a share of all events.
#[derive(Clone, Copy)]
struct Shape {
    events: u64,
    cases: u64,
    /// Of a hundred events, those of one case.
    giant: u64,
    /// Whether the rows of a case lie together.
    by_case: bool,
    text_ids: bool,
    /// Whether the hashes of all cases begin with the same bits.
    crowded: bool,
    resident: bool,
    /// Whether all variants are listed, and all cases with their ranks.
    listed: bool,
    /// Whether the text ids of the first rows are much shorter than later ones.
    widens: bool,
}

const SMALL: Shape = Shape {
    events: 30_000,
    cases: 9_000,
    giant: 0,
    by_case: false,
    text_ids: false,
    crowded: false,
    resident: true,
    listed: false,
    widens: false,
};

const LARGER: Shape = Shape { events: 200_000, ..SMALL };

/// Where ids widen, rows with short ids, and cases that have them.
const SHORT_ROWS: u64 = 4096;
const SHORT_IDS: u64 = 100;

impl Shape {
    fn batches(&self) -> Vec<RecordBatch> {
        let random = |i: u64, salt: u64| hash::of_key(i ^ salt << 40);
        let cases = |i: u64| if self.widens && i < SHORT_ROWS { SHORT_IDS } else { self.cases };
        let case = |i: u64| if random(i, 1) % 100 < self.giant { 0 } else { random(i, 2) % cases(i) };
        let ids = self.ids();
        let case = |i: u64| ids[case(i) as usize];
        let mut rows: Vec<(u64, u64)> = (0..self.events).map(|i| (case(i), i)).collect();
        if self.by_case {
            rows.sort_unstable();
        }
        rows.chunks(4096).map(|rows| self.batch(rows, random)).collect()
    }

    /// The numbers of the cases.
    fn ids(&self) -> Vec<u64> {
        let hash = |id: &u64| match self.text_ids {
            true => hash::of_key(hash::of_bytes(format!("customer {id}").as_bytes())),
            false => hash::of_key(*id),
        };
        (0..).filter(|id| !self.crowded || hash(id) >> 55 == 0).take(self.cases as usize).collect()
    }

    fn batch(&self, rows: &[(u64, u64)], random: impl Fn(u64, u64) -> u64) -> RecordBatch {
        let case: ArrayRef = match self.text_ids {
            true => Arc::new(StringArray::from_iter_values(rows.iter().map(|row| match self.widens {
                true if row.0 >= SHORT_IDS => format!("customer {:0>200}", row.0),
                _ => format!("customer {}", row.0),
            }))),
            false => Arc::new(rows.iter().map(|row| Some(row.0 as i64)).collect::<Int64Array>()),
        };
        let activity = rows.iter().map(|row| format!("activity {}", random(row.1, 3) % 5));
        let time = rows.iter().map(|row| (random(row.1, 4) % 1_000_000) as i64);
        let kind = DataType::Timestamp(TimeUnit::Second, None);
        let fields = vec![
            Field::new("case", case.data_type().clone(), true),
            Field::new("activity", DataType::Utf8, true),
            Field::new("timestamp", kind, true),
        ];
        let activity: ArrayRef = Arc::new(StringArray::from_iter_values(activity));
        let time: ArrayRef = Arc::new(TimestampSecondArray::from_iter_values(time));
        RecordBatch::try_new(Arc::new(Schema::new(fields)), vec![case, activity, time]).unwrap()
    }

    fn log(&self) -> Log {
        let batches = self.batches();
        let schema = batches[0].schema();
        let spec = format!(
            r#"{{"version":1,"case":["case"],"activity":["activity"],"timestamp":["timestamp"],"resident":{}}}"#,
            self.resident
        );
        Log::from_reader(Box::new(RecordBatchIterator::new(batches.into_iter().map(Ok), schema)), &spec).unwrap()
    }

    fn mined(&self, context: &Context) -> Result<MiningResult> {
        let plan = match self.listed {
            true => &PLAN.replace(r#""top":20,"#, "").replace(r#"{"measure":"overview"}"#, r#"{"measure":"cases"}"#),
            false => PLAN,
        };
        mine(&self.log(), plan, context)
    }

    /// The tables of a run without a limit.
    fn expected(&self) -> Vec<RecordBatch> {
        tables(&self.mined(&Context::new()).unwrap())
    }
}

fn context(threads: usize, limit_bytes: u64, dir: &Path) -> Context {
    context_with(threads, limit_bytes, dir, 4096)
}

fn context_with(threads: usize, limit_bytes: u64, dir: &Path, batch_rows: u64) -> Context {
    let options = serde_json::json!({
        "version": 1, "threads": threads, "memory_limit_bytes": limit_bytes, "spill_dir": dir, "batch_rows": batch_rows,
    });
    Context::from_json(&options.to_string()).unwrap()
}

fn tables(result: &MiningResult) -> Vec<RecordBatch> {
    result.names().iter().flat_map(|name| result.table(name).unwrap().map(std::result::Result::unwrap)).collect()
}

fn written(context: &Context) -> u64 {
    context.spill().unwrap().written_bytes()
}

/// All that a run has taken is given back.
fn assert_clean(context: &Context, dir: &Path) {
    assert_eq!((context.memory().used_bytes(), context.spill().unwrap().used_bytes()), (0, 0));
    assert_eq!(std::fs::read_dir(dir).unwrap().count(), 0);
}

fn needed_bytes(error: &Error) -> u64 {
    let details: serde_json::Value = serde_json::from_str(&error.details_json()).unwrap();
    details["needed_bytes"].as_u64().unwrap()
}

#[test]
fn however_small_the_memory_the_tables_are_the_same_or_it_is_too_small() {
    let dir = tempfile::tempdir().unwrap();
    for giant in [0, 40] {
        for (text_ids, resident, listed) in [(false, false, false), (true, true, false), (false, true, true)] {
            let shape = Shape { events: 200_000, cases: 30_000, giant, text_ids, resident, listed, ..SMALL };
            let expected = shape.expected();
            let mut failed = 0;
            for threads in [1, 2, 5] {
                // From one that needs no disk to one that is too small for the least step.
                for halved in 0..10 {
                    let context = context(threads, 48_000_000 >> halved, dir.path());
                    match shape.mined(&context) {
                        Ok(result) => {
                            assert!(tables(&result) == expected, "{giant} {threads} {halved}");
                            assert!(halved < 4 || written(&context) > 0, "{giant} {threads} {halved}");
                            drop(result);
                        }
                        Err(error) => {
                            assert_eq!(error.kind(), ErrorKind::MemoryLimit, "{error}");
                            assert!(halved > 2, "{giant} {threads} {halved}: {error}");
                            failed += 1;
                        }
                    }
                    assert_clean(&context, dir.path());
                }
            }
            assert!(failed > 0);
        }
    }
}

#[test]
fn rows_that_are_brought_together_in_memory_give_the_same_tables_there_or_from_disk() {
    let dir = tempfile::tempdir().unwrap();
    for (listed, giant) in [(false, 0), (true, 0), (true, 10)] {
        // The first rows do not tell how large the others are, so that memory does not seem to be short.
        let shape = Shape { cases: 30_000, giant, text_ids: true, listed, widens: true, ..LARGER };
        let expected = shape.expected();
        for (threads, limit_bytes, put_aside) in
            [(1, 40_000_000, true), (3, 40_000_000, true), (1, 800_000_000, false), (3, 800_000_000, false)]
        {
            // So small that a batch has but few rows of each partition.
            let context = context_with(threads, limit_bytes, dir.path(), 256);
            let result = shape.mined(&context).unwrap();
            assert!(tables(&result) == expected, "{listed} {giant} {threads} {limit_bytes}");
            assert_eq!(written(&context) > 0, put_aside, "{listed} {giant} {threads} {limit_bytes}");
            // Where memory is short there are more, and rows are packed.
            let info: serde_json::Value = serde_json::from_str(&result.info()).unwrap();
            assert_eq!(info["partitions"], 8);
            drop(result);
            assert_clean(&context, dir.path());
        }
    }
}

#[test]
fn partitions_are_split_again_until_their_parts_fit() {
    let dir = tempfile::tempdir().unwrap();
    for (text_ids, giant) in [(false, 0), (true, 0), (false, 10)] {
        // A stream does not say how long it is, and all its cases come to lie in one partition.
        let shape = Shape { events: 400_000, cases: 3_000, giant, text_ids, crowded: true, resident: false, ..SMALL };
        let expected = shape.expected();
        for (threads, limit_bytes) in [(1, 6_000_000), (3, 12_000_000)] {
            let context = context(threads, limit_bytes, dir.path());
            let result = shape.mined(&context).unwrap();
            assert!(tables(&result) == expected);
            // Packed, a row takes some eight bytes: they were written more than once.
            let written = written(&context);
            assert!(written > shape.events * 12, "{text_ids} {giant} {threads}: {written}");
            drop(result);
            assert_clean(&context, dir.path());
        }
    }
}

#[test]
fn the_limit_that_a_large_case_asks_for_is_enough() {
    let dir = tempfile::tempdir().unwrap();
    for by_case in [false, true] {
        for (events, text_ids) in [(300_000, false), (300_000, true), (1_200_000, false)] {
            let shape = Shape { events, cases: 5_000, giant: 70, by_case, text_ids, ..SMALL };
            let expected = shape.expected();
            for threads in [1, 2, 7] {
                let error = shape.mined(&context(threads, 5_000_000, dir.path())).err().unwrap();
                assert!(error.is_short_of("the largest case"), "{error}");
                let needed = needed_bytes(&error);
                let enough = context(threads, needed, dir.path());
                let result = shape.mined(&enough).unwrap_or_else(|error| panic!("{needed}: {error}"));
                assert!(tables(&result) == expected);
                drop(result);
                assert_clean(&enough, dir.path());
            }
        }
    }
}

/// Shapes and limits with which rows, keys or variants are put aside.
fn spilling() -> [(Shape, u64); 4] {
    [
        (SMALL, 1_500_000),
        (Shape { by_case: true, ..SMALL }, 1_000_000),
        (Shape { text_ids: true, giant: 30, ..SMALL }, 2_000_000),
        (Shape { by_case: true, listed: true, ..SMALL }, 1_300_000),
    ]
}

#[test]
fn a_disk_that_is_full_at_any_write_or_fails_at_any_read_ends_the_run_cleanly() {
    let dir = tempfile::tempdir().unwrap();
    for (shape, limit_bytes) in spilling() {
        let expected = shape.expected();
        let context = context(2, limit_bytes, dir.path());
        let faults = context.spill().unwrap().faults();
        assert!(tables(&shape.mined(&context).unwrap()) == expected);
        let (writes, reads) = (faults.writes.load(Ordering::Relaxed), faults.reads.load(Ordering::Relaxed));
        assert!(writes > 50 && reads > 50, "{writes} {reads}");
        // Every one of the first, and then some: threads share them out differently every time.
        let some = |all: u64| (0..all).filter(move |k| *k < 40 || k % (all / 60).max(1) == 0 || k + 3 > all);
        for (k, reading) in some(writes).map(|k| (k, false)).chain(some(reads).map(|k| (k, true))) {
            if reading {
                faults.break_after(k)
            } else {
                faults.fill_after(k)
            }
            let outcome = shape.mined(&context);
            if faults.mend() {
                // There were fewer this time.
                assert!(tables(&outcome.unwrap()) == expected);
                continue;
            }
            let error = outcome.err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Io, "{k}: {error}");
            let details = error.details_json();
            assert!(details.contains("\"path\":") && (reading || details.contains("\"needed_bytes\":")), "{details}");
            assert_clean(&context, dir.path());
            if k % 10 == 0 {
                assert!(tables(&shape.mined(&context).unwrap()) == expected, "a second try after fault {k}");
            }
        }
    }
}

#[test]
fn a_changed_bit_in_any_block_is_found_and_never_mined() {
    let dir = tempfile::tempdir().unwrap();
    for (shape, limit_bytes) in spilling() {
        let context = context(1, limit_bytes, dir.path());
        let faults = context.spill().unwrap().faults();
        shape.mined(&context).unwrap();
        let sizes = std::mem::take(&mut *faults.sizes.lock().unwrap());
        assert!(sizes.len() > 30, "{limit_bytes} {}", sizes.len());
        let step = (sizes.len() / 150).max(1);
        for (read, bytes) in sizes.iter().enumerate().step_by(step) {
            let bit = hash::of_key(read as u64) as usize % (bytes * 8);
            faults.flip_after(read as u64, bit);
            let error = shape.mined(&context).err().unwrap();
            assert!(error.kind() == ErrorKind::Io && error.message().contains("came back changed"), "{read} {error}");
            assert!(!faults.mend());
            assert_clean(&context, dir.path());
        }
    }
}

#[test]
fn after_a_cancel_no_more_than_a_few_blocks_and_batches_are_dealt_with() {
    let dir = tempfile::tempdir().unwrap();
    for (shape, limit_bytes) in spilling() {
        let whole = context(1, limit_bytes, dir.path());
        shape.mined(&whole).unwrap();
        let faults = whole.spill().unwrap().faults();
        let (writes, reads) = (faults.writes.load(Ordering::Relaxed), faults.reads.load(Ordering::Relaxed));
        // The disk itself cancels: in the middle of writing, of reading, and at the ends.
        for at in [1, writes / 3, writes - 1, writes + 1, writes + reads / 2, writes + reads - 1] {
            let context = context(1, limit_bytes, dir.path());
            let faults = context.spill().unwrap().faults();
            let watched = std::thread::scope(|scope| {
                let run = scope.spawn(|| shape.mined(&context));
                let seen = || faults.writes.load(Ordering::Relaxed) + faults.reads.load(Ordering::Relaxed);
                while seen() < at && !run.is_finished() {
                    std::hint::spin_loop();
                }
                context.cancel();
                let at_cancel = seen();
                let outcome = run.join().unwrap();
                (outcome.err(), seen() - at_cancel)
            });
            // Head and body of one block, or one that is read.
            if let (Some(error), after) = watched {
                assert_eq!(error.kind(), ErrorKind::Cancelled);
                assert!(after <= 4, "{after} writes or reads came after the cancel");
            }
            assert_clean(&context, dir.path());
        }
    }
}
