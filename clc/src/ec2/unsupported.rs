//! What RunInstances can ask for that this cloud does not have: refused in EC2's own codes rather
//! than dropped, since a client that asked for a network or a disk must not get an instance
//! without. Asked for in the way that means "as usual", each is taken.

use crate::error::{Code, Ec2Error};
use crate::front::Params;

/// Refuses what a launch here cannot have.
///
/// # Errors
/// EC2's code for each; `InvalidParameterValue` for what EC2 would not understand either.
pub(super) fn refuse(params: &Params) -> Result<(), Ec2Error> {
    refuse_named(params)?;
    refuse_set(params)?;
    refuse_on(params)?;
    refuse_placement(params)?;
    refuse_metadata(params)?;
    refuse_disks(params)
}

fn shown(value: &str) -> String {
    value.chars().take(60).collect()
}

/// Things named by id or name: there is none of their kind.
fn refuse_named(params: &Params) -> Result<(), Ec2Error> {
    let interface = |name: &str| params.groups("NetworkInterface").iter().find_map(|group| group.text(name));
    let given = |name: &str| params.text(name);
    let subnet = given("SubnetId").or_else(|| interface("SubnetId"));
    for (value, code, what) in [
        (subnet, Code::InvalidSubnetIdNotFound, "subnet ID"),
        (interface("NetworkInterfaceId"), Code::InvalidNetworkInterfaceIdNotFound, "network interface ID"),
        (given("LaunchTemplate.LaunchTemplateId"), Code::InvalidLaunchTemplateIdNotFound, "launch template ID"),
        (given("LaunchTemplate.LaunchTemplateName"), Code::InvalidLaunchTemplateNameNotFound, "launch template"),
    ] {
        if let Some(value) = value {
            let text = format!("The {what} '{}' does not exist: this cloud has none; leave it out", shown(&value));
            return Err(Ec2Error::new(code, text));
        }
    }
    for name in ["IamInstanceProfile.Arn", "IamInstanceProfile.Name"] {
        if let Some(value) = params.optional(name) {
            return Err(params.invalid(name, value, "There are no instance profiles in this cloud; leave it out."));
        }
    }
    if params.optional("PrivateIpAddress").is_some() {
        let text = "A PrivateIpAddress can only be chosen within a subnet, and this cloud has none; leave it out";
        return Err(Ec2Error::new(Code::InvalidParameterCombination, text));
    }
    Ok(())
}

/// Groups of parameters that always mean something special.
fn refuse_set(params: &Params) -> Result<(), Ec2Error> {
    for name in [
        "NetworkInterface",
        "Ipv6Address",
        "ElasticGpuSpecification",
        "ElasticInferenceAccelerator",
        "LicenseSpecification",
        "License",
        "InstanceMarketOptions",
        "CpuOptions",
        "CapacityReservationSpecification.CapacityReservationTarget",
        "Placement.HostId",
        "Placement.HostResourceGroupArn",
        "Placement.PartitionNumber",
        "Placement.SpreadDomain",
    ] {
        let group = format!("{name}.");
        if params.iter().any(|(given, value)| !value.is_empty() && (given == name || given.starts_with(&group))) {
            return Err(unsupported(name));
        }
    }
    if params.integer("Ipv6AddressCount", 0..=1000)?.unwrap_or(0) > 0 {
        return Err(unsupported("Ipv6AddressCount"));
    }
    if let Some(credits) = params.optional("CreditSpecification.CpuCredits") {
        let text = format!(
            "CreditSpecification '{}' is for burstable types, and this cloud has none; leave it out",
            shown(credits)
        );
        return Err(Ec2Error::new(Code::InvalidParameterCombination, text));
    }
    Ok(())
}

