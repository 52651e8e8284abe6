//! Images: what instances are made of. Here an image is registered by the URL of its file; there is
//! no manifest, so our own parameters `ImageType` and `Sha256` say what a manifest would.

use jiff::Timestamp;

use super::filters::{Filtered, Filters, Values};
use super::image_attributes::{checked_description, is_account_id};
use super::{Done, Page, ResourceType, Tag, ids};
use crate::error::{Code, Ec2Error};
use crate::front::{Action, Params, Reply, Writer};

/// What an image is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ImageType {
    /// A root file system or a whole disk.
    Machine,
    Kernel,
    Ramdisk,
}

impl ImageType {
    /// EC2's name of it.
    pub fn name(self) -> &'static str {
        match self {
            ImageType::Machine => "machine",
            ImageType::Kernel => "kernel",
            ImageType::Ramdisk => "ramdisk",
        }
    }

    /// What ids of such images begin with (2.0.1's prefixes).
    pub fn id_prefix(self) -> &'static str {
        match self {
            ImageType::Machine => "emi-",
            ImageType::Kernel => "eki-",
            ImageType::Ramdisk => "eri-",
        }
    }
}

/// Whether an image can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageState {
    Available,
    Deregistered,
}

impl ImageState {
    /// EC2's name of it.
    pub fn name(self) -> &'static str {
        match self {
            ImageState::Available => "available",
            ImageState::Deregistered => "deregistered",
        }
    }
}

/// What is shown of one image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    pub image_id: String,
    /// The URL it was registered by.
    pub image_location: String,
    pub state: ImageState,
    /// The account's id.
    pub owner_id: String,
    pub is_public: bool,
    /// The accounts, besides its owner, that may run it: for filters, and shown to nobody here.
    pub launch_permissions: Vec<String>,
    pub architecture: String,
    pub image_type: ImageType,
    pub kernel_id: Option<String>,
    pub ramdisk_id: Option<String>,
    pub name: String,
    pub description: Option<String>,
    pub root_device_name: Option<String>,
    pub created: Timestamp,
    pub tags: Vec<Tag>,
}

impl Image {
    fn write(&self, w: &mut Writer) {
        w.text("imageId", &self.image_id);
        w.text("imageLocation", &self.image_location);
        w.text("imageState", self.state.name());
        w.text("imageOwnerId", &self.owner_id);
        w.boolean("isPublic", self.is_public);
        w.texts("productCodes", Vec::<String>::new());
        w.text("architecture", &self.architecture);
        w.text("imageType", self.image_type.name());
        w.optional("kernelId", self.kernel_id.as_deref());
        w.optional("ramdiskId", self.ramdisk_id.as_deref());
        w.text("name", &self.name);
        w.optional("description", self.description.as_deref());
        w.text("rootDeviceType", "instance-store");
        w.optional("rootDeviceName", self.root_device_name.as_deref());
        w.texts("blockDeviceMapping", Vec::<String>::new());
        w.since("2010-06-15", |w| w.text("virtualizationType", "hvm"));
        Tag::write_any(&self.tags, w);
        w.query_only(|w| {
            w.text("hypervisor", "kvm");
            w.time("creationDate", self.created);
            w.boolean("enaSupport", false);
            w.text("platformDetails", "Linux/UNIX");
            w.text("usageOperation", "RunInstances");
        });
    }
}

impl Filtered for Image {
    const TAGGED: bool = true;

