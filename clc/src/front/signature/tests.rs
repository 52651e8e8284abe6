//! Signatures made by the real libraries and recorded from the real clients, and hostile variants.

use jiff::Timestamp;
use serde_json::Value;

use super::*;
use crate::front::form::pairs;

const PYTHON_3: &str = include_str!("../../../../tests/vectors/sig-py3.json");
const PYTHON_2: &str = include_str!("../../../../tests/vectors/sig-py2.json");
const CLIENTS: &str = include_str!("../../../../tests/vectors/ec2-clients.jsonl");

/// Key and secret that all vectors and recordings were made with; neither was ever anybody's.
const KEY: &str = "AKIAFAKEFAKEFAKE0001";
const SECRET: &str = "fakeSecretKeyFAKEfakeSecretKeyFAKE01";

struct Recorded {
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Recorded {
    fn new(request: &Value) -> Self {
        let line = request["request_line"].as_str().unwrap();
        let mut words = line.split(' ');
        let (method, target) = (words.next().unwrap(), words.next().unwrap());
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let text = |value: &Value| value.as_str().unwrap().to_string();
        let header = |pair: &Value| (text(&pair[0]).to_ascii_lowercase(), text(&pair[1]));
        Self {
            method: method.into(),
            path: path.into(),
            query: query.into(),
            headers: request["headers"].as_array().unwrap().iter().map(header).collect(),
            body: text(&request["body"]),
        }
    }

    fn message(&self) -> Message<'_> {
        Message {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers: &self.headers,
            body: self.body.as_bytes(),
        }
    }

    fn params(&self) -> Params {
        let mut params = Params::default();
        let body = if self.method == "POST" { pairs(&self.body).unwrap() } else { Vec::new() };
        for (name, value) in pairs(&self.query).unwrap().into_iter().chain(body) {
            params.insert(name, value).unwrap();
        }
        params
    }

    fn verify(&self, now: Timestamp) -> Result<Verified, Refused> {
        self.verify_by(now, false)
    }

    fn verify_by(&self, now: Timestamp, version_1: bool) -> Result<Verified, Refused> {
        let claim = Claim::read(&self.message(), &self.params(), version_1)?;
        if claim.access_key_id != KEY {
            return Err(Refused::UnknownKey);
        }
        claim.verify(SECRET, now)
    }
}

/// The word by which the vectors call an outcome.
fn word(outcome: &Result<Verified, Refused>) -> &'static str {
    match outcome {
        Ok(_) => "accept",
        Err(Refused::Missing) => "MissingAuthenticationToken",
        Err(Refused::Malformed(_)) => "IncompleteSignature",
        Err(Refused::MalformedUrl(_)) => "AuthorizationQueryParametersError",
        Err(Refused::Scheme(_)) => "scheme",
        Err(Refused::UnknownKey | Refused::Early(_)) => "AuthFailure",
        Err(Refused::Mismatch(_)) => "SignatureDoesNotMatch",
        Err(Refused::Expired(_)) => "RequestExpired",
    }
}

fn vectors() -> Vec<Value> {
    [PYTHON_3, PYTHON_2]
        .iter()
        .flat_map(|text| serde_json::from_str::<Value>(text).unwrap()["vectors"].as_array().unwrap().clone())
        .collect()
}

#[test]
fn every_vector_has_its_outcome() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 36);
    for vector in vectors {
        let name = vector["name"].as_str().unwrap();
        let now = vector["now"].as_str().unwrap().parse().unwrap();
        let outcome = Recorded::new(&vector["request"]).verify_by(now, true);
        assert_eq!(word(&outcome), vector["expect"].as_str().unwrap(), "{name}: {outcome:?}");
        if name.starts_with("v1-") {
            let outcome = Recorded::new(&vector["request"]).verify(now);
            assert_eq!(word(&outcome), "scheme", "{name} where it is not asked for");
        }
    }
}

#[test]
fn strings_to_sign_are_those_of_the_libraries() {
    for vector in vectors() {
        let Some(expected) = vector["intermediate"]["string_to_sign"].as_str() else { continue };
        let recorded = Recorded::new(&vector["request"]);
        let claim = Claim::read(&recorded.message(), &recorded.params(), true).unwrap();
        assert_eq!(claim.strings[0], expected, "{}", vector["name"]);
    }
}

