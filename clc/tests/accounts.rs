//! Accounts, users, groups and keys: who may do what with whom, and that nobody becomes more than
//! they were given.

mod support;

use ironbark_clc::actions::{accounts, credentials, users};
use ironbark_clc::ec2::admin::{
    AddUserToGroup, CreateAccessKey, CreateAccount, CreateGroup, CreateUser, DeleteAccessKey, DeleteAccount,
    DeleteGroup, DeleteUser, DescribeAccessKeys, DescribeUsers, Membership, RemoveUserFromGroup, UpdateAccessKey,
    Whose,
};
use ironbark_clc::error::{Code, Ec2Error};
use ironbark_clc::front::{Caller, Directory};
use ironbark_clc::role::Role;

use support::{Lab, caller};

async fn create_user(lab: &Lab, by: &Caller, name: &str, groups: &[&str]) -> Result<(), Ec2Error> {
    let groups = groups.iter().map(ToString::to_string).collect();
    let request = CreateUser { account: None, user_name: name.into(), groups };
    users::create_user(lab.cloud.clone(), lab.ctx(), by.clone(), request).await.map(drop)
}

async fn create_group(lab: &Lab, by: &Caller, name: &str, role: Role) -> Result<(), Ec2Error> {
    let request = CreateGroup { account: None, group_name: name.into(), role };
    users::create_group(lab.cloud.clone(), lab.ctx(), by.clone(), request).await.map(drop)
}

async fn join(lab: &Lab, by: &Caller, account: Option<&str>, group: &str, user: &str) -> Result<(), Ec2Error> {
    let account = account.map(str::to_string);
    let membership = Membership { account, group_name: group.into(), user_name: user.into() };
    users::add_user_to_group(lab.cloud.clone(), lab.ctx(), by.clone(), AddUserToGroup(membership)).await.map(drop)
}

/// A key of that user of the caller's account; gives its id.
async fn create_key(lab: &Lab, by: &Caller, user: &str) -> Result<String, Ec2Error> {
    let whose = Whose { account: None, user_name: Some(user.into()) };
    let made = credentials::create_access_key(lab.cloud.clone(), lab.ctx(), by.clone(), CreateAccessKey(whose)).await?;
    Ok(made.access_key_id)
}

/// Whom the door takes the holder of that key for.
async fn signer(lab: &Lab, key: &str) -> Option<Caller> {
    lab.cloud.access_key(key).await.unwrap().map(|found| found.caller)
}

fn code(result: Result<(), Ec2Error>) -> Code {
    result.unwrap_err().code
}

#[tokio::test]
async fn a_user_has_the_highest_role_of_its_groups_and_none_without() {
    let lab = Lab::new().await;
    let eve = caller("eve");
    create_user(&lab, &eve, "bob", &[]).await.unwrap();
    let key = create_key(&lab, &eve, "bob").await.unwrap();
    let role = async || signer(&lab, &key).await.unwrap().role;
    assert_eq!(role().await, None);
    create_group(&lab, &eve, "readers", Role::Reader).await.unwrap();
    create_group(&lab, &eve, "workers", Role::Operator).await.unwrap();
    join(&lab, &eve, None, "workers", "bob").await.unwrap();
    join(&lab, &eve, None, "readers", "bob").await.unwrap();
    assert_eq!(role().await, Some(Role::Operator));
    let bob = signer(&lab, &key).await.unwrap();
    assert_eq!((bob.account.as_str(), bob.account_name.as_str()), (support::EVE, "eve"));
    let request = DeleteGroup { account: None, group_name: "workers".into() };
    users::delete_group(lab.cloud.clone(), lab.ctx(), eve.clone(), request).await.unwrap();
    assert_eq!(role().await, Some(Role::Reader));
    assert_eq!(code(create_user(&lab, &eve, "bob", &[]).await), Code::EntityAlreadyExists);
    assert_eq!(code(create_user(&lab, &eve, "carl", &["nobodies"]).await), Code::NoSuchEntity);
    let request = DeleteUser { account: None, user_name: "bob".into() };
    users::delete_user(lab.cloud.clone(), lab.ctx(), eve, request).await.unwrap();
    assert!(signer(&lab, &key).await.is_none(), "a key goes with its user");
}

