//! Exclusive XML canonicalisation 1.0 without comments (<https://www.w3.org/TR/xml-exc-c14n/>) as a
//! writer over the events of one element. Knows nothing of signatures.

use std::sync::Arc;

use crate::envelope::Limits;
use crate::envelope::events::{Attribute, Event, Events, Malformed, Tag};
use crate::envelope::scope::{Binding, Scope};

struct Rendered {
    depth: usize,
    prefix: String,
    uri: Arc<str>,
}

/// Writes the canonical form of one element: give it the element's own start and end and all
/// between them.
#[derive(Default)]
pub(crate) struct Canonical {
    out: String,
    /// Where the names of the open elements stand in `out`.
    open: Vec<std::ops::Range<usize>>,
    /// The declarations written and still in force in the output.
    rendered: Vec<Rendered>,
    /// Prefixes to treat as inclusive canonicalisation does; empty for the default namespace.
    inclusive: Vec<String>,
}

impl Canonical {
    /// A writer with an InclusiveNamespaces PrefixList, where `#default` is written as "".
    pub fn with_inclusive(inclusive: Vec<String>) -> Self {
        Self { inclusive, ..Self::default() }
    }

    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// The canonical form.
    pub fn finish(self) -> String {
        self.out
    }

    pub fn start(&mut self, tag: &Tag<'_>, scope: &Scope<'_>) {
        self.out.push('<');
        let begin = self.out.len();
        self.out.push_str(tag.name);
        self.open.push(begin..self.out.len());
        self.declarations(tag, scope);
        if let [only] = &tag.attributes[..] {
            self.attribute("", only.name, &only.value);
        } else {
            let mut attributes: Vec<&Attribute<'_>> = tag.attributes.iter().collect();
            attributes.sort_by_key(|attribute| (attribute.namespace.as_deref().unwrap_or(""), attribute.local));
            for attribute in attributes {
                self.attribute("", attribute.name, &attribute.value);
            }
        }
        self.out.push('>');
    }

    pub fn text(&mut self, text: &str) {
        escape_text(text, &mut self.out);
    }

    pub fn end(&mut self) {
        let Some(name) = self.open.pop() else { return };
        self.out.push_str("</");
        self.out.extend_from_within(name);
        self.out.push('>');
        let depth = self.open.len();
        while self.rendered.last().is_some_and(|rendered| rendered.depth > depth) {
            self.rendered.pop();
        }
    }

    /// Declares the prefixes that this element visibly uses, or that are to be treated
    /// inclusively, unless the output already has them in force: default first, then by prefix.
    fn declarations(&mut self, tag: &Tag<'_>, scope: &Scope<'_>) {
        if tag.attributes.iter().all(|attribute| attribute.prefix.is_empty()) && self.inclusive.is_empty() {
            return self.declare(tag.prefix, scope.get(tag.prefix)); // Nearly every element.
        }
        let inclusive = std::mem::take(&mut self.inclusive);
        let mut used: Vec<&str> = vec![tag.prefix];
        used.extend(tag.attributes.iter().map(|attribute| attribute.prefix).filter(|prefix| !prefix.is_empty()));
        used.extend(inclusive.iter().map(String::as_str));
        used.sort_unstable();
        used.dedup();
        for prefix in used {
            self.declare(prefix, scope.get(prefix));
        }
        self.inclusive = inclusive;
    }

    fn declare(&mut self, prefix: &str, uri: Option<&Arc<str>>) {
        if prefix == "xml" {
            return; // Bound everywhere, never declared.
        }
        let current = self.rendered.iter().rev().find(|rendered| rendered.prefix == prefix);
        let current = current.map_or("", |rendered| &*rendered.uri);
        let wanted = uri.map_or("", |uri| &**uri);
        if current == wanted {
            return;
        }
        if prefix.is_empty() {
            self.attribute("", "xmlns", wanted);
        } else if wanted.is_empty() {
            return; // An inclusive prefix that is not in scope; a prefix cannot be undeclared.
        } else {
            self.attribute("xmlns:", prefix, wanted);
        }
        let uri = uri.cloned().unwrap_or_else(|| Arc::from(""));
        self.rendered.push(Rendered { depth: self.open.len(), prefix: prefix.to_string(), uri });
    }

    /// An attribute whose name is in two parts.
    fn attribute(&mut self, first: &str, rest: &str, value: &str) {
        self.out.push(' ');
        self.out.push_str(first);
        self.out.push_str(rest);
        self.out.push_str("=\"");
        escape_attribute(value, &mut self.out);
        self.out.push('"');
    }
}

/// Writes text as canonical XML does; a carriage return survives as a reference.
pub(crate) fn escape_text(text: &str, out: &mut String) {
    escape(text, out, |byte| match byte {
        b'&' => Some("&amp;"),
        b'<' => Some("&lt;"),
        b'>' => Some("&gt;"),
        b'\r' => Some("&#xD;"),
        _ => None,
    });
}

/// Writes an attribute's value as canonical XML does.
pub(crate) fn escape_attribute(value: &str, out: &mut String) {
    escape(value, out, |byte| match byte {
        b'&' => Some("&amp;"),
        b'<' => Some("&lt;"),
        b'"' => Some("&quot;"),
        b'\t' => Some("&#x9;"),
        b'\n' => Some("&#xA;"),
        b'\r' => Some("&#xD;"),
        _ => None,
    });
}

