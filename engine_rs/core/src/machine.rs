//! How much memory is there for this process? That of the machine, or less where a control group says so.
//!
//! Linux tells in files: `/proc/meminfo`, and for control groups of either version the limit of the process's own group
//! and of each one around it, as far up as they are mounted. Other systems tell nothing here.

use std::fs;
use std::path::{Component, Path, PathBuf};

/// The memory that a process may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// How much.
    pub bytes: u64,
    /// Whether a control group allows less than the machine has.
    pub in_container: bool,
}

/// The memory that this process may use, where the system tells.
pub fn memory() -> Option<Memory> {
    memory_below(Path::new("/"))
}

/// As [`memory`], with the system's files below `root`.
fn memory_below(root: &Path) -> Option<Memory> {
    let machine = of_machine(&text(&root.join("proc/meminfo"))?)?;
    let groups = of_groups(root).unwrap_or(u64::MAX);
    Some(Memory { bytes: machine.min(groups), in_container: groups < machine })
}

/// `MemTotal`, which is told in KiB.
fn of_machine(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The least that any group around the process allows.
fn of_groups(root: &Path) -> Option<u64> {
    let groups = text(&root.join("proc/self/cgroup"))?;
    let mounts = text(&root.join("proc/self/mountinfo"))?;
    let found = mounts.lines().filter_map(Mount::parse).filter_map(|mount| mount.least(&groups, root));
    found.min()
}

/// A mounted hierarchy of control groups that limits memory.
struct Mount {
    version: Version,
    /// The group that is mounted; in a container often not the topmost.
    group: String,
    point: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    V1,
    V2,
}

impl Mount {
    /// A line of `mountinfo`: "36 31 0:32 /group /point rw,... [more] - cgroup source rw,memory".
    fn parse(line: &str) -> Option<Mount> {
        let (place, kind) = line.split_once(" - ")?;
        let mut kind = kind.split(' ');
        let version = match kind.next()? {
            "cgroup2" => Version::V2,
            "cgroup" if kind.nth(1)?.split(',').any(|option| option == "memory") => Version::V1,
            _ => return None,
        };
        let mut place = place.split(' ').skip(3);
        Some(Mount { version, group: unescaped(place.next()?), point: unescaped(place.next()?) })
    }

    /// The least limit from the process's group up to the mounted one.
    fn least(&self, groups: &str, root: &Path) -> Option<u64> {
        let own = groups.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            let (controllers, path) = (parts.next()?, parts.next()?);
            let fits = match self.version {
                Version::V1 => controllers.split(',').any(|controller| controller == "memory"),
                Version::V2 => controllers.is_empty(),
            };
            fits.then_some(path)
        })?;
        let top = below(root, &self.point);
        // A group that is not below the mounted one cannot be seen from here; then the mounted one is what there is.
        let inside = Path::new(own).strip_prefix(&self.group).unwrap_or(Path::new(""));
        let is_plain = inside.components().all(|part| matches!(part, Component::Normal(_)));
        let mut group = if is_plain { top.join(inside) } else { top.clone() };
        let mut least = None;
        loop {
            least = least.into_iter().chain(self.limits(&group)).min();
            if group == top || !group.pop() {
                return least;
            }
        }
    }

    /// What one group says.
    fn limits(&self, group: &Path) -> Option<u64> {
        let number = |file: &str| text(&group.join(file))?.trim().parse::<u64>().ok();
        match self.version {
            // Beyond `high` a group is slowed down, beyond `max` it is killed.
            Version::V2 => number("memory.max").into_iter().chain(number("memory.high")).min(),
            Version::V1 => {
                // With the groups above that are not mounted here.
                let stat = text(&group.join("memory.stat")).unwrap_or_default();
                let above = stat.lines().find_map(|line| line.strip_prefix("hierarchical_memory_limit ")?.parse().ok());
                number("memory.limit_in_bytes").into_iter().chain(above).min()
            }
        }
    }
}

