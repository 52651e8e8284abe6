//! The attributes of one instance: what each is called, how it is shown, and how a client asks for
//! it to be changed or reset. What a change does is in `actions::attributes`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::instances::Group;
use super::run::decoded_user_data;
use super::{Done, ids};
use crate::error::{Code, Ec2Error};
use crate::front::{Action, Params, Reply, Writer};

/// What becomes of an instance whose guest turns itself off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ShutdownBehavior {
    /// It is stopped, and keeps its disk.
    #[default]
    Stop,
    /// It is terminated.
    Terminate,
}

impl ShutdownBehavior {
    /// EC2's name of it, which the records keep too.
    pub fn name(self) -> &'static str {
        match self {
            ShutdownBehavior::Stop => "stop",
            ShutdownBehavior::Terminate => "terminate",
        }
    }

    /// The behavior of that name.
    pub fn named(name: &str) -> Option<Self> {
        [ShutdownBehavior::Stop, ShutdownBehavior::Terminate].into_iter().find(|behavior| behavior.name() == name)
    }

    /// Reads it from a parameter.
    ///
    /// # Errors
    /// `InvalidParameterValue`.
    pub fn parse(params: &Params, parameter: &str) -> Result<Option<Self>, Ec2Error> {
        let Some(text) = params.optional(parameter) else { return Ok(None) };
        let behavior = Self::named(text);
        behavior.map(Some).ok_or_else(|| params.invalid(parameter, text, "It must be stop or terminate."))
    }
}

/// An attribute of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attribute {
    InstanceType,
    Kernel,
    Ramdisk,
    UserData,
    DisableApiTermination,
    DisableApiStop,
    InstanceInitiatedShutdownBehavior,
    RootDeviceName,
    BlockDeviceMapping,
    ProductCodes,
    GroupSet,
    SourceDestCheck,
    EbsOptimized,
    EnaSupport,
    SriovNetSupport,
    EnclaveOptions,
}

impl Attribute {
    const ALL: [Attribute; 16] = [
        Attribute::InstanceType,
        Attribute::Kernel,
        Attribute::Ramdisk,
        Attribute::UserData,
        Attribute::DisableApiTermination,
        Attribute::DisableApiStop,
        Attribute::InstanceInitiatedShutdownBehavior,
        Attribute::RootDeviceName,
        Attribute::BlockDeviceMapping,
        Attribute::ProductCodes,
        Attribute::GroupSet,
        Attribute::SourceDestCheck,
        Attribute::EbsOptimized,
        Attribute::EnaSupport,
        Attribute::SriovNetSupport,
        Attribute::EnclaveOptions,
    ];

    /// EC2's name of it: the value of the parameter `Attribute`, and the element of the answer.
    pub fn name(self) -> &'static str {
        match self {
            Attribute::InstanceType => "instanceType",
            Attribute::Kernel => "kernel",
            Attribute::Ramdisk => "ramdisk",
            Attribute::UserData => "userData",
            Attribute::DisableApiTermination => "disableApiTermination",
            Attribute::DisableApiStop => "disableApiStop",
            Attribute::InstanceInitiatedShutdownBehavior => "instanceInitiatedShutdownBehavior",
            Attribute::RootDeviceName => "rootDeviceName",
            Attribute::BlockDeviceMapping => "blockDeviceMapping",
            Attribute::ProductCodes => "productCodes",
            Attribute::GroupSet => "groupSet",
            Attribute::SourceDestCheck => "sourceDestCheck",
            Attribute::EbsOptimized => "ebsOptimized",
            Attribute::EnaSupport => "enaSupport",
            Attribute::SriovNetSupport => "sriovNetSupport",
            Attribute::EnclaveOptions => "enclaveOptions",
        }
    }

    /// The attribute that the parameter `Attribute` names.
    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        let name = params.required("Attribute")?;
        let found = Self::ALL.into_iter().find(|attribute| attribute.name() == name);
        found.ok_or_else(|| params.invalid("Attribute", name, "It is no attribute of an instance."))
    }
}

/// Shows one attribute of one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeInstanceAttribute {
    pub instance_id: String,
    pub attribute: Attribute,
}

impl Action for DescribeInstanceAttribute {
    const NAME: &'static str = "DescribeInstanceAttribute";
    type Response = DescribeInstanceAttributeResponse;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Ok(Self {
            instance_id: ids::instance_id(params.required("InstanceId")?)?,
            attribute: Attribute::parse(params)?,
        })
    }
}

/// What an attribute is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttributeValue {
    /// A text; none if the instance has no such thing.
    Text(Option<String>),
    /// Bytes, sent in base64; none is as good as no bytes.
    Bytes(Vec<u8>),
    Boolean(bool),
    Groups(Vec<Group>),
    /// A list that has nothing in it here: disks that are volumes, products.
    Nothing,
}

