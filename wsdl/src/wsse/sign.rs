//! Writes the Security header of the profile `strict`. Every element is written in its canonical
//! form, so that what is digested is what is sent.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

use super::LIFETIME;
use super::keys::{Algorithm, Identity};
use crate::envelope::names;

/// A part to be signed: an element in canonical form with its `wsu:Id`.
pub(crate) struct SigningPart {
    pub id: String,
    pub canonical: String,
}

/// Signs messages as an identity, at a moment.
pub struct Signer<'a> {
    identity: &'a Identity,
    now: Timestamp,
}

impl<'a> Signer<'a> {
    /// A signer whose messages are created `now` and live five minutes.
    pub fn new(identity: &'a Identity, now: Timestamp) -> Self {
        Self { identity, now }
    }

    /// The Security header over `blocks`, `body` and its own Timestamp.
    pub(crate) fn security(&self, blocks: &[SigningPart], body: &SigningPart) -> String {
        let timestamp = self.timestamp();
        let references: String = blocks.iter().chain([body, &timestamp]).map(reference).collect();
        let method = match self.identity.algorithm() {
            Algorithm::EcdsaSha256 => names::ECDSA_SHA256,
            Algorithm::RsaSha256 => names::RSA_SHA256,
            Algorithm::RsaSha1 => names::RSA_SHA1,
        };
        let (wsse, wsu, ds, c14n) = (names::WSSE, names::WSU, names::DS, names::EXC_C14N);
        let (x509, base64) = (names::X509V3, names::BASE64);
        let info = format!(
            "<ds:SignedInfo xmlns:ds=\"{ds}\">\
             <ds:CanonicalizationMethod Algorithm=\"{c14n}\"></ds:CanonicalizationMethod>\
             <ds:SignatureMethod Algorithm=\"{method}\"></ds:SignatureMethod>{references}</ds:SignedInfo>"
        );
        let value = STANDARD.encode(self.identity.sign(info.as_bytes()));
        let certificate = STANDARD.encode(self.identity.cert_der());
        format!(
            "<wsse:Security xmlns:wsse=\"{wsse}\" soapenv:mustUnderstand=\"1\">\
             <wsse:BinarySecurityToken xmlns:wsu=\"{wsu}\" EncodingType=\"{base64}\" ValueType=\"{x509}\" \
             wsu:Id=\"id-Token\">{certificate}</wsse:BinarySecurityToken>{timestamp}\
             <ds:Signature xmlns:ds=\"{ds}\">{info}<ds:SignatureValue>{value}</ds:SignatureValue>\
             <ds:KeyInfo><wsse:SecurityTokenReference><wsse:Reference URI=\"#id-Token\" ValueType=\"{x509}\"/>\
             </wsse:SecurityTokenReference></ds:KeyInfo></ds:Signature></wsse:Security>",
            timestamp = timestamp.canonical,
        )
    }

    fn timestamp(&self) -> SigningPart {
        let id = "id-Timestamp".to_string();
        let expires = self.now.saturating_add(LIFETIME).unwrap_or(Timestamp::MAX);
        let wsu = names::WSU;
        // Whole seconds, as all tools of that time write and read them.
        let utc = |time: Timestamp| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let canonical = format!(
            "<wsu:Timestamp xmlns:wsu=\"{wsu}\" wsu:Id=\"{id}\"><wsu:Created>{}</wsu:Created>\
             <wsu:Expires>{}</wsu:Expires></wsu:Timestamp>",
            utc(self.now),
            utc(expires),
        );
        SigningPart { id, canonical }
    }
}

fn reference(part: &SigningPart) -> String {
    let value = STANDARD.encode(digest(&SHA256, part.canonical.as_bytes()));
    format!(
        "<ds:Reference URI=\"#{}\"><ds:Transforms><ds:Transform Algorithm=\"{}\"></ds:Transform></ds:Transforms>\
         <ds:DigestMethod Algorithm=\"{}\"></ds:DigestMethod><ds:DigestValue>{value}</ds:DigestValue></ds:Reference>",
        part.id,
        names::EXC_C14N,
        names::SHA256,
    )
}
