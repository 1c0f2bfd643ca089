//! Does the engine give what the contract says, whatever the cut, the layout and the number of threads?
//!
//! The golden log's figures are written out here; random logs are held against themselves in other cuts, and against
//! the laws that hold for every log.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, UInt32Type, UInt64Type};
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, RecordBatchIterator, StringArray, TimestampSecondArray};
use arrow_schema::{ArrowError, DataType, Field, Schema, TimeUnit};
use cjm_core::context::Context;
use cjm_core::error::ErrorKind;
use cjm_core::log::Log;
use cjm_core::run::{MiningResult, mine};
use proptest::prelude::*;

const SPEC: &str = r#"{"version":1,"case":["case"],"activity":["activity"],"timestamp":["timestamp"],"resident":true}"#;
const PLAN: &str = r#"{"version":1,"measures":[{"measure":"overview"},{"measure":"activities"},
    {"measure":"dfg","percentiles":[50,90,95,99.9]},{"measure":"variants","percentiles":[50]},
    {"measure":"durations","percentiles":[0,50,100]},{"measure":"cases"}]}"#;

/// (case, activity, second) rows.
type Rows = Vec<(String, String, i64)>;

fn batch(rows: &[(String, String, i64)], integers: bool) -> RecordBatch {
    let case: ArrayRef = match integers {
        true => Arc::new(rows.iter().map(|row| row.0.parse::<i64>().ok()).collect::<Int64Array>()),
        false => Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.0))),
    };
    let activity: ArrayRef = Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.1)));
    let time: ArrayRef = Arc::new(TimestampSecondArray::from_iter_values(rows.iter().map(|row| row.2)));
    let fields = vec![
        Field::new("case", case.data_type().clone(), true),
        Field::new("activity", DataType::Utf8, true),
        Field::new("timestamp", DataType::Timestamp(TimeUnit::Second, None), true),
    ];
    RecordBatch::try_new(Arc::new(Schema::new(fields)), vec![case, activity, time]).unwrap()
}

fn log(rows: &Rows, batch_rows: usize, integers: bool) -> Log {
    let empty = batch(&[], integers);
    let batches: Vec<_> = rows.chunks(batch_rows.max(1)).map(|rows| Ok(batch(rows, integers))).collect();
    Log::from_reader(Box::new(RecordBatchIterator::new(batches, empty.schema())), SPEC).unwrap()
}

