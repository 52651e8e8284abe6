//! The attributes of one image: how each is shown, and how a client asks for it to be changed or
//! reset. The launch permissions are what matters: who, besides its owner, may see and run it.

use super::{Done, ids};
use crate::error::{Code, Ec2Error};
use crate::front::{Action, Params, Reply, Writer};

/// An attribute of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageAttribute {
    Description,
    Kernel,
    Ramdisk,
    LaunchPermission,
    ProductCodes,
    BlockDeviceMapping,
    SriovNetSupport,
}

impl ImageAttribute {
    const ALL: [ImageAttribute; 7] = [
        ImageAttribute::Description,
        ImageAttribute::Kernel,
        ImageAttribute::Ramdisk,
        ImageAttribute::LaunchPermission,
        ImageAttribute::ProductCodes,
        ImageAttribute::BlockDeviceMapping,
        ImageAttribute::SriovNetSupport,
    ];

    /// EC2's name of it: the value of the parameter `Attribute`, and the element of the answer.
    pub fn name(self) -> &'static str {
        match self {
            ImageAttribute::Description => "description",
            ImageAttribute::Kernel => "kernel",
            ImageAttribute::Ramdisk => "ramdisk",
            ImageAttribute::LaunchPermission => "launchPermission",
            ImageAttribute::ProductCodes => "productCodes",
            ImageAttribute::BlockDeviceMapping => "blockDeviceMapping",
            ImageAttribute::SriovNetSupport => "sriovNetSupport",
        }
    }

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        let name = params.required("Attribute")?;
        let found = Self::ALL.into_iter().find(|attribute| attribute.name() == name);
        found.ok_or_else(|| params.invalid("Attribute", name, "It is no attribute of an image."))
    }
}

/// Who may see and run an image besides its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Everybody: the group `all`.
    All,
    /// The account of that id.
    Account(String),
}

impl Permission {
    fn account(id: &str) -> Result<Self, Ec2Error> {
        if is_account_id(id) {
            return Ok(Permission::Account(id.to_string()));
        }
        let shown: String = id.chars().take(60).collect();
        let text = format!(
            "Invalid attribute item value \"{shown}\" for userId item type; it must be the 12 digits of an account"
        );
        Err(Ec2Error::new(Code::InvalidImageAttributeItemValue, text))
    }

    fn group(name: &str) -> Result<Self, Ec2Error> {
        if name == "all" {
            return Ok(Permission::All);
        }
        let shown: String = name.chars().take(60).collect();
        let text = format!("Invalid attribute item value \"{shown}\" for group item type; the one group is all");
        Err(Ec2Error::new(Code::InvalidImageAttributeItemValue, text))
    }

    /// Reads `PREFIX.N.UserId` and `PREFIX.N.Group`.
    fn nested(params: &Params, prefix: &str) -> Result<Vec<Self>, Ec2Error> {
        let mut permissions = Vec::new();
        for item in params.groups(prefix) {
            permissions.extend(item.optional("UserId").map(Self::account).transpose()?);
            permissions.extend(item.optional("Group").map(Self::group).transpose()?);
        }
        Ok(permissions)
    }
}

/// True if the text has the form of an account's id: 12 digits.
pub(super) fn is_account_id(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Shows one attribute of one image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeImageAttribute {
    pub image_id: String,
    pub attribute: ImageAttribute,
}

impl Action for DescribeImageAttribute {
    const NAME: &'static str = "DescribeImageAttribute";
    type Response = DescribeImageAttributeResponse;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Ok(Self { image_id: ids::image_id(params.required("ImageId")?)?, attribute: ImageAttribute::parse(params)? })
    }
}

/// What an attribute is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageAttributeValue {
    /// A text; none if the image has no such thing.
    Text(Option<String>),
    Permissions(Vec<Permission>),
    /// A list that has nothing in it here: disks that are volumes, products.
    Nothing,
}

/// One attribute of one image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeImageAttributeResponse {
    pub image_id: String,
    pub attribute: ImageAttribute,
    pub value: ImageAttributeValue,
}

impl Reply for DescribeImageAttributeResponse {
    fn write(&self, w: &mut Writer) {
        w.text("imageId", &self.image_id);
        let name = self.attribute.name();
        match &self.value {
            ImageAttributeValue::Text(text) => w.element(name, |w| w.optional("value", text.as_deref())),
            ImageAttributeValue::Permissions(permissions) => {
                w.set(name, permissions, |w, permission| match permission {
                    Permission::All => w.text("group", "all"),
                    Permission::Account(id) => w.text("userId", id),
                })
            }
            ImageAttributeValue::Nothing => w.element(name, |_| ()),
        }
    }
}

/// What a client wants an attribute to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageChange {
    /// Empty takes it away.
    Description(String),
    LaunchPermission {
        add: Vec<Permission>,
        remove: Vec<Permission>,
    },
}

/// Changes one attribute of one image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModifyImageAttribute {
    pub image_id: String,
    pub change: ImageChange,
}

