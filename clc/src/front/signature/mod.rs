//! Signatures of Query requests: which scheme it is, what was signed, and whether the signature is
//! that of a given secret at a given time. Pure: no store, no clock, no HTTP library. Schemes:
//! V4 in a header, V4 in the URL (presigned), V2, and V1 where it is asked for.

mod v1;
mod v2;
mod v4;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use jiff::{SignedDuration, Timestamp};

use super::params::Params;

/// How far a client's clock may be from ours, either way (EC2's rule for V4 and for V2).
pub const SKEW: SignedDuration = SignedDuration::from_mins(15);

/// A request as it came over the wire.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    pub method: &'a str,
    /// As sent, not decoded, not normalised: clients sign what they send.
    pub path: &'a str,
    /// What stands behind `?`, as sent.
    pub query: &'a str,
    /// In order of arrival, with names in lower case and values as sent.
    pub headers: &'a [(String, String)],
    pub body: &'a [u8],
}

impl<'a> Message<'a> {
    /// The values of a header, in order of arrival.
    fn header(&self, name: &str) -> impl Iterator<Item = &'a str> {
        let name = name.to_string();
        self.headers.iter().filter(move |(other, _)| *other == name).map(|(_, value)| value.as_str())
    }

    /// The value of a header that may be there once.
    fn sole_header(&self, name: &str) -> Result<Option<&'a str>, Refused> {
        let mut values = self.header(name);
        let first = values.next();
        match values.next() {
            None => Ok(first),
            Some(_) => Err(Refused::Malformed(format!("The header {name} is sent more than once"))),
        }
    }
}

/// Why a request is not authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Nothing in it authenticates.
    Missing,
    /// The signature's own fields are broken.
    Malformed(String),
    /// The presigned URL's fields are broken.
    MalformedUrl(String),
    /// A scheme that is not accepted.
    Scheme(String),
    /// The access key is not known or not active.
    UnknownKey,
    /// The signature is not that of the request with this key; why, for the log.
    Mismatch(&'static str),
    /// Signed too long ago, or past its own end.
    Expired(Timestamp),
    /// Signed in the future.
    Early(Timestamp),
}

/// What a request claims: by whom it was signed, and what exactly.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The access key it names.
    pub access_key_id: String,
    /// True if the signature stands in the URL, which whoever has the URL can use again.
    pub presigned: bool,
    scheme: Scheme,
    /// The strings that may have been signed; the first that fits decides.
    strings: Vec<String>,
    /// The signature as sent.
    signature: String,
    window: Window,
}

#[derive(Clone, Debug)]
enum Scheme {
    /// V1 and V2: the signature is one of the parameters.
    Parameters(v2::Method),
    V4(v4::Scope),
}

/// When a signature holds: from the one moment, until before the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    from: Timestamp,
    until: Timestamp,
}

impl Window {
    /// Around the moment of signing.
    fn around(signed: Timestamp) -> Self {
        Self { from: shifted(signed, -SKEW), until: shifted(signed, SKEW) }
    }
}

/// A time moved by some minutes; the ends of time stay where they are.
pub(super) fn shifted(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.saturating_add(by).unwrap_or(time)
}

/// A verified signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The signature: the same one again is a replay.
    pub signature: String,
    /// When it was made, by the client's clock.
    pub signed: Timestamp,
    /// Until when it could be replayed.
    pub until: Timestamp,
}

impl Claim {
    /// Reads what a request claims. `params` are those of the URL and of the form together;
    /// `version_1` says whether that scheme counts.
    ///
    /// # Errors
    /// [`Refused`] if nothing authenticates, or what does is broken.
    pub fn read(message: &Message<'_>, params: &Params, version_1: bool) -> Result<Self, Refused> {
        let header = message.sole_header("authorization")?;
        if let Some(fields) = header.and_then(|header| header.trim().strip_prefix(v4::ALGORITHM)) {
            return v4::from_header(message, fields);
        }
        if header.is_some() {
            return Err(Refused::Scheme(format!("The Authorization header must begin with {}", v4::ALGORITHM)));
        }
        if params.optional("X-Amz-Algorithm").is_some() || params.optional("X-Amz-Signature").is_some() {
            return v4::from_url(message);
        }
        match params.optional("SignatureVersion") {
            Some("2") => v2::from_params(message, params),
            Some("1") if version_1 => v1::from_params(params),
            Some(_) => Err(Refused::Scheme(
                "Only the signature versions 2 and 4 are accepted; the older ones are not safe".into(),
            )),
            None => Err(Refused::Missing),
        }
    }

    /// Checks the claim against the key's secret at the time `now`.
    ///
    /// # Errors
    /// [`Refused::Mismatch`], and only for a right signature [`Refused::Expired`] and
    /// [`Refused::Early`].
    pub fn verify(&self, secret: &str, now: Timestamp) -> Result<Verified, Refused> {
        let fits = |string: &String| {
            let expected = match &self.scheme {
                Scheme::Parameters(method) => method.sign(secret, string),
                Scheme::V4(scope) => scope.sign(secret, string),
            };
            verify_slices_are_equal(expected.as_bytes(), self.signature.as_bytes()).is_ok()
        };
        if !self.strings.iter().any(fits) {
            return Err(Refused::Mismatch("the signature is another"));
        }
        if now < self.window.from {
            return Err(Refused::Early(shifted(self.window.from, SKEW)));
        }
        if now >= self.window.until {
            return Err(Refused::Expired(self.window.until));
        }
        Ok(Verified {
            signature: self.signature.clone(),
            signed: shifted(self.window.from, SKEW),
            until: self.window.until,
        })
    }
}

#[cfg(test)]
mod tests;
