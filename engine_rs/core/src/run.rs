//! (being built)
use arrow_array::RecordBatchReader;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::log::Log;
/// The tables of a run.
pub struct MiningResult {}
impl MiningResult {
    /// A table.
    pub fn table(&self, _name: &str) -> Result<Box<dyn RecordBatchReader + Send>> { Err(Error::internal("being built")) }
    /// Info as JSON.
    pub fn info(&self) -> String { String::new() }
}
/// Mines.
pub fn mine(_log: &Log, _plan: &str, _ctx: &Context) -> Result<MiningResult> { Err(Error::internal("being built")) }
