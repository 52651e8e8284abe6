//! Elastic addresses. This cloud gives none out yet; libcloud asks for them with every list of
//! instances and fails unless it is told that there are none.

use crate::error::{Code, Ec2Error};
use crate::front::{Action, Params, Reply, Writer};

/// Which elastic addresses the caller has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DescribeAddresses {
    /// Only these, each of which must exist; all if empty.
    pub public_ips: Vec<String>,
}

impl Action for DescribeAddresses {
    const NAME: &'static str = "DescribeAddresses";
    const SOAP: bool = false;
    type Response = DescribeAddressesResponse;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Ok(Self { public_ips: params.list("PublicIp") })
    }
}

impl DescribeAddresses {
    /// The answer of a cloud without elastic addresses.
    ///
    /// # Errors
    /// `InvalidAddress.NotFound` if one was named.
    pub fn answer(&self) -> Result<DescribeAddressesResponse, Ec2Error> {
        match self.public_ips.first() {
            Some(address) => {
                let shown: String = address.chars().take(60).collect();
                Err(Ec2Error::new(Code::InvalidAddressNotFound, format!("Address '{shown}' not found")))
            }
            None => Ok(DescribeAddressesResponse),
        }
    }
}

/// No addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DescribeAddressesResponse;

impl Reply for DescribeAddressesResponse {
    fn write(&self, w: &mut Writer) {
        w.texts("addressesSet", Vec::<String>::new());
    }
}
