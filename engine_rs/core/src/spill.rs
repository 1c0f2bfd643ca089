//! Where does what does not fit into memory go? Into nameless files of one directory, in blocks with a checksum.
//!
//! A file has no name from the moment it is made (or loses it at once, where the system cannot do that), so that nothing
//! is left of it when the process ends, however it ends, and two processes never meet. A block is read back whole; one
//! that is not what was written is an error.

use std::fs::File;
use std::io::{self, ErrorKind as IoErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use arrow_buffer::{Buffer, MutableBuffer};

use crate::error::{Error, ErrorKind, Result};
use crate::hash;

/// A directory for what does not fit, with an optional ceiling.
#[derive(Debug)]
pub struct Spill {
    dir: PathBuf,
    limit_bytes: u64,
    used_bytes: AtomicU64,
    written_bytes: AtomicU64,
    #[cfg(test)]
    faults: faults::Faults,
}

/// Where a block lies in its file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Block {
    offset: u64,
    bytes: u64,
    checksum: u64,
}

/// How much of something a thread holds in memory.
#[derive(Clone, Copy, Debug)]
pub struct Quota {
    /// Never more.
    pub most_bytes: u64,
    /// Nor more than this where the disk has plenty of room: that takes little time, and the memory is left to others.
    pub enough_bytes: u64,
}

