//! What is signed, what is believed, and every attack that must fail.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::*;
use crate::envelope::{Limits, Outgoing, read, write};

const NOON: &str = "2026-11-20T12:00:00Z";
const URL: &str = "http://n1:8775/axis2/services/EucalyptusNC";

/// A caller and a server that trusts it, by the same clock.
struct Pair {
    clock: Clock,
    caller: Security,
    server: Security,
}

fn pair_of(identity: Identity) -> Pair {
    let clock = Clock::manual(NOON.parse().expect("a time"));
    let caller = Security::new(Arc::new(identity), Profile::Strict, clock.clone());
    let own = Identity::generate("server").expect("a key");
    let server = Security::new(Arc::new(own), Profile::Strict, clock.clone());
    server.trust(vec![caller.identity().certificate().clone()]);
    caller.trust(vec![server.identity().certificate().clone()]);
    Pair { clock, caller, server }
}

fn pair() -> Pair {
    pair_of(Identity::generate("caller").expect("a key"))
}

fn request() -> Outgoing<'static> {
    Outgoing {
        to: Some(URL),
        action: Some("EucalyptusNC#ncRebootInstance"),
        message_id: Some("urn:uuid:1"),
        body: "<n:ncRebootInstance xmlns:n='http://eucalyptus.ucsb.edu/'><n:instanceId>i-1A2B3C4D</n:instanceId></n:ncRebootInstance>",
        ..Outgoing::default()
    }
}

impl Pair {
    fn signed(&self, outgoing: &Outgoing<'_>) -> String {
        write(outgoing, Some(&self.caller.signer())).expect("well formed")
    }

    fn serve(&self, document: &str) -> Result<Verified, SecurityError> {
        let envelope = read(document.as_bytes(), &Limits::default()).expect(document);
        self.server.verify(&envelope, Expect::Request)
    }

    /// Signs a request, lets `change` alter it on its way, and returns why it was not believed.
    fn attacked(&self, change: impl Fn(&str) -> String) -> SecurityError {
        let signed = self.signed(&request());
        let changed = change(&signed);
        assert_ne!(signed, changed, "the attack changed nothing");
        self.serve(&changed).expect_err(&changed)
    }
}

fn between<'t>(text: &'t str, from: &str, to: &str) -> &'t str {
    let start = text.find(from).expect(from);
    let length = text[start..].find(to).expect(to) + to.len();
    &text[start..start + length]
}

#[test]
fn a_signed_request_is_believed_once() {
    for identity in [Identity::generate("ecdsa"), Identity::generate_rsa("rsa")] {
        let pair = pair_of(identity.expect("a key"));
        let document = pair.signed(&request());
        let verified = pair.serve(&document).expect("genuine");
        assert_eq!(&verified.certificate, pair.caller.identity().certificate());
        assert_eq!(pair.serve(&document), Err(SecurityError::Replayed));
        let envelope = read(document.as_bytes(), &Limits::default()).expect("an envelope");
        assert!(pair.server.verify(&envelope, Expect::Reading).is_ok());
    }
}

#[test]
fn a_reply_belongs_to_its_request() {
    let pair = pair();
    let reply = Outgoing { relates_to: Some("urn:uuid:1"), reason: Some("busy"), body: "<r/>", ..Outgoing::default() };
    let document = write(&reply, Some(&pair.server.signer())).expect("well formed");
    let envelope = read(document.as_bytes(), &Limits::default()).expect("an envelope");
    let other = pair.caller.verify(&envelope, Expect::Reply { to: "urn:uuid:2" });
    assert!(matches!(other, Err(SecurityError::Unexpected(_))), "{other:?}");
    assert!(pair.caller.verify(&envelope, Expect::Reply { to: "urn:uuid:1" }).is_ok());
    assert_eq!(pair.caller.verify(&envelope, Expect::Reply { to: "urn:uuid:1" }), Err(SecurityError::Replayed));
}

#[test]
fn an_unsigned_message_is_refused() {
    let pair = pair();
    let document = write(&request(), None).expect("well formed");
    assert_eq!(pair.serve(&document), Err(SecurityError::Missing("Security header")));
    let fault = Fault::from(SecurityError::Missing("Security header"));
    assert_eq!(fault.reason, "the message has no Security header; it must be signed by WS-Security X.509");
}

