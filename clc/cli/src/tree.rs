//! An answer as a tree of elements, namespaces aside: enough to print any EC2 answer, whatever the
//! version it was asked in.

use anyhow::{Context, Result, bail};
use quick_xml::Reader;
use quick_xml::events::Event;
use serde_json::{Map, Value};

/// One element.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    /// Local name.
    pub name: String,
    /// Text directly inside.
    pub text: String,
    /// Elements directly inside.
    pub children: Vec<Element>,
}

impl Element {
    /// Reads a document.
    ///
    /// # Errors
    /// If it is not well-formed XML.
    pub fn parse(xml: &str) -> Result<Self> {
        let mut reader = Reader::from_str(xml);
        let mut open = vec![Element::default()];
        loop {
            match reader.read_event().context("the answer is not XML")? {
                Event::Start(start) => open.push(Element::named(start.local_name().as_ref())),
                Event::Empty(start) => {
                    let element = Element::named(start.local_name().as_ref());
                    innermost(&mut open)?.children.push(element);
                }
                Event::End(_) => {
                    let element = open.pop().context("the answer closes what it never opened")?;
                    innermost(&mut open)?.children.push(element);
                }
                Event::Text(text) => innermost(&mut open)?.text.push_str(&text),
                Event::CData(text) => innermost(&mut open)?.text.push_str(&text),
                Event::GeneralRef(reference) => {
                    let resolved = match reference.resolve_char_ref()? {
                        Some(character) => character.to_string(),
                        None => quick_xml::escape::resolve_predefined_entity(&reference)
                            .context("the answer names an unknown entity")?
                            .to_string(),
                    };
                    innermost(&mut open)?.text.push_str(&resolved);
                }
                Event::Eof => break,
                Event::Decl(_) | Event::PI(_) | Event::DocType(_) | Event::Comment(_) => {}
            }
        }
        let mut document = open.pop().context("the answer is empty")?;
        if !open.is_empty() || document.children.len() != 1 {
            bail!("the answer is not one XML document");
        }
        document.children.pop().context("the answer is empty")
    }

    fn named(name: &str) -> Self {
        Self { name: name.to_string(), ..Self::default() }
    }

    /// The first child of that name.
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text at a path of names, empty if there is none.
    pub fn at(&self, path: &str) -> &str {
        path.split('/').try_fold(self, |element, name| element.child(name)).map_or("", |element| element.text.as_str())
    }

    /// The `item`s of the set at a path of names.
    pub fn items(&self, path: &str) -> impl Iterator<Item = &Element> {
        let set = path.split('/').try_fold(self, |element, name| element.child(name));
        set.into_iter().flat_map(|set| set.children.iter().filter(|child| child.name == "item"))
    }

    /// As JSON: sets of items are arrays, elements with children objects, all else strings.
    pub fn to_json(&self) -> Value {
        if self.children.is_empty() {
            let set = self.name.ends_with("Set") || self.name.ends_with("Info");
            return if set && self.text.trim().is_empty() {
                Value::Array(Vec::new())
            } else {
                Value::String(self.text.clone())
            };
        }
        if self.children.iter().all(|child| child.name == "item") {
            return Value::Array(self.children.iter().map(Element::to_json).collect());
        }
        let fields = self.children.iter().map(|child| (child.name.clone(), child.to_json()));
        Value::Object(fields.collect::<Map<_, _>>())
    }
}

fn innermost(open: &mut [Element]) -> Result<&mut Element> {
    open.last_mut().context("the answer closes what it never opened")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_and_texts_are_found_by_path() {
        let xml = "<R xmlns=\"urn:x\"><requestId>1</requestId><aSet><item><id>a &amp; b&#13;</id></item><item/></aSet><bSet/></R>";
        let tree = Element::parse(xml).unwrap();
        assert_eq!(tree.at("requestId"), "1");
        assert_eq!(tree.items("aSet").count(), 2);
        assert_eq!(tree.items("aSet").next().unwrap().at("id"), "a & b\r");
        assert_eq!(tree.at("no/such"), "");
        assert_eq!(tree.to_json().to_string(), r#"{"aSet":[{"id":"a & b\r"},""],"bSet":[],"requestId":"1"}"#);
    }

    #[test]
    fn broken_answers_are_errors() {
        for xml in ["", "<a>", "<a></b>", "<a/><b/>", "text"] {
            assert!(Element::parse(xml).is_err(), "{xml}");
        }
    }
}
