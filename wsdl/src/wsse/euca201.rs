//! The rules of a 2.0.1 receiver, in its order, for callers that an administrator named as old: one
//! RSA-SHA1 signature over any WS-Addressing block or the Body, by exactly the certificate named. What
//! the rules do not protect is in `docs/OPERATIONS.md`; what can be held without refusing an honest
//! old client is held: one header and one signature of each kind, parts known by position, no answer
//! taken for a request, and one Body to a signature ([`OneBody`]).

use std::collections::{HashMap, VecDeque};
use std::sync::PoisonError;

use aws_lc_rs::digest::{Context, SHA256, digest};

use super::header::{self, Digest, Reference};
use super::keys::Algorithm;
use super::replay::Key;
use super::verify::{covered, digests_hold};
use super::{Expect, Security, SecurityError, Verified};
use crate::envelope::names::{DS, RSA_SHA1, WSA, WSSE, WSU, X509V3};
use crate::envelope::tree::Element;
use crate::envelope::{Envelope, Kind, Part};
use crate::euca201::OldFault;

/// Signatures remembered with their Bodies: two days of an old cluster's polls, 10 MB.
const REMEMBERED: usize = 65_536;

/// Which Body came with each signature. The newest are kept.
#[derive(Debug, Default)]
pub(super) struct OneBody {
    bodies: HashMap<Key, Key>,
    order: VecDeque<Key>,
}

impl OneBody {
    /// False if the signature came with another Body before.
    fn same(&mut self, signature: Key, body: Key) -> bool {
        if let Some(first) = self.bodies.get(&signature) {
            return *first == body;
        }
        if self.order.len() >= REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.bodies.remove(&oldest);
        }
        self.bodies.insert(signature, body);
        self.order.push_back(signature);
        true
    }
}

fn refused(fault: OldFault, problem: impl Into<String>) -> SecurityError {
    SecurityError::Old { fault, problem: problem.into() }
}

fn not_verified(error: SecurityError) -> SecurityError {
    refused(OldFault::NotVerified, error.to_string())
}

pub(super) fn verify(security: &Security, envelope: &Envelope, expect: Expect<'_>) -> Result<Verified, SecurityError> {
    let found = envelope.header.iter().find(|block| block.is(WSSE, "Security"));
    let found = found.ok_or_else(|| refused(OldFault::NotSecured, "the message has no Security header"))?;
    let header = Header::read(found)?;
    let certificate = security.accepted_as_old(&header.certificate).ok_or_else(|| {
        let shown = super::keys::fingerprint(&header.certificate);
        refused(OldFault::ForeignCertificate, SecurityError::Untrusted(shown).to_string())
    })?;
    let covered = covered(envelope, &header.references).map_err(not_verified)?;
    let counts = |part: &&&Part| part.kind == Kind::Body || part.kind == Kind::Block && part.name.namespace == WSA;
    if !covered.iter().any(|part| counts(&part)) {
        return Err(refused(OldFault::NotVerified, "neither the Body nor a WS-Addressing header is signed"));
    }
    let info = envelope.parts.iter().find(|part| part.kind == Kind::SignedInfo);
    let info = info.ok_or_else(|| not_verified(SecurityError::Missing("SignedInfo")))?.canonical.as_bytes();
    if !certificate.verifies(Algorithm::RsaSha1, info, &header.signature) {
        return Err(refused(OldFault::NotVerified, "the signature's value does not fit the certificate's key"));
    }
    digests_hold(&header.references, &covered).map_err(not_verified)?;
    match expect {
        Expect::Request | Expect::Reading => is_a_request(envelope)?,
        Expect::Reply { to } => answers(envelope, &covered, to)?,
    }
    if expect == Expect::Request && signs(&covered, "MessageID") {
        came_with_this_body(security, envelope, info, certificate.der())?;
    }
    Ok(Verified { certificate })
}

/// True if the WS-Addressing header with this name is signed.
fn signs(covered: &[&Part], local: &str) -> bool {
    covered.iter().any(|part| part.kind == Kind::Block && part.name.namespace == WSA && part.name.local == local)
}

fn is_a_request(envelope: &Envelope) -> Result<(), SecurityError> {
    if envelope.relates_to.is_some() {
        return Err(refused(OldFault::NotVerified, "the message is an answer (it has wsa:RelatesTo), not a request"));
    }
    let Some(action) = &envelope.action else {
        return Err(refused(OldFault::OperationNotFound, "the message has no wsa:Action"));
    };
    let operation = &envelope.body_name.local;
    if action.rsplit_once('#').map(|(_, operation)| operation) != Some(operation.as_str()) {
        let problem = format!("the Action '{action}' is not that of '{operation}' in the Body");
        return Err(refused(OldFault::NotOfContract, problem));
    }
    Ok(())
}

/// An answer is known by its signed RelatesTo: our MessageIDs are random and used once.
fn answers(envelope: &Envelope, covered: &[&Part], to: &str) -> Result<(), SecurityError> {
    let relates_to = envelope.relates_to.as_deref().unwrap_or_default();
    if relates_to != to {
        let problem = format!("the answer relates to '{relates_to}' and not to our message '{to}'");
        return Err(refused(OldFault::NotVerified, problem));
    }
    if !signs(covered, "RelatesTo") {
        return Err(refused(OldFault::NotVerified, "the answer's RelatesTo is not signed"));
    }
    Ok(())
}

