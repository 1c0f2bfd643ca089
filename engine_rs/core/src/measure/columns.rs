//! How do columns become a table?

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray, UInt64Array};
use arrow_schema::{DataType, Field, Schema};

use crate::error::{Error, Result};

/// A record batch out of fields and columns.
///
/// # Errors
/// INTERNAL if the columns do not fit together.
pub fn batch(columns: Vec<(Field, ArrayRef)>) -> Result<RecordBatch> {
    let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = columns.into_iter().unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).map_err(|error| Error::internal(error.to_string()))
}

/// A column of counts.
pub fn counts(name: &str, values: impl Iterator<Item = u64>) -> (Field, ArrayRef) {
    (Field::new(name, DataType::UInt64, false), Arc::new(values.collect::<UInt64Array>()))
}

/// A column of labels.
pub fn labels<'a>(name: &str, values: impl Iterator<Item = &'a str>) -> (Field, ArrayRef) {
    (Field::new(name, DataType::Utf8, false), Arc::new(StringArray::from_iter_values(values)))
}
