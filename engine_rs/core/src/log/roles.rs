//! Which columns play which role, and of what type is what comes out?

use std::sync::Arc;

use arrow_array::Array;
use arrow_schema::{DataType, Field, Metadata, Schema};

use crate::error::{Error, Result};
use crate::log::source::Source;
use crate::log::spec::LogSpec;
use crate::log::text::TextColumn;
use crate::log::time::{TimeOptions, TimeReader, is_text, natural};
use crate::log::time_format::{is_iso, iso_offset};
use crate::units::Unit;

/// The types of a log's normalised events.
#[derive(Clone, Debug, PartialEq)]
pub struct EventTypes {
    /// Type of the case id as it is given back: the column's own, or utf8.
    pub case: DataType,
    /// Metadata of the case column, by which extension types such as UUIDs are known.
    pub case_metadata: Metadata,
    /// Unit of all times.
    pub unit: Unit,
    /// Zone of all times; none for naive ones, taken as UTC.
    pub zone: Option<Arc<str>>,
    /// Whether events have a start of their own.
    pub has_start: bool,
    /// Types of the `order_by` columns.
    pub order: Vec<DataType>,
}

impl EventTypes {
    /// The column of case ids in results.
    pub fn case_field(&self) -> Field {
        Field::new("case", self.case.clone(), false).with_metadata(self.case_metadata.clone())
    }

    /// The Arrow type of timestamps in results.
    pub fn timestamp(&self) -> DataType {
        DataType::Timestamp(self.unit.arrow(), self.zone.clone())
    }
}

/// Roles bound to columns: which ones to read, where they stand, how to read times.
#[derive(Clone)]
pub struct Roles {
    /// The columns to read, each once.
    pub columns: Vec<String>,
    /// Positions of the case id's parts.
    pub case: Vec<usize>,
    /// Positions of the activity's parts.
    pub activity: Vec<usize>,
    /// Position of the timestamp (or date and time).
    pub timestamp: Vec<usize>,
    /// Position of the start timestamp, if there is one.
    pub start: Option<Vec<usize>>,
    /// Positions of the `order_by` columns.
    pub order: Vec<usize>,
    /// Position of the lifecycle column and the transition to keep.
    pub lifecycle: Option<(usize, String)>,
    /// Reads times into the common unit.
    pub reader: TimeReader,
    /// What comes out.
    pub types: EventTypes,
}

struct Binder<'a> {
    source: &'a dyn Source,
    schema: &'a Schema,
    columns: Vec<String>,
}

impl Roles {
    /// Binds the roles of `spec` to the columns of `source`.
    ///
    /// # Errors
    /// INVALID_ARGUMENT for a role without column, a column that is not there, or one of a type that does not fit.
    pub fn bind(source: &dyn Source, spec: &LogSpec) -> Result<Roles> {
        let schema = source.schema();
        let mut binder = Binder { source, schema: &schema, columns: Vec::new() };
        let case = binder.role("case", &spec.case)?;
        let activity = binder.role("activity", &spec.activity)?;
        let timestamp = binder.role("timestamp", &spec.timestamp)?;
        let start = match &spec.start_timestamp {
            Some(names) => Some(binder.role("start_timestamp", names)?),
            None => None,
        };
        let order = spec.order_by.iter().map(|name| binder.column("order_by", name)).collect::<Result<Vec<_>>>()?;
        let lifecycle = match &spec.lifecycle {
            Some(transition) => Some((binder.lifecycle(&spec.lifecycle_column)?, transition.clone())),
            None => None,
        };
        let unit = spec.timestamp_unit.as_deref().map(Unit::parse).transpose()?;
        let options = TimeOptions { format: spec.timestamp_format.as_deref(), unit, zone: spec.timezone.as_deref() };
        let (mut unit, mut zone) = natural("timestamp", &binder.kinds(&timestamp), &options)?;
        let is_iso_text = is_text(binder.kinds(&timestamp)[0]) && options.format.is_some_and(is_iso);
        if zone.is_none() && is_iso_text && has_offsets(source, &spec.timestamp)? {
            zone = Some(Arc::from("UTC"));
        }
        if let Some(start) = &start {
            let (start_unit, start_zone) = natural("start_timestamp", &binder.kinds(start), &options)?;
            let start_zone = if is_text(binder.kinds(start)[0]) { zone.clone() } else { start_zone };
            if zone.is_some() != start_zone.is_some() {
                let text = "timestamp and start_timestamp: one has a time zone, the other has none; pass timezone for the naive one";
                return Err(Error::argument(text));
            }
            unit = unit.max(start_unit);
        }
        let types = EventTypes {
            case: binder.case_type(&case)?,
            case_metadata: binder.metadata(&case),
            unit,
            zone,
            has_start: start.is_some(),
            order: binder.kinds(&order).into_iter().cloned().collect(),
        };
        binder.check_activity(&activity)?;
        let reader = TimeReader::new(unit, &options)?;
        Ok(Roles { columns: binder.columns, case, activity, timestamp, start, order, lifecycle, reader, types })
    }

