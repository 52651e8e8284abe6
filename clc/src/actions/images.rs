//! Images: register by URL, show, deregister. The bytes stay where they are; nodes fetch them.

use std::sync::Arc;

use ironbark_wsdl::Context;

use super::image_attributes::{own, visible};
use crate::cloud::Cloud;
use crate::convert;
use crate::ec2::Done;
use crate::ec2::images::{
    DeregisterImage, DescribeImages, DescribeImagesResponse, ImageType, RegisterImage, RegisterImageResponse,
};
use crate::error::{Code, Ec2Error};
use crate::front::Caller;
use crate::ids;
use crate::store::{Image, Registered};

/// Ids are random: that five in a row are taken does not happen.
const ID_TRIES: usize = 5;

/// Makes an image known. An administrator's is for everybody; only administrators register kernels
/// and ramdisks (2.0.1's rule).
///
/// # Errors
/// `InvalidAMIName.Duplicate`, `InvalidAMIID.NotFound` (kernel, ramdisk), `UnauthorizedOperation`.
pub async fn register_image(
    cloud: Arc<Cloud>,
    _: Context,
    caller: Caller,
    request: RegisterImage,
) -> Result<RegisterImageResponse, Ec2Error> {
    if request.image_type != ImageType::Machine && !caller.is_administrator() {
        let text =
            format!("Only administrators register a {}; ask one, or register a whole disk", request.image_type.name());
        return Err(Ec2Error::new(Code::UnauthorizedOperation, text));
    }
    // A node's own files are not every user's to boot from.
    if request.image_location.starts_with("file:") && !caller.is_administrator() {
        let text = "Only administrators register files of the nodes; give an http:// URL";
        return Err(Ec2Error::new(Code::UnauthorizedOperation, text));
    }
    let location = location(&request.image_location)?;
    let kernel_id = parts(&cloud, &caller, request.kernel_id.as_deref(), ImageType::Kernel).await?;
    let ramdisk_id = parts(&cloud, &caller, request.ramdisk_id.as_deref(), ImageType::Ramdisk).await?;
    let image = Image {
        id: String::new(),
        owner: caller.account.clone(),
        kind: request.image_type,
        name: request.name.clone(),
        description: request.description,
        location,
        sha256: request.sha256,
        architecture: request.architecture,
        kernel_id,
        ramdisk_id,
        root_device_name: request.root_device_name,
        public: caller.is_administrator(),
        launch_permissions: Vec::new(),
        created: cloud.now(),
        tags: request.tags,
    };
    for _ in 0..ID_TRIES {
        let image_id = ids::image_id(image.kind.id_prefix());
        match cloud.store.register_image(Image { id: image_id.clone(), ..image.clone() }).await? {
            Registered::Made => return Ok(RegisterImageResponse { image_id }),
            Registered::IdTaken => {}
            Registered::NameTaken => {
                let text = format!(
                    "The image name '{}' is already in use; choose another, or deregister that image",
                    request.name
                );
                return Err(Ec2Error::new(Code::InvalidImageNameDuplicate, text));
            }
        }
    }
    Err(Ec2Error::internal("every id that was made is taken"))
}

/// The URL in the one form that nodes take. `file:/x` is as good as `file:///x` (RFC 8089), and some
/// clients cannot send the latter: to `aws` it is a file of its own to send.
fn location(given: &str) -> Result<String, Ec2Error> {
    match given.strip_prefix("file:/") {
        Some(path) => Ok(format!("file:///{}", path.trim_start_matches('/'))),
        None if given.starts_with("https:") => Err(Ec2Error::invalid(
            "ImageLocation",
            given,
            "Nodes fetch by http: or read a file:, not by https:. Sha256 guards the content.",
        )),
        None => Ok(given.to_string()),
    }
}

/// The id of a kernel or ramdisk that the caller may use.
async fn parts(cloud: &Cloud, caller: &Caller, id: Option<&str>, kind: ImageType) -> Result<Option<String>, Ec2Error> {
    let Some(id) = id else { return Ok(None) };
    let canonical = ids::canonical(id);
    let images = cloud.store.images().await?;
    let found = images.iter().find(|image| image.id == canonical && image.is_visible_to(&caller.account));
    match found {
        None => Err(Ec2Error::no_image(id)),
        Some(image) if image.kind == kind => Ok(Some(canonical)),
        Some(image) => {
            let text = format!("The image '{id}' is a {}, but a {} is needed here", image.kind.name(), kind.name());
            Err(Ec2Error::new(Code::InvalidParameterValue, text))
        }
    }
}

/// The images that the caller may see.
///
/// # Errors
/// `InvalidAMIID.NotFound` if one that was named is not among them.
pub async fn describe_images(
    cloud: Arc<Cloud>,
    _: Context,
    caller: Caller,
    mut request: DescribeImages,
) -> Result<DescribeImagesResponse, Ec2Error> {
    request.image_ids = request.image_ids.iter().map(|id| ids::canonical(id)).collect();
    let mut all = cloud.store.images().await?;
    all.retain(|image| image.is_visible_to(&caller.account));
    if let Some(missing) = request.image_ids.iter().find(|id| !all.iter().any(|image| image.id == **id)) {
        return Err(Ec2Error::no_image(missing));
    }
    Ok(request.answer(&caller.account, all.into_iter().map(convert::image).collect()))
}

/// Makes an image unknown; what was made of it goes on.
///
/// # Errors
/// `InvalidAMIID.NotFound`; `AuthFailure` if it is another's.
pub async fn deregister_image(
    cloud: Arc<Cloud>,
    _: Context,
    caller: Caller,
    request: DeregisterImage,
) -> Result<Done, Ec2Error> {
    let image = own(&caller, visible(&cloud, &caller, &request.image_id).await?)?;
    cloud.store.deregister_image(image.id).await?;
    Ok(Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_get_urls_in_one_form() {
        for given in ["file:/srv/a.img", "file:///srv/a.img"] {
            assert_eq!(location(given).unwrap(), "file:///srv/a.img");
        }
        assert_eq!(location("http://h/a").unwrap(), "http://h/a");
        assert_eq!(location("https://h/a").unwrap_err().code, Code::InvalidParameterValue);
    }
}
