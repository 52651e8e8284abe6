//! Users and the groups that give them their roles. That the caller administers an account was
//! checked at the door; whose is checked by `accounts`.

use std::sync::Arc;

use ironbark_wsdl::Context;

use super::accounts::{account_named, user_named};
use crate::cloud::Cloud;
use crate::ec2::Done;
use crate::ec2::admin::{
    AddUserToGroup, CreateGroup, CreateUser, DeleteGroup, DeleteUser, DescribeGroups, DescribeUsers, GroupRow, Listing,
    Membership, RemoveUserFromGroup, UserRow,
};
use crate::ec2::identity::{CallerIdentity, GetCallerIdentity};
use crate::error::{Code, Ec2Error};
use crate::front::Caller;
use crate::ids;
use crate::role::Role;
use crate::store::{Member, NewUser, User, UserCredentials, UserGroup};

/// Who asks.
///
/// # Errors
/// None.
pub async fn get_caller_identity(
    _: Arc<Cloud>,
    _: Context,
    caller: Caller,
    _: GetCallerIdentity,
) -> Result<CallerIdentity, Ec2Error> {
    let arn = format!("arn:aws:iam::{}:user/{}", caller.account, caller.user);
    Ok(CallerIdentity { arn, user_id: caller.user_id, account: caller.account })
}

/// Makes a user.
///
/// # Errors
/// `EntityAlreadyExists`, `NoSuchEntity` (account, group), `UnauthorizedOperation` (a group whose
/// role is above the caller's).
pub async fn create_user(cloud: Arc<Cloud>, _: Context, caller: Caller, request: CreateUser) -> Result<Done, Ec2Error> {
    let account = account_named(&cloud, &caller, request.account.as_deref()).await?;
    for group in &request.groups {
        group_named(&cloud, &caller, &account.id, group).await?;
    }
    let name = request.user_name;
    let user = User { id: ids::user_id(), account: account.id, name: name.clone(), created: cloud.now() };
    match cloud.store.create_user(user, request.groups).await? {
        NewUser::Made => Ok(Done),
        NewUser::NoGroup(group) => Err(no_group(&group)),
        NewUser::NameTaken => {
            let text = format!("There is a user {name} in the account {} already", account.name);
            Err(Ec2Error::new(Code::EntityAlreadyExists, text))
        }
    }
}

/// Removes a user and its credentials. What its account owns stays.
///
/// # Errors
/// `NoSuchEntity`, `UnauthorizedOperation`; `OperationNotPermitted` if it is the last administrator.
pub async fn delete_user(cloud: Arc<Cloud>, _: Context, caller: Caller, request: DeleteUser) -> Result<Done, Ec2Error> {
    let member = user_named(&cloud, &caller, request.account.as_deref(), &request.user_name).await?;
    // Gone meanwhile is as good as removed now.
    done(cloud.store.delete_user(member.user.id).await?.unwrap_or(Ok(())))
}

/// The users of an account; for administrators of the cloud, of all accounts if none is named.
///
/// # Errors
/// `NoSuchEntity`, `UnauthorizedOperation` (account).
pub async fn describe_users(
    cloud: Arc<Cloud>,
    _: Context,
    caller: Caller,
    request: DescribeUsers,
) -> Result<Listing<UserRow>, Ec2Error> {
    let account = match (&request.account, caller.is_administrator()) {
        (None, true) => None,
        (named, _) => Some(account_named(&cloud, &caller, named.as_deref()).await?.id),
    };
    Ok(Listing(cloud.store.users(account).await?.into_iter().map(user_row).collect()))
}

fn user_row(found: UserCredentials) -> UserRow {
    let UserCredentials { member: Member { user, account_name, role }, groups, access_keys, certificates } = found;
    UserRow {
        account_id: user.account,
        account_name,
        user_name: user.name,
        user_id: user.id,
        role,
        groups,
        access_key_ids: access_keys,
        certificates,
    }
}

