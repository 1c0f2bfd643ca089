//! How is a log to be read? The spec is a versioned JSON document: sources, roles of columns, and how to understand them.

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::log::zone::canonical;

/// A log spec as written by an embedder. Field meanings: `engine_rs/capi/README.md`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogSpec {
    /// Version of the document, 1.
    pub version: u32,
    /// "parquet" or "xes"; by file name where absent.
    #[serde(default)]
    pub format: Option<String>,
    /// Files, directories and globs.
    #[serde(default)]
    pub paths: Vec<String>,
    /// Columns of the case id.
    #[serde(default)]
    pub case: Vec<String>,
    /// Columns of the activity.
    #[serde(default)]
    pub activity: Vec<String>,
    /// Column of the timestamp, or a date and a time column.
    #[serde(default)]
    pub timestamp: Vec<String>,
    /// Column of the start timestamp, or a date and a time column.
    #[serde(default)]
    pub start_timestamp: Option<Vec<String>>,
    /// Stands between the values of several columns.
    #[serde(default = "plus")]
    pub joiner: String,
    /// Columns that order events of one case and one timestamp.
    #[serde(default)]
    pub order_by: Vec<String>,
    /// Format of text timestamps.
    #[serde(default)]
    pub timestamp_format: Option<String>,
    /// Unit of integer timestamps, or the one to hold text in.
    #[serde(default)]
    pub timestamp_unit: Option<String>,
    /// Zone of naive times.
    #[serde(default)]
    pub timezone: Option<String>,
    /// Lifecycle transition to keep, any letter case.
    #[serde(default)]
    pub lifecycle: Option<String>,
    /// Column of the lifecycle transition.
    #[serde(default = "lifecycle_column")]
    pub lifecycle_column: String,
    /// Texts that mean null.
    #[serde(default)]
    pub null_values: Vec<String>,
    /// What a null in a role does.
    #[serde(default)]
    pub on_null: OnNull,
    /// What a negative gap does.
    #[serde(default)]
    pub negative: Negative,
    /// Whether an imported stream may skip full validation (read by the ABI).
    #[serde(default)]
    pub trusted: bool,
    /// Whether a stream's batches lie in memory anyway, so that holding on to them costs nothing.
    #[serde(default)]
    pub resident: bool,
}

/// What a null in case, activity or timestamp does.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum OnNull {
    /// The run fails and names the first one.
    #[default]
    Error,
    /// The row is left out and counted.
    Drop,
}

/// What a gap below zero does (only possible with start timestamps).
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Negative {
    /// It counts as it is.
    #[default]
    Keep,
    /// It counts as zero.
    Zero,
    /// The run fails.
    Error,
}

fn plus() -> String {
    "+".to_owned()
}

fn lifecycle_column() -> String {
    "lifecycle:transition".to_owned()
}

impl LogSpec {
    /// Reads and checks a spec document.
    ///
    /// # Errors
    /// INVALID_ARGUMENT naming the field.
    pub fn parse(text: &str) -> Result<LogSpec> {
        let mut spec: LogSpec =
            serde_json::from_str(text).map_err(|error| Error::argument(format!("log spec: {error}")))?;
        if spec.version != 1 {
            let text = format!("log spec: version {} is not known; this engine reads version 1", spec.version);
            return Err(Error::argument(text));
        }
        for (role, columns) in
            [("timestamp", Some(&spec.timestamp)), ("start_timestamp", spec.start_timestamp.as_ref())]
        {
            if columns.is_some_and(|columns| columns.len() > 2) {
                return Err(Error::argument(format!("log spec: {role} is one column, or a date and a time column")));
            }
        }
        if spec.start_timestamp.as_ref().is_some_and(Vec::is_empty) {
            return Err(Error::argument("log spec: start_timestamp is empty; leave it out instead"));
        }
        // Results carry the name, and not every reader of them forgives a wrong letter case.
        spec.timezone = spec.timezone.as_deref().map(canonical).transpose()?;
        Ok(spec)
    }

    /// Whether the three roles that mining needs are all given.
    pub fn has_roles(&self) -> bool {
        !self.case.is_empty() && !self.activity.is_empty() && !self.timestamp.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_fields_versions_and_words_are_refused() {
        for text in [
            r#"{"version":2}"#,
            r#"{"version":1,"cases":["x"]}"#,
            r#"{"version":1,"on_null":"ignore"}"#,
            r#"{"version":1,"timestamp":["a","b","c"]}"#,
            r#"{"version":1,"start_timestamp":[]}"#,
            r#"{"version":1,"timezone":"Europe/Atlantis"}"#,
        ] {
            assert!(LogSpec::parse(text).is_err(), "{text}");
        }
        let spec = LogSpec::parse(r#"{"version":1,"case":["a"],"activity":["b"],"timestamp":["d","t"]}"#).unwrap();
        assert!(spec.has_roles());
        assert_eq!(spec.joiner, "+");
        let spec = LogSpec::parse(r#"{"version":1,"timezone":"europe/berlin"}"#).unwrap();
        assert_eq!(spec.timezone.as_deref(), Some("Europe/Berlin"));
    }
}