fn mined(rows: &Rows, batch_rows: usize, threads: usize, integers: bool) -> MiningResult {
    let options = format!(r#"{{"version":1,"threads":{threads},"batch_rows":{}}}"#, batch_rows.max(1));
    mine(&log(rows, batch_rows, integers), PLAN, &Context::from_json(&options).unwrap()).unwrap()
}

fn table(result: &MiningResult, name: &str) -> RecordBatch {
    let reader = result.table(name).unwrap();
    let schema = reader.schema();
    let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    arrow_select::concat::concat_batches(&schema, &batches).unwrap()
}

fn tables(result: &MiningResult) -> Vec<RecordBatch> {
    result.names().iter().map(|name| table(result, name)).collect()
}

fn texts(batch: &RecordBatch, name: &str) -> Vec<String> {
    let column = batch.column_by_name(name).unwrap();
    column.as_string::<i32>().iter().map(|text| text.unwrap().to_owned()).collect()
}

fn counts(batch: &RecordBatch, name: &str) -> Vec<u64> {
    batch.column_by_name(name).unwrap().as_primitive::<UInt64Type>().values().to_vec()
}

fn floats(batch: &RecordBatch, name: &str) -> Vec<Option<f64>> {
    batch.column_by_name(name).unwrap().as_primitive::<Float64Type>().iter().collect()
}

/// The golden log: hours since Monday 2026-01-05 00:00 UTC.
fn golden() -> Rows {
    let hours: [(&str, &str, f64); 17] = [
        ("A", "a", 8.0),
        ("A", "b", 8.0),
        ("A", "c", 9.0),
        ("A", "b", 10.0),
        ("A", "d", 33.0),
        ("B", "a", 112.0),
        ("B", "c", 176.0),
        ("B", "c", 176.5),
        ("B", "d", 180.0),
        ("C", "a", 8.0),
        ("C", "d", 66.0),
        ("D", "a", 32.0),
        ("D", "d", 33.0),
        ("E", "a", 32.0),
        ("E", "d", 34.0),
        ("F", "a", 32.0),
        ("F", "d", 56.0),
    ];
    let monday = 1_767_571_200;
    hours.iter().map(|&(case, what, hour)| (case.into(), what.into(), monday + (hour * 3600.0) as i64)).collect()
}

fn edges(result: &MiningResult) -> Vec<(String, u64)> {
    let dfg = table(result, "dfg");
    let pairs = texts(&dfg, "source").into_iter().zip(texts(&dfg, "target")).map(|(a, b)| a + &b);
    pairs.zip(counts(&dfg, "count")).collect()
}

#[test]
fn the_golden_log() {
    for (batch_rows, threads) in [(100, 1), (1, 1), (3, 2), (4, 7)] {
        let result = mined(&golden(), batch_rows, threads, false);
        let expected = [("ad", 4), ("ab", 1), ("ac", 1), ("bc", 1), ("bd", 1), ("cb", 1), ("cc", 1), ("cd", 1)];
        assert_eq!(edges(&result), expected.map(|(edge, count)| (edge.to_owned(), count)));
        let dfg = table(&result, "dfg");
        let first = |name: &str| floats(&dfg, name)[0].unwrap();
        assert_eq!(
            (first("mean_s"), first("p50_s"), first("min_s"), first("max_s")),
            (76_500.0, 46_800.0, 3_600.0, 208_800.0)
        );
        assert_eq!((first("total_s"), first("p90_s"), first("p95_s")), (306_000.0, 172_080.0, 190_440.0));
        assert!((first("std_s") - 96_121.797_736).abs() < 1e-6);
        let others: Vec<f64> = floats(&dfg, "total_s").into_iter().skip(1).map(Option::unwrap).collect();
        assert_eq!(others, [0.0, 230_400.0, 3_600.0, 82_800.0, 3_600.0, 1_800.0, 12_600.0]);
        let activities = table(&result, "activities");
        assert_eq!(texts(&activities, "activity"), ["a", "d", "c", "b"]);
        assert_eq!(counts(&activities, "starts"), [6, 0, 0, 0]);
        assert_eq!(counts(&activities, "ends"), [0, 6, 0, 0]);
        assert_eq!(counts(&activities, "rework_cases"), [0, 0, 1, 1]);
        let variants = table(&result, "variants");
        assert_eq!(counts(&variants, "cases"), [4, 1, 1]);
        assert_eq!(variants.column_by_name("length").unwrap().as_primitive::<UInt32Type>().values(), &[2, 5, 4]);
        let cases = table(&result, "cases");
        assert_eq!(texts(&cases, "case"), ["A", "B", "C", "D", "E", "F"]);
        let durations: Vec<f64> = floats(&cases, "duration_s").into_iter().map(Option::unwrap).collect();
        assert_eq!(durations, [90_000.0, 244_800.0, 208_800.0, 3_600.0, 7_200.0, 86_400.0]);
        assert_eq!(counts(&cases, "variant_rank"), [2, 3, 1, 1, 1, 1]);
        let overview = table(&result, "overview");
        assert_eq!((counts(&overview, "tied_pairs")[0], counts(&overview, "cases_with_ties")[0]), (1, 1));
        assert_eq!(texts(&overview, "layout"), ["case"]);
    }
}

#[test]
fn the_tied_pair_swapped() {
    let mut rows = golden();
    rows.swap(0, 1);
    let mut got = edges(&mined(&rows, 4, 2, false));
    got.sort();
    let expected = [("ac", 2), ("ad", 4), ("ba", 1), ("bd", 1), ("cb", 1), ("cc", 1), ("cd", 1)];
    assert_eq!(got, expected.map(|(edge, count)| (edge.to_owned(), count)));
}

#[test]
fn an_empty_log_has_empty_tables() {
    let result = mined(&Vec::new(), 1, 2, false);
    let overview = table(&result, "overview");
    assert_eq!((counts(&overview, "events")[0], texts(&overview, "layout")[0].as_str()), (0, "case"));
    assert!(overview.column_by_name("first_ts").unwrap().is_null(0));
    let durations = table(&result, "durations");
    assert_eq!((counts(&durations, "n")[0], floats(&durations, "p50_s")[0]), (0, None));
    for name in ["activities", "dfg", "variants", "cases"] {
        assert_eq!(table(&result, name).num_rows(), 0, "{name}");
    }
}

#[test]
fn nulls_are_counted_and_the_first_is_named() {
    let rows = golden();
    let good = batch(&rows, false);
    let activity: ArrayRef = Arc::new(StringArray::from_iter(
        rows.iter().enumerate().map(|(i, row)| (i != 5 && i != 9).then_some(row.1.as_str())),
    ));
    let columns = vec![good.column(0).clone(), activity, good.column(2).clone()];
    let bad = RecordBatch::try_new(good.schema(), columns).unwrap();
    let open = |spec: &str| {
        let reader = RecordBatchIterator::new(vec![Ok(bad.clone())], bad.schema());
        Log::from_reader(Box::new(reader), spec).unwrap()
    };
    let error = mine(&open(SPEC), PLAN, &Context::new()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert!(error.message().contains("in 2 row(s), first in row 6"), "{error}");
    let dropping = SPEC.replace("}", r#","on_null":"drop"}"#);
    let result = mine(&open(&dropping), PLAN, &Context::new()).unwrap();
    let overview = table(&result, "overview");
    assert_eq!(counts(&overview, "events")[0], 15);
    let dropped = overview.column_by_name("dropped_rows").unwrap().as_struct().clone();
    let dropped: Vec<u64> = dropped.columns().iter().map(|c| c.as_primitive::<UInt64Type>().value(0)).collect();
    assert_eq!(dropped, [0, 2, 0]);
}

#[test]
fn a_log_whose_stream_failed_is_never_mined_in_part() {
    let good = batch(&golden(), false);
    let lost = || Err(ArrowError::ComputeError("the rest is lost".to_owned()));
    let log = Log::from_reader(Box::new(RecordBatchIterator::new(vec![Ok(good.clone()), lost()], good.schema())), SPEC);
    let log = log.unwrap();
    for _ in 0..3 {
        let error = mine(&log, PLAN, &Context::new()).err().unwrap();
        assert!(error.message().contains("the rest is lost"), "{error}");
    }
}

#[test]
fn a_cancelled_context_stops_the_run() {
    let context = Context::new();
    context.cancel();
    let error = mine(&log(&golden(), 5, false), PLAN, &context).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}

#[test]
fn a_memory_limit_too_small_names_the_step() {
    let rows: Rows = (0..5000).map(|i| ((i % 100).to_string(), "a".into(), i64::from(i))).collect();
    let options = r#"{"version":1,"memory_limit_bytes":10000}"#;
    let error = mine(&log(&rows, 500, true), PLAN, &Context::from_json(options).unwrap()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::MemoryLimit);
    assert!(error.message().contains("partitions"), "{error}");
}

fn random_rows() -> impl Strategy<Value = Rows> {
    let row = (0u8..12, 0u8..4, 0i64..60);
    prop::collection::vec(row, 0..120).prop_map(|rows| {
        let text = |(case, activity, second): (u8, u8, i64)| {
            (u32::from(case).to_string(), ["x", "y", "zed", "ä"][usize::from(activity)].to_owned(), second)
        };
        rows.into_iter().map(text).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// Cuts, threads, and the kind of id change nothing.
    #[test]
    fn cuts_threads_and_id_types_do_not_show(rows in random_rows(), cut in 1usize..20, threads in 1usize..8, by_case: bool) {
        let mut rows = rows;
        if by_case {
            rows.sort_by_key(|row| row.0.clone());
        }
        let whole = tables(&mined(&rows, 1000, 1, false));
        prop_assert_eq!(&tables(&mined(&rows, cut, threads, false)), &whole);
        let integers = tables(&mined(&rows, cut, threads, true));
        prop_assert_eq!(&integers[..5], &whole[..5]);
    }

    /// Sorting rows by case (stably) changes nothing but the layout and the order of cases.
    #[test]
    fn both_ways_of_grouping_agree(rows in random_rows()) {
        let mut sorted = rows.clone();
        sorted.sort_by_key(|row| row.0.clone());
        let (any, grouped) = (tables(&mined(&rows, 7, 2, true)), tables(&mined(&sorted, 7, 2, true)));
        prop_assert_eq!(&any[1..5], &grouped[1..5]);
    }

    /// The laws of the contract.
    #[test]
    fn the_laws_hold(rows in random_rows()) {
        let result = mined(&rows, 9, 3, false);
        let overview = table(&result, "overview");
        let (events, cases) = (counts(&overview, "events")[0], counts(&overview, "cases")[0]);
        prop_assert_eq!(events as usize, rows.len());
        let variants = table(&result, "variants");
        let lengths = variants.column_by_name("length").unwrap().as_primitive::<UInt32Type>().clone();
        let products = counts(&variants, "cases").iter().zip(lengths.values()).map(|(n, &l)| n * u64::from(l)).sum::<u64>();
        prop_assert_eq!(products, events);
        let dfg = table(&result, "dfg");
        prop_assert_eq!(counts(&dfg, "count").iter().sum::<u64>(), events - cases);
        let activities = table(&result, "activities");
        for (i, name) in texts(&activities, "activity").iter().enumerate() {
            let out: u64 = texts(&dfg, "source").iter().zip(counts(&dfg, "count")).filter(|(s, _)| *s == name).map(|(_, n)| n).sum();
            prop_assert_eq!(out + counts(&activities, "ends")[i], counts(&activities, "events")[i]);
        }
        for row in 0..dfg.num_rows() {
            let spread: Vec<f64> = ["min_s", "p50_s", "p90_s", "p95_s", "p99_9_s", "max_s"].iter().map(|n| floats(&dfg, n)[row].unwrap()).collect();
            prop_assert!(spread.is_sorted(), "{:?}", spread);
        }
    }
}