/// An old client gives each message a MessageID of its own, so a signature that comes again with
/// another Body was put there by somebody else.
fn came_with_this_body(
    security: &Security,
    envelope: &Envelope,
    info: &[u8],
    certificate: &[u8],
) -> Result<(), SecurityError> {
    let mut signature = Context::new(&SHA256);
    signature.update(certificate);
    signature.update(info);
    let key = |hash: aws_lc_rs::digest::Digest| Key::try_from(hash.as_ref()).expect("SHA-256 has 32 bytes");
    let (signature, body) = (key(signature.finish()), key(digest(&SHA256, envelope.body.as_bytes())));
    let mut bodies = security.bodies.lock().unwrap_or_else(PoisonError::into_inner);
    if bodies.same(signature, body) {
        return Ok(());
    }
    Err(refused(OldFault::NotVerified, "this signature came with another Body before; somebody changed one of them"))
}

/// What the Security header says, in the shape that a 2.0.1 receiver accepts.
struct Header {
    certificate: Vec<u8>,
    signature: Vec<u8>,
    references: Vec<Reference>,
}

impl Header {
    fn read(security: &Element) -> Result<Self, SecurityError> {
        if security.children.iter().any(|child| child.is(WSU, "Timestamp")) {
            return Err(refused(OldFault::TimestampSent, "the profile euca-2.0.1 has no Timestamp"));
        }
        let signature = only(security, DS, "Signature")?
            .ok_or_else(|| refused(OldFault::NotVerified, "the Security header has no Signature"))?;
        let key_info = only(signature, DS, "KeyInfo")?
            .ok_or_else(|| refused(OldFault::NoKeyInfo, "the Signature has no KeyInfo"))?;
        let uri = direct_reference(key_info).ok_or_else(|| {
            refused(OldFault::NoDirectReference, "KeyInfo must name a BinarySecurityToken by wsse:Reference")
        })?;
        let token = only(security, WSSE, "BinarySecurityToken")?;
        let token =
            token.filter(|token| uri.strip_prefix('#') == token.attribute(Some(WSU), "Id")).ok_or_else(|| {
                refused(OldFault::TokenNotFound, format!("KeyInfo names '{uri}', which is no BinarySecurityToken"))
            })?;
        if token.attribute(None, "ValueType") != Some(X509V3) || security.children.len() != 2 {
            let problem = "the Security header must hold an X509v3 token and a Signature, nothing else";
            return Err(refused(OldFault::NotVerified, problem));
        }
        let (info, value) = signed(signature)?;
        Ok(Self {
            certificate: header::base64(token).map_err(not_verified)?,
            signature: header::base64(value).map_err(not_verified)?,
            references: references(info)?,
        })
    }
}

/// The only child with this name; two are refused, for two readers could take one each.
fn only<'e>(element: &'e Element, namespace: &str, local: &str) -> Result<Option<&'e Element>, SecurityError> {
    let mut found = element.children.iter().filter(|child| child.is(namespace, local));
    let first = found.next();
    if found.next().is_some() {
        return Err(refused(OldFault::NotVerified, format!("a second {local} in {}", element.local)));
    }
    Ok(first)
}

/// The URI in `KeyInfo/SecurityTokenReference/Reference`.
fn direct_reference(key_info: &Element) -> Option<&str> {
    let [reference] = key_info.children.as_slice() else { return None };
    let [direct] = reference.children.as_slice() else { return None };
    let direct = (reference.is(WSSE, "SecurityTokenReference") && direct.is(WSSE, "Reference")).then_some(direct)?;
    direct.attribute(None, "URI")
}

fn signed(signature: &Element) -> Result<(&Element, &Element), SecurityError> {
    match signature.children.as_slice() {
        [info, value, _key_info] if info.is(DS, "SignedInfo") && value.is(DS, "SignatureValue") => Ok((info, value)),
        _ => Err(refused(OldFault::NotVerified, "Signature must hold SignedInfo, SignatureValue and KeyInfo")),
    }
}

/// RSA with SHA-1 over SHA-1 digests, exclusive canonicalisation without a prefix list: as recorded,
/// everything else is refused.
fn references(info: &Element) -> Result<Vec<Reference>, SecurityError> {
    let method = info.children.iter().find(|child| child.is(DS, "SignatureMethod"));
    let method = method.and_then(|method| method.attribute(None, "Algorithm")).unwrap_or_default();
    if method != RSA_SHA1 {
        return Err(refused(
            OldFault::WrongAlgorithm,
            format!("'{method}'; the profile euca-2.0.1 has {RSA_SHA1} only"),
        ));
    }
    let (_, inclusive, references) = header::signed_info(info).map_err(not_verified)?;
    if !inclusive.is_empty() || references.iter().any(|reference| !reference.inclusive.is_empty()) {
        return Err(refused(OldFault::NotVerified, "a PrefixList; the profile euca-2.0.1 has none"));
    }
    if references.iter().any(|reference| reference.digest != Digest::Sha1) {
        return Err(refused(OldFault::WrongAlgorithm, "the profile euca-2.0.1 has SHA-1 digests only"));
    }
    Ok(references)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: usize) -> Key {
        Key::try_from(digest(&SHA256, &n.to_be_bytes()).as_ref()).expect("32 bytes")
    }

    #[test]
    fn a_signature_keeps_its_body_and_the_memory_its_size() {
        let mut memory = OneBody::default();
        assert!(memory.same(key(0), key(1)) && memory.same(key(0), key(1)) && !memory.same(key(0), key(2)));
        for n in 1..=REMEMBERED {
            assert!(memory.same(key(n), key(0)));
        }
        assert_eq!((memory.bodies.len(), memory.order.len()), (REMEMBERED, REMEMBERED));
        assert!(memory.same(key(0), key(2)), "the oldest is forgotten first");
    }
}
