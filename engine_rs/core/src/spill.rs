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
}

/// Where a block lies in its file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Block {
    offset: u64,
    bytes: u64,
    checksum: u64,
}

/// A file that is written block by block, by one thread, and then read by all.
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

impl Spill {
    /// A place for at most `limit_bytes` in `dir`.
    pub fn new(dir: impl Into<PathBuf>, limit_bytes: Option<u64>) -> Spill {
        Spill { dir: dir.into(), limit_bytes: limit_bytes.unwrap_or(u64::MAX), used_bytes: AtomicU64::new(0) }
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// All that was ever written.
    pub fn used_bytes(&self) -> u64 {
        self.used_bytes.load(Ordering::Relaxed)
    }

    /// A new file.
    ///
    /// # Errors
    /// IO where the directory cannot be written to.
    pub fn file(&self) -> Result<SpillFile<'_>> {
        let file = tempfile::tempfile_in(&self.dir).map_err(|error| self.failed("create a file in", &error))?;
        Ok(SpillFile { spill: self, file, end: 0 })
    }

    /// The same directory, for what is only read from now on.
    fn to_read(&self) -> Spill {
        Spill { dir: self.dir.clone(), limit_bytes: self.limit_bytes, used_bytes: AtomicU64::new(self.used_bytes()) }
    }

    fn reserve(&self, bytes: u64) -> Result<()> {
        let used = self.used_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if used <= self.limit_bytes {
            return Ok(());
        }
        let text = format!(
            "what does not fit into memory takes more than the {} bytes allowed in {}: {used} are needed by now; raise spill_limit or memory_limit",
            self.limit_bytes,
            self.dir.display()
        );
        Err(Error::new(ErrorKind::Io, text)
            .with("path", self.dir.display().to_string())
            .with("limit_bytes", self.limit_bytes)
            .with("needed_bytes", used))
    }

    fn failed(&self, what: &str, error: &io::Error) -> Error {
        Error::io(what, &self.dir, error)
    }
}

impl SpillFile<'_> {
    /// Appends a block.
    ///
    /// # Errors
    /// IO, for a full disk with what was to be written, and beyond the ceiling.
    pub fn write(&mut self, bytes: &[u8]) -> Result<Block> {
        self.spill.reserve(bytes.len() as u64)?;
        self.file.write_all(bytes).map_err(|error| {
            let full = matches!(error.kind(), IoErrorKind::StorageFull | IoErrorKind::QuotaExceeded);
            let failed = self.spill.failed("write what does not fit into memory to", &error);
            if full { failed.with("needed_bytes", self.spill.used_bytes()) } else { failed }
        })?;
        let block = Block { offset: self.end, bytes: bytes.len() as u64, checksum: hash::of_bytes(bytes) };
        self.end += block.bytes;
        Ok(block)
    }

    /// Reads a block back.
    ///
    /// # Errors
    /// IO where that fails or the bytes are not those that were written.
    pub fn read(&self, block: Block) -> Result<Buffer> {
        read(self.spill, &self.file, block)
    }

    /// The file, to be read beyond the run that wrote it.
    pub fn keep(self) -> KeptFile {
        KeptFile { spill: self.spill.to_read(), file: self.file }
    }

    #[cfg(test)]
    fn damage(&self, offset: u64, byte: u8) {
        use std::io::{Seek, SeekFrom};
        let mut file = self.file.try_clone().unwrap();
        file.seek(SeekFrom::Start(offset)).unwrap();
        file.write_all(&[byte]).unwrap();
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
    let mut bytes = MutableBuffer::from_len_zeroed(block.bytes as usize);
    read_at(file, bytes.as_slice_mut(), block.offset)
        .map_err(|error| spill.failed("read what was put aside in", &error))?;
    if hash::of_bytes(bytes.as_slice()) != block.checksum {
        let text = format!(
            "what was put aside in {} came back changed: the disk or its driver is broken; use another spill_dir",
            spill.dir.display()
        );
        return Err(Error::new(ErrorKind::Io, text).with("path", spill.dir.display().to_string()));
    }
    Ok(bytes.into())
}

impl Block {
    /// Bytes of the block.
    pub fn bytes(self) -> u64 {
        self.bytes
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_come_back_and_files_have_no_names() {
        let dir = tempfile::tempdir().unwrap();
        let spill = Spill::new(dir.path(), Some(1000));
        let mut file = spill.file().unwrap();
        let blocks: Vec<Block> = (1..5u8).map(|i| file.write(&vec![i; usize::from(i) * 10]).unwrap()).collect();
        for (block, i) in blocks.iter().zip(1u8..) {
            assert_eq!(file.read(*block).unwrap().as_slice(), vec![i; usize::from(i) * 10]);
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        assert_eq!(spill.used_bytes(), 100);
        assert_eq!(file.read(file.end_block()).unwrap().len(), 0);
    }

    #[test]
    fn a_changed_byte_and_a_short_file_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let spill = Spill::new(dir.path(), None);
        let mut file = spill.file().unwrap();
        let block = file.write(&[7; 5000]).unwrap();
        file.damage(4321, 6);
        let error = file.read(block).unwrap_err();
        assert!(error.kind() == ErrorKind::Io && error.message().contains("came back changed"), "{error}");
        file.file.set_len(10).unwrap();
        assert_eq!(file.read(block).unwrap_err().kind(), ErrorKind::Io);
    }

    #[test]
    fn the_ceiling_and_a_missing_directory_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let spill = Spill::new(dir.path(), Some(10));
        let error = spill.file().unwrap().write(&[0; 11]).unwrap_err();
        assert!(error.kind() == ErrorKind::Io && error.message().contains("spill_limit"), "{error}");
        let nowhere = Spill::new(dir.path().join("nowhere"), None);
        assert_eq!(nowhere.file().err().unwrap().kind(), ErrorKind::Io);
    }

    impl SpillFile<'_> {
        fn end_block(&self) -> Block {
            Block { offset: self.end, bytes: 0, checksum: hash::of_bytes(&[]) }
        }
    }
}
