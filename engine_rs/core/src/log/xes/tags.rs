//! Which tags does a text consist of? A pull scanner that keeps one tag at a time.
//!
//! It checks that elements nest, that the text has one root, and that nothing is cut off. It expands nothing: a
//! DOCTYPE ends the reading at once. Text between tags, comments and processing instructions are passed over in
//! pieces, so their length does not matter.

use std::io::{self, Read};

use super::source::Text;
use super::syntax::{StartTag, blanks, shown, start_tag};
use super::{MAX_DEPTH, MAX_TAG_BYTES};

/// What the scanner stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    /// `<a ...>`
    Open,
    /// `<a .../>`
    Empty,
    /// `</a>`
    Close,
    /// Nothing yet: another piece of the text was read. Comes at least once per buffer, whatever the text holds.
    Pause,
    /// The end of the text, all elements being closed.
    End,
}

/// Why scanning cannot go on.
#[derive(Debug)]
pub(super) enum Fault {
    Read(io::Error),
    Text(String),
}

/// The scanner.
pub(super) struct Tags {
    text: Text,
    buffer: Vec<u8>,
    /// The unread part of `buffer`.
    start: usize,
    end: usize,
    /// Bytes and line ends of the text before `buffer`.
    bytes_before: u64,
    lines_before: u64,
    ended: bool,
    failed: Option<io::Error>,
    /// What ends the comment, CDATA section or processing instruction being passed over, and its name.
    passing: Option<(&'static str, &'static str)>,
    /// Whether text that is not blank was passed over since [`Tags::take_text`].
    met_text: bool,
    /// The names of the open elements, one after the other, and where each begins.
    names: Vec<u8>,
    starts: Vec<usize>,
    /// The last start tag, and where its text begins in `buffer`.
    tag: StartTag,
    tag_start: usize,
}

impl Tags {
    /// A scanner at the start of `text`, with a first buffer of `buffer_bytes`.
    pub fn new(text: Text, buffer_bytes: usize) -> Self {
        Tags {
            text,
            buffer: vec![0; buffer_bytes.max(1)],
            start: 0,
            end: 0,
            bytes_before: 0,
            lines_before: 0,
            ended: false,
            failed: None,
            passing: None,
            met_text: false,
            names: Vec::new(),
            starts: Vec::new(),
            tag: StartTag::default(),
            tag_start: 0,
        }
    }

    /// The name of the start tag that [`Tags::next`] stands on.
    pub fn name(&self) -> &[u8] {
        self.tag.name.of(&self.buffer[self.tag_start..])
    }

    /// Its `key`, as written.
    pub fn key(&self) -> Option<&[u8]> {
        self.tag.key.is_given().then(|| self.tag.key.of(&self.buffer[self.tag_start..]))
    }

    /// Its `value`, as written.
    pub fn value(&self) -> Option<&[u8]> {
        self.tag.value.is_given().then(|| self.tag.value.of(&self.buffer[self.tag_start..]))
    }

    /// Whether text that is not blank was passed over since the last call.
    pub fn take_text(&mut self) -> bool {
        std::mem::take(&mut self.met_text)
    }

    /// How many bytes of text lie behind.
    pub fn position(&self) -> u64 {
        self.bytes_before + self.start as u64
    }

    /// The line of that position, from 1.
    pub fn line(&self) -> u64 {
        1 + self.lines_before + line_ends(&self.buffer[..self.start])
    }

    /// Steps to the next tag.
    pub fn next(&mut self) -> Result<Tag, Fault> {
        loop {
            if let Some((end, what)) = self.passing {
                if !self.pass(end) {
                    return self.more(what);
                }
                self.passing = None;
            }
            self.start += blanks(self.unread());
            match self.unread().first() {
                None => return self.more_or_end(),
                Some(b'<') => {}
                Some(_) => {
                    self.pass_text()?;
                    continue;
                }
            }
            match self.unread().get(1) {
                None => return self.more("a tag"),
                Some(b'/') => return self.close(),
                Some(b'?') => match self.unread().get(2) {
                    None => return self.more("a processing instruction"),
                    Some(byte) if byte.is_ascii_alphabetic() || matches!(byte, b'_' | b':' | 0x80..) => {
                        self.start += 2;
                        self.passing = Some(("?>", "a processing instruction"));
                    }
                    Some(_) => return Err(Fault::Text("a processing instruction has no name".to_owned())),
                },
                Some(b'!') if self.unread().len() < b"<!DOCTYPE".len() && !self.ended => {
                    if self.refill()? {
                        return Ok(Tag::Pause);
                    }
                }
                Some(b'!') => self.declaration()?,
                Some(_) => return self.open(),
            }
        }
    }

