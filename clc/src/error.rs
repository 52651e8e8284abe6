//! What an EC2 client can be told has gone wrong: one closed list of codes with the HTTP status of
//! each, and one error that carries a code and a sentence. It knows no door: `front` writes the
//! Query envelope or the SOAP fault from it.

use std::error::Error as StdError;
use std::fmt;

use thiserror::Error;

/// An EC2 error code. The list is closed: a client's program branches on these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    // Who asks.
    AuthFailure,
    MissingAuthenticationToken,
    IncompleteSignature,
    AuthorizationQueryParametersError,
    RequestExpired,
    UnauthorizedOperation,
    OperationNotPermitted,
    // How it is asked.
    DryRunOperation,
    MissingAction,
    InvalidAction,
    InvalidNamespace,
    MissingParameter,
    InvalidParameterValue,
    InvalidParameterCombination,
    MalformedQueryString,
    InvalidNextToken,
    FilterLimitExceeded,
    InvalidRequest,
    NotFound,
    MethodNotAllowed,
    RequestTooLarge,
    IdempotentParameterMismatch,
    Unsupported,
    UnsupportedOperation,
    // What it is about.
    InvalidId,
    TagLimitExceeded,
    InvalidInstanceIdNotFound,
    InvalidInstanceIdMalformed,
    IncorrectInstanceState,
    InstanceLimitExceeded,
    VcpuLimitExceeded,
    AddressLimitExceeded,
    InvalidImageIdNotFound,
    InvalidImageIdMalformed,
    InvalidImageIdUnavailable,
    InvalidImageNameDuplicate,
    InvalidImageNameMalformed,
    InvalidImageAttributeItemValue,
    InvalidUserIdMalformed,
    InvalidKeyPairNotFound,
    InvalidKeyPairDuplicate,
    InvalidKeyFormat,
    InvalidGroupNotFound,
    InvalidGroupDuplicate,
    InvalidGroupIdMalformed,
    CannotDelete,
    DependencyViolation,
    SecurityGroupLimitExceeded,
    InvalidPermissionDuplicate,
    InvalidPermissionNotFound,
    RulesPerSecurityGroupLimitExceeded,
    InvalidRuleIdNotFound,
    InvalidRuleIdMalformed,
    InvalidInstanceType,
    InvalidZoneNotFound,
    InvalidAddressNotFound,
    InvalidAllocationIdNotFound,
    InvalidIpAddressInUse,
    AlreadyAssociated,
    InsufficientAddressCapacity,
    InvalidInstanceAttributeValue,
    InvalidBlockDeviceMapping,
    InvalidPlacementGroupUnknown,
    InvalidPlacementGroupDuplicate,
    InvalidPlacementGroupInUse,
    // What there is none of here.
    InvalidVpcIdNotFound,
    InvalidSubnetIdNotFound,
    InvalidNetworkInterfaceIdNotFound,
    InvalidVolumeNotFound,
    InvalidSnapshotNotFound,
    InvalidSpotInstanceRequestIdNotFound,
    InvalidReservationIdNotFound,
    InvalidReservedInstancesOfferingId,
    InvalidBundleIdNotFound,
    InvalidAssociationIdNotFound,
    InvalidLaunchTemplateIdNotFound,
    InvalidLaunchTemplateNameNotFound,
    /// A record of the cloud's own administration (a user, cluster, node, access key, trace).
    NoSuchEntity,
    /// The same, there already.
    EntityAlreadyExists,
    // Our side.
    RequestLimitExceeded,
    InsufficientInstanceCapacity,
    Unavailable,
    InternalError,
}

