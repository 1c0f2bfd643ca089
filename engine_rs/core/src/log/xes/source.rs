//! Where does the text of a log come from? From a file: unpacked if it is gzip, decoded if it is not UTF-8.
//!
//! Both are told by the first bytes, never by the file's name alone. The bytes of a UTF-8 file pass through
//! untouched; what is used of them is checked where it is used.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Chain, Cursor, ErrorKind, Read};
use std::path::Path;

use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};
use flate2::bufread::GzDecoder;

use crate::error::{Error, Result};

/// Bytes of a log, being UTF-8 if the log is sound.
pub(super) type Text = Box<dyn Read + Send>;

/// Room for the XML declaration, which names the encoding.
const HEAD_BYTES: usize = 1 << 10;
const CHUNK_BYTES: usize = 128 << 10;

/// Opens a log file.
pub(super) fn open(path: &Path) -> Result<Text> {
    let file = File::open(path).map_err(|error| Error::io("open", path, &error))?;
    let shown = path.display().to_string();
    text_of(file).map_err(|error| {
        explain(path, &error, |message| Error::data(format!("{shown}: {message}")).with("path", shown.as_str()))
    })
}

/// The text in some bytes: gzip members unpacked one after the other, the declared encoding turned into UTF-8.
pub(super) fn text_of(bytes: impl Read + Send + 'static) -> io::Result<Text> {
    let mut bytes = BufReader::with_capacity(CHUNK_BYTES, bytes);
    let packed = bytes.fill_buf()?.starts_with(&[0x1f, 0x8b]);
    let mut bytes: Text = if packed { Box::new(Members::new(bytes)) } else { Box::new(bytes) };
    let mut head = Vec::with_capacity(HEAD_BYTES);
    let failed = bytes.by_ref().take(HEAD_BYTES as u64).read_to_end(&mut head).err();
    let (coding, mark_bytes) = Coding::of(&head)?;
    let mut head = Cursor::new(head);
    head.set_position(mark_bytes);
    let bytes = head.chain(Resumed { bytes, failed });
    Ok(match coding {
        Coding::Utf8 => Box::new(bytes),
        Coding::Latin1 => Box::new(Transcoder::new(bytes, None)),
        Coding::Other(encoding) => Box::new(Transcoder::new(bytes, Some(encoding.new_decoder_without_bom_handling()))),
    })
}

/// What a failure to read means: an error of the operating system keeps its errno, damaged contents are INVALID_DATA
/// that `fail` gives a place.
pub(super) fn explain(path: &Path, error: &io::Error, fail: impl Fn(&str) -> Error) -> Error {
    match error.kind() {
        _ if error.raw_os_error().is_some() => Error::io("read", path, error),
        ErrorKind::UnexpectedEof => fail("the compressed data ends too early; the file is cut off"),
        ErrorKind::InvalidData | ErrorKind::InvalidInput => fail(&format!("the file is damaged: {error}")),
        ErrorKind::Unsupported => {
            Error::unsupported(format!("{}: {error}", path.display())).with("path", path.display().to_string())
        }
        _ => Error::io("read", path, error),
    }
}

/// The gzip members of a file, unpacked one after the other. Zeros behind the last one are padding, as for gzip itself.
struct Members<R: BufRead> {
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> Members<R> {
    fn new(bytes: R) -> Self {
        Members { member: Some(GzDecoder::new(bytes)) }
    }
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let n = member.read(into)?;
            if n > 0 || into.is_empty() {
                return Ok(n);
            }
            self.member = next_member(member.get_mut())?.then(|| self.member.take()).flatten().map(|member| {
                let bytes = member.into_inner();
                GzDecoder::new(bytes)
            });
        }
        Ok(0)
    }
}

/// Whether another member follows; an error if something else does.
fn next_member(bytes: &mut impl BufRead) -> io::Result<bool> {
    let mut padded = false;
    loop {
        let buffer = bytes.fill_buf()?;
        match buffer.first() {
            None => return Ok(false),
            Some(0) => {
                let zeros = buffer.iter().take_while(|byte| **byte == 0).count();
                bytes.consume(zeros);
                padded = true;
            }
            // The second byte may lie behind the end of the buffer; then the decoder looks at it.
            Some(0x1f) if !padded && buffer.get(1).is_none_or(|byte| *byte == 0x8b) => return Ok(true),
            Some(_) => {
                let message = "behind the compressed data stand bytes that are not gzip; cut them off";
                return Err(io::Error::new(ErrorKind::InvalidData, message));
            }
        }
    }
}

/// How characters are written as bytes.
enum Coding {
    Utf8,
    /// Exactly ISO-8859-1, where the web reads windows-1252 under the same label.
    Latin1,
    Other(&'static Encoding),
}

impl Coding {
    /// The coding of a text that begins with `head`, and the length of its byte order mark.
    fn of(head: &[u8]) -> io::Result<(Coding, u64)> {
        Ok(match head {
            [0xef, 0xbb, 0xbf, ..] => (Coding::Utf8, 3),
            [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] | [b'<', 0, 0, 0, ..] | [0, 0, 0, b'<', ..] => {
                return Err(unknown("UTF-32"));
            }
            [0xff, 0xfe, ..] => (Coding::Other(UTF_16LE), 2),
            [0xfe, 0xff, ..] => (Coding::Other(UTF_16BE), 2),
            [b'<', 0, ..] => (Coding::Other(UTF_16LE), 0),
            [0, b'<', ..] => (Coding::Other(UTF_16BE), 0),
            _ => (declared(head).map_or(Ok(Coding::Utf8), Coding::named)?, 0),
        })
    }