/// Switches that are off here, and words of which one means "as usual".
fn refuse_on(params: &Params) -> Result<(), Ec2Error> {
    for name in [
        "EbsOptimized",
        "EnclaveOptions.Enabled",
        "HibernationOptions.Configured",
        "EnablePrimaryIpv6",
        "PrivateDnsNameOptions.EnableResourceNameDnsARecord",
        "PrivateDnsNameOptions.EnableResourceNameDnsAAAARecord",
    ] {
        if params.boolean(name)?.unwrap_or(false) {
            return Err(unsupported(name));
        }
    }
    usual(params, "PrivateDnsNameOptions.HostnameType", &["ip-name"], &["resource-name"])?;
    usual(params, "MaintenanceOptions.AutoRecovery", &["default", "disabled"], &[])?;
    usual(params, "CapacityReservationSpecification.CapacityReservationPreference", &["open", "none"], &[])
}

fn refuse_placement(params: &Params) -> Result<(), Ec2Error> {
    usual(params, "Placement.Tenancy", &["default"], &["dedicated", "host"])?;
    usual(params, "Placement.Affinity", &["default"], &["host"])
}

/// There is no metadata service: guests get their key and user data on a disk.
fn refuse_metadata(params: &Params) -> Result<(), Ec2Error> {
    usual(params, "MetadataOptions.HttpTokens", &["optional", "required"], &[])?;
    for name in ["HttpEndpoint", "HttpProtocolIpv6", "InstanceMetadataTags"] {
        usual(params, &format!("MetadataOptions.{name}"), &["disabled"], &["enabled"])?;
    }
    params.integer("MetadataOptions.HttpPutResponseHopLimit", 1..=64).map(drop)
}

/// A word of EC2's: taken if it means what is so here anyway.
fn usual(params: &Params, name: &str, taken: &[&str], known: &[&str]) -> Result<(), Ec2Error> {
    match params.optional(name) {
        None => Ok(()),
        Some(word) if taken.contains(&word) => Ok(()),
        Some(word) if known.contains(&word) => Err(unsupported(&format!("{name} '{word}'"))),
        Some(word) => Err(params.invalid(name, word, &format!("It must be {}.", taken.join(" or ")))),
    }
}

fn unsupported(what: &str) -> Ec2Error {
    Ec2Error::new(Code::Unsupported, format!("{what} is not supported by this cloud; leave it out"))
}

/// An instance has one disk, of its type's size. EC2 takes ephemeral disks that a type does not
/// have, and gives none; volumes would be missed.
fn refuse_disks(params: &Params) -> Result<(), Ec2Error> {
    let wrong = |text: String| Err(Ec2Error::new(Code::InvalidBlockDeviceMapping, text));
    let mut devices = Vec::new();
    for mapping in params.groups("BlockDeviceMapping") {
        let device = mapping.required("DeviceName")?.to_string();
        if devices.contains(&device) {
            return wrong(format!("The device '{}' is mapped more than once", shown(&device)));
        }
        let volume = mapping.iter().any(|(name, _)| name.starts_with("Ebs."));
        let virtual_name = mapping.optional("VirtualName");
        match virtual_name {
            _ if volume => {
                let text =
                    "Disks that are volumes (BlockDeviceMapping.N.Ebs) are not supported by this cloud; leave them out";
                return Err(Ec2Error::new(Code::Unsupported, text));
            }
            Some(name) if is_virtual(name) => {}
            Some(name) => return wrong(format!("'{}' is no virtual name: write ephemeral0", shown(name))),
            None if mapping.given("NoDevice").is_some() => {}
            None => return wrong(format!("The device '{}' is mapped to nothing", shown(&device))),
        }
        devices.push(device);
    }
    Ok(())
}

