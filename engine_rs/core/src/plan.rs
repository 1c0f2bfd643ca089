//! Which questions does a run answer? A plan is a versioned JSON document, the same from Rust, C, Python and the CLI.

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::stats::asked::Asked;
use crate::stats::quantile::Percentile;

/// The measures a plan may name, in the order in which tables are listed.
pub const MEASURES: [&str; 7] = ["overview", "activities", "dfg", "variants", "durations", "cases", "metrics"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanDocument {
    version: u32,
    measures: Vec<MeasureDocument>,
    #[serde(default)]
    case_metrics: Vec<CaseMetricPlan>,
    #[serde(default)]
    state: Option<StatePlan>,
}

/// What is to be kept of the log, so that it can be merged with others.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatePlan {
    /// Whether the ids of cases are kept, so that none is counted twice.
    #[serde(default = "yes")]
    pub case_ids: bool,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MeasureDocument {
    measure: String,
    percentiles: Option<Vec<f64>>,
    approx: Option<f64>,
    top: Option<u64>,
}

/// A case metric a plan asks for; its function is registered in the context.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseMetricPlan {
    /// Name of the function, and of the column.
    pub name: String,
    /// Activities whose index the function is given.
    #[serde(default)]
    pub activities: Option<Vec<String>>,
}

/// A checked plan: what is asked, and with which percentiles.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// One row about the whole log.
    pub overview: bool,
    /// One row per activity.
    pub activities: bool,
    /// One row per directly-follows pair; the asked percentiles of its gap.
    pub dfg: Option<Asked>,
    /// One row per variant.
    pub variants: Option<VariantsPlan>,
    /// Case durations.
    pub durations: Option<Asked>,
    /// One row per case.
    pub cases: bool,
    /// Distribution of each case metric.
    pub metrics: Option<Vec<Percentile>>,
    /// The case metrics to compute.
    pub case_metrics: Vec<CaseMetricPlan>,
    /// The state to keep, if any.
    pub state: Option<StatePlan>,
}

/// How many variants, and which percentiles of their case durations.
#[derive(Clone, Debug)]
pub struct VariantsPlan {
    /// Only the first so many; all where none.
    pub top: Option<u64>,
    /// Percentiles of the case duration.
    pub percentiles: Asked,
}

impl Plan {
    /// Reads and checks a plan document.
    ///
    /// # Errors
    /// INVALID_ARGUMENT naming what was found and what is accepted.
    pub fn parse(text: &str) -> Result<Plan> {
        let document: PlanDocument =
            serde_json::from_str(text).map_err(|error| Error::argument(format!("plan: {error}")))?;
        if document.version != 1 {
            let text = format!("plan: version {} is not known; this engine reads version 1", document.version);
            return Err(Error::argument(text));
        }
        if document.measures.is_empty() {
            return Err(Error::argument(format!("plan: no measure is named; choose from {}", MEASURES.join(", "))));
        }
        let mut plan = Plan { case_metrics: document.case_metrics, state: document.state, ..Plan::default() };
        let mut seen = Vec::new();
        for measure in &document.measures {
            if seen.contains(&measure.measure.as_str()) {
                return Err(Error::argument(format!("plan: measure {:?} is named twice", measure.measure)));
            }
            seen.push(&measure.measure);
            plan.add(measure)?;
        }
        if plan.metrics.is_some() && plan.case_metrics.is_empty() {
            return Err(Error::argument("plan: \"metrics\" needs at least one entry in case_metrics"));
        }
        plan.check_metric_names()?;
        Ok(plan)
    }

    fn add(&mut self, measure: &MeasureDocument) -> Result<()> {
        let name = measure.measure.as_str();
        if measure.top.is_some() && name != "variants" {
            return Err(Error::argument(format!("plan: {name:?} has no option \"top\"; only \"variants\" has")));
        }
        let takes_percentiles = matches!(name, "dfg" | "variants" | "durations" | "metrics");
        if measure.percentiles.is_some() && MEASURES.contains(&name) && !takes_percentiles {
            return Err(Error::argument(format!("plan: {name:?} has no percentiles")));
        }
        let in_ticks = takes_percentiles && name != "metrics";
        if measure.approx.is_some() && MEASURES.contains(&name) && !in_ticks {
            let text = format!("plan: {name:?} has no option \"approx\"; \"dfg\", \"variants\" and \"durations\" have");
            return Err(Error::argument(text));
        }
        let asked = Asked::new(percentiles(measure.percentiles.as_deref().unwrap_or(&[]))?, measure.approx)
            .map_err(|error| Error::argument(format!("plan: {}", error.message())))?;
        match name {
            "overview" => self.overview = true,
            "activities" => self.activities = true,
            "dfg" => self.dfg = Some(asked),
            "variants" => self.variants = Some(VariantsPlan { top: measure.top, percentiles: asked }),
            "durations" => self.durations = Some(asked),
            "cases" => self.cases = true,
            "metrics" => self.metrics = Some(asked.to_vec()),
            _ => {
                let text = format!("plan: measure {name:?} is not known; choose from {}", MEASURES.join(", "));
                return Err(Error::argument(text));
            }
        }
        Ok(())
    }