    fn named(label: &[u8]) -> io::Result<Coding> {
        let lower = label.to_ascii_lowercase();
        if matches!(&lower[..], b"us-ascii" | b"ascii") {
            return Ok(Coding::Utf8);
        }
        if matches!(&lower[..], b"iso-8859-1" | b"iso_8859-1" | b"iso8859-1" | b"latin1" | b"latin-1" | b"l1") {
            return Ok(Coding::Latin1);
        }
        match Encoding::for_label_no_replacement(label) {
            // A declaration that can be read byte by byte is not in UTF-16, whatever it says.
            Some(encoding) if encoding == UTF_8 || encoding == UTF_16LE || encoding == UTF_16BE => Ok(Coding::Utf8),
            Some(encoding) => Ok(Coding::Other(encoding)),
            None => Err(unknown(&String::from_utf8_lossy(label))),
        }
    }
}

fn unknown(label: &str) -> io::Error {
    let accepted = "UTF-8, UTF-16, ISO-8859-1 and the other encodings of the web are";
    io::Error::new(ErrorKind::Unsupported, format!("the encoding {label:.40} is not supported; {accepted}"))
}

/// The encoding named in `<?xml ... encoding="..." ?>`.
fn declared(head: &[u8]) -> Option<&[u8]> {
    let declaration = head.strip_prefix(b"<?xml")?;
    let declaration = &declaration[..memchr::memmem::find(declaration, b"?>")?];
    let after = memchr::memmem::find(declaration, b"encoding")? + b"encoding".len();
    let value = declaration[after..].trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
    let (&quote, value) = value.split_first()?;
    if quote != b'"' && quote != b'\'' {
        return None;
    }
    let label = value[..memchr::memchr(quote, value)?].trim_ascii();
    label.iter().all(|byte| byte.is_ascii_alphanumeric() || b"._:-".contains(byte)).then_some(label)
}

/// The rest of a stream whose first read may have failed after some bytes: those bytes come first, then the failure.
struct Resumed {
    bytes: Text,
    failed: Option<io::Error>,
}

impl Read for Resumed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.failed.take() {
            Some(error) => Err(error),
            None => self.bytes.read(into),
        }
    }
}

/// Turns a stream of another encoding into UTF-8; a byte sequence without meaning is an error, never a `?`.
struct Transcoder {
    bytes: Chain<Cursor<Vec<u8>>, Resumed>,
    /// None: ISO-8859-1, where every byte is the character of that number.
    decoder: Option<Decoder>,
    input: Box<[u8]>,
    unread: std::ops::Range<usize>,
    output: Box<[u8]>,
    ready: std::ops::Range<usize>,
    ended: bool,
    failed: Option<io::Error>,
}

impl Transcoder {
    fn new(bytes: Chain<Cursor<Vec<u8>>, Resumed>, decoder: Option<Decoder>) -> Self {
        let room = || vec![0; CHUNK_BYTES].into_boxed_slice();
        Transcoder {
            bytes,
            decoder,
            input: room(),
            unread: 0..0,
            output: room(),
            ready: 0..0,
            ended: false,
            failed: None,
        }
    }

    /// Decodes once more into `output`, which has been handed out in full.
    fn refill(&mut self) -> io::Result<()> {
        let mut last = false;
        if self.unread.is_empty() {
            self.unread = 0..self.bytes.read(&mut self.input)?;
            last = self.unread.is_empty();
        }
        let input = &self.input[self.unread.clone()];
        let (finished, read, written) = match &mut self.decoder {
            None => {
                let (read, written) = encoding_rs::mem::convert_latin1_to_utf8_partial(input, &mut self.output);
                (true, read, written)
            }
            Some(decoder) => {
                let (result, read, written) = decoder.decode_to_utf8_without_replacement(input, &mut self.output, last);
                if let DecoderResult::Malformed(..) = result {
                    let message = format!("the text is not valid {}, its encoding", decoder.encoding().name());
                    self.failed = Some(io::Error::new(ErrorKind::InvalidData, message));
                }
                (!matches!(result, DecoderResult::OutputFull), read, written)
            }
        };
        self.unread.start += read;
        self.ready = 0..written;
        self.ended = last && finished;
        Ok(())
    }
}

impl Read for Transcoder {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.ready.is_empty() {
            if let Some(error) = self.failed.take() {
                self.ended = true;
                return Err(error);
            }
            if self.ended {
                return Ok(0);
            }
            self.refill()?;
        }
        let n = into.len().min(self.ready.len());
        into[..n].copy_from_slice(&self.output[self.ready.start..self.ready.start + n]);
        self.ready.start += n;
        Ok(n)
    }
}
