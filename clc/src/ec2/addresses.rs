//! Elastic addresses: allocated to an account, put on an instance, taken off, released. Old clients
//! name an address by itself, newer ones by the ids of its allocation and its association.

use std::net::Ipv4Addr;

use super::filters::{Filtered, Filters, Values};
use super::{Done, ResourceType, Tag, ids};
use crate::error::{Code, Ec2Error};
use crate::front::{Action, Params, Reply, Writer};

/// What an address was asked for: EC2 itself, or a network of the user's own. This cloud has no such
/// networks; the word is kept for the clients that ask for it and look for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Domain {
    #[default]
    Standard,
    Vpc,
}

impl Domain {
    /// EC2's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Vpc => "vpc",
        }
    }

    /// The domain of that name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Standard, Self::Vpc].into_iter().find(|domain| domain.name() == name)
    }
}

/// What is shown of one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub public_ip: String,
    pub allocation_id: String,
    pub domain: Domain,
    /// Where it is.
    pub association: Option<Association>,
    pub tags: Vec<Tag>,
}

/// That an address is on an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Association {
    pub association_id: String,
    pub instance_id: String,
    /// The instance's own address.
    pub private_ip: String,
}

impl Address {
    fn write(&self, w: &mut Writer) {
        let association = self.association.as_ref();
        w.text("publicIp", &self.public_ip);
        w.optional("instanceId", association.map(|association| association.instance_id.as_str()));
        w.query_only(|w| {
            w.text("allocationId", &self.allocation_id);
            w.text("domain", self.domain.name());
            if let Some(association) = association {
                w.text("associationId", &association.association_id);
                w.text("privateIpAddress", &association.private_ip);
            }
            Tag::write_set(&self.tags, w);
        });
    }

    fn associated(&self, value: fn(&Association) -> &String) -> Vec<String> {
        self.association.iter().map(|association| value(association).clone()).collect()
    }
}

impl Filtered for Address {
    const TAGGED: bool = true;

    fn field(name: &str) -> Option<Values<Self>> {
        let values: Values<Self> = match name {
            "public-ip" => |address| vec![address.public_ip.clone()],
            "allocation-id" => |address| vec![address.allocation_id.clone()],
            "domain" => |address| vec![address.domain.name().to_string()],
            "instance-id" => |address| address.associated(|association| &association.instance_id),
            "association-id" => |address| address.associated(|association| &association.association_id),
            "private-ip-address" => |address| address.associated(|association| &association.private_ip),
            // What addresses of networks of the users' own, or of a place, have.
            "network-interface-id" | "network-interface-owner-id" | "network-border-group" => |_| Vec::new(),
            _ => return None,
        };
        Some(values)
    }

    fn tags(&self) -> &[Tag] {
        &self.tags
    }
}

/// How a client names an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressRef {
    Ip(String),
    /// `eipalloc-...`
    Allocation(String),
    /// `eipassoc-...`
    Association(String),
}

impl AddressRef {
    /// `PublicIp`, or the id in the parameter `id_name`.
    fn parse(params: &Params, id_name: &str, id: fn(String) -> Self) -> Result<Self, Ec2Error> {
        match (params.text("PublicIp"), params.text(id_name)) {
            (Some(ip), None) => Ok(Self::Ip(ip)),
            (None, Some(text)) => Ok(id(text.to_ascii_lowercase())),
            (None, None) => Err(params.missing("PublicIp")),
            (Some(_), Some(_)) => {
                let text = format!("The parameters PublicIp and {id_name} cannot be used together");
                Err(Ec2Error::new(Code::InvalidParameterCombination, text))
            }
        }
    }

    /// That there is no such address.
    pub fn not_found(&self) -> Ec2Error {
        match self {
            Self::Ip(ip) => Ec2Error::no_address(ip),
            Self::Allocation(id) => Ec2Error::no_allocation(id),
            Self::Association(id) => Ec2Error::no_association(id),
        }
    }
}

/// Takes an address out of the pool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllocateAddress {
    /// This one, if nobody has it; any if the client does not say.
    pub address: Option<String>,
    pub domain: Domain,
    pub tags: Vec<Tag>,
}

impl Action for AllocateAddress {
    const NAME: &'static str = "AllocateAddress";
    type Response = AllocateAddressResponse;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        let domain = match params.optional("Domain") {
            None => Domain::default(),
            Some(name) => {
                Domain::named(name).ok_or_else(|| params.invalid("Domain", name, "It must be standard or vpc."))?
            }
        };
        let address = params.text("Address");
        if let Some(text) = address.as_ref().filter(|text| text.parse::<Ipv4Addr>().is_err()) {
            return Err(params.invalid("Address", text, "It must be an IPv4 address."));
        }
        Ok(Self { address, domain, tags: Tag::specified(params, ResourceType::ElasticIp)? })
    }
}

