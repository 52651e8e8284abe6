//! The pass itself: follows the events of one document, knows by absolute position what each
//! element is, and collects what the rest of the program needs. Every rule about the shape of an
//! envelope is in [`place`]; this file does not read signatures.

use std::collections::HashSet;

use super::events::{Event, Events, Malformed, Tag};
use super::names::{DS, IRONBARK, SOAP, SOAP12, WSA, WSSE, WSU, XML, XSI};
use super::scope::Binding;
use super::tree::{Builder, Element};
use super::{Envelope, Kind, Limits, Part, QName, Unread};
use crate::epochs::{BadEpochs, Epochs};
use crate::euca201::OldFault;
use crate::fault::{Fault, FaultCode};
use crate::wsse::c14n::Canonical;

/// What an element is, by its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Envelope,
    Header,
    Security,
    Signature,
    Body,
    /// The Body's child.
    Payload,
    /// A block of the Header, or what a signature can name in Security.
    Part(Kind),
    /// Anything deeper.
    Inside,
}

/// How many of the elements that may be there once have been seen.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    header: bool,
    body: bool,
    security: bool,
    payload: bool,
}

/// Decides what an element is from its parent and name, or refuses it.
fn place(parent: Option<Place>, tag: &Tag<'_>, seen: &mut Seen) -> Result<Place, Fault> {
    let mut once = |flag: fn(&mut Seen) -> &mut bool, what: &str, place: Place| {
        if std::mem::replace(flag(seen), true) {
            return Err(Fault::client(format!("a second {what}; an envelope has one")));
        }
        Ok(place)
    };
    match parent {
        None => root(tag),
        Some(Place::Envelope) if tag.is(SOAP, "Body") => once(|seen| &mut seen.body, "Body", Place::Body),
        Some(Place::Envelope) if tag.is(SOAP, "Header") => {
            let place = once(|seen| &mut seen.header, "Header", Place::Header)?;
            if seen.body { Err(Fault::client("the Header stands after the Body")) } else { Ok(place) }
        }
        Some(Place::Envelope) => {
            Err(Fault::client(format!("'{}' in the Envelope, which has a Header and a Body only", tag.local)))
        }
        Some(Place::Header) if tag.is(WSSE, "Security") => {
            once(|seen| &mut seen.security, "Security header", Place::Security)
        }
        Some(Place::Header) => Ok(Place::Part(Kind::Block)),
        Some(Place::Security) if tag.is(DS, "Signature") => Ok(Place::Signature),
        Some(Place::Security) if tag.is(WSU, "Timestamp") => Ok(Place::Part(Kind::Timestamp)),
        Some(Place::Security) if tag.is(WSSE, "BinarySecurityToken") => Ok(Place::Part(Kind::Token)),
        Some(Place::Signature) if tag.is(DS, "SignedInfo") => Ok(Place::Part(Kind::SignedInfo)),
        Some(Place::Body) => once(|seen| &mut seen.payload, "element in the Body", Place::Payload),
        Some(Place::Security | Place::Signature | Place::Payload | Place::Part(_) | Place::Inside) => Ok(Place::Inside),
    }
}

fn root(tag: &Tag<'_>) -> Result<Place, Fault> {
    if tag.is(SOAP, "Envelope") {
        return Ok(Place::Envelope);
    }
    if tag.local == "Envelope" {
        let version = if tag.is(SOAP12, "Envelope") { "SOAP 1.2" } else { "an envelope of another version" };
        return Err(Fault {
            code: FaultCode::VersionMismatch,
            reason: format!("{version}; this service speaks SOAP 1.1 ({SOAP})"),
        });
    }
    Err(Fault::client(format!("the root is '{}'; a message is a SOAP 1.1 Envelope", tag.local)))
}

/// A part whose end has not come.
struct Capture {
    kind: Kind,
    name: QName,
    id: Option<String>,
    depth: usize,
    at: usize,
    context: Vec<Binding>,
    canonical: Canonical,
}

/// The text for the handler: the Body's child on its own, nil elements left out.
struct Payload {
    name: QName,
    depth: usize,
    /// Depth of the nil element that is being left out.
    nil: Option<usize>,
    canonical: Canonical,
}

struct Scan<'a> {
    events: Events<'a>,
    limits: &'a Limits,
    path: Vec<Place>,
    seen: Seen,
    ids: HashSet<String>,
    captures: Vec<Capture>,
    payload: Option<Payload>,
    body: Option<(QName, String)>,
    builder: Builder,
    header: Vec<Element>,
    parts: Vec<Part>,
    /// Canonical bytes of parts that are finished.
    written: usize,
}