fn is_virtual(name: &str) -> bool {
    let number = name.strip_prefix("ephemeral");
    let ephemeral = number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()));
    ephemeral || ["ami", "root", "swap"].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(pairs: &[(&str, &str)]) -> Option<Code> {
        refuse(&Params::try_from(pairs).unwrap()).err().map(|error| error.code)
    }

    #[test]
    fn what_asks_for_nothing_special_is_taken() {
        let pairs = [
            ("EbsOptimized", "false"),
            ("Placement.Tenancy", "default"),
            ("MetadataOptions.HttpTokens", "required"),
            ("MetadataOptions.HttpEndpoint", "disabled"),
            ("EnclaveOptions.Enabled", "false"),
            ("HibernationOptions.Configured", "false"),
            ("CapacityReservationSpecification.CapacityReservationPreference", "open"),
            ("MaintenanceOptions.AutoRecovery", "default"),
            ("Ipv6AddressCount", "0"),
            ("SubnetId", ""),
            ("BlockDeviceMapping.1.DeviceName", "sdb"),
            ("BlockDeviceMapping.1.VirtualName", "ephemeral0"),
            ("BlockDeviceMapping.2.DeviceName", "sdc"),
            ("BlockDeviceMapping.2.NoDevice", ""),
        ];
        assert_eq!(code(&pairs), None);
    }

    #[test]
    fn what_there_is_not_is_refused_in_ec2s_codes() {
        for (name, value, expected) in [
            ("SubnetId", "subnet-1", Code::InvalidSubnetIdNotFound),
            ("NetworkInterface.1.SubnetId", "subnet-1", Code::InvalidSubnetIdNotFound),
            ("NetworkInterface.1.NetworkInterfaceId", "eni-1", Code::InvalidNetworkInterfaceIdNotFound),
            ("NetworkInterface.1.AssociatePublicIpAddress", "true", Code::Unsupported),
            ("PrivateIpAddress", "10.0.0.9", Code::InvalidParameterCombination),
            ("IamInstanceProfile.Name", "web", Code::InvalidParameterValue),
            ("LaunchTemplate.LaunchTemplateId", "lt-1", Code::InvalidLaunchTemplateIdNotFound),
            ("LaunchTemplate.LaunchTemplateName", "web", Code::InvalidLaunchTemplateNameNotFound),
            ("Placement.Tenancy", "dedicated", Code::Unsupported),
            ("Placement.Tenancy", "shared", Code::InvalidParameterValue),
            ("InstanceMarketOptions.MarketType", "spot", Code::Unsupported),
            ("CreditSpecification.CpuCredits", "unlimited", Code::InvalidParameterCombination),
            ("MetadataOptions.HttpEndpoint", "enabled", Code::Unsupported),
            ("MetadataOptions.HttpTokens", "maybe", Code::InvalidParameterValue),
            ("MetadataOptions.HttpPutResponseHopLimit", "65", Code::InvalidParameterValue),
            ("EbsOptimized", "true", Code::Unsupported),
            ("EbsOptimized", "perhaps", Code::InvalidParameterValue),
            ("CpuOptions.CoreCount", "1", Code::Unsupported),
            ("License.Pool", "p", Code::Unsupported),
        ] {
            assert_eq!(code(&[(name, value)]), Some(expected), "{name}={value}");
        }
    }

    #[test]
    fn disks_that_cannot_be_are_refused() {
        let device = ("BlockDeviceMapping.1.DeviceName", "sdb");
        assert_eq!(code(&[("BlockDeviceMapping.1.VirtualName", "ephemeral0")]), Some(Code::MissingParameter));
        assert_eq!(code(&[device]), Some(Code::InvalidBlockDeviceMapping));
        let other = ("BlockDeviceMapping.1.VirtualName", "disk");
        assert_eq!(code(&[device, other]), Some(Code::InvalidBlockDeviceMapping));
        assert_eq!(code(&[device, ("BlockDeviceMapping.1.Ebs.VolumeSize", "8")]), Some(Code::Unsupported));
        let twice = [
            device,
            ("BlockDeviceMapping.1.VirtualName", "ephemeral0"),
            ("BlockDeviceMapping.2.DeviceName", "sdb"),
            ("BlockDeviceMapping.2.VirtualName", "ephemeral1"),
        ];
        assert_eq!(code(&twice), Some(Code::InvalidBlockDeviceMapping));
    }
}