#[test]
fn only_pinned_certificates_are_accepted() {
    let pair = pair();
    let stranger = Identity::generate("caller").expect("a key");
    let document = write(&request(), Some(&Signer::new(&stranger, pair.clock.now()))).expect("well formed");
    assert_eq!(pair.serve(&document), Err(SecurityError::Untrusted(stranger.fingerprint())));
    pair.server.trust(vec![stranger.certificate().clone()]);
    assert!(pair.serve(&document).is_ok());
    pair.server.trust(Vec::new());
    assert!(matches!(pair.serve(&pair.signed(&request())), Err(SecurityError::Untrusted(_))));
}

#[test]
fn messages_live_between_a_minute_ahead_and_five_minutes() {
    let cases = [(-61, false), (-60, true), (0, true), (299, true), (300, false)];
    for (seconds, believed) in cases {
        let pair = pair();
        let created = pair.clock.now();
        let signer = Signer::new(pair.caller.identity(), created);
        let document = write(&request(), Some(&signer)).expect("well formed");
        let start: Timestamp = created.saturating_add(SignedDuration::from_secs(seconds)).expect("a time");
        let server = Security::new(pair.server.identity().clone(), Profile::Strict, Clock::manual(start));
        server.trust(vec![pair.caller.identity().certificate().clone()]);
        let envelope = read(document.as_bytes(), &Limits::default()).expect("an envelope");
        let result = server.verify(&envelope, Expect::Request);
        assert_eq!(result.is_ok(), believed, "{seconds}: {result:?}");
        assert!(believed || matches!(result, Err(SecurityError::Clock(_))));
    }
}

#[test]
fn every_signed_part_is_protected() {
    for (old, new) in [
        ("i-1A2B3C4D", "i-00000000"),
        (">http://n1:8775", ">http://n2:8775"),
        (">urn:uuid:1<", ">urn:uuid:2<"),
        ("12:05:00Z", "12:04:59Z"),
    ] {
        let error = pair().attacked(|document| document.replace(old, new));
        assert!(matches!(error, SecurityError::Broken(_)), "{old}: {error:?}");
    }
    // The Action is signed too, and must agree with the Body besides.
    let error = pair().attacked(|document| document.replace(">EucalyptusNC#", ">EucalyptusCC#"));
    assert!(matches!(error, SecurityError::Broken(_)), "{error:?}");
    let pair = pair();
    let other = Outgoing { action: Some("EucalyptusNC#ncTerminateInstance"), ..request() };
    assert!(matches!(pair.serve(&pair.signed(&other)), Err(SecurityError::Unexpected(_))));
    for missing in [
        Outgoing { action: None, ..request() },
        Outgoing { to: None, ..request() },
        Outgoing { message_id: None, ..request() },
    ] {
        assert!(matches!(pair.serve(&pair.signed(&missing)), Err(SecurityError::Missing(_))));
    }
}

#[test]
fn blocks_that_are_used_cannot_be_slipped_in_unsigned() {
    for block in [
        "<a:RelatesTo xmlns:a='http://www.w3.org/2005/08/addressing'>urn:uuid:9</a:RelatesTo>",
        "<i:Reason xmlns:i='urn:ironbark:1' text='none'/>",
        "<i:Epochs xmlns:i='urn:ironbark:1' of='i-3C5A0732:9'/>",
    ] {
        let error =
            pair().attacked(|document| document.replace("<soapenv:Header>", &format!("<soapenv:Header>{block}")));
        assert!(matches!(error, SecurityError::NotSigned(_)), "{error:?}");
    }
}

