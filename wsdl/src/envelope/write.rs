//! Writes our envelopes, signed or not. Every part that can be signed is written in its canonical
//! form, so that the octets on the wire are the octets that were digested.

use super::Limits;
use super::events::is_xml_char;
use super::names::{IRONBARK, SOAP, WSA, WSU};
use crate::fault::Fault;
use crate::wsse::c14n::{canonicalize, escape_attribute, escape_text};
use crate::wsse::{Signer, SigningPart};

/// A message to be written. `body` is the Body's child, as XML.
#[derive(Clone, Debug, Default)]
pub struct Outgoing<'a> {
    /// wsa:To: the URL that is called.
    pub to: Option<&'a str>,
    /// wsa:Action: `EucalyptusNC#ncRebootInstance`.
    pub action: Option<&'a str>,
    /// wsa:MessageID: `urn:uuid:...`.
    pub message_id: Option<&'a str>,
    /// wsa:RelatesTo: the MessageID of the request that is answered.
    pub relates_to: Option<&'a str>,
    /// Why an operation was refused.
    pub reason: Option<&'a str>,
    /// Which operation of each instance it is.
    pub epochs: Option<&'a str>,
    /// The Body's child.
    pub body: &'a str,
}

/// Writes a message; with a signer, every part of it is signed by the profile `strict`.
///
/// A carriage return in `body` is taken for text (yaserde writes it bare) and survives as `&#xD;`.
///
/// # Errors
/// A `Server` fault when `body` is not well formed or has characters that XML forbids: marshalling
/// let something through that it must not.
pub fn write(message: &Outgoing<'_>, signer: Option<&Signer<'_>>) -> Result<String, Fault> {
    let addressing = [
        ("To", message.to),
        ("Action", message.action),
        ("MessageID", message.message_id),
        ("RelatesTo", message.relates_to),
    ];
    let signed = signer.is_some();
    let blocks = addressing.iter().filter_map(|(local, text)| Some(addressing_block(local, (*text)?, signed)));
    let own = [("Reason", "text", message.reason), ("Epochs", "of", message.epochs)];
    let own = own.iter().filter_map(|(local, attribute, text)| Some(own_block(local, attribute, (*text)?, signed)));
    let parts: Vec<SigningPart> = blocks.chain(own).collect();
    let body = body(message.body, signed)?;
    let security = signer.map(|signer| signer.security(&parts, &body)).unwrap_or_default();
    let blocks: String = parts.iter().map(|part| part.canonical.as_str()).collect();
    let header = if blocks.is_empty() && security.is_empty() {
        String::new()
    } else {
        format!("<soapenv:Header>{blocks}{security}</soapenv:Header>")
    };
    Ok(format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<soapenv:Envelope xmlns:soapenv=\"{SOAP}\">{header}{}</soapenv:Envelope>",
        body.canonical
    ))
}

fn addressing_block(local: &str, text: &str, signed: bool) -> SigningPart {
    let mut escaped = String::new();
    escape_text(&printable(text), &mut escaped);
    block("wsa", WSA, local, "", &escaped, signed)
}

/// A block of ours. An attribute has the text, because gSOAP forgets the text of header blocks that it does not
/// know, digests what is left, and takes the message for a forged one.
fn own_block(local: &str, attribute: &str, text: &str, signed: bool) -> SigningPart {
    let mut escaped = String::new();
    escape_attribute(&printable(text), &mut escaped);
    block("ib", IRONBARK, local, &format!(" {attribute}=\"{escaped}\""), "", signed)
}

/// These texts are for people or are ours, so a character that XML forbids (a reason may quote a
/// program's output) becomes U+FFFD instead of an error.
fn printable(text: &str) -> String {
    text.chars().map(|found| if is_xml_char(found) { found } else { '\u{fffd}' }).collect()
}

/// A header block in canonical form: attributes without namespace stand before `wsu:Id`.
fn block(prefix: &str, namespace: &str, local: &str, attributes: &str, content: &str, signed: bool) -> SigningPart {
    let id = format!("id-{local}");
    let (wsu, wsu_id) = if signed {
        (format!(" xmlns:wsu=\"{WSU}\""), format!(" wsu:Id=\"{id}\""))
    } else {
        (String::new(), String::new())
    };
    let start = format!("<{prefix}:{local} xmlns:{prefix}=\"{namespace}\"{wsu}{attributes}{wsu_id}>");
    SigningPart { id, canonical: format!("{start}{content}</{prefix}:{local}>") }
}

fn body(child: &str, signed: bool) -> Result<SigningPart, Fault> {
    let id = "id-Body".to_string();
    let attributes = if signed { format!(" xmlns:wsu=\"{WSU}\" wsu:Id=\"{id}\"") } else { String::new() };
    let child = child.strip_prefix('\u{feff}').unwrap_or(child);
    let child = match child.strip_prefix("<?xml") {
        Some(rest) => rest.split_once("?>").map_or(rest, |(_, rest)| rest),
        None => child,
    };
    let child = child.replace('\r', "&#xD;");
    let source = format!("<soapenv:Body xmlns:soapenv=\"{SOAP}\"{attributes}>{child}</soapenv:Body>");
    if let Some(found) = source.chars().find(|found| !is_xml_char(*found)) {
        return Err(Fault::server(format!(
            "U+{:04X} in the body; marshalling must not let it through",
            u32::from(found)
        )));
    }
    let limits = Limits { bytes: usize::MAX, canonical: usize::MAX, ..Limits::default() };
    let canonical = canonicalize(&source, &[], Vec::new(), &limits)
        .map_err(|error| Fault::server(format!("the body could not be written: {error}")))?;
    Ok(SigningPart { id, canonical })
}
