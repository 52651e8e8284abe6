//! Placement groups: make, show, delete. What they mean is decided where instances are placed.

use std::sync::Arc;

use ironbark_wsdl::Context;

use crate::cloud::Cloud;
use crate::convert;
use crate::ec2::Done;
use crate::ec2::placement_groups::{
    CreatePlacementGroup, CreatePlacementGroupResponse, DeletePlacementGroup, DescribePlacementGroups,
    DescribePlacementGroupsResponse,
};
use crate::error::{Code, Ec2Error};
use crate::front::Caller;
use crate::ids;
use crate::store::{PlacementGroup, Undeletable};

/// Makes a group.
///
/// # Errors
/// `InvalidPlacementGroup.Duplicate`.
pub async fn create_placement_group(
    cloud: Arc<Cloud>,
    _: Context,
    caller: Caller,
    request: CreatePlacementGroup,
) -> Result<CreatePlacementGroupResponse, Ec2Error> {
    let group = PlacementGroup {
        id: ids::placement_group_id(),
        owner: caller.account,
        name: request.group_name,
        strategy: request.strategy,
        created: cloud.now(),
        tags: request.tags,
    };
    if !cloud.store.add_placement_group(group.clone()).await? {
        let shown: String = group.name.chars().take(60).collect();
        let text = format!("The Placement Group '{shown}' already exists; choose another name, or delete it");
        return Err(Ec2Error::new(Code::InvalidPlacementGroupDuplicate, text));
    }
    Ok(CreatePlacementGroupResponse(convert::placement_group(group)))
}

/// The caller's groups.
///
/// # Errors
/// `InvalidPlacementGroup.Unknown` if one that was named is not there.
pub async fn describe_placement_groups(
    cloud: Arc<Cloud>,
    _: Context,
    caller: Caller,
    request: DescribePlacementGroups,
) -> Result<DescribePlacementGroupsResponse, Ec2Error> {
    let groups = cloud.store.placement_groups(caller.account).await?;
    request.answer(groups.into_iter().map(convert::placement_group).collect())
}

/// Deletes a group whose instances have ended.
///
/// # Errors
/// `InvalidPlacementGroup.Unknown`, `InvalidPlacementGroup.InUse`.
pub async fn delete_placement_group(
    cloud: Arc<Cloud>,
    _: Context,
    caller: Caller,
    request: DeletePlacementGroup,
) -> Result<Done, Ec2Error> {
    let name = request.group_name;
    match cloud.store.delete_placement_group(caller.account, name.clone()).await? {
        Ok(()) => Ok(Done),
        Err(Undeletable::Unknown) => Err(Ec2Error::no_placement_group(&name)),
        Err(Undeletable::InUse) => {
            let text = "The placement group has instances; terminate them first";
            Err(Ec2Error::new(Code::InvalidPlacementGroupInUse, text))
        }
    }
}
