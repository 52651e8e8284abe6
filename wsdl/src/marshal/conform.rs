//! Makes an incoming message safe for yaserde: one pass that holds it against the contract and
//! writes it anew, so that what yaserde silently accepts or loses (another root, a scalar twice,
//! a padded number) is either refused with the field's path or put right. Knows XML and the
//! contract, no struct.

use std::collections::BTreeMap;

use quick_xml::NsReader;
use quick_xml::escape::partial_escape;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;

use super::MarshalError;
use super::contract::{Contract, Field, Kind};
use super::time::DateTime;

/// Holds `xml` against the message `element` of `contract` and returns it rewritten: children
/// that the contract does not have are dropped, numbers and dates trimmed, text kept as it is.
/// Children may come in any order.
///
/// A response that says `return=false` may lack its mandatory children (2.0.1 sends such ones):
/// they are added with empty values.
///
/// # Errors
/// [`MarshalError`] with the path of the field at fault.
pub fn conform(xml: &str, contract: &Contract, element: &str) -> Result<String, MarshalError> {
    let mut reader = NsReader::from_str(xml);
    reader.config_mut().expand_empty_elements = true;
    let mut pass = Pass { reader, contract, out: String::with_capacity(xml.len() + 64), path: Vec::new() };
    pass.root(element)?;
    pass.end()?;
    Ok(pass.out)
}

struct Pass<'x> {
    reader: NsReader<&'x [u8]>,
    contract: &'x Contract,
    out: String,
    path: Vec<String>,
}

/// An event, as far as a message's content has them.
enum Token<'x> {
    Child { name: String, ours: bool, start: BytesStart<'x> },
    Text(String),
    End,
}

impl<'x> Pass<'x> {
    fn root(&mut self, element: &str) -> Result<(), MarshalError> {
        let expected = format!("{{{}}}{element}", self.contract.namespace);
        let found = loop {
            match self.token()? {
                Token::Child { name, ours, .. } if ours && name == element => break None,
                Token::Child { name, ours: true, .. } => break Some(format!("{{{}}}{name}", self.contract.namespace)),
                Token::Child { name, ours: false, .. } => break Some(name),
                Token::Text(_) => {}
                Token::End => break Some("an end tag".to_string()),
            }
        };
        if let Some(found) = found {
            return Err(MarshalError::WrongRoot { expected, found });
        }
        let fields = self.contract.message(element).ok_or_else(|| MarshalError::WrongRoot {
            expected: format!("a message of {}", self.contract.namespace),
            found: element.to_string(),
        })?;
        self.path.push(element.to_string());
        self.out.push_str(&format!("<n:{element} xmlns:n=\"{}\">", self.contract.namespace));
        let body = self.out.len();
        let seen = self.children(&fields)?;
        let refused = element.ends_with("Response") && self.out[body..].contains("<n:return>false</n:return>");
        for field in fields {
            if field.mandatory && !seen.contains_key(field.name.as_str()) {
                if !refused {
                    return Err(MarshalError::Missing { path: self.path_of(&field.name) });
                }
                self.write_empty(field);
            }
        }
        self.out.push_str(&format!("</n:{element}>"));
        Ok(())
    }

    /// Nothing but blanks may follow the root.
    fn end(&mut self) -> Result<(), MarshalError> {
        loop {
            match self.reader.read_event().map_err(|error| malformed(&error))? {
                Event::Eof => return Ok(()),
                Event::Comment(_) => {}
                Event::Text(text) if text.trim().is_empty() => {}
                _ => return Err(MarshalError::Malformed("something follows its root element".to_string())),
            }
        }
    }

