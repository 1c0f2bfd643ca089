//! Do real logs, broken ones and mutilated ones come out as a slow reader has them?

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::time::{Duration, Instant};

use flate2::read::MultiGzDecoder;

use super::values::Random;
use super::*;
use crate::log::xes::{XesReader, describe};

/// Events, traces, and different activities, as published with the logs.
const KNOWN: [(&str, u64, u64, usize); 4] = [
    ("bpic2012/bpic2012.xes.gz", 262_200, 13_087, 24),
    ("bpic2013_incidents/07_bpic2013_incidents.xes.gz", 65_533, 7_554, 4),
    ("sepsis/Sepsis.xes.gz", 15_214, 1_050, 16),
    ("bpic2020_domestic/BPI_2020_DomesticDeclarations.xes.gz", 56_437, 10_500, 17),
];

#[test]
fn real_logs_have_their_known_size() {
    let Some(folder) = data_folder() else { return };
    for (name, events, traces, activities) in KNOWN {
        let path = folder.join(name);
        let described = describe(&path).unwrap();
        assert_eq!((described.events, described.traces), (events, traces), "{name}");
        let batches: Result<Vec<_>> =
            XesReader::open(&path, &utf8(&["case:concept:name", "concept:name"]), 4096, None).unwrap().collect();
        let rows = text_rows(&batches).unwrap();
        let distinct = |column: usize| rows.iter().map(|row| &row[column]).collect::<BTreeSet<_>>().len();
        assert_eq!((rows.len() as u64, distinct(0) as u64, distinct(1)), (events, traces, activities), "{name}");
        // Every column in its own type: nothing in a real log fails to parse.
        for batch in XesReader::open(&path, &described.columns, 4096, None).unwrap() {
            batch.unwrap();
        }
    }
}

#[test]
fn real_logs_equal_the_slow_reading() {
    let Some(folder) = data_folder() else { return };
    for (name, ..) in &KNOWN[1..] {
        let mut text = String::new();
        MultiGzDecoder::new(fs::File::open(folder.join(name)).unwrap()).read_to_string(&mut text).unwrap();
        assert!(compare(&text), "{name}");
    }
}

/// Reads all columns both ways. True: both succeed, with the same table. False: both refuse.
fn compare(text: &str) -> bool {
    let expected = oracle::rows(text);
    let described = describe_bytes(text.as_bytes());
    let names: Vec<String> = match (&described, &expected) {
        (Ok(described), _) => described.columns.iter().map(|column| column.0.clone()).collect(),
        (Err(_), Err(_)) => return false,
        (Err(error), Ok(_)) => panic!("{error}, but the slow reader takes\n{text}"),
    };
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let found = text_rows(&read_with(text.as_bytes(), &utf8(&names), 100, 1 << 12));
    match (expected, found) {
        (Ok(expected), Ok(found)) => {
            assert_eq!(expected.len(), found.len());
            for (expected, found) in expected.iter().zip(&found) {
                let cells = names.iter().map(|name| expected.get(*name).map_or("-", String::as_str));
                assert!(cells.eq(found.iter().map(String::as_str)), "{expected:?} but {found:?}");
            }
            true
        }
        (Err(_), Err(_)) => false,
        (expected, found) => panic!("{expected:?} but {found:?} of\n{text}"),
    }
}

#[test]
fn broken_files_end_in_a_table_or_a_typed_error() {
    let Some(folder) = data_folder() else { return };
    let mut seen = 0;
    for group in
        ["pm4py_xes_importer_tests", "apromore_simplelogs_xes", "apromore_importer_tests", "defusedxml", "gzip_flate2"]
    {
        for entry in fs::read_dir(folder.join("malformed").join(group)).unwrap() {
            let path = entry.unwrap().path();
            let start = Instant::now();
            let described = describe(&path);
            let columns = match &described {
                Ok(described) => described.columns.clone(),
                Err(error) => {
                    assert!(matches!(error.kind(), ErrorKind::InvalidData), "{}: {error}", path.display());
                    utf8(&["concept:name"])
                }
            };
            let rows: Result<Vec<RecordBatch>> =
                XesReader::open(&path, &columns, 100, None).and_then(Iterator::collect);
            match (described, rows) {
                (Ok(described), Ok(batches)) => {
                    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>() as u64, described.events);
                }
                (_, Err(error)) => assert_eq!(error.kind(), ErrorKind::InvalidData, "{}: {error}", path.display()),
                (Err(error), Ok(_)) => panic!("{}: described as {error}, but read", path.display()),
            }
            assert!(start.elapsed() < Duration::from_secs(5), "{}", path.display());
            seen += 1;
        }
    }
    assert!(seen > 100);
}

#[test]
fn attacks_are_refused() {
    let Some(folder) = data_folder() else { return };
    let attacks = ["cyclic", "dtd", "external", "external_file", "quadratic", "xmlbomb", "xmlbomb2"];
    for name in attacks {
        let error = describe(&folder.join(format!("malformed/defusedxml/{name}.xml"))).unwrap_err();
        assert!(error.message().contains("DTD refused"), "{name}: {error}");
    }
}

/// Random changes to a small log: never a panic, and what is still accepted is what the slow reader finds.
#[test]
fn mutilated_logs_are_read_like_the_slow_reader_or_refused() {
    let sound = log(r#"<string key="n" value="l"/><trace a="b"><string key="id" value="t &amp; u"/><!-- c -->
        <event><string key="a" value="1"/><list key="l"><values><int key="a" value="2"/></values></list></event>
        <event><date key='d' value='2012'><string key="a" value="n"/></date></event></trace>
        <?pi x?><event><x:boolean key="f" value="true"><![CDATA[x]]>y</x:boolean></event><trace/>"#);
    assert!(compare(&sound));
    let markup = [
        "<", ">", "/", "\"", "'", "=", " ", "-", "!", "?", "event", "trace", "log", "key", "]]>", "<!--", "-->", "/>",
        "x",
    ];
    let (mut random, mut accepted) = (Random(42), 0);
    for _ in 0..20_000 {
        let mut text = sound.clone();
        for _ in 0..=random.below(3) {
            let at = random.below(text.len() as u64) as usize;
            let until = (at + random.below(4) as usize).min(text.len());
            let put = if random.below(3) == 0 { "" } else { markup[random.below(markup.len() as u64) as usize] };
            text.replace_range(at..until, put);
        }
        accepted += u32::from(survives(&text));
    }
    assert!(accepted > 1000, "{accepted}");
}

/// Like [`compare`], but the fast reader may refuse what quick-xml lets pass (it checks less), such as a `<` in a value.
fn survives(text: &str) -> bool {
    match (describe_bytes(text.as_bytes()), oracle::rows(text)) {
        (Ok(_), _) => compare(text),
        (Err(_), _) => false,
    }
}