impl Quota {
    /// Whether `bytes` of it are to be put aside. There is a `file` in `spill` then.
    ///
    /// # Errors
    /// IO where it has to be, and no file can be made.
    pub fn is_exceeded<'a>(&mut self, bytes: u64, spill: &'a Spill, file: &mut Option<SpillFile<'a>>) -> Result<bool> {
        let must = bytes > self.most_bytes;
        if !must && (bytes <= self.enough_bytes || !spill.has_plenty_for(bytes)) {
            return Ok(false);
        }
        if file.is_none() {
            match spill.file() {
                Ok(new) => *file = Some(new),
                Err(error) if must => return Err(error),
                // Nothing is lost: it stays where it is, and this is not tried again.
                Err(_) => {
                    self.enough_bytes = self.most_bytes;
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

/// A file that is written block by block, by one thread, and then read by all. Its space is given back when it goes.
pub struct SpillFile<'a> {
    spill: &'a Spill,
    file: File,
    end: u64,
}

/// A file that is only read any more, and outlives the run.
pub struct KeptFile {
    spill: Spill,
    file: File,
}

/// What every block begins with: who wrote it, in which form.
const MAGIC: [u8; 8] = *b"cjmspil1";

/// Bytes of the magic, the length and the checksum before a block's own.
const HEAD: usize = 24;

/// Where so many times as much room is left, nobody misses what is written.
const PLENTY: u64 = 64;

/// What a file is called for the moment in which it has a name, where it cannot be made without one.
#[cfg(unix)]
const PREFIX: &str = "pycjm-spill-";

impl Spill {
    /// A place for at most `limit_bytes` in `dir`.
    pub fn new(dir: impl Into<PathBuf>, limit_bytes: Option<u64>) -> Spill {
        Spill {
            dir: dir.into(),
            limit_bytes: limit_bytes.unwrap_or(u64::MAX),
            used_bytes: AtomicU64::new(0),
            written_bytes: AtomicU64::new(0),
            #[cfg(test)]
            faults: faults::Faults::default(),
        }
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What its files hold now.
    pub fn used_bytes(&self) -> u64 {
        self.used_bytes.load(Ordering::Relaxed)
    }

    /// All that was ever written.
    pub fn written_bytes(&self) -> u64 {
        self.written_bytes.load(Ordering::Relaxed)
    }

    /// Whether `bytes` are next to nothing here, and not in memory after all.
    fn has_plenty_for(&self, bytes: u64) -> bool {
        let wanted = bytes.saturating_mul(PLENTY);
        self.used_bytes().saturating_add(wanted) <= self.limit_bytes
            && free_bytes(&self.dir).is_some_and(|free| free >= wanted)
            && !is_in_memory(&self.dir)
    }

    /// A new file, which nobody else can open.
    ///
    /// # Errors
    /// IO where the directory cannot be written to.
    pub fn file(&self) -> Result<SpillFile<'_>> {
        let file = nameless(&self.dir).map_err(|error| Error::io("create a file in", &self.dir, &error))?;
        Ok(SpillFile { spill: self, file, end: 0 })
    }

    /// The same directory, for what is only read from now on.
    fn to_read(&self) -> Spill {
        Spill::new(&self.dir, Some(self.limit_bytes))
    }

    fn reserve(&self, bytes: u64) -> Result<()> {
        let used = self.used_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if used <= self.limit_bytes {
            return Ok(());
        }
        self.used_bytes.fetch_sub(bytes, Ordering::Relaxed);
        let text = format!(
            "what does not fit into memory takes more than the {} bytes allowed in {}: {used} are needed by now; raise spill_limit or memory_limit",
            self.limit_bytes,
            self.dir.display()
        );
        let error = Error::new(ErrorKind::Io, text)
            .with("path", self.dir.display().to_string())
            .with("limit_bytes", self.limit_bytes);
        Err(self.with_space(error, used))
    }

    /// The error with what is needed by now, and what is free where that is known.
    fn with_space(&self, error: Error, needed: u64) -> Error {
        let error = error.with("needed_bytes", needed);
        match free_bytes(&self.dir) {
            Some(free) => error.with("free_bytes", free),
            None => error,
        }
    }

    /// What `error` means, which has kept a block of `bytes` from being written.
    fn unwritten(&self, bytes: u64, error: &io::Error) -> Error {
        let full = [IoErrorKind::StorageFull, IoErrorKind::QuotaExceeded, IoErrorKind::FileTooLarge];
        if !full.contains(&error.kind()) {
            return Error::io("write what does not fit into memory to", &self.dir, error);
        }
        let needed = self.used_bytes() + bytes;
        let free = free_bytes(&self.dir).map(|free| format!(" and {free} bytes are free")).unwrap_or_default();
        let text = format!(
            "cannot write what does not fit into memory to {}: {error}; {needed} bytes are needed there by now{free}: make room, or give another spill_dir or a larger memory_limit",
            self.dir.display()
        );
        let known = Error::new(ErrorKind::Io, text).with("path", self.dir.display().to_string());
        let known = match error.raw_os_error() {
            Some(errno) => known.with("errno", errno),
            None => known,
        };
        self.with_space(known, needed)
    }
}

impl SpillFile<'_> {
    /// Appends a block.
    ///
    /// # Errors
    /// IO, for a full disk with what was to be written, and beyond the ceiling. The file must not be used after that.
    pub fn write(&mut self, bytes: &[u8]) -> Result<Block> {
        let block = Block { offset: self.end, bytes: bytes.len() as u64, checksum: hash::of_bytes(bytes) };
        self.spill.reserve(block.on_disk())?;
        let written = self.write_all(&block.head()).and_then(|()| self.write_all(bytes));
        if let Err(error) = written {
            self.spill.used_bytes.fetch_sub(block.on_disk(), Ordering::Relaxed);
            return Err(self.spill.unwritten(block.on_disk(), &error));
        }
        self.spill.written_bytes.fetch_add(block.on_disk(), Ordering::Relaxed);
        self.end += block.on_disk();
        Ok(block)
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        #[cfg(test)]
        if let Some(error) = self.spill.faults.write() {
            // As a disk does it: some of it is there.
            self.file.write_all(&bytes[..bytes.len() / 2])?;
            return Err(error);
        }
        self.file.write_all(bytes)
    }

    /// Reads a block back.
    ///
    /// # Errors
    /// IO where that fails or the bytes are not those that were written.
    pub fn read(&self, block: Block) -> Result<Buffer> {
        read(self.spill, &self.file, block)
    }

    /// Reads a block back into `space`, whatever that held; the block is what is returned.
    ///
    /// # Errors
    /// IO where that fails or the bytes are not those that were written.
    pub fn read_into<'s>(&self, block: Block, space: &'s mut Vec<u8>) -> Result<&'s [u8]> {
        space.resize(HEAD + block.bytes as usize, 0);
        fill(self.spill, &self.file, block, space)?;
        Ok(&space[HEAD..])
    }

