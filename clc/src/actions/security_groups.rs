//! Security groups: make, delete, show, and change their rules. Rules are records: no tier enforces
//! them.

use std::sync::Arc;

use ironbark_wsdl::Context;

use crate::cloud::Cloud;
use crate::ec2::security_groups::{
    CreateSecurityGroup, CreateSecurityGroupResponse, DeleteSecurityGroup, DeleteSecurityGroupResponse,
    DescribeSecurityGroups, DescribeSecurityGroupsResponse,
};
use crate::ec2::security_rules::{
    Authorize, AuthorizeResponse, DescribeSecurityGroupRules, DescribeSecurityGroupRulesResponse, Revoke,
    RevokeResponse,
};
use crate::error::{Code, Ec2Error};
use crate::front::Caller;
use crate::store::{GroupRefused, MAX_GROUPS, MAX_RULES};

/// Makes a group.
///
/// # Errors
/// `InvalidGroup.Duplicate`, `SecurityGroupLimitExceeded`.
pub async fn create_security_group(
    cloud: Arc<Cloud>,
    _: Context,
    caller: Caller,
    request: CreateSecurityGroup,
) -> Result<CreateSecurityGroupResponse, Ec2Error> {
    let CreateSecurityGroup { name, description, tags } = request;
    let made = cloud.store.create_security_group(caller.account, name, description, tags.clone(), cloud.now()).await?;
    made.map(|group_id| CreateSecurityGroupResponse { group_id, tags }).map_err(refused)
}

/// Deletes a group that no instance and no other group's rule needs.
///
/// # Errors
/// `InvalidGroup.NotFound`, `CannotDelete` (`default`), `DependencyViolation`.
pub async fn delete_security_group(
    cloud: Arc<Cloud>,
    _: Context,
    caller: Caller,
    request: DeleteSecurityGroup,
) -> Result<DeleteSecurityGroupResponse, Ec2Error> {
    let deleted = cloud.store.delete_security_group(caller.account, request.group).await?;
    deleted.map(|group_id| DeleteSecurityGroupResponse { group_id }).map_err(refused)
}

/// The caller's groups.
///
/// # Errors
/// `InvalidGroup.NotFound` if one that was named is not there.
pub async fn describe_security_groups(
    cloud: Arc<Cloud>,
    _: Context,
    caller: Caller,
    request: DescribeSecurityGroups,
) -> Result<DescribeSecurityGroupsResponse, Ec2Error> {
    request.answer(cloud.store.security_groups(caller.account).await?)
}

/// The rules of the caller's groups.
///
/// # Errors
/// `InvalidSecurityGroupRuleId.NotFound` if one that was named is not there.
pub async fn describe_security_group_rules(
    cloud: Arc<Cloud>,
    _: Context,
    caller: Caller,
    request: DescribeSecurityGroupRules,
) -> Result<DescribeSecurityGroupRulesResponse, Ec2Error> {
    let groups = cloud.store.security_groups(caller.account).await?;
    request.answer(groups.into_iter().flat_map(|group| group.rules).collect())
}

/// Adds rules for what instances receive: all of them, or none.
///
/// # Errors
/// `InvalidGroup.NotFound`, `InvalidPermission.Duplicate`, `RulesPerSecurityGroupLimitExceeded`.
pub async fn authorize_security_group_ingress(
    cloud: Arc<Cloud>,
    _: Context,
    caller: Caller,
    request: Authorize<false>,
) -> Result<AuthorizeResponse, Ec2Error> {
    authorize(&cloud, caller, request).await
}

/// Adds rules for what instances send: all of them, or none.
///
/// # Errors
/// As [`authorize_security_group_ingress`].
pub async fn authorize_security_group_egress(
    cloud: Arc<Cloud>,
    _: Context,
    caller: Caller,
    request: Authorize<true>,
) -> Result<AuthorizeResponse, Ec2Error> {
    authorize(&cloud, caller, request).await
}

/// Takes rules for what instances receive away: all of them, or none.
///
/// # Errors
/// `InvalidGroup.NotFound`, `InvalidPermission.NotFound`.
pub async fn revoke_security_group_ingress(
    cloud: Arc<Cloud>,
    _: Context,
    caller: Caller,
    request: Revoke<false>,
) -> Result<RevokeResponse, Ec2Error> {
    revoke(&cloud, caller, request).await
}

/// Takes rules for what instances send away: all of them, or none.
///
/// # Errors
/// As [`revoke_security_group_ingress`].
pub async fn revoke_security_group_egress(
    cloud: Arc<Cloud>,
    _: Context,
    caller: Caller,
    request: Revoke<true>,
) -> Result<RevokeResponse, Ec2Error> {
    revoke(&cloud, caller, request).await
}

async fn authorize<const EGRESS: bool>(
    cloud: &Cloud,
    caller: Caller,
    request: Authorize<EGRESS>,
) -> Result<AuthorizeResponse, Ec2Error> {
    let Authorize { group, permissions, tags } = request;
    let result = cloud.store.authorize(caller.account, group, EGRESS, permissions, tags).await?;
    result.map(|rules| AuthorizeResponse { rules }).map_err(refused)
}

async fn revoke<const EGRESS: bool>(
    cloud: &Cloud,
    caller: Caller,
    request: Revoke<EGRESS>,
) -> Result<RevokeResponse, Ec2Error> {
    let Revoke { group, permissions, rule_ids } = request;
    let result = cloud.store.revoke(caller.account, group, EGRESS, permissions, rule_ids).await?;
    result.map(|rules| RevokeResponse { rules }).map_err(refused)
}

fn refused(reason: GroupRefused) -> Ec2Error {
    match reason {
        GroupRefused::NotFound(named) => Ec2Error::no_group(&named),
        GroupRefused::NameTaken(name) => {
            let text = format!("The security group '{name}' already exists; choose another name, or delete it");
            Ec2Error::new(Code::InvalidGroupDuplicate, text)
        }
        GroupRefused::TooMany => {
            let text = format!("An account can have at most {MAX_GROUPS} security groups; delete one first");
            Ec2Error::new(Code::SecurityGroupLimitExceeded, text)
        }
        GroupRefused::Default => {
            Ec2Error::new(Code::CannotDelete, "The security group 'default' cannot be deleted: every account has it")
        }
        GroupRefused::InUse(group, by) => {
            let text = format!(
                "The security group '{group}' is used by '{by}'; terminate the instance, or revoke the rule, first"
            );
            Ec2Error::new(Code::DependencyViolation, text)
        }
        GroupRefused::HasRule(told) => {
            let text = format!("The specified rule already exists in this security group: {told}");
            Ec2Error::new(Code::InvalidPermissionDuplicate, text)
        }
        GroupRefused::NoRule(told) => {
            let text = format!("The specified rule does not exist in this security group: {told}");
            Ec2Error::new(Code::InvalidPermissionNotFound, text)
        }
        GroupRefused::TooManyRules => {
            let text =
                format!("A security group can have at most {MAX_RULES} rules in each direction; revoke some first");
            Ec2Error::new(Code::RulesPerSecurityGroupLimitExceeded, text)
        }
    }
}
