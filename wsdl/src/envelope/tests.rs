//! What an envelope is read as, and what is refused of it.

use super::*;
use crate::fault::FaultCode;

const OPEN: &str = r#"<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/">"#;
const WSA_NS: &str = r#"xmlns:a="http://www.w3.org/2005/08/addressing""#;

fn envelope(header: &str, body: &str) -> String {
    format!("{OPEN}<s:Header>{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>")
}

fn accepted(document: &str) -> Envelope {
    read(document.as_bytes(), &Limits::default()).expect(document)
}

fn refused(document: &str) -> Fault {
    refused_within(document, &Limits::default())
}

fn refused_within(document: &str, limits: &Limits) -> Fault {
    match read(document.as_bytes(), limits) {
        Ok(_) => panic!("accepted: {document}"),
        Err(fault) => fault,
    }
}

#[test]
fn the_body_comes_out_canonical_and_alone() {
    let document = format!(
        "<?xml version='1.0'?>\n{OPEN}\n<s:Body xmlns:n='http://eucalyptus.ucsb.edu/'>\n <n:ncRebootInstance b='2' a='1'>\
         <n:instanceId>i-1a2b<!-- -->3c4d</n:instanceId><n:x/></n:ncRebootInstance>\n</s:Body></s:Envelope>"
    );
    let envelope = accepted(&document);
    assert_eq!(envelope.body_name.namespace, "http://eucalyptus.ucsb.edu/");
    assert_eq!(envelope.body_name.local, "ncRebootInstance");
    assert_eq!(
        envelope.body,
        "<n:ncRebootInstance xmlns:n=\"http://eucalyptus.ucsb.edu/\" a=\"1\" b=\"2\">\
         <n:instanceId>i-1a2b3c4d</n:instanceId><n:x></n:x></n:ncRebootInstance>"
    );
}

