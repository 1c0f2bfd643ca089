//! How far is the engine from bare loops? `cargo bench --bench bounds` in this folder; nanoseconds of wall time an event.
//!
//! The loops do the least that each question needs, over arrays that are made for it: ids are whole numbers, activities
//! dense codes, nothing is null, nothing is checked, nothing is merged, and a thread has a part of the log for itself. What
//! they take together is what the engine, which reads Arrow, finds out how rows lie, verifies it, counts more and merges, can
//! be compared with. Loops and engine take turns; the last line is all of it as JSON.
//!
//! Two loops that touch no memory show what a second processor is worth on the machine: where it shares its units with the
//! first, or both with a neighbour, one that keeps them busy gains little, and one that waits for itself everything.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, DictionaryArray, Int32Array, Int64Array, RecordBatch, RecordBatchIterator, StringArray,
    TimestampMicrosecondArray,
};
use cjm_core::context::Context;
use cjm_core::log::Log as EngineLog;
use cjm_core::run;
use cjm_kernels::Log;

const EVENTS: usize = 1 << 23;
const ACTIVITIES: usize = 40;
const ROUNDS: usize = 9;
const PERCENTILES: [u64; 4] = [50, 90, 95, 99];
const PARTITION_ROWS: usize = 32 * 1024;
const SPEC: &str = r#"{"version":1,"case":["case"],"activity":["activity"],"timestamp":["timestamp"],"resident":true}"#;
const PLAN: &str = r#"{"version":1,"measures":[{"measure":"overview"},{"measure":"activities"},
    {"measure":"dfg","percentiles":[50,90,95,99]},{"measure":"variants","percentiles":[50,90,95,99],"top":100},
    {"measure":"durations","percentiles":[50,90,95,99]}]}"#;

