//! Do packing and encoding change anything but the bytes?

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

const NAMES: [&str; 2] = ["case:id", "Größe"];

fn sample(encoding: &str) -> String {
    let declaration =
        if encoding.is_empty() { String::new() } else { format!("<?xml version='1.0' encoding = '{encoding}' ?>") };
    format!(
        "{declaration}<log><trace><string key=\"id\" value=\"Zoë\"/><event><string key=\"Größe\" value=\"é\"/></event></trace></log>"
    )
}

fn expect_sample(bytes: &[u8]) {
    assert_eq!(rows(bytes, &NAMES).unwrap(), [["Zoë", "é"]]);
    let columns = describe_bytes(bytes).unwrap().columns;
    assert_eq!(columns, utf8(&NAMES));
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

fn utf16(text: &str, mark: bool, turn: fn(u16) -> [u8; 2]) -> Vec<u8> {
    mark.then_some(0xfeff).into_iter().chain(text.encode_utf16()).flat_map(turn).collect()
}

fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|character| u8::try_from(u32::from(character)).unwrap()).collect()
}

#[test]
fn encodings() {
    for label in ["", "UTF-8", "utf8", "US-ASCII", "UTF-16", "utf-16le"] {
        expect_sample(sample(label).as_bytes());
        expect_sample(&[b"\xef\xbb\xbf", sample(label).as_bytes()].concat());
    }
    for label in ["", "UTF-16", "utf-16le", "UTF-8"] {
        for mark in [true, false] {
            expect_sample(&utf16(&sample(label), mark, u16::to_le_bytes));
            expect_sample(&utf16(&sample(label), mark, u16::to_be_bytes));
        }
    }
    for label in ["ISO-8859-1", "iso-8859-1", "latin1", "windows-1252", "ISO-8859-15"] {
        expect_sample(&latin1(&sample(label)));
        expect_sample(&gzip(&latin1(&sample(label))));
    }
    let koi8 = b"<?xml version=\"1.0\" encoding=\"koi8-r\"?><log><event><string key=\"a\" value=\"\xd2\xd5\xd3\"/></event></log>";
    assert_eq!(rows(koi8, &["a"]).unwrap(), [["рус"]]);
}

#[test]
fn latin1_is_not_windows_1252() {
    let text = |label: &str| {
        format!("<?xml version='1.0' encoding='{label}'?><log><event><string key='a' value='\u{80}'/></event></log>")
    };
    assert_eq!(rows(&latin1(&text("ISO-8859-1")), &["a"]).unwrap(), [["\u{80}"]]);
    assert_eq!(rows(&latin1(&text("windows-1252")), &["a"]).unwrap(), [["€"]]);
}

#[test]
fn long_texts_are_decoded_in_pieces() {
    let event = "<event><string key=\"a\" value=\"é😀日\"/></event>";
    let text = format!("<log>{}</log>", event.repeat(20_000));
    for bytes in [utf16(&text, true, u16::to_le_bytes), utf16(&text, true, u16::to_be_bytes), gzip(text.as_bytes())] {
        let found = text_rows(&read_with(&bytes, &utf8(&["a"]), 777, 1 << 12)).unwrap();
        assert!(found.len() == 20_000 && found.iter().all(|row| row[0] == "é😀日"));
    }
}

#[test]
fn wrong_encodings_are_refused() {
    let unknown = source::text_of(Cursor::new(sample("x-mine").into_bytes())).err().unwrap();
    assert_eq!(unknown.kind(), std::io::ErrorKind::Unsupported);
    assert!(unknown.to_string().contains("x-mine"));
    let utf32: Vec<u8> = "\u{feff}<log/>".chars().flat_map(|character| u32::from(character).to_le_bytes()).collect();
    assert!(source::text_of(Cursor::new(utf32)).is_err());
    // ISO-8859-1 that says nothing: refused where it is used, ignored where not.
    let unsaid = latin1(&sample("").replace("Größe", "a"));
    assert_refused(&unsaid, &["a"], "not valid UTF-8");
    let elsewhere = "<log><event><string key=\"b\" value=\"é\"/><string key=\"a\" value=\"1\"/></event></log>";
    assert_eq!(rows(&latin1(elsewhere), &["a"]).unwrap(), [["1"]]);
    // Half a pair, and half a unit.
    let mut lone = utf16("<log><event/>", true, u16::to_le_bytes);
    lone.extend([0, 0xd8]);
    lone.extend(utf16("</log>", false, u16::to_le_bytes));
    assert_refused(&lone, &["a"], "not valid UTF-16");
    let odd = utf16("<log></log>", true, u16::to_le_bytes);
    assert_refused(&odd[..odd.len() - 1], &["a"], "not valid UTF-16");
}

#[test]
fn gzip_members_are_one_text() {
    let text = sample("");
    expect_sample(&gzip(text.as_bytes()));
    let (head, tail) = text.as_bytes().split_at(60);
    expect_sample(&[gzip(head), gzip(b""), gzip(tail)].concat());
}

#[test]
fn damaged_gzip_is_refused() {
    let packed = gzip(log(&"<event/>".repeat(1000)).as_bytes());
    assert_eq!(rows(&packed, &["a"]).unwrap().len(), 1000);
    for length in 3..packed.len() {
        let error = read_with(&packed[..length], &utf8(&["a"]), 10_000, 64).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData, "{length}: {error}");
        assert!(error.message().contains("cut off"), "{length}: {error}");
    }
    let mut wrong_sum = packed.clone();
    let at = wrong_sum.len() - 6;
    wrong_sum[at] ^= 1;
    assert_refused(&wrong_sum, &["a"], "damaged");
    for behind in [&b"x"[..], b"bytes that are no member", b"\x1f\0", b"\0\0x", &[7; 300_000]] {
        assert_refused(&[&packed, behind].concat(), &["a"], "behind the compressed data stand bytes");
    }
    for zeros in [1, 512, 300_000] {
        assert_eq!(rows(&[packed.clone(), vec![0; zeros]].concat(), &["a"]).unwrap().len(), 1000);
    }
}