#[test]
fn moved_parts_are_not_found() {
    // The signed Body goes into a header block, another takes its place.
    let error = pair().attacked(|document| {
        let body = between(document, "<soapenv:Body", "</soapenv:Body>");
        let evil = "<soapenv:Body><ncTerminateInstance xmlns='http://eucalyptus.ucsb.edu/'/></soapenv:Body>";
        let moved = document.replace(body, evil);
        moved.replace("<soapenv:Header>", &format!("<soapenv:Header><w>{body}</w>"))
    });
    assert!(matches!(error, SecurityError::Reference(_)), "{error:?}");
    // The same as a direct block of the Header, where a reference may point: still not the Body.
    let error = pair().attacked(|document| {
        let body = between(document, "<soapenv:Body", "</soapenv:Body>");
        let moved = document.replace(body, "<soapenv:Body><op/></soapenv:Body>");
        moved.replace("<soapenv:Header>", &format!("<soapenv:Header>{body}"))
    });
    assert_eq!(error, SecurityError::NotSigned("the Body".to_string()));
    // The signed Timestamp goes into a block, a fresh one takes its place.
    let error = pair().attacked(|document| {
        let timestamp = between(document, "<wsu:Timestamp", "</wsu:Timestamp>");
        let fresh = timestamp.replace("id-Timestamp", "fresh");
        document.replace(timestamp, &fresh).replace("<soapenv:Header>", &format!("<soapenv:Header><w>{timestamp}</w>"))
    });
    assert!(matches!(error, SecurityError::Reference(_)), "{error:?}");
}

#[test]
fn second_parts_are_refused() {
    for (from, to) in [
        ("<wsu:Timestamp", "</wsu:Timestamp>"),
        ("<ds:Signature ", "</ds:Signature>"),
        ("<wsse:BinarySecurityToken", "</wsse:BinarySecurityToken>"),
    ] {
        let error = pair().attacked(|document| {
            let part = between(document, from, to);
            let second = part.replace("wsu:Id=\"id-", "wsu:Id=\"second-");
            document.replace(part, &format!("{part}{second}"))
        });
        assert!(matches!(&error, SecurityError::Malformed(problem) if problem.contains("a second")), "{error:?}");
    }
    let pair = pair();
    let document = pair.signed(&request());
    let security = between(&document, "<wsse:Security ", "</wsse:Security>");
    let empty = "<wsse:Security xmlns:wsse=\"http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd\"/>";
    let two = document.replace(security, &format!("{security}{empty}"));
    let fault = read(two.as_bytes(), &Limits::default()).expect_err("two Security headers");
    assert!(fault.reason.contains("a second Security header"), "{}", fault.reason);
}

#[test]
fn the_signature_must_be_of_the_accepted_shape() {
    let reference = |document: &str| between(document, "<ds:Reference URI=\"#id-Body\"", "</ds:Reference>").to_string();
    type Attack = Box<dyn Fn(&str) -> String>;
    let cases: Vec<(&str, Attack)> = vec![
        ("unsigned Body", Box::new(move |d| d.replace(&reference(d), ""))),
        ("twice", Box::new(move |d| d.replace(&reference(d), &reference(d).repeat(2)))),
        ("empty URI", Box::new(|d| d.replace("URI=\"#id-To\"", "URI=\"\""))),
        ("foreign URI", Box::new(|d| d.replace("URI=\"#id-To\"", "URI=\"http://x/\""))),
        ("other c14n", Box::new(|d| d.replace("xml-exc-c14n#\"></ds:C", "xml-exc-c14n#WithComments\"></ds:C"))),
        ("XSLT", Box::new(|d| d.replace("2001/10/xml-exc-c14n#\"></ds:T", "TR/1999/REC-xslt-19991116\"></ds:T"))),
        ("SHA-1", Box::new(|d| d.replace("2001/04/xmlenc#sha256", "2000/09/xmldsig#sha1"))),
        ("HMAC", Box::new(|d| d.replace("2001/04/xmldsig-more#ecdsa-sha256", "2000/09/xmldsig#hmac-sha1"))),
        ("wrong method", Box::new(|d| d.replace("#ecdsa-sha256", "#rsa-sha256"))),
        ("rsa-sha1", Box::new(|d| d.replace("2001/04/xmldsig-more#ecdsa-sha256", "2000/09/xmldsig#rsa-sha1"))),
        ("other token", Box::new(|d| d.replace("<wsse:Reference URI=\"#id-Token\"", "<wsse:Reference URI=\"#id-To\""))),
        ("no token", Box::new(|d| d.replace(between(d, "<wsse:BinarySec", "</wsse:BinarySecurityToken>"), ""))),
        ("no Timestamp", Box::new(|d| d.replace(between(d, "<wsu:Timestamp", "</wsu:Timestamp>"), ""))),
        ("no Expires", Box::new(|d| d.replace(between(d, "<wsu:Expires", "</wsu:Expires>"), ""))),
        ("no time", Box::new(|d| d.replace("2026-11-20T12:05:00Z", "tomorrow"))),
        ("stranger", Box::new(|d| d.replace("</wsse:Security>", "<x/></wsse:Security>"))),
        ("text", Box::new(|d| d.replace("<ds:KeyInfo>", "<ds:KeyInfo>x"))),
        ("no value", Box::new(|d| d.replace(between(d, "<ds:SignatureValue>", "</ds:SignatureValue>"), ""))),
        ("bad base64", Box::new(|d| d.replace("<ds:SignatureValue>", "<ds:SignatureValue>!"))),
        (
            "empty value",
            Box::new(|d| {
                d.replace(
                    between(d, "<ds:SignatureValue>", "</ds:SignatureValue>"),
                    "<ds:SignatureValue></ds:SignatureValue>",
                )
            }),
        ),
    ];
    for (what, attack) in cases {
        let error = pair().attacked(attack);
        assert!(!matches!(error, SecurityError::Replayed | SecurityError::Busy), "{what}: {error:?}");
    }
}

