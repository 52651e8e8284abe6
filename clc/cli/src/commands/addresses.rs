//! Commands about elastic addresses.

use anyhow::Result;
use clap::Args;

use super::{Call, Deed, filters, numbered, optional, tags};
use crate::output::columns;
use crate::tree::Element;

#[derive(Args)]
pub struct Allocate {
    /// `standard` or `vpc`.
    #[arg(short, long)]
    domain: Option<String>,
}

impl Allocate {
    pub fn call(self) -> Call {
        let text = |answer: &Element| {
            let cells = ["ADDRESS", answer.at("publicIp"), answer.at("domain"), answer.at("allocationId")];
            vec![columns(cells).trim_end().to_string()]
        };
        Call { action: "AllocateAddress", parameters: optional("Domain", self.domain).into_iter().collect(), text }
    }
}

#[derive(Args)]
pub struct Release {
    /// The address.
    #[arg(required_unless_present = "allocation_id", conflicts_with = "allocation_id")]
    address: Option<String>,
    /// Its allocation id, `eipalloc-...`, instead.
    #[arg(short, long)]
    allocation_id: Option<String>,
}

impl Release {
    pub fn deed(self) -> Deed {
        let named = self.address.iter().chain(&self.allocation_id).map(String::as_str);
        let lines = vec![columns(std::iter::once("ADDRESS").chain(named))];
        let mut parameters = Vec::from_iter(optional("PublicIp", self.address));
        parameters.extend(optional("AllocationId", self.allocation_id));
        Deed { action: "ReleaseAddress", parameters, lines }
    }
}

#[derive(Args)]
pub struct Associate {
    /// The address.
    #[arg(required_unless_present = "allocation_id", conflicts_with = "allocation_id")]
    address: Option<String>,
    /// Its allocation id, `eipalloc-...`, instead.
    #[arg(short, long)]
    allocation_id: Option<String>,
    /// The instance that gets it.
    #[arg(short, long)]
    instance: String,
}

impl Associate {
    pub fn deed(self) -> Deed {
        let named = self.address.iter().chain(&self.allocation_id).chain([&self.instance]).map(String::as_str);
        let lines = vec![columns(std::iter::once("ADDRESS").chain(named))];
        let mut parameters = vec![("InstanceId".to_string(), self.instance)];
        parameters.extend(optional("PublicIp", self.address));
        parameters.extend(optional("AllocationId", self.allocation_id));
        Deed { action: "AssociateAddress", parameters, lines }
    }
}

#[derive(Args)]
pub struct Disassociate {
    /// The address.
    #[arg(required_unless_present = "association_id", conflicts_with = "association_id")]
    address: Option<String>,
    /// Its association's id, `eipassoc-...`, instead.
    #[arg(short, long)]
    association_id: Option<String>,
}

impl Disassociate {
    pub fn deed(self) -> Deed {
        let named = self.address.iter().chain(&self.association_id).map(String::as_str);
        let lines = vec![columns(std::iter::once("ADDRESS").chain(named))];
        let mut parameters = Vec::from_iter(optional("PublicIp", self.address));
        parameters.extend(optional("AssociationId", self.association_id));
        Deed { action: "DisassociateAddress", parameters, lines }
    }
}

#[derive(Args)]
pub struct Describe {
    /// Only these: addresses, or allocation ids (`eipalloc-...`).
    addresses: Vec<String>,
    /// Only what fits; several of one name are alternatives.
    #[arg(long = "filter", value_name = "NAME=VALUE")]
    filters: Vec<String>,
}

impl Describe {
    pub fn call(self) -> Result<Call> {
        let (ids, addresses): (Vec<_>, Vec<_>) =
            self.addresses.into_iter().partition(|given| given.starts_with("eipalloc-"));
        let mut parameters = numbered("PublicIp", addresses);
        parameters.extend(numbered("AllocationId", ids));
        parameters.extend(filters(&self.filters)?);
        let text = |answer: &Element| answer.items("addressesSet").flat_map(address).collect();
        Ok(Call { action: "DescribeAddresses", parameters, text })
    }
}

/// An ADDRESS line and its TAG lines.
fn address(address: &Element) -> Vec<String> {
    let names = ["publicIp", "instanceId", "domain", "allocationId", "associationId"];
    let line = columns(std::iter::once("ADDRESS").chain(names.map(|name| address.at(name))));
    let mut lines = vec![line.trim_end().to_string()];
    lines.extend(tags::lines("elastic-ip", address.at("allocationId"), address));
    lines
}