    fn field(name: &str) -> Option<Values<Self>> {
        let values: Values<Self> = match name {
            "image-id" => |image| vec![image.image_id.clone()],
            "name" => |image| vec![image.name.clone()],
            "state" => |image| vec![image.state.name().to_string()],
            "is-public" => |image| vec![image.is_public.to_string()],
            "owner-id" => |image| vec![image.owner_id.clone()],
            "owner-alias" => |_| Vec::new(),
            "architecture" => |image| vec![image.architecture.clone()],
            "image-type" => |image| vec![image.image_type.name().to_string()],
            "kernel-id" => |image| image.kernel_id.iter().cloned().collect(),
            "ramdisk-id" => |image| image.ramdisk_id.iter().cloned().collect(),
            "root-device-type" => |_| vec!["instance-store".to_string()],
            "root-device-name" => |image| image.root_device_name.iter().cloned().collect(),
            "virtualization-type" => |_| vec!["hvm".to_string()],
            "hypervisor" => |_| vec!["kvm".to_string()],
            "manifest-location" => |image| vec![image.image_location.clone()],
            "description" => |image| image.description.iter().cloned().collect(),
            "creation-date" => |image| vec![format!("{:.3}", image.created)],
            "ena-support" => |_| vec!["false".to_string()],
            "platform-details" => |_| vec!["Linux/UNIX".to_string()],
            "usage-operation" => |_| vec!["RunInstances".to_string()],
            // No Windows, no products, no disks that are volumes, nothing that was copied or failed.
            "platform" | "product-code" | "product-code.type" | "sriov-net-support" | "boot-mode" => |_| Vec::new(),
            "block-device-mapping.device-name" | "block-device-mapping.snapshot-id" => |_| Vec::new(),
            "block-device-mapping.volume-size" | "block-device-mapping.volume-type" => |_| Vec::new(),
            "block-device-mapping.delete-on-termination" | "block-device-mapping.encrypted" => |_| Vec::new(),
            "source-image-id" | "source-image-region" | "source-instance-id" => |_| Vec::new(),
            "state-reason-code" | "state-reason-message" => |_| Vec::new(),
            _ => return None,
        };
        Some(values)
    }

    fn tags(&self) -> &[Tag] {
        &self.tags
    }
}

/// Which images there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DescribeImages {
    /// Only these, each of which must exist; all if empty.
    pub image_ids: Vec<String>,
    /// Only those of these owners: accounts; `self` is the caller's. All if empty.
    pub owners: Vec<String>,
    /// Only those that these may run: `self`, `all` (public ones), an account that the caller let in.
    /// All if empty.
    pub executable_by: Vec<String>,
    pub filters: Filters,
    pub page: Page,
}

impl Action for DescribeImages {
    const NAME: &'static str = "DescribeImages";
    type Response = DescribeImagesResponse;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        let image_ids = ids::image_ids(params)?;
        let page = Page::parse(params)?;
        page.refuse_with("ImageId", image_ids.is_empty())?;
        Ok(Self {
            image_ids,
            owners: who(params, "Owner")?,
            executable_by: who(params, "ExecutableBy")?,
            filters: Filters::parse::<Image>(params)?,
            page,
        })
    }
}

impl DescribeImages {
    /// The answer out of all images that `account` may see: chosen, filtered, in pages. (That every id
    /// in `image_ids` exists is for the action to check.)
    pub fn answer(&self, account: &str, all: Vec<Image>) -> DescribeImagesResponse {
        let kept = all.into_iter().filter(|image| self.asks_for(account, image)).collect();
        let (images, next_token) = self.page.cut(kept, |image: &Image| image.image_id.clone());
        DescribeImagesResponse { images, next_token }
    }

    fn asks_for(&self, account: &str, image: &Image) -> bool {
        let me = |name: &str| if name == "self" { account.to_string() } else { name.to_string() };
        let id = self.image_ids.is_empty() || self.image_ids.contains(&image.image_id);
        let owner =
            self.owners.is_empty() || self.owners.iter().any(|owner| owner == "all" || me(owner) == image.owner_id);
        // euca-describe-images asks once by owner=self and once by executable-by=self; who owns an
        // image may run it, and everybody may run a public one. Whom else an owner has let in is
        // between the two of them.
        let runs = |who: &String| match me(who) {
            all if all == "all" => image.is_public,
            myself if myself == account => true,
            other => image.owner_id == account && image.launch_permissions.contains(&other),
        };
        let executable = self.executable_by.is_empty() || self.executable_by.iter().any(runs);
        id && owner && executable && self.filters.pass(image)
    }
}

/// The images that were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeImagesResponse {
    pub images: Vec<Image>,
    /// Leads to the next page, if there is one.
    pub next_token: Option<String>,
}