fn escape(text: &str, out: &mut String, special: impl Fn(u8) -> Option<&'static str>) {
    let mut rest = text;
    // Each special byte is a whole character.
    while let Some((at, instead)) = rest.bytes().enumerate().find_map(|(at, byte)| Some((at, special(byte)?))) {
        out.push_str(&rest[..at]);
        out.push_str(instead);
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
}

/// The canonical form of one element that stands in a document with `context` declared around it.
pub(crate) fn canonicalize(
    source: &str,
    context: &[Binding],
    inclusive: Vec<String>,
    limits: &Limits,
) -> Result<String, Malformed> {
    let mut events = Events::fragment(source, context, limits);
    let mut canonical = Canonical::with_inclusive(inclusive);
    loop {
        match events.next()? {
            Event::Start(tag) => canonical.start(&tag, events.scope()),
            Event::Text(text) => canonical.text(&text),
            Event::End => canonical.end(),
            Event::Eof => return Ok(canonical.finish()),
        }
        if canonical.len() > limits.canonical {
            return Err(events.malformed(format!("the canonical form is longer than {} bytes", limits.canonical)));
        }
    }
}

/// Canonical form of the element numbered `index` in document order (0 is the root), where that
/// element stands: what the comparison with a reference implementation calls.
///
/// # Errors
/// A sentence when the document is refused or has no such element.
#[doc(hidden)]
pub fn canonical_element(document: &str, index: usize, inclusive: &[&str]) -> Result<String, String> {
    let limits = Limits::default();
    let mut events = Events::document(document.as_bytes(), &limits).map_err(|error| error.to_string())?;
    let inclusive = inclusive.iter().map(|prefix| (*prefix).to_string()).collect();
    let mut canonical = Canonical::with_inclusive(inclusive);
    let mut started = 0;
    loop {
        match events.next().map_err(|error| error.to_string())? {
            Event::Start(tag) => {
                if started == index || !canonical.open.is_empty() {
                    canonical.start(&tag, events.scope());
                }
                started += 1;
            }
            Event::Text(text) if !canonical.open.is_empty() => canonical.text(&text),
            Event::Text(_) => {}
            Event::End => canonical.end(),
            Event::Eof if started <= index => return Err(format!("no element {index} in {document}")),
            Event::Eof => return Ok(canonical.finish()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(document: &str, index: usize, inclusive: &[&str], expected: &str) {
        assert_eq!(canonical_element(document, index, inclusive).as_deref(), Ok(expected));
    }

    #[test]
    fn namespaces_are_declared_where_they_are_used() {
        let document = r#"<n0:local xmlns:n0="foo:bar" xmlns:n3="ftp://example.org"><n1:elem2 xmlns:n1="http://example.net" xml:lang="en"><n3:stuff xmlns:n3="ftp://example.org"/></n1:elem2></n0:local>"#;
        check(
            document,
            1,
            &[],
            r#"<n1:elem2 xmlns:n1="http://example.net" xml:lang="en"><n3:stuff xmlns:n3="ftp://example.org"></n3:stuff></n1:elem2>"#,
        );
        check(
            document,
            1,
            &["n0", "unknown"],
            r#"<n1:elem2 xmlns:n0="foo:bar" xmlns:n1="http://example.net" xml:lang="en"><n3:stuff xmlns:n3="ftp://example.org"></n3:stuff></n1:elem2>"#,
        );
    }

    #[test]
    fn the_default_namespace_is_undone_where_it_must_be() {
        check(
            r#"<a xmlns="urn:a"><b xmlns=""><c/></b><d/></a>"#,
            0,
            &[],
            r#"<a xmlns="urn:a"><b xmlns=""><c></c></b><d></d></a>"#,
        );
        check(r#"<a xmlns="urn:a"><b xmlns=""/></a>"#, 1, &[], "<b></b>");
        check(
            r#"<a xmlns="urn:a"><p:b xmlns:p="urn:p"/></a>"#,
            1,
            &[""],
            r#"<p:b xmlns="urn:a" xmlns:p="urn:p"></p:b>"#,
        );
    }

    #[test]
    fn attributes_are_sorted_by_namespace_then_name_and_escaped() {
        check(
            "<e xmlns:b='urn:z' xmlns:a='urn:y' b:q='1' a:r='2' z='3' c='&lt;&quot;&#9;&#10;&#13;\t\r\n>'/>",
            0,
            &[],
            "<e xmlns:a=\"urn:y\" xmlns:b=\"urn:z\" c=\"&lt;&quot;&#x9;&#xA;&#xD;  >\" z=\"3\" a:r=\"2\" b:q=\"1\"></e>",
        );
    }

    #[test]
    fn namespaces_are_escaped_like_attributes() {
        check("<e xmlns='urn:a&amp;b&#9;'/>", 0, &[], "<e xmlns=\"urn:a&amp;b&#x9;\"></e>");
    }

    #[test]
    fn text_is_escaped_and_comments_and_cdata_go() {
        check(
            "<e>a<!-- c -->b<![CDATA[<&>]]>&amp;&gt;&#xD;\r\nc\rd</e>",
            0,
            &[],
            "<e>ab&lt;&amp;&gt;&amp;&gt;&#xD;\nc\nd</e>",
        );
    }
}
