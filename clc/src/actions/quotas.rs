//! Quotas: show and set what accounts may have, and say so when it is too little.

use std::sync::Arc;

use ironbark_wsdl::Context;

use super::accounts::account_named;
use crate::cloud::Cloud;
use crate::ec2::Done;
use crate::ec2::admin::{DescribeQuotas, Listing, ModifyQuotas, QuotaRow};
use crate::error::{Code, Ec2Error};
use crate::front::Caller;
use crate::store::{Excess, Quantity, Quota};

/// An account's quotas.
///
/// # Errors
/// `NoSuchEntity`, `UnauthorizedOperation` (account).
pub async fn describe_quotas(
    cloud: Arc<Cloud>,
    _: Context,
    caller: Caller,
    request: DescribeQuotas,
) -> Result<Listing<QuotaRow>, Ec2Error> {
    let account = account_named(&cloud, &caller, request.account.as_deref()).await?;
    let row = |quota: Quota| QuotaRow {
        quantity: quota.quantity.name().to_string(),
        most: quota.most,
        used: quota.used,
        own: quota.own,
    };
    Ok(Listing(cloud.store.quotas(account.id).await?.into_iter().map(row).collect()))
}

/// Sets an account's quotas, or the default.
///
/// # Errors
/// `NoSuchEntity` (account).
pub async fn modify_quotas(
    cloud: Arc<Cloud>,
    _: Context,
    caller: Caller,
    request: ModifyQuotas,
) -> Result<Done, Ec2Error> {
    let account = match &request.account {
        Some(name) => Some(account_named(&cloud, &caller, Some(name)).await?.id),
        None => None,
    };
    cloud.store.set_quotas(account, request.settings).await?;
    Ok(Done)
}

/// EC2's code for what is too much, with the numbers.
pub(super) fn too_much(excess: &Excess) -> Ec2Error {
    let Excess { quantity, asked, used, most } = excess;
    let (code, what) = match quantity {
        Quantity::Instances => (Code::InstanceLimitExceeded, "instances"),
        Quantity::Cores => (Code::VcpuLimitExceeded, "vCPUs"),
        Quantity::MemoryMb => (Code::InstanceLimitExceeded, "MB of memory"),
        Quantity::Addresses => (Code::AddressLimitExceeded, "addresses"),
    };
    let text = format!(
        "You have requested {asked} more {what}, have {used}, and your account's limit is {most}: give up what you do \
         not need, or ask an administrator of the cloud to raise it"
    );
    Ec2Error::new(code, text)
}