/// One attribute of one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeInstanceAttributeResponse {
    pub instance_id: String,
    pub attribute: Attribute,
    pub value: AttributeValue,
}

impl Reply for DescribeInstanceAttributeResponse {
    fn write(&self, w: &mut Writer) {
        w.text("instanceId", &self.instance_id);
        let name = self.attribute.name();
        // terraform reads the value of a boolean without asking whether it is there.
        let value = if self.attribute == Attribute::EnclaveOptions { "enabled" } else { "value" };
        match &self.value {
            AttributeValue::Groups(groups) => Group::write_set(groups, w),
            AttributeValue::Text(text) => w.element(name, |w| w.optional(value, text.as_deref())),
            AttributeValue::Bytes(bytes) if bytes.is_empty() => w.element(name, |_| ()),
            AttributeValue::Bytes(bytes) => w.element(name, |w| w.text(value, &STANDARD.encode(bytes))),
            AttributeValue::Boolean(truth) => w.element(name, |w| w.boolean(value, *truth)),
            AttributeValue::Nothing => w.element(name, |_| ()),
        }
    }
}

/// What a client wants an attribute to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttributeChange {
    DisableApiTermination(bool),
    DisableApiStop(bool),
    InstanceInitiatedShutdownBehavior(ShutdownBehavior),
    InstanceType(String),
    /// An image id; empty takes it away.
    Kernel(String),
    Ramdisk(String),
    UserData(Vec<u8>),
    SourceDestCheck(bool),
    EbsOptimized(bool),
    EnaSupport(bool),
    SriovNetSupport(String),
    /// Ids of security groups.
    Groups(Vec<String>),
    BlockDeviceMapping,
}

/// Changes one attribute of one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModifyInstanceAttribute {
    pub instance_id: String,
    pub change: AttributeChange,
}

impl Action for ModifyInstanceAttribute {
    const NAME: &'static str = "ModifyInstanceAttribute";
    type Response = Done;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        let instance_id = ids::instance_id(params.required("InstanceId")?)?;
        let mut changes = Vec::new();
        for attribute in Attribute::ALL {
            changes.extend(change(params, attribute)?);
        }
        let combination = |text: &str| Ec2Error::new(Code::InvalidParameterCombination, text);
        match (changes.pop(), changes.is_empty()) {
            (Some(change), true) => Ok(Self { instance_id, change }),
            (Some(_), false) => Err(combination("Fields for multiple attribute types specified; change one at a time")),
            (None, _) => Err(combination("No attributes specified.")),
        }
    }
}

/// What the request wants one attribute to be, in either of EC2's forms: `Attribute=kernel` with
/// `Value=eki-...`, or `Kernel.Value=eki-...`.
fn change(params: &Params, attribute: Attribute) -> Result<Option<AttributeChange>, Ec2Error> {
    let capitalised = format!("{}{}", attribute.name()[..1].to_ascii_uppercase(), &attribute.name()[1..]);
    let named = params.optional("Attribute").is_some() && Attribute::parse(params)? == attribute;
    let forms = [format!("{capitalised}.Value"), capitalised.clone()];
    let own = forms.iter().find(|form| params.given(form).is_some()).map(String::as_str);
    let parameter = own.or_else(|| Some("Value").filter(|value| named && params.given(value).is_some()));
    let text = parameter.and_then(|parameter| params.given(parameter)).unwrap_or_default().to_string();
    let truth = |parameter: &str| params.boolean(parameter)?.ok_or_else(|| Ec2Error::missing(parameter));
    let groups = params.list("GroupId");
    Ok(match (attribute, parameter) {
        (Attribute::GroupSet, _) if !groups.is_empty() => Some(AttributeChange::Groups(groups)),
        (Attribute::BlockDeviceMapping, _) if !params.groups("BlockDeviceMapping").is_empty() => {
            Some(AttributeChange::BlockDeviceMapping)
        }
        (_, None) if named => return Err(Ec2Error::missing("Value")),
        (_, None) => None,
        (Attribute::DisableApiTermination, Some(name)) => Some(AttributeChange::DisableApiTermination(truth(name)?)),
        (Attribute::DisableApiStop, Some(name)) => Some(AttributeChange::DisableApiStop(truth(name)?)),
        (Attribute::SourceDestCheck, Some(name)) => Some(AttributeChange::SourceDestCheck(truth(name)?)),
        (Attribute::EbsOptimized, Some(name)) => Some(AttributeChange::EbsOptimized(truth(name)?)),
        (Attribute::EnaSupport, Some(name)) => Some(AttributeChange::EnaSupport(truth(name)?)),
        (Attribute::SriovNetSupport, Some(_)) => Some(AttributeChange::SriovNetSupport(text)),
        (Attribute::InstanceInitiatedShutdownBehavior, Some(name)) => {
            let behavior = ShutdownBehavior::parse(params, name)?.ok_or_else(|| Ec2Error::missing(name))?;
            Some(AttributeChange::InstanceInitiatedShutdownBehavior(behavior))
        }
        (Attribute::InstanceType, Some(name)) => {
            Some(AttributeChange::InstanceType(params.required(name)?.to_string()))
        }
        (Attribute::Kernel, Some(_)) => Some(AttributeChange::Kernel(image_or_none(&text)?)),
        (Attribute::Ramdisk, Some(_)) => Some(AttributeChange::Ramdisk(image_or_none(&text)?)),
        (Attribute::UserData, Some(name)) => Some(AttributeChange::UserData(decoded_user_data(name, &text)?)),
        (
            Attribute::RootDeviceName
            | Attribute::BlockDeviceMapping
            | Attribute::ProductCodes
            | Attribute::GroupSet
            | Attribute::EnclaveOptions,
            Some(_),
        ) => {
            let problem = "It is an attribute that cannot be changed so.";
            return Err(params.invalid("Attribute", attribute.name(), problem));
        }
    })
}