impl Reply for DescribeImagesResponse {
    fn write(&self, w: &mut Writer) {
        w.set("imagesSet", &self.images, |w, image| image.write(w));
        w.query_only(|w| w.optional("nextToken", self.next_token.as_deref()));
    }
}

/// Makes an image known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterImage {
    /// The URL of the image's file: `file:`, `http:` or `https:`. Which of them nodes may fetch is
    /// their own configuration.
    pub image_location: String,
    /// 3 to 128 characters (EC2's rule). The location's last part if the client does not say, as
    /// euca2ools before 2.0 do not.
    pub name: String,
    pub description: Option<String>,
    /// `x86_64` if the client does not say.
    pub architecture: String,
    pub image_type: ImageType,
    pub kernel_id: Option<String>,
    pub ramdisk_id: Option<String>,
    pub root_device_name: Option<String>,
    /// SHA-256 of the file in lower-case hex; nodes refuse a file with another.
    pub sha256: Option<String>,
    pub tags: Vec<Tag>,
}

impl Action for RegisterImage {
    const NAME: &'static str = "RegisterImage";
    type Response = RegisterImageResponse;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        refuse_unsupported(params)?;
        let image_location = location(params)?;
        let last_part = image_location.rsplit('/').next().unwrap_or_default().to_string();
        let image_type = image_type(params)?;
        let kernel_id = ids::optional_image_id(params, "KernelId")?;
        let ramdisk_id = ids::optional_image_id(params, "RamdiskId")?;
        if image_type != ImageType::Machine && (kernel_id.is_some() || ramdisk_id.is_some()) {
            let text = "Only an image of ImageType machine has a KernelId or a RamdiskId";
            return Err(Ec2Error::new(Code::InvalidParameterCombination, text));
        }
        Ok(Self {
            name: image_name(params.optional("Name").unwrap_or(&last_part))?,
            image_location,
            description: params.optional("Description").map(|text| checked_description(params, text)).transpose()?,
            architecture: architecture(params)?,
            image_type,
            kernel_id,
            ramdisk_id,
            root_device_name: params.text("RootDeviceName"),
            sha256: sha256(params)?,
            tags: Tag::specified_beside(params, ResourceType::Image, &["snapshot"])?,
        })
    }
}

/// Asks for what images here cannot have are refused rather than dropped.
fn refuse_unsupported(params: &Params) -> Result<(), Ec2Error> {
    if params
        .groups("BlockDeviceMapping")
        .iter()
        .any(|mapping| mapping.iter().any(|(name, _)| name.starts_with("Ebs.")))
    {
        let text = "Disks that are volumes (BlockDeviceMapping.N.Ebs) are not supported by this cloud; leave them out";
        return Err(Ec2Error::new(Code::Unsupported, text));
    }
    match params.optional("VirtualizationType") {
        None | Some("hvm") => Ok(()),
        Some(other) => Err(params.invalid("VirtualizationType", other, "Instances here are of the type hvm.")),
    }
}

/// Owners or users: an account's id, or a word such as `self`, `all`, `amazon` (of whom there is
/// nothing here).
fn who(params: &Params, parameter: &str) -> Result<Vec<String>, Ec2Error> {
    let all = params.list(parameter);
    let known = |who: &String| is_account_id(who) || who.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    match all.iter().find(|who| !known(who)) {
        None => Ok(all),
        Some(other) => {
            let shown: String = other.chars().take(60).collect();
            let text = format!("Invalid user id: \"{shown}\" (expecting self, all, or the 12 digits of an account)");
            Err(Ec2Error::new(Code::InvalidUserIdMalformed, text))
        }
    }
}

fn location(params: &Params) -> Result<String, Ec2Error> {
    let text = params.required("ImageLocation")?;
    let url = text.parse::<http::Uri>().ok().filter(|_| text.len() <= 2048);
    let file = text.starts_with("file:/");
    let web = url.is_some_and(|url| matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some());
    let clean = text.chars().all(|c| !c.is_control() && !c.is_whitespace());
    if clean && text.len() <= 2048 && (file || web) {
        return Ok(text.to_string());
    }
    Err(params.invalid(
        "ImageLocation",
        text,
        "It must be the URL of the image's file, file:/..., http://... or https://..., of at most 2048 characters.",
    ))
}

