//! The one reader of XML that strangers send: quick-xml's events, narrowed to start, text and end,
//! within limits, with every namespace resolved, and without anything that two readers could
//! understand differently (DTD, processing instructions, foreign encodings, control characters,
//! duplicate attributes). Knows nothing of SOAP.

use std::borrow::Cow;
use std::sync::Arc;

use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::attributes::Attributes;
use quick_xml::events::{BytesDecl, BytesRef, BytesStart, Event as Raw};
use quick_xml::reader::Reader;
use thiserror::Error;

use super::Limits;
use super::names;
use super::scope::{Binding, Scope};

/// Why a document was not read on: a sentence with the byte at which it was noticed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("XML refused at byte {at}: {problem}")]
pub(crate) struct Malformed {
    pub at: u64,
    pub problem: String,
}

/// What a document consists of once it is known to be harmless.
pub(crate) enum Event<'a> {
    /// An element begins; its declarations are in force in [`Events::scope`].
    Start(Tag<'a>),
    /// Character data, references resolved, line ends normalised. A run may come in pieces.
    Text(Cow<'a, str>),
    /// The innermost open element ends.
    End,
    /// The root element has ended and nothing but blanks and comments followed.
    Eof,
}

/// The beginning of an element.
pub(crate) struct Tag<'a> {
    /// The name as written, with its prefix.
    pub name: &'a str,
    pub prefix: &'a str,
    pub local: &'a str,
    pub namespace: Option<Arc<str>>,
    /// In document order, without namespace declarations.
    pub attributes: Vec<Attribute<'a>>,
    /// Where `<` stands in the document.
    pub at: usize,
}

/// One attribute; `value` is normalised as XML 1.0, section 3.3.3 says.
pub(crate) struct Attribute<'a> {
    pub name: &'a str,
    pub prefix: &'a str,
    pub local: &'a str,
    pub namespace: Option<Arc<str>>,
    pub value: Cow<'a, str>,
}

impl Tag<'_> {
    /// True if the element has this name in this namespace.
    pub fn is(&self, namespace: &str, local: &str) -> bool {
        self.local == local && self.namespace.as_deref() == Some(namespace)
    }

    /// The value of an attribute; `None` as namespace means an attribute without prefix.
    pub fn attribute(&self, namespace: Option<&str>, local: &str) -> Option<&str> {
        let found = self
            .attributes
            .iter()
            .find(|attribute| attribute.local == local && attribute.namespace.as_deref() == namespace)?;
        Some(&found.value)
    }
}

/// The reader.
pub(crate) struct Events<'a> {
    text: &'a str,
    reader: Reader<&'a [u8]>,
    limits: &'a Limits,
    scope: Scope<'a>,
    depth: usize,
    begun: bool,
    rooted: bool,
    /// The last event was the start of an element without content: its end comes next.
    empty: bool,
    /// The last event was an end: the declarations of that depth go before the next event.
    ended: bool,
}

impl<'a> Events<'a> {
    /// Reads a document from the wire.
    pub fn document(bytes: &'a [u8], limits: &'a Limits) -> Result<Self, Malformed> {
        let refused = |at: usize, problem: String| Malformed { at: at as u64, problem };
        if bytes.len() > limits.bytes {
            return Err(refused(limits.bytes, format!("the message is longer than {} bytes", limits.bytes)));
        }
        let text = std::str::from_utf8(bytes)
            .map_err(|error| refused(error.valid_up_to(), "not UTF-8; messages must be UTF-8".to_string()))?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if let Some((at, found)) = forbidden(text) {
            return Err(refused(at, format!("the character U+{:04X} is not allowed in XML", u32::from(found))));
        }
        Ok(Self::fragment(text, &[], limits))
    }

    /// Reads one element again, out of a document that [`Events::document`] has accepted;
    /// `context` is what was declared around it.
    pub fn fragment(text: &'a str, context: &'a [Binding], limits: &'a Limits) -> Self {
        let mut reader = Reader::from_str(text);
        reader.config_mut().check_comments = true;
        Self {
            text,
            reader,
            limits,
            scope: Scope::inside(context),
            depth: 0,
            begun: false,
            rooted: false,
            empty: false,
            ended: false,
        }
    }

