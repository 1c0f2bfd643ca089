//! Is every sound log read right, and every other one refused? Each text goes through several buffer sizes, and most
//! also through a slow, obvious reader on top of quick-xml.

mod files;
mod oracle;
mod sources;
mod structure;
mod values;

use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use arrow_array::{Array, RecordBatch, StringArray};
use arrow_schema::{DataType, TimeUnit};

use super::describe::{XesDescription, describe_walk};
use super::read::XesReader;
use super::source;
use super::walk::Walk;
use crate::error::{Error, ErrorKind, Result};

/// From so small that every piece of markup is cut, to one that holds all.
const BUFFERS: [usize; 4] = [1, 7, 64, 1 << 16];

fn walk_over(text: impl Read + Send + 'static, buffer_bytes: usize) -> Result<Walk> {
    let text = source::text_of(text).map_err(|error| Error::unsupported(error.to_string()))?;
    Ok(Walk::over(text, Path::new("log.xes"), buffer_bytes))
}

fn describe_bytes(text: &[u8]) -> Result<XesDescription> {
    describe_walk(walk_over(Cursor::new(text.to_vec()), 1 << 16)?, &mut |_| Ok(()))
}

fn utf8(names: &[&str]) -> Vec<(String, DataType)> {
    names.iter().map(|name| (name.to_string(), DataType::Utf8)).collect()
}

fn microseconds() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn read_with(
    text: &[u8],
    columns: &[(String, DataType)],
    batch_rows: usize,
    buffer: usize,
) -> Result<Vec<RecordBatch>> {
    XesReader::over(walk_over(Cursor::new(text.to_vec()), buffer)?, columns, batch_rows, None)?.collect()
}

/// Text columns, row by row; `-` is null. All buffer sizes and some batch sizes must agree.
fn rows(text: &[u8], names: &[&str]) -> Result<Vec<Vec<String>>> {
    let first = text_rows(&read_with(text, &utf8(names), 1000, BUFFERS[3]));
    for buffer in BUFFERS {
        for batch_rows in [1, 2, 1000] {
            let again = read_with(text, &utf8(names), batch_rows, buffer);
            if let Ok(batches) = &again {
                assert!(batches.iter().all(|batch| batch.num_rows() <= batch_rows));
            }
            match (&first, text_rows(&again)) {
                (Ok(first), Ok(again)) => assert_eq!(*first, again, "buffer {buffer}, batch {batch_rows}"),
                (Err(first), Err(again)) => assert_eq!(*first, again, "buffer {buffer}, batch {batch_rows}"),
                (first, again) => panic!("{first:?} but with buffer {buffer}, batch {batch_rows}: {again:?}"),
            }
        }
    }
    match first {
        Ok(rows) => Ok(rows),
        Err(_) => Err(read_with(text, &utf8(names), 1000, BUFFERS[3]).expect_err("it failed before")),
    }
}

fn text_rows(batches: &Result<Vec<RecordBatch>>) -> std::result::Result<Vec<Vec<String>>, String> {
    let batches = batches.as_ref().map_err(|error| error.to_string())?;
    Ok(batches.iter().flat_map(|batch| (0..batch.num_rows()).map(|row| text_row(batch, row))).collect())
}

fn text_row(batch: &RecordBatch, row: usize) -> Vec<String> {
    let cell = |column: &dyn Array| match column.as_any().downcast_ref::<StringArray>() {
        Some(texts) if texts.is_valid(row) => texts.value(row).to_owned(),
        Some(_) => "-".to_owned(),
        None => panic!("not a text column"),
    };
    batch.columns().iter().map(|column| cell(column.as_ref())).collect()
}

/// Asserts that a text is refused as INVALID_DATA with a message that contains `expected`.
fn assert_refused(text: &[u8], names: &[&str], expected: &str) {
    let shown = String::from_utf8_lossy(&text[..text.len().min(200)]).into_owned();
    match rows(text, names) {
        Ok(rows) => panic!("`{shown}` was read as {rows:?}"),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::InvalidData, "`{shown}`: {error}");
            assert!(error.message().contains(expected), "`{shown}`: {error}");
            assert!(error.message().starts_with("log.xes: "), "`{shown}`: {error}");
        }
    }
}

/// A log around some text.
fn log(inside: &str) -> String {
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<log xes.version=\"1.0\">\n{inside}\n</log>\n")
}

/// The folder of real logs beside the repository, if this machine has it.
fn data_folder() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    if !folder.is_dir() {
        println!("skipped: there is no folder {}", folder.display());
        return None;
    }
    Some(folder)
}
