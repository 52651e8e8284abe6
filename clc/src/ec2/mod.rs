//! EC2's requests and responses, a file per noun: what each action takes and gives, in the words of
//! the EC2 contract. Reading them from parameters and writing them as XML is here; what they do is
//! in `actions`. Nothing here knows the store, the clusters, or a door.

pub mod absent;
pub mod account;
pub mod addresses;
pub mod admin;
pub mod attributes;
pub mod console;
pub mod filters;
pub mod identity;
pub mod ids;
pub mod image_attributes;
pub mod images;
mod instance_filters;
pub mod instances;
pub mod keys;
pub mod monitoring;
pub mod offerings;
pub mod page;
pub mod placement_groups;
pub mod run;
#[cfg(test)]
pub mod samples;
pub mod security_groups;
pub mod security_rules;
pub mod status;
pub mod tags;
pub mod types;
mod unsupported;
mod version;
pub mod zones;

pub use filters::Filters;
pub use page::Page;
pub use tags::{ResourceType, Tag};
pub use version::{CONTRACT, Version};

use crate::front::{Reply, Writer};

/// The answer of actions that only say that they did it: `<return>true</return>`. What is not done
/// is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done;

impl Reply for Done {
    fn write(&self, w: &mut Writer) {
        w.boolean("return", true);
    }
}
