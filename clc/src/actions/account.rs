//! The caller's account, and what this cloud has none of.

use std::sync::Arc;

use ironbark_wsdl::Context;

use crate::cloud::Cloud;
use crate::ec2::absent::{Absent, NoneOf};
use crate::ec2::account::{DescribeAccountAttributes, DescribeAccountAttributesResponse};
use crate::error::Ec2Error;
use crate::front::{Action, Caller};

/// Attributes of the caller's account.
///
/// # Errors
/// None: what is asked for was checked when the request was read.
pub async fn describe_account_attributes(
    _: Arc<Cloud>,
    _: Context,
    _: Caller,
    request: DescribeAccountAttributes,
) -> Result<DescribeAccountAttributesResponse, Ec2Error> {
    Ok(DescribeAccountAttributesResponse { attributes: request.attributes })
}

/// The true answer about a kind of thing that there is none of.
///
/// # Errors
/// None: what is named and not there was refused when the request was read.
pub async fn none_of<R>(_: Arc<Cloud>, _: Context, _: Caller, _: R) -> Result<NoneOf, Ec2Error>
where
    R: Absent + Action<Response = NoneOf>,
{
    Ok(NoneOf(R::SET))
}