impl Code {
    /// The code as clients read it, and the HTTP status of the Query door. (The SOAP door always
    /// answers a fault with 500, as SOAP 1.1 demands.)
    ///
    /// A status of 500 or above makes every SDK send the request again, so no client mistake may
    /// have one; capacity has 500 because EC2 does, and because trying again may well help.
    fn entry(self) -> (&'static str, u16) {
        match self {
            Code::AuthFailure => ("AuthFailure", 401),
            Code::MissingAuthenticationToken => ("MissingAuthenticationToken", 403),
            Code::IncompleteSignature => ("IncompleteSignature", 400),
            Code::AuthorizationQueryParametersError => ("AuthorizationQueryParametersError", 400),
            Code::RequestExpired => ("RequestExpired", 400),
            Code::UnauthorizedOperation => ("UnauthorizedOperation", 403),
            Code::OperationNotPermitted => ("OperationNotPermitted", 400),
            Code::DryRunOperation => ("DryRunOperation", 412),
            Code::MissingAction => ("MissingAction", 400),
            Code::InvalidAction => ("InvalidAction", 400),
            Code::InvalidNamespace => ("InvalidNamespace", 400),
            Code::MissingParameter => ("MissingParameter", 400),
            Code::InvalidParameterValue => ("InvalidParameterValue", 400),
            Code::InvalidParameterCombination => ("InvalidParameterCombination", 400),
            Code::MalformedQueryString => ("MalformedQueryString", 400),
            Code::InvalidNextToken => ("InvalidNextToken", 400),
            Code::FilterLimitExceeded => ("FilterLimitExceeded", 400),
            Code::InvalidRequest => ("InvalidRequest", 400),
            Code::NotFound => ("NotFound", 404),
            Code::MethodNotAllowed => ("MethodNotAllowed", 405),
            Code::RequestTooLarge => ("RequestTooLarge", 413),
            Code::IdempotentParameterMismatch => ("IdempotentParameterMismatch", 400),
            Code::Unsupported => ("Unsupported", 400),
            Code::UnsupportedOperation => ("UnsupportedOperation", 400),
            Code::InvalidId => ("InvalidID", 400),
            Code::TagLimitExceeded => ("TagLimitExceeded", 400),
            Code::InvalidInstanceIdNotFound => ("InvalidInstanceID.NotFound", 400),
            Code::InvalidInstanceIdMalformed => ("InvalidInstanceID.Malformed", 400),
            Code::IncorrectInstanceState => ("IncorrectInstanceState", 400),
            Code::InstanceLimitExceeded => ("InstanceLimitExceeded", 400),
            Code::VcpuLimitExceeded => ("VcpuLimitExceeded", 400),
            Code::AddressLimitExceeded => ("AddressLimitExceeded", 400),
            Code::InvalidImageIdNotFound => ("InvalidAMIID.NotFound", 400),
            Code::InvalidImageIdMalformed => ("InvalidAMIID.Malformed", 400),
            Code::InvalidImageIdUnavailable => ("InvalidAMIID.Unavailable", 400),
            Code::InvalidImageNameDuplicate => ("InvalidAMIName.Duplicate", 400),
            Code::InvalidImageNameMalformed => ("InvalidAMIName.Malformed", 400),
            Code::InvalidImageAttributeItemValue => ("InvalidAMIAttributeItemValue", 400),
            Code::InvalidUserIdMalformed => ("InvalidUserID.Malformed", 400),
            Code::InvalidKeyPairNotFound => ("InvalidKeyPair.NotFound", 400),
            Code::InvalidKeyPairDuplicate => ("InvalidKeyPair.Duplicate", 400),
            Code::InvalidKeyFormat => ("InvalidKey.Format", 400),
            Code::InvalidGroupNotFound => ("InvalidGroup.NotFound", 400),
            Code::InvalidGroupDuplicate => ("InvalidGroup.Duplicate", 400),
            Code::InvalidGroupIdMalformed => ("InvalidGroupId.Malformed", 400),
            Code::CannotDelete => ("CannotDelete", 400),
            Code::DependencyViolation => ("DependencyViolation", 400),
            Code::SecurityGroupLimitExceeded => ("SecurityGroupLimitExceeded", 400),
            Code::InvalidPermissionDuplicate => ("InvalidPermission.Duplicate", 400),
            Code::InvalidPermissionNotFound => ("InvalidPermission.NotFound", 400),
            Code::RulesPerSecurityGroupLimitExceeded => ("RulesPerSecurityGroupLimitExceeded", 400),
            Code::InvalidRuleIdNotFound => ("InvalidSecurityGroupRuleId.NotFound", 400),
            Code::InvalidRuleIdMalformed => ("InvalidSecurityGroupRuleId.Malformed", 400),
            Code::InvalidInstanceType => ("InvalidInstanceType", 400),
            Code::InvalidZoneNotFound => ("InvalidZone.NotFound", 400),
            Code::InvalidAddressNotFound => ("InvalidAddress.NotFound", 400),
            Code::InvalidAllocationIdNotFound => ("InvalidAllocationID.NotFound", 400),
            Code::InvalidIpAddressInUse => ("InvalidIPAddress.InUse", 400),
            Code::AlreadyAssociated => ("Resource.AlreadyAssociated", 400),
            // 500 at EC2, whose pool others refill; here trying again changes nothing.
            Code::InsufficientAddressCapacity => ("InsufficientAddressCapacity", 400),
            Code::InvalidBlockDeviceMapping => ("InvalidBlockDeviceMapping", 400),
            Code::InvalidInstanceAttributeValue => ("InvalidInstanceAttributeValue", 400),
            Code::InvalidVpcIdNotFound => ("InvalidVpcID.NotFound", 400),
            Code::InvalidSubnetIdNotFound => ("InvalidSubnetID.NotFound", 400),
            Code::InvalidNetworkInterfaceIdNotFound => ("InvalidNetworkInterfaceID.NotFound", 400),
            Code::InvalidVolumeNotFound => ("InvalidVolume.NotFound", 400),
            Code::InvalidSnapshotNotFound => ("InvalidSnapshot.NotFound", 400),
            Code::InvalidSpotInstanceRequestIdNotFound => ("InvalidSpotInstanceRequestID.NotFound", 400),
            Code::InvalidReservationIdNotFound => ("InvalidReservationID.NotFound", 400),
            Code::InvalidReservedInstancesOfferingId => ("InvalidReservedInstancesOfferingId", 400),
            Code::InvalidPlacementGroupUnknown => ("InvalidPlacementGroup.Unknown", 400),
            Code::InvalidPlacementGroupDuplicate => ("InvalidPlacementGroup.Duplicate", 400),
            Code::InvalidPlacementGroupInUse => ("InvalidPlacementGroup.InUse", 400),
            Code::InvalidBundleIdNotFound => ("InvalidBundleID.NotFound", 400),
            Code::InvalidAssociationIdNotFound => ("InvalidAssociationID.NotFound", 400),
            Code::InvalidLaunchTemplateIdNotFound => ("InvalidLaunchTemplateId.NotFound", 400),
            Code::InvalidLaunchTemplateNameNotFound => ("InvalidLaunchTemplateName.NotFoundException", 400),
            Code::NoSuchEntity => ("NoSuchEntity", 400),
            Code::EntityAlreadyExists => ("EntityAlreadyExists", 400),
            Code::RequestLimitExceeded => ("RequestLimitExceeded", 503),
            Code::InsufficientInstanceCapacity => ("InsufficientInstanceCapacity", 500),
            Code::Unavailable => ("Unavailable", 503),
            Code::InternalError => ("InternalError", 500),
        }
    }

