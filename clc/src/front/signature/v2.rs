//! Signature version 2: HMAC over method, host, path and all parameters.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::{Claim, Message, Refused, SKEW, Scheme, Window, shifted};
use crate::front::form::encode;
use crate::front::params::Params;

/// `SignatureMethod`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    HmacSha1,
    HmacSha256,
}

impl Method {
    /// The signature as it is sent: base64 with padding.
    pub(super) fn sign(self, secret: &str, string: &str) -> String {
        let algorithm = match self {
            Method::HmacSha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Method::HmacSha256 => hmac::HMAC_SHA256,
        };
        STANDARD.encode(hmac::sign(&hmac::Key::new(algorithm, secret.as_bytes()), string.as_bytes()))
    }
}

/// Reads a request whose parameters hold a V2 signature.
pub(super) fn from_params(message: &Message<'_>, params: &Params) -> Result<Claim, Refused> {
    let field = |name: &str| {
        params.optional(name).ok_or_else(|| Refused::Malformed(format!("The parameter {name} is missing")))
    };
    let method = match field("SignatureMethod")?.to_ascii_lowercase().as_str() {
        "hmacsha256" => Method::HmacSha256,
        "hmacsha1" => Method::HmacSha1,
        _ => return Err(Refused::Malformed("SignatureMethod must be HmacSHA256 or HmacSHA1".into())),
    };
    let host = message.sole_header("host")?.unwrap_or_default().to_ascii_lowercase();
    let mut hosts = vec![host.clone()];
    // Libraries sign host:port as they send it, those of Eucalyptus 2.0.1's time also without.
    if let Some((bare, _)) = host.rsplit_once(':') {
        hosts.push(bare.to_string());
    }
    let query = canonical(params);
    let path = if message.path.is_empty() { "/" } else { message.path };
    let strings = hosts.iter().map(|host| format!("{}\n{host}\n{path}\n{query}", message.method)).collect();
    Ok(Claim {
        access_key_id: field("AWSAccessKeyId")?.to_string(),
        presigned: false,
        scheme: Scheme::Parameters(method),
        strings,
        signature: field("Signature")?.to_string(),
        window: window(params)?,
    })
}

/// All parameters but the signature, in the order of their names' bytes.
fn canonical(params: &Params) -> String {
    let pairs: Vec<String> = params
        .iter()
        .filter(|(name, _)| *name != "Signature")
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .collect();
    pairs.join("&")
}

/// `Timestamp` counts 15 minutes either way; `Expires`, where given, is the end instead.
pub(super) fn window(params: &Params) -> Result<Window, Refused> {
    let time = |name: &str| -> Result<Option<Timestamp>, Refused> {
        let Some(text) = params.optional(name) else { return Ok(None) };
        let wrong = || Refused::Malformed(format!("The parameter {name} must be a time such as 2026-11-20T09:00:00Z"));
        read_time(text).map(Some).ok_or_else(wrong)
    };
    match (time("Timestamp")?, time("Expires")?) {
        (Some(signed), None) => Ok(Window::around(signed)),
        (Some(signed), Some(end)) => Ok(Window { from: shifted(signed, -SKEW), until: end }),
        (None, Some(end)) => Ok(Window { from: Timestamp::MIN, until: end }),
        (None, None) => Err(Refused::Malformed("One of the parameters Timestamp and Expires must be there".into())),
    }
}

/// The forms clients send: with `Z`, with a numeric zone, or with none, which means UTC; with or
/// without fractions of a second.
fn read_time(text: &str) -> Option<Timestamp> {
    let with_zone = text.parse::<Timestamp>().ok();
    with_zone.or_else(|| Some(text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms_of_time_are_read() {
        let expected: Timestamp = "2026-11-20T09:00:00Z".parse().unwrap();
        for text in [
            "2026-11-20T09:00:00Z",
            "2026-11-20T09:00:00",
            "2026-11-20T09:00:00.000Z",
            "2026-11-20T09:00:00.000",
            "2026-11-20T10:00:00+01:00",
        ] {
            assert_eq!(read_time(text), Some(expected), "{text}");
        }
        assert_eq!(read_time("yesterday"), None);
    }
}