#[test]
fn every_recorded_request_of_every_client_verifies() {
    let mut refused = Vec::new();
    let mut seen = 0;
    for line in CLIENTS.lines() {
        let request: Value = serde_json::from_str(line).unwrap();
        let recorded = Recorded::new(&request);
        if recorded.body.contains("Envelope") {
            continue;
        }
        if let Err(reason) = recorded.verify(signed_at(&recorded)) {
            refused.push(format!("{} {} {}: {reason:?}", request["label"], recorded.method, request["action"]));
        }
        seen += 1;
    }
    assert!(seen > 100, "only {seen} requests");
    // A URL that boto3 presigned for POST and that was then fetched with GET.
    assert_eq!(refused, [r#""boto3" GET "DescribeInstances": Mismatch("the signature is another")"#]);
}

/// The clock of a recorded request: that of its client.
fn signed_at(recorded: &Recorded) -> Timestamp {
    let params = recorded.params();
    let header = recorded.headers.iter().find(|(name, _)| name == "x-amz-date").map(|(_, value)| value.as_str());
    let text = header.or(params.optional("Timestamp")).or(params.optional("X-Amz-Date")).unwrap();
    let digits: String = text.chars().filter(char::is_ascii_digit).take(14).collect();
    let at = |range: std::ops::Range<usize>| &digits[range];
    format!("{}-{}-{}T{}:{}:{}Z", at(0..4), at(4..6), at(6..8), at(8..10), at(10..12), at(12..14)).parse().unwrap()
}

/// A good V4 request to spoil.
fn good() -> (Recorded, Timestamp) {
    let vector = vectors().into_iter().find(|vector| vector["name"] == "v4-post-min").unwrap();
    (Recorded::new(&vector["request"]), vector["now"].as_str().unwrap().parse().unwrap())
}

fn spoiled(spoil: impl FnOnce(&mut Recorded)) -> &'static str {
    let (mut recorded, now) = good();
    spoil(&mut recorded);
    word(&recorded.verify(now))
}

fn set(recorded: &mut Recorded, name: &str, change: impl Fn(&str) -> String) {
    for (other, value) in &mut recorded.headers {
        if other == name {
            *value = change(value);
        }
    }
}

#[test]
fn a_request_changed_on_the_way_does_not_pass() {
    assert_eq!(spoiled(|r| r.method = "GET".into()), "SignatureDoesNotMatch");
    assert_eq!(spoiled(|r| r.path.push('/')), "SignatureDoesNotMatch");
    assert_eq!(spoiled(|r| r.query = "DryRun=true".into()), "SignatureDoesNotMatch");
    assert_eq!(spoiled(|r| r.body.push_str("&Force=true")), "SignatureDoesNotMatch");
    assert_eq!(spoiled(|r| set(r, "host", |_| "other:8773".into())), "SignatureDoesNotMatch");
    assert_eq!(spoiled(|r| r.headers.push(("x-amz-target".into(), "x".into()))), "SignatureDoesNotMatch");
    assert_eq!(
        spoiled(|r| r.headers.push(("x-amz-content-sha256".into(), "UNSIGNED-PAYLOAD".into()))),
        "SignatureDoesNotMatch"
    );
    assert_eq!(spoiled(|r| r.headers.retain(|(name, _)| name != "content-type")), "SignatureDoesNotMatch");
    assert_eq!(spoiled(|r| set(r, "authorization", |v| v.to_uppercase())), "IncompleteSignature");
}

#[test]
fn broken_authorization_headers_are_named_as_such() {
    assert_eq!(spoiled(|r| r.headers.retain(|(name, _)| name != "authorization")), "MissingAuthenticationToken");
    assert_eq!(spoiled(|r| r.headers.push(("authorization".into(), "x".into()))), "IncompleteSignature");
    assert_eq!(spoiled(|r| r.headers.retain(|(name, _)| name != "x-amz-date")), "IncompleteSignature");
    assert_eq!(spoiled(|r| set(r, "authorization", |_| "AWS4-HMAC-SHA256".into())), "IncompleteSignature");
    assert_eq!(
        spoiled(|r| set(r, "authorization", |v| v.replace("Credential=", "Credential=/"))),
        "IncompleteSignature"
    );
    assert_eq!(spoiled(|r| set(r, "authorization", |v| format!("{v}, Signature=0"))), "IncompleteSignature");
    assert_eq!(spoiled(|r| set(r, "authorization", |v| v.replace("host;", "host;host;"))), "IncompleteSignature");
    assert_eq!(spoiled(|r| set(r, "x-amz-date", |_| "20261120T09000Z".into())), "IncompleteSignature");
    assert_eq!(spoiled(|r| set(r, "authorization", |_| "Basic YTpi".into())), "scheme");
}

#[test]
fn blanks_in_the_header_do_not_matter() {
    assert_eq!(spoiled(|r| set(r, "authorization", |v| v.replace(", ", ","))), "accept");
    assert_eq!(spoiled(|r| set(r, "content-type", |v| format!("  {}  ", v.replace(' ', "   ")))), "accept");
}

#[test]
fn the_clock_may_be_off_by_less_than_fifteen_minutes() {
    let (recorded, now) = good();
    let at = |minutes: i64| word(&recorded.verify(now + SignedDuration::from_mins(minutes)));
    assert_eq!((at(14), at(15), at(-15), at(-16)), ("accept", "RequestExpired", "accept", "AuthFailure"));
}

#[test]
fn version_2_may_be_signed_without_the_port() {
    let mut recorded =
        Recorded::new(&vectors().into_iter().find(|v| v["name"] == "v2-post-requestbuilder").unwrap()["request"]);
    let now = signed_at(&recorded);
    let claim = Claim::read(&recorded.message(), &recorded.params(), true).unwrap();
    let bare = v2::Method::HmacSha256.sign(SECRET, &claim.strings[1]);
    let sent = claim.signature.clone();
    let encode = crate::front::form::encode;
    recorded.body = recorded.body.replace(&encode(&sent), &encode(&bare));
    assert!(claim.strings[1].contains("\n127.0.0.1\n"));
    assert_eq!(word(&recorded.verify(now)), "accept");
}

#[test]
fn an_end_of_its_own_holds_and_ends() {
    let signed_until = |end: &str| {
        let params = [
            ("AWSAccessKeyId", KEY),
            ("SignatureVersion", "2"),
            ("SignatureMethod", "HmacSHA256"),
            ("Expires", end),
            ("Signature", "?"),
        ];
        let headers = [("host".to_string(), "h".to_string())];
        let message = Message { method: "GET", path: "/", query: "", headers: &headers, body: b"" };
        let mut claim = Claim::read(&message, &Params::try_from(&params[..]).unwrap(), false).unwrap();
        claim.signature = v2::Method::HmacSha256.sign(SECRET, &claim.strings[0]);
        claim
    };
    let now: Timestamp = "2026-11-20T09:00:00Z".parse().unwrap();
    assert_eq!(word(&signed_until("2026-11-21T09:00:00Z").verify(SECRET, now)), "accept");
    assert_eq!(word(&signed_until("2026-11-20T08:59:59Z").verify(SECRET, now)), "RequestExpired");
}

#[test]
fn version_1_signs_names_and_values_in_an_order_without_case() {
    let vector = vectors().into_iter().find(|vector| vector["name"] == "v1-get-boto-1.9b").unwrap();
    let now: Timestamp = vector["now"].as_str().unwrap().parse().unwrap();
    let spoiled = |from: &str, to: &str| {
        let mut recorded = Recorded::new(&vector["request"]);
        assert!(recorded.query.contains(from), "{}", recorded.query);
        recorded.query = recorded.query.replace(from, to);
        word(&recorded.verify_by(now, true))
    };
    assert_eq!(spoiled("InstanceId.1=", "InstanceId.1="), "accept");
    assert_eq!(spoiled("DescribeInstances", "RebootInstances"), "SignatureDoesNotMatch");
    assert_eq!(spoiled("2026-11-20", "2026-11-21"), "SignatureDoesNotMatch");
    assert_eq!(spoiled("SignatureVersion=1", "SignatureVersion=0"), "scheme");
    let late = now + SignedDuration::from_mins(16);
    assert_eq!(word(&Recorded::new(&vector["request"]).verify_by(late, true)), "RequestExpired");
}
