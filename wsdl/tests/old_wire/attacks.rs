//! What somebody on the way can try with a recorded message: everything that the signature does cover
//! holds, wherever it is moved.

use std::sync::Arc;

use ironbark_wsdl::clock::Clock;
use ironbark_wsdl::envelope::{Envelope, Limits, read};
use ironbark_wsdl::wsse::{Expect, Identity, Profile, Security, Verified};
use proptest::prelude::Rng as _;
use proptest::test_runner::{RngAlgorithm, TestRng};

use crate::{body, captures, certificate};

fn recorded() -> String {
    let control = captures().into_iter().find(|capture| capture.name == "ncRebootInstance-sec-control");
    String::from_utf8(body(&control.expect("this capture").request)).expect("text")
}

fn node() -> Security {
    let identity = Arc::new(Identity::generate_rsa("node").expect("a key"));
    let security = Security::new(identity, Profile::Euca201, Clock::system());
    security.trust(vec![certificate("cluster-cert.pem")]);
    security
}

fn judge(security: &Security, document: &[u8]) -> Result<(Envelope, Verified), String> {
    let envelope = read(document, &Limits::request()).map_err(|fault| fault.reason)?;
    let verified = security.verify(&envelope, Expect::Reading).map_err(|error| error.to_string())?;
    Ok((envelope, verified))
}

/// The part of `document` from `from` to the end of `to`.
fn part<'a>(document: &'a str, from: &str, to: &str) -> &'a str {
    let start = document.find(from).unwrap_or_else(|| panic!("no {from}"));
    let end = document[start..].find(to).unwrap_or_else(|| panic!("no {to}")) + to.len();
    &document[start..start + end]
}

#[test]
fn signed_headers_cannot_be_changed_or_moved() {
    let security = node();
    let document = recorded();
    assert!(judge(&security, document.as_bytes()).is_ok());
    let action = part(&document, "<wsa:Action", "</wsa:Action>");
    let other = "<wsa:Action>EucalyptusNC#ncTerminateInstance</wsa:Action>";
    let signature = part(&document, "<ds:Signature ", "</ds:Signature>");
    let token = part(&document, "<wsse:BinarySecurityToken", "</wsse:BinarySecurityToken>");
    let info = part(&document, "<ds:SignedInfo>", "</ds:SignedInfo>");
    let header = "<soapenv:Header xmlns:wsa=\"http://www.w3.org/2005/08/addressing\">";
    let attacks = [
        ("changed", document.replace("#ncRebootInstance</wsa:Action>", "#ncTerminateInstance</wsa:Action>")),
        ("removed", document.replace(action, other)),
        ("into a block", document.replace(action, &format!("{other}<x>{action}</x>"))),
        ("into the Body", document.replace(action, other).replace("<n:userId>", &format!("{action}<n:userId>"))),
        ("into Security", document.replace(action, other).replace(token, &format!("{action}{token}"))),
        ("a second one", document.replace(action, &format!("{other}{action}"))),
        (
            "a second Header",
            document.replace("<soapenv:Body>", &format!("{header}{other}</soapenv:Header><soapenv:Body>")),
        ),
        ("a second Signature", document.replace(signature, &signature.repeat(2))),
        (
            "a second Signature first",
            document.replace(
                signature,
                &format!("<ds:Signature xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"/>{signature}"),
            ),
        ),
        ("a second token", document.replace(token, &token.repeat(2))),
        ("a second SignedInfo", document.replace(info, &info.repeat(2))),
        ("a foreign element", document.replace(token, &format!("{token}<x/>"))),
        ("no reference", document.replace(part(&document, "<ds:Reference ", "</ds:SignedInfo>"), "</ds:SignedInfo>")),
        ("DOCTYPE", format!("<!DOCTYPE x>{document}")),
        ("HMAC", document.replace("xmldsig#rsa-sha1", "xmldsig#hmac-sha1")),
        ("SHA-256 digests", document.replace("2000/09/xmldsig#sha1", "2001/04/xmlenc#sha256")),
        (
            "XPath",
            document.replace(
                "<ds:Transform Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\">",
                "<ds:Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xpath-19991116\">",
            ),
        ),
    ];
    for (what, attack) in attacks {
        assert_ne!(attack, document, "{what}");
        let judged = judge(&security, attack.as_bytes());
        assert!(judged.is_err(), "{what}");
    }
}

/// Whatever happens to a signed message on its way, it is refused, or its headers say what they said.
/// The Body may say anything: that is what this profile does not protect.
#[test]
fn random_damage_is_refused_or_leaves_the_headers_alone() {
    const DAMAGED: usize = 4000;
    let security = node();
    let original = recorded();
    let (whole, _) = judge(&security, original.as_bytes()).expect("as recorded");
    let snippets =
        ["<", ">", "<!-- -->", "<a/>", "&amp;", " ", "\n", "<![CDATA[", "]]>", " xmlns='u'", "\u{e9}", "=\""];
    let mut rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut below = |n: usize| rng.next_u32() as usize % n;
    let (mut refused, mut harmless) = (0, 0);
    for _ in 0..DAMAGED {
        let mut damaged = original.clone().into_bytes();
        let at = below(damaged.len());
        match below(4) {
            0 => damaged[at] ^= 1 << below(8),
            1 => drop(damaged.drain(at..(at + 1 + below(40)).min(original.len()))),
            2 => drop(damaged.splice(at..at, snippets[below(snippets.len())].bytes())),
            _ => {
                let from = below(original.len());
                let to = (from + 1 + below(300)).min(original.len());
                drop(damaged.splice(at..at, original.as_bytes()[from..to].iter().copied()));
            }
        }
        match judge(&security, &damaged) {
            Err(_) => refused += 1,
            Ok((envelope, _)) => {
                harmless += 1;
                let said = |envelope: &Envelope| {
                    (
                        envelope.to.clone(),
                        envelope.action.clone(),
                        envelope.message_id.clone(),
                        envelope.relates_to.clone(),
                    )
                };
                assert_eq!(said(&envelope), said(&whole), "{}", String::from_utf8_lossy(&damaged));
                assert_eq!(envelope.body_name.local, "ncRebootInstance");
            }
        }
    }
    assert!(refused > 1000 && harmless > 50, "{refused} {harmless}");
}
