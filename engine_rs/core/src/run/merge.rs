//! How is a plan answered from the states of several logs? They are read, merged, and asked.

use std::time::Instant;

use arrow_array::{RecordBatch, RecordBatchReader};
use serde_json::json;

use super::{MiningResult, STATE};
use crate::context::{Account, Context, LimitFrom, Phase, Step};
use crate::error::{Result, guarded};
use crate::log::dropped_json;
use crate::plan::Plan;
use crate::state::State;
use crate::tables::Table;

/// Answers a plan from the states of logs that have no case in common, as if they had been mined together.
///
/// # Errors
/// INVALID_ARGUMENT for states that do not go together and for a plan that asks for single cases; INVALID_DATA for what is
/// no state, or a damaged one, and for logs with cases in common; UNSUPPORTED for a later version; MEMORY_LIMIT; CANCELLED;
/// what the readers report.
pub fn merge(states: Vec<Box<dyn RecordBatchReader + Send>>, plan: &str, context: &Context) -> Result<MiningResult> {
    let outcome = guarded(|| merged(states, &Plan::parse(plan)?, context));
    context.enter(Phase::Idle, 0);
    outcome
}

fn merged(readers: Vec<Box<dyn RecordBatchReader + Send>>, plan: &Plan, context: &Context) -> Result<MiningResult> {
    State::check_plan(plan)?;
    let start = Instant::now();
    let n_states = readers.len();
    context.enter(Phase::Reading, 0);
    let mut states = Vec::with_capacity(n_states);
    let mut held = Account::new(context, Step::State);
    for (number, reader) in readers.into_iter().enumerate() {
        let (name, state) = State::read(reader, format!("state {}", number + 1), context)?;
        held.set(held.bytes() + state.size_bytes())?;
        context.advance(state.facts().events);
        states.push((name, state));
    }
    let read = start.elapsed().as_secs_f64();
    context.enter(Phase::Finishing, 0);
    let state = State::merged(states, context)?;
    held.set(state.size_bytes())?;
    let tables = state.tables(plan, context)?;
    let table = |(name, batches): (_, Vec<RecordBatch>)| (name, Table::Batches(batches[0].schema(), batches));
    let mut tables: Vec<_> = tables.into_iter().map(table).collect();
    if plan.state.is_some() {
        let written = state.write(context)?;
        tables.push((STATE, Table::Batches(written.schema, written.batches)));
    }
    let facts = state.facts();
    let info = json!({
        "layout": facts.layout.name(),
        "rows": facts.events,
        "dropped_rows": dropped_json(&facts.dropped, facts.starts.is_some()),
        "threads": context.threads(),
        "states": n_states,
        "naive_timestamps": facts.zone.is_none(),
        "phases": [
            {"name": "reading", "seconds": read},
            {"name": "finishing", "seconds": start.elapsed().as_secs_f64() - read},
        ],
        "peak_reserved_bytes": context.memory().peak_bytes(),
        "memory_limit_bytes": context.memory().limit_bytes(),
        "memory_limit_from": context.limit_from().map(LimitFrom::name),
        "spilled_bytes": 0,
    });
    Ok(MiningResult { tables, info })
}