impl Action for ModifyImageAttribute {
    const NAME: &'static str = "ModifyImageAttribute";
    type Response = Done;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        let image_id = ids::image_id(params.required("ImageId")?)?;
        let combination = |text: &str| Ec2Error::new(Code::InvalidParameterCombination, text);
        let named = params.optional("Attribute").map(|_| ImageAttribute::parse(params)).transpose()?;
        let mut changes = Vec::new();
        changes.extend(launch_permission(params, named)?);
        changes.extend(description(params, named)?);
        if !params.list("ProductCode").is_empty() || !params.groups("ProductCodes").is_empty() {
            let text = "This cloud sells no products; leave the product codes out";
            return Err(Ec2Error::new(Code::UnsupportedOperation, text));
        }
        match (changes.pop(), changes.is_empty(), named) {
            (Some(change), true, _) => Ok(Self { image_id, change }),
            (Some(_), false, _) => Err(combination("Fields for multiple attribute types specified")),
            (None, _, Some(ImageAttribute::LaunchPermission)) => {
                Err(combination("No launch permissions specified: give UserId.N or UserGroup.N, and OperationType"))
            }
            (None, _, Some(ImageAttribute::Description)) => Err(Ec2Error::missing("Value")),
            (None, _, Some(other)) => {
                Err(params.invalid("Attribute", other.name(), "Only launchPermission and description can be changed."))
            }
            (None, _, None) => Err(combination("No attributes specified.")),
        }
    }
}

/// Either of EC2's forms: `OperationType=add` with `UserId.N` and `UserGroup.N`, or
/// `LaunchPermission.Add.N.UserId` and the like.
fn launch_permission(params: &Params, named: Option<ImageAttribute>) -> Result<Option<ImageChange>, Ec2Error> {
    let mut add = Permission::nested(params, "LaunchPermission.Add")?;
    let mut remove = Permission::nested(params, "LaunchPermission.Remove")?;
    let users = params.list("UserId").into_iter().map(|id| Permission::account(&id));
    let groups = params.list("UserGroup").into_iter().map(|name| Permission::group(&name));
    let flat = users.chain(groups).collect::<Result<Vec<_>, _>>()?;
    if named.is_none_or(|named| named == ImageAttribute::LaunchPermission) && !flat.is_empty() {
        match params.required("OperationType")? {
            "add" => add.extend(flat),
            "remove" => remove.extend(flat),
            other => return Err(params.invalid("OperationType", other, "It must be add or remove.")),
        }
    }
    let some = !add.is_empty() || !remove.is_empty();
    Ok(some.then_some(ImageChange::LaunchPermission { add, remove }))
}

fn description(params: &Params, named: Option<ImageAttribute>) -> Result<Option<ImageChange>, Ec2Error> {
    let own = params.given("Description.Value").or_else(|| params.given("Description"));
    let value = own.or_else(|| params.given("Value").filter(|_| named == Some(ImageAttribute::Description)));
    value.map(|text| checked_description(params, text).map(ImageChange::Description)).transpose()
}

/// At most 255 characters (EC2's rule).
pub(super) fn checked_description(params: &Params, text: &str) -> Result<String, Ec2Error> {
    if text.chars().count() > 255 {
        return Err(params.invalid("Description", text, "It must have at most 255 characters."));
    }
    Ok(text.to_string())
}

/// Takes all launch permissions away: then only its owner may see and run the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResetImageAttribute {
    pub image_id: String,
}

impl Action for ResetImageAttribute {
    const NAME: &'static str = "ResetImageAttribute";
    type Response = Done;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        let image_id = ids::image_id(params.required("ImageId")?)?;
        match params.required("Attribute")? {
            "launchPermission" => Ok(Self { image_id }),
            other => Err(params.invalid("Attribute", other, "Only launchPermission can be reset.")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modify(more: &[(&str, &str)]) -> Result<ImageChange, Ec2Error> {
        let pairs = [&[("ImageId", "emi-1A2B3C4D")], more].concat();
        Ok(ModifyImageAttribute::parse(&Params::try_from(&pairs[..])?)?.change)
    }

    #[test]
    fn permissions_are_given_in_either_form() {
        let expected = ImageChange::LaunchPermission {
            add: vec![Permission::Account("123456789012".into()), Permission::All],
            remove: Vec::new(),
        };
        for form in [
            &[
                ("Attribute", "launchPermission"),
                ("OperationType", "add"),
                ("UserId.1", "123456789012"),
                ("UserGroup.1", "all"),
            ][..],
            &[("LaunchPermission.Add.1.UserId", "123456789012"), ("LaunchPermission.Add.2.Group", "all")],
        ] {
            assert_eq!(modify(form).unwrap(), expected, "{form:?}");
        }
    }

    #[test]
    fn slips_are_named() {
        let code = |form: &[(&str, &str)]| modify(form).unwrap_err().code;
        assert_eq!(code(&[]), Code::InvalidParameterCombination);
        assert_eq!(code(&[("Attribute", "launchPermission")]), Code::InvalidParameterCombination);
        assert_eq!(code(&[("LaunchPermission.Add.1.UserId", "bob")]), Code::InvalidImageAttributeItemValue);
        assert_eq!(code(&[("LaunchPermission.Add.1.Group", "some")]), Code::InvalidImageAttributeItemValue);
        assert_eq!(code(&[("UserGroup.1", "all")]), Code::MissingParameter);
        assert_eq!(code(&[("UserGroup.1", "all"), ("OperationType", "toggle")]), Code::InvalidParameterValue);
        assert_eq!(code(&[("Attribute", "kernel"), ("Value", "eki-1")]), Code::InvalidParameterValue);
        assert_eq!(code(&[("Attribute", "colour"), ("Value", "red")]), Code::InvalidParameterValue);
        let two = [("Description.Value", "x"), ("LaunchPermission.Add.1.Group", "all")];
        assert_eq!(code(&two), Code::InvalidParameterCombination);
        assert_eq!(modify(&[("Description.Value", "")]).unwrap(), ImageChange::Description(String::new()));
    }
}
