//! Are merged states to the byte what mining together gives, in any order and grouping, and is nothing else taken for one?

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt64Type};
use arrow_array::{
    Array, ArrayRef, Int64Array, ListArray, RecordBatch, RecordBatchIterator, RecordBatchReader, StringArray,
    TimestampSecondArray, UInt64Array,
};
use arrow_schema::Schema;
use cjm_core::context::Context;
use cjm_core::error::{Error, ErrorKind};
use cjm_core::log::Log;
use cjm_core::run::{MiningResult, merge, mine};
use cjm_core::state::format::{CHECKSUM, FACTS, NAME};
use proptest::prelude::*;

const PLAN: &str = r#"{"version":1,"state":{},"measures":[{"measure":"overview"},{"measure":"activities"},
    {"measure":"dfg","percentiles":[50,99.9]},{"measure":"variants","percentiles":[50]},
    {"measure":"durations","percentiles":[0,33.3,100]}]}"#;

/// Little besides the state.
const ONLY: &str = r#"{"version":1,"measures":[{"measure":"overview"}],"state":{}}"#;

/// (case, activity, start, end in seconds) rows.
type Rows = Vec<(i64, u8, i64, i64)>;

fn log(rows: &Rows, texts: bool, with_starts: bool, negative: &str) -> Log {
    let case: ArrayRef = match texts {
        true => Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.0.to_string()))),
        false => Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0))),
    };
    let labels = ["", "b", "a", "ab", "ä", "a\0"];
    let activity = StringArray::from_iter_values(rows.iter().map(|row| labels[usize::from(row.1) % labels.len()]));
    let seconds = |value: fn(&(i64, u8, i64, i64)) -> i64| -> ArrayRef {
        Arc::new(TimestampSecondArray::from_iter_values(rows.iter().map(value)))
    };
    let columns = [
        ("case", case),
        ("activity", Arc::new(activity) as ArrayRef),
        ("start", seconds(|row| row.2)),
        ("end", seconds(|row| row.3)),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let start =
        if with_starts { format!(r#","start_timestamp":["start"],"negative":"{negative}""#) } else { String::new() };
    let spec = format!(
        r#"{{"version":1,"case":["case"],"activity":["activity"],"timestamp":["end"],"resident":true{start}}}"#
    );
    let schema = batch.schema();
    Log::from_reader(Box::new(RecordBatchIterator::new(vec![Ok(batch)], schema)), &spec).unwrap()
}

fn mined(rows: &Rows, texts: bool, with_starts: bool, threads: usize) -> MiningResult {
    let context = Context::from_json(&format!(r#"{{"version":1,"threads":{threads},"batch_rows":7}}"#)).unwrap();
    mine(&log(rows, texts, with_starts, "keep"), PLAN, &context).unwrap()
}

fn state(result: &MiningResult) -> Box<dyn RecordBatchReader + Send> {
    result.table("state").unwrap()
}

fn merged(results: &[&MiningResult]) -> MiningResult {
    merge(results.iter().map(|result| state(result)).collect(), PLAN, &Context::new()).unwrap()
}

fn table(result: &MiningResult, name: &str) -> RecordBatch {
    let reader = result.table(name).unwrap();
    let schema = reader.schema();
    arrow_select::concat::concat_batches(&schema, &reader.map(Result::unwrap).collect::<Vec<_>>()).unwrap()
}

/// All tables and the state; without the layout and what tells it, which is coarser of several logs.
fn content(result: &MiningResult) -> Vec<Vec<ArrayRef>> {
    let columns = |name: &&str| {
        let table = table(result, name);
        let kept = if *name == "overview" { table.num_columns() - 1 } else { table.num_columns() };
        table.columns()[..kept].to_vec()
    };
    result.names().iter().map(columns).collect()
}

fn facts(result: &MiningResult) -> serde_json::Value {
    let schema = state(result).schema();
    serde_json::from_str(&schema.metadata()[FACTS]).unwrap()
}

fn rows() -> impl Strategy<Value = Rows> {
    prop::collection::vec((-4i64..8, 0u8..6, 0i64..9, 0i64..40), 0..60)
        .prop_map(|rows| rows.into_iter().map(|(case, what, length, end)| (case, what, end - length, end)).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn states_merge_to_what_mining_together_gives(
        rows in rows(), texts: bool, with_starts: bool, threads in 1usize..4, by_case: bool
    ) {
        let mut rows = rows;
        if by_case {
            rows.sort_by_key(|row| row.0);
        }
        let whole = mined(&rows, texts, with_starts, threads);
        let part = |number: i64| -> MiningResult {
            let own = rows.iter().filter(|row| row.0.rem_euclid(3) == number).copied().collect();
            mined(&own, texts, with_starts, threads)
        };
        let (one, two, three) = (part(0), part(1), part(2));
        let at_once = merged(&[&one, &two, &three]);
        prop_assert_eq!(content(&at_once), content(&whole));
        for other in [
            merged(&[&merged(&[&three, &one]), &two]),
            merged(&[&one, &merged(&[&two, &three])]),
            merged(&[&two, &three, &one]),
        ] {
            prop_assert_eq!(table(&other, "overview"), table(&at_once, "overview"));
            prop_assert_eq!(content(&other), content(&at_once));
            prop_assert_eq!(state(&other).schema(), state(&at_once).schema());
        }
        let alone = merged(&[&whole]);
        prop_assert_eq!(table(&alone, "overview"), table(&whole, "overview"));
        prop_assert_eq!(table(&alone, "state"), table(&whole, "state"));
        if by_case {
            prop_assert_eq!(table(&at_once, "overview"), table(&whole, "overview"));
            prop_assert_eq!(state(&at_once).schema(), state(&whole).schema());
        }
    }
}

fn some_rows() -> Rows {
    vec![(1, 0, 0, 5), (1, 1, 3, 9), (1, 0, 20, 21), (2, 2, 1, 1), (2, 1, 2, 7), (3, 0, 4, 4)]
}

/// The state with other batches, or metadata.
fn changed(
    result: &MiningResult,
    batches: impl Fn(usize, RecordBatch) -> Vec<RecordBatch>,
    metadata: impl Fn(&mut HashMap<String, String>),
) -> Result<MiningResult, Error> {
    let reader = state(result);
    let schema = reader.schema();
    let mut told: HashMap<String, String> = schema.metadata().iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    metadata(&mut told);
    let batches: Vec<_> = reader.enumerate().flat_map(|(i, batch)| batches(i, batch.unwrap())).map(Ok).collect();
    let schema = Arc::new(Schema::new(schema.fields().clone()).with_metadata(told));
    merge(vec![Box::new(RecordBatchIterator::new(batches, schema))], PLAN, &Context::new())
}

#[test]
fn the_cut_into_batches_does_not_matter_but_every_change_does() {
    let result = mined(&some_rows(), false, true, 1);
    let by_row = |_, batch: RecordBatch| (0..batch.num_rows()).map(|i| batch.slice(i, 1)).collect();
    let same = changed(&result, by_row, |_| ()).unwrap();
    assert_eq!(content(&same), content(&result));
    let n = state(&result).count();
    assert_eq!(n, 4);
    for lost in 0..n {
        let without = |i: usize, batch| if i == lost { Vec::new() } else { vec![batch] };
        let error = changed(&result, without, |_| ()).err().unwrap();
        assert!(error.kind() == ErrorKind::InvalidData && error.message().contains("damaged"), "{error}");
        let twice = |i: usize, batch: RecordBatch| vec![batch; if i == lost { 2 } else { 1 }];
        assert!(changed(&result, twice, |_| ()).is_err());
    }
    // One value of one column at a time.
    for column in 3..5 {
        let bent = |_, batch: RecordBatch| {
            let list = batch.column(column).as_list::<i32>();
            let values: ArrayRef = match list.values().as_primitive_opt::<Int64Type>() {
                Some(ticks) => Arc::new(Int64Array::from_iter_values(
                    ticks.values().iter().enumerate().map(|(i, x)| x + i64::from(i == 0)),
                )),
                None => {
                    let counts = list.values().as_primitive::<UInt64Type>();
                    Arc::new(UInt64Array::from_iter_values(
                        counts.values().iter().enumerate().map(|(i, x)| x + u64::from(i == 0)),
                    ))
                }
            };
            let arrow_schema::DataType::List(field) = list.data_type() else { panic!("no list") };
            let list = ListArray::new(Arc::clone(field), list.offsets().clone(), values, list.nulls().cloned());
            let mut columns = batch.columns().to_vec();
            columns[column] = Arc::new(list);
            vec![RecordBatch::try_new(batch.schema(), columns).unwrap()]
        };
        let error = changed(&result, bent, |_| ()).err().unwrap();
        assert!(error.message().contains("damaged"), "{error}");
    }
}

#[test]
fn facts_that_were_changed_are_refused_and_later_versions_told_apart() {
    let result = mined(&some_rows(), true, false, 1);
    let whole = |_, batch| vec![batch];
    let with = |key: &'static str, from: &'static str, to: &'static str| {
        changed(&result, whole, move |metadata| {
            let text = metadata[key].replace(from, to);
            assert_ne!(text, metadata[key]);
            metadata.insert(key.to_owned(), text);
        })
    };
    let refused = |outcome: Result<MiningResult, Error>, kind: ErrorKind, words: &str| {
        let error = outcome.err().unwrap();
        assert!(error.kind() == kind && error.message().contains(words), "{error}");
    };
    refused(with(FACTS, "\"version\":1", "\"version\":2"), ErrorKind::Unsupported, "upgrade pycjm");
    refused(with(FACTS, "\"version\":1", "\"version\":0"), ErrorKind::InvalidData, "damaged");
    refused(with(FACTS, "\"events\":6", "\"events\":7"), ErrorKind::InvalidData, "damaged");
    refused(with(FACTS, "\"unit\":\"s\"", "\"unit\":\"h\""), ErrorKind::InvalidData, "damaged");
    refused(with(FACTS, "{", "["), ErrorKind::InvalidData, "damaged");
    refused(with(FACTS, "\"cases\":", "\"cases\":4,\"more\":"), ErrorKind::InvalidData, "damaged");
    refused(changed(&result, whole, |metadata| drop(metadata.remove(CHECKSUM))), ErrorKind::InvalidData, "checksum");
    refused(changed(&result, whole, |metadata| metadata.clear()), ErrorKind::InvalidData, "no state of pycjm");
    let named = changed(&result, whole, |metadata| {
        metadata.insert(NAME.to_owned(), "x.arrow".to_owned());
        metadata.remove(CHECKSUM);
    });
    refused(named, ErrorKind::InvalidData, "x.arrow: ");
}

#[test]
fn what_does_not_go_together_is_refused() {
    let rows = some_rows();
    let others: Rows = rows.iter().map(|&(case, what, start, end)| (case + 10, what, start, end)).collect();
    let plain = mined(&rows, false, false, 1);
    let refused = |other: &MiningResult, kind: ErrorKind, words: &str| {
        for pair in [[&plain, other], [other, &plain]] {
            let error = merge(pair.map(state).into(), PLAN, &Context::new()).err().unwrap();
            assert!(error.kind() == kind && error.message().contains(words), "{error}");
        }
    };
    refused(&mined(&others, false, true, 1), ErrorKind::InvalidArgument, "start_timestamp");
    refused(&mined(&others, true, false, 1), ErrorKind::InvalidArgument, "the case ids of");
    refused(&plain, ErrorKind::InvalidData, "case 1 is in state 1 and in state 2");
    let strict = |negative: &str| mine(&log(&others, false, true, negative), PLAN, &Context::new());
    let pair = [strict("keep").unwrap(), strict("zero").unwrap()];
    let error = merge(pair.iter().map(state).collect(), PLAN, &Context::new()).err().unwrap();
    assert!(error.message().contains("negative=\"keep\""), "{error}");
    let alone = ONLY;
    let error = mine(&log(&others, false, true, "error"), alone, &Context::new()).err().unwrap();
    assert!(error.kind() == ErrorKind::InvalidData && error.message().contains("overlaps"), "{error}");
    for plan in
        [PLAN.replace("overview", "cases"), PLAN.replace("\"state\"", r#""case_metrics":[{"name":"m"}],"state""#)]
    {
        let error = merge(vec![state(&plain)], &plan, &Context::new()).err().unwrap();
        assert!(error.kind() == ErrorKind::InvalidArgument && error.message().contains("possible are"), "{error}");
    }
    assert!(merge(Vec::new(), PLAN, &Context::new()).is_err());
}

#[test]
fn the_ids_of_a_log_without_cases_go_with_any_others() {
    let (none, no_texts, some) =
        (Rows::new(), mined(&Rows::new(), true, false, 1), mined(&some_rows(), false, false, 1));
    let none = mined(&none, false, false, 1);
    let kind = |results: &[&MiningResult]| facts(&merged(results))["case_ids"].clone();
    assert_eq!(kind(&[&no_texts, &some, &none]), "int64");
    assert_eq!(
        [kind(&[&none, &none]), kind(&[&no_texts, &none]), kind(&[&none, &no_texts])],
        ["int64", "utf8", "utf8"]
    );
}

#[test]
fn states_without_ids_are_taken_at_their_word_and_those_that_are_kept_are_still_compared() {
    let without = PLAN.replace(r#""state":{}"#, r#""state":{"case_ids":false}"#);
    let rows = some_rows();
    let silent = mine(&log(&rows, false, false, "keep"), &without, &Context::new()).unwrap();
    let telling = mined(&rows, false, false, 1);
    let both = merged(&[&silent, &telling]);
    assert_eq!(facts(&both)["cases"], 6);
    assert_eq!(facts(&both)["case_ids"], "int64");
    assert_eq!(facts(&merged(&[&silent, &silent]))["case_ids"], serde_json::Value::Null);
    assert!(merge(vec![state(&both), state(&telling)], PLAN, &Context::new()).is_err());
}

#[test]
fn memory_is_asked_for_and_given_back() {
    let rows: Rows = (0..30_000).map(|i| (i / 3, (i * 7 % 5) as u8, i * i % 7919, i * i % 7919)).collect();
    let tight = Context::from_json(r#"{"version":1,"threads":1,"memory_limit_bytes":300000}"#).unwrap();
    let error = mine(&log(&rows, false, false, "keep"), ONLY, &tight).err().unwrap();
    assert!(error.kind() == ErrorKind::MemoryLimit, "{error}");
    let result = mined(&rows, false, false, 2);
    let error = merge(vec![state(&result)], PLAN, &tight).err().unwrap();
    assert!(error.kind() == ErrorKind::MemoryLimit && error.message().contains("the state"), "{error}");
    assert_eq!(tight.memory().used_bytes(), 0);
    let context = Context::new();
    merge(vec![state(&result)], PLAN, &context).unwrap();
    assert_eq!(context.memory().used_bytes(), 0);
    assert!(context.memory().peak_bytes() > 300_000);
    let stopped = Context::new();
    stopped.cancel();
    assert_eq!(merge(vec![state(&result)], PLAN, &stopped).err().unwrap().kind(), ErrorKind::Cancelled);
}
