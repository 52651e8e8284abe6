//! Elastic addresses: there are none yet.

use std::sync::Arc;

use ironbark_wsdl::Context;

use crate::cloud::Cloud;
use crate::ec2::addresses::{DescribeAddresses, DescribeAddressesResponse};
use crate::error::Ec2Error;
use crate::front::Caller;

/// No addresses.
///
/// # Errors
/// `InvalidAddress.NotFound` if one was named.
pub async fn describe_addresses(
    _: Arc<Cloud>,
    _: Context,
    _: Caller,
    request: DescribeAddresses,
) -> Result<DescribeAddressesResponse, Ec2Error> {
    request.answer()
}
