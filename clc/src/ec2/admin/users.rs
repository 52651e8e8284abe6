//! Users and their groups, for administrators of their account. Administrators of the cloud name
//! another account by `AccountName`, which may also be its id.

use super::{Listing, Row, given, name, optional_name};
use crate::ec2::Done;
use crate::error::Ec2Error;
use crate::front::{Access, Action, Params};
use crate::role::Role;

/// Makes a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateUser {
    pub account: Option<String>,
    pub user_name: String,
    /// The groups that it is in from the beginning.
    pub groups: Vec<String>,
}

impl Action for CreateUser {
    const NAME: &'static str = "CreateUser";
    const ACCESS: Access = Access::AccountAdministrator;
    const SOAP: bool = false;
    type Response = Done;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        let account = optional_name(params, "AccountName")?;
        Ok(Self { account, user_name: name(params, "UserName")?, groups: params.list("GroupName") })
    }
}

/// Removes a user and its credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteUser {
    pub account: Option<String>,
    pub user_name: String,
}

impl Action for DeleteUser {
    const NAME: &'static str = "DeleteUser";
    const ACCESS: Access = Access::AccountAdministrator;
    const SOAP: bool = false;
    type Response = Done;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Ok(Self { account: optional_name(params, "AccountName")?, user_name: name(params, "UserName")? })
    }
}

/// Which users an account has; for administrators of the cloud, which there are at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DescribeUsers {
    pub account: Option<String>,
}

impl Action for DescribeUsers {
    const NAME: &'static str = "DescribeUsers";
    const ACCESS: Access = Access::AccountAdministrator;
    const SOAP: bool = false;
    type Response = Listing<UserRow>;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Ok(Self { account: optional_name(params, "AccountName")? })
    }
}

/// One user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRow {
    pub account_id: String,
    pub account_name: String,
    pub user_name: String,
    pub user_id: String,
    /// The highest role of its groups.
    pub role: Option<Role>,
    pub groups: Vec<String>,
    /// The ids of its access keys; never a secret.
    pub access_key_ids: Vec<String>,
    /// The fingerprints of its certificates.
    pub certificates: Vec<String>,
}

impl Row for UserRow {
    const SET: &'static str = "userSet";

    fn fields(&self) -> Vec<(&'static str, String)> {
        given(vec![
            ("accountId", Some(self.account_id.clone())),
            ("accountName", Some(self.account_name.clone())),
            ("userName", Some(self.user_name.clone())),
            ("userId", Some(self.user_id.clone())),
            ("role", self.role.map(|role| role.to_string())),
            ("groups", Some(self.groups.join(" "))),
            ("accessKeys", Some(self.access_key_ids.join(" "))),
            ("certificates", Some(self.certificates.join(" "))),
        ])
    }
}

/// Makes a group whose members have a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateGroup {
    pub account: Option<String>,
    pub group_name: String,
    pub role: Role,
}

impl Action for CreateGroup {
    const NAME: &'static str = "CreateGroup";
    const ACCESS: Access = Access::AccountAdministrator;
    const SOAP: bool = false;
    type Response = Done;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        let account = optional_name(params, "AccountName")?;
        let group_name = name(params, "GroupName")?;
        let text = params.required("Role")?;
        let names: Vec<&str> = Role::ALL.into_iter().map(Role::name).collect();
        let wrong = |_| params.invalid("Role", text, &format!("It must be one of {}.", names.join(", ")));
        Ok(Self { account, group_name, role: text.parse().map_err(wrong)? })
    }
}

/// Removes a group; its members lose its role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteGroup {
    pub account: Option<String>,
    pub group_name: String,
}

impl Action for DeleteGroup {
    const NAME: &'static str = "DeleteGroup";
    const ACCESS: Access = Access::AccountAdministrator;
    const SOAP: bool = false;
    type Response = Done;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Ok(Self { account: optional_name(params, "AccountName")?, group_name: name(params, "GroupName")? })
    }
}

/// Which groups an account has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DescribeGroups {
    pub account: Option<String>,
}

impl Action for DescribeGroups {
    const NAME: &'static str = "DescribeGroups";
    const ACCESS: Access = Access::AccountAdministrator;
    const SOAP: bool = false;
    type Response = Listing<GroupRow>;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Ok(Self { account: optional_name(params, "AccountName")? })
    }
}

/// One group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRow {
    pub group_name: String,
    pub role: Role,
    /// The names of its users.
    pub users: Vec<String>,
}

impl Row for GroupRow {
    const SET: &'static str = "groupSet";

    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![("groupName", self.group_name.clone()), ("role", self.role.to_string()), ("users", self.users.join(" "))]
    }
}

/// A user and a group of the same account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    pub account: Option<String>,
    pub group_name: String,
    pub user_name: String,
}

impl Membership {
    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        let account = optional_name(params, "AccountName")?;
        Ok(Self { account, group_name: name(params, "GroupName")?, user_name: name(params, "UserName")? })
    }
}

/// Puts a user into a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddUserToGroup(pub Membership);

impl Action for AddUserToGroup {
    const NAME: &'static str = "AddUserToGroup";
    const ACCESS: Access = Access::AccountAdministrator;
    const SOAP: bool = false;
    type Response = Done;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Ok(Self(Membership::parse(params)?))
    }
}

/// Takes a user out of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoveUserFromGroup(pub Membership);

impl Action for RemoveUserFromGroup {
    const NAME: &'static str = "RemoveUserFromGroup";
    const ACCESS: Access = Access::AccountAdministrator;
    const SOAP: bool = false;
    type Response = Done;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Ok(Self(Membership::parse(params)?))
    }
}
