//! How a response is written: one writer for both doors and all versions. It knows which elements
//! a version may have, how text is escaped, and nothing of any action.

use std::fmt::Write as _;

use ironbark_wsdl::http::Pieces;
use jiff::Timestamp;

use crate::ec2::Version;

/// Which way a request came in; its answer leaves the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// Signed parameters, V2 or V4.
    Query,
    /// A signed SOAP 1.1 envelope.
    Soap,
}

/// Writes the elements of one response.
///
/// Query clients look elements up by name, so they get everything we know; SOAP clients check the
/// order and the presence of elements against the WSDL of their version, so they get exactly that.
#[derive(Debug)]
pub struct Writer {
    out: String,
    door: Door,
    version: Version,
    /// Where what was written goes once it is [`PIECE`] long.
    pieces: Option<Pieces>,
}

/// Bytes of a long answer that are sent together.
const PIECE: usize = 64 * 1024;

impl Writer {
    /// A writer for an answer through `door` in `version`.
    pub fn new(door: Door, version: Version) -> Self {
        Self { out: String::with_capacity(1024), door, version, pieces: None }
    }

    /// A writer of a long answer, which hands it over piece by piece.
    pub fn in_pieces(door: Door, version: Version, pieces: Pieces) -> Self {
        Self { out: String::with_capacity(PIECE), door, version, pieces: Some(pieces) }
    }

    /// What was written and not handed over.
    pub fn into_string(self) -> String {
        self.out
    }

    /// Hands over what is left, and says that it was the end.
    pub fn end(self) {
        if let Some(pieces) = self.pieces {
            pieces.put(self.out);
            pieces.end();
        }
    }

    /// Text that is XML already.
    pub(super) fn raw(&mut self, text: &str) {
        self.out.push_str(text);
    }

    /// The version that is spoken.
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// The door through which it leaves.
    pub fn door(&self) -> Door {
        self.door
    }

    /// `<name>value</name>`, escaped.
    pub fn text(&mut self, name: &str, value: &str) {
        self.open(name);
        escape_into(&mut self.out, value);
        self.close(name);
    }

    /// [`Writer::text`] if there is a value.
    pub fn optional(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    /// A number.
    pub fn number(&mut self, name: &str, value: i64) {
        self.text(name, &value.to_string());
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, name: &str, value: bool) {
        self.text(name, if value { "true" } else { "false" });
    }

    /// A time as EC2 writes it: UTC, milliseconds, `2010-08-31T12:00:00.000Z`.
    pub fn time(&mut self, name: &str, value: Timestamp) {
        self.text(name, &format!("{value:.3}"));
    }

    /// An element with others in it.
    pub fn element(&mut self, name: &str, inside: impl FnOnce(&mut Self)) {
        self.open(name);
        inside(self);
        self.close(name);
    }

    /// `<name><item>...</item>...</name>`; an empty set is an empty element, never left out.
    pub fn set<T>(&mut self, name: &str, items: impl IntoIterator<Item = T>, mut item: impl FnMut(&mut Self, T)) {
        self.element(name, |w| {
            for each in items {
                w.element("item", |w| item(w, each));
            }
        });
    }

    /// A set of plain texts: `<name><item>text</item>...</name>`.
    pub fn texts<T: AsRef<str>>(&mut self, name: &str, items: impl IntoIterator<Item = T>) {
        self.element(name, |w| {
            for each in items {
                w.text("item", each.as_ref());
            }
        });
    }

    /// Elements of later versions that the SOAP contract lacks and Query clients look for.
    pub fn query_only(&mut self, inside: impl FnOnce(&mut Self)) {
        match self.door {
            Door::Query => inside(self),
            Door::Soap => {}
        }
    }

    /// Elements that the SOAP contract has from `version` (`2010-08-31`) on; Query always has them.
    pub fn since(&mut self, version: &str, inside: impl FnOnce(&mut Self)) {
        if self.door == Door::Query || self.version.at_least(version) {
            inside(self);
        }
    }

    /// [`Writer::element`] that puts itself and what is in it into another namespace.
    pub fn element_in(&mut self, name: &str, namespace: &str, inside: impl FnOnce(&mut Self)) {
        let _ = write!(self.out, "<{name} xmlns=\"");
        escape_into(&mut self.out, namespace);
        self.out.push_str("\">");
        inside(self);
        self.close(name);
    }

    fn open(&mut self, name: &str) {
        self.out.push('<');
        self.out.push_str(name);
        self.out.push('>');
    }

    fn close(&mut self, name: &str) {
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push('>');
        if self.out.len() >= PIECE
            && let Some(pieces) = &self.pieces
        {
            // If nobody reads any more, the rest is written to no one, at no more than the time it takes.
            pieces.put(std::mem::replace(&mut self.out, String::with_capacity(PIECE + PIECE / 4)));
        }
    }
}

/// Text for element content and double-quoted attributes. `\r` becomes a reference, else every
/// parser reads `\n`; what XML 1.0 cannot hold at all (control characters, U+FFFE, U+FFFF)
/// becomes U+FFFD.
pub fn escape_into(out: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\r' => out.push_str("&#13;"),
            '\t' | '\n' => out.push(character),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            _ => out.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(door: Door, version: &str, inside: impl FnOnce(&mut Writer)) -> String {
        let mut w = Writer::new(door, version.parse().unwrap());
        inside(&mut w);
        w.into_string()
    }

    #[test]
    fn text_survives_every_parser() {
        let out = write(Door::Query, "2010-08-31", |w| w.text("a", "<&>\"\r\n\u{1}é"));
        assert_eq!(out, "<a>&lt;&amp;&gt;&quot;&#13;\n\u{fffd}é</a>");
    }

    #[test]
    fn soap_has_what_its_version_knows_and_query_has_all() {
        let body = |w: &mut Writer| {
            w.query_only(|w| w.text("q", ""));
            w.since("2010-08-31", |w| w.text("s", ""));
        };
        assert_eq!(write(Door::Soap, "2009-11-30", body), "");
        assert_eq!(write(Door::Soap, "2010-08-31", body), "<s></s>");
        assert_eq!(write(Door::Query, "2009-11-30", body), "<q></q><s></s>");
    }

    #[test]
    fn times_have_milliseconds_and_z() {
        let time: Timestamp = "2026-11-20T09:00:00.12345Z".parse().unwrap();
        assert_eq!(write(Door::Query, "2010-08-31", |w| w.time("t", time)), "<t>2026-11-20T09:00:00.123Z</t>");
    }

    #[test]
    fn an_empty_set_is_an_empty_element() {
        assert_eq!(write(Door::Soap, "2010-08-31", |w| w.texts("set", Vec::<String>::new())), "<set></set>");
    }
}
