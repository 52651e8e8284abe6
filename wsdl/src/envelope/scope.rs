//! Which namespace each prefix is bound to at a point of a document. Knows nothing of SOAP.

use std::sync::Arc;

use super::names;

/// A prefix (empty for the default namespace) and what it is bound to.
pub(crate) type Binding = (String, Arc<str>);

struct Bound<'a> {
    depth: usize,
    prefix: &'a str,
    uri: Arc<str>,
}

/// The declarations in force, innermost last.
pub(crate) struct Scope<'a> {
    bindings: Vec<Bound<'a>>,
    xml: Arc<str>,
}

impl<'a> Scope<'a> {
    /// A scope that starts with what the surroundings of a fragment declare.
    pub fn inside(context: &'a [Binding]) -> Self {
        let bindings = context.iter().map(|(prefix, uri)| Bound { depth: 0, prefix, uri: uri.clone() }).collect();
        Self { bindings, xml: names::XML.into() }
    }

    /// Number of declarations in force, shadowed ones too.
    pub fn len(&self) -> usize {
        self.bindings.len()
    }

    /// Adds a declaration made by the element at `depth`. An empty `uri` undoes the default.
    pub fn declare(&mut self, depth: usize, prefix: &'a str, uri: &str) {
        self.bindings.push(Bound { depth, prefix, uri: uri.into() });
    }

    /// Forgets what the element at `depth` and those inside it declared.
    pub fn leave(&mut self, depth: usize) {
        while self.bindings.last().is_some_and(|bound| bound.depth >= depth) {
            self.bindings.pop();
        }
    }

    /// The namespace of a prefix; `None` when it is bound to none.
    pub fn get(&self, prefix: &str) -> Option<&Arc<str>> {
        if prefix == "xml" {
            return Some(&self.xml);
        }
        let found = self.bindings.iter().rev().find(|bound| bound.prefix == prefix)?;
        (!found.uri.is_empty()).then_some(&found.uri)
    }

    /// A copy of all that is in force, for reading a fragment again later.
    pub fn snapshot(&self) -> Vec<Binding> {
        let mut seen: Vec<Binding> = Vec::new();
        for bound in self.bindings.iter().rev() {
            if !seen.iter().any(|(prefix, _)| prefix == bound.prefix) {
                seen.push((bound.prefix.to_string(), bound.uri.clone()));
            }
        }
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inner_declarations_shadow_and_end() {
        let mut scope = Scope::inside(&[]);
        scope.declare(1, "a", "urn:outer");
        scope.declare(1, "", "urn:default");
        scope.declare(2, "a", "urn:inner");
        scope.declare(2, "", "");
        assert_eq!(scope.get("a").map(|uri| &**uri), Some("urn:inner"));
        assert_eq!(scope.get(""), None);
        let mut snapshot = scope.snapshot();
        snapshot.sort();
        assert_eq!(snapshot, vec![(String::new(), "".into()), ("a".to_string(), "urn:inner".into())]);
        scope.leave(2);
        assert_eq!(scope.get("a").map(|uri| &**uri), Some("urn:outer"));
        assert_eq!(scope.get("").map(|uri| &**uri), Some("urn:default"));
        assert_eq!(scope.get("b"), None);
        assert_eq!(scope.get("xml").map(|uri| &**uri), Some(names::XML));
    }
}
