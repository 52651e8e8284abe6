//! RunInstances: the one request that makes instances.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::attributes::ShutdownBehavior;
use super::instances::Reservation;
use super::security_groups::GroupRef;
use super::{ResourceType, Tag, ids, unsupported};
use crate::error::{Code, Ec2Error};
use crate::front::{Action, Params, Reply, Writer};

/// Bytes of user data, decoded: EC2's limit.
const MAX_USER_DATA: usize = 16 * 1024;

/// Instances in one request; more is surely a slip.
pub(super) const MAX_COUNT: i64 = 1000;

/// Starts new instances of one image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunInstances {
    pub image_id: String,
    /// Fewer than these are refused; at least 1.
    pub min_count: u32,
    /// As many as this, if there is room; at least `min_count`.
    pub max_count: u32,
    pub key_name: Option<String>,
    /// The security groups that the instances are in: names (`SecurityGroup.N`) and ids
    /// (`SecurityGroupId.N`); `default` if empty. No tier enforces their rules.
    pub security_groups: Vec<GroupRef>,
    /// Decoded; reaches the guest as it is.
    pub user_data: Option<Vec<u8>>,
    /// `m1.small` if the client does not say: EC2's and 2.0.1's default.
    pub instance_type: String,
    /// The zone; any if the client does not say, or says 2.0.1's `default`.
    pub availability_zone: Option<String>,
    /// Name or id of a placement group.
    pub placement_group: Option<String>,
    pub kernel_id: Option<String>,
    pub ramdisk_id: Option<String>,
    /// Same token and same request: same reservation.
    pub client_token: Option<String>,
    /// It cannot be terminated over the API.
    pub disable_api_termination: bool,
    /// It cannot be stopped over the API.
    pub disable_api_stop: bool,
    /// What becomes of it when its guest turns itself off.
    pub shutdown_behavior: ShutdownBehavior,
    /// It is wished to be monitored.
    pub monitored: bool,
    /// Tags for the instances.
    pub tags: Vec<Tag>,
    /// Only find out whether they would be started.
    pub dry_run: bool,
}

impl Action for RunInstances {
    const NAME: &'static str = "RunInstances";
    const REHEARSES: bool = true;
    type Response = RunInstancesResponse;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        unsupported::refuse(params)?;
        let min_count = params.required_integer("MinCount", 1..=MAX_COUNT)?;
        let max_count = params.required_integer("MaxCount", 1..=MAX_COUNT)?;
        if max_count < min_count {
            let text = format!("MinCount ({min_count}) must not be greater than MaxCount ({max_count})");
            return Err(Ec2Error::new(Code::InvalidParameterValue, text));
        }
        Ok(Self {
            image_id: ids::image_id(params.required("ImageId")?)?,
            min_count: u32::try_from(min_count).expect("checked to be from 1 to 1000"),
            max_count: u32::try_from(max_count).expect("checked to be from 1 to 1000"),
            key_name: params.text("KeyName"),
            security_groups: security_groups(params)?,
            user_data: user_data(params)?,
            instance_type: params.text("InstanceType").unwrap_or_else(|| "m1.small".to_string()),
            availability_zone: zone(params),
            placement_group: params.text("Placement.GroupName").or_else(|| params.text("Placement.GroupId")),
            kernel_id: ids::optional_image_id(params, "KernelId")?,
            ramdisk_id: ids::optional_image_id(params, "RamdiskId")?,
            client_token: client_token(params)?,
            disable_api_termination: params.boolean("DisableApiTermination")?.unwrap_or(false),
            disable_api_stop: params.boolean("DisableApiStop")?.unwrap_or(false),
            shutdown_behavior: ShutdownBehavior::parse(params, "InstanceInitiatedShutdownBehavior")?
                .unwrap_or_default(),
            monitored: params.boolean("Monitoring.Enabled")?.unwrap_or(false),
            dry_run: params.boolean("DryRun")?.unwrap_or(false),
            tags: Tag::specified_beside(params, ResourceType::Instance, &["volume", "network-interface"])?,
        })
    }
}

/// A zone's id is its name here.
fn zone(params: &Params) -> Option<String> {
    let zone = params.text("Placement.AvailabilityZone").or_else(|| params.text("Placement.AvailabilityZoneId"));
    zone.filter(|zone| zone != "default")
}

fn user_data(params: &Params) -> Result<Option<Vec<u8>>, Ec2Error> {
    params.optional("UserData").map(|text| decoded_user_data("UserData", text)).transpose()
}