    fn check_metric_names(&self) -> Result<()> {
        const TAKEN: [&str; 6] = ["case", "events", "first_ts", "last_ts", "duration_s", "variant_rank"];
        for (i, metric) in self.case_metrics.iter().enumerate() {
            let repeated = self.case_metrics[..i].iter().any(|other| other.name == metric.name);
            if repeated || metric.name.is_empty() || TAKEN.contains(&metric.name.as_str()) {
                let text =
                    format!("plan: case metric name {:?} is empty, repeated, or a column of `cases`", metric.name);
                return Err(Error::argument(text));
            }
        }
        Ok(())
    }
}

fn percentiles(asked: &[f64]) -> Result<Vec<Percentile>> {
    let mut list: Vec<Percentile> = Vec::with_capacity(asked.len());
    for &p in asked {
        let percentile = Percentile::new(p)?;
        if list.contains(&percentile) {
            return Err(Error::argument(format!("plan: percentile {p} is asked for twice")));
        }
        list.push(percentile);
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_plan_is_read() {
        let plan = Plan::parse(
            r#"{"version":1,"measures":[{"measure":"dfg","percentiles":[50,99.9]},{"measure":"variants","top":5}]}"#,
        )
        .unwrap();
        assert_eq!(plan.dfg.unwrap()[1].name(), "p99_9");
        assert_eq!(plan.variants.unwrap().top, Some(5));
        assert!(!plan.overview && !plan.cases);
    }

    #[test]
    fn a_state_keeps_ids_unless_told_otherwise() {
        let asked = |state: &str| {
            let text = format!(r#"{{"version":1,"measures":[{{"measure":"dfg"}}],"state":{state}}}"#);
            Plan::parse(&text).unwrap().state.map(|state| state.case_ids)
        };
        assert_eq!(["{}", r#"{"case_ids":false}"#, "null"].map(asked), [Some(true), Some(false), None]);
    }

    #[test]
    fn mistakes_are_named() {
        for (text, word) in [
            (r#"{"version":2,"measures":[]}"#, "version 2"),
            (r#"{"version":1,"measures":[]}"#, "no measure"),
            (r#"{"version":1,"measures":[{"measure":"dgf"}]}"#, "dgf"),
            (r#"{"version":1,"measures":[{"measure":"dfg"},{"measure":"dfg"}]}"#, "twice"),
            (r#"{"version":1,"measures":[{"measure":"dfg","percentiles":[101]}]}"#, "101"),
            (r#"{"version":1,"measures":[{"measure":"dfg","percentiles":[50,50.0]}]}"#, "twice"),
            (r#"{"version":1,"measures":[{"measure":"overview","top":1}]}"#, "top"),
            (r#"{"version":1,"measures":[{"measure":"metrics"}]}"#, "case_metrics"),
            (r#"{"version":1,"measures":[{"measure":"metrics","approx":0.01}]}"#, "approx"),
            (r#"{"version":1,"measures":[{"measure":"overview","approx":0.01}]}"#, "approx"),
            (r#"{"version":1,"measures":[{"measure":"dfg","approx":0}]}"#, "0.0001 to 0.5"),
            (r#"{"version":1,"measures":[{"measure":"dfg","approx":"1%"}]}"#, "1%"),
            (r#"{"version":1,"measure":[]}"#, "measure"),
            (r#"{"version":1,"measures":[],"state":{}}"#, "no measure"),
            (r#"{"version":1,"measures":[{"measure":"dfg"}],"state":{"ids":true}}"#, "ids"),
        ] {
            let error = Plan::parse(text).unwrap_err();
            assert!(error.message().contains(word), "{text}: {error}");
        }
    }
}
