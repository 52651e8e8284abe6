//! The Header as a small tree, for reading what is in it: a message's Header is short and bounded,
//! its Body is neither and never becomes a tree.

use std::sync::Arc;

use super::events::Tag;

/// An element of the Header.
pub(crate) struct Element {
    pub namespace: Option<Arc<str>>,
    pub local: String,
    /// Namespace, name, value.
    pub attributes: Vec<(Option<Arc<str>>, String, String)>,
    pub children: Vec<Element>,
    /// All text directly inside, joined: a comment cannot split it.
    pub text: String,
}

impl Element {
    pub fn new(tag: &Tag<'_>) -> Self {
        let attributes = tag
            .attributes
            .iter()
            .map(|attribute| (attribute.namespace.clone(), attribute.local.to_string(), attribute.value.to_string()))
            .collect();
        Self {
            namespace: tag.namespace.clone(),
            local: tag.local.to_string(),
            attributes,
            children: Vec::new(),
            text: String::new(),
        }
    }

    /// True if the element has this name in this namespace.
    pub fn is(&self, namespace: &str, local: &str) -> bool {
        self.local == local && self.namespace.as_deref() == Some(namespace)
    }

    /// The value of an attribute; `None` as namespace means an attribute without prefix.
    pub fn attribute(&self, namespace: Option<&str>, local: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(space, name, _)| name == local && space.as_deref() == namespace)?;
        Some(&found.2)
    }

    /// True if there is no text but blanks.
    pub fn is_blank(&self) -> bool {
        self.text.trim_ascii().is_empty()
    }
}

/// Builds elements from starts, texts and ends.
#[derive(Default)]
pub(crate) struct Builder {
    open: Vec<Element>,
    /// Elements begun so far.
    pub count: usize,
}

impl Builder {
    pub fn start(&mut self, tag: &Tag<'_>) {
        self.count += 1;
        self.open.push(Element::new(tag));
    }

    pub fn text(&mut self, text: &str) {
        if let Some(element) = self.open.last_mut() {
            element.text.push_str(text);
        }
    }

    /// Ends the innermost element; hands it out when it was the outermost.
    pub fn end(&mut self) -> Option<Element> {
        let element = self.open.pop()?;
        match self.open.last_mut() {
            Some(parent) => {
                parent.children.push(element);
                None
            }
            None => Some(element),
        }
    }
}
