//! Does a file that is read once push out of the system's cache what is wanted again?
//!
//! A log that does not fit into memory is read once, and its rows wait on disk to be read again: what is cached of the log
//! is of no use then, and takes the room of what is. So what was not cached before is given up once it was read; what was,
//! somebody else may want. How that was is asked at some places of a file before it is read: later, the system has read
//! ahead.

use std::fs::File;
use std::ops::Range;

/// Bytes of a section of a file, in which one place is asked about; and at most so many sections.
const SECTION_BYTES: u64 = 64 << 20;
const SECTIONS: u64 = 16;

/// Bytes that are given up at once.
const FEWEST_BYTES: u64 = 8 << 20;

/// What the system had cached of a file, section by section.
#[derive(Default)]
pub struct Cached {
    section_bytes: u64,
    /// Whether the section was not cached.
    cold: Vec<bool>,
}

impl Cached {
    /// Asks about a `file` of so many `bytes`.
    pub fn now(file: &File, bytes: u64) -> Cached {
        let section_bytes = bytes.div_ceil((bytes / SECTION_BYTES).clamp(1, SECTIONS)).max(1);
        let middles = (0..bytes.div_ceil(section_bytes)).map(|section| section * section_bytes + section_bytes / 2);
        Cached { section_bytes, cold: middles.map(|middle| is_cold(file, middle.min(bytes - 1))).collect() }
    }

    /// Gives up what lies in a `stretch` of the `file` and was not cached.
    pub fn give_up(&self, file: &File, stretch: Range<u64>) {
        let Some(first) = stretch.start.checked_div(self.section_bytes) else { return };
        // With some of what came before it, where it is short: the system gives up no less than what it reads at once.
        let from = stretch.start.min(stretch.end.saturating_sub(FEWEST_BYTES)).max(first * self.section_bytes);
        for (section, _) in (0u64..).zip(&self.cold).skip(first as usize).filter(|&(_, &cold)| cold) {
            let begins = section * self.section_bytes;
            let (from, to) = (from.max(begins), stretch.end.min(begins + self.section_bytes));
            // No bytes would stand for all to the end of the file.
            if from < to {
                forget(file, from, to - from);
            }
        }
    }
}

/// Whether the system would have to read what is at `offset`; no where that is not known.
#[cfg(target_os = "linux")]
fn is_cold(file: &File, offset: u64) -> bool {
    use rustix::io::{Errno, ReadWriteFlags, preadv2};
    let mut byte = [0];
    let mut bytes = [std::io::IoSliceMut::new(&mut byte)];
    matches!(preadv2(file, &mut bytes, offset, ReadWriteFlags::NOWAIT), Err(Errno::AGAIN))
}

#[cfg(target_os = "linux")]
fn forget(file: &File, from: u64, bytes: u64) {
    // It is a hint: nothing is wrong where it is not taken.
    let _ = rustix::fs::fadvise(file, from, std::num::NonZeroU64::new(bytes), rustix::fs::Advice::DontNeed);
}

#[cfg(not(target_os = "linux"))]
fn is_cold(_file: &File, _offset: u64) -> bool {
    false
}

#[cfg(not(target_os = "linux"))]
fn forget(_file: &File, _from: u64, _bytes: u64) {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::FileExt;
    use std::path::Path;

    use super::*;

    #[test]
    fn what_was_not_cached_is_given_up_and_what_was_stays() {
        const HALF: u64 = SECTION_BYTES;
        let written = || {
            // Not in a directory for temporary files, which may be in memory.
            let mut file = tempfile::tempfile_in(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
            file.write_all(&vec![7; 2 * HALF as usize]).unwrap();
            file.sync_all().unwrap();
            forget(&file, 0, 2 * HALF);
            file
        };
        // Of another file: the system may begin to read what it is asked for.
        if !is_cold(&written(), HALF / 2) {
            eprintln!("not tried: this file system keeps what it is told to forget");
            return;
        }
        let file = written();
        let mut half = vec![0; HALF as usize];
        file.read_exact_at(&mut half, 0).unwrap();
        let cached = Cached::now(&file, 2 * HALF);
        assert_eq!(cached.cold, [false, true]);
        file.read_exact_at(&mut half, HALF).unwrap();
        assert!([HALF / 2, HALF * 3 / 2].into_iter().all(|place| !is_cold(&file, place)));
        for stretch in [0..HALF, HALF..2 * HALF, 7 * HALF..7 * HALF + 1] {
            cached.give_up(&file, stretch);
        }
        assert!(!is_cold(&file, HALF / 2) && is_cold(&file, HALF * 3 / 2));
        // A stretch of both, wherever it begins.
        let file = written();
        file.read_exact_at(&mut half, HALF).unwrap();
        let cached = Cached::now(&file, 2 * HALF);
        assert_eq!(cached.cold, [true, false]);
        file.read_exact_at(&mut half, 0).unwrap();
        cached.give_up(&file, HALF / 4..2 * HALF);
        assert!(!is_cold(&file, HALF * 3 / 2) && is_cold(&file, HALF / 2));
    }

    #[test]
    fn files_of_any_size_have_sections() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"abc").unwrap();
        let sections = |bytes| Cached::now(&file, bytes).cold.len() as u64;
        assert_eq!([0, 1, 3, SECTION_BYTES].map(sections), [0, 1, 1, 1]);
        assert_eq!([3 * SECTION_BYTES, 99 * SECTION_BYTES].map(sections), [3, SECTIONS]);
        Cached::default().give_up(&file, 0..3);
    }
}
