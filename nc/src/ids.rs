//! The names by which a node knows things. An instance id becomes a domain name, a directory and a
//! file name, so only texts of its exact form get through here.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// `i-` and eight upper-case hexadecimal digits: the form of Eucalyptus 2.0.1, whose MAC addresses
/// are made of these digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InstanceId(String);

/// A text that is no instance id.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("instanceId '{0}' is no instance id: it must be 'i-' and eight digits or capital letters A-F")]
pub struct BadInstanceId(String);

impl InstanceId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for InstanceId {
    type Err = BadInstanceId;

    fn from_str(text: &str) -> Result<Self, BadInstanceId> {
        let digit = |byte: u8| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte);
        match text.strip_prefix("i-") {
            Some(digits) if digits.len() == 8 && digits.bytes().all(digit) => Ok(Self(text.to_string())),
            _ => Err(BadInstanceId(text.chars().take(64).collect())),
        }
    }
}

impl TryFrom<String> for InstanceId {
    type Error = BadInstanceId;

    fn try_from(text: String) -> Result<Self, BadInstanceId> {
        text.parse()
    }
}

impl From<InstanceId> for String {
    fn from(id: InstanceId) -> String {
        id.0
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_form_is_an_id() {
        assert!("i-3C5A0732".parse::<InstanceId>().is_ok());
        for bad in ["", "i-", "i-3c5a0732", "i-3C5A073", "i-3C5A07321", "r-3C5A0732", "i-../../ab", "i-3C5A073Ü"] {
            let error = bad.parse::<InstanceId>().unwrap_err().to_string();
            assert!(error.contains("instanceId"), "{error}");
        }
    }
}
