//! What does one start tag say? Its name, its `key`, its `value`, and where it ends.
//!
//! Written over a slice that begins at `<`, without allocation. Attributes other than the two are checked for form
//! and passed over. References stay as they are: most values are never looked at.

use super::MAX_NAME_BYTES;

/// A start tag, by positions in the slice it was read from.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct StartTag {
    pub name: Span,
    /// The attributes `key` and `value`; at 0, where the tag begins, if it has none.
    pub key: Span,
    pub value: Span,
    /// Whether it is `<a/>`.
    pub empty: bool,
    /// The position after `>`.
    pub end: usize,
}

/// A part of a slice, in 32 bits each: three are written per tag, and a tag is shorter than 4 GiB.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Span {
    start: u32,
    length: u32,
}

impl Span {
    fn new(start: usize, length: usize) -> Span {
        Span { start: start as u32, length: length as u32 }
    }

    /// Whether there is such a part.
    pub fn is_given(self) -> bool {
        self.start > 0
    }

    /// The part, of the slice it was found in.
    pub fn of(self, text: &[u8]) -> &[u8] {
        &text[self.start as usize..][..self.length as usize]
    }

    fn end(self) -> usize {
        self.start as usize + self.length as usize
    }
}

/// Reads the tag at the start of `text` into `tag`. False: the text ends before the tag does.
pub(super) fn start_tag(text: &[u8], tag: &mut StartTag) -> Result<bool, String> {
    Ok(usual_tag(text, tag) || any_tag(text, tag)?)
}

/// Reads a tag if it is `<event>` or `<string key="..." value="..."/>` to the letter, as nearly all tags of nearly all
/// logs are.
#[inline]
fn usual_tag(text: &[u8], tag: &mut StartTag) -> bool {
    if text.starts_with(b"<event>") {
        *tag = StartTag { name: Span::new(1, 5), end: 7, ..StartTag::default() };
        return true;
    }
    let Some((letters, at)) = usual_start(text) else { return false };
    let Some(length) = value_length(b'"', &text[at..]) else { return false };
    tag.key = Span::new(at, length);
    let Some(at) = after(text, at + length, b"\" value=\"") else { return false };
    let Some(length) = value_length(b'"', &text[at..]) else { return false };
    tag.value = Span::new(at, length);
    let Some(at) = after(text, at + length, b"\"/>") else { return false };
    (tag.name, tag.empty, tag.end) = (Span::new(1, letters), true, at);
    true
}

/// The length of the name, and the position of the key, of a tag that begins as usual.
#[inline]
fn usual_start(text: &[u8]) -> Option<(usize, usize)> {
    let at = match text.get(1)? {
        b's' => after(text, 1, b"string key=\""),
        b'd' => after(text, 1, b"date key=\""),
        b'i' => after(text, 1, b"int key=\"").or_else(|| after(text, 1, b"id key=\"")),
        b'f' => after(text, 1, b"float key=\""),
        b'b' => after(text, 1, b"boolean key=\""),
        _ => None,
    }?;
    Some((at - 1 - b" key=\"".len(), at))
}

/// The position behind `expected`, if that stands at `at`.
#[inline]
fn after<const N: usize>(text: &[u8], at: usize, expected: &[u8; N]) -> Option<usize> {
    (text.get(at..at + N)? == expected).then_some(at + N)
}

/// The length up to the closing quote, or to a `<`, which is an error there.
#[inline]
fn value_length(quote: u8, text: &[u8]) -> Option<usize> {
    memchr::memchr2(quote, b'<', text)
}

/// Reads a tag of any form.
#[inline(never)]
fn any_tag(text: &[u8], tag: &mut StartTag) -> Result<bool, String> {
    *tag = StartTag::default();
    let Some(name) = name_at(text, 1)? else { return Ok(false) };
    tag.name = name;
    let mut at = name.end();
    loop {
        let gap = at;
        at = skip_blanks(text, at);
        match text.get(at) {
            None => return Ok(false),
            Some(b'>') => {
                tag.end = at + 1;
                return Ok(true);
            }
            Some(b'/') => {
                (tag.empty, tag.end) = (true, at + 2);
                return match text.get(at + 1) {
                    None => Ok(false),
                    Some(b'>') => Ok(true),
                    Some(_) => Err("a `/` stands inside a tag".to_owned()),
                };
            }
            Some(_) if gap == at => return Err("two attributes of a tag are not set apart by white space".to_owned()),
            Some(_) => {}
        }
        let Some((name, value)) = attribute_at(text, at)? else { return Ok(false) };
        at = value.end() + 1;
        let slot = match name.of(text) {
            b"key" => &mut tag.key,
            b"value" => &mut tag.value,
            _ => continue,
        };
        if slot.is_given() {
            return Err("a tag gives `key` or `value` twice".to_owned());
        }
        *slot = value;
    }
}

