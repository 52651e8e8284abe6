//! The attributes of an account: what kind of cloud it is in, and how much it may have.

use crate::error::Ec2Error;
use crate::front::{Action, Params, Reply, Writer};

/// An attribute of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountAttribute {
    /// The kinds of network that instances can be in: `EC2`, the one that all share.
    SupportedPlatforms,
    /// The network of one's own that instances are in by default: `none`.
    DefaultVpc,
    /// How many instances it may have.
    MaxInstances,
}

impl AccountAttribute {
    const ALL: [AccountAttribute; 3] =
        [AccountAttribute::SupportedPlatforms, AccountAttribute::DefaultVpc, AccountAttribute::MaxInstances];

    fn name(self) -> &'static str {
        match self {
            AccountAttribute::SupportedPlatforms => "supported-platforms",
            AccountAttribute::DefaultVpc => "default-vpc",
            AccountAttribute::MaxInstances => "max-instances",
        }
    }
}

/// Shows attributes of the caller's account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeAccountAttributes {
    pub attributes: Vec<AccountAttribute>,
}

impl Action for DescribeAccountAttributes {
    const NAME: &'static str = "DescribeAccountAttributes";
    const SOAP: bool = false;
    type Response = DescribeAccountAttributesResponse;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        let names = params.list("AttributeName");
        if names.is_empty() {
            return Ok(Self { attributes: AccountAttribute::ALL.to_vec() });
        }
        let named = |name: &String| {
            let found = AccountAttribute::ALL.into_iter().find(|attribute| attribute.name() == name);
            let known: Vec<&str> = AccountAttribute::ALL.into_iter().map(AccountAttribute::name).collect();
            let problem = format!("This cloud has {}.", known.join(", "));
            found.ok_or_else(|| params.invalid("AttributeName", name, &problem))
        };
        Ok(Self { attributes: names.iter().map(named).collect::<Result<_, _>>()? })
    }
}

/// The attributes that were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeAccountAttributesResponse {
    /// Each with its value; none where nothing limits the account.
    pub attributes: Vec<(AccountAttribute, Option<String>)>,
}

impl Reply for DescribeAccountAttributesResponse {
    fn write(&self, w: &mut Writer) {
        w.set("accountAttributeSet", &self.attributes, |w, (attribute, value)| {
            w.text("attributeName", attribute.name());
            w.set("attributeValueSet", value, |w, value| w.text("attributeValue", value));
        });
    }
}
