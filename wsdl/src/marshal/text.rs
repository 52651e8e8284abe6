//! Characters: which ones XML 1.0 can carry, and how those that a reader would change are written.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::MarshalError;

/// True for a character that an XML 1.0 document may have (production 2, `Char`).
fn carried(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

/// A text for people with the characters that XML cannot carry replaced by U+FFFD: reasons of
/// refusals come from programs and may have anything in them.
pub fn legible(text: &str) -> Cow<'_, str> {
    if text.chars().all(carried) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|c| if carried(c) { c } else { char::REPLACEMENT_CHARACTER }).collect())
}

/// What begins a text that stands for bytes: a data URI (RFC 2397) without a media type.
const BYTES: &str = "data:;base64,";

/// Bytes as a text that XML can carry. What is such a text already goes as it is, as 2.0.1 sends
/// user data; other bytes (a compressed script), and a text that looks like our own encoding, go
/// as a `data:;base64,` URI. [`bytes_carried`] is the way back.
pub fn carry_bytes(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.chars().all(carried) && !text.starts_with(BYTES) => text.to_string(),
        _ => format!("{BYTES}{}", STANDARD.encode(bytes)),
    }
}

/// The bytes that [`carry_bytes`] made a text of. A text of another origin is its own bytes.
pub fn bytes_carried(text: &str) -> Vec<u8> {
    let encoded = text.strip_prefix(BYTES).and_then(|encoded| STANDARD.decode(encoded).ok());
    encoded.unwrap_or_else(|| text.as_bytes().to_vec())
}

/// Finishes a serialised message. Carriage returns occur in text only (the serialiser puts none
/// into markup), so each can be replaced where it stands.
///
/// # Errors
/// [`MarshalError::Character`] for a character that XML cannot carry.
pub(super) fn protect(written: String) -> Result<String, MarshalError> {
    if let Some((at, c)) = written.char_indices().find(|(_, c)| !carried(*c)) {
        return Err(MarshalError::Character { path: path_at(&written[..at]), code: c.into() });
    }
    Ok(if written.contains('\r') { written.replace('\r', "&#xD;") } else { written })
}

/// The path of the element that is open at the end of `written`.
fn path_at(written: &str) -> String {
    let mut open: Vec<&str> = Vec::new();
    for tag in written.split('<').skip(1) {
        let Some((tag, _text)) = tag.split_once('>') else { continue };
        if tag.starts_with('/') {
            open.pop();
        } else if !tag.ends_with('/') {
            let name = tag.split_whitespace().next().unwrap_or(tag);
            open.push(name.rsplit(':').next().unwrap_or(name));
        }
    }
    open.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forbidden_characters_name_their_field() {
        let written = "<n:a xmlns:n=\"urn:x\"><n:b>fine</n:b><n:e /><n:c><n:d>x\u{1}</n:d></n:c></n:a>";
        let error = protect(written.to_string()).expect_err("U+0001");
        assert_eq!(error, MarshalError::Character { path: "a/c/d".to_string(), code: 1 });
        for c in ['\0', '\u{b}', '\u{1f}', '\u{fffe}', '\u{ffff}'] {
            assert!(protect(format!("<a>{c}</a>")).is_err(), "{c:?}");
        }
        for c in ['\t', '\n', ' ', '\u{7f}', '\u{85}', '\u{d7ff}', '\u{fffd}', '\u{10ffff}'] {
            assert!(protect(format!("<a>{c}</a>")).is_ok(), "{c:?}");
        }
    }

    #[test]
    fn reasons_are_made_legible() {
        assert_eq!(legible("node n1: ok"), "node n1: ok");
        assert_eq!(legible("esc \u{1b}[1m\0"), "esc \u{fffd}[1m\u{fffd}");
    }
}
