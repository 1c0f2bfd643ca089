//! Where do events come from? (being built)
use arrow_array::RecordBatchReader;
use crate::context::Context;
use crate::error::{Error, Result};
/// A log.
pub struct Log {}
impl Log {
    /// Opens files.
    pub fn open(_spec: &str) -> Result<Log> { Err(Error::internal("being built")) }
    /// Takes a stream.
    pub fn from_reader(_reader: Box<dyn RecordBatchReader + Send>, _spec: &str) -> Result<Log> { Err(Error::internal("being built")) }
    /// Describes as JSON.
    pub fn describe(&self) -> Result<String> { Err(Error::internal("being built")) }
    /// Normalised events.
    pub fn events(&self, _ctx: &Context) -> Result<Box<dyn RecordBatchReader + Send>> { Err(Error::internal("being built")) }
}
