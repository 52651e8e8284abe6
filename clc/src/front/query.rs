//! The Query door: parameters in the URL, the form, or both; signed by V2 or V4.

use aws_lc_rs::digest;
use ironbark_wsdl::wsse::replay::Seen;
use jiff::Timestamp;

use super::action::{Call, Caller};
use super::directory::Directory;
use super::form::pairs;
use super::params::Params;
use super::replay::{PROMPT, Replays, reads, repeatable};
use super::signature::{Claim, Message, Refused, Verified, shifted};
use super::xml::Door;
use crate::ec2::Version;
use crate::error::{Code, Ec2Error};

/// What the doors hand on: who asks what, and how to answer.
pub(super) struct Accepted {
    pub caller: Caller,
    pub call: Call,
    pub version: Version,
}

/// How a request is to be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    /// The body is a form with parameters.
    pub is_body: bool,
    /// Signatures of version 1 count.
    pub version_1: bool,
}

/// Reads and authenticates a request.
///
/// # Errors
/// Why it is not taken.
pub(super) async fn accept(
    directory: &impl Directory,
    replays: &Replays,
    now: Timestamp,
    message: &Message<'_>,
    form: Form,
) -> Result<Accepted, Ec2Error> {
    let params = read(message, form.is_body)?;
    let claim = Claim::read(message, &params, form.version_1).map_err(refused)?;
    let key = directory.access_key(&claim.access_key_id).await?;
    let key = key.ok_or(Refused::UnknownKey).map_err(refused)?;
    let verified = claim.verify(&key.secret, now).map_err(refused)?;
    let missing = || Ec2Error::new(Code::MissingAction, "The request is missing the parameter Action");
    let action = params.text("Action").ok_or_else(missing)?;
    let call = Call::new(Door::Query, &action, params)?;
    let version = call.params.required("Version")?.parse().unwrap_or(Version::Eucalyptus);
    not_again(replays, now, &claim, &verified, &call)?;
    Ok(Accepted { caller: key.caller, call, version })
}

/// The parameters of the URL and of the form, each name once over both.
fn read(message: &Message<'_>, is_form: bool) -> Result<Params, Ec2Error> {
    let broken = |what: &str| Ec2Error::new(Code::MalformedQueryString, format!("{what} is not properly encoded"));
    let mut params = Params::default();
    for (name, value) in pairs(message.query).map_err(|_| broken("The query string"))? {
        params.insert(name, value)?;
    }
    if is_form {
        let body = std::str::from_utf8(message.body).map_err(|_| broken("The form"))?;
        for (name, value) in pairs(body.trim_end()).map_err(|_| broken("The form"))? {
            params.insert(name, value)?;
        }
    }
    Ok(params)
}

/// A request that changes something is taken once. Those that read may come twice: signatures know
/// only whole seconds, so two equal requests in one second are one to us, and pollers make them.
/// With a client token the action itself sees that it is the same request.
fn not_again(
    replays: &Replays,
    now: Timestamp,
    claim: &Claim,
    verified: &Verified,
    call: &Call,
) -> Result<(), Ec2Error> {
    if reads(&call.action) {
        return Ok(());
    }
    if claim.presigned {
        let text = "A presigned URL serves Describe and Get actions only; sign this request in its headers";
        return Err(Ec2Error::new(Code::UnauthorizedOperation, text));
    }
    if call.params.optional("ClientToken").is_some() {
        return Ok(());
    }
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(claim.access_key_id.as_bytes());
    hash.update(b"\n");
    hash.update(verified.signature.as_bytes());
    match replays.check(hash.finish().as_ref(), verified.until, now) {
        Seen::New => Ok(()),
        Seen::Before if repeatable(&call.action) && now < shifted(verified.signed, PROMPT) => Ok(()),
        Seen::Before => {
            let text = "This very request was received before and is not taken twice; sign it anew to repeat it";
            Err(Ec2Error::new(Code::AuthFailure, text))
        }
        Seen::Full => {
            let text = "Too many changes were asked for lately; try again in a minute";
            Err(Ec2Error::new(Code::RequestLimitExceeded, text))
        }
    }
}

/// What the client is told. Whether the key is unknown or the signature wrong is told to the log
/// only: the difference would help to find keys.
fn refused(reason: Refused) -> Ec2Error {
    let cause = format!("{reason:?}");
    let error = match reason {
        Refused::Missing => Ec2Error::new(
            Code::MissingAuthenticationToken,
            "The request is missing authentication; sign it with an access key (signature version 4 or 2)",
        ),
        Refused::Malformed(text) | Refused::Scheme(text) => Ec2Error::new(Code::IncompleteSignature, text),
        Refused::MalformedUrl(text) => Ec2Error::new(Code::AuthorizationQueryParametersError, text),
        Refused::UnknownKey | Refused::Mismatch(_) => Ec2Error::new(
            Code::AuthFailure,
            "The cloud was not able to validate the provided access credentials: check the access key, the secret key and the URL",
        ),
        Refused::Expired(end) => Ec2Error::new(
            Code::RequestExpired,
            format!("The request has expired at {end}; compare your clock with the cloud's"),
        ),
        Refused::Early(signed) => Ec2Error::new(
            Code::AuthFailure,
            format!(
                "The signature is not yet current: it was made at {signed} by your clock; compare it with the cloud's"
            ),
        ),
    };
    error.because(cause)
}
