//! Accounts: make, remove, show. And who may do something with an account's users: the rule that
//! `users` and `credentials` go by.

use std::sync::Arc;

use ironbark_wsdl::Context;

use crate::cloud::Cloud;
use crate::ec2::Done;
use crate::ec2::admin::{AccountRow, CreateAccount, DeleteAccount, DescribeAccounts, Listing, NewAccount};
use crate::error::{Code, Ec2Error};
use crate::front::Caller;
use crate::ids;
use crate::role::Role;
use crate::store::{Account, Member, Registered, Store, StoreError, User, UserGroup};

/// The first user of an account.
pub const FIRST_USER: &str = "admin";
/// The group that it is in.
const FIRST_GROUP: &str = "administrators";
/// Ids are random: that five in a row are taken does not happen.
const ID_TRIES: usize = 5;

/// Makes an account with its first user.
///
/// # Errors
/// `EntityAlreadyExists`.
pub async fn create_account(
    cloud: Arc<Cloud>,
    _: Context,
    _: Caller,
    request: CreateAccount,
) -> Result<NewAccount, Ec2Error> {
    let name = request.account_name;
    match new_account(&cloud.store, &name, Role::AccountAdministrator, cloud.now()).await? {
        Some(account_id) => Ok(NewAccount { account_id, account_name: name, user_name: FIRST_USER.to_string() }),
        None => Err(Ec2Error::new(Code::EntityAlreadyExists, format!("There is an account {name} already"))),
    }
}

/// Makes an account whose first user has that role, and gives its id. `None` if there is one of that
/// name.
///
/// # Errors
/// [`StoreError`] if it cannot be written.
pub async fn new_account(store: &Store, name: &str, role: Role, created: i64) -> Result<Option<String>, StoreError> {
    for _ in 0..ID_TRIES {
        let account = ids::account_id();
        let user = User { id: ids::user_id(), account: account.clone(), name: FIRST_USER.to_string(), created };
        let group = UserGroup { account: account.clone(), name: FIRST_GROUP.to_string(), role, created };
        let made = Account { id: account.clone(), name: name.to_string(), created };
        match store.create_account(made, user, group).await? {
            Registered::Made => return Ok(Some(account)),
            Registered::NameTaken => return Ok(None),
            Registered::IdTaken => {}
        }
    }
    Err(StoreError::Corrupt("every account id that was made is taken".to_string()))
}

/// Removes an account and its users.
///
/// # Errors
/// `NoSuchEntity`; `OperationNotPermitted` while it owns something, or has the last administrator.
pub async fn delete_account(
    cloud: Arc<Cloud>,
    _: Context,
    caller: Caller,
    request: DeleteAccount,
) -> Result<Done, Ec2Error> {
    let account = account_named(&cloud, &caller, Some(&request.account)).await?;
    match cloud.store.delete_account(account.id).await? {
        None => Err(no_account(&request.account)),
        Some(Err(problem)) => Err(Ec2Error::new(Code::OperationNotPermitted, problem)),
        Some(Ok(())) => Ok(Done),
    }
}

/// The accounts.
///
/// # Errors
/// Only if the records cannot be read.
pub async fn describe_accounts(
    cloud: Arc<Cloud>,
    _: Context,
    _: Caller,
    _: DescribeAccounts,
) -> Result<Listing<AccountRow>, Ec2Error> {
    let row = |account: Account| AccountRow { account_id: account.id, account_name: account.name };
    Ok(Listing(cloud.store.accounts().await?.into_iter().map(row).collect()))
}

/// The account that a request is about: the caller's own, or, for administrators of the cloud, the
/// one that it names.
///
/// # Errors
/// `NoSuchEntity`, `UnauthorizedOperation`.
pub(super) async fn account_named(cloud: &Cloud, caller: &Caller, named: Option<&str>) -> Result<Account, Ec2Error> {
    let own = |name: &str| name == caller.account || name == caller.account_name;
    let name = named.unwrap_or(&caller.account);
    if !own(name) && !caller.is_administrator() {
        let text = "Other accounts are for administrators of the cloud; leave AccountName out to manage your own";
        return Err(Ec2Error::new(Code::UnauthorizedOperation, text));
    }
    cloud.store.account(name.to_string()).await?.ok_or_else(|| no_account(name))
}

/// The user of that name, whom the caller may manage.
///
/// # Errors
/// `NoSuchEntity`, `UnauthorizedOperation`.
pub(super) async fn user_named(
    cloud: &Cloud,
    caller: &Caller,
    account: Option<&str>,
    user: &str,
) -> Result<Member, Ec2Error> {
    let account = account_named(cloud, caller, account).await?;
    let found = cloud.store.user(account.id, user.to_string()).await?;
    let missing = || {
        let text = format!("There is no user {user} in the account {}; describe-users lists them", account.name);
        Ec2Error::new(Code::NoSuchEntity, text)
    };
    let member = found.ok_or_else(missing)?;
    if manages(caller, &member) {
        return Ok(member);
    }
    let text = format!("Only an administrator whose role is not below that of {user} may do this");
    Err(Ec2Error::new(Code::UnauthorizedOperation, text))
}

/// True if the caller may manage that user and its credentials: it is the caller, or one of the
/// caller's account whose role is not above the caller's. Whoever makes a key for somebody can be
/// that somebody.
pub(super) fn manages(caller: &Caller, member: &Member) -> bool {
    let own_account = caller.account == member.user.account && caller.may(Role::AccountAdministrator);
    caller.is_administrator() || caller.user_id == member.user.id || (own_account && member.role <= caller.role)
}

fn no_account(name: &str) -> Ec2Error {
    Ec2Error::new(Code::NoSuchEntity, format!("There is no account {name}; describe-accounts lists them"))
}