#[test]
fn the_other_ecdsa_signature_of_a_message_is_a_replay() {
    let pair = pair();
    let document = pair.signed(&request());
    assert!(pair.serve(&document).is_ok());
    let value = between(&document, "<ds:SignatureValue>", "</ds:SignatureValue>");
    let encoded = value.trim_start_matches("<ds:SignatureValue>").trim_end_matches("</ds:SignatureValue>");
    let mut signature = STANDARD.decode(encoded).expect("base64");
    // The order of P-256; s becomes order - s.
    let order: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad,
        0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let mut borrow = 0;
    for at in (0..32).rev() {
        let difference = i16::from(order[at]) - i16::from(signature[32 + at]) - borrow;
        borrow = i16::from(difference < 0);
        signature[32 + at] = u8::try_from(difference.rem_euclid(256)).expect("a byte");
    }
    let other = document.replace(encoded, &STANDARD.encode(&signature));
    assert_ne!(other, document);
    assert_eq!(pair.serve(&other), Err(SecurityError::Replayed));
    // It is a valid signature: a server that has not seen the message takes it.
    let fresh = Security::new(pair.server.identity().clone(), Profile::Strict, pair.clock.clone());
    fresh.trust(vec![pair.caller.identity().certificate().clone()]);
    let envelope = read(other.as_bytes(), &Limits::default()).expect("an envelope");
    assert!(fresh.verify(&envelope, Expect::Request).is_ok());
}

#[test]
fn a_message_for_another_address_is_refused() {
    let pair = pair();
    let trusting = |address: &str| {
        let server =
            Security::new(pair.server.identity().clone(), Profile::Strict, pair.clock.clone()).addressed(address);
        server.trust(vec![pair.caller.identity().certificate().clone()]);
        server
    };
    let document = pair.signed(&request());
    let envelope = read(document.as_bytes(), &Limits::default()).expect("an envelope");
    let other = trusting("http://n2:8775/axis2/services/EucalyptusNC").verify(&envelope, Expect::Request);
    assert!(matches!(other, Err(SecurityError::Unexpected(_))), "{other:?}");
    assert!(trusting(URL).verify(&envelope, Expect::Request).is_ok());
}

#[test]
fn what_is_not_believed_is_not_remembered() {
    let pair = pair();
    let document = pair.signed(&request());
    let broken = document.replace("i-1A2B3C4D", "i-00000000");
    assert!(pair.serve(&broken).is_err());
    assert!(pair.serve(&document).is_ok());
}

fn vectors() -> (std::path::PathBuf, Value) {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/wssec");
    let text = std::fs::read_to_string(dir.join("wssec.json")).expect("tests/vectors/wssec/wssec.json");
    (dir, serde_json::from_str(&text).expect("JSON"))
}

