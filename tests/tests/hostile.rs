//! Hostile bytes against the real door: what is refused, by which word, and that honest calls are
//! served meanwhile and afterwards, without a panic and in bounded memory.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ironbark_tests::door::{Door, PATH, PATIENCE, Raw, posted, resident, shown};
use ironbark_wsdl::http::{REQUEST_LIMIT, ServerLimits};
use ironbark_wsdl::wsse::Identity;
use ironbark_wsdl::wsse::replay::{Replay, Seen};
use jiff::Timestamp;

/// Short waits, so that a test need not wait long for them.
fn impatient() -> ServerLimits {
    let wait = Duration::from_millis(400);
    ServerLimits { header_wait: wait, body_wait: wait, answer_wait: wait, ..ServerLimits::default() }
}

/// A POST in chunks; `extension` stands behind the length of each.
fn chunked(body: &[u8], chunk: usize, extension: &str) -> Vec<u8> {
    let mut bytes = format!("POST {PATH} HTTP/1.1\r\nHost: door\r\nTransfer-Encoding: chunked\r\n\r\n").into_bytes();
    for part in body.chunks(chunk) {
        bytes.extend_from_slice(format!("{:x}{extension}\r\n", part.len()).as_bytes());
        bytes.extend_from_slice(part);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\nTrailer: x\r\n\r\n");
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_over_the_limit_get_413() {
    assert_eq!(ironbark_wsdl::envelope::Limits::request().bytes, REQUEST_LIMIT, "one limit for door and envelope");
    let door = Door::open(ServerLimits::default()).await;
    let large = vec![b'x'; REQUEST_LIMIT + 1];
    for (how, request) in [
        ("announced", posted("", &large)),
        ("in chunks", chunked(&large, 100_000, ";x=y")),
        ("announced only", posted("", &large)[..300].to_vec()),
        ("announced, to be continued", {
            let request = posted("Expect: 100-continue\r\n", &large);
            request[..request.len() - large.len()].to_vec()
        }),
        ("of a length that no machine has", {
            let head = format!("POST {PATH} HTTP/1.1\r\nHost: door\r\nContent-Length: 18446744073709551000\r\n\r\n");
            head.into_bytes()
        }),
    ] {
        let answer = door.throw(&request).await;
        assert!(answer.status == 413 && answer.body.contains("larger than 2097152 bytes"), "{how}: {answer:?}");
        assert!(answer.head.contains("connection: close"), "{how}: {answer:?}");
    }
    // As long as is allowed, and as small in pieces: read, and found to be no XML.
    for request in [posted("", &large[1..]), chunked(&large[1..200_000], 1, "")] {
        assert!(door.throw(&request).await.fault().contains("outside the root"), "{}", shown(&request));
    }
    let answer = door.throw(&chunked(&large[..100_000], 1, ";extension")).await;
    assert!(answer.status == 400 && answer.body.contains("chunk extensions"), "{answer:?}");
    door.assert_unshaken().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_over_the_limits_get_431() {
    let door = Door::open(ServerLimits::default()).await;
    let fields = |count: usize| (0..count).map(|n| format!("X-{n}: y\r\n")).collect::<String>();
    let get = |fields: &str| format!("GET {PATH}?wsdl HTTP/1.1\r\nHost: door\r\n{fields}\r\n").into_bytes();
    assert_eq!(door.throw(&get(&fields(63))).await.status, 200);
    assert_eq!(door.throw(&get(&fields(64))).await.status, 431, "65 fields");
    let long = |length: usize| format!("X-Long: {}\r\n", "y".repeat(length));
    assert_eq!(door.throw(&get(&long(30_000))).await.status, 200);
    assert_eq!(door.throw(&get(&long(33_000))).await.status, 431);
    let mut raw = door.connect().await;
    raw.send(&get(&long(10_000_000))).await;
    let answered = raw.answer().await;
    assert!(answered.is_none_or(|answer| answer.status == 431), "or reset, with so much unread");
    let mut raw = door.connect().await;
    raw.send(format!("GET /{} HTTP/1.1\r\n\r\n", "y".repeat(70_000)).as_bytes()).await;
    let answered = raw.answer().await;
    assert!(answered.is_none_or(|answer| (400..500).contains(&answer.status)), "a long request line");
    door.assert_unshaken().await;
}

/// Two readers could disagree about where such a request ends: it is refused, the connection is
/// closed, and what follows is not taken for a request.
#[tokio::test(flavor = "multi_thread")]
async fn ambiguous_requests_are_refused_and_nothing_is_smuggled() {
    let door = Door::open(impatient()).await;
    let smuggled = |door: &Door| posted("", door.signed("i-0000000B").as_bytes());
    let lengths = [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        "Content-Length: 4\r\nContent-Length: 5\r\n",
        "Content-Length: 4, 5\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: +4\r\n",
        "Content-Length: 0x4\r\n",
        "Content-Length: 4 4\r\n",
        "Content-Length:\r\n",
        "Content-Length : 4\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding:\x0bchunked\r\n",
        "X: y\r\n Transfer-Encoding: chunked\r\n",
        "X: y\0\r\n",
        "X\u{1}: y\r\n",
    ];
    for fields in lengths {
        let head = format!("POST {PATH} HTTP/1.1\r\nHost: door\r\n{fields}\r\n");
        let mut raw = door.connect().await;
        raw.send(&[head.as_bytes(), b"0\r\n\r\n", &smuggled(&door)].concat()).await;
        let all = raw.until_closed().await;
        assert_eq!(door.reboots(), 0, "{fields:?} let a second request in: {all}");
        assert!(!all.contains(" 200 "), "{fields:?}: {all}");
    }
    for chunks in ["fffffffffffffffff\r\n", "-1\r\nx\r\n", "5\nhello\n0\n\n", "zz\r\n", "5\r\nhelloX\r\n0\r\n\r\n"] {
        let head = format!("POST {PATH} HTTP/1.1\r\nHost: door\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
        let mut raw = door.connect().await;
        raw.send(&[head.as_bytes(), &smuggled(&door)].concat()).await;
        let all = raw.until_closed().await;
        assert_eq!(door.reboots(), 0, "{chunks:?} let a second request in: {all}");
    }
    door.assert_unshaken().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_http_is_closed() {
    let door = Door::open(impatient()).await;
    let many = "\r\n".repeat(100_000);
    for bytes in [
        "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0".as_bytes(),
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
        many.as_bytes(),
        b"GET http://[::bad HTTP/1.1\r\n\r\n",
        b"CONNECT door:80 HTTP/1.1\r\nHost: door\r\n\r\n",
        b"POST \xff HTTP/1.1\r\n\r\n",
    ] {
        let mut raw = door.connect().await;
        raw.send(bytes).await;
        let all = raw.until_closed().await;
        assert!(all.is_empty() || all.contains(" 4"), "{}: {all}", shown(bytes));
    }
    door.assert_unshaken().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_clients_are_cut_off() {
    let door = Door::open(impatient()).await;
    let began = Instant::now();
    let mut silent = door.connect().await;
    silent.until_closed().await;
    let mut idle = door.connect().await;
    idle.send(&posted("", b"<a/>")).await;
    idle.answer().await.expect("an answer, and then silence");
    idle.until_closed().await;
    drip(&mut door.connect().await, format!("POST {PATH} HTTP/1.1\r\nX: ").as_bytes(), "").await;
    drip(&mut door.connect().await, &posted("", &[b'x'; 1000])[..200], " 408 ").await;
    drip(&mut door.connect().await, b"POST / HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n", "").await;
    let elapsed = began.elapsed();
    assert!(elapsed < 5 * impatient().header_wait + Duration::from_secs(5), "{elapsed:?}");
    door.assert_unshaken().await;
}

/// Sends a beginning, then a byte every few milliseconds, until the door has had enough.
async fn drip(raw: &mut Raw, begin: &[u8], expected: &str) {
    raw.send(begin).await;
    let began = Instant::now();
    while raw.try_send(b"1").await.is_ok() {
        assert!(began.elapsed() < PATIENCE, "a byte at a time holds the connection for ever");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let said = raw.until_closed().await;
    // A reset can overtake what was said.
    assert!(said.is_empty() || said.contains(expected), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_take_its_answers_is_cut_off() {
    let door = Door::open(impatient()).await;
    let mut raw = door.connect().await;
    let get = format!("GET {PATH}?wsdl HTTP/1.1\r\nHost: door\r\n\r\n").repeat(100);
    let began = Instant::now();
    while tokio::time::timeout(PATIENCE, raw.try_send(get.as_bytes())).await.expect("neither taken nor closed").is_ok()
    {
        assert!(began.elapsed() < PATIENCE, "it goes on answering");
    }
    door.assert_unshaken().await;
}

/// Many more slow clients than there are places, for longer than any wait: honest ones get in.
#[tokio::test(flavor = "multi_thread")]
async fn honest_calls_are_served_while_slow_clients_take_every_place() {
    let limits = ServerLimits { connections: 16, ..ServerLimits::default() };
    let door = Arc::new(Door::open(limits).await);
    let mut slow = Vec::new();
    for n in 0..200 {
        let mut raw = door.connect().await;
        raw.send(match n % 3 {
            0 => b"",
            1 => b"POST / HTTP/1.1\r\nX-Slow: ",
            _ => b"POST / HTTP/1.1\r\nHost: d\r\nContent-Length: 1000\r\n\r\nx",
        })
        .await;
        slow.push(raw);
    }
    let began = Instant::now();
    let calls: Vec<_> = (0..8)
        .map(|_| {
            let door = door.clone();
            tokio::spawn(async move {
                for _ in 0..10 {
                    door.honest_call().await.expect("served");
                }
            })
        })
        .collect();
    for call in calls {
        call.await.expect("no panic");
    }
    let took = began.elapsed();
    assert!(took < limits.header_wait / 3, "they waited for slow ones: {took:?}");
    door.assert_unshaken().await;
}

/// Honest connections are kept while strangers come and go: only who was never answered must leave.
#[tokio::test(flavor = "multi_thread")]
async fn a_kept_connection_survives_a_flood_of_strangers() {
    let door = Door::open(ServerLimits { connections: 8, ..ServerLimits::default() }).await;
    let mut kept = door.connect().await;
    kept.send(&posted("", door.signed("i-0000000A").as_bytes())).await;
    assert_eq!(kept.answer().await.expect("an answer").status, 200);
    let mut strangers = Vec::new();
    for _ in 0..100 {
        strangers.push(door.connect().await);
    }
    door.honest_call().await.expect("served");
    kept.send(&posted("", door.signed("i-0000000A").as_bytes())).await;
    assert_eq!(kept.answer().await.expect("still open").status, 200);
    door.assert_unshaken().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_large_bodies_wait_for_each_other_and_small_ones_do_not() {
    let limits = ServerLimits { large: 2, body_wait: Duration::from_secs(2), ..ServerLimits::default() };
    let door = Door::open(limits).await;
    let large = posted("", &vec![b'x'; 500_000]);
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut raw = door.connect().await;
        raw.send(&large[..400_000]).await;
        held.push(raw);
    }
    let mut third = door.connect().await;
    third.send(&large).await;
    door.honest_call().await.expect("a small one is served meanwhile");
    let answer = third.answer().await.expect("an answer");
    // Its own time may run out at the moment at which the others' does and room comes free.
    assert!([408, 503].contains(&answer.status) || answer.fault().contains("outside the root"), "{answer:?}");
    for raw in &mut held {
        assert_eq!(raw.answer().await.expect("an answer").status, 408);
    }
    assert!(door.throw(&large).await.fault().contains("outside the root"), "the room is free again");
    door.assert_unshaken().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_bodies_are_refused_by_name() {
    let door = Door::open(ServerLimits::default()).await;
    // Ten empty bytes, by gzip.
    let gzip = b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x63\x80\x01\0\x01\x4c\xfc\x1c\x0a\0\0\0";
    for encoding in ["gzip", "deflate", "br", "zstd", "x-gzip", "gzip, gzip", "identity, gzip", "\u{fc}"] {
        let answer = door.throw(&posted(&format!("Content-Encoding: {encoding}\r\n"), gzip)).await;
        assert_eq!(answer.status, 415, "{encoding}: {answer:?}");
        assert!(
            answer.body.contains("content-encoding") && answer.body.contains("send the body as it is"),
            "{answer:?}"
        );
    }
    let plain = posted("Content-Encoding: identity\r\n", door.signed("i-0000000A").as_bytes());
    assert_eq!(door.throw(&plain).await.status, 200);
    assert!(door.post(gzip).await.fault().contains("not UTF-8"), "compressed without a word");
    door.assert_unshaken().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_honest_way_of_http_works() {
    let door = Door::open(ServerLimits::default()).await;
    let signed = || door.signed("i-0000000A");
    let old = posted("", signed().as_bytes());
    let old = [b"POST /axis2/services/EucalyptusNC HTTP/1.0", &old[PATH.len() + 14..]].concat();
    let mut raw = door.connect().await;
    raw.send(&old).await;
    assert_eq!(raw.answer().await.expect("HTTP/1.0 is answered").status, 200);
    raw.until_closed().await;

    let message = signed();
    let request = posted("Expect: 100-continue\r\n", message.as_bytes());
    let (head, body) = request.split_at(request.len() - message.len());
    let mut raw = door.connect().await;
    raw.send(head).await;
    assert_eq!(raw.answer().await.expect("go on").status, 100);
    raw.send(body).await;
    assert_eq!(raw.answer().await.expect("an answer").status, 200);
    // The same connection again, and three requests at once.
    raw.send(&posted("", signed().as_bytes())).await;
    assert_eq!(raw.answer().await.expect("kept").status, 200);
    let several = [posted("", signed().as_bytes()), posted("", b"<a/>"), posted("", signed().as_bytes())].concat();
    raw.send(&several).await;
    for expected in [200, 500, 200] {
        assert_eq!(raw.answer().await.expect("in order").status, expected);
    }
    assert_eq!(door.throw(&chunked(signed().as_bytes(), 7, ";a=\"b\"")).await.status, 200);
    // Byte by byte, but briskly.
    let mut raw = door.connect().await;
    for byte in posted("", signed().as_bytes()) {
        raw.send(&[byte]).await;
    }
    assert_eq!(raw.answer().await.expect("an answer").status, 200);
    assert_eq!(door.reboots(), 7);
    for (request, status) in [
        (format!("PUT {PATH} HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n"), 405),
        ("GET /elsewhere HTTP/1.1\r\nHost: d\r\n\r\n".to_string(), 404),
        (format!("GET {PATH}?other HTTP/1.1\r\nHost: d\r\n\r\n"), 404),
        (format!("GET {PATH}?wsdl HTTP/1.1\r\n\r\n"), 200),
    ] {
        assert_eq!(door.throw(request.as_bytes()).await.status, status, "{request}");
    }
    door.assert_unshaken().await;
}

const SOAP: &str = "http://schemas.xmlsoap.org/soap/envelope/";

fn envelope(header: &str, body: &str) -> String {
    format!("<s:Envelope xmlns:s=\"{SOAP}\"><s:Header>{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>")
}

fn utf16(text: &str, mark: bool) -> Vec<u8> {
    let mark = mark.then_some(0xfeff);
    mark.into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
}

/// Hostile XML, and what the fault must say of it.
fn hostile_xml() -> Vec<(Vec<u8>, &'static str)> {
    let plain = envelope("", "<a/>");
    let laughs: String = (1..10).map(|n| format!("<!ENTITY l{n} \"&l{0};&l{0};&l{0};\">", n - 1)).collect();
    let wide = |count: usize| (0..count).map(|n| format!(" a{n}='{n}'")).collect::<String>();
    let spaces = |count: usize| (0..count).map(|n| format!(" xmlns:p{n}='u{n}'")).collect::<String>();
    let nested = format!("{}{}", "<a>".repeat(60_000), "</a>".repeat(60_000));
    let nested_spaces =
        (0..63).map(|n| format!("<a xmlns:q{n}='u' xmlns:r{n}='u' xmlns:t{n}='u'>")).collect::<String>();
    let texts = vec![
        (format!("<!DOCTYPE s>{plain}"), "DOCTYPE"),
        (format!("<!DOCTYPE s SYSTEM \"file:///etc/passwd\">{plain}"), "DOCTYPE"),
        (format!("<!DOCTYPE s [<!ENTITY l0 \"ha\">{laughs}]>{}", envelope("", "<a>&l9;</a>")), "DOCTYPE"),
        (format!("<!DOCTYPE s [<!ENTITY % x SYSTEM \"http://127.0.0.1:1/\">%x;]>{plain}"), "DOCTYPE"),
        (envelope("", "<a>&xxe;</a>"), "entity"),
        (format!("<?php system('x') ?>{plain}"), "processing instructions"),
        (envelope("", "<a><?x y?></a>"), "processing instructions"),
        (format!("<?xml-stylesheet href='x'?>{plain}"), "processing instructions"),
        (format!("{plain}{plain}"), "second root"),
        (format!("{plain}<a/>"), "second root"),
        (format!("{plain}text"), "outside the root"),
        (envelope("<b Id='x'/>", "<a Id='x'/>"), "the id 'x'"),
        (envelope("", "<a b='1' b='2'/>"), "duplicate"),
        (envelope("", "<a xmlns:x='u' xmlns:y='u' x:b='' y:b=''/>"), "twice"),
        (format!("<?xml version='1.0' encoding='ISO-8859-1'?>{plain}"), "ISO-8859-1"),
        (format!("<?xml version='1.0' encoding='UTF-16'?>{plain}"), "UTF-16"),
        (format!("<?xml version='1.0' encoding='UTF-7'?>{plain}"), "UTF-7"),
        (format!("<?xml version='1.1'?>{plain}"), "version 1.1"),
        (envelope("", "<a>\0</a>"), "U+0000"),
        (envelope("", "<a>\u{1b}[2J</a>"), "U+001B"),
        (envelope("", "<a>&#0;</a>"), "character"),
        (envelope("", "<a>&#x1;</a>"), "U+0001"),
        (envelope("", "<a>&#xD800;</a>"), "character"),
        (envelope("", "<a>&#99999999999;</a>"), "character"),
        (envelope("", "<a>\u{ffff}</a>"), "U+FFFF"),
        (envelope("", "<a b='&#x8;'/>"), "XML forbids"),
        (envelope("", "<a>]]></a>"), "]]"),
        (envelope("", &nested), "deeper than 64"),
        (envelope("", &"<a>".repeat(500_000)), "deeper than 64"),
        (envelope("", &format!("<a{}/>", wide(65))), "more than 64 attributes"),
        (envelope("", &format!("<a{}/>", wide(100_000))), "more than 64 attributes"),
        (envelope("", &format!("<a{}/>", spaces(65))), "more than 64 attributes"),
        (envelope("", &nested_spaces), "namespace declarations"),
        (envelope("", &format!("<a xmlns:p='{}'>{}</a>", "u".repeat(20_000), "<p:b/>".repeat(20_000))), "canonical"),
        (envelope(&"<b/>".repeat(65), "<a/>"), "more than 64 blocks"),
        (envelope(&format!("<h>{}</h>", "<b/>".repeat(600)), "<a/>"), "more than 512 elements"),
        (envelope("", "<p:a/>"), "not declared"),
        (envelope("", "<a xmlns:xml='u'/>"), "redeclared"),
        (envelope("", ""), "Body is empty"),
        (envelope("", "<a/><b/>"), "second element in the Body"),
        (envelope("<t xmlns='urn:t' s:mustUnderstand='1'/>", "<a/>"), "not understood"),
        ("<s:Envelope xmlns:s='http://www.w3.org/2003/05/soap-envelope'/>".to_string(), "SOAP 1.2"),
        (plain[..plain.len() - 5].to_string(), "tag"),
        (String::new(), "no element"),
        ("<".repeat(1_000_000), "XML refused"),
        ("&".repeat(1_000_000), "XML refused"),
        ("<a ".repeat(300_000), "XML refused"),
        (format!("<a {}", "b".repeat(2_000_000)), "XML refused"),
        (format!("<!--{}", "-".repeat(2_000_000)), "XML refused"),
        (format!("<![CDATA[{}", "]".repeat(2_000_000)), "XML refused"),
        (plain.clone(), "no Security header"),
    ];
    let mut cases: Vec<(Vec<u8>, &str)> = texts.into_iter().map(|(text, word)| (text.into_bytes(), word)).collect();
    cases.push((utf16(&plain, true), "not UTF-8"));
    cases.push((utf16(&plain, false), "U+0000"));
    cases.push((
        envelope("", "<a>\u{e9}</a>").replace('\u{e9}', "@").replace('@', "\u{e9}").chars().map(|c| c as u8).collect(),
        "not UTF-8",
    ));
    cases.push((b"\xc0\xbcs/>".to_vec(), "not UTF-8"));
    cases
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_xml_gets_a_fault_that_says_what() {
    let door = Door::open(ServerLimits::default()).await;
    for (bytes, expected) in hostile_xml() {
        let began = Instant::now();
        let answer = door.post(&bytes).await;
        assert!(answer.fault().contains(expected), "{}: {}", shown(&bytes), answer.fault());
        assert!(answer.body.contains("faultcode>soapenv:") && answer.body.len() < 2000, "{answer:?}");
        assert!(!answer.body.contains("/etc/"), "nothing was fetched: {answer:?}");
        assert!(began.elapsed() < Duration::from_secs(3), "{} took {:?}", shown(&bytes), began.elapsed());
    }
    assert_eq!(door.reboots(), 0);
    door.assert_unshaken().await;
}

/// A captured message is taken once; strangers' signatures leave no memory behind.
#[tokio::test(flavor = "multi_thread")]
async fn replays_and_strangers_are_refused_under_load() {
    let door = Arc::new(Door::open(ServerLimits::default()).await);
    let captured = Arc::new(posted("", door.signed("i-0000000A").as_bytes()));
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (door, captured) = (door.clone(), captured.clone());
            tokio::spawn(async move {
                let mut statuses = Vec::new();
                for _ in 0..50 {
                    statuses.push(door.throw(&captured).await.status);
                }
                statuses
            })
        })
        .collect();
    let mut taken = 0;
    for task in tasks {
        taken += task.await.expect("no panic").into_iter().filter(|status| *status == 200).count();
    }
    assert_eq!((taken, door.reboots()), (1, 1), "of 400 equal messages one is taken");
    let stranger = Arc::new(Identity::generate("stranger").expect("a key"));
    for _ in 0..200 {
        let answer = door.post(door.signed_by(&stranger, "i-0000000B").as_bytes()).await;
        assert!(answer.fault().contains("is not accepted here"), "{answer:?}");
    }
    assert_eq!(door.reboots(), 1);
    door.assert_unshaken().await;
}

/// Two thousand hostile requests, eight at a time: afterwards the process is no larger.
#[tokio::test(flavor = "multi_thread")]
async fn memory_stays_bounded() {
    const REQUESTS: usize = 2000;
    /// What the allocator may keep for itself.
    const SLACK: usize = 64 << 20;
    let door = Arc::new(Door::open(impatient()).await);
    // The longest take a debug build long: a few of them, and the short ones four times as often.
    let (short, long): (Vec<_>, Vec<_>) =
        hostile_xml().into_iter().map(|(bytes, _)| posted("", &bytes)).partition(|bytes| bytes.len() < 100_000);
    let cases: Arc<Vec<Vec<u8>>> =
        Arc::new([&short, &short, &short, &short, &long].into_iter().flatten().cloned().collect());
    let round = async |requests: usize| {
        let tasks: Vec<_> = (0..8)
            .map(|lane| {
                let (door, cases) = (door.clone(), cases.clone());
                tokio::spawn(async move {
                    for n in (lane..requests).step_by(8) {
                        let mut raw = door.connect().await;
                        let case = &cases[n % cases.len()];
                        // Every fifth goes away in the middle.
                        let length = if n % 5 == 0 { case.len() / 2 } else { case.len() };
                        raw.send(&case[..length]).await;
                        if n % 5 != 0 {
                            raw.answer().await;
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("no panic");
        }
    };
    round(200).await;
    let before = resident();
    round(REQUESTS).await;
    door.assert_unshaken().await;
    let after = resident();
    eprintln!("resident: {} MB before, {} MB after {REQUESTS} hostile requests", before >> 20, after >> 20);
    assert!(after < before + SLACK, "{before} bytes became {after}");
}

/// The store against replay, full: bounded, still refusing what it knows, and empty again when all
/// of it is too old.
#[test]
fn a_full_replay_store_is_bounded() {
    const CAPACITY: u32 = 1_000_000;
    let at = |second| Timestamp::from_second(second).expect("a second");
    let key = |n: u32| {
        let mut key = [0; 32];
        key[..4].copy_from_slice(&n.to_le_bytes());
        key
    };
    let before = resident();
    let mut store = Replay::new(CAPACITY as usize);
    assert!((0..CAPACITY).all(|n| store.check(key(n), at(300 + i64::from(n % 300)), at(0)) == Seen::New));
    let grown = resident().saturating_sub(before);
    eprintln!("a million messages remembered in {} MB", grown >> 20);
    assert!(grown < 200 << 20, "{grown} bytes");
    assert_eq!(store.check(key(CAPACITY), at(600), at(1)), Seen::Full);
    assert_eq!(store.check(key(7), at(600), at(1)), Seen::Before);
    assert_eq!(store.check(key(CAPACITY), at(900), at(600)), Seen::New, "all the others are forgotten");
    assert_eq!(store.check(key(7), at(900), at(600)), Seen::New);
}
