//! Accounts: what owns resources. Made by administrators of the cloud.

use super::{Listing, Row, name};
use crate::ec2::Done;
use crate::error::Ec2Error;
use crate::front::{Access, Action, Params, Reply, Writer};

/// Makes an account, with a first user `admin` who administers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateAccount {
    pub account_name: String,
}

impl Action for CreateAccount {
    const NAME: &'static str = "CreateAccount";
    const ACCESS: Access = Access::Administrator;
    const SOAP: bool = false;
    type Response = NewAccount;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        let account_name = name(params, "AccountName")?;
        // 12 digits are an id, and 2.0.1's tiers know the cloud itself by that name.
        let is_id = account_name.len() == 12 && account_name.bytes().all(|byte| byte.is_ascii_digit());
        if is_id || account_name == ironbark_wsdl::context::SYSTEM_USER {
            let problem = "It must not look like an account's id, nor be the cloud's own.";
            return Err(params.invalid("AccountName", &account_name, problem));
        }
        Ok(Self { account_name })
    }
}

/// An account that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAccount {
    pub account_id: String,
    pub account_name: String,
    /// Its first user.
    pub user_name: String,
}

impl Reply for NewAccount {
    fn write(&self, w: &mut Writer) {
        w.element("account", |w| {
            w.text("accountId", &self.account_id);
            w.text("accountName", &self.account_name);
            w.text("userName", &self.user_name);
        });
    }
}

/// Removes an account that owns nothing any more, with its users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteAccount {
    /// Its name or id.
    pub account: String,
}

impl Action for DeleteAccount {
    const NAME: &'static str = "DeleteAccount";
    const ACCESS: Access = Access::Administrator;
    const SOAP: bool = false;
    type Response = Done;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Ok(Self { account: name(params, "AccountName")? })
    }
}

/// Which accounts there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DescribeAccounts;

impl Action for DescribeAccounts {
    const NAME: &'static str = "DescribeAccounts";
    const ACCESS: Access = Access::Administrator;
    const SOAP: bool = false;
    type Response = Listing<AccountRow>;

    fn parse(_: &Params) -> Result<Self, Ec2Error> {
        Ok(Self)
    }
}

/// One account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRow {
    pub account_id: String,
    pub account_name: String,
}

impl Row for AccountRow {
    const SET: &'static str = "accountSet";

    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![("accountId", self.account_id.clone()), ("accountName", self.account_name.clone())]
    }
}