#[test]
fn nil_elements_do_not_reach_the_handler_but_are_part_of_the_body() {
    let body = r#"<o xmlns:i="http://www.w3.org/2001/XMLSchema-instance"><a i:nil="true"><b/></a><c i:nil="0">x</c><d i:nil=" 1 "/><e nil="true">y</e></o>"#;
    let envelope = accepted(&envelope("", body));
    let kept = r#"<c xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:nil="0">x</c>"#;
    assert_eq!(envelope.body, format!(r#"<o>{kept}<e nil="true">y</e></o>"#));
    let part = envelope.parts.iter().find(|part| part.kind == Kind::Body).expect("a Body");
    assert!(part.canonical.contains("<a ") && part.canonical.contains("<d "), "{}", part.canonical);
}

#[test]
fn header_blocks_are_read_by_name_and_namespace() {
    let envelope = accepted(&envelope(
        &format!(
            "<a:To {WSA_NS}> http://n1:8775/x </a:To><a:Action {WSA_NS}>EucalyptusNC#op</a:Action>\
             <a:MessageID {WSA_NS}>urn:uuid:1</a:MessageID><To>other</To>\
             <r:Reason xmlns:r='urn:ironbark:1' text=' two&#10;lines'/>\
             <r:Epochs xmlns:r='urn:ironbark:1' of='i-3C5A0732:4'/>"
        ),
        "<op/>",
    ));
    assert_eq!(envelope.to.as_deref(), Some("http://n1:8775/x"));
    assert_eq!(envelope.action.as_deref(), Some("EucalyptusNC#op"));
    assert_eq!(envelope.message_id.as_deref(), Some("urn:uuid:1"));
    assert_eq!(envelope.relates_to, None);
    assert_eq!(envelope.reason.as_deref(), Some(" two\nlines"));
    assert_eq!(envelope.epochs.of("i-3C5A0732"), Some(4));
}

#[test]
fn envelopes_of_another_shape_are_refused() {
    let cases = [
        (envelope("<r:Epochs xmlns:r='urn:ironbark:1' of='i-1'/>", "<op/>"), "'i-1' in the header block Epochs"),
        ("<a/>".to_string(), "the root is 'a'"),
        (format!("{OPEN}</s:Envelope>"), "no Body"),
        (format!("{OPEN}<s:Body/></s:Envelope>"), "the Body is empty"),
        (format!("{OPEN}<s:Body>text</s:Body></s:Envelope>"), "elements only"),
        (format!("{OPEN}<s:Body><a/><b/></s:Body></s:Envelope>"), "a second element in the Body"),
        (format!("{OPEN}<s:Body><a/></s:Body><s:Body><a/></s:Body></s:Envelope>"), "a second Body"),
        (format!("{OPEN}<s:Header/><s:Header/><s:Body><a/></s:Body></s:Envelope>"), "a second Header"),
        (format!("{OPEN}<s:Body><a/></s:Body><s:Header/></s:Envelope>"), "after the Body"),
        (format!("{OPEN}<s:Body><a/></s:Body><b/></s:Envelope>"), "'b' in the Envelope"),
        (format!("{OPEN}<Body><a/></Body></s:Envelope>"), "'Body' in the Envelope"),
        (envelope("<b Id='x'/><c Id='x'/>", "<a/>"), "the id 'x'"),
        (envelope("<b xml:id='x'/>", "<a Id='x'/>"), "the id 'x'"),
        (envelope(&format!("<a:To {WSA_NS}>1</a:To><a:To {WSA_NS}>2</a:To>"), "<a/>"), "two header blocks 'To'"),
        (envelope(&format!("<a:To {WSA_NS}><b/></a:To>"), "<a/>"), "elements inside the header block 'To'"),
        (envelope("<b s:mustUnderstand='2'/>", "<a/>"), "mustUnderstand"),
        (envelope("", "<!DOCTYPE a><a/>"), "DOCTYPE"),
    ];
    for (document, expected) in cases {
        let fault = refused(&document);
        assert_eq!(fault.code, FaultCode::Client, "{document}");
        assert!(fault.reason.contains(expected), "{document}: {}", fault.reason);
    }
}

#[test]
fn other_versions_and_unknown_obligations_have_their_own_faults() {
    let twelve = "<s:Envelope xmlns:s='http://www.w3.org/2003/05/soap-envelope'><s:Body><a/></s:Body></s:Envelope>";
    assert_eq!(refused(twelve).code, FaultCode::VersionMismatch);
    assert_eq!(refused("<Envelope/>").code, FaultCode::VersionMismatch);
    let fault = refused(&envelope("<t:Transaction xmlns:t='urn:t' s:mustUnderstand='1'/>", "<a/>"));
    assert_eq!(fault.code, FaultCode::MustUnderstand);
    assert!(fault.reason.contains("'Transaction'"), "{}", fault.reason);
    accepted(&envelope("<t:Transaction xmlns:t='urn:t' s:mustUnderstand='0'/>", "<a/>"));
    accepted(&envelope(&format!("<a:Action {WSA_NS} s:mustUnderstand='1'>x</a:Action>"), "<a/>"));
}

#[test]
fn limits_hold() {
    let elements = "<b/>".repeat(513);
    assert!(refused(&envelope(&format!("<h>{elements}</h>"), "<a/>")).reason.contains("more than 512 elements"));
    let blocks = "<b/>".repeat(65);
    assert!(refused(&envelope(&blocks, "<a/>")).reason.contains("more than 64 blocks"));
    // A long namespace declared once and used by many children grows quadratically when canonical.
    let uri = "u".repeat(10_000);
    let children = "<p:c/>".repeat(10_000);
    let grows = envelope("", &format!("<a xmlns:p='{uri}'>{children}</a>"));
    assert!(refused(&grows).reason.contains("canonical form"), "amplification");
    let limits = Limits { bytes: 100, ..Limits::default() };
    assert!(refused_within(&envelope("", "<a/>"), &limits).reason.contains("longer than 100"));
}

#[test]
fn what_is_written_is_read_again() {
    let outgoing = Outgoing {
        to: Some("http://n1:8775/axis2/services/EucalyptusNC"),
        action: Some("EucalyptusNC#ncRebootInstanceResponse"),
        message_id: Some("urn:uuid:2"),
        relates_to: Some("urn:uuid:1"),
        reason: Some("<no> & \"why\"\r\n\u{1}"),
        epochs: Some("i-3C5A0732:4 i-3F9B0711:1"),
        body: "<?xml version=\"1.0\"?><e:op xmlns:e='urn:e'><e:a>x\r\ny &amp; z</e:a></e:op>",
    };
    let written = write(&outgoing, None).expect("well formed");
    let envelope = accepted(&written);
    assert_eq!(envelope.to.as_deref(), outgoing.to);
    assert_eq!(envelope.action.as_deref(), outgoing.action);
    assert_eq!(envelope.message_id.as_deref(), outgoing.message_id);
    assert_eq!(envelope.relates_to.as_deref(), outgoing.relates_to);
    assert_eq!(envelope.reason.as_deref(), Some("<no> & \"why\"\r\n\u{fffd}"));
    assert_eq!(envelope.epochs.to_string(), "i-3C5A0732:4 i-3F9B0711:1");
    assert_eq!(envelope.body, "<e:op xmlns:e=\"urn:e\"><e:a>x&#xD;\ny &amp; z</e:a></e:op>");
}

#[test]
fn a_body_that_is_no_xml_is_our_fault() {
    for body in ["<a>", "<a/></soapenv:Body><soapenv:Body>", "<a>\u{0}</a>", "<p:a/>"] {
        let fault = write(&Outgoing { body, ..Outgoing::default() }, None).expect_err(body);
        assert_eq!(fault.code, FaultCode::Server, "{body}");
    }
}

#[test]
fn debug_shows_no_content() {
    let envelope = accepted(&envelope("", "<op><userData>secret</userData></op>"));
    assert!(!format!("{envelope:?}").contains("secret"));
}
