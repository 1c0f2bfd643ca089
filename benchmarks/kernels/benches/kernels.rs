//! How fast is each kernel alone, on one thread? `cargo bench` in this folder; throughput is in events.

use std::hint::black_box;

use cjm_core::cases::assembler::Assembler;
use cjm_core::cases::batch::{CaseBatch, Fold, Ids};
use cjm_core::cases::order::Orderer;
use cjm_core::cases::partition::{Partitioner, Partitioning};
use cjm_core::context::Context;
use cjm_core::error::Result;
use cjm_core::log::encode::Encoded;
use cjm_core::log::spec::Negative;
use cjm_core::measure::{activities, dfg, durations, overview, variants};
use cjm_core::stats::asked::Asked;
use cjm_core::stats::histogram::Histogram;
use cjm_core::stats::moments::Moments;
use cjm_core::stats::quantile::Percentile;
use cjm_core::stats::ranks::Ranks;
use cjm_core::stats::scale::Scale;
use cjm_core::stats::sieve::Sieve;
use cjm_kernels::{Log, Random};
use criterion::{BatchSize, BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};

const EVENTS: usize = 1 << 20;
const BATCH_ROWS: usize = 1 << 16;

type Group<'a> = BenchmarkGroup<'a, criterion::measurement::WallTime>;