/// The allocated address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllocateAddressResponse {
    pub public_ip: String,
    pub allocation_id: String,
    pub domain: Domain,
}

impl Reply for AllocateAddressResponse {
    fn write(&self, w: &mut Writer) {
        w.text("publicIp", &self.public_ip);
        w.query_only(|w| {
            w.text("allocationId", &self.allocation_id);
            w.text("domain", self.domain.name());
        });
    }
}

/// Gives an address back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseAddress {
    pub address: AddressRef,
}

impl Action for ReleaseAddress {
    const NAME: &'static str = "ReleaseAddress";
    type Response = Done;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Ok(Self { address: AddressRef::parse(params, "AllocationId", AddressRef::Allocation)? })
    }
}

/// Puts an address on an instance, in place of the one that the instance has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssociateAddress {
    pub address: AddressRef,
    pub instance_id: String,
    /// Take it from another instance. True if the client does not say and names the address itself;
    /// one that names the allocation must say so (EC2's rule).
    pub allow_reassociation: bool,
}

impl Action for AssociateAddress {
    const NAME: &'static str = "AssociateAddress";
    type Response = AssociateAddressResponse;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        for name in ["NetworkInterfaceId", "PrivateIpAddress"] {
            if params.optional(name).is_some() {
                let text = format!("{name} is not supported by this cloud; name an instance");
                return Err(Ec2Error::new(Code::Unsupported, text));
            }
        }
        let address = AddressRef::parse(params, "AllocationId", AddressRef::Allocation)?;
        let by_ip = matches!(address, AddressRef::Ip(_));
        Ok(Self {
            instance_id: ids::instance_id(params.required("InstanceId")?)?,
            allow_reassociation: params.boolean("AllowReassociation")?.unwrap_or(by_ip),
            address,
        })
    }
}

/// The association's id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssociateAddressResponse {
    pub association_id: String,
}

impl Reply for AssociateAddressResponse {
    fn write(&self, w: &mut Writer) {
        Done.write(w);
        w.query_only(|w| w.text("associationId", &self.association_id));
    }
}

/// Takes an address off its instance. One that is on none is no error (EC2's rule).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisassociateAddress {
    pub address: AddressRef,
}

impl Action for DisassociateAddress {
    const NAME: &'static str = "DisassociateAddress";
    type Response = Done;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Ok(Self { address: AddressRef::parse(params, "AssociationId", AddressRef::Association)? })
    }
}

/// Which elastic addresses the caller has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DescribeAddresses {
    /// Only these, each of which must exist; all if both are empty.
    pub public_ips: Vec<String>,
    pub allocation_ids: Vec<String>,
    pub filters: Filters,
}

impl Action for DescribeAddresses {
    const NAME: &'static str = "DescribeAddresses";
    type Response = DescribeAddressesResponse;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Ok(Self {
            public_ips: params.list("PublicIp"),
            allocation_ids: params.list("AllocationId"),
            filters: Filters::parse::<Address>(params)?,
        })
    }
}

impl DescribeAddresses {
    /// The answer out of all addresses of the caller.
    ///
    /// # Errors
    /// `InvalidAddress.NotFound`, `InvalidAllocationID.NotFound` if one that was named is not there.
    pub fn answer(&self, mut all: Vec<Address>) -> Result<DescribeAddressesResponse, Ec2Error> {
        if let Some(ip) = self.public_ips.iter().find(|ip| !all.iter().any(|address| address.public_ip == **ip)) {
            return Err(Ec2Error::no_address(ip));
        }
        if let Some(id) = self.allocation_ids.iter().find(|id| !all.iter().any(|address| address.allocation_id == **id))
        {
            return Err(Ec2Error::no_allocation(id));
        }
        let everything = self.public_ips.is_empty() && self.allocation_ids.is_empty();
        all.retain(|address| {
            let named =
                self.public_ips.contains(&address.public_ip) || self.allocation_ids.contains(&address.allocation_id);
            (everything || named) && self.filters.pass(address)
        });
        Ok(DescribeAddressesResponse { addresses: all })
    }
}

/// The addresses that were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeAddressesResponse {
    pub addresses: Vec<Address>,
}

impl Reply for DescribeAddressesResponse {
    fn write(&self, w: &mut Writer) {
        w.set("addressesSet", &self.addresses, |w, address| address.write(w));
    }
}
