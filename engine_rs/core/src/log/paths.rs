//! Which files does a list of paths mean? Files, directories, globs; `key=value` folders become columns.

use std::fs;
use std::path::{Component, Path, PathBuf};

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
/// A link to a directory is followed, but not to one that the way to the link leads through: its files would come
/// again and again.
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
            Ok(meta) if meta.is_dir() => walk(path, &mut vec![real(path)?], extensions, &mut found)?,
            Ok(_) => found.push(with_partitions(path.to_path_buf())),
            Err(_) if has_magic(text) => matches(text, extensions, &mut found)?,
            Err(error) => return Err(Error::io("open", path, &error)),
        }
        if found.len() == before {
            let text = format!("{text}: no file ending in {} is there", extensions.join(" or "));
            return Err(Error::argument(text).with("path", path.display().to_string()));
        }
    }
    Ok(found)
}

fn has_magic(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// Like a shell's: `*` and `**` take no hidden names.
const OPTIONS: glob::MatchOptions =
    glob::MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

fn matches(pattern: &str, extensions: &[&str], found: &mut Vec<FoundFile>) -> Result<()> {
    let invalid = |error: glob::PatternError| {
        Error::new(ErrorKind::InvalidArgument, format!("{pattern}: not a valid pattern: {error}")).with("path", pattern)
    };
    let plain: PathBuf = named(Path::new(pattern)).collect();
    let compiled = glob::Pattern::new(&plain.to_string_lossy()).map_err(invalid)?;
    let names: Vec<String> = named(&plain).map(|name| name.as_os_str().to_string_lossy().into_owned()).collect();
    let mut search = Search { names, pattern: compiled, extensions, found };
    // The library's own search runs through links in circles, and finds no hidden names even where they are spelled.
    if search.names.iter().any(|name| name == "**" || (name.starts_with('.') && has_magic(name))) {
        let spelled = search.spelled();
        let base: PathBuf = named(&plain).take(spelled).collect();
        return search.below(&base, &mut vec![real(&base)?]);
    }
    let listing = glob::glob_with(search.pattern.as_str(), OPTIONS).map_err(invalid)?;
    let mut last: Option<(PathBuf, Option<Vec<PathBuf>>)> = None;
    for entry in listing {
        let path = entry.map_err(|error| Error::io("list", error.path(), error.error()))?;
        let parent = path.parent().unwrap_or(Path::new("")).to_path_buf();
        if last.as_ref().is_none_or(|(known, _)| *known != parent) {
            last = Some((parent.clone(), way(&parent, search.spelled())?));
        }
        if let Some((_, Some(above))) = &mut last {
            search.take(path, above)?;
        }
    }
    Ok(())
}

/// What a pattern looks for.
struct Search<'a> {
    names: Vec<String>,
    pattern: glob::Pattern,
    extensions: &'a [&'a str],
    found: &'a mut Vec<FoundFile>,
}

impl Search<'_> {
    /// How many folders the pattern spells out before its first wildcard.
    fn spelled(&self) -> usize {
        self.names.iter().take_while(|name| !has_magic(name)).count()
    }

    /// Takes in a file or folder that matches; `above` are the real folders on the way to it.
    fn take(&mut self, path: PathBuf, above: &mut Vec<PathBuf>) -> Result<()> {
        let spelled = self.names.last().is_some_and(|name| name.starts_with('_'));
        if !spelled && path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('_')) {
            return Ok(());
        }
        if !path.is_dir() {
            self.found.push(with_partitions(path));
            return Ok(());
        }
        let Some(real) = enter(&path, above)? else { return Ok(()) };
        above.push(real);
        walk(&path, above, self.extensions, self.found)?;
        above.pop();
        Ok(())
    }

    /// Takes in all that matches below `folder`, each once.
    fn below(&mut self, folder: &Path, above: &mut Vec<PathBuf>) -> Result<()> {
        let folders_only = self.names.last().is_some_and(|name| name == "**");
        if folders_only && self.pattern.matches_path_with(&folder.join("x"), OPTIONS) {
            return walk(folder, above, self.extensions, self.found);
        }
        for path in listed(folder)? {
            let is_folder = path.is_dir();
            if !folders_only && self.pattern.matches_path_with(&path, OPTIONS) {
                self.take(path, above)?;
            } else if is_folder && let Some(real) = enter(&path, above)? {
                above.push(real);
                self.below(&path, above)?;
                above.pop();
            }
        }
        Ok(())
    }
}

