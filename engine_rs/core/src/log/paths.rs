//! Which files does a list of paths mean? Files, directories, globs; `key=value` folders become columns.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};

/// A file with the values of the `key=value` folders above it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundFile {
    /// Where it is.
    pub path: PathBuf,
    /// Partition keys and values, outermost first; none for the default (null) partition.
    pub partitions: Vec<(String, Option<String>)>,
}

/// The folder name that stands for a null partition value.
const NULL_PARTITION: &str = "__HIVE_DEFAULT_PARTITION__";

/// Expands `paths` in order: a file is itself, a directory all its files with one of `extensions` (recursively, by
/// name, hidden and `_` names left out), anything else a glob.
///
/// # Errors
/// IO for a path that is not there; INVALID_ARGUMENT for a directory or pattern without files.
pub fn expand(paths: &[String], extensions: &[&str]) -> Result<Vec<FoundFile>> {
    if paths.is_empty() {
        return Err(Error::argument("log spec: paths is empty; name at least one file"));
    }
    let mut found = Vec::new();
    for text in paths {
        let path = Path::new(text);
        let before = found.len();
        match fs::metadata(path) {
            Ok(meta) if meta.is_dir() => walk(path, extensions, &mut found)?,
            Ok(_) => found.push(with_partitions(path.to_path_buf())),
            Err(_) if text.contains(['*', '?', '[']) => matches(text, extensions, &mut found)?,
            Err(error) => return Err(Error::io("open", path, &error)),
        }
        if found.len() == before {
            let text = format!("{text}: no file ending in {} is there", extensions.join(" or "));
            return Err(Error::argument(text).with("path", path.display().to_string()));
        }
    }
    Ok(found)
}

fn matches(pattern: &str, extensions: &[&str], found: &mut Vec<FoundFile>) -> Result<()> {
    let listing = glob::glob(pattern).map_err(|error| {
        Error::new(ErrorKind::InvalidArgument, format!("{pattern}: not a valid pattern: {error}")).with("path", pattern)
    })?;
    for entry in listing {
        let path = entry.map_err(|error| Error::io("list", error.path(), error.error()))?;
        if path.is_dir() {
            walk(&path, extensions, found)?;
        } else {
            found.push(with_partitions(path));
        }
    }
    Ok(())
}

fn walk(folder: &Path, extensions: &[&str], found: &mut Vec<FoundFile>) -> Result<()> {
    let listing = fs::read_dir(folder).map_err(|error| Error::io("list", folder, &error))?;
    let mut entries = Vec::new();
    for entry in listing {
        entries.push(entry.map_err(|error| Error::io("list", folder, &error))?.path());
    }
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with(['.', '_']) {
            continue;
        }
        if path.is_dir() {
            walk(&path, extensions, found)?;
        } else if extensions.iter().any(|extension| name.to_ascii_lowercase().ends_with(extension)) {
            found.push(with_partitions(path));
        }
    }
    Ok(())
}

fn with_partitions(path: PathBuf) -> FoundFile {
    let folders = path.parent().map(|folder| folder.components().collect::<Vec<_>>()).unwrap_or_default();
    let partitions = folders
        .iter()
        .filter_map(|component| component.as_os_str().to_str()?.split_once('='))
        .filter(|(key, _)| !key.is_empty())
        .map(|(key, value)| (unescape(key), (value != NULL_PARTITION).then(|| unescape(value))))
        .collect();
    FoundFile { path, partitions }
}

/// Undoes the percent-encoding that writers apply to partition folders.
fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let code = (bytes[i] == b'%').then(|| text.get(i + 1..i + 3)).flatten();
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                i += 3;
            }
            None => {
                out.push(bytes[i]);
                i += 1;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_files_and_globs_expand_in_order() {
        let root = tempfile::tempdir().unwrap();
        for name in ["d/year=2024/b.parquet", "d/year=2023/a.parquet", "d/_tmp/x.parquet", "d/.y.parquet", "d/n.txt"] {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, b"").unwrap();
        }
        let text = |name: &str| root.path().join(name).display().to_string();
        let found = expand(&[text("d")], &[".parquet"]).unwrap();
        let years: Vec<_> = found.iter().map(|file| file.partitions[0].1.clone().unwrap()).collect();
        assert_eq!(years, ["2023", "2024"]);
        assert_eq!(expand(&[text("d/*/a.parquet")], &[".parquet"]).unwrap().len(), 1);
        assert_eq!(expand(&[text("none.parquet")], &[".parquet"]).unwrap_err().kind(), ErrorKind::Io);
        assert_eq!(expand(&[text("d/_tmp/*.pq")], &[".parquet"]).unwrap_err().kind(), ErrorKind::InvalidArgument);
    }

    #[test]
    fn partition_values_are_unescaped_and_the_default_is_null() {
        let file = with_partitions(PathBuf::from("x/city=K%C3%B6ln%2F1/k=__HIVE_DEFAULT_PARTITION__/f.parquet"));
        let expected = vec![("city".to_owned(), Some("Köln/1".to_owned())), ("k".to_owned(), None)];
        assert_eq!(file.partitions, expected);
        assert_eq!(unescape("100%"), "100%");
    }
}