    /// Copies the children of the element just opened, up to its end; counts them by name.
    fn children<'f>(&mut self, fields: &[&'f Field]) -> Result<BTreeMap<&'f str, u32>, MarshalError> {
        let mut seen = BTreeMap::new();
        loop {
            match self.token()? {
                Token::End => return Ok(seen),
                Token::Text(text) if text.trim().is_empty() => {}
                Token::Text(_) => return Err(MarshalError::Text { path: self.path.join("/") }),
                Token::Child { name, ours, start } => {
                    let Some(field) = fields.iter().find(|field| ours && field.name == name) else {
                        self.skip(&start)?;
                        continue;
                    };
                    let count = seen.entry(field.name.as_str()).or_insert(0);
                    *count += 1;
                    if field.max == Some(1) && *count > 1 {
                        return Err(MarshalError::Repeated { path: self.path_of(&name) });
                    }
                    self.path.push(name);
                    self.child(field)?;
                    self.path.pop();
                }
            }
        }
    }

    /// Copies one known child.
    fn child(&mut self, field: &Field) -> Result<(), MarshalError> {
        self.out.push_str(&format!("<n:{}>", field.name));
        match &field.kind {
            Kind::Complex(name) => {
                let fields = self.contract.fields(name);
                let seen = self.children(&fields)?;
                if let Some(missing) = fields.iter().find(|f| f.mandatory && !seen.contains_key(f.name.as_str())) {
                    return Err(MarshalError::Missing { path: self.path_of(&missing.name) });
                }
            }
            Kind::Text => {
                let text = self.content()?;
                self.out.push_str(&text);
            }
            Kind::Int => self.simple("a whole number of 32 bits", |text| text.parse::<i32>().is_ok())?,
            Kind::Long => self.simple("a whole number of 64 bits", |text| text.parse::<i64>().is_ok())?,
            Kind::Boolean => self.boolean()?,
            Kind::DateTime => self.simple("a date and time", |text| text.parse::<DateTime>().is_ok())?,
        }
        self.out.push_str(&format!("</n:{}>", field.name));
        Ok(())
    }

    /// Copies a value in which blanks around do not count (XML Schema: whiteSpace = collapse).
    fn simple(&mut self, wanted: &'static str, holds: impl Fn(&str) -> bool) -> Result<(), MarshalError> {
        let text = self.content()?;
        let value = text.trim();
        if !holds(value) {
            return Err(self.not_a(wanted, value));
        }
        self.out.push_str(value);
        Ok(())
    }

    fn boolean(&mut self) -> Result<(), MarshalError> {
        let text = self.content()?;
        match text.trim() {
            "true" | "1" => self.out.push_str("true"),
            "false" | "0" => self.out.push_str("false"),
            other => return Err(self.not_a("true or false", other)),
        }
        Ok(())
    }

    /// The escaped text of the element just opened, up to its end.
    fn content(&mut self) -> Result<String, MarshalError> {
        let mut content = String::new();
        loop {
            match self.token()? {
                Token::Text(text) => content.push_str(&text),
                Token::End => return Ok(content),
                Token::Child { .. } => return Err(MarshalError::Nested { path: self.path.join("/") }),
            }
        }
    }

    /// The next event, text still escaped. Comments are passed over.
    fn token(&mut self) -> Result<Token<'x>, MarshalError> {
        loop {
            let (space, event) = self.reader.read_resolved_event().map_err(|error| malformed(&error))?;
            return Ok(match event {
                Event::Start(start) | Event::Empty(start) => Token::Child {
                    name: start.local_name().as_ref().to_string(),
                    ours: matches!(space, ResolveResult::Bound(space) if space.0 == self.contract.namespace),
                    start,
                },
                Event::Text(text) => Token::Text(text.into_inner().into_owned()),
                Event::CData(data) => Token::Text(partial_escape(data.into_inner()).into_owned()),
                Event::GeneralRef(name) => Token::Text(format!("&{};", name.into_inner())),
                Event::End(_) => Token::End,
                Event::Eof => return Err(MarshalError::Malformed("it ends too early".to_string())),
                Event::Comment(_) | Event::Decl(_) => continue,
                Event::PI(_) => return Err(MarshalError::Malformed("it has a processing instruction".to_string())),
                Event::DocType(_) => return Err(MarshalError::Malformed("it has a DOCTYPE".to_string())),
            });
        }
    }

    fn skip(&mut self, start: &BytesStart) -> Result<(), MarshalError> {
        self.reader.read_to_end(start.name()).map(|_| ()).map_err(|error| malformed(&error))
    }

    /// A mandatory child with the emptiest value there is.
    fn write_empty(&mut self, field: &Field) {
        self.out.push_str(&format!("<n:{}>", field.name));
        match &field.kind {
            Kind::Text => {}
            Kind::Int | Kind::Long => self.out.push('0'),
            Kind::Boolean => self.out.push_str("false"),
            Kind::DateTime => self.out.push_str(&DateTime::default().to_string()),
            Kind::Complex(name) => {
                for child in self.contract.fields(name).into_iter().filter(|child| child.mandatory) {
                    self.write_empty(child);
                }
            }
        }
        self.out.push_str(&format!("</n:{}>", field.name));
    }

    fn path_of(&self, name: &str) -> String {
        format!("{}/{name}", self.path.join("/"))
    }

    fn not_a(&self, wanted: &'static str, value: &str) -> MarshalError {
        MarshalError::NotA { path: self.path.join("/"), wanted, value: value.chars().take(40).collect() }
    }
}

fn malformed(error: &quick_xml::Error) -> MarshalError {
    MarshalError::Malformed(error.to_string())
}
