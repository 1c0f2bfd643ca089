//! Which type takes a column that differs from file to file? Integers widen, times take the finest unit, texts are text.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::units::Unit;

/// The union of several files' schemas, and what does not fit together in them.
#[derive(Default)]
pub struct Unified {
    first_path: Option<Arc<str>>,
    partial: bool,
    columns: Vec<Column>,
}

struct Column {
    name: String,
    kind: DataType,
    nullable: bool,
    missing_in: Option<Arc<str>>,
    first_path: Arc<str>,
    conflict: Option<String>,
}

impl Unified {
    /// Takes in the schema of one more file that may lack columns: they are null there.
    pub fn add_partial(&mut self, path: &Arc<str>, schema: &Schema) {
        self.partial = true;
        self.add(path, schema);
    }

    /// Takes in the schema of one more file.
    pub fn add(&mut self, path: &Arc<str>, schema: &Schema) {
        let first_path = self.first_path.get_or_insert_with(|| path.clone()).clone();
        for column in &mut self.columns {
            if schema.field_with_name(&column.name).is_err() {
                column.missing_in.get_or_insert_with(|| path.clone());
            }
        }
        let mut namesakes: HashMap<&str, usize> = HashMap::new();
        for field in schema.fields() {
            // A name may stand for several columns: each stays one, so that nobody takes one of them for the other.
            let before = namesakes.entry(field.name()).or_default();
            let known = self.columns.iter_mut().filter(|column| column.name == *field.name()).nth(*before);
            *before += 1;
            match known {
                Some(column) => column.add(path, field),
                None => self.columns.push(Column {
                    name: field.name().clone(),
                    kind: field.data_type().clone(),
                    nullable: field.is_nullable(),
                    missing_in: (first_path != *path).then(|| first_path.clone()),
                    first_path: path.clone(),
                    conflict: None,
                }),
            }
        }
    }

    /// Every column of every file.
    pub fn schema(&self) -> SchemaRef {
        let field = |column: &Column| Field::new(&column.name, column.kind.clone(), column.nullable);
        Arc::new(Schema::new(self.columns.iter().map(field).collect::<Vec<_>>()))
    }

    /// Why `column` cannot be used, if so.
    pub fn conflict(&self, column: &str) -> Option<String> {
        let column = self.columns.iter().find(|known| known.name == column)?;
        let missing = column.missing_in.as_ref().filter(|_| !self.partial);
        let lacking =
            missing.map(|path| format!("column {:?} is in {} but not in {path}", column.name, column.first_path));
        lacking.or_else(|| column.conflict.clone())
    }
}

impl Column {
    fn add(&mut self, path: &Arc<str>, field: &Field) {
        self.nullable |= field.is_nullable();
        match common(&self.kind, field.data_type()) {
            Some(kind) => self.kind = kind,
            None if self.conflict.is_none() => {
                self.conflict = Some(format!(
                    "column {:?} is {} in {} and {} in {path}; make them alike first",
                    self.name,
                    self.kind,
                    self.first_path,
                    field.data_type()
                ));
            }
            None => {}
        }
    }
}

fn common(a: &DataType, b: &DataType) -> Option<DataType> {
    use DataType::{Dictionary, Int64, LargeUtf8, Timestamp, UInt64, Utf8, Utf8View};
    if a == b {
        return Some(a.clone());
    }
    let is_text = |kind: &DataType| match kind {
        Utf8 | LargeUtf8 | Utf8View => true,
        Dictionary(_, value) => matches!(**value, Utf8 | LargeUtf8 | Utf8View),
        _ => false,
    };
    match (a, b) {
        (a, b) if is_text(a) && is_text(b) => Some(Utf8),
        (a, b) if a.is_integer() && b.is_integer() && *a != UInt64 && *b != UInt64 => Some(Int64),
        (a, b) if a.is_unsigned_integer() && b.is_unsigned_integer() => Some(UInt64),
        (Timestamp(u, x), Timestamp(v, y)) if x.is_some() == y.is_some() => {
            let unit: TimeUnit = Unit::from_arrow(*u).max(Unit::from_arrow(*v)).arrow();
            Some(Timestamp(unit, if x == y { x.clone() } else { Some("UTC".into()) }))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_meet_or_conflict() {
        let ts = |unit, zone: Option<&str>| DataType::Timestamp(unit, zone.map(Into::into));
        assert_eq!(common(&DataType::Int32, &DataType::Int64), Some(DataType::Int64));
        assert_eq!(common(&DataType::UInt64, &DataType::Int64), None);
        assert_eq!(common(&DataType::Utf8, &DataType::LargeUtf8), Some(DataType::Utf8));
        let finest = common(&ts(TimeUnit::Second, Some("UTC")), &ts(TimeUnit::Nanosecond, Some("+01:00")));
        assert_eq!(finest, Some(ts(TimeUnit::Nanosecond, Some("UTC"))));
        assert_eq!(common(&ts(TimeUnit::Second, None), &ts(TimeUnit::Second, Some("UTC"))), None);
    }

    #[test]
    fn a_column_missing_in_one_file_is_a_conflict() {
        let schema = |names: &[&str]| {
            Schema::new(names.iter().map(|name| Field::new(*name, DataType::Utf8, true)).collect::<Vec<_>>())
        };
        let mut unified = Unified::default();
        unified.add(&"x".into(), &schema(&["a", "b"]));
        unified.add(&"y".into(), &schema(&["a"]));
        assert!(unified.conflict("a").is_none());
        assert!(unified.conflict("b").unwrap().contains("not in y"));
        assert_eq!(unified.schema().fields().len(), 2);
    }

    #[test]
    fn columns_of_one_name_stay_two() {
        let twice = Schema::new(vec![
            Field::new("a", DataType::Utf8, true),
            Field::new("b", DataType::Int64, true),
            Field::new("a", DataType::Utf8, true),
        ]);
        let mut unified = Unified::default();
        unified.add(&"x".into(), &twice);
        unified.add(&"y".into(), &twice);
        let names: Vec<String> = unified.schema().fields().iter().map(|field| field.name().clone()).collect();
        assert_eq!(names, ["a", "b", "a"]);
    }
}
