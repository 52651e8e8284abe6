//! Quotas: how much an account may have.

use super::{Listing, Row, optional_name};
use crate::ec2::Done;
use crate::error::{Code, Ec2Error};
use crate::front::{Access, Action, Params};
use crate::store::{Quantity, Setting};

/// What an account may have and what it has: the caller's own, or another's for administrators of
/// the cloud.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DescribeQuotas {
    pub account: Option<String>,
}

impl Action for DescribeQuotas {
    const NAME: &'static str = "DescribeQuotas";
    const SOAP: bool = false;
    type Response = Listing<QuotaRow>;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Ok(Self { account: optional_name(params, "AccountName")? })
    }
}

/// One quota.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaRow {
    /// `instances`, `cores`, `memoryMb`, `addresses`.
    pub quantity: String,
    /// The most; none: as much as there is.
    pub most: Option<u32>,
    pub used: i64,
    /// True if it was set for this account; else it is the default.
    pub own: bool,
}

impl Row for QuotaRow {
    const SET: &'static str = "quotaSet";

    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![
            ("quantity", self.quantity.clone()),
            ("limit", self.most.map_or_else(|| UNLIMITED.to_string(), |most| most.to_string())),
            ("used", self.used.to_string()),
            ("source", if self.own { "account" } else { DEFAULT }.to_string()),
        ]
    }
}

const UNLIMITED: &str = "unlimited";
const DEFAULT: &str = "default";

/// Sets quotas of an account, or, without `AccountName`, the default. What is not named stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModifyQuotas {
    pub account: Option<String>,
    pub settings: Vec<(Quantity, Setting)>,
}

impl Action for ModifyQuotas {
    const NAME: &'static str = "ModifyQuotas";
    const ACCESS: Access = Access::Administrator;
    const SOAP: bool = false;
    type Response = Done;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        let account = optional_name(params, "AccountName")?;
        let mut settings = Vec::new();
        for quantity in Quantity::ALL {
            let parameter = parameter(quantity);
            let Some(text) = params.optional(parameter) else { continue };
            let setting = match text {
                DEFAULT => Setting::Default,
                UNLIMITED => Setting::Unlimited,
                number => Setting::Most(number.parse().map_err(|_| {
                    params.invalid(parameter, number, "It must be a number, 'unlimited' or 'default'.")
                })?),
            };
            settings.push((quantity, setting));
        }
        if settings.is_empty() {
            let names = Quantity::ALL.map(parameter).join(", ");
            return Err(Ec2Error::new(Code::MissingParameter, format!("The request must contain one of {names}")));
        }
        Ok(Self { account, settings })
    }
}

/// The parameter that sets a quota.
fn parameter(quantity: Quantity) -> &'static str {
    match quantity {
        Quantity::Instances => "Instances",
        Quantity::Cores => "Cores",
        Quantity::MemoryMb => "MemoryMb",
        Quantity::Addresses => "Addresses",
    }
}