    /// The file, to be read beyond the run that wrote it.
    ///
    /// # Errors
    /// IO.
    pub fn keep(self) -> Result<KeptFile> {
        let file = self.file.try_clone().map_err(|error| Error::io("keep a file in", &self.spill.dir, &error))?;
        Ok(KeptFile { spill: self.spill.to_read(), file })
    }

    /// The bare file, of which nothing is needed any more. To close a large one takes the system a second or more: that can
    /// be left to a thread beside others, where there is room for what they write meanwhile. Else it is closed at once.
    pub fn discard(self) -> Option<File> {
        let has_room = free_bytes(&self.spill.dir).is_some_and(|free| free >= self.end);
        if has_room { self.file.try_clone().ok() } else { None }
    }
}

impl Drop for SpillFile<'_> {
    fn drop(&mut self) {
        self.spill.used_bytes.fetch_sub(self.end, Ordering::Relaxed);
    }
}

impl KeptFile {
    /// Reads a block back.
    ///
    /// # Errors
    /// IO where that fails or the bytes are not those that were written.
    pub fn read(&self, block: Block) -> Result<Buffer> {
        read(&self.spill, &self.file, block)
    }
}

fn read(spill: &Spill, file: &File, block: Block) -> Result<Buffer> {
    let mut bytes = MutableBuffer::from_len_zeroed(HEAD + block.bytes as usize);
    fill(spill, file, block, bytes.as_slice_mut())?;
    Ok(Buffer::from(bytes).slice(HEAD))
}

/// Reads a block and what stands before it.
fn fill(spill: &Spill, file: &File, block: Block, bytes: &mut [u8]) -> Result<()> {
    read_whole(spill, file, bytes, block.offset)
        .map_err(|error| Error::io("read what was put aside in", &spill.dir, &error))?;
    let (head, own) = bytes.split_at(HEAD);
    if head != block.head() || hash::of_bytes(own) != block.checksum {
        let text = format!(
            "what was put aside in {} came back changed: the disk or its driver is broken; use another spill_dir",
            spill.dir.display()
        );
        return Err(Error::new(ErrorKind::Io, text).with("path", spill.dir.display().to_string()));
    }
    Ok(())
}

#[cfg_attr(not(test), expect(unused_variables, reason = "only tests make reads fail"))]
fn read_whole(spill: &Spill, file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    read_at(file, bytes, offset)?;
    #[cfg(test)]
    spill.faults.read(bytes)?;
    Ok(())
}

impl Block {
    /// Bytes of the block.
    pub fn bytes(self) -> u64 {
        self.bytes
    }

    fn on_disk(self) -> u64 {
        HEAD as u64 + self.bytes
    }

    fn head(self) -> [u8; HEAD] {
        let mut head = [0; HEAD];
        head[..8].copy_from_slice(&MAGIC);
        head[8..16].copy_from_slice(&self.bytes.to_le_bytes());
        head[16..].copy_from_slice(&self.checksum.to_le_bytes());
        head
    }
}

/// A file without a name, which only its owner may read.
#[cfg(target_os = "linux")]
fn nameless(dir: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::EXCL | OFlags::CLOEXEC;
    match rustix::fs::open(dir, flags, Mode::RUSR | Mode::WUSR) {
        Ok(file) => Ok(file.into()),
        // Some file systems cannot; and if it is something else, that comes up again.
        Err(_) => unnamed(dir),
    }
}

