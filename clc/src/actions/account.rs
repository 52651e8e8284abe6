//! The caller's account, and what this cloud has none of.

use std::sync::Arc;

use ironbark_wsdl::Context;

use crate::cloud::Cloud;
use crate::ec2::absent::{Absent, NoneOf};
use crate::ec2::account::{AccountAttribute, DescribeAccountAttributes, DescribeAccountAttributesResponse};
use crate::error::Ec2Error;
use crate::front::{Action, Caller};
use crate::store::Quantity;

/// Attributes of the caller's account.
///
/// # Errors
/// None: what is asked for was checked when the request was read.
pub async fn describe_account_attributes(
    cloud: Arc<Cloud>,
    _: Context,
    caller: Caller,
    request: DescribeAccountAttributes,
) -> Result<DescribeAccountAttributesResponse, Ec2Error> {
    let quotas = cloud.store.quotas(caller.account).await?;
    let instances = quotas.iter().find(|quota| quota.quantity == Quantity::Instances);
    let value = |attribute: AccountAttribute| match attribute {
        AccountAttribute::SupportedPlatforms => Some("EC2".to_string()),
        AccountAttribute::DefaultVpc => Some("none".to_string()),
        AccountAttribute::MaxInstances => Some(instances?.most?.to_string()),
    };
    let attributes = request.attributes.into_iter().map(|attribute| (attribute, value(attribute))).collect();
    Ok(DescribeAccountAttributesResponse { attributes })
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
