//! Every recorded request, byte for byte, to our doors: taken or refused as 2.0.1's servers took or
//! refused it, with the same fault code and text. Where ours differs on purpose, [`DIFFERENT`] says so.

use ironbark_wsdl::Service;

use crate::door::{Keys, open, send};
use crate::{Capture, captures, certificate};

/// What ours answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ours {
    Taken,
    Fault(&'static str, &'static str),
    Status(u16),
}

const NOT_OF_CONTRACT: Ours = Ours::Fault("soapenv:Sender", "Data element of the OM Node is NULL");
const NO_ENVELOPE: Ours = Ours::Fault("soapenv:Client", "SOAP message does not contain a SOAP envelope element");
const SOAP_VERSION: Ours =
    Ours::Fault("soapenv:Client", "Transport identified SOAP version does not match with SOAP message version");

/// (name, what ours answers, why).
const DIFFERENT: &[(&str, Ours, &str)] = &[
    // Stricter than 2.0.1.
    ("RebootInstances-everything-twice", NOT_OF_CONTRACT, "which of two userIds is meant?"),
    ("ncRebootInstance-everything-twice", NOT_OF_CONTRACT, "which of two instances is meant?"),
    ("text-nested-element-in-string", NOT_OF_CONTRACT, "a name has no elements in it"),
    ("RunInstances-bad-int", NOT_OF_CONTRACT, "`one` is no number; 2.0.1 made one of it"),
    ("ncDetachVolume-bad-boolean", NOT_OF_CONTRACT, "`maybe` is no boolean; 2.0.1 made one of it"),
    ("http-truncated-xml", NO_ENVELOPE, "2.0.1 stops reading when it has what it wants"),
    ("http-post-unknown-service-header-right", Ours::Status(404), "the URL names the service, too"),
    ("http-get-services-list", Ours::Status(404), "nothing is told without a signature but the contract"),
    // Decoded where 2.0.1's parser could not.
    ("http-utf8-and-entities", Ours::Taken, "UTF-8"),
    ("ncRunInstance-utf8", Ours::Taken, "UTF-8"),
    ("text-utf8", Ours::Taken, "UTF-8"),
    ("text-utf8-2byte-start", Ours::Taken, "UTF-8"),
    ("text-utf8-2byte-middle", Ours::Taken, "UTF-8"),
    ("text-utf8-2byte-end", Ours::Taken, "UTF-8"),
    ("text-utf8-3byte", Ours::Taken, "UTF-8"),
    ("text-utf8-4byte", Ours::Taken, "UTF-8"),
    ("ncRebootInstance-header-fields-swapped", Ours::Taken, "the order of elements does not matter here"),
    ("RunInstances-wrong-order", Ours::Taken, "the order of elements does not matter here"),
    ("DescribeResources-empty-type", Ours::Taken, "2.0.1 crashed"),
    // The same refusal in SOAP 1.1 instead of SOAP 1.2 or of neither.
    ("http-content-type-json", SOAP_VERSION, "2.0.1 answers in SOAP 1.2"),
    ("http-content-type-soap12", SOAP_VERSION, "2.0.1 answers in SOAP 1.2"),
    (
        "ncRebootInstance-sec-second-unsigned-action",
        Ours::Fault(
            "soapenv:Sender",
            "A header representing a Message Addressing Property is not valid and the message cannot be processed",
        ),
        "2.0.1's fault code has elements in it, which SOAP 1.1 does not allow",
    ),
];