fn named(path: &Path) -> impl Iterator<Item = Component<'_>> {
    path.components().filter(|component| *component != Component::CurDir)
}

/// The real folders on the way to `folder`, but the first `spelled` ones as one: what the caller spells out is meant.
/// None where the way goes in circles.
fn way(folder: &Path, spelled: usize) -> Result<Option<Vec<PathBuf>>> {
    let mut at: PathBuf = named(folder).take(spelled).collect();
    let mut above = vec![real(&at)?];
    for component in named(folder).skip(spelled) {
        at.push(component);
        let Some(folder) = enter(&at, &above)? else { return Ok(None) };
        above.push(folder);
    }
    Ok(Some(above))
}

/// The real folder behind `folder`; none where it is a link back to one of `above` or to what holds one of them.
fn enter(folder: &Path, above: &[PathBuf]) -> Result<Option<PathBuf>> {
    let target = real(folder)?;
    let is_circle = folder.is_symlink() && above.iter().any(|above| above.starts_with(&target));
    Ok((!is_circle).then_some(target))
}

fn real(folder: &Path) -> Result<PathBuf> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    fs::canonicalize(folder).map_err(|error| Error::io("list", folder, &error))
}

fn walk(folder: &Path, above: &mut Vec<PathBuf>, extensions: &[&str], found: &mut Vec<FoundFile>) -> Result<()> {
    for path in listed(folder)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with(['.', '_']) {
            continue;
        }
        if path.is_dir() {
            let Some(real) = enter(&path, above)? else { continue };
            above.push(real);
            walk(&path, above, extensions, found)?;
            above.pop();
        } else if extensions.iter().any(|extension| name.to_ascii_lowercase().ends_with(extension)) {
            found.push(with_partitions(path));
        }
    }
    Ok(())
}

/// What is in a folder, by name.
fn listed(folder: &Path) -> Result<Vec<PathBuf>> {
    let fail = |error: &std::io::Error| Error::io("list", folder, error);
    let there = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let mut entries = Vec::new();
    for entry in fs::read_dir(there).map_err(|error| fail(&error))? {
        entries.push(folder.join(entry.map_err(|error| fail(&error))?.file_name()));
    }
    entries.sort();
    Ok(entries)
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

    #[cfg(unix)]
    #[test]
    fn links_are_followed_but_not_in_circles() {
        let root = tempfile::tempdir().unwrap();
        let text = |name: &str| root.path().join(name).display().to_string();
        let link = |target: &str, name: &str| std::os::unix::fs::symlink(target, root.path().join(name)).unwrap();
        fs::create_dir_all(root.path().join("d/in")).unwrap();
        fs::create_dir_all(root.path().join("other")).unwrap();
        for name in ["d/a.parquet", "d/in/b.parquet", "other/c.parquet"] {
            fs::write(root.path().join(name), b"").unwrap();
        }
        link(".", "d/loop");
        link("../..", "d/in/top");
        link("../other", "d/more");
        link("../d", "other/back");
        let names = |path: &str| -> Vec<String> {
            let found = expand(&[text(path)], &[".parquet"]).unwrap();
            let name = |file: &FoundFile| file.path.strip_prefix(root.path()).unwrap().display().to_string();
            found.iter().map(name).collect()
        };
        let all = ["d/a.parquet", "d/in/b.parquet", "d/more/c.parquet"];
        assert_eq!(names("d"), all);
        assert_eq!(names("d/*"), all);
        assert_eq!(names("d/**/*.parquet"), all);
        assert_eq!(names("d/**"), all);
        assert_eq!(names("d/**/in"), ["d/in/b.parquet"]);
        assert_eq!(names("**/c.parquet"), ["d/more/c.parquet", "other/c.parquet"]);
        assert_eq!(names("d/loop/*.parquet"), ["d/loop/a.parquet"]);
        assert_eq!(names("d/loop/in/"), ["d/loop/in/b.parquet"]);
    }

    #[test]
    fn a_pattern_takes_hidden_names_only_where_it_spells_them() {
        let root = tempfile::tempdir().unwrap();
        for name in ["part-0", "_SUCCESS", ".part-0.crc"] {
            fs::write(root.path().join(name), b"").unwrap();
        }
        let count = |name: &str| expand(&[root.path().join(name).display().to_string()], &[".parquet"]).unwrap().len();
        assert_eq!((count("*"), count("_*"), count(".*")), (1, 1, 1));
    }
}
