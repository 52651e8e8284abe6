//! Decides whether a message is to be believed. The order is from cheap to dear: shape, who, when,
//! what is covered, the signature, the digests, and last whether it was seen before, so that where
//! certificates are pinned nobody without an accepted key can fill the memory.

use std::borrow::Cow;
use std::sync::PoisonError;

use aws_lc_rs::digest;
use jiff::Timestamp;

use super::c14n::canonicalize;
use super::header::{Digest, Reference, SecurityHeader};
use super::replay::{Key, Seen};
use super::{Algorithm, Certificate, Expect, Rules, SKEW, Security, SecurityError, Verified};
use crate::envelope::names::{IRONBARK, WSA, WSSE};
use crate::envelope::{Envelope, Kind, Limits, Part};

/// The header blocks that are handed out, and so must be signed in the profile `strict`.
const USED_BLOCKS: [(&str, &str); 6] =
    [(WSA, "To"), (WSA, "Action"), (WSA, "MessageID"), (WSA, "RelatesTo"), (IRONBARK, "Reason"), (IRONBARK, "Epochs")];

pub(super) fn verify(
    security: &Security,
    rules: &Rules,
    envelope: &Envelope,
    expect: Expect<'_>,
) -> Result<Verified, SecurityError> {
    let found = envelope.header.iter().find(|block| block.is(WSSE, "Security"));
    let header = SecurityHeader::read(found.ok_or(SecurityError::Missing("Security header"))?)?;
    algorithms(&header, rules)?;
    let certificate = signer(security, &header, rules)?;
    let now = security.clock.now();
    let expires = lifetime(&header, rules, now)?;

    let covered = covered(envelope, &header.references)?;
    everything_needed_is_covered(envelope, &covered, rules)?;
    let info = signed_info(envelope, &header)?;
    if !certificate.verifies(header.algorithm, info.as_bytes(), &header.signature) {
        return Err(SecurityError::Broken("its value does not fit the certificate's key".to_string()));
    }
    digests_hold(&header.references, &covered)?;
    expected(security, envelope, expect, rules)?;
    match expect {
        Expect::Reading => {}
        Expect::Request | Expect::Reply { .. } => remember(security, &info, &certificate, expires, now)?,
    }
    Ok(Verified { certificate })
}

fn algorithms(header: &SecurityHeader, rules: &Rules) -> Result<(), SecurityError> {
    let sha1 = header.algorithm == Algorithm::RsaSha1
        || header.references.iter().any(|reference| reference.digest == Digest::Sha1);
    if sha1 && !rules.sha1 {
        return Err(SecurityError::Algorithm("SHA-1".to_string()));
    }
    Ok(())
}

/// The certificate in the message: one of those pinned, or any that can be used.
fn signer(security: &Security, header: &SecurityHeader, rules: &Rules) -> Result<Certificate, SecurityError> {
    if let Some(pinned) = security.trusted(&header.certificate) {
        return Ok(pinned);
    }
    let sent = Certificate::from_der(&header.certificate);
    let sent = sent.map_err(|error| SecurityError::Certificate(error.to_string()))?;
    if rules.pinned { Err(SecurityError::Untrusted(sent.fingerprint())) } else { Ok(sent) }
}

/// When the message ends to be acceptable; an error if it is not acceptable now.
fn lifetime(header: &SecurityHeader, rules: &Rules, now: Timestamp) -> Result<Timestamp, SecurityError> {
    if rules.expires && header.expires.is_none() {
        return Err(SecurityError::Missing("Expires in its Timestamp"));
    }
    let clock = |problem: String| Err(SecurityError::Clock(problem));
    let latest_creation = now.saturating_add(SKEW).unwrap_or(Timestamp::MAX);
    if header.created > latest_creation {
        return clock(format!("the message was created at {}, and it is {now} here", header.created));
    }
    let end = header.created.saturating_add(rules.lifetime).unwrap_or(Timestamp::MAX);
    let end = header.expires.map_or(end, |expires| expires.min(end));
    if now >= end {
        return clock(format!("the message of {} expired at {end}, and it is {now} here", header.created));
    }
    Ok(end)
}

/// The part that each reference names. Parts are known by their place in the envelope, so a part
/// that was moved elsewhere cannot be named.
pub(super) fn covered<'e>(envelope: &'e Envelope, references: &[Reference]) -> Result<Vec<&'e Part>, SecurityError> {
    let mut covered: Vec<&Part> = Vec::new();
    for reference in references {
        let named = |part: &&Part| part.kind != Kind::SignedInfo && part.id.as_deref() == Some(&reference.id);
        let Some(part) = envelope.parts.iter().find(named) else {
            let what = "which is neither Body, Timestamp, token nor a block of the Header";
            return Err(SecurityError::Reference(format!("'#{}', {what}", reference.id)));
        };
        if covered.iter().any(|other| other.id == part.id) {
            return Err(SecurityError::Reference(format!("'#{}' twice", reference.id)));
        }
        covered.push(part);
    }
    Ok(covered)
}

