//! What does it buy to take many numbers at once? Every loop of `cjm-lanes` beside its plain twin; `cargo bench --bench lanes`.

use std::hint::black_box;

use cjm_kernels::{Log, Random};
use cjm_lanes::sift::Window;
use cjm_lanes::{bits, pairs, runs, sift, sums};
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};

/// Values that lie in the cache, as the loops are used.
const VALUES: usize = 1 << 13;
/// Gaps in a bin.
const BIN: usize = 64;

/// Runs both forms of a loop.
fn both<F: Copy>(criterion: &mut Criterion, name: &str, forms: [(&str, F); 2], mut run: impl FnMut(F)) {
    let mut group: BenchmarkGroup<'_, _> = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(VALUES as u64));
    for (form, function) in forms {
        group.bench_function(form, |bencher| bencher.iter(|| run(function)));
    }
}

/// A window around a share of all values, which are even up to 2^34.
fn window(from: f64, to: f64) -> Window {
    let value = |share: f64| (share * (1u64 << 34) as f64) as i64;
    Window { low: value(from), high: value(to), below: 0, inside: 0 }
}

fn lanes(criterion: &mut Criterion) {
    let mut random = Random(1);
    let gaps: Vec<i64> = (0..VALUES).map(|_| (random.unit() * (1u64 << 34) as f64) as i64).collect();
    let words: Vec<u64> = gaps.iter().map(|&gap| (gap as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
    let log = Log::new(VALUES, 40);
    let (keys, times) = (&log.keys[..VALUES], &log.times[..VALUES]);

    both(criterion, "sums", [("wide", sums::sums as fn(&[i64]) -> _), ("plain", sums::plain)], |form| {
        for bin in gaps.chunks(BIN) {
            black_box(form(black_box(bin)));
        }
    });
    type Sift = fn(&[i64], &mut [Window], &mut Vec<i64>);
    let mut windows = vec![window(0.48, 0.52), window(0.88, 0.92), window(0.93, 0.96), window(0.98, 0.995)];
    let mut kept = Vec::with_capacity(VALUES);
    both(criterion, "sift into four windows", [("wide", sift::sift as Sift), ("plain", sift::plain)], |form| {
        kept.clear();
        gaps.chunks(BIN).for_each(|bin| form(black_box(bin), &mut windows, &mut kept));
    });
    type Runs = fn(&[u64], &[i64], &mut Vec<u32>) -> bool;
    let mut starts = Vec::new();
    both(criterion, "where runs begin", [("wide", runs::run_starts as Runs), ("plain", runs::plain)], |form| {
        black_box(form(black_box(keys), times, &mut starts));
    });
    both(
        criterion,
        "equal neighbours",
        [("wide", pairs::any_equal as fn(&[i64]) -> bool), ("plain", pairs::plain)],
        |form| {
            black_box(form(black_box(&gaps)));
        },
    );
    let mut totals = [0; 64];
    type Bits = fn(&[u64], &mut [u64; 64]);
    both(criterion, "bits of words", [("wide", bits::count_bits as Bits), ("plain", bits::plain)], |form| {
        form(black_box(&words), &mut totals);
    });
}

criterion_group!(benches, lanes);
criterion_main!(benches);
