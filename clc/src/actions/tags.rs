//! Tags: hang on, take off, show.

use std::sync::Arc;

use ironbark_wsdl::Context;

use crate::cloud::Cloud;
use crate::ec2::Done;
use crate::ec2::tags::{CreateTags, DeleteTags, DescribeTags, DescribeTagsResponse, MAX_TAGS, Resource, ResourceType};
use crate::error::{Code, Ec2Error};
use crate::front::Caller;
use crate::ids;
use crate::store::Untaggable;

/// Hangs tags on the caller's things: on all that are named, or on none.
///
/// # Errors
/// The `NotFound` of what is not there; `UnauthorizedOperation` for another's; `TagLimitExceeded`.
pub async fn create_tags(cloud: Arc<Cloud>, _: Context, caller: Caller, request: CreateTags) -> Result<Done, Ec2Error> {
    let resources = canonical(request.resources);
    let result = cloud.store.create_tags(caller.scope(), cloud.shown_since(), resources, request.tags).await?;
    result.map(|()| Done).map_err(refused)
}

/// Takes tags from the caller's things: from all that are named, or from none.
///
/// # Errors
/// As [`create_tags`], but for the limit.
pub async fn delete_tags(cloud: Arc<Cloud>, _: Context, caller: Caller, request: DeleteTags) -> Result<Done, Ec2Error> {
    let resources = canonical(request.resources);
    let result = cloud.store.delete_tags(caller.scope(), cloud.shown_since(), resources, request.tags).await?;
    result.map(|()| Done).map_err(refused)
}

/// The tags of the caller's things.
///
/// # Errors
/// Only if the records cannot be read.
pub async fn describe_tags(
    cloud: Arc<Cloud>,
    _: Context,
    caller: Caller,
    request: DescribeTags,
) -> Result<DescribeTagsResponse, Ec2Error> {
    Ok(request.answer(cloud.store.tags(caller.account, cloud.shown_since()).await?))
}

/// The ids as the records have them.
fn canonical(mut resources: Vec<Resource>) -> Vec<Resource> {
    for resource in &mut resources {
        match resource.kind {
            ResourceType::Instance | ResourceType::Image => resource.id = ids::canonical(&resource.id),
            ResourceType::KeyPair
            | ResourceType::SecurityGroup
            | ResourceType::SecurityGroupRule
            | ResourceType::ElasticIp
            | ResourceType::PlacementGroup => resource.id.make_ascii_lowercase(),
        }
    }
    resources
}

fn refused(reason: Untaggable) -> Ec2Error {
    match reason {
        Untaggable::NotFound(Resource { kind, id }) => match kind {
            ResourceType::Instance => Ec2Error::no_instance(&id),
            ResourceType::Image => Ec2Error::no_image(&id),
            ResourceType::KeyPair => Ec2Error::no_key_pair(&id),
            ResourceType::SecurityGroup => Ec2Error::no_group(&id),
            ResourceType::SecurityGroupRule => Ec2Error::no_rule(&id),
            ResourceType::ElasticIp => Ec2Error::no_allocation(&id),
            ResourceType::PlacementGroup => Ec2Error::no_placement_group(&id),
        },
        Untaggable::Foreign(Resource { kind, id }) => {
            let text = format!("The {} '{id}' belongs to another account, which alone may tag it", kind.name());
            Ec2Error::new(Code::UnauthorizedOperation, text)
        }
        Untaggable::TooMany(Resource { id, .. }) => {
            let text = format!("'{id}' would have more than {MAX_TAGS} tags; delete some of them first");
            Ec2Error::new(Code::TagLimitExceeded, text)
        }
    }
}