#[tokio::test]
async fn an_account_is_no_business_of_another() {
    let lab = Lab::new().await;
    let eve = caller("eve");
    let whose = Whose { account: Some("admin".into()), user_name: Some("admin".into()) };
    let made = credentials::create_access_key(lab.cloud.clone(), lab.ctx(), eve.clone(), CreateAccessKey(whose)).await;
    assert_eq!(made.unwrap_err().code, Code::UnauthorizedOperation);
    assert_eq!(
        code(join(&lab, &eve, Some(support::ADMIN), "administrators", "admin").await),
        Code::UnauthorizedOperation
    );
    let nobody = Whose { account: Some("eve".into()), user_name: None };
    let root = caller("admin");
    let made = credentials::create_access_key(lab.cloud.clone(), lab.ctx(), root, CreateAccessKey(nobody)).await;
    assert_eq!(made.unwrap_err().code, Code::MissingParameter, "another account, and nobody named there");
    let theirs = create_key(&lab, &caller("admin"), "admin").await.unwrap();
    for active in [true, false] {
        let request = UpdateAccessKey { access_key_id: theirs.clone(), active };
        let refused = credentials::update_access_key(lab.cloud.clone(), lab.ctx(), eve.clone(), request).await;
        assert_eq!(refused.unwrap_err().code, Code::NoSuchEntity, "it does not even show that it is there");
    }
    let request = DeleteAccessKey { access_key_id: theirs.clone() };
    assert!(credentials::delete_access_key(lab.cloud.clone(), lab.ctx(), eve.clone(), request).await.is_err());
    assert!(signer(&lab, &theirs).await.is_some());
    let seen = users::describe_users(lab.cloud.clone(), lab.ctx(), eve, DescribeUsers::default()).await.unwrap().0;
    assert_eq!(seen.iter().map(|row| row.account_name.as_str()).collect::<Vec<_>>(), ["eve"]);
    let all = users::describe_users(lab.cloud.clone(), lab.ctx(), caller("admin"), DescribeUsers::default()).await;
    assert_eq!(all.unwrap().0.len(), 2, "administrators of the cloud see all");
}

#[tokio::test]
async fn nobody_gives_more_than_they_have() {
    let lab = Lab::new().await;
    let eve = caller("eve");
    assert_eq!(code(create_group(&lab, &eve, "kings", Role::CloudAdministrator).await), Code::UnauthorizedOperation);
    // An administrator of an account who is beside one of the cloud.
    let root = caller("admin");
    create_group(&lab, &root, "clerks", Role::AccountAdministrator).await.unwrap();
    create_user(&lab, &root, "clerk", &["clerks"]).await.unwrap();
    let key = create_key(&lab, &root, "clerk").await.unwrap();
    let clerk = signer(&lab, &key).await.unwrap();
    assert_eq!(code(join(&lab, &clerk, None, "administrators", "clerk").await), Code::UnauthorizedOperation);
    assert_eq!(create_key(&lab, &clerk, "admin").await.unwrap_err().code, Code::UnauthorizedOperation);
    let request = DeleteUser { account: None, user_name: "admin".into() };
    let refused = users::delete_user(lab.cloud.clone(), lab.ctx(), clerk.clone(), request).await;
    assert_eq!(refused.unwrap_err().code, Code::UnauthorizedOperation);
    assert_eq!(code(create_user(&lab, &clerk, "prince", &["administrators"]).await), Code::UnauthorizedOperation);
    create_user(&lab, &clerk, "page", &["clerks"]).await.unwrap();
}

