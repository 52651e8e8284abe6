//! Signature version 4, in the `Authorization` header or in the URL. The scope's region and service
//! are taken as they come: clients put in what they cut out of our host name, and the key is derived
//! from it anyway.

use aws_lc_rs::{digest, hmac};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::{Claim, Message, Refused, SKEW, Scheme, Window, shifted};
use crate::front::form::{decode, encode, encode_keeping, pairs};

/// What the header begins with, and what `X-Amz-Algorithm` is.
pub(super) const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// How long a presigned URL may hold, in seconds: a week.
const MAX_EXPIRES: i64 = 604_800;

/// The credential scope, as sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scope {
    date: String,
    region: String,
    service: String,
}

impl Scope {
    /// The signature as it is sent: lower-case hex.
    pub(super) fn sign(&self, secret: &str, string: &str) -> String {
        let mut key = format!("AWS4{secret}").into_bytes();
        for part in [self.date.as_str(), &self.region, &self.service, "aws4_request", string] {
            key = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), part.as_bytes()).as_ref().to_vec();
        }
        hex(&key)
    }
}

/// What both forms of V4 bring.
struct Fields<'a> {
    credential: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
    /// `20261120T090000Z`
    date: String,
}

/// Reads the header's fields, what stands behind the algorithm.
pub(super) fn from_header(message: &Message<'_>, fields: &str) -> Result<Claim, Refused> {
    let (mut credential, mut signed_headers, mut signature) = (None, None, None);
    for field in fields.split(',').map(str::trim).filter(|field| !field.is_empty()) {
        let (name, value) = field.split_once('=').ok_or_else(|| malformed("must be a list of NAME=VALUE"))?;
        let slot = match name {
            "Credential" => &mut credential,
            "SignedHeaders" => &mut signed_headers,
            "Signature" => &mut signature,
            _ => return Err(malformed("has a field that is not Credential, SignedHeaders or Signature")),
        };
        if slot.replace(value).is_some() {
            return Err(malformed("has a field more than once"));
        }
    }
    let (date, signed) = date_of_header(message)?;
    let fields = Fields {
        credential: credential.ok_or_else(|| malformed("has no Credential"))?,
        signed_headers: signed_headers.ok_or_else(|| malformed("has no SignedHeaders"))?,
        signature: signature.ok_or_else(|| malformed("has no Signature"))?,
        date,
    };
    claim(message, &fields, Window::around(signed), false)
}

/// Reads the parameters of a presigned URL.
pub(super) fn from_url(message: &Message<'_>) -> Result<Claim, Refused> {
    let broken = |text: &str| Refused::MalformedUrl(text.to_string());
    let query = pairs(message.query).map_err(|_| broken("The URL is not properly encoded"))?;
    let field = |name: &str| {
        let value = query.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str());
        value.ok_or_else(|| broken(&format!("The URL has no parameter {name}")))
    };
    if field("X-Amz-Algorithm")? != ALGORITHM {
        return Err(broken(&format!("X-Amz-Algorithm must be {ALGORITHM}")));
    }
    let expires: i64 = field("X-Amz-Expires")?.parse().unwrap_or(0);
    if !(1..=MAX_EXPIRES).contains(&expires) {
        return Err(broken(&format!("X-Amz-Expires must be a number of seconds from 1 to {MAX_EXPIRES}")));
    }
    let date = field("X-Amz-Date")?.to_string();
    let signed = basic_time(&date).ok_or_else(|| broken("X-Amz-Date must be a time such as 20261120T090000Z"))?;
    let fields = Fields {
        credential: field("X-Amz-Credential")?,
        signed_headers: field("X-Amz-SignedHeaders")?,
        signature: field("X-Amz-Signature")?,
        date,
    };
    let window = Window { from: shifted(signed, -SKEW), until: shifted(signed, SignedDuration::from_secs(expires)) };
    claim(message, &fields, window, true)
}

