//! Which elements make rows and columns, and which texts are refused?

use std::io::{self, Read};

use arrow_schema::DataType;

use super::*;

#[test]
fn events_become_rows_in_the_order_of_the_file() {
    let text = log(r#"
        <extension name="Concept" prefix="concept" uri="x"/>
        <global scope="event"><string key="a" value="default"/></global>
        <classifier name="n" keys="a"/>
        <string key="a" value="of the log"><string key="a" value="nested"/></string>
        <trace><string key="id" value="t1"/>
            <event><string key="a" value="1"/><string key="b" value="x"/></event>
            <event><string key="b" value="y"/></event>
        </trace>
        <trace><string key="id" value="empty"/></trace>
        <trace/>
        <trace><event/><event><string key="a" value="2"><string key="b" value="nested"/></string></event></trace>
        <event><string key="a" value="3"/></event>
        <trace><string key="id" value="t4"/><event><string value="4" key="a"></string></event></trace>"#);
    let rows = rows(text.as_bytes(), &["case:id", "a", "b", "none"]).unwrap();
    let expected = ["t1 1 x -", "t1 - y -", "- - - -", "- 2 - -", "- 3 - -", "t4 4 - -"];
    assert_eq!(rows.iter().map(|row| row.join(" ")).collect::<Vec<_>>(), expected);
}

#[test]
fn one_row_tables() {
    // (what stands in the trace, column, value)
    let cases = [
        (r#"<event><string key="a" value="1"/></event>"#, "a", "1"),
        // Any spelling XML allows.
        (r#"<event ><string  key = "a"  value = "1"  /></event >"#, "a", "1"),
        (r#"<event><string value='1' key='a'/></event>"#, "a", "1"),
        (r#"<event><string key='a' other="o" value='say "hi"'/></event>"#, "a", "say \"hi\""),
        ("<event>\n<string\n\tkey=\"a\"\r\n value=\"1\"\n/>\n</event>", "a", "1"),
        (r#"<event><string key="a" value="1"></string></event>"#, "a", "1"),
        (r#"<event><string key="a" value="a > b"/></event>"#, "a", "a > b"),
        (r#"<x:event><x:string key="a" value="1"/></x:event>"#, "a", "1"),
        (r#"<event><!-- <event> --><string key="a" value="1"/><?pi <event> ?></event>"#, "a", "1"),
        (r#"<event><string key="a" value="1">text &amp; <![CDATA[<event>]]></string></event>"#, "a", "1"),
        (r#"<event><note>text</note><string key="a" value="1"/></event>"#, "a", "1"),
        // Types do not matter to a text column; lists and containers are no columns, nor is what they hold.
        (r#"<event><int key="a" value="1"/></event>"#, "a", "1"),
        (r#"<event><id key="a" value="u-1"/></event>"#, "a", "u-1"),
        (r#"<event><list key="a" value="x"><string key="a" value="1"/></list></event>"#, "a", "-"),
        (r#"<event><container key="a"><string key="a" value="1"/></container></event>"#, "a", "-"),
        (r#"<event><list key="l"><values><string key="a" value="1"/></values></list></event>"#, "a", "-"),
        (r#"<event><text key="a" value="1"/></event>"#, "a", "-"),
        // No key, no value, an empty value.
        (r#"<event><string value="1"/></event>"#, "a", "-"),
        (r#"<event><string key="a"/></event>"#, "a", "-"),
        (r#"<event><string key="a" value=""/></event>"#, "a", ""),
        // The last one of a key counts.
        (r#"<event><string key="a" value="1"/><string key="a" value="2"/></event>"#, "a", "2"),
        (r#"<string key="a" value="1"/><string key="a" value="2"/><event/>"#, "case:a", "2"),
        // A trace's attribute may come late; it wins over an event's attribute that is called the same.
        (r#"<event/><string key="a" value="late"/>"#, "case:a", "late"),
        (r#"<event><string key="case:a" value="own"/></event>"#, "case:a", "own"),
        (r#"<event><string key="case:a" value="own"/></event><string key="a" value="late"/>"#, "case:a", "late"),
        // Keys with references, and columns that look like them.
        (r#"<event><string key="a&amp;b" value="1"/></event>"#, "a&b", "1"),
        (r#"<event><string key="a&amp;b" value="1"/></event>"#, "a&amp;b", "-"),
        (r#"<event><string key="Größe" value="1"/></event>"#, "Größe", "1"),
    ];
    for (trace, column, expected) in cases {
        let text = log(&format!("<trace>{trace}</trace>"));
        assert_eq!(rows(text.as_bytes(), &[column]).unwrap(), [[expected]], "{trace}");
    }
}

#[test]
fn unsound_texts_are_refused() {
    let cases: &[(&str, &str)] = &[
        ("", "no <log>"),
        ("  \n", "no <log>"),
        ("<?xml version=\"1.0\"?>", "no <log>"),
        ("<!-- only -->", "no <log>"),
        ("hello", "there is text outside"),
        ("<logs/>", "the root element is <logs>"),
        ("<trace/>", "the root element is <trace>"),
        ("<log/><log/>", "second root"),
        ("<log/>x", "there is text outside"),
        ("<log>", "cut off"),
        ("<log", "cut off"),
        ("<", "cut off"),
        ("<log><trace>", "ends inside <trace>"),
        ("<log><trace></log>", "`</log>` stands where `</trace>` should"),
        ("<log></Log>", "should"),
        ("</log>", "closes nothing"),
        ("<log></log></log>", "closes nothing"),
        ("<log><!-- </log>", "inside a comment"),
        ("<log><![CDATA[ </log>", "inside a CDATA section"),
        ("<log><![CDATA[]]></log>", "text between the elements"),
        ("<log>text</log>", "text between the elements"),
        ("<log><trace>string key=\"a\" value=\"1\"/></trace></log>", "text between the elements"),
        ("<log><event>&amp;<string key=\"a\" value=\"1\"/></event></log>", "text between the elements"),
        ("<log><?x </log>", "inside a processing"),
        ("<log><??></log>", "has no name"),
        ("<log><? x?></log>", "has no name"),
        ("<![CDATA[x]]><log/>", "no markup of a log"),
        ("<log><!ELEMENT x></log>", "no markup of a log"),
        ("<log a></log>", "has no value"),
        ("<log a=1></log>", "not quoted"),
        ("<log a=\"1\"b=\"2\"></log>", "white space"),
        ("<log a=\"<\"></log>", "`<` stands inside"),
        ("<log / ></log>", "`/`"),
        ("<log <x/></log>", "where a name should"),
        ("< log/>", "where a name should"),
        ("<log><string key=\"a\" key=\"b\"/></log>", "twice"),
        // A lost quote would swallow what follows.
        ("<log><event><string key=\"a\" value=\"1/><string key=\"b\" value=\"2\"/></event></log>", "`<` stands inside"),
        ("<log><event><trace/></event></log>", "<trace> stands where"),
        ("<log><event><event/></event></log>", "<event> stands where"),
        ("<log><trace><trace/></trace></log>", "<trace> stands where"),
        ("<log><global><event/></global></log>", "<event> stands where"),
        ("<log><trace><log/></trace></log>", "<log> stands where"),
        ("<log><traces><trace/></traces></log>", "<trace> stands where"),
        ("<!DOCTYPE log><log/>", "DTD refused"),
        ("<!doctype log [<!ENTITY a \"b\">]><log/>", "DTD refused"),
        ("<log><!DOCTYPE log></log>", "DTD refused"),
        ("<log><event><string key=\"a\" value=\"&xxe;\"/></event></log>", "`&xxe;` is not defined"),
        ("<log><event><string key=\"&xxe;\" value=\"1\"/></event></log>", "`&xxe;` is not defined"),
    ];
    for (text, expected) in cases {
        assert_refused(text.as_bytes(), &["a"], expected);
        assert!(describe_bytes(text.as_bytes()).is_err() || expected.contains("not defined"), "{text}");
    }
}

#[test]
fn the_place_of_an_error_is_named() {
    let text =
        log("<trace><event/></trace>\n<trace>\n<event/>\n<event>\n<date key=\"d\" value=\"soon\"/></event></trace>");
    let columns = [("d".to_owned(), microseconds())];
    for buffer in BUFFERS {
        let error = read_with(text.as_bytes(), &columns, 10, buffer).unwrap_err();
        assert!(error.message().contains("`soon`") && error.message().contains("(trace 2, event 3, line 7"), "{error}");
        let byte = text.find("/></event></trace>").unwrap() + 3;
        let details: serde_json::Value = serde_json::from_str(&error.details_json()).unwrap();
        let expected =
            serde_json::json!({"path": "log.xes", "event": 3, "line": 7, "byte": byte, "trace": 2, "column": "d"});
        assert_eq!(details, expected);
    }
}

#[test]
fn after_an_error_there_is_nothing_more() {
    let text = b"<log><event/><event/><oops";
    let mut reader = XesReader::over(walk_over(&text[..], 64).unwrap(), &utf8(&["a"]), 1, None).unwrap();
    assert_eq!(reader.next().unwrap().unwrap().num_rows(), 1);
    assert_eq!(reader.next().unwrap().unwrap().num_rows(), 1);
    assert!(reader.next().unwrap().is_err());
    assert!(reader.next().is_none());
}

#[test]
fn bad_arguments_are_told() {
    let over = |columns: &[(String, DataType)], batch_rows| {
        XesReader::over(walk_over(&b"<log/>"[..], 64).unwrap(), columns, batch_rows, None)
            .err()
            .map(|error| error.kind())
    };
    assert_eq!(over(&utf8(&["a"]), 0), Some(ErrorKind::InvalidArgument));
    assert_eq!(over(&[("a".to_owned(), DataType::Int8)], 1), Some(ErrorKind::Unsupported));
    let missing = XesReader::open(Path::new("/no/such/log.xes"), &[], 1, None).err().unwrap();
    assert_eq!((missing.kind(), missing.details_json().contains("\"errno\":2")), (ErrorKind::Io, true));
}

#[test]
fn without_columns_rows_are_still_counted() {
    let text = log("<trace><event/><event/></trace><event/>");
    let batches = read_with(text.as_bytes(), &[], 2, 64).unwrap();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [2, 1]);
}

#[test]
fn description_lists_every_key_once() {
    let text = log(r#"
        <string key="log only" value=""/>
        <trace><event><string key="a" value="1"/><date key="d" value=""/><boolean key="f" value=""/></event>
            <string key="id" value="late"/><float key="cost" value="1"/></trace>
        <trace><event><int key="a" value="1"/><id key="i" value=""/><list key="l"/><string key="case:x" value=""/></event>
        </trace>
        <event><int key="n" value="1"/><string key="a&amp;&lt;b" value=""/><string key="case:cost" value=""/></event>
        <trace/>"#);
    let found = describe_bytes(text.as_bytes()).unwrap();
    let column = |name: &str, data_type: DataType| (name.to_owned(), data_type);
    let expected = [
        column("case:id", DataType::Utf8),
        column("case:cost", DataType::Utf8), // a float of traces, and a string of an event
        column("a", DataType::Utf8),         // a string and an int
        column("d", DataType::Timestamp(TimeUnit::Microsecond, None)), // without an offset
        column("f", DataType::Boolean),
        column("i", DataType::Utf8),
        column("case:x", DataType::Utf8),
        column("n", DataType::Int64),
        column("a&<b", DataType::Utf8),
    ];
    assert_eq!(found, XesDescription { columns: expected.to_vec(), events: 3, traces: 3 });
}

#[test]
fn every_prefix_of_a_log_is_refused() {
    let text = "<?xml version='1.0'?><!-- c --><log a=\"b\"><trace><string key=\"k\" value=\"&lt;v&gt;\"/>\
                <event><int key='a' value='1'><![CDATA[x]]></int></event></trace><event/></log>";
    assert_eq!(rows(text.as_bytes(), &["a", "case:k"]).unwrap(), [["1", "<v>"], ["-", "-"]]);
    for length in 0..text.len() {
        for buffer in [1, 5, 512] {
            let error = read_with(&text.as_bytes()[..length], &utf8(&["a", "case:k"]), 1, buffer).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData, "{length}: {error}");
        }
    }
}

/// Text made piece by piece, so that large logs need no memory here.
struct Pieces<F: FnMut(u64) -> Option<String>> {
    make: F,
    made: u64,
    piece: Vec<u8>,
    at: usize,
}

fn pieces(make: impl FnMut(u64) -> Option<String> + Send + 'static) -> impl Read + Send + 'static {
    Pieces { make, made: 0, piece: Vec::new(), at: 0 }
}

impl<F: FnMut(u64) -> Option<String>> Read for Pieces<F> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.at == self.piece.len() {
            let Some(piece) = (self.make)(self.made) else { return Ok(0) };
            (self.piece, self.at, self.made) = (piece.into_bytes(), 0, self.made + 1);
        }
        let n = into.len().min(self.piece.len() - self.at);
        into[..n].copy_from_slice(&self.piece[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

/// `head`, `n` times `middle`, `tail`.
fn long(head: &str, middle: &str, n: u64, tail: &str) -> impl Read + Send + 'static {
    let [head, middle, tail] = [head, middle, tail].map(str::to_owned);
    pieces(move |at| match at {
        0 => Some(head.clone()),
        at if at <= n => Some(middle.clone()),
        at if at == n + 1 => Some(tail.clone()),
        _ => None,
    })
}

fn read_long(text: impl Read + Send + 'static, names: &[&str]) -> (Vec<usize>, Option<Error>) {
    let mut sizes = Vec::new();
    for batch in XesReader::over(walk_over(text, 1 << 18).unwrap(), &utf8(names), 100_000, None).unwrap() {
        match batch {
            Ok(batch) => sizes.push(batch.num_rows()),
            Err(error) => return (sizes, Some(error)),
        }
    }
    (sizes, None)
}

#[test]
fn long_stretches_without_events_give_empty_batches() {
    let [megabyte, blanks] = ["x", "\n"].map(|text| text.repeat(1 << 20));
    let stretches = [
        long("<log><!--", &megabyte, 40, "--><event/></log>"),
        long("<log><?x", &megabyte, 40, "?><event/></log>"),
        long("<log><note>", &megabyte, 40, "</note><event/></log>"),
        long("<log>", &blanks, 40, "<event/></log>"),
    ];
    for text in stretches {
        let (sizes, error) = read_long(text, &["a"]);
        assert!(error.is_none() && sizes.len() >= 3, "{sizes:?}");
        assert_eq!(sizes.iter().sum::<usize>(), 1);
    }
    let unwanted = format!("<string key=\"b\" value=\"{megabyte}\"/>");
    let (sizes, error) = read_long(long("<log><event>", &unwanted, 40, "</event></log>"), &["a"]);
    assert!(error.is_none() && sizes.len() >= 3 && sizes.iter().sum::<usize>() == 1, "{sizes:?}");
}

#[test]
fn rows_wait_for_their_trace_up_to_a_limit() {
    let event = format!("<event><string key=\"a\" value=\"{}\"/></event>", "x".repeat(1 << 20));
    let late = "<string key=\"id\" value=\"t\"/></trace></log>";
    // Below the limit: they wait, meanwhile empty batches come, and in the end all rows have the value.
    let reader = XesReader::over(
        walk_over(long("<log><trace>", &event, 40, late), 1 << 18).unwrap(),
        &utf8(&["case:id", "a"]),
        8,
        None,
    );
    let batches: Vec<RecordBatch> = reader.unwrap().collect::<Result<_>>().unwrap();
    assert!(batches[..3].iter().all(|batch| batch.num_rows() == 0));
    let ids: Vec<String> = text_rows(&Ok(batches)).unwrap().into_iter().map(|row| row[0].clone()).collect();
    assert_eq!(ids, vec!["t"; 40]);
    // Above: they go out, and a value that still comes is an error.
    let (sizes, error) = read_long(long("<log><trace>", &event, 80, "</trace></log>"), &["case:id", "a"]);
    assert_eq!((sizes.iter().sum::<usize>(), error.is_none()), (80, true));
    let (_, error) = read_long(long("<log><trace>", &event, 80, late), &["case:id", "a"]);
    assert!(error.unwrap().message().contains("behind 80 events"));
    // Not wanted, it does not matter.
    let (sizes, error) = read_long(long("<log><trace>", &event, 80, late), &["a"]);
    assert_eq!((sizes.iter().sum::<usize>(), error.is_none()), (80, true));
    // Known before the events, nothing waits.
    let (sizes, _) =
        read_long(long("<log><trace><id key=\"id\" value=\"t\"/>", &event, 80, "</trace></log>"), &["case:id", "a"]);
    assert!(sizes.len() > 3 && sizes[0] > 0 && sizes[0] < 40, "{sizes:?}");
    // A late value that would need too much room for all its rows.
    let huge = format!("<string key=\"id\" value=\"{}\"/></trace></log>", "y".repeat(1 << 20));
    let (_, error) = read_long(long("<log><trace>", "<event/>", 100, &huge), &["case:id"]);
    assert!(error.unwrap().message().contains("behind 100 events"));
}

#[test]
fn a_known_attribute_may_not_come_again_behind_events() {
    let known = r#"<string key="id" value="1"/>"#;
    for trace in [
        format!("{known}<event/>{known}"),
        format!("<event/>{known}<event/>{known}"),
        format!("<event/>{known}{known}"),
    ] {
        let text = log(&format!("<trace>{trace}</trace>"));
        assert_refused(text.as_bytes(), &["case:id"], "comes a second time");
        assert_eq!(rows(text.as_bytes(), &["case:other"]).unwrap()[0], ["-"]);
    }
}

#[test]
fn loose_events_between_traces_are_nobodys() {
    let text = log(r#"<event/><trace><event/><string key="id" value="1"/></trace><event/><event/>
        <trace><event/><event/><string key="id" value="2"/></trace><event/>"#);
    let ids: Vec<String> = rows(text.as_bytes(), &["case:id"]).unwrap().into_iter().flatten().collect();
    assert_eq!(ids.join(""), "-1--22-");
}

#[test]
fn hostile_sizes_are_refused() {
    let deep = (long("<log>", "<a>", 100_000, ""), "nested more than");
    let tag = (long("<log><string key=\"", &"x".repeat(1 << 20), 20, "\"/></log>"), "a tag is longer than");
    let end = (long("<log></", &"x".repeat(1 << 20), 20, "></log>"), "a tag is longer than");
    let name = (long("<log><", "xxxx", 1000, "/></log>"), "a name is longer than");
    let part = format!("<string key=\"a\" value=\"{}\"/>", "x".repeat(1 << 20));
    let event = (long("<log><event>", &part, 80, "</event></log>"), "holds more than");
    let trace = (long("<log><trace>", &part.replace("\"a\"", "\"t\""), 80, "</trace></log>"), "holds more than");
    let dtd = (long("<!DOCTYPE log [", &"<!ENTITY a \"b\">".repeat(1000), 100_000, "]><log/>"), "DTD refused");
    let refused = |(text, expected): (_, &str)| {
        let (_, error) = read_long(text, &["a", "case:t"]);
        let error = error.expect(expected);
        assert!(error.kind() == ErrorKind::InvalidData && error.message().contains(expected), "{error}");
        assert!(error.message().len() < 500);
    };
    refused(deep);
    refused(tag);
    refused(end);
    refused(name);
    refused(event);
    refused(trace);
    refused(dtd);
    let keys = pieces(|at| match at {
        0 => Some("<log><event>".to_owned()),
        at => Some(format!("<string key=\"{at}\" value=\"\"/>")),
    });
    let error = describe_walk(walk_over(keys, 1 << 18).unwrap(), &mut |_| Ok(())).unwrap_err();
    assert!(error.message().contains("too many different keys"), "{error}");
}

#[test]
fn describing_can_be_stopped() {
    let text = long("<log>", &"<event/>".repeat(1 << 16), 1000, "</log>");
    let mut calls = 0;
    let outcome = describe_walk(walk_over(text, 1 << 18).unwrap(), &mut |events| {
        calls += 1;
        if events > 5 << 19 { Err(Error::cancelled()) } else { Ok(()) }
    });
    assert_eq!((outcome.unwrap_err().kind(), calls), (ErrorKind::Cancelled, 3));
}