    /// The declarations in force.
    pub fn scope(&self) -> &Scope<'a> {
        &self.scope
    }

    /// Where the last event ended in the document.
    pub fn position(&self) -> usize {
        usize::try_from(self.reader.buffer_position()).unwrap_or(usize::MAX).min(self.text.len())
    }

    /// The document's text, without a byte order mark.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// An error at the present position.
    pub fn malformed(&self, problem: impl Into<String>) -> Malformed {
        Malformed { at: self.reader.buffer_position(), problem: problem.into() }
    }

    /// The next event.
    pub fn next(&mut self) -> Result<Event<'a>, Malformed> {
        if std::mem::take(&mut self.ended) {
            self.scope.leave(self.depth + 1);
        }
        if std::mem::take(&mut self.empty) {
            return Ok(self.end());
        }
        loop {
            let raw = self.reader.read_event().map_err(|error| self.malformed(error.to_string()))?;
            let first = !std::mem::replace(&mut self.begun, true);
            match raw {
                Raw::Start(start) => return self.start(&start).map(Event::Start),
                Raw::Empty(start) => {
                    self.empty = true;
                    return self.start(&start).map(Event::Start);
                }
                Raw::End(_) => return Ok(self.end()),
                Raw::Text(text) if self.depth == 0 => {
                    if !text.trim_ascii().is_empty() {
                        return Err(self.malformed("text outside the root element"));
                    }
                }
                Raw::Text(text) if text.contains("]]>") => {
                    return Err(self.malformed("']]>' in text; write ']]&gt;'"));
                }
                Raw::Text(text) => return Ok(Event::Text(text.xml10_content())),
                Raw::CData(_) | Raw::GeneralRef(_) if self.depth == 0 => {
                    return Err(self.malformed("text outside the root element"));
                }
                Raw::CData(data) => return Ok(Event::Text(data.xml10_content())),
                Raw::GeneralRef(reference) => return self.resolve(&reference).map(Event::Text),
                Raw::Comment(_) => {}
                Raw::Decl(declaration) => self.declaration(&declaration, first)?,
                Raw::PI(_) => return Err(self.malformed("processing instructions are not accepted")),
                Raw::DocType(_) => return Err(self.malformed("a DOCTYPE is not accepted")),
                Raw::Eof if self.depth > 0 => return Err(self.malformed("the document ends inside an element")),
                Raw::Eof if !self.rooted => return Err(self.malformed("no element; a message has one root")),
                Raw::Eof => return Ok(Event::Eof),
            }
        }
    }

    fn end(&mut self) -> Event<'a> {
        self.depth -= 1;
        self.ended = true;
        Event::End
    }

    /// `<?xml ...?>`: first thing in the document, version 1.0, no encoding but UTF-8.
    fn declaration(&self, declaration: &BytesDecl<'_>, first: bool) -> Result<(), Malformed> {
        if !first {
            return Err(self.malformed("an XML declaration that is not at the very beginning"));
        }
        let version = declaration.version().map_err(|error| self.malformed(error.to_string()))?;
        if version != "1.0" {
            return Err(self.malformed(format!("XML version {version}; only 1.0 is accepted")));
        }
        match declaration.encoding() {
            None => Ok(()),
            Some(Ok(encoding)) if encoding.eq_ignore_ascii_case("utf-8") => Ok(()),
            Some(Ok(encoding)) => Err(self.malformed(format!("encoding {encoding}; only UTF-8 is accepted"))),
            Some(Err(error)) => Err(self.malformed(error.to_string())),
        }
    }

    fn resolve(&self, reference: &BytesRef<'_>) -> Result<Cow<'a, str>, Malformed> {
        match reference.resolve_char_ref().map_err(|error| self.malformed(error.to_string()))? {
            Some(found) if is_xml_char(found) => Ok(Cow::Owned(found.to_string())),
            Some(found) => Err(self.malformed(format!("a reference to U+{:04X}, which XML forbids", u32::from(found)))),
            None => match resolve_predefined_entity(reference) {
                Some(text) => Ok(Cow::Borrowed(text)),
                None => Err(self.malformed("an entity that is not one of XML's own five")),
            },
        }
    }

    fn start(&mut self, raw: &BytesStart<'_>) -> Result<Tag<'a>, Malformed> {
        if self.depth == 0 && std::mem::replace(&mut self.rooted, true) {
            return Err(self.malformed("a second root element"));
        }
        self.depth += 1;
        if self.depth > self.limits.depth {
            return Err(self.malformed(format!("elements nested deeper than {}", self.limits.depth)));
        }
        let (inside, at) = self.slice(raw)?;
        let name = &inside[..raw.name().0.len()];
        let mut attributes = self.attributes(inside, name.len())?;
        let (prefix, local) = self.split(name)?;
        for at in 0..attributes.len() {
            let (before, attribute) = attributes.split_at_mut(at);
            let attribute = &mut attribute[0];
            attribute.namespace = if attribute.prefix.is_empty() { None } else { Some(self.bound(attribute.prefix)?) };
            let same = |other: &Attribute<'_>| other.local == attribute.local && other.namespace == attribute.namespace;
            if before.iter().any(same) {
                return Err(self.malformed(format!("the attribute {} appears twice", attribute.local)));
            }
        }
        let namespace = if prefix.is_empty() { self.scope.get("").cloned() } else { Some(self.bound(prefix)?) };
        Ok(Tag { name, prefix, local, namespace, attributes, at })
    }

    /// What stands between `<` and `>`, and where `<` stands. The event borrows from the document
    /// but does not hand that out, so the same text is found again by its address.
    fn slice(&self, raw: &BytesStart<'_>) -> Result<(&'a str, usize), Malformed> {
        let inside: &str = raw;
        let at = (inside.as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize);
        match self.text.get(at..at.saturating_add(inside.len())) {
            Some(found) if at > 0 => Ok((found, at - 1)),
            Some(_) | None => Err(self.malformed("an element that is not in the document")),
        }
    }

    /// The attributes, values normalised; namespace declarations go to the scope. To which namespaces they belong
    /// is known only when all of these have been read.
    fn attributes(&mut self, inside: &'a str, from: usize) -> Result<Vec<Attribute<'a>>, Malformed> {
        let mut written = Vec::new();
        for (count, attribute) in Attributes::new(inside, from).enumerate() {
            if count >= self.limits.attributes {
                return Err(self.malformed(format!("more than {} attributes on one element", self.limits.attributes)));
            }
            let attribute = attribute.map_err(|error| self.malformed(error.to_string()))?;
            if attribute.value.contains('<') {
                return Err(self.malformed("'<' in an attribute; write '&lt;'"));
            }
            let value = attribute
                .normalized_value(XmlVersion::Implicit1_0)
                .map_err(|error| self.malformed(error.to_string()))?;
            if attribute.value.contains('&') && !value.chars().all(is_xml_char) {
                return Err(self.malformed("a reference to a character that XML forbids"));
            }
            match attribute.key.0.strip_prefix("xmlns") {
                Some("") => self.declare("", &value)?,
                Some(rest) if rest.starts_with(':') => self.declare(&rest[1..], &value)?,
                Some(_) | None => {
                    let name = attribute.key.0;
                    let (prefix, local) = self.split(name)?;
                    written.push(Attribute { name, prefix, local, namespace: None, value });
                }
            }
        }
        Ok(written)
    }

    /// A namespace declaration, by the rules of Namespaces in XML 1.0, sections 2.2 and 3.
    fn declare(&mut self, prefix: &'a str, uri: &str) -> Result<(), Malformed> {
        if prefix == "xml" && uri == names::XML {
            return Ok(());
        }
        if prefix == "xml" || prefix == "xmlns" || uri == names::XML || uri == names::XMLNS {
            return Err(self.malformed("the prefixes xml and xmlns and their namespaces cannot be redeclared"));
        }
        if !prefix.is_empty() && (uri.is_empty() || !is_ncname(prefix)) {
            return Err(self.malformed(format!("the declaration of the prefix '{prefix}' is not valid")));
        }
        if self.scope.len() >= self.limits.namespaces {
            return Err(self.malformed(format!("more than {} namespace declarations at once", self.limits.namespaces)));
        }
        self.scope.declare(self.depth, prefix, uri);
        Ok(())
    }

    fn bound(&self, prefix: &str) -> Result<Arc<str>, Malformed> {
        match self.scope.get(prefix) {
            Some(uri) => Ok(uri.clone()),
            None => Err(self.malformed(format!("the prefix '{prefix}' is not declared"))),
        }
    }

    fn split<'n>(&self, name: &'n str) -> Result<(&'n str, &'n str), Malformed> {
        let (prefix, local) = name.split_once(':').unwrap_or(("", name));
        let prefixed = local.len() < name.len();
        if is_ncname(local) && (!prefixed || is_ncname(prefix)) {
            return Ok((prefix, local));
        }
        Err(self.malformed(format!("'{}' is not a name", name.escape_debug())))
    }
}

/// The first character that XML does not allow. Nearly every message is of harmless ASCII, which is seen
/// without looking at each character.
fn forbidden(text: &str) -> Option<(usize, char)> {
    let harmless = |byte: u8| byte < 0x80 && (byte >= b' ' || matches!(byte, b'\t' | b'\n' | b'\r'));
    if text.bytes().fold(true, |all, byte| all & harmless(byte)) {
        return None;
    }
    text.char_indices().find(|(_, found)| !is_xml_char(*found))
}

/// `Char` of XML 1.0, section 2.2: no control characters but tab, line feed and carriage return.
pub(crate) fn is_xml_char(found: char) -> bool {
    matches!(found, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// `NCName` of Namespaces in XML 1.0: a name without a colon.
fn is_ncname(name: &str) -> bool {
    let mut letters = name.chars();
    letters.next().is_some_and(begins_name) && letters.all(continues_name)
}

fn begins_name(found: char) -> bool {
    matches!(found, 'A'..='Z' | 'a'..='z' | '_' | '\u{c0}'..='\u{d6}' | '\u{d8}'..='\u{f6}' | '\u{f8}'..='\u{2ff}'
        | '\u{370}'..='\u{37d}' | '\u{37f}'..='\u{1fff}' | '\u{200c}'..='\u{200d}' | '\u{2070}'..='\u{218f}'
        | '\u{2c00}'..='\u{2fef}' | '\u{3001}'..='\u{d7ff}' | '\u{f900}'..='\u{fdcf}' | '\u{fdf0}'..='\u{fffd}'
        | '\u{10000}'..='\u{effff}')
}

fn continues_name(found: char) -> bool {
    begins_name(found)
        || matches!(found, '0'..='9' | '-' | '.' | '\u{b7}' | '\u{300}'..='\u{36f}' | '\u{203f}'..='\u{2040}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(document: &[u8]) -> String {
        let limits = Limits { bytes: 4096, ..Limits::default() };
        let mut events = match Events::document(document, &limits) {
            Ok(events) => events,
            Err(error) => return error.problem,
        };
        loop {
            match events.next() {
                Ok(Event::Eof) => return String::new(),
                Ok(_) => {}
                Err(error) => return error.problem,
            }
        }
    }

    #[test]
    fn harmless_documents_pass() {
        for document in [
            "<a/>",
            "\u{feff}<?xml version='1.0' encoding='utf-8'?>\n<!-- c --><a b='1' x:b='2' xmlns:x='urn:x'>t&amp;&#x41;<![CDATA[<]]></a>\n",
            "<é·1 xml:lang='en'/>",
            "<a b='&lt;&#xD;'/>",
        ] {
            assert_eq!(problem(document.as_bytes()), "", "{document}");
        }
    }

    #[test]
    fn hostile_documents_are_refused() {
        let deep = "<a>".repeat(65);
        let attributes: String = (0..65).map(|n| format!(" a{n}=''")).collect();
        let many = format!("<a{attributes}/>");
        let spaces: String = (0..3)
            .map(|level| {
                let all: String = (0..60).map(|n| format!(" xmlns:p{level}x{n}='u'")).collect();
                format!("<a{all}>")
            })
            .collect();
        let long = format!("<a>{}</a>", "x".repeat(5000));
        let cases: Vec<(&[u8], &str)> = vec![
            (b"", "no element"),
            (b"<a>", "ends inside"),
            (b"<a></b>", "expected"),
            (b"</a>", "close tag"),
            (b"<a/><b/>", "second root"),
            (b"<a/>text", "text outside"),
            (b"&amp;<a/>", "text outside"),
            (b"<!DOCTYPE a><a/>", "DOCTYPE"),
            (b"<a><!DOCTYPE a></a>", "DOCTYPE"),
            (b"<a><?php x?></a>", "processing instructions"),
            (b" <?xml version='1.0'?><a/>", "very beginning"),
            (b"<?xml version='1.1'?><a/>", "version 1.1"),
            (b"<?xml version='1.0' encoding='ISO-8859-1'?><a/>", "encoding ISO-8859-1"),
            (b"\xff\xfe<\0a\0", "not UTF-8"),
            (b"<a>\x01</a>", "U+0001"),
            (b"<a>\0</a>", "U+0000"),
            (b"<a>\xef\xbf\xbe</a>", "U+FFFE"),
            (b"<a>&#1;</a>", "U+0001"),
            (b"<a>&#xFFFF;</a>", "U+FFFF"),
            (b"<a b='&#x1F;'/>", "XML forbids"),
            (b"<a>&nbsp;</a>", "five"),
            (b"<a>]]></a>", "]]>"),
            (b"<a b='<'/>", "'<'"),
            (b"<a b='1' b='2'/>", "duplicate"),
            (b"<a xmlns:x='u' xmlns:y='u' x:b='1' y:b='2'/>", "appears twice"),
            (b"<a xmlns='u' xmlns='v'/>", "duplicate"),
            (b"<p:a/>", "not declared"),
            (b"<a p:b=''/>", "not declared"),
            (b"<a><b xmlns:p='u'/><p:c/></a>", "not declared"),
            (b"<a xmlns:p=''/>", "not valid"),
            (b"<a xmlns:xml='urn:x'/>", "redeclared"),
            (b"<a xmlns:p='http://www.w3.org/XML/1998/namespace'/>", "redeclared"),
            (b"<a:b:c xmlns:a='u'/>", "not a name"),
            (b"<1a/>", "not a name"),
            (b"<a b=c/>", "enclosed in"),
            (b"<a><!-- -- --></a>", "--"),
            (deep.as_bytes(), "deeper than 64"),
            (many.as_bytes(), "more than 64 attributes"),
            (spaces.as_bytes(), "more than 128 namespace"),
            (long.as_bytes(), "longer than 4096"),
        ];
        for (document, expected) in cases {
            let problem = problem(document);
            assert!(problem.contains(expected), "{}: {problem}", String::from_utf8_lossy(document));
        }
    }
}