#[cfg(all(unix, not(target_os = "linux")))]
fn nameless(dir: &Path) -> io::Result<File> {
    unnamed(dir)
}

/// The system removes it when it is closed, however that happens.
#[cfg(not(unix))]
fn nameless(dir: &Path) -> io::Result<File> {
    tempfile::tempfile_in(dir)
}

/// A file whose name is removed at once. A process that is killed between the two leaves an empty file, which the next
/// one removes: a file with such a name is never in use for longer than that, and losing the name is no loss.
#[cfg(unix)]
fn unnamed(dir: &Path) -> io::Result<File> {
    for entry in std::fs::read_dir(dir)?.flatten() {
        if entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes()) {
            // Somebody else's, or gone already: not ours to complain about.
            let _ = std::fs::remove_file(entry.path());
        }
    }
    let (file, path) = tempfile::Builder::new().prefix(PREFIX).tempfile_in(dir)?.into_parts();
    match path.close() {
        Err(error) if error.kind() != IoErrorKind::NotFound => Err(error),
        _ => Ok(file),
    }
}

/// Whether files in `dir` take memory.
#[cfg(target_os = "linux")]
fn is_in_memory(dir: &Path) -> bool {
    // The system's TMPFS_MAGIC and RAMFS_MAGIC.
    const KINDS: [i128; 2] = [0x0102_1994, 0x8584_58f6];
    rustix::fs::statfs(dir).is_ok_and(|system| KINDS.contains(&i128::from(system.f_type)))
}

/// Whether files in `dir` take memory; not known.
#[cfg(not(target_os = "linux"))]
fn is_in_memory(_dir: &Path) -> bool {
    false
}

/// Bytes that are free in `dir`.
#[cfg(unix)]
fn free_bytes(dir: &Path) -> Option<u64> {
    let space = rustix::fs::statvfs(dir).ok()?;
    Some(space.f_bavail.saturating_mul(space.f_frsize))
}

#[cfg(not(unix))]
fn free_bytes(_dir: &Path) -> Option<u64> {
    None
}

#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset)
}

#[cfg(windows)]
fn read_at(file: &File, mut bytes: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, bytes, offset)? {
            0 => return Err(IoErrorKind::UnexpectedEof.into()),
            read => {
                bytes = &mut bytes[read..];
                offset += read as u64;
            }
        }
    }
    Ok(())
}

/// Faults that tests ask for: the k-th write or read from now on fails, or gives a changed bit.
#[cfg(test)]
pub mod faults {
    use super::*;
    use std::sync::Mutex;

    /// What goes wrong, and when.
    #[derive(Debug, Default)]
    pub struct Faults {
        writes_left: Mutex<Option<u64>>,
        reads_left: Mutex<Option<u64>>,
        flip: Mutex<Option<(u64, usize)>>,
        /// How many there were.
        pub writes: AtomicU64,
        /// How many there were.
        pub reads: AtomicU64,
        /// Bytes of the blocks that were read, in this order.
        pub sizes: Mutex<Vec<usize>>,
    }

    fn is_last<T>(left: &Mutex<Option<T>>, count: impl Fn(&mut T) -> &mut u64) -> Option<T> {
        let mut left = left.lock().unwrap();
        let more = count(left.as_mut()?);
        if *more == 0 {
            return left.take();
        }
        *more -= 1;
        None
    }

    impl Faults {
        /// The disk is full after `more` writes.
        pub fn fill_after(&self, more: u64) {
            *self.writes_left.lock().unwrap() = Some(more);
        }

        /// The disk cannot be read after `more` reads.
        pub fn break_after(&self, more: u64) {
            *self.reads_left.lock().unwrap() = Some(more);
        }

        /// After `more` reads, one comes with bit number `bit`, counted through the block again and again, changed.
        pub fn flip_after(&self, more: u64, bit: usize) {
            *self.flip.lock().unwrap() = Some((more, bit));
        }

