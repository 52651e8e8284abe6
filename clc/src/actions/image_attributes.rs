//! The attributes of images: who may see and run one, and its description. They are the owner's to
//! look at and to change, and the cloud's administrators'.

use std::sync::Arc;

use ironbark_wsdl::Context;

use crate::cloud::Cloud;
use crate::ec2::Done;
use crate::ec2::image_attributes::{
    DescribeImageAttribute, DescribeImageAttributeResponse, ImageAttribute, ImageAttributeValue, ImageChange,
    ModifyImageAttribute, Permission, ResetImageAttribute,
};
use crate::error::{Code, Ec2Error};
use crate::front::Caller;
use crate::ids;
use crate::store::{Image, ImageUpdate};

/// One attribute of one image. Whoever may run it sees what it is; who else may, its owner sees.
///
/// # Errors
/// `InvalidAMIID.NotFound`; `AuthFailure` if it is another's.
pub async fn describe_image_attribute(
    cloud: Arc<Cloud>,
    _: Context,
    caller: Caller,
    request: DescribeImageAttribute,
) -> Result<DescribeImageAttributeResponse, Ec2Error> {
    let image = visible(&cloud, &caller, &request.image_id).await?;
    let value = match request.attribute {
        ImageAttribute::LaunchPermission => {
            let image = own(&caller, image)?;
            let all = image.public.then_some(Permission::All);
            let accounts = image.launch_permissions.into_iter().map(Permission::Account);
            ImageAttributeValue::Permissions(all.into_iter().chain(accounts).collect())
        }
        ImageAttribute::Description => ImageAttributeValue::Text(image.description),
        ImageAttribute::Kernel => ImageAttributeValue::Text(image.kernel_id),
        ImageAttribute::Ramdisk => ImageAttributeValue::Text(image.ramdisk_id),
        ImageAttribute::SriovNetSupport => ImageAttributeValue::Text(None),
        ImageAttribute::ProductCodes | ImageAttribute::BlockDeviceMapping => ImageAttributeValue::Nothing,
    };
    Ok(DescribeImageAttributeResponse {
        image_id: ids::canonical(&request.image_id),
        attribute: request.attribute,
        value,
    })
}

/// Changes one attribute of one image.
///
/// # Errors
/// `InvalidAMIID.NotFound`; `AuthFailure` if it is another's; `InvalidAMIAttributeItemValue` for an
/// account that is not there.
pub async fn modify_image_attribute(
    cloud: Arc<Cloud>,
    _: Context,
    caller: Caller,
    request: ModifyImageAttribute,
) -> Result<Done, Ec2Error> {
    let image = own(&caller, visible(&cloud, &caller, &request.image_id).await?)?;
    let update = match request.change {
        ImageChange::Description(text) => ImageUpdate::Description(Some(text).filter(|text| !text.is_empty())),
        ImageChange::LaunchPermission { add, remove } => {
            let public = match (remove.contains(&Permission::All), add.contains(&Permission::All)) {
                (_, true) => Some(true),
                (true, false) => Some(false),
                (false, false) => None,
            };
            ImageUpdate::LaunchPermissions { public, add: accounts(add), remove: accounts(remove) }
        }
    };
    update_image(&cloud, image, update).await
}

/// Takes all launch permissions of an image away.
///
/// # Errors
/// `InvalidAMIID.NotFound`; `AuthFailure` if it is another's.
pub async fn reset_image_attribute(
    cloud: Arc<Cloud>,
    _: Context,
    caller: Caller,
    request: ResetImageAttribute,
) -> Result<Done, Ec2Error> {
    let image = own(&caller, visible(&cloud, &caller, &request.image_id).await?)?;
    let remove = image.launch_permissions.clone();
    let update = ImageUpdate::LaunchPermissions { public: Some(false), add: Vec::new(), remove };
    update_image(&cloud, image, update).await
}

async fn update_image(cloud: &Cloud, image: Image, update: ImageUpdate) -> Result<Done, Ec2Error> {
    match cloud.store.update_image(image.id, update).await? {
        Ok(()) => Ok(Done),
        Err(account) => {
            let text =
                format!("Invalid attribute item value \"{account}\" for userId item type: there is no such account");
            Err(Ec2Error::new(Code::InvalidImageAttributeItemValue, text))
        }
    }
}

fn accounts(permissions: Vec<Permission>) -> Vec<String> {
    let id = |permission| match permission {
        Permission::Account(id) => Some(id),
        Permission::All => None,
    };
    permissions.into_iter().filter_map(id).collect()
}

/// The image of that id, if the caller may see it.
pub(super) async fn visible(cloud: &Cloud, caller: &Caller, id: &str) -> Result<Image, Ec2Error> {
    let canonical = ids::canonical(id);
    let images = cloud.store.images().await?;
    let seen = |image: &Image| caller.is_administrator() || image.is_visible_to(&caller.account);
    let found = images.into_iter().find(|image| image.id == canonical && seen(image));
    found.ok_or_else(|| Ec2Error::no_image(id))
}

/// The image, if it is the caller's to change.
pub(super) fn own(caller: &Caller, image: Image) -> Result<Image, Ec2Error> {
    if image.owner == caller.account || caller.is_administrator() {
        return Ok(image);
    }
    let text = format!("Not authorized for image:{}. It belongs to {}", image.id, image.owner);
    Err(Ec2Error::new(Code::AuthFailure, text))
}