fn cloud_door(clock: &Value) -> Security {
    let now: Timestamp = clock.as_str().expect("a time").parse().expect("a time");
    Security::new(Arc::new(Identity::generate("cloud").expect("a key")), Profile::User, Clock::manual(now))
}

#[test]
fn every_vector_of_the_ec2_door_is_judged_right() {
    let (dir, vectors) = vectors();
    let owner = Certificate::from_pem(vectors["cert_pem"].as_str().expect("PEM")).expect("a certificate");
    let cases = vectors["cases"].as_array().expect("cases");
    assert_eq!(cases.len(), 20);
    for case in cases {
        let (name, accept) = (case["name"].as_str().expect("a name"), case["accept"] == true);
        let bytes = std::fs::read(dir.join(case["file"].as_str().expect("a file"))).expect(name);
        let door = cloud_door(&case["server_clock"]);
        let envelope = match read(&bytes, &Limits::default()) {
            Ok(envelope) => envelope,
            Err(fault) => {
                assert!(!accept, "{name}: {fault}");
                continue;
            }
        };
        for (kind, key) in [(crate::envelope::Kind::Body, "body"), (crate::envelope::Kind::Timestamp, "ts")] {
            let part = envelope.parts.iter().find(|part| part.kind == kind);
            if let (Some(expected), Some(part), true) = (case["detail"][key]["c14n_octets"].as_str(), part, accept) {
                assert_eq!(part.canonical, expected, "{name}: {key}");
            }
        }
        match door.verify(&envelope, Expect::Request) {
            Ok(verified) => {
                assert!(accept, "{name} was accepted: {}", case["why"]);
                assert_eq!(verified.certificate, owner, "{name}");
                assert_eq!(door.verify(&envelope, Expect::Request), Err(SecurityError::Replayed), "{name}");
            }
            Err(error) => assert!(!accept, "{name} was refused: {error}"),
        }
        if name == "edge-comment-splits-text" {
            assert!(envelope.body.contains("<instanceId>i-1a2b3c4d</instanceId>"), "{}", envelope.body);
        }
    }
}

#[test]
fn recorded_clients_are_understood() {
    let (dir, vectors) = vectors();
    for client in vectors["clients"].as_array().expect("clients") {
        let name = client["name"].as_str().expect("a name");
        let bytes = std::fs::read(dir.join(client["file"].as_str().expect("a file"))).expect(name);
        let envelope = read(&bytes, &Limits::default()).expect(name);
        let door = cloud_door(&client["server_clock"]);
        let result = door.verify(&envelope, Expect::Request);
        assert!(result.is_ok(), "{name}: {result:?}");
    }
}

/// Whatever happens to a signed message on its way, it is refused, or what it says is unchanged.
#[test]
fn random_damage_is_refused_or_changes_nothing() {
    const DAMAGED: usize = 3000;
    let pair = pair();
    let original = pair.signed(&Outgoing { reason: Some("none"), ..request() });
    let whole = read(original.as_bytes(), &Limits::default()).expect("an envelope");
    let snippets = [
        "<",
        ">",
        "<!-- -->",
        "<a/>",
        "&amp;",
        " ",
        "\n",
        "<![CDATA[",
        "]]>",
        " xmlns='u'",
        "wsu:Id='id-Body'",
        "\u{e9}",
    ];
    let mut rng = proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha);
    let mut below = |n: usize| proptest::prelude::Rng::next_u32(&mut rng) as usize % n;
    let (mut unreadable, mut refused, mut harmless) = (0, 0, 0);
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
        let Ok(envelope) = read(&damaged, &Limits::default()) else {
            unreadable += 1;
            continue;
        };
        if pair.server.verify(&envelope, Expect::Reading).is_err() {
            refused += 1;
            continue;
        }
        harmless += 1;
        let said = |envelope: &Envelope| {
            let Envelope { body, body_name, to, action, message_id, relates_to, reason, .. } = envelope;
            format!("{body}{body_name:?}{to:?}{action:?}{message_id:?}{relates_to:?}{reason:?}")
        };
        assert_eq!(said(&envelope), said(&whole), "{}", String::from_utf8_lossy(&damaged));
    }
    assert!(unreadable > 100 && refused > 100 && harmless > 10, "{unreadable} {refused} {harmless}");
}