    /// The text columns that are worth having dictionary-encoded: a plain activity column.
    pub fn dictionary(&self) -> Vec<String> {
        match self.activity.as_slice() {
            [only] if !self.case.contains(only) => vec![self.columns[*only].clone()],
            _ => Vec::new(),
        }
    }
}

impl Binder<'_> {
    fn role(&mut self, role: &str, names: &[String]) -> Result<Vec<usize>> {
        if names.is_empty() {
            let text = format!("no column is named for {role}; columns are: {}", self.listing());
            return Err(Error::argument(text).with("role", role));
        }
        names.iter().map(|name| self.column(role, name)).collect()
    }

    fn column(&mut self, role: &str, name: &str) -> Result<usize> {
        let named = self.schema.fields().iter().filter(|field| field.name() == name).count();
        if named == 0 {
            let near = nearest(name, self.schema);
            let hint = near.map(|near| format!(" (did you mean {near:?}?)")).unwrap_or_default();
            let text = format!("{role}: column {name:?} is not in the log{hint}; columns are: {}", self.listing());
            return Err(Error::argument(text).with("role", role).with("column", name));
        }
        if named > 1 {
            let text = format!(
                "{role}: {named} columns are named {name:?}, so it is not clear which is meant; rename one of them"
            );
            return Err(Error::argument(text).with("role", role).with("column", name).with("count", named as u64));
        }
        if let Some(conflict) = self.source.conflict(name) {
            return Err(Error::data(format!("{role}: {conflict}")).with("role", role).with("column", name));
        }
        Ok(self.columns.iter().position(|known| known == name).unwrap_or_else(|| {
            self.columns.push(name.to_owned());
            self.columns.len() - 1
        }))
    }

    fn lifecycle(&mut self, name: &str) -> Result<usize> {
        let at = self.column("lifecycle", name)?;
        match is_text(self.kinds(&[at])[0]) {
            true => Ok(at),
            false => Err(Error::argument(format!("lifecycle: column {name:?} is not text")).with("column", name)),
        }
    }

    fn kinds(&self, columns: &[usize]) -> Vec<&DataType> {
        let kind = |&at: &usize| self.schema.field_with_name(&self.columns[at]).map(Field::data_type);
        columns.iter().map(|at| kind(at).unwrap_or(&DataType::Null)).collect()
    }

    fn metadata(&self, columns: &[usize]) -> Metadata {
        let [only] = columns else { return Metadata::default() };
        let field = self.schema.field_with_name(&self.columns[*only]);
        field.map(|field| field.metadata().clone()).unwrap_or_default()
    }

    fn listing(&self) -> String {
        let names: Vec<String> = self.schema.fields().iter().map(|field| format!("{:?}", field.name())).collect();
        match names.len() {
            0 => "none at all".to_owned(),
            1..=40 => names.join(", "),
            n => format!("{}, ... ({n} in all)", names[..40].join(", ")),
        }
    }

    fn case_type(&self, columns: &[usize]) -> Result<DataType> {
        let kinds = self.kinds(columns);
        if kinds.len() > 1 {
            return Ok(DataType::Utf8);
        }
        let plain = match kinds[0] {
            DataType::Dictionary(_, value) => value,
            kind => kind,
        };
        match plain {
            kind if kind.is_integer() || is_text(kind) => Ok(kind.clone()),
            DataType::FixedSizeBinary(_) | DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
                Ok(plain.clone())
            }
            kind => Err(self.wrong("case", columns, kind, "integers, strings, dictionaries of those, and binary ids")),
        }
    }

    fn check_activity(&self, columns: &[usize]) -> Result<()> {
        let kinds = self.kinds(columns);
        match kinds[0] {
            kind if kinds.len() > 1 || is_text(kind) => Ok(()),
            kind => Err(self.wrong("activity", columns, kind, "strings and dictionaries of strings (cast it first)")),
        }
    }

    fn wrong(&self, role: &str, columns: &[usize], kind: &DataType, accepted: &str) -> Error {
        let name = &self.columns[columns[0]];
        Error::argument(format!("{role}: column {name:?} is {kind}; accepted are {accepted}"))
            .with("role", role)
            .with("column", name.as_str())
    }
}