#[tokio::test]
async fn keys_are_rotated_without_an_administrator() {
    let lab = Lab::new().await;
    create_user(&lab, &caller("eve"), "bob", &[]).await.unwrap();
    let first = create_key(&lab, &caller("eve"), "bob").await.unwrap();
    let bob = signer(&lab, &first).await.unwrap();
    let own = CreateAccessKey(Whose::default());
    let second = credentials::create_access_key(lab.cloud.clone(), lab.ctx(), bob.clone(), own).await.unwrap();
    let request = UpdateAccessKey { access_key_id: first.clone(), active: false };
    credentials::update_access_key(lab.cloud.clone(), lab.ctx(), bob.clone(), request).await.unwrap();
    assert!(signer(&lab, &first).await.is_none(), "what is inactive signs nothing");
    assert_eq!(signer(&lab, &second.access_key_id).await.unwrap().user, "bob");
    let ask = DescribeAccessKeys(Whose::default());
    let rows = credentials::describe_access_keys(lab.cloud.clone(), lab.ctx(), bob.clone(), ask).await.unwrap().0;
    assert_eq!(rows.iter().filter(|row| row.active).count(), 1);
    assert_eq!(rows.len(), 2);
    assert_eq!(create_key(&lab, &bob, "admin").await.unwrap_err().code, Code::UnauthorizedOperation, "only their own");
    let request = DeleteAccessKey { access_key_id: first.clone() };
    credentials::delete_access_key(lab.cloud.clone(), lab.ctx(), bob, request).await.unwrap();
    assert!(lab.cloud.store.access_key(first).await.unwrap().is_none());
}

#[tokio::test]
async fn the_cloud_is_never_left_without_an_administrator() {
    let lab = Lab::new().await;
    let root = caller("admin");
    let refused = |result: Result<(), Ec2Error>| {
        let error = result.unwrap_err();
        assert_eq!(error.code, Code::OperationNotPermitted);
        assert!(error.message.contains("without an administrator"), "{error}");
    };
    let request = DeleteUser { account: None, user_name: "admin".into() };
    refused(users::delete_user(lab.cloud.clone(), lab.ctx(), root.clone(), request.clone()).await.map(drop));
    let group = DeleteGroup { account: None, group_name: "administrators".into() };
    refused(users::delete_group(lab.cloud.clone(), lab.ctx(), root.clone(), group).await.map(drop));
    let membership = Membership { account: None, group_name: "administrators".into(), user_name: "admin".into() };
    let leave = RemoveUserFromGroup(membership);
    refused(users::remove_user_from_group(lab.cloud.clone(), lab.ctx(), root.clone(), leave).await.map(drop));
    lab.cloud.store.deregister_image(support::IMAGE.into()).await.unwrap();
    let account = DeleteAccount { account: "admin".into() };
    refused(accounts::delete_account(lab.cloud.clone(), lab.ctx(), root.clone(), account).await.map(drop));
    // With a second one, the first may go.
    create_user(&lab, &root, "deputy", &["administrators"]).await.unwrap();
    users::delete_user(lab.cloud.clone(), lab.ctx(), root, request).await.unwrap();
}

#[tokio::test]
async fn an_account_goes_when_it_owns_nothing() {
    let lab = Lab::new().await;
    let root = caller("admin");
    let create = CreateAccount { account_name: "dora".into() };
    let made = accounts::create_account(lab.cloud.clone(), lab.ctx(), root.clone(), create.clone()).await.unwrap();
    assert_eq!((made.account_id.len(), made.user_name.as_str()), (12, "admin"));
    let again = accounts::create_account(lab.cloud.clone(), lab.ctx(), root.clone(), create).await;
    assert_eq!(again.unwrap_err().code, Code::EntityAlreadyExists);
    lab.running(1).await;
    let delete = async |account: &str| {
        let request = DeleteAccount { account: account.into() };
        accounts::delete_account(lab.cloud.clone(), lab.ctx(), root.clone(), request).await
    };
    assert!(delete("admin").await.unwrap_err().message.contains("1 instances, 1 images and 0 addresses"));
    delete(&made.account_id).await.unwrap();
    assert_eq!(delete("dora").await.unwrap_err().code, Code::NoSuchEntity);
}
