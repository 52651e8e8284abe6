//! Reads the Security header out of the envelope's tree into a typed value: exactly one signature,
//! one token, one time stamp, and nothing that is not known. Checks shapes and algorithm names, not
//! values; what it returns is not yet believed.

use base64::Engine as _;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use jiff::Timestamp;

use super::SecurityError;
use super::keys::Algorithm;
use crate::envelope::names::{
    BASE64, DS, ECDSA_SHA256, EXC_C14N, RSA_SHA1, RSA_SHA256, SHA1, SHA256, WSSE, WSU, X509V3,
};
use crate::envelope::tree::Element;

/// A digest over a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Digest {
    /// Accepted from EC2 users' tools and peers of 2.0.1; the strict profile refuses it.
    Sha1,
    Sha256,
}

/// One `ds:Reference`.
pub(crate) struct Reference {
    /// The id it names, without `#`.
    pub id: String,
    pub digest: Digest,
    pub value: Vec<u8>,
    /// InclusiveNamespaces PrefixList of its transform; the default namespace is "".
    pub inclusive: Vec<String>,
}

/// What the Security header says.
pub(crate) struct SecurityHeader {
    /// DER of the certificate in the only BinarySecurityToken, which KeyInfo names.
    pub certificate: Vec<u8>,
    pub created: Timestamp,
    pub expires: Option<Timestamp>,
    pub algorithm: Algorithm,
    pub signature: Vec<u8>,
    pub references: Vec<Reference>,
    /// PrefixList of the canonicalisation of SignedInfo.
    pub inclusive: Vec<String>,
}

fn malformed(problem: impl Into<String>) -> SecurityError {
    SecurityError::Malformed(problem.into())
}

impl SecurityHeader {
    pub fn read(security: &Element) -> Result<Self, SecurityError> {
        let [mut signature, mut token, mut timestamp] = [None, None, None];
        for child in &security.children {
            let (slot, what) = if child.is(DS, "Signature") {
                (&mut signature, "Signature")
            } else if child.is(WSSE, "BinarySecurityToken") {
                (&mut token, "BinarySecurityToken")
            } else if child.is(WSU, "Timestamp") {
                (&mut timestamp, "Timestamp")
            } else {
                return Err(malformed(format!("'{}' in the Security header", child.local)));
            };
            if slot.replace(child).is_some() {
                return Err(malformed(format!("a second {what} in the Security header")));
            }
        }
        let signature = signature.ok_or(SecurityError::Missing("Signature"))?;
        let token = token.ok_or(SecurityError::Missing("BinarySecurityToken"))?;
        let timestamp = timestamp.ok_or(SecurityError::Missing("Timestamp"))?;

        let [info, value, key_info] =
            children(signature, [(DS, "SignedInfo"), (DS, "SignatureValue"), (DS, "KeyInfo")])?;
        token_is_named(token, key_info)?;
        let (created, expires) = times(timestamp)?;
        let (algorithm, inclusive, references) = signed_info(info)?;
        Ok(Self {
            certificate: certificate(token)?,
            created,
            expires,
            algorithm,
            signature: base64(value)?,
            references,
            inclusive,
        })
    }
}

/// The children of an element, which must be exactly these, in this order.
fn children<'e, const N: usize>(
    element: &'e Element,
    expected: [(&str, &str); N],
) -> Result<[&'e Element; N], SecurityError> {
    let found: Result<[&Element; N], _> = element.children.iter().collect::<Vec<_>>().try_into();
    match found {
        Ok(found)
            if element.is_blank()
                && found.iter().zip(expected).all(|(child, (space, local))| child.is(space, local)) =>
        {
            Ok(found)
        }
        Ok(_) | Err(_) => {
            let wanted = expected.map(|(_, local)| local).join(", ");
            Err(malformed(format!("{} must hold {wanted} and nothing else", element.local)))
        }
    }
}

/// KeyInfo must name the token directly: no key names, no embedded keys, nothing to fetch.
fn token_is_named(token: &Element, key_info: &Element) -> Result<(), SecurityError> {
    let [reference] = children(key_info, [(WSSE, "SecurityTokenReference")])?;
    let [direct] = children(reference, [(WSSE, "Reference")])?;
    let id = token.attribute(Some(WSU), "Id").ok_or_else(|| malformed("a BinarySecurityToken without wsu:Id"))?;
    let uri = direct.attribute(None, "URI").unwrap_or_default();
    if uri.strip_prefix('#') != Some(id) {
        return Err(malformed(format!("KeyInfo names '{uri}', which is not the BinarySecurityToken")));
    }
    let kind = direct.attribute(None, "ValueType").unwrap_or(X509V3);
    if kind != X509V3 || token.attribute(None, "ValueType") != Some(X509V3) {
        return Err(malformed("the token is not of type X509v3"));
    }
    if token.attribute(None, "EncodingType").unwrap_or(BASE64) != BASE64 {
        return Err(malformed("the token's encoding is not Base64Binary"));
    }
    Ok(())
}