fn claim(message: &Message<'_>, fields: &Fields<'_>, window: Window, presigned: bool) -> Result<Claim, Refused> {
    let (access_key_id, scope) = credential(fields.credential)?;
    if !fields.date.starts_with(&scope.date) || scope.date.len() != 8 {
        return Err(Refused::Mismatch("the credential's date is not the request's"));
    }
    let body = hex(digest::digest(&digest::SHA256, message.body).as_ref());
    if message.header("x-amz-content-sha256").any(|sent| sent.trim() != body) {
        return Err(Refused::Mismatch("the body is not the one of X-Amz-Content-SHA256"));
    }
    let headers = canonical_headers(message, fields.signed_headers)?;
    let request = format!(
        "{}\n{}\n{}\n{headers}\n{}\n{body}",
        message.method,
        canonical_path(message.path)?,
        canonical_query(message.query)?,
        fields.signed_headers,
    );
    let Scope { date, region, service } = &scope;
    let digest = hex(digest::digest(&digest::SHA256, request.as_bytes()).as_ref());
    let string = format!("{ALGORITHM}\n{}\n{date}/{region}/{service}/aws4_request\n{digest}", fields.date);
    Ok(Claim {
        access_key_id,
        presigned,
        scheme: Scheme::V4(scope),
        strings: vec![string],
        signature: fields.signature.to_string(),
        window,
    })
}

/// `KEY/DATE/REGION/SERVICE/aws4_request`
fn credential(text: &str) -> Result<(String, Scope), Refused> {
    let parts: Vec<&str> = text.split('/').collect();
    let [key, date, region, service, terminator] = parts[..] else {
        return Err(malformed("must have a Credential of the form KEY/DATE/REGION/SERVICE/aws4_request"));
    };
    if terminator != "aws4_request" {
        return Err(Refused::Mismatch("the credential does not end in aws4_request"));
    }
    Ok((key.to_string(), Scope { date: date.into(), region: region.into(), service: service.into() }))
}

/// The signed headers as `name:value` lines, once it is sure that all that matter are among them.
fn canonical_headers(message: &Message<'_>, signed_headers: &str) -> Result<String, Refused> {
    let names: Vec<&str> = signed_headers.split(';').collect();
    if !names.contains(&"host") {
        return Err(Refused::Mismatch("the header host is not signed"));
    }
    let unsigned = |(name, _): &(String, String)| name.starts_with("x-amz-") && !names.contains(&name.as_str());
    if message.headers.iter().any(unsigned) {
        return Err(Refused::Mismatch("a header x-amz-* is not signed"));
    }
    let mut lines = String::new();
    for (at, name) in names.iter().enumerate() {
        if names[..at].contains(name) {
            return Err(malformed("names a signed header more than once"));
        }
        // Values are trimmed, inner runs of blanks made one, several of one name joined by commas.
        let values: Vec<String> =
            message.header(name).map(|value| value.split_ascii_whitespace().collect::<Vec<_>>().join(" ")).collect();
        if values.is_empty() {
            return Err(Refused::Mismatch("a signed header was not sent"));
        }
        lines.push_str(name);
        lines.push(':');
        lines.push_str(&values.join(","));
        lines.push('\n');
    }
    Ok(lines)
}

/// The path encoded once, whatever the client encoded of it.
fn canonical_path(path: &str) -> Result<String, Refused> {
    let plain = decode(path).map_err(|_| malformed("cannot be checked: the path is not properly encoded"))?;
    Ok(if plain.is_empty() { "/".to_string() } else { encode_keeping(&plain, "/") })
}

/// The URL's parameters but the signature, encoded, then sorted.
fn canonical_query(query: &str) -> Result<String, Refused> {
    let pairs = pairs(query).map_err(|_| malformed("cannot be checked: the URL is not properly encoded"))?;
    let mut encoded: Vec<(String, String)> = pairs
        .iter()
        .filter(|(name, _)| name != "X-Amz-Signature")
        .map(|(name, value)| (encode(name), encode(value)))
        .collect();
    encoded.sort();
    Ok(encoded.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&"))
}

/// The time of signing, as text for the string to sign and as time.
fn date_of_header(message: &Message<'_>) -> Result<(String, Timestamp), Refused> {
    let wrong =
        || Refused::Malformed("The header X-Amz-Date must be there and be a time such as 20261120T090000Z".into());
    let date = message.sole_header("x-amz-date")?.map(str::trim).ok_or_else(wrong)?;
    Ok((date.to_string(), basic_time(date).ok_or_else(wrong)?))
}

/// `20261120T090000Z`
fn basic_time(text: &str) -> Option<Timestamp> {
    let plain = text.strip_suffix('Z').filter(|plain| plain.len() == 15)?;
    let time = DateTime::strptime("%Y%m%dT%H%M%S", plain).ok()?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

fn malformed(problem: &str) -> Refused {
    Refused::Malformed(format!("The Authorization header {problem}"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