/// Runs the pass.
pub(super) fn scan(events: Events<'_>, limits: &Limits) -> Result<Envelope, Unread> {
    let mut scan = Scan {
        events,
        limits,
        path: Vec::new(),
        seen: Seen::default(),
        ids: HashSet::new(),
        captures: Vec::new(),
        payload: None,
        body: None,
        builder: Builder::default(),
        header: Vec::new(),
        parts: Vec::new(),
        written: 0,
    };
    loop {
        match scan.events.next().map_err(refused)? {
            Event::Start(tag) => scan.start(&tag)?,
            Event::Text(text) => scan.text(&text)?,
            Event::End => scan.end(),
            Event::Eof => return scan.finish(),
        }
        scan.bound()?;
    }
}

fn refused(error: Malformed) -> Fault {
    Fault::client(error.to_string())
}

impl Scan<'_> {
    fn start(&mut self, tag: &Tag<'_>) -> Result<(), Fault> {
        let place = place(self.path.last().copied(), tag, &mut self.seen)?;
        self.path.push(place);
        self.note_ids(tag)?;
        if self.in_header() {
            self.builder.start(tag);
            if self.builder.count > self.limits.header_elements {
                let most = self.limits.header_elements;
                return Err(refused(self.events.malformed(format!("more than {most} elements in the Header"))));
            }
        }
        let part = match place {
            Place::Part(kind) => Some(kind),
            Place::Body => Some(Kind::Body),
            Place::Envelope | Place::Header | Place::Security | Place::Signature | Place::Payload | Place::Inside => {
                None
            }
        };
        if let Some(kind) = part {
            self.capture(kind, tag)?;
        }
        for capture in &mut self.captures {
            capture.canonical.start(tag, self.events.scope());
        }
        self.start_payload(place, tag);
        Ok(())
    }

    fn in_header(&self) -> bool {
        self.path.len() > 2 && self.path[1] == Place::Header
    }

    /// Ids must be unique over all that any reader could take for one.
    fn note_ids(&mut self, tag: &Tag<'_>) -> Result<(), Fault> {
        for id in [tag.attribute(Some(WSU), "Id"), tag.attribute(None, "Id"), tag.attribute(Some(XML), "id")] {
            let Some(id) = id else { continue };
            if !self.ids.insert(id.to_string()) {
                return Err(refused(self.events.malformed(format!("two elements have the id '{id}'"))));
            }
        }
        Ok(())
    }

    fn capture(&mut self, kind: Kind, tag: &Tag<'_>) -> Result<(), Fault> {
        if self.parts.len() + self.captures.len() >= self.limits.parts {
            let most = self.limits.parts;
            return Err(refused(self.events.malformed(format!("more than {most} blocks in the Header"))));
        }
        self.captures.push(Capture {
            kind,
            name: name(tag),
            id: tag.attribute(Some(WSU), "Id").map(str::to_string),
            depth: self.path.len(),
            at: tag.at,
            context: self.events.scope().snapshot(),
            canonical: Canonical::default(),
        });
        Ok(())
    }

    fn start_payload(&mut self, place: Place, tag: &Tag<'_>) {
        let depth = self.path.len();
        if place == Place::Payload {
            self.payload = Some(Payload { name: name(tag), depth, nil: None, canonical: Canonical::default() });
        }
        let Some(payload) = &mut self.payload else { return };
        let nil = tag.attribute(Some(XSI), "nil").map(str::trim_ascii);
        if payload.nil.is_none() && depth > payload.depth && matches!(nil, Some("true" | "1")) {
            payload.nil = Some(depth);
        }
        if payload.nil.is_none() {
            payload.canonical.start(tag, self.events.scope());
        }
    }

    fn text(&mut self, text: &str) -> Result<(), Fault> {
        match self.path.last() {
            Some(Place::Envelope | Place::Header | Place::Body) if !text.trim_ascii().is_empty() => {
                return Err(refused(self.events.malformed("text where SOAP has elements only")));
            }
            Some(_) | None => {}
        }
        if self.in_header() {
            self.builder.text(text);
        }
        for capture in &mut self.captures {
            capture.canonical.text(text);
        }
        if let Some(payload) = self.payload.as_mut().filter(|payload| payload.nil.is_none()) {
            payload.canonical.text(text);
        }
        Ok(())
    }

    fn end(&mut self) {
        let depth = self.path.len();
        if self.in_header() {
            self.header.extend(self.builder.end());
        }
        for capture in &mut self.captures {
            capture.canonical.end();
        }
        if let Some(capture) = self.captures.pop_if(|capture| capture.depth == depth) {
            self.keep(capture);
        }
        self.end_payload(depth);
        self.path.pop();
    }

    fn keep(&mut self, capture: Capture) {
        let source = self.events.text()[capture.at..self.events.position()].to_string();
        let canonical = capture.canonical.finish();
        self.written += canonical.len();
        let Capture { kind, name, id, context, .. } = capture;
        self.parts.push(Part { kind, name, id, canonical, source, context });
    }

    fn end_payload(&mut self, depth: usize) {
        let Some(mut payload) = self.payload.take() else { return };
        match payload.nil {
            Some(nil) if nil == depth => payload.nil = None,
            Some(_) => {}
            None => payload.canonical.end(),
        }
        if payload.depth == depth {
            self.written += payload.canonical.len();
            self.body = Some((payload.name, payload.canonical.finish()));
        } else {
            self.payload = Some(payload);
        }
    }

    /// Canonical text can outgrow the message: stop before it fills the memory.
    fn bound(&self) -> Result<(), Fault> {
        let open: usize = self.captures.iter().map(|capture| capture.canonical.len()).sum();
        let payload = self.payload.as_ref().map_or(0, |payload| payload.canonical.len());
        if self.written + open + payload > self.limits.canonical {
            let most = self.limits.canonical;
            return Err(refused(self.events.malformed(format!("more than {most} bytes in canonical form"))));
        }
        Ok(())
    }

    fn finish(self) -> Result<Envelope, Unread> {
        if !self.seen.body {
            return Err(Fault::client("no Body in the Envelope").into());
        }
        let Some((body_name, body)) = self.body else {
            let fault = Fault::client("the Body is empty; it holds one element, the operation");
            return Err(Unread { fault, old: OldFault::NotOfContract });
        };
        let header = self.header;
        must_understand(&header)?;
        let addressing =
            |local| block(&header, WSA, local).map(|found| found.map(|text| text.trim_ascii().to_string()));
        Ok(Envelope {
            body,
            body_name,
            to: addressing("To")?,
            action: addressing("Action")?,
            message_id: addressing("MessageID")?,
            relates_to: addressing("RelatesTo")?,
            reason: only(&header, IRONBARK, "Reason")?
                .and_then(|block| block.attribute(None, "text"))
                .map(str::to_string),
            epochs: epochs(&header)?,
            header,
            parts: self.parts,
        })
    }
}

