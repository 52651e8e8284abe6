//! The names of instances and nodes as types that were checked once. They are safe as file names.
//! Knows no message and no state.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// An instance's id: `i-` and eight hexadecimal digits, kept in the letter case it came in.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InstanceId(String);

/// A node's name within its cluster: 1 to 64 letters, digits, dots, dashes and underscores,
/// beginning with a letter or digit.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NodeName(String);

/// A text that is no such name; says what one looks like.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadName {
    /// No instance id.
    #[error("'{0}' is no instance id: it should be i- and eight hexadecimal digits, as in i-3C5A0732")]
    Instance(String),
    /// No node name.
    #[error("'{0}' is no node name: use 1 to 64 letters, digits, '.', '-' and '_', beginning with a letter or digit")]
    Node(String),
}

impl InstanceId {
    /// Reads an id.
    ///
    /// # Errors
    /// [`BadName::Instance`] when it is not `i-` and eight hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        match text.strip_prefix("i-") {
            Some(digits) if digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_hexdigit()) => {
                Ok(Self(text.to_string()))
            }
            _ => Err(BadName::Instance(text.chars().take(80).collect())),
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The instance's MAC address: `d0:0d` and the id's digits in pairs, in the id's letter case
    /// (wire/cc.md 9.4, SYSTEM mode).
    pub fn mac(&self) -> String {
        let digits = &self.0[2..];
        format!("d0:0d:{}:{}:{}:{}", &digits[0..2], &digits[2..4], &digits[4..6], &digits[6..8])
    }
}

impl NodeName {
    /// Reads a name.
    ///
    /// # Errors
    /// [`BadName::Node`] when it has other characters, begins with a sign, or is too long or empty.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        let begins_well = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
        let harmless = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
        if begins_well && harmless && text.len() <= 64 {
            Ok(Self(text.to_string()))
        } else {
            Err(BadName::Node(text.chars().take(80).collect()))
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for InstanceId {
    type Error = BadName;

    fn try_from(text: String) -> Result<Self, BadName> {
        Self::parse(&text)
    }
}

impl TryFrom<String> for NodeName {
    type Error = BadName;

    fn try_from(text: String) -> Result<Self, BadName> {
        Self::parse(&text)
    }
}

impl From<InstanceId> for String {
    fn from(id: InstanceId) -> Self {
        id.0
    }
}

impl From<NodeName> for String {
    fn from(name: NodeName) -> Self {
        name.0
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mac_is_made_of_the_ids_digits_in_their_case() {
        // The recorded SYSTEM-mode answer of a 2.0.1 cluster controller.
        assert_eq!(InstanceId::parse("i-46E208C2").unwrap().mac(), "d0:0d:46:E2:08:C2");
    }

    #[test]
    fn other_texts_are_refused_in_a_sentence() {
        for text in ["", "i-", "i-46E208C", "i-46E208C22", "i-ryxzcflc", "I-46E208C2", "i-../../x", "i-46é08C2"] {
            let error = InstanceId::parse(text).unwrap_err().to_string();
            assert!(error.contains("eight hexadecimal digits"), "{error}");
        }
        for text in ["", ".", "..", "-x", "a/b", "a b", &"n".repeat(65)] {
            assert!(NodeName::parse(text).is_err(), "{text}");
        }
        assert_eq!(NodeName::parse("node-7.rack_2").unwrap().as_str(), "node-7.rack_2");
    }
}