fn expected(capture: &Capture) -> Ours {
    if let Some((_, ours, _)) = DIFFERENT.iter().find(|(name, _, _)| *name == capture.name) {
        return *ours;
    }
    match capture.status.as_str() {
        "500" => {
            let fault = capture.outcome.strip_prefix("fault ").expect("a fault");
            let (code, text) = fault.split_once(" | ").expect("code and text");
            Ours::Fault(code.to_string().leak(), text.to_string().leak())
        }
        "404" => Ours::Status(404),
        _ => Ours::Taken,
    }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("no {before} in {text}"));
    rest.split_once(after).unwrap_or_else(|| panic!("no {after} in {text}")).0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recorded_requests_are_judged_as_they_were() {
    let node = open(Service::Nc, Keys::for_old(certificate("cluster-cert.pem")).security()).await;
    let cluster = open(Service::Cc, Keys::for_old(certificate("cloud-cert.pem")).security()).await;
    let (mut taken, mut faults, mut others) = (0, 0, 0);
    for capture in captures() {
        let port = if capture.service == Service::Nc { node } else { cluster };
        let count = if capture.status == "200 200" { 2 } else { 1 };
        for (status, header, body) in send(port, &capture.request, count).await {
            let name = &capture.name;
            match expected(&capture) {
                Ours::Taken => {
                    assert_eq!(status, 200, "{name}: {body}");
                    assert!(
                        capture.name.starts_with("http-get") || body.contains("<n:return>true</n:return>"),
                        "{name}"
                    );
                    taken += 1;
                }
                Ours::Fault(code, text) => {
                    let found = (
                        between(&body, "<faultcode>", "</faultcode>"),
                        between(&body, "<faultstring>", "</faultstring>"),
                    );
                    assert_eq!((status, found), (500, (code, text)), "{name}: {body}");
                    assert!(header.to_ascii_lowercase().contains("connection: close"), "{name}: {header}");
                    assert!(!body.contains("Signature>") && body.is_ascii(), "{name}: {body}");
                    faults += 1;
                }
                Ours::Status(expected) => {
                    assert_eq!(status, expected, "{name}: {body}");
                    others += 1;
                }
            }
        }
    }
    assert!(taken > 150 && faults > 40 && others >= 5, "{taken} {faults} {others}");
    eprintln!("{taken} recorded requests taken, {faults} refused by a fault, {others} by an HTTP status");
}

/// Each line of the table is about a capture that there is.
#[test]
fn the_differences_are_of_recorded_requests() {
    let names: Vec<String> = captures().into_iter().map(|capture| capture.name).collect();
    for (name, _, _) in DIFFERENT {
        assert!(names.iter().any(|known| known == name), "{name}");
    }
}

fn named(name: &str) -> Capture {
    captures().into_iter().find(|capture| capture.name == name).expect("a capture of this name")
}

/// What the profile cannot see, and what it can: the Body is not signed, so the first to come with a
/// signature is believed; a second one with the same signature is not.
#[tokio::test]
async fn a_body_can_be_changed_once_but_not_under_a_signature_that_was_used() {
    let original = named("ncRebootInstance-sec-control").request;
    let changed = String::from_utf8(original.clone()).expect("text").replace("i-10000000", "i-66666666").into_bytes();
    let used = open(Service::Nc, Keys::for_old(certificate("cluster-cert.pem")).security()).await;
    assert_eq!(send(used, &original, 1).await[0].0, 200);
    assert_eq!(send(used, &original, 1).await[0].0, 200, "a repeat is taken, as 2.0.1 takes it");
    let (status, _, body) = send(used, &changed, 1).await.remove(0);
    assert_eq!(status, 500, "{body}");
    assert!(body.contains("Signature Verification failed."), "{body}");
    let fresh = open(Service::Nc, Keys::for_old(certificate("cluster-cert.pem")).security()).await;
    assert_eq!(send(fresh, &changed, 1).await[0].0, 200, "nothing in the profile shows that it was changed");
}

/// A cluster signs its answers to the cloud with the key that its nodes trust.
#[tokio::test]
async fn a_clusters_answer_is_no_request_to_its_node() {
    let answer = named("cc-04-RebootInstances").response;
    let text = String::from_utf8(answer).expect("text");
    let (_, envelope) = text.split_once("\r\n\r\n").expect("a body");
    let body = between(envelope, "<soapenv:Body>", "</soapenv:Body>");
    let attack = "<n:ncTerminateInstance xmlns:n=\"http://eucalyptus.ucsb.edu/\"><n:instanceId>i-10000001</n:instanceId></n:ncTerminateInstance>";
    let port = open(Service::Nc, Keys::for_old(certificate("cluster-cert.pem")).security()).await;
    for action in [None, Some("EucalyptusNC#ncTerminateInstance")] {
        let mut forged = envelope.replace(body, attack);
        if let Some(action) = action {
            forged = forged.replace("EucalyptusCC#RebootInstances", action);
        }
        let request = format!(
            "POST /axis2/services/EucalyptusNC HTTP/1.1\r\nHost: n1\r\nSOAPAction: \"x\"\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\r\n{forged}",
            forged.len()
        );
        let (status, _, body) = send(port, request.as_bytes(), 1).await.remove(0);
        assert_eq!(status, 500, "{body}");
    }
}