/// Makes a group.
///
/// # Errors
/// `EntityAlreadyExists`, `NoSuchEntity` (account), `UnauthorizedOperation` (a role above the
/// caller's).
pub async fn create_group(
    cloud: Arc<Cloud>,
    _: Context,
    caller: Caller,
    request: CreateGroup,
) -> Result<Done, Ec2Error> {
    let account = account_named(&cloud, &caller, request.account.as_deref()).await?;
    not_above(&caller, request.role)?;
    let name = request.group_name;
    let group = UserGroup { account: account.id, name: name.clone(), role: request.role, created: cloud.now() };
    if cloud.store.create_group(group).await? {
        return Ok(Done);
    }
    let text = format!("There is a group {name} in the account {} already", account.name);
    Err(Ec2Error::new(Code::EntityAlreadyExists, text))
}

/// Removes a group.
///
/// # Errors
/// `NoSuchEntity`, `UnauthorizedOperation`; `OperationNotPermitted` if the last administrator is in
/// it.
pub async fn delete_group(
    cloud: Arc<Cloud>,
    _: Context,
    caller: Caller,
    request: DeleteGroup,
) -> Result<Done, Ec2Error> {
    let account = account_named(&cloud, &caller, request.account.as_deref()).await?;
    let group = group_named(&cloud, &caller, &account.id, &request.group_name).await?;
    done(cloud.store.delete_group(account.id, group.name).await?.unwrap_or(Ok(())))
}

/// The groups of an account.
///
/// # Errors
/// `NoSuchEntity`, `UnauthorizedOperation` (account).
pub async fn describe_groups(
    cloud: Arc<Cloud>,
    _: Context,
    caller: Caller,
    request: DescribeGroups,
) -> Result<Listing<GroupRow>, Ec2Error> {
    let account = account_named(&cloud, &caller, request.account.as_deref()).await?;
    let row = |(group, users): (UserGroup, Vec<String>)| GroupRow { group_name: group.name, role: group.role, users };
    Ok(Listing(cloud.store.groups(account.id).await?.into_iter().map(row).collect()))
}

/// Puts a user into a group.
///
/// # Errors
/// `NoSuchEntity`, `UnauthorizedOperation`.
pub async fn add_user_to_group(
    cloud: Arc<Cloud>,
    _: Context,
    caller: Caller,
    request: AddUserToGroup,
) -> Result<Done, Ec2Error> {
    let (member, group) = both(&cloud, &caller, &request.0).await?;
    cloud.store.join_group(member.user.account, group.name, member.user.id).await?;
    Ok(Done)
}

/// Takes a user out of a group.
///
/// # Errors
/// `NoSuchEntity`, `UnauthorizedOperation`; `OperationNotPermitted` if it is the last administrator.
pub async fn remove_user_from_group(
    cloud: Arc<Cloud>,
    _: Context,
    caller: Caller,
    request: RemoveUserFromGroup,
) -> Result<Done, Ec2Error> {
    let (member, group) = both(&cloud, &caller, &request.0).await?;
    done(cloud.store.leave_group(member.user.account, group.name, member.user.id).await?)
}

async fn both(cloud: &Cloud, caller: &Caller, of: &Membership) -> Result<(Member, UserGroup), Ec2Error> {
    let member = user_named(cloud, caller, of.account.as_deref(), &of.user_name).await?;
    let group = group_named(cloud, caller, &member.user.account, &of.group_name).await?;
    Ok((member, group))
}

/// The group, whose role is not above the caller's.
async fn group_named(cloud: &Cloud, caller: &Caller, account: &str, name: &str) -> Result<UserGroup, Ec2Error> {
    let found = cloud.store.group(account.to_string(), name.to_string()).await?;
    let group = found.ok_or_else(|| no_group(name))?;
    not_above(caller, group.role)?;
    Ok(group)
}

/// Nobody gives, or takes, more than they have.
fn not_above(caller: &Caller, role: Role) -> Result<(), Ec2Error> {
    if caller.may(role) {
        return Ok(());
    }
    let text = format!("The role {role} is above your own; ask an administrator of the cloud");
    Err(Ec2Error::new(Code::UnauthorizedOperation, text))
}

fn done(outcome: Result<(), String>) -> Result<Done, Ec2Error> {
    outcome.map(|()| Done).map_err(|problem| Ec2Error::new(Code::OperationNotPermitted, problem))
}

fn no_group(name: &str) -> Ec2Error {
    let shown: String = name.chars().take(60).collect();
    Ec2Error::new(Code::NoSuchEntity, format!("There is no group {shown}; describe-groups lists them"))
}