/// Whether the first ISO 8601 time of a source carries an offset from UTC.
fn has_offsets(source: &dyn Source, columns: &[String]) -> Result<bool> {
    let Some(batch) = source.peek(columns, 1024)? else { return Ok(false) };
    let Some(text) = batch.columns().last().and_then(TextColumn::new) else { return Ok(false) };
    let nulls = batch.columns().last().and_then(|column| column.logical_nulls());
    let first = (0..text.len()).find(|&row| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)));
    Ok(first.is_some_and(|row| iso_offset(&String::from_utf8_lossy(text.value(row)))))
}

/// The column whose name is close to `name`, if one is.
fn nearest<'a>(name: &str, schema: &'a Schema) -> Option<&'a str> {
    let distances = schema.fields().iter().map(|field| (edit_distance(name, field.name()), field.name().as_str()));
    let (distance, near) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= 1 + name.chars().count() / 4).then_some(near)
}

/// Levenshtein's distance, letter case ignored.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.to_lowercase().chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::stream::StreamSource;
    use arrow_array::RecordBatchIterator;
    use arrow_schema::TimeUnit;

    fn bind(spec: &str) -> Result<Roles> {
        let fields = vec![
            Field::new("id", DataType::Int32, true),
            Field::new("what", DataType::Utf8, true),
            Field::new("when", DataType::Timestamp(TimeUnit::Millisecond, None), true),
            Field::new("day", DataType::Date32, true),
        ];
        let reader = RecordBatchIterator::new(Vec::new(), Arc::new(Schema::new(fields)));
        Roles::bind(&StreamSource::new(Box::new(reader), None, true), &LogSpec::parse(spec)?)
    }

    #[test]
    fn roles_are_bound_once_each() {
        let roles =
            bind(r#"{"version":1,"case":["id"],"activity":["what"],"timestamp":["when"],"start_timestamp":["day"],"order_by":["id"]}"#)
                .unwrap();
        assert_eq!(roles.columns, ["id", "what", "when", "day"]);
        assert_eq!((roles.types.unit, &roles.types.case), (Unit::Milli, &DataType::Int32));
        assert_eq!(roles.order, [0]);
    }

    #[test]
    fn mistakes_name_role_column_and_the_nearest_name() {
        for (spec, words) in [
            (r#"{"version":1,"case":["ID2"],"activity":["what"],"timestamp":["when"]}"#, "did you mean \"id\""),
            (r#"{"version":1,"activity":["what"],"timestamp":["when"]}"#, "no column is named for case"),
            (r#"{"version":1,"case":["when"],"activity":["what"],"timestamp":["when"]}"#, "accepted are integers"),
            (r#"{"version":1,"case":["id"],"activity":["id"],"timestamp":["when"]}"#, "cast it first"),
            (r#"{"version":1,"case":["id"],"activity":["what"],"timestamp":["what"]}"#, "timestamp_format"),
            (r#"{"version":1,"case":["id"],"activity":["what"],"timestamp":["id"]}"#, "timestamp_unit"),
        ] {
            let error = bind(spec).err().unwrap();
            assert!(error.message().contains(words), "{error}");
        }
    }
}
