//! Writes envelopes as 2.0.1's client and server do: the WS-Addressing blocks signed by RSA with
//! SHA-1, no Timestamp, the Body not covered, `wsa` declared on the Header, the token before the
//! signature (recorded: `tests/captures`).

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::dialect;
use crate::envelope::Limits;
use crate::envelope::names::{BASE64, DS, EXC_C14N, RSA_SHA1, SHA1, SOAP, WSA, WSSE, WSU, X509V3};
use crate::fault::Fault;
use crate::wsse::Identity;
use crate::wsse::c14n::canonicalize;

/// The WS-Addressing blocks of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addressing<'a> {
    /// Of a request.
    Request {
        /// The URL that is called.
        to: &'a str,
        /// `EucalyptusNC#ncRebootInstance`.
        action: &'a str,
        /// `urn:uuid:...`.
        message_id: &'a str,
    },
    /// Of an answer.
    Answer {
        /// The request's.
        action: &'a str,
        /// Where the request was sent to.
        from: &'a str,
        /// The answer's own.
        message_id: &'a str,
        /// The request's MessageID; old servers take requests without one.
        relates_to: Option<&'a str>,
    },
}

/// Writes a message signed by `identity`, whose key is RSA. `body` is the Body's child in the old
/// [`dialect`].
///
/// # Errors
/// A `Server` fault if the key is not RSA: whoever made the [`crate::wsse::Security`] checked that.
pub fn write(addressing: Addressing<'_>, body: &str, identity: &Identity) -> Result<String, Fault> {
    let blocks = blocks(addressing);
    let mut references = String::new();
    for (at, block) in blocks.iter().enumerate() {
        references.push_str(&reference(&id(at), &canonical(block)?));
    }
    let security = security(&references, identity)?;
    Ok(format!(
        "<soapenv:Envelope xmlns:soapenv=\"{SOAP}\"><soapenv:Header xmlns:wsa=\"{WSA}\">{}{security}</soapenv:Header>\
         <soapenv:Body>{body}</soapenv:Body></soapenv:Envelope>",
        blocks.concat()
    ))
}

/// The id of the block at this place.
fn id(at: usize) -> String {
    format!("SigID-{}", at + 1)
}

fn blocks(addressing: Addressing<'_>) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut add = |local: &str, attributes: &str, content: String| {
        let id = id(blocks.len());
        blocks.push(format!("<wsa:{local}{attributes} xmlns:wsu=\"{WSU}\" wsu:Id=\"{id}\">{content}</wsa:{local}>"));
    };
    match addressing {
        Addressing::Request { to, action, message_id } => {
            add("To", "", dialect::text(to));
            add("Action", "", dialect::text(action));
            add("MessageID", "", dialect::text(message_id));
        }
        Addressing::Answer { action, from, message_id, relates_to } => {
            add("Action", "", dialect::text(action));
            add("From", "", format!("<wsa:Address>{}</wsa:Address>", dialect::text(from)));
            add("MessageID", "", dialect::text(message_id));
            if let Some(relates_to) = relates_to {
                let kind = format!(" wsa:RelationshipType=\"{WSA}/reply\"");
                add("RelatesTo", &kind, dialect::text(relates_to));
            }
        }
    }
    blocks
}

/// The octets that are digested: the element as it stands in its envelope, in exclusive canonical
/// form.
fn canonical(element: &str) -> Result<String, Fault> {
    let around =
        [("soapenv", SOAP), ("wsa", WSA), ("wsse", WSSE), ("ds", DS)].map(|(p, uri)| (p.to_string(), uri.into()));
    canonicalize(element, &around, Vec::new(), &Limits::default())
        .map_err(|error| Fault::server(format!("a part could not be written: {error}")))
}

fn reference(id: &str, canonical: &str) -> String {
    let value = STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, canonical.as_bytes()));
    format!(
        "<ds:Reference URI=\"#{id}\"><ds:Transforms><ds:Transform Algorithm=\"{EXC_C14N}\"></ds:Transform>\
         </ds:Transforms><ds:DigestMethod Algorithm=\"{SHA1}\"></ds:DigestMethod>\
         <ds:DigestValue>{value}</ds:DigestValue></ds:Reference>"
    )
}

fn security(references: &str, identity: &Identity) -> Result<String, Fault> {
    let info = format!(
        "<ds:SignedInfo><ds:CanonicalizationMethod Algorithm=\"{EXC_C14N}\"></ds:CanonicalizationMethod>\
         <ds:SignatureMethod Algorithm=\"{RSA_SHA1}\"></ds:SignatureMethod>{references}</ds:SignedInfo>"
    );
    let value = identity.sign_rsa_sha1(canonical(&info)?.as_bytes());
    let value = value.ok_or_else(|| Fault::server("the profile euca-2.0.1 signs with an RSA key, and this is none"))?;
    let (value, certificate) = (STANDARD.encode(value), STANDARD.encode(identity.cert_der()));
    Ok(format!(
        "<wsse:Security xmlns:wsse=\"{WSSE}\" soapenv:mustUnderstand=\"1\">\
         <wsse:BinarySecurityToken EncodingType=\"{BASE64}\" xmlns:wsu=\"{WSU}\" wsu:Id=\"CertID-1\" \
         ValueType=\"{X509V3}\">{certificate}</wsse:BinarySecurityToken>\
         <ds:Signature xmlns:ds=\"{DS}\" Id=\"SigID-0\">{info}<ds:SignatureValue>{value}</ds:SignatureValue>\
         <ds:KeyInfo><wsse:SecurityTokenReference><wsse:Reference URI=\"#CertID-1\" ValueType=\"{X509V3}\">\
         </wsse:Reference></wsse:SecurityTokenReference></ds:KeyInfo></ds:Signature></wsse:Security>"
    ))
}
