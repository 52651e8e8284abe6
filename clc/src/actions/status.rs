//! How instances are: computed from what the clusters last said. A zone that is not heard of makes
//! nothing impaired; it makes it unknown.

use std::sync::Arc;

use ironbark_wsdl::Context;

use super::instances::{canonical, shown};
use crate::cloud::Cloud;
use crate::clusters::Known;
use crate::ec2::instances::InstanceState;
use crate::ec2::status::{Check, DescribeInstanceStatus, DescribeInstanceStatusResponse, InstanceStatus};
use crate::error::Ec2Error;
use crate::front::Caller;
use crate::lifecycle::Observed;
use crate::store::Instance;

/// How the caller's instances are.
///
/// # Errors
/// `InvalidInstanceID.NotFound` if one that was named is not there.
pub async fn describe_instance_status(
    cloud: Arc<Cloud>,
    _: Context,
    caller: Caller,
    mut request: DescribeInstanceStatus,
) -> Result<DescribeInstanceStatusResponse, Ec2Error> {
    request.instance_ids = canonical(request.instance_ids);
    let all = shown(&cloud, &caller, &request.instance_ids, false).await?;
    let status = |instance: Instance| {
        let known = cloud.clusters.known(&instance.cluster).unwrap_or_default();
        InstanceStatus {
            state: instance.state(),
            system: system(&instance, &known),
            instance: own(&instance, &known),
            instance_id: instance.id,
            availability_zone: instance.cluster,
        }
    };
    Ok(request.answer(all.into_iter().flat_map(|(_, instances)| instances).map(status).collect()))
}

/// How its zone and its node are.
fn system(instance: &Instance, known: &Known) -> Check {
    if instance.state() != InstanceState::Running {
        return Check::NotApplicable;
    }
    if known.failure.is_some() || known.answered.is_none() {
        return Check::InsufficientData;
    }
    let node = instance.node.as_deref().and_then(|name| known.node(name));
    match node.map(|node| node.state.as_str()) {
        // A cluster that tells nothing of its nodes tells of no trouble either.
        Some("up") | None => Check::Ok,
        Some("down") => Check::Impaired,
        Some(_) => Check::InsufficientData,
    }
}

/// How it is itself: what is seen of it from outside.
fn own(instance: &Instance, known: &Known) -> Check {
    match system(instance, known) {
        Check::Ok if instance.observed == Observed::Rebooting => Check::Initializing,
        Check::Impaired => Check::InsufficientData,
        check => check,
    }
}