fn text(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok()
}

fn below(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

/// Spaces and the like are octal numbers in `mountinfo`.
fn unescaped(path: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(path.to_owned(), |path, (code, plain)| path.replace(code, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;
    const V2: &str = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
    const V1: &str = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
                      34 31 0:31 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n";

    /// What is found on a machine of a GiB with these files.
    fn found(group: &str, mounts: &str, files: &[(&str, &str)]) -> (u64, bool) {
        let root = tempfile::tempdir().unwrap();
        let meminfo = "MemTotal:        1048576 kB\nMemFree:   5 kB\n";
        let system = [("proc/meminfo", meminfo), ("proc/self/cgroup", group), ("proc/self/mountinfo", mounts)];
        for (path, text) in system.iter().chain(files) {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let found = memory_below(root.path()).unwrap();
        (found.bytes / MIB, found.in_container)
    }

    #[test]
    fn a_machine_without_groups_has_what_it_has() {
        assert_eq!(found("", "", &[]), (1024, false));
        assert_eq!(found("0::/\n", V2, &[]), (1024, false));
        assert_eq!(found("0::/a\n", V2, &[("sys/fs/cgroup/a/memory.max", "max\n")]), (1024, false));
        let nothing = tempfile::tempdir().unwrap();
        assert_eq!(memory_below(nothing.path()), None);
    }

    #[test]
    fn the_least_of_all_groups_around_counts_in_version_2() {
        let files = [
            ("sys/fs/cgroup/a/memory.max", "314572800\n"),
            ("sys/fs/cgroup/a/b/memory.max", "max\n"),
            ("sys/fs/cgroup/a/b/c d/memory.max", "419430400\n"),
            ("sys/fs/cgroup/other/memory.max", "1048576\n"),
        ];
        assert_eq!(found("0::/a/b/c d\n", V2, &files), (300, true));
        assert_eq!(found("0::/elsewhere\n", V2, &files), (1024, false));
        let slowed = [("sys/fs/cgroup/a/memory.max", "max\n"), ("sys/fs/cgroup/a/memory.high", "209715200\n")];
        assert_eq!(found("0::/a\n", V2, &slowed), (200, true));
    }

    #[test]
    fn version_1_and_both_side_by_side() {
        let nested = "4:memory:/a/b\n1:cpu:/other\n0::/\n";
        let unlimited = "9223372036854771712\n";
        let files = [
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", unlimited),
            ("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "524288000\n"),
            ("sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", unlimited),
            ("sys/fs/cgroup/cpu/other/memory.limit_in_bytes", "1\n"),
        ];
        assert_eq!(found(nested, V1, &files), (500, true));
        assert_eq!(found(nested, V1, &files[..1]), (1024, false));
        let hybrid = [V1, "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"].concat();
        assert_eq!(found(nested, &hybrid, &files), (500, true));
        // The group with the limit is outside of what is mounted.
        let stat = [("sys/fs/cgroup/memory/a/b/memory.stat", "cache 1\nhierarchical_memory_limit 104857600\n")];
        assert_eq!(found(nested, V1, &stat), (100, true));
    }

    #[test]
    fn a_container_sees_its_own_group_at_the_top() {
        let own = "35 31 0:32 /docker/1f /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";
        let limit = [("sys/fs/cgroup/memory/memory.limit_in_bytes", "104857600\n")];
        for path in ["/docker/1f", "/docker/1f/", "/", "/../outside"] {
            assert_eq!(found(&format!("4:memory:{path}\n"), own, &limit), (100, true), "{path}");
        }
        let spaced = "35 31 0:32 / /my\\040groups rw - cgroup2 cgroup2 rw\n";
        assert_eq!(found("0::/a\n", spaced, &[("my groups/a/memory.max", "104857600")]), (100, true));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_machine_has_some() {
        assert!(memory().unwrap().bytes > MIB);
    }
}