/// User data is base64 through both doors; MIME line breaks and missing padding are let pass.
///
/// # Errors
/// `InvalidParameterValue`.
pub(super) fn decoded_user_data(parameter: &str, text: &str) -> Result<Vec<u8>, Ec2Error> {
    let compact: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let padded = format!("{compact}{}", &"==="[..(4 - compact.len() % 4) % 4]);
    // User data may hold secrets: it is never echoed.
    let refused = |problem: &str| {
        Ec2Error::new(Code::InvalidParameterValue, format!("Value for parameter {parameter} is invalid. {problem}"))
    };
    let bytes = STANDARD.decode(padded).map_err(|_| refused("It must be base64."))?;
    if bytes.len() > MAX_USER_DATA {
        return Err(refused(&format!("It is limited to {MAX_USER_DATA} bytes and has {}.", bytes.len())));
    }
    Ok(bytes)
}

/// Names and ids. Some clients give ids as names, which no name looks like.
fn security_groups(params: &Params) -> Result<Vec<GroupRef>, Ec2Error> {
    let mut named_ids = params.list("SecurityGroupId");
    let (more, names): (Vec<String>, Vec<String>) =
        params.list("SecurityGroup").into_iter().partition(|name| name.starts_with("sg-"));
    named_ids.extend(more);
    let mut groups: Vec<GroupRef> = names.into_iter().map(GroupRef::Name).collect();
    for id in named_ids {
        groups.push(GroupRef::Id(ids::group_id(&id)?));
    }
    Ok(groups)
}

/// At most 64 ASCII characters (EC2's rule).
fn client_token(params: &Params) -> Result<Option<String>, Ec2Error> {
    let Some(token) = params.optional("ClientToken") else { return Ok(None) };
    if token.len() > 64 || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(params.invalid("ClientToken", token, "It must have at most 64 ASCII characters."));
    }
    Ok(Some(token.to_string()))
}

/// The new reservation, or the one that the same client token made before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunInstancesResponse(pub Reservation);

impl Reply for RunInstancesResponse {
    fn write(&self, w: &mut Writer) {
        self.0.write(w);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(more: &[(&str, &str)]) -> Result<RunInstances, Ec2Error> {
        let mut pairs = vec![("ImageId", "emi-1A2B3C4D"), ("MinCount", "1"), ("MaxCount", "2")];
        pairs.retain(|(name, _)| more.iter().all(|(other, _)| other != name));
        pairs.extend(more);
        RunInstances::parse(&Params::try_from(&pairs[..])?)
    }

    #[test]
    fn defaults_are_those_of_ec2() {
        let request = parse(&[("Placement.AvailabilityZone", "default"), ("SomethingNew", "1")]).unwrap();
        assert_eq!((request.min_count, request.max_count), (1, 2));
        assert_eq!((request.instance_type.as_str(), request.availability_zone), ("m1.small", None));
    }

    #[test]
    fn what_clients_of_today_send_is_understood() {
        let request = parse(&[
            ("ClientToken", "5f0c3a52-0000-4000-8000-000000000000"),
            ("TagSpecification.1.ResourceType", "instance"),
            ("TagSpecification.1.Tag.1.Key", "Name"),
            ("TagSpecification.1.Tag.1.Value", "web"),
            ("TagSpecification.2.ResourceType", "volume"),
            ("TagSpecification.2.Tag.1.Key", "Other"),
            ("UserData", "aGVs\nbG8"),
            ("SecurityGroup.1", "default"),
        ])
        .unwrap();
        assert_eq!(request.tags, [Tag { key: "Name".into(), value: "web".into() }]);
        assert_eq!(request.user_data.as_deref(), Some(&b"hello"[..]));
        assert_eq!(request.security_groups, [GroupRef::Name("default".into())]);
    }

    #[test]
    fn slips_are_named() {
        let code = |more: &[(&str, &str)]| parse(more).unwrap_err().code;
        assert_eq!(code(&[("MinCount", "3")]), Code::InvalidParameterValue);
        assert_eq!(code(&[("MinCount", "0")]), Code::InvalidParameterValue);
        assert_eq!(code(&[("MaxCount", "")]), Code::MissingParameter);
        assert_eq!(code(&[("ImageId", "i-1A2B3C4D")]), Code::InvalidImageIdMalformed);
        assert_eq!(code(&[("SubnetId", "subnet-1")]), Code::InvalidSubnetIdNotFound);
        assert_eq!(code(&[("InstanceInitiatedShutdownBehavior", "explode")]), Code::InvalidParameterValue);
        assert_eq!(code(&[("DisableApiTermination", "perhaps")]), Code::InvalidParameterValue);
        let big = STANDARD.encode(vec![b'x'; MAX_USER_DATA + 1]);
        assert!(parse(&[("UserData", &big)]).unwrap_err().message.len() < 200);
        assert!(!parse(&[("UserData", "secret!")]).unwrap_err().message.contains("secret"));
    }
}
