//! Calls the embedder's functions, case batch by case batch.

use std::sync::Arc;

use super::aside::Aside;
use crate::cases::batch::CaseBatch;
use crate::context::{CaseMetric, Context, MetricBatch};
use crate::error::{Error, Result};
use crate::log::labels::Labels;
use crate::plan::CaseMetricPlan;
use crate::spill::Spill;

/// One metric of one thread.
struct Metric {
    name: String,
    function: Arc<dyn CaseMetric>,
    declared: Option<Vec<String>>,
    /// Index in the declared activities by code, as far as codes were seen.
    index_of_code: Vec<i32>,
    values: Vec<f64>,
}

/// What one thread has computed.
#[derive(Default)]
pub struct State<'a> {
    metrics: Vec<Metric>,
    offsets: Vec<i64>,
    activities: Vec<i32>,
    /// What was put aside.
    pub aside: Option<Aside<'a>>,
}

impl<'a> State<'a> {
    /// Binds the plan's metrics to the functions registered in the context.
    ///
    /// # Errors
    /// INVALID_ARGUMENT for a metric without a function.
    pub fn new(plans: &[CaseMetricPlan], context: &Context) -> Result<State<'a>> {
        let bind = |plan: &CaseMetricPlan| {
            let function = context.case_metric(&plan.name).ok_or_else(|| {
                Error::argument(format!("plan: no function is registered for case metric {:?}", plan.name))
            })?;
            let (name, declared) = (plan.name.clone(), plan.activities.clone());
            Ok(Metric { name, function, declared, index_of_code: Vec::new(), values: Vec::new() })
        };
        let metrics = plans.iter().map(bind).collect::<Result<_>>()?;
        Ok(State { metrics, ..State::default() })
    }

    /// Computes every metric over some cases.
    ///
    /// # Errors
    /// CALLBACK where a function fails.
    pub fn fold(&mut self, batch: &CaseBatch<'_>, labels: &Labels) -> Result<()> {
        let base = batch.offsets[0];
        let events = base as usize..batch.offsets[batch.cases()] as usize;
        self.offsets.clear();
        self.offsets.extend(batch.offsets.iter().map(|&offset| i64::from(offset - base)));
        let codes = &batch.codes[events.clone()];
        for metric in &mut self.metrics {
            metric.learn(codes, labels);
            self.activities.clear();
            self.activities.extend(codes.iter().map(|&code| metric.index_of_code[code as usize]));
            let from = metric.values.len();
            metric.values.resize(from + batch.cases(), f64::NAN);
            let seen = MetricBatch {
                offsets: &self.offsets,
                activities: &self.activities,
                times: &batch.times[events.clone()],
                start_times: batch.starts.map(|starts| &starts[events.clone()]),
            };
            metric
                .function
                .evaluate(&seen, &mut metric.values[from..])
                .map_err(|error| error.with("metric", metric.name.as_str()))?;
        }
        Ok(())
    }

    /// Values of every metric that are not put aside, case by case.
    pub fn values(&self) -> Vec<&[f64]> {
        self.metrics.iter().map(|metric| metric.values.as_slice()).collect()
    }

    /// Puts all values aside in `spill`, each metric's in ascending order if they are `wanted`; else they are dropped.
    ///
    /// # Errors
    /// IO.
    pub fn put_aside(&mut self, spill: &'a Spill, wanted: bool) -> Result<()> {
        for (i, metric) in self.metrics.iter_mut().enumerate() {
            let values = std::mem::take(&mut metric.values);
            if wanted {
                let aside = match &mut self.aside {
                    Some(aside) => aside,
                    none => none.insert(Aside::new(spill)?),
                };
                aside.write(i, values)?;
            }
        }
        Ok(())
    }

    /// Bytes held.
    pub fn size_bytes(&self) -> usize {
        self.metrics.iter().map(|metric| metric.values.len() * size_of::<f64>()).sum()
    }

    /// Name and values of every metric.
    pub fn take(self) -> Vec<(String, Vec<f64>)> {
        self.metrics.into_iter().map(|metric| (metric.name, metric.values)).collect()
    }
}

impl Metric {
    /// Makes sure that every code of `codes` has its index.
    fn learn(&mut self, codes: &[u32], labels: &Labels) {
        let highest = codes.iter().max().map_or(0, |&code| code as usize + 1);
        if highest <= self.index_of_code.len() {
            return;
        }
        let known = self.index_of_code.len();
        match &self.declared {
            None => self.index_of_code.extend(known as i32..highest as i32),
            Some(declared) => {
                let names = labels.list();
                let index = |name: &String| declared.iter().position(|known| known == name).map_or(-1, |at| at as i32);
                self.index_of_code.extend(names[known..].iter().map(index));
            }
        }
    }
}