/// Runs `work` over all case batches of a log, on a state that is new each time.
fn fold<S>(
    group: &mut Group<'_>,
    name: &str,
    log: &Log,
    new: impl Fn() -> S,
    mut work: impl FnMut(&mut S, &CaseBatch<'_>),
) {
    let batches = log.batches(BATCH_ROWS);
    let whole = vec![0u64; log.keys.len()];
    group.bench_function(name, |bencher| {
        bencher.iter_batched_ref(
            &new,
            |state| {
                for offsets in &batches {
                    let cases = offsets.len() - 1;
                    work(
                        state,
                        &CaseBatch {
                            offsets,
                            codes: &log.codes,
                            times: &log.times,
                            starts: None,
                            keys: &whole[..cases],
                            ids: Ids::Keys,
                            orders: &whole[..cases],
                        },
                    );
                }
            },
            BatchSize::LargeInput,
        )
    });
}

fn folds(criterion: &mut Criterion) {
    for activities in [40, 300] {
        let log = Log::new(EVENTS, activities);
        let mut group = criterion.benchmark_group(format!("folds, {activities} activities"));
        group.throughput(Throughput::Elements(log.keys.len() as u64)).sample_size(20);
        fold(&mut group, "overview", &log, overview::State::default, |state, batch| state.fold(batch, true).unwrap());
        fold(&mut group, "activities", &log, activities::State::default, |state, batch| state.fold(batch));
        let percentiles: Vec<Percentile> = [50.0, 90.0, 95.0, 99.0].map(|p| Percentile::new(p).unwrap()).to_vec();
        let (none, exact) = (Asked::exact(&[]), Asked::exact(&percentiles));
        let within = Asked::new(percentiles, Some(0.01)).unwrap();
        for (name, asked) in [
            ("edges", None),
            ("edges and moments", Some(&none)),
            ("edges and gaps", Some(&exact)),
            ("edges and gaps within 1 %", Some(&within)),
        ] {
            let new = || dfg::State::new(asked, Negative::Keep, usize::MAX);
            fold(&mut group, name, &log, new, |state, batch| state.fold(batch).unwrap());
        }
        let mut of_batch = Vec::new();
        let keep = variants::Keep { durations: true, cases: false };
        fold(
            &mut group,
            "variants",
            &log,
            || variants::State::new(keep, None),
            |state, batch| {
                batch.durations(&mut of_batch);
                state.fold(batch, &of_batch).unwrap();
            },
        );
        fold(
            &mut group,
            "durations",
            &log,
            || durations::State::new(&exact),
            |state, batch| {
                batch.durations(&mut of_batch);
                state.fold(&of_batch);
            },
        );
    }
}

/// Takes cases in and forgets them.
struct Nothing;

impl Fold for Nothing {
    fn fold(&mut self, batch: &CaseBatch<'_>) -> Result<()> {
        black_box(batch);
        Ok(())
    }
}

fn grouping(criterion: &mut Criterion) {
    let log = Log::new(EVENTS, 40).shuffled();
    let rows = log.keys.len();
    let encoded = |from: usize| {
        let part = from..(from + BATCH_ROWS).min(rows);
        Encoded {
            keys: &log.keys[part.clone()],
            ids: None,
            neighbours_differ: true,
            codes: &log.codes[part.clone()],
            times: &log.times[part],
            starts: None,
            ties: None,
            first_order: from as u64,
        }
    };
    let partitioning = Partitioning::for_rows(Some(rows as u64), false);
    let split = || {
        let mut partitioner = Partitioner::new(partitioning, false);
        (0..rows).step_by(BATCH_ROWS).map(|from| partitioner.split(&encoded(from))).collect::<Vec<_>>()
    };
    let mut group = criterion.benchmark_group("grouping");
    group.throughput(Throughput::Elements(rows as u64)).sample_size(20);
    group.bench_function("split by partition", |bencher| bencher.iter(|| black_box(split())));
    let chunks = split();
    for (name, ascending) in [("bring cases together", true), ("bring cases together and order", false)] {
        group.bench_function(name, |bencher| {
            let (mut assembler, context) = (Assembler::default(), Context::new());
            bencher.iter(|| {
                for partition in 0..partitioning.count() {
                    let pieces: Vec<_> = chunks.iter().map(|chunk| chunk.piece(partition)).collect();
                    assembler.gather(&pieces, &context).unwrap();
                    black_box(assembler.fold(ascending, &context, &mut Nothing).unwrap());
                }
            })
        });
    }
    let sorted = Log::new(EVENTS, 40);
    let offsets: Vec<u32> = sorted.batches(usize::MAX).remove(0);
    group.bench_function("order cases that are in order", |bencher| {
        let (mut orderer, context) = (Orderer::default(), Context::new());
        bencher.iter(|| {
            let ordered = orderer.order(&offsets, &sorted.codes, &sorted.times, None, None, &context).unwrap();
            black_box(ordered.times.len())
        })
    });
}

fn percentiles(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("percentiles");
    for n in [1_000usize, 30_000, 1_000_000] {
        let mut random = Random(3);
        let gaps: Vec<i64> = (0..n).map(|_| 10f64.powf(3.0 + 6.0 * random.unit()) as i64).collect();
        let ranks: Vec<usize> =
            [50, 90, 95, 99].iter().map(|p| (n - 1) * p / 100).flat_map(|rank| [rank, rank + 1]).collect();
        let least = *gaps.iter().min().unwrap();
        let blocks: Vec<&[i64]> = gaps.chunks(64).collect();
        group.throughput(Throughput::Elements(n as u64));
        group.bench_function(format!("two looks, {n}"), |bencher| {
            let mut space = Ranks::default();
            bencher.iter(|| black_box(space.of(&blocks, least, &ranks)))
        });
        let asked: Vec<Percentile> = [50.0, 90.0, 95.0, 99.0].map(|p| Percentile::new(p).unwrap()).to_vec();
        group.bench_function(format!("sieve, {n}"), |bencher| {
            bencher.iter(|| {
                let mut sieve = Sieve::default();
                blocks.iter().for_each(|block| sieve.take(block, &asked));
                black_box(sieve.answer(&asked))
            })
        });
        group.bench_function(format!("histogram, {n}"), |bencher| {
            let (scale, mut moments) = (Scale::new(0.01).unwrap(), Moments::default());
            blocks.iter().for_each(|block| moments.extend(block));
            bencher.iter(|| {
                let mut histogram = Histogram::new(scale);
                blocks.iter().for_each(|block| histogram.take(block));
                black_box(histogram.percentiles(&moments, &asked, 1))
            })
        });
        group.bench_function(format!("sorting, {n}"), |bencher| {
            bencher.iter_batched_ref(
                || gaps.clone(),
                |values| {
                    values.sort_unstable();
                    black_box(ranks.iter().map(|&rank| values[rank]).collect::<Vec<_>>())
                },
                BatchSize::LargeInput,
            )
        });
        group.bench_function(format!("moments, {n}"), |bencher| {
            bencher.iter(|| {
                let mut moments = Moments::default();
                blocks.iter().for_each(|block| moments.extend(block));
                black_box(moments)
            })
        });
    }
}

criterion_group!(kernels, folds, grouping, percentiles);
criterion_main!(kernels);
