//! Writes our envelopes, signed or not. Every part that can be signed is written in its canonical
//! form, so that the octets on the wire are the octets that were digested.

use super::Limits;
use super::events::is_xml_char;
use super::names::{IRONBARK, SOAP, WSA, WSU};
use crate::fault::Fault;
use crate::wsse::c14n::{canonicalize, escape_text};
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
    let mut parts = Vec::new();
    let blocks = [
        ("wsa", "To", message.to),
        ("wsa", "Action", message.action),
        ("wsa", "MessageID", message.message_id),
        ("wsa", "RelatesTo", message.relates_to),
        ("ib", "Reason", message.reason),
    ];
    for (prefix, local, text) in blocks {
        if let Some(text) = text {
            parts.push(block(prefix, local, text, signer.is_some()));
        }
    }
    let body = body(message.body, signer.is_some())?;
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

/// A header block with text. These texts are for people or are ours, so a character that XML
/// forbids (a reason may quote a program's output) becomes U+FFFD instead of an error.
fn block(prefix: &str, local: &str, text: &str, signed: bool) -> SigningPart {
    let namespace = if prefix == "wsa" { WSA } else { IRONBARK };
    let id = format!("id-{local}");
    let mut canonical = if signed {
        format!("<{prefix}:{local} xmlns:{prefix}=\"{namespace}\" xmlns:wsu=\"{WSU}\" wsu:Id=\"{id}\">")
    } else {
        format!("<{prefix}:{local} xmlns:{prefix}=\"{namespace}\">")
    };
    let text: String = text.chars().map(|found| if is_xml_char(found) { found } else { '\u{fffd}' }).collect();
    escape_text(&text, &mut canonical);
    canonical.push_str(&format!("</{prefix}:{local}>"));
    SigningPart { id, canonical }
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