fn main() {
    let by_case = Log::new(EVENTS, ACTIVITIES as u64);
    let shuffled = by_case.shuffled();
    let mut table: Vec<(Name, Vec<f64>)> = Vec::new();
    let mut note = |layout, threads, times: Times| {
        for (what, seconds) in times {
            let name = (layout, threads, what);
            let value = seconds * 1e9 / EVENTS as f64;
            match table.iter_mut().find(|(known, _)| *known == name) {
                Some((_, values)) => values.push(value),
                None => table.push((name, vec![value])),
            }
        }
    };
    for _ in 0..ROUNDS {
        for threads in [1, 2] {
            note("no log", threads, on_all(&vec![EVENTS / threads; threads], |&events| of_nothing(events as u64)));
        }
    }
    for (layout, log) in [("case", &by_case), ("shuffled", &shuffled)] {
        let engine = engine_log(log);
        let ways = [1, 2].map(|threads| {
            let context = Context::from_json(&format!(r#"{{"version":1,"threads":{threads}}}"#)).unwrap();
            (threads, split(log, threads, layout == "case"), context)
        });
        for _ in 0..ROUNDS {
            for (threads, parts, context) in &ways {
                let mut times = on_all(parts, |part| if layout == "case" { of_cases(part) } else { of_rows(part) });
                let begin = Instant::now();
                black_box(run::mine(&engine, PLAN, context).unwrap());
                times.push(("the engine", begin.elapsed().as_secs_f64()));
                note(layout, *threads, times);
            }
        }
    }
    let mut lines = Vec::new();
    for ((layout, threads, what), mut values) in table {
        values.sort_by(f64::total_cmp);
        let (median, least) = (values[values.len() / 2], values[0]);
        println!("{layout:9} {threads} threads  {what:28} {median:6.2} ns (least {least:.2})");
        lines.push(format!(
            r#"{{"layout":"{layout}","threads":{threads},"what":"{what}","median_ns":{median:.3},"rounds_ns":{values:.3?}}}"#
        ));
    }
    println!("{{\"events\":{EVENTS},\"results\":[{}]}}", lines.join(","));
}

/// Layout, threads, and what ran.
type Name = (&'static str, usize, &'static str);

/// What ran, and its seconds.
type Times = Vec<(&'static str, f64)>;

/// Runs the loops of every part beside each other; the time of each loop is that of the slowest part.
fn on_all<P: Sync>(parts: &[P], loops: impl Fn(&P) -> Times + Sync) -> Times {
    let each: Vec<Times> = std::thread::scope(|scope| {
        let running: Vec<_> = parts.iter().map(|part| scope.spawn(|| loops(part))).collect();
        running.into_iter().map(|part| part.join().unwrap()).collect()
    });
    let slowest = |at: usize| each.iter().map(|times| times[at].1).fold(0.0, f64::max);
    each[0].iter().enumerate().map(|(at, &(what, _))| (what, slowest(at))).collect()
}

fn timed<R>(times: &mut Times, what: &'static str, work: impl FnOnce() -> R) -> R {
    let begin = Instant::now();
    let outcome = black_box(work());
    times.push((what, begin.elapsed().as_secs_f64()));
    outcome
}

/// Loops that touch no memory, a few steps for each event.
fn of_nothing(events: u64) -> Times {
    const STEPS: u64 = 16;
    let mut times = Times::new();
    timed(&mut times, "additions beside each other", || {
        let mut sums = black_box([1u64, 2, 3, 4, 5, 6]);
        let step = black_box(7u64);
        for i in 0..events * STEPS {
            sums = sums.map(|sum| (sum ^ i).wrapping_add(step));
        }
        sums
    });
    timed(&mut times, "multiplications in a chain", || {
        (0..events * STEPS).fold(black_box(1u64), |product, i| (product ^ i).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    });
    times
}

/// The log in equal parts, of whole cases where these lie together.
fn split(log: &Log, parts: usize, whole_cases: bool) -> Vec<Log> {
    let end = |part: usize| {
        let mut at = log.keys.len() * part / parts;
        while whole_cases && at > 0 && at < log.keys.len() && log.keys[at] == log.keys[at - 1] {
            at += 1;
        }
        at
    };
    let part = |part| {
        let own = end(part)..end(part + 1);
        Log {
            keys: log.keys[own.clone()].to_vec(),
            codes: log.codes[own.clone()].to_vec(),
            times: log.times[own].to_vec(),
        }
    };
    (0..parts).map(part).collect()
}

fn engine_log(log: &Log) -> EngineLog {
    let labels: StringArray = (0..ACTIVITIES).map(|code| Some(format!("activity {code}"))).collect();
    let codes: Int32Array = log.codes.iter().map(|&code| code as i32).collect();
    let keys: Int64Array = log.keys.iter().map(|&key| key as i64).collect();
    let columns: [(&str, ArrayRef); 3] = [
        ("case", Arc::new(keys)),
        ("activity", Arc::new(DictionaryArray::<Int32Type>::new(codes, Arc::new(labels)))),
        ("timestamp", Arc::new(TimestampMicrosecondArray::from(log.times.clone()))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let reader = RecordBatchIterator::new([Ok(batch.clone())], batch.schema());
    EngineLog::from_reader(Box::new(reader), SPEC).unwrap()
}

/// The loops for rows that lie by case.
fn of_cases(log: &Log) -> Times {
    let mut times = Times::new();
    timed(&mut times, "read the columns", || {
        let keys = log.keys.iter().fold(0, |all, &key| all ^ key);
        let codes = log.codes.iter().fold(0, |all, &code| all ^ code);
        let moments = log.times.iter().fold(0, |all, &time| all ^ time);
        (keys, codes, moments)
    });
    let offsets = timed(&mut times, "find the cases", || {
        let mut offsets = vec![0u32; log.keys.len() + 1];
        let mut cases = 0;
        for (row, pair) in log.keys.windows(2).enumerate() {
            offsets[cases + 1] = row as u32 + 1;
            cases += usize::from(pair[0] != pair[1]);
        }
        offsets[cases + 1] = log.keys.len() as u32;
        offsets.truncate(cases + 2);
        offsets
    });
    let codes: Vec<u8> = log.codes.iter().map(|&code| code as u8).collect();
    measures(&mut times, &Cases { offsets: &offsets, codes: &codes, times: &log.times });
    times
}

/// The loops for rows in any order.
fn of_rows(log: &Log) -> Times {
    let mut times = Times::new();
    let bits = (log.keys.len() / PARTITION_ROWS).next_power_of_two().trailing_zeros();
    let home = |key: u64| (spread(key) >> (64 - bits)) as usize;
    let ends = timed(&mut times, "count rows by partition", || {
        let mut ends = vec![0usize; (1 << bits) + 1];
        log.keys.iter().for_each(|&key| ends[home(key) + 1] += 1);
        (0..1 << bits).for_each(|part| ends[part + 1] += ends[part]);
        ends
    });
    let n = log.keys.len();
    let (mut keys, mut moments, mut codes) = (vec![0u64; n], vec![0i64; n], vec![0u8; n]);
    timed(&mut times, "move rows by partition", || {
        let mut next = ends.clone();
        for ((&key, &time), &code) in log.keys.iter().zip(&log.times).zip(&log.codes) {
            let place = &mut next[home(key)];
            (keys[*place], moments[*place], codes[*place]) = (key, time, code as u8);
            *place += 1;
        }
    });
    let (mut by_case, mut of_case) = (vec![0i64; n], vec![0u8; n]);
    let mut offsets = vec![0u32];
    timed(&mut times, "move rows by case, in order", || {
        let (mut slots, mut numbers, mut next, mut events) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for part in 0..1 << bits {
            let own = ends[part]..ends[part + 1];
            slots.clear();
            slots.resize((own.len() * 2).next_power_of_two(), (0u64, 0u32));
            numbers.clear();
            next.clear();
            for &key in &keys[own.clone()] {
                let mut at = (spread(key) >> 8) as usize & (slots.len() - 1);
                while slots[at].1 != 0 && slots[at].0 != key {
                    at = (at + 1) & (slots.len() - 1);
                }
                if slots[at].1 == 0 {
                    next.push(0u32);
                    slots[at] = (key, next.len() as u32);
                }
                numbers.push(slots[at].1 - 1);
                next[slots[at].1 as usize - 1] += 1;
            }
            let mut end = own.start as u32;
            for count in &mut next {
                (*count, end) = (end, end + *count);
                offsets.push(end);
            }
            for ((&number, &time), &code) in numbers.iter().zip(&moments[own.clone()]).zip(&codes[own.clone()]) {
                let place = &mut next[number as usize];
                (by_case[*place as usize], of_case[*place as usize]) = (time, code);
                *place += 1;
            }
            for case in offsets[offsets.len() - 1 - next.len()..].windows(2) {
                let own = case[0] as usize..case[1] as usize;
                if !by_case[own.clone()].is_sorted() {
                    events.clear();
                    events.extend(by_case[own.clone()].iter().copied().zip(of_case[own.clone()].iter().copied()));
                    events.sort_by_key(|event| event.0);
                    for (place, &(time, code)) in own.zip(&events) {
                        (by_case[place], of_case[place]) = (time, code);
                    }
                }
            }
        }
    });
    measures(&mut times, &Cases { offsets: &offsets, codes: &of_case, times: &by_case });
    times
}

/// Cases one after the other: number i has the events `offsets[i]..offsets[i + 1]`.
struct Cases<'a> {
    offsets: &'a [u32],
    codes: &'a [u8],
    times: &'a [i64],
}

impl Cases<'_> {
    fn each(&self) -> impl Iterator<Item = (&[u8], &[i64])> {
        let own = |pair: &[u32]| pair[0] as usize..pair[1] as usize;
        self.offsets.windows(2).map(move |pair| (&self.codes[own(pair)], &self.times[own(pair)]))
    }
}

const EDGES: usize = 64 * 64;

/// The number of a pair of activities.
fn edge(pair: &[u8]) -> usize {
    usize::from(pair[0] % 64) * 64 + usize::from(pair[1] % 64)
}

/// The loops for cases that lie one after the other.
fn measures(times: &mut Times, cases: &Cases<'_>) {
    let counts = timed(times, "count edges, starts and ends", || {
        let (mut counts, mut ends) = (vec![0usize; EDGES], [[0u64; 256]; 2]);
        for (codes, _) in cases.each() {
            ends[0][usize::from(codes[0])] += 1;
            ends[1][usize::from(codes[codes.len() - 1])] += 1;
            codes.windows(2).for_each(|pair| counts[edge(pair)] += 1);
        }
        black_box(ends);
        counts
    });
    let mut next = counts.clone();
    let mut end = 0;
    for next in &mut next {
        (*next, end) = (end, end + *next);
    }
    let mut gaps = vec![0i64; end];
    timed(times, "move gaps by edge", || {
        for (codes, moments) in cases.each() {
            for (pair, moments) in codes.windows(2).zip(moments.windows(2)) {
                let place = &mut next[edge(pair)];
                gaps[*place] = moments[1] - moments[0];
                *place += 1;
            }
        }
    });
    timed(times, "sums and percentiles of gaps", || {
        let mut rest = &mut gaps[..];
        for &count in counts.iter().filter(|&&count| count > 0) {
            let own = rest.split_off_mut(..count).unwrap();
            let sum = own.iter().fold(0i64, |sum, &gap| sum.wrapping_add(gap));
            let squares = own.iter().fold(0u128, |sum, &gap| sum + u128::from(gap.unsigned_abs()).pow(2));
            black_box((sum, squares, own.iter().min(), own.iter().max()));
            select(own);
        }
    });
    timed(times, "durations and percentiles", || {
        let mut durations: Vec<i64> =
            cases.each().map(|(_, moments)| moments[moments.len() - 1] - moments[0]).collect();
        select(&mut durations);
    });
    timed(times, "sequences, by a hash alone", || {
        let mut found = HashMap::<u64, u32, BuildHasherDefault<Own>>::default();
        for (codes, _) in cases.each() {
            let step = |hash: u64, &code: &u8| (hash.rotate_left(5) ^ u64::from(code)).wrapping_mul(ODD);
            *found.entry(codes.iter().fold(codes.len() as u64, step)).or_default() += 1;
        }
        let mut most: Vec<(u32, u64)> = found.iter().map(|(&hash, &count)| (count, hash)).collect();
        let top = most.len().saturating_sub(100).min(most.len() - 1);
        most.select_nth_unstable(top);
        most.len()
    });
}

/// Finds the neighbours of the ranks of all percentiles.
fn select(mut values: &mut [i64]) {
    let n = values.len() as u64;
    let mut from = 0;
    for percentile in PERCENTILES {
        let rank = ((n - 1) * percentile / 100) as usize;
        for rank in [rank, (rank + 1).min(n as usize - 1)] {
            if rank < from {
                continue;
            }
            let (_, found, above) = values.select_nth_unstable(rank - from);
            black_box(*found);
            values = above;
            from = rank + 1;
        }
    }
}

const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

fn spread(key: u64) -> u64 {
    (key ^ key >> 32).wrapping_mul(ODD)
}

/// Hashes are their own.
#[derive(Default)]
struct Own(u64);

impl Hasher for Own {
    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