        /// All is well again. Returns whether there was a fault still to come.
        pub fn mend(&self) -> bool {
            let faults = (self.writes_left.lock().unwrap().take(), self.reads_left.lock().unwrap().take());
            faults.0.is_some() || faults.1.is_some() || self.flip.lock().unwrap().take().is_some()
        }

        pub(super) fn write(&self) -> Option<io::Error> {
            self.writes.fetch_add(1, Ordering::Relaxed);
            is_last(&self.writes_left, |left| left).map(|_| IoErrorKind::StorageFull.into())
        }

        pub(super) fn read(&self, bytes: &mut [u8]) -> io::Result<()> {
            self.reads.fetch_add(1, Ordering::Relaxed);
            self.sizes.lock().unwrap().push(bytes.len());
            if is_last(&self.reads_left, |left| left).is_some() {
                return Err(io::Error::from_raw_os_error(5));
            }
            if let Some((_, bit)) = is_last(&self.flip, |(left, _)| left) {
                bytes[bit / 8 % bytes.len()] ^= 1 << (bit % 8);
            }
            Ok(())
        }
    }

    impl Spill {
        /// What is to go wrong.
        pub fn faults(&self) -> &Faults {
            &self.faults
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_enough_is_exceeded_only_where_there_is_plenty_of_room() {
        let dir = tempfile::tempdir().unwrap();
        let early = cfg!(unix) && !is_in_memory(dir.path());
        let quota = Quota { most_bytes: 100, enough_bytes: 10 };
        let exceeded = |spill: &Spill| {
            [10, 11, 100, 101].map(|bytes| {
                let (mut own, mut file) = (quota, None);
                let is_exceeded = own.is_exceeded(bytes, spill, &mut file).ok();
                assert_eq!(is_exceeded == Some(true), file.is_some());
                is_exceeded
            })
        };
        let all = |told: [bool; 4]| told.map(Some);
        assert_eq!(exceeded(&Spill::new(dir.path(), Some(100 * PLENTY))), all([false, early, early, true]));
        assert_eq!(exceeded(&Spill::new(dir.path(), Some(10 * PLENTY))), all([false, false, false, true]));
        let used = Spill::new(dir.path(), Some(100 * PLENTY));
        used.reserve(90 * PLENTY).unwrap();
        assert_eq!(exceeded(&used), all([false, false, false, true]));
        let nowhere = Spill::new(dir.path().join("not there"), None);
        assert_eq!(exceeded(&nowhere), [Some(false), Some(false), Some(false), None]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_system_s_own_list_tells_what_is_in_memory() {
        let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
        for mount in mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>()) {
            // Another may be mounted over it.
            let is_last =
                mounts.lines().rfind(|line| line.split(' ').nth(1) == Some(mount[1])) == Some(&mount.join(" "));
            let known = [("tmpfs", true), ("ext4", false), ("xfs", false), ("overlay", false), ("proc", false)];
            if let Some((_, expected)) = known.iter().find(|(kind, _)| *kind == mount[2] && is_last)
                && rustix::fs::statfs(mount[1]).is_ok()
            {
                assert_eq!(is_in_memory(Path::new(mount[1])), *expected, "{mount:?}");
            }
        }
    }

    #[test]
    fn what_could_stay_stays_where_no_file_can_be_made() {
        // A file's system has room, but the file is no directory.
        let file = tempfile::NamedTempFile::new().unwrap();
        let spill = Spill::new(file.path(), None);
        let (mut quota, mut file) = (Quota { most_bytes: 100, enough_bytes: 0 }, None);
        assert!(!quota.is_exceeded(0, &spill, &mut file).unwrap());
        assert!(spill.file().is_err());
        assert!(!quota.is_exceeded(50, &spill, &mut file).unwrap());
        assert!(quota.is_exceeded(101, &spill, &mut file).is_err());
    }

    #[test]
    fn blocks_come_back_and_files_have_no_names() {
        let dir = tempfile::tempdir().unwrap();
        let spill = Spill::new(dir.path(), Some(1000));
        let mut file = spill.file().unwrap();
        let blocks: Vec<Block> = (0..5u8).map(|i| file.write(&vec![i; usize::from(i) * 10]).unwrap()).collect();
        for (block, i) in blocks.iter().zip(0u8..) {
            assert_eq!(file.read(*block).unwrap().as_slice(), vec![i; usize::from(i) * 10]);
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        let written = (100 + 5 * HEAD) as u64;
        assert_eq!((spill.used_bytes(), spill.written_bytes()), (written, written));
        drop(file);
        assert_eq!((spill.used_bytes(), spill.written_bytes()), (0, written));
    }

    #[test]
    fn every_changed_bit_and_a_short_file_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let spill = Spill::new(dir.path(), None);
        let mut file = spill.file().unwrap();
        file.write(&[1; 99]).unwrap();
        let block = file.write(&(0..=255).collect::<Vec<u8>>()).unwrap();
        for bit in 0..block.on_disk() * 8 {
            let (offset, mask) = (block.offset + bit / 8, 1 << (bit % 8));
            flip(&file, offset, mask);
            let error = file.read(block).unwrap_err();
            assert!(error.kind() == ErrorKind::Io && error.message().contains("came back changed"), "{error}");
            flip(&file, offset, mask);
        }
        assert_eq!(file.read(block).unwrap().len(), 256);
        file.file.set_len(200).unwrap();
        assert_eq!(file.read(block).unwrap_err().kind(), ErrorKind::Io);
    }

    fn flip(file: &SpillFile<'_>, offset: u64, mask: u8) {
        use std::io::{Seek, SeekFrom};
        let mut byte = [0];
        read_at(&file.file, &mut byte, offset).unwrap();
        let mut own = file.file.try_clone().unwrap();
        own.seek(SeekFrom::Start(offset)).unwrap();
        own.write_all(&[byte[0] ^ mask]).unwrap();
    }

    #[test]
    fn the_ceiling_a_full_disk_and_a_missing_directory_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let spill = Spill::new(dir.path(), Some(10));
        let error = spill.file().unwrap().write(&[0; 11]).unwrap_err();
        assert!(error.kind() == ErrorKind::Io && error.message().contains("spill_limit"), "{error}");
        assert!(error.details_json().contains("\"limit_bytes\":10,\"needed_bytes\":35"), "{}", error.details_json());
        let spill = Spill::new(dir.path(), None);
        spill.faults().fill_after(3);
        let mut file = spill.file().unwrap();
        file.write(&[0; 100]).unwrap();
        let error = file.write(&[0; 50]).unwrap_err();
        assert!(error.kind() == ErrorKind::Io && error.message().contains("are needed there by now"), "{error}");
        for known in ["\"path\":", "\"needed_bytes\":198", if cfg!(unix) { "\"free_bytes\":" } else { "" }] {
            assert!(error.details_json().contains(known), "{}", error.details_json());
        }
        drop(file);
        assert_eq!(spill.used_bytes(), 0);
        let nowhere = Spill::new(dir.path().join("nowhere"), None);
        assert_eq!(nowhere.file().err().unwrap().kind(), ErrorKind::Io);
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_may_read_it_and_names_that_were_left_are_removed() {
        use std::os::unix::fs::MetadataExt;
        let dir = tempfile::tempdir().unwrap();
        let orphan = dir.path().join(format!("{PREFIX}of a process that was killed"));
        File::create(&orphan).unwrap();
        File::create(dir.path().join("something else")).unwrap();
        for file in [nameless(dir.path()).unwrap(), unnamed(dir.path()).unwrap()] {
            let known = file.metadata().unwrap();
            assert_eq!((known.mode() & 0o777, known.nlink()), (0o600, 0));
        }
        let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["something else"]);
    }
}
