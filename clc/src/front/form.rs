//! Percent-encoding, in and out: `application/x-www-form-urlencoded` text to pairs, and the one
//! canonical encoding that signatures are made over (RFC 3986's unreserved characters stay bare).

use std::fmt::Write as _;

/// The text is no UTF-8 once decoded, or has a `%` that is no escape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadEncoding;

/// The pairs of a query string or form: split at `&` and the first `=`, `+` is a blank.
///
/// # Errors
/// [`BadEncoding`].
pub fn pairs(raw: &str) -> Result<Vec<(String, String)>, BadEncoding> {
    raw.split('&')
        .filter(|part| !part.is_empty())
        .map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            Ok((decode(&name.replace('+', " "))?, decode(&value.replace('+', " "))?))
        })
        .collect()
}

/// Decodes `%XX`.
///
/// # Errors
/// [`BadEncoding`].
pub fn decode(text: &str) -> Result<String, BadEncoding> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let [high, low, after @ ..] = rest else { return Err(BadEncoding) };
        let digit = |byte: u8| char::from(byte).to_digit(16).ok_or(BadEncoding);
        let value = digit(*high)? * 16 + digit(*low)?;
        bytes.push(u8::try_from(value).map_err(|_| BadEncoding)?);
        rest = after;
    }
    String::from_utf8(bytes).map_err(|_| BadEncoding)
}

/// The canonical encoding: `A-Z a-z 0-9 - _ . ~` bare, everything else `%XX` in upper case.
pub fn encode(text: &str) -> String {
    encode_keeping(text, "")
}

/// [`encode`] that also leaves the ASCII characters of `bare` as they are.
pub fn encode_keeping(text: &str, bare: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for byte in text.bytes() {
        let character = char::from(byte);
        if byte.is_ascii_alphanumeric() || "-_.~".contains(character) || (byte.is_ascii() && bare.contains(character)) {
            out.push(character);
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_split_and_decoded() {
        let got = pairs("a=1+2&&b=%C3%A9%26&c&d==").unwrap();
        let expected = [("a", "1 2"), ("b", "é&"), ("c", ""), ("d", "=")];
        assert_eq!(got.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn broken_escapes_are_refused() {
        for bad in ["%", "%4", "%zz", "%C3", "%+1"] {
            assert_eq!(decode(bad), Err(BadEncoding), "{bad}");
        }
    }

    #[test]
    fn the_canonical_encoding_is_rfc_3986() {
        assert_eq!(encode("a b~c/é*+"), "a%20b~c%2F%C3%A9%2A%2B");
        assert_eq!(encode_keeping("/services/x y", "/"), "/services/x%20y");
    }
}