    /// The code as clients read it, `InvalidInstanceID.NotFound`.
    pub fn as_str(self) -> &'static str {
        self.entry().0
    }

    /// The HTTP status of the Query door.
    pub fn status(self) -> u16 {
        self.entry().1
    }

    /// True if the cloud, not the client, is at fault: `Server.` instead of `Client.` in a SOAP
    /// fault code.
    pub fn is_server(self) -> bool {
        self.status() >= 500
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An EC2 error: what the client is told. `source` is for the log only and never reaches a client.
#[derive(Debug, Error)]
#[error("{code}: {message}")]
pub struct Ec2Error {
    /// What a program branches on.
    pub code: Code,
    /// What a person reads: the field, the problem, the way out.
    pub message: String,
    /// What lies behind it.
    #[source]
    pub source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Ec2Error {
    /// An error of the given code with a sentence for the client.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), source: None }
    }

    /// The same error with its cause, for the log.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Something broke here that the client can do nothing about; the cause is only logged.
    pub fn internal(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(
            Code::InternalError,
            "An internal error has occurred; the request id leads to its cause in the cloud's log.",
        )
        .because(source)
    }

    /// A parameter that must be there is not.
    pub fn missing(parameter: &str) -> Self {
        Self::new(Code::MissingParameter, format!("The request must contain the parameter {parameter}"))
    }

    /// A parameter's value is not possible; `problem` completes "Value (V) for parameter P is invalid."
    pub fn invalid(parameter: &str, value: &str, problem: &str) -> Self {
        let shown = abridged(value);
        Self::new(
            Code::InvalidParameterValue,
            format!("Value ({shown}) for parameter {parameter} is invalid. {problem}"),
        )
    }

    /// No such instance, as far as this caller may know.
    pub fn no_instance(instance_id: &str) -> Self {
        Self::new(
            Code::InvalidInstanceIdNotFound,
            format!("The instance ID '{}' does not exist", abridged(instance_id)),
        )
    }

    /// No such instances, as far as this caller may know: one or more.
    pub fn no_instances<T: AsRef<str>>(instance_ids: &[T]) -> Self {
        if let [one] = instance_ids {
            return Self::no_instance(one.as_ref());
        }
        let ids = instance_ids.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", ");
        Self::new(Code::InvalidInstanceIdNotFound, format!("The instance IDs '{}' do not exist", abridged(&ids)))
    }

    /// No such image, as far as this caller may know.
    pub fn no_image(image_id: &str) -> Self {
        Self::new(Code::InvalidImageIdNotFound, format!("The image id '[{}]' does not exist", abridged(image_id)))
    }

    /// No such key pair.
    pub fn no_key_pair(key_name: &str) -> Self {
        Self::new(Code::InvalidKeyPairNotFound, format!("The key pair '{}' does not exist", abridged(key_name)))
    }

    /// No such security group, by name or id.
    pub fn no_group(group: &str) -> Self {
        Self::new(Code::InvalidGroupNotFound, format!("The security group '{}' does not exist", abridged(group)))
    }

    /// No such rule of a security group.
    pub fn no_rule(rule_id: &str) -> Self {
        Self::new(
            Code::InvalidRuleIdNotFound,
            format!("The security group rule '{}' does not exist", abridged(rule_id)),
        )
    }

    /// No such elastic address of the caller's.
    pub fn no_address(public_ip: &str) -> Self {
        Self::new(Code::InvalidAddressNotFound, format!("Address '{}' not found", abridged(public_ip)))
    }

    /// No such placement group of the caller's, by name or id.
    pub fn no_placement_group(group: &str) -> Self {
        Self::new(Code::InvalidPlacementGroupUnknown, format!("The Placement Group '{}' is unknown.", abridged(group)))
    }

    /// No such allocation of an elastic address.
    pub fn no_allocation(id: &str) -> Self {
        Self::new(Code::InvalidAllocationIdNotFound, format!("The allocation ID '{}' does not exist", abridged(id)))
    }

    /// No such association of an elastic address.
    pub fn no_association(id: &str) -> Self {
        Self::new(Code::InvalidAssociationIdNotFound, format!("The association ID '{}' does not exist", abridged(id)))
    }

    /// No such network: there are none.
    pub fn no_vpc(vpc_id: &str) -> Self {
        let text = format!("The vpc ID '{}' does not exist: this cloud has no VPCs; leave it out", abridged(vpc_id));
        Self::new(Code::InvalidVpcIdNotFound, text)
    }
}

/// At most 100 characters of what a client sent, so that an error never echoes a megabyte.
fn abridged(text: &str) -> String {
    match text.char_indices().nth(100) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_failures_make_clients_try_again() {
        let ours =
            [Code::RequestLimitExceeded, Code::InsufficientInstanceCapacity, Code::Unavailable, Code::InternalError];
        assert!(ours.iter().all(|code| code.is_server()));
        for code in [Code::AuthFailure, Code::InvalidAction, Code::MissingParameter, Code::DryRunOperation] {
            assert!(!code.is_server(), "{code}");
        }
    }

    #[test]
    fn an_error_never_echoes_more_than_a_line() {
        let error = Ec2Error::invalid("KeyName", &"é".repeat(5000), "It is too long.");
        assert!(error.message.chars().count() < 200);
    }

    #[test]
    fn the_cause_is_kept_for_the_log_and_not_in_the_text() {
        let error = Ec2Error::internal("disk full");
        assert!(!error.to_string().contains("disk full"));
        assert_eq!(StdError::source(&error).map(ToString::to_string).as_deref(), Some("disk full"));
    }
}