fn certificate(token: &Element) -> Result<Vec<u8>, SecurityError> {
    base64(token)
}

fn times(timestamp: &Element) -> Result<(Timestamp, Option<Timestamp>), SecurityError> {
    let (created, expires) = match timestamp.children.len() {
        1 => (children(timestamp, [(WSU, "Created")])?[0], None),
        _ => {
            let [created, expires] = children(timestamp, [(WSU, "Created"), (WSU, "Expires")])?;
            (created, Some(expires))
        }
    };
    Ok((time(created)?, expires.map(time).transpose()?))
}

/// An `xs:dateTime` with its zone; WS-Security asks for UTC.
fn time(element: &Element) -> Result<Timestamp, SecurityError> {
    let text = text(element)?;
    text.parse()
        .map_err(|_| malformed(format!("{} '{}' is not a time with a zone", element.local, text.escape_debug())))
}

pub(super) fn signed_info(info: &Element) -> Result<(Algorithm, Vec<String>, Vec<Reference>), SecurityError> {
    let [canonicalization, method, references @ ..] = info.children.as_slice() else {
        return Err(malformed("SignedInfo without its methods"));
    };
    if !canonicalization.is(DS, "CanonicalizationMethod") || !method.is(DS, "SignatureMethod") {
        return Err(malformed("SignedInfo must begin with CanonicalizationMethod and SignatureMethod"));
    }
    if !method.children.is_empty() {
        return Err(malformed("parameters of the SignatureMethod"));
    }
    let algorithm = match algorithm(method) {
        RSA_SHA1 => Algorithm::RsaSha1,
        RSA_SHA256 => Algorithm::RsaSha256,
        ECDSA_SHA256 => Algorithm::EcdsaSha256,
        other => return Err(SecurityError::Algorithm(other.to_string())),
    };
    let inclusive = exclusive_c14n(canonicalization)?;
    let references = references.iter().map(reference).collect::<Result<Vec<_>, _>>()?;
    Ok((algorithm, inclusive, references))
}

fn reference(element: &Element) -> Result<Reference, SecurityError> {
    if !element.is(DS, "Reference") {
        return Err(malformed(format!("'{}' among the References", element.local)));
    }
    let [transforms, method, value] =
        children(element, [(DS, "Transforms"), (DS, "DigestMethod"), (DS, "DigestValue")])?;
    let [transform] = children(transforms, [(DS, "Transform")])?;
    let inclusive = exclusive_c14n(transform)?;
    if !method.children.is_empty() {
        return Err(malformed("parameters of the DigestMethod"));
    }
    let digest = match algorithm(method) {
        SHA1 => Digest::Sha1,
        SHA256 => Digest::Sha256,
        other => return Err(SecurityError::Algorithm(other.to_string())),
    };
    let uri = element.attribute(None, "URI").unwrap_or_default();
    let id = uri.strip_prefix('#').filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| SecurityError::Reference(format!("'{uri}', which is no id of this message")))?;
    Ok(Reference { id: id.to_string(), digest, value: base64(value)?, inclusive })
}

fn algorithm(element: &Element) -> &str {
    element.attribute(None, "Algorithm").unwrap_or_default()
}

/// The only canonicalisation and the only transform; returns its PrefixList.
fn exclusive_c14n(element: &Element) -> Result<Vec<String>, SecurityError> {
    if algorithm(element) != EXC_C14N {
        return Err(SecurityError::Algorithm(algorithm(element).to_string()));
    }
    if element.children.is_empty() {
        return Ok(Vec::new());
    }
    let [inclusive] = children(element, [(EXC_C14N, "InclusiveNamespaces")])?;
    let list = inclusive.attribute(None, "PrefixList").unwrap_or_default();
    let prefix = |prefix: &str| if prefix == "#default" { String::new() } else { prefix.to_string() };
    Ok(list.split_ascii_whitespace().map(prefix).collect())
}

fn text(element: &Element) -> Result<&str, SecurityError> {
    if element.children.is_empty() {
        return Ok(element.text.trim_ascii());
    }
    Err(malformed(format!("elements inside {}", element.local)))
}

/// Base64 as XML Schema has it: blanks anywhere, padding required.
pub(super) fn base64(element: &Element) -> Result<Vec<u8>, SecurityError> {
    const STRICT: GeneralPurpose = GeneralPurpose::new(&ALPHABET, GeneralPurposeConfig::new());
    let packed: String = text(element)?.split_ascii_whitespace().collect();
    STRICT.decode(packed).map_err(|_| malformed(format!("{} is not base64", element.local)))
}