fn image_type(params: &Params) -> Result<ImageType, Ec2Error> {
    match params.optional("ImageType") {
        None | Some("machine") => Ok(ImageType::Machine),
        Some("kernel") => Ok(ImageType::Kernel),
        Some("ramdisk") => Ok(ImageType::Ramdisk),
        Some(other) => Err(params.invalid("ImageType", other, "It must be machine, kernel or ramdisk.")),
    }
}

fn architecture(params: &Params) -> Result<String, Ec2Error> {
    match params.optional("Architecture") {
        None => Ok("x86_64".to_string()),
        Some(known @ ("x86_64" | "i386" | "arm64")) => Ok(known.to_string()),
        Some(other) => Err(params.invalid("Architecture", other, "It must be x86_64, i386 or arm64.")),
    }
}

fn image_name(name: &str) -> Result<String, Ec2Error> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "()[] ./-'@_:".contains(c);
    if (3..=128).contains(&name.len()) && name.chars().all(fits) {
        return Ok(name.to_string());
    }
    let text = "AMI names must be between 3 and 128 characters long, and may contain letters, numbers, '(', ')', '[', ']', ' ', '.', '-', '/', ''', '@', ':' and '_'";
    Err(Ec2Error::new(Code::InvalidImageNameMalformed, text))
}

fn sha256(params: &Params) -> Result<Option<String>, Ec2Error> {
    let Some(text) = params.optional("Sha256") else { return Ok(None) };
    if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(Some(text.to_ascii_lowercase()));
    }
    Err(params.invalid("Sha256", text, "It must be the SHA-256 of the file as 64 hexadecimal digits."))
}

/// The new image's id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterImageResponse {
    pub image_id: String,
}

impl Reply for RegisterImageResponse {
    fn write(&self, w: &mut Writer) {
        w.text("imageId", &self.image_id);
    }
}

/// Makes an image unknown; instances that run keep running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeregisterImage {
    pub image_id: String,
}

impl Action for DeregisterImage {
    const NAME: &'static str = "DeregisterImage";
    type Response = Done;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Ok(Self { image_id: ids::image_id(params.required("ImageId")?)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn register(pairs: &[(&str, &str)]) -> Result<RegisterImage, Ec2Error> {
        RegisterImage::parse(&Params::try_from(pairs)?)
    }

    #[test]
    fn an_image_is_registered_by_its_url() {
        let image = register(&[("ImageLocation", "file:/srv/images/debian.qcow2")]).unwrap();
        assert_eq!((image.name.as_str(), image.architecture.as_str()), ("debian.qcow2", "x86_64"));
        assert_eq!(image.image_type, ImageType::Machine);
        for bad in ["bucket/image.manifest.xml", "ftp://host/x", "http://", "file:/a\nb", "http://host/a b"] {
            assert_eq!(register(&[("ImageLocation", bad)]).unwrap_err().code, Code::InvalidParameterValue, "{bad}");
        }
    }

    #[test]
    fn a_kernel_has_no_kernel() {
        let pairs = [("ImageLocation", "http://h/vmlinuz"), ("ImageType", "kernel"), ("KernelId", "eki-00000001")];
        assert_eq!(register(&pairs).unwrap_err().code, Code::InvalidParameterCombination);
    }

    #[test]
    fn names_and_digests_are_checked() {
        let with = |name, value| register(&[("ImageLocation", "http://h/abc"), (name, value)]).unwrap_err().code;
        assert_eq!(with("Name", "ab"), Code::InvalidImageNameMalformed);
        assert_eq!(with("Name", "a<b>c"), Code::InvalidImageNameMalformed);
        assert_eq!(with("Sha256", "abc"), Code::InvalidParameterValue);
        assert_eq!(with("Architecture", "vax"), Code::InvalidParameterValue);
    }
}
