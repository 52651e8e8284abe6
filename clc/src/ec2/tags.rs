//! Tags: labels that users hang on things.

use crate::error::Ec2Error;
use crate::front::{Params, Writer};

/// A label: a name and a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Its name, at most 127 characters.
    pub key: String,
    /// Its value, at most 255 characters; may be empty.
    pub value: String,
}

impl Tag {
    /// The tags that a request wants on the things of one type it makes:
    /// `TagSpecification.N.{ResourceType,Tag.M.{Key,Value}}`.
    ///
    /// # Errors
    /// `MissingParameter`, `InvalidParameterValue`.
    pub fn specified(params: &Params, resource_type: &str) -> Result<Vec<Tag>, Ec2Error> {
        let mut tags = Vec::new();
        for specification in params.groups("TagSpecification") {
            if specification.required("ResourceType")? != resource_type {
                continue;
            }
            for tag in specification.groups("Tag") {
                tags.push(Tag::parse(&tag)?);
            }
        }
        Ok(tags)
    }

    fn parse(params: &Params) -> Result<Tag, Ec2Error> {
        let key = params.required("Key")?;
        let value = params.optional("Value").unwrap_or_default();
        if key.chars().count() > 127 || key.starts_with("aws:") {
            return Err(params.invalid("Key", key, "It must have at most 127 characters and not begin with aws:."));
        }
        if value.chars().count() > 255 {
            return Err(params.invalid("Value", value, "It must have at most 255 characters."));
        }
        Ok(Tag { key: key.to_string(), value: value.to_string() })
    }

    /// Writes `tagSet`, which the contract has since 2010-08-31.
    pub fn write_set(tags: &[Tag], w: &mut Writer) {
        w.since("2010-08-31", |w| {
            w.set("tagSet", tags, |w, tag| {
                w.text("key", &tag.key);
                w.text("value", &tag.value);
            });
        });
    }
}