fn image_or_none(text: &str) -> Result<String, Ec2Error> {
    if text.is_empty() { Ok(String::new()) } else { ids::image_id(text) }
}

/// Takes one attribute of one instance back to what it was at first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResetInstanceAttribute {
    pub instance_id: String,
    pub attribute: Resettable,
}

/// The attributes that EC2 resets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resettable {
    Kernel,
    Ramdisk,
    SourceDestCheck,
}

impl Action for ResetInstanceAttribute {
    const NAME: &'static str = "ResetInstanceAttribute";
    type Response = Done;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        let instance_id = ids::instance_id(params.required("InstanceId")?)?;
        let attribute = match params.required("Attribute")? {
            "kernel" => Resettable::Kernel,
            "ramdisk" => Resettable::Ramdisk,
            "sourceDestCheck" => Resettable::SourceDestCheck,
            other => {
                let problem = "Only kernel, ramdisk and sourceDestCheck can be reset.";
                return Err(params.invalid("Attribute", other, problem));
            }
        };
        Ok(Self { instance_id, attribute })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modify(more: &[(&str, &str)]) -> Result<AttributeChange, Ec2Error> {
        let pairs = [&[("InstanceId", "i-1A2B3C4D")], more].concat();
        Ok(ModifyInstanceAttribute::parse(&Params::try_from(&pairs[..])?)?.change)
    }

    #[test]
    fn every_way_to_say_it_is_understood() {
        let expected = AttributeChange::DisableApiTermination(true);
        for form in [
            &[("DisableApiTermination.Value", "true")][..],
            &[("DisableApiTermination", "true")],
            &[("Attribute", "disableApiTermination"), ("Value", "true")],
            &[("Attribute", "disableApiTermination"), ("DisableApiTermination.Value", "true")],
        ] {
            assert_eq!(modify(form).unwrap(), expected, "{form:?}");
        }
        assert_eq!(modify(&[("UserData.Value", "aGk=")]).unwrap(), AttributeChange::UserData(b"hi".to_vec()));
        assert_eq!(modify(&[("UserData.Value", "")]).unwrap(), AttributeChange::UserData(Vec::new()));
        assert_eq!(modify(&[("GroupId.1", "sg-1")]).unwrap(), AttributeChange::Groups(vec!["sg-1".into()]));
    }

    #[test]
    fn slips_are_named() {
        let code = |form: &[(&str, &str)]| modify(form).unwrap_err().code;
        assert_eq!(code(&[]), Code::InvalidParameterCombination);
        let two = [("DisableApiTermination.Value", "true"), ("InstanceType.Value", "m1.large")];
        assert_eq!(code(&two), Code::InvalidParameterCombination);
        assert_eq!(code(&[("DisableApiTermination.Value", "maybe")]), Code::InvalidParameterValue);
        assert_eq!(code(&[("InstanceInitiatedShutdownBehavior.Value", "explode")]), Code::InvalidParameterValue);
        assert_eq!(code(&[("Attribute", "kernel")]), Code::MissingParameter);
        assert_eq!(code(&[("Attribute", "colour"), ("Value", "red")]), Code::InvalidParameterValue);
        assert_eq!(code(&[("Kernel.Value", "linux")]), Code::InvalidImageIdMalformed);
        assert_eq!(code(&[("Attribute", "rootDeviceName"), ("Value", "/dev/sda")]), Code::InvalidParameterValue);
    }

    #[test]
    fn names_are_those_of_all() {
        for attribute in Attribute::ALL {
            let pairs = [("InstanceId", "i-1A2B3C4D"), ("Attribute", attribute.name())];
            let request = DescribeInstanceAttribute::parse(&Params::try_from(&pairs[..]).unwrap()).unwrap();
            assert_eq!(request.attribute, attribute);
        }
    }
}