    fn unread(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    fn open(&mut self) -> Result<Tag, Fault> {
        if !start_tag(&self.buffer[self.start..self.end], &mut self.tag).map_err(Fault::Text)? {
            return self.more("a tag");
        }
        self.tag_start = self.start;
        self.start += self.tag.end;
        if self.tag.empty {
            return Ok(Tag::Empty);
        }
        if self.starts.len() == MAX_DEPTH {
            return Err(Fault::Text(format!("elements are nested more than {MAX_DEPTH} deep")));
        }
        self.starts.push(self.names.len());
        self.names.extend_from_slice(self.tag.name.of(&self.buffer[self.tag_start..]));
        Ok(Tag::Open)
    }

    // What is rare or long stays out of the loop of `next`, whose registers it would take.
    #[inline(never)]
    fn close(&mut self) -> Result<Tag, Fault> {
        let Some(length) = memchr::memchr(b'>', self.unread()) else { return self.more("a tag") };
        let found = self.unread()[2..length].trim_ascii_end();
        let begin = self.starts.last().copied();
        let expected = begin.map(|begin| &self.names[begin..]);
        if expected != Some(found) {
            let found = shown(found);
            return Err(Fault::Text(match expected {
                Some(name) => format!("`</{found}>` stands where `</{}>` should", shown(name)),
                None => format!("`</{found}>` closes nothing"),
            }));
        }
        self.start += length + 1;
        self.starts.pop();
        self.names.truncate(begin.unwrap_or(0));
        Ok(Tag::Close)
    }

    /// `<!...`: a comment or CDATA section to pass over; anything else is refused.
    fn declaration(&mut self) -> Result<(), Fault> {
        let rest = self.unread();
        if rest.starts_with(b"<!--") {
            self.start += 4;
            self.passing = Some(("-->", "a comment"));
        } else if rest.starts_with(b"<![CDATA[") && !self.starts.is_empty() {
            self.start += 9;
            self.passing = Some(("]]>", "a CDATA section"));
            self.met_text = true;
        } else if rest.len() >= 9 && rest[..9].eq_ignore_ascii_case(b"<!DOCTYPE") {
            let message = "DTD refused: a log needs no <!DOCTYPE ...>, and entities in it can attack its readers";
            return Err(Fault::Text(message.to_owned()));
        } else {
            return Err(Fault::Text(format!("`{}` is no markup of a log", shown(&rest[..rest.len().min(9)]))));
        }
        Ok(())
    }

    /// Goes behind the next `end`; false when it is not in the buffer.
    #[inline(never)]
    fn pass(&mut self, end: &'static str) -> bool {
        match memchr::memmem::find(self.unread(), end.as_bytes()) {
            Some(length) => {
                self.start += length + end.len();
                true
            }
            None => {
                // The last bytes may be the first ones of `end`.
                self.start = self.start.max(self.end.saturating_sub(end.len() - 1));
                false
            }
        }
    }

    /// Goes behind text that is not blank, and notes that there was some.
    #[inline(never)]
    fn pass_text(&mut self) -> Result<(), Fault> {
        if self.starts.is_empty() {
            return Err(Fault::Text("there is text outside of the log element".to_owned()));
        }
        self.met_text = true;
        self.start = memchr::memchr(b'<', self.unread()).map_or(self.end, |length| self.start + length);
        Ok(())
    }

    #[inline(never)]
    fn more_or_end(&mut self) -> Result<Tag, Fault> {
        if self.refill()? {
            return Ok(Tag::Pause);
        }
        match self.starts.last() {
            None => Ok(Tag::End),
            Some(&begin) => {
                let name = shown(&self.names[begin..]);
                Err(Fault::Text(format!("the text ends inside <{name}>; the file is cut off")))
            }
        }
    }

    #[inline(never)]
    fn more(&mut self, inside: &str) -> Result<Tag, Fault> {
        if self.refill()? {
            return Ok(Tag::Pause);
        }
        Err(Fault::Text(format!("the text ends inside {inside}; the file is cut off")))
    }

    /// Reads until the buffer is full, after what is unread; makes it larger when that fills it. False: at the end.
    fn refill(&mut self) -> Result<bool, Fault> {
        self.lines_before += line_ends(&self.buffer[..self.start]);
        self.bytes_before += self.start as u64;
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.end == self.buffer.len() {
            if self.end >= MAX_TAG_BYTES {
                return Err(Fault::Text(format!("a tag is longer than {MAX_TAG_BYTES} bytes")));
            }
            self.buffer.resize(self.end * 2, 0);
        }
        let before = self.end;
        while !self.ended && self.end < self.buffer.len() {
            match self.text.read(&mut self.buffer[self.end..]) {
                Ok(0) => self.ended = true,
                Ok(n) => self.end += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.ended = true;
                    self.failed = Some(error);
                }
            }
        }
        match self.failed.take() {
            Some(error) if self.end == before => Err(Fault::Read(error)),
            kept => {
                self.failed = kept;
                Ok(self.end > before)
            }
        }
    }
}

fn line_ends(text: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', text).count() as u64
}