fn name(tag: &Tag<'_>) -> QName {
    QName { namespace: tag.namespace.as_deref().unwrap_or_default().to_string(), local: tag.local.to_string() }
}

fn epochs(header: &[Element]) -> Result<Epochs, Unread> {
    let text = only(header, IRONBARK, "Epochs")?.and_then(|block| block.attribute(None, "of")).unwrap_or_default();
    Ok(text.parse().map_err(|error: BadEpochs| Fault::client(error.to_string()))?)
}

/// The text of the one block with that name.
fn block<'h>(header: &'h [Element], namespace: &str, local: &str) -> Result<Option<&'h str>, Unread> {
    let Some(element) = only(header, namespace, local)? else { return Ok(None) };
    if !element.children.is_empty() {
        return Err(Fault::client(format!("elements inside the header block '{local}', which holds text")).into());
    }
    Ok(Some(&element.text))
}

/// The one block with that name.
fn only<'h>(header: &'h [Element], namespace: &str, local: &str) -> Result<Option<&'h Element>, Unread> {
    let mut found = header.iter().filter(|element| element.is(namespace, local));
    let element = found.next();
    if found.next().is_some() {
        let fault = Fault::client(format!("two header blocks '{local}'; at most one is accepted"));
        return Err(Unread { fault, old: OldFault::RepeatedAddressing });
    }
    Ok(element)
}

/// SOAP 1.1, section 4.2.3. Blocks addressed to other actors are held to the same rule: this
/// service is always the last to see them.
fn must_understand(header: &[Element]) -> Result<(), Fault> {
    for element in header {
        let must = match element.attribute(Some(SOAP), "mustUnderstand").map(str::trim_ascii) {
            None | Some("0" | "false") => false,
            Some("1" | "true") => true,
            Some(_) => return Err(Fault::client("mustUnderstand is neither 0 nor 1")),
        };
        if must && !understood(element) {
            return Err(Fault {
                code: FaultCode::MustUnderstand,
                reason: format!("the header block '{}' is not understood here", element.local),
            });
        }
    }
    Ok(())
}

/// ReplyTo and FaultTo are not among them: answers go back where the request came from.
fn understood(element: &Element) -> bool {
    let addressing = ["To", "Action", "MessageID", "RelatesTo", "From"];
    element.is(WSSE, "Security")
        || element.is(IRONBARK, "Reason")
        || element.is(IRONBARK, "Epochs")
        || addressing.iter().any(|local| element.is(WSA, local))
}