/// The attribute at `at`: its name, and its value without quotes.
fn attribute_at(text: &[u8], at: usize) -> Result<Option<(Span, Span)>, String> {
    let Some(name) = name_at(text, at)? else { return Ok(None) };
    let equals = skip_blanks(text, name.end());
    match text.get(equals) {
        None => return Ok(None),
        Some(b'=') => {}
        Some(_) => return Err(format!("the attribute `{}` has no value", shown(name.of(text)))),
    }
    let open = skip_blanks(text, equals + 1);
    let quote = match text.get(open) {
        None => return Ok(None),
        Some(&quote @ (b'"' | b'\'')) => quote,
        Some(_) => return Err(format!("the value of the attribute `{}` is not quoted", shown(name.of(text)))),
    };
    match value_length(quote, &text[open + 1..]) {
        None => Ok(None),
        Some(length) if text[open + 1 + length] == quote => Ok(Some((name, Span::new(open + 1, length)))),
        Some(_) => Err(format!("a `<` stands inside the value of the attribute `{}`", shown(name.of(text)))),
    }
}

/// The name at `at`, up to a blank, `=`, `/` or `>`.
fn name_at(text: &[u8], at: usize) -> Result<Option<Span>, String> {
    let rest = &text[at.min(text.len())..];
    let length = match rest.iter().take(MAX_NAME_BYTES).position(|&byte| ends_name(byte)) {
        Some(length) => length,
        None if rest.len() < MAX_NAME_BYTES => return Ok(None),
        None => return Err(format!("a name is longer than {MAX_NAME_BYTES} bytes")),
    };
    if length == 0 || matches!(rest[length], b'<' | b'"' | b'\'' | b'&') {
        return Err(format!("`{}` stands where a name should", shown(&rest[..rest.len().min(length + 1)])));
    }
    Ok(Some(Span::new(at, length)))
}

fn ends_name(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'=' | b'/' | b'>' | b'<' | b'"' | b'\'' | b'&')
}

/// The number of characters up to the space, so all of XML's white space, at the start of `text`.
#[inline]
pub(super) fn blanks(text: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 0xff;
    let mut n = 0;
    while let Some(word) = text[n..].first_chunk::<8>() {
        let word = u64::from_le_bytes(*word);
        // The top bit of each byte above the space: in its seven low bits, 0x21 + 0x5f reaches 0x80.
        let others = (((word & (ONES * 0x7f)) + ONES * 0x5f) | word) & (ONES * 0x80);
        if others != 0 {
            return n + (others.trailing_zeros() / 8) as usize;
        }
        n += 8;
    }
    n + text[n..].iter().take_while(|&&byte| byte <= b' ').count()
}

fn skip_blanks(text: &[u8], at: usize) -> usize {
    let blanks = text[at.min(text.len())..].iter().take_while(|byte| is_blank(**byte)).count();
    at + blanks
}

/// White space as XML has it.
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// The part of a name after its namespace prefix.
pub(super) fn local_name(name: &[u8]) -> &[u8] {
    match memchr::memrchr(b':', name) {
        Some(colon) => &name[colon + 1..],
        None => name,
    }
}

/// Bytes for a message: as text, shortened.
pub(super) fn shown(bytes: &[u8]) -> String {
    const MOST_CHARS: usize = 60;
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(4 * MOST_CHARS)]);
    let mut short: String = text.chars().take(MOST_CHARS).collect();
    if short.len() < bytes.len() && text.chars().count() > MOST_CHARS || bytes.len() > 4 * MOST_CHARS {
        short.push('…');
    }
    short
}
