//! Messages to XML and back. yaserde moves the fields; around it stands what it lacks: the check
//! against the contract ([`conform`]), text that keeps every character, and errors that name the
//! field. Knows no operation and no tier.
//!
//! What comes in is the body's child in canonical form, already verified: a document of its own,
//! without comments, CDATA or entities of its own.

mod conform;
mod contract;
mod operations;
mod text;
mod time;

use thiserror::Error;
use xml::reader::{EventReader, ParserConfig};
use yaserde::de::Deserializer;
use yaserde::{YaDeserialize, YaSerialize};

use crate::service::Service;

pub use contract::{Contract, Field, Kind, Operation};
pub(crate) use operations::operations;
pub use text::{bytes_carried, carry_bytes, legible};
pub use time::DateTime;

/// A message: a struct that stands for one global element of a contract.
pub trait Wire: YaSerialize + YaDeserialize {
    /// The element's local name; for a response with `Response` at its end.
    const ELEMENT: &'static str;
    /// The contract that has it.
    const CONTRACT: Service;
}

/// Why a message cannot be written or read. `path` is the field's, `ncRunInstance/netParams/vlan`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MarshalError {
    /// The body's child is another one than asked for.
    #[error("the message is {found}, expected {expected}")]
    WrongRoot {
        /// `{namespace}name`.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A mandatory element is not there.
    #[error("{path} is missing; it is mandatory")]
    Missing {
        /// The field.
        path: String,
    },
    /// An element that may occur once occurs again.
    #[error("{path} occurs more than once; send it once")]
    Repeated {
        /// The field.
        path: String,
    },
    /// A value is not of its type.
    #[error("{path}: `{value}` is not {wanted}")]
    NotA {
        /// The field.
        path: String,
        /// What it should be.
        wanted: &'static str,
        /// The first 40 characters of what it is.
        value: String,
    },
    /// A simple value has elements in it.
    #[error("{path} has elements in it; it holds text only")]
    Nested {
        /// The field.
        path: String,
    },
    /// There is text between the children of an element.
    #[error("{path} has text in it; it holds elements only")]
    Text {
        /// The field.
        path: String,
    },
    /// A character that XML 1.0 cannot carry, escaped or not.
    #[error("{path}: XML cannot carry the character U+{code:04X}; send it as base64 or leave it out")]
    Character {
        /// The field.
        path: String,
        /// Its code point.
        code: u32,
    },
    /// The text is not XML, or has what SOAP forbids.
    #[error("the message cannot be read: {0}")]
    Malformed(String),
}

/// Writes a message, as the body's child. Text is kept whole: blanks stay, a carriage return
/// goes as `&#xD;` (a reader would make a raw one a line feed).
///
/// # Errors
/// [`MarshalError::Character`] for a character that XML 1.0 cannot carry.
pub fn to_xml<T: YaSerialize>(message: &T) -> Result<String, MarshalError> {
    let config = yaserde::ser::Config { write_document_declaration: false, ..yaserde::ser::Config::default() };
    let written = yaserde::ser::to_string_with_config(message, &config)
        .map_err(|error| MarshalError::Malformed(error.to_string()))?;
    text::protect(written)
}

/// Reads a message: holds it against its contract, then fills the struct.
///
/// Elements that the contract does not have are passed over, and any order is accepted.
///
/// # Errors
/// [`MarshalError`], which names the field.
pub fn from_xml<T: Wire>(xml: &str) -> Result<T, MarshalError> {
    let checked = conform::conform(xml, Contract::of(T::CONTRACT), T::ELEMENT)?;
    read(&checked)
}

/// Fills a struct without holding the text against a contract, but with every blank of its text
/// kept: for our own texts and for structs outside the three contracts. Mind what yaserde does
/// not see: the root's name, a scalar twice.
///
/// # Errors
/// [`MarshalError::Malformed`], with yaserde's sentence.
pub fn read<T: YaDeserialize>(xml: &str) -> Result<T, MarshalError> {
    let config = ParserConfig::new().whitespace_to_characters(true).cdata_to_characters(true);
    let mut deserializer = Deserializer::new(EventReader::new_with_config(xml.as_bytes(), config));
    T::deserialize(&mut deserializer).map_err(|error| MarshalError::Malformed(error.to_string()))
}