fn everything_needed_is_covered(envelope: &Envelope, covered: &[&Part], rules: &Rules) -> Result<(), SecurityError> {
    for (kind, name) in [(Kind::Body, "the Body"), (Kind::Timestamp, "the Timestamp")] {
        if !covered.iter().any(|part| part.kind == kind) {
            return Err(SecurityError::NotSigned(name.to_string()));
        }
    }
    if !rules.addressing {
        return Ok(());
    }
    for (namespace, local) in USED_BLOCKS {
        let present = envelope.header.iter().any(|block| block.is(namespace, local));
        let is_it =
            |part: &&Part| part.kind == Kind::Block && part.name.local == local && part.name.namespace == namespace;
        if present && !covered.iter().any(is_it) {
            return Err(SecurityError::NotSigned(format!("the header block {local}")));
        }
    }
    Ok(())
}

/// The octets that the signature value is made over.
fn signed_info<'e>(envelope: &'e Envelope, header: &SecurityHeader) -> Result<Cow<'e, str>, SecurityError> {
    let part = envelope.parts.iter().find(|part| part.kind == Kind::SignedInfo);
    octets(part.ok_or(SecurityError::Missing("SignedInfo"))?, &header.inclusive)
}

/// The canonical form made in the first pass, or, for the senders that list prefixes, one made
/// again from the same text with that list.
fn octets<'e>(part: &'e Part, inclusive: &[String]) -> Result<Cow<'e, str>, SecurityError> {
    if inclusive.is_empty() {
        return Ok(Cow::Borrowed(&part.canonical));
    }
    canonicalize(&part.source, &part.context, inclusive.to_vec(), &Limits::default())
        .map(Cow::Owned)
        .map_err(|error| SecurityError::Malformed(error.to_string()))
}

/// Every part is as it was when it was signed.
pub(super) fn digests_hold(references: &[Reference], covered: &[&Part]) -> Result<(), SecurityError> {
    for (reference, part) in references.iter().zip(covered) {
        if digest_of(reference, part)? != reference.value {
            return Err(SecurityError::Broken(format!("{} was changed after it was signed", part.name.local)));
        }
    }
    Ok(())
}

fn digest_of(reference: &Reference, part: &Part) -> Result<Vec<u8>, SecurityError> {
    let algorithm = match reference.digest {
        Digest::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        Digest::Sha256 => &digest::SHA256,
    };
    Ok(digest::digest(algorithm, octets(part, &reference.inclusive)?.as_bytes()).as_ref().to_vec())
}

/// Signed by the right one, but is it what we wait for?
fn expected(security: &Security, envelope: &Envelope, expect: Expect<'_>, rules: &Rules) -> Result<(), SecurityError> {
    let unexpected = |problem: String| Err(SecurityError::Unexpected(problem));
    match expect {
        Expect::Reply { to } if envelope.relates_to.as_deref() == Some(to) => Ok(()),
        Expect::Reply { to } => unexpected(format!(
            "the reply relates to '{}' and not to our message '{to}'",
            envelope.relates_to.as_deref().unwrap_or_default()
        )),
        Expect::Request | Expect::Reading if !rules.addressing => Ok(()),
        Expect::Request | Expect::Reading => {
            let action = envelope.action.as_deref().ok_or(SecurityError::Missing("wsa:Action"))?;
            let to = envelope.to.as_deref().ok_or(SecurityError::Missing("wsa:To"))?;
            envelope.message_id.as_deref().ok_or(SecurityError::Missing("wsa:MessageID"))?;
            let operation = &envelope.body_name.local;
            if action.rsplit_once('#').map(|(_, operation)| operation) != Some(operation.as_str()) {
                return unexpected(format!("the Action '{action}' is not that of '{operation}' in the Body"));
            }
            match &security.address {
                Some(address) if address != to => unexpected(format!("the message is for '{to}'; this is '{address}'")),
                Some(_) | None => Ok(()),
            }
        }
    }
}

/// A message is known by what was signed and by whom, not by the signature's value: of an ECDSA
/// signature (r, s) anybody can make another valid one, (r, -s), without the key.
fn remember(
    security: &Security,
    info: &str,
    certificate: &Certificate,
    expires: Timestamp,
    now: Timestamp,
) -> Result<(), SecurityError> {
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(certificate.der());
    hash.update(info.as_bytes());
    let mut key: Key = [0; 32];
    key.copy_from_slice(hash.finish().as_ref());
    let seen = security.replay.lock().unwrap_or_else(PoisonError::into_inner).check(key, expires, now);
    match seen {
        Seen::New => Ok(()),
        Seen::Before => Err(SecurityError::Replayed),
        Seen::Full => Err(SecurityError::Busy),
    }
}
