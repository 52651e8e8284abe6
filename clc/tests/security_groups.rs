//! Security groups over the records: who has which, what is in them, and when they may go.

mod support;

use ironbark_clc::actions::{instances, run, security_groups};
use ironbark_clc::ec2::instances::TerminateInstances;
use ironbark_clc::ec2::security_groups::{
    CreateSecurityGroup, DeleteSecurityGroup, DescribeSecurityGroups, GroupRef, SecurityGroup,
};
use ironbark_clc::ec2::security_rules::{Authorize, IpPermission, Peer, PeerRef, Revoke, Rule, Traffic};
use ironbark_clc::error::{Code, Ec2Error};

use support::{ADMIN, EVE, Lab, caller};

fn name(name: &str) -> GroupRef {
    GroupRef::Name(name.into())
}

async fn create(lab: &Lab, account: &str, name: &str) -> Result<String, Code> {
    let request = CreateSecurityGroup { name: name.into(), description: "d".into(), tags: Vec::new() };
    let made = security_groups::create_security_group(lab.cloud.clone(), lab.ctx(), caller(account), request).await;
    made.map(|made| made.group_id).map_err(|error| error.code)
}

async fn delete(lab: &Lab, group: &str) -> Result<(), Ec2Error> {
    let request = DeleteSecurityGroup { group: name(group) };
    security_groups::delete_security_group(lab.cloud.clone(), lab.ctx(), caller("admin"), request).await.map(drop)
}

async fn groups(lab: &Lab, account: &str) -> Vec<SecurityGroup> {
    let all = DescribeSecurityGroups::default();
    security_groups::describe_security_groups(lab.cloud.clone(), lab.ctx(), caller(account), all).await.unwrap().groups
}

/// TCP at one port, from or to `peer`.
fn tcp(port: i32, peer: PeerRef) -> IpPermission {
    IpPermission { traffic: Traffic { protocol: "tcp".into(), ports: Some((port, port)) }, peer, description: None }
}

fn cidr(text: &str) -> PeerRef {
    PeerRef::Cidr(text.into())
}

fn peer(group: &str, owner: Option<&str>) -> PeerRef {
    PeerRef::Group { group: name(group), owner: owner.map(str::to_string) }
}

async fn authorize(lab: &Lab, group: &str, permissions: Vec<IpPermission>) -> Result<Vec<Rule>, Code> {
    let request = Authorize::<false> { group: name(group), permissions, tags: Vec::new() };
    let added =
        security_groups::authorize_security_group_ingress(lab.cloud.clone(), lab.ctx(), caller("admin"), request);
    added.await.map(|added| added.rules).map_err(|error| error.code)
}

async fn revoke(lab: &Lab, group: &str, permissions: Vec<IpPermission>, rule_ids: Vec<String>) -> Result<usize, Code> {
    let request = Revoke::<false> { group: name(group), permissions, rule_ids };
    let gone = security_groups::revoke_security_group_ingress(lab.cloud.clone(), lab.ctx(), caller("admin"), request);
    gone.await.map(|gone| gone.rules.len()).map_err(|error| error.code)
}

/// The ingress rules of the administrator's group.
async fn ingress(lab: &Lab, group: &str) -> Vec<Rule> {
    let found = groups(lab, "admin").await.into_iter().find(|found| found.name == group).unwrap();
    found.rules.into_iter().filter(|rule| !rule.egress).collect()
}

#[tokio::test]
async fn every_account_has_a_default_group_of_its_own() {
    let lab = Lab::new().await;
    let (admins, eves) = (groups(&lab, "admin").await, groups(&lab, "eve").await);
    assert_eq!((admins.len(), eves.len()), (1, 1));
    assert_eq!((admins[0].name.as_str(), admins[0].owner_id.as_str()), ("default", ADMIN));
    assert_ne!(admins[0].group_id, eves[0].group_id);
    let ids = lab.running(1).await;
    let found = lab.cloud.store.reservations(ADMIN.to_string().into(), 0, Vec::new()).await.unwrap();
    assert_eq!(found[0].0.groups[0].id, admins[0].group_id, "{ids:?}");
    assert_eq!(delete(&lab, "default").await.unwrap_err().code, Code::CannotDelete);
    assert_eq!(create(&lab, "admin", "default").await, Err(Code::InvalidGroupDuplicate));
}

#[tokio::test]
async fn a_group_stays_while_an_instance_is_in_it() {
    let lab = Lab::new().await;
    let id = create(&lab, "admin", "web").await.unwrap();
    assert_eq!(create(&lab, "admin", "web").await, Err(Code::InvalidGroupDuplicate));
    assert!(create(&lab, "eve", "web").await.is_ok(), "a name is one account's");
    let mut request = Lab::run(1);
    request.security_groups = vec![name("default"), GroupRef::Id(id.clone()), name("web")];
    let made = run::run_instances(lab.cloud.clone(), lab.ctx(), caller("admin"), request).await.unwrap().0;
    let shown: Vec<&str> = made.groups.iter().map(|group| group.name.as_str()).collect();
    assert_eq!(shown, ["default", "web"]);
    lab.pass().await;
    let ids: Vec<String> = made.instances.into_iter().map(|instance| instance.instance_id).collect();
    let refused = delete(&lab, "web").await.unwrap_err();
    assert_eq!(refused.code, Code::DependencyViolation);
    assert!(refused.message.contains(&ids[0]), "{refused}");

    let end = TerminateInstances { instance_ids: ids };
    instances::terminate_instances(lab.cloud.clone(), lab.ctx(), caller("admin"), end).await.unwrap();
    lab.pass().await;
    lab.advance(1);
    lab.poll().await;
    delete(&lab, "web").await.unwrap();
    assert_eq!(delete(&lab, "web").await.unwrap_err().code, Code::InvalidGroupNotFound);
    let found = lab.cloud.store.reservations(ADMIN.to_string().into(), 0, Vec::new()).await.unwrap();
    assert_eq!(found[0].0.groups.len(), 1, "what ended is shown without the group that is gone");
}

#[tokio::test]
async fn rules_are_added_all_or_none() {
    let lab = Lab::new().await;
    create(&lab, "admin", "web").await.unwrap();
    authorize(&lab, "web", vec![tcp(22, cidr("10.0.0.0/8")), tcp(80, cidr("0.0.0.0/0"))]).await.unwrap();
    let more = |last: IpPermission| vec![tcp(443, cidr("0.0.0.0/0")), last];
    assert_eq!(authorize(&lab, "web", more(tcp(22, cidr("10.0.0.0/8")))).await, Err(Code::InvalidPermissionDuplicate));
    assert_eq!(authorize(&lab, "web", more(tcp(22, peer("none", None)))).await, Err(Code::InvalidGroupNotFound));
    assert_eq!(authorize(&lab, "none", more(tcp(1, cidr("::/0")))).await, Err(Code::InvalidGroupNotFound));
    let many = (1000..1099).map(|port| tcp(port, cidr("0.0.0.0/0"))).collect();
    assert_eq!(authorize(&lab, "web", many).await, Err(Code::RulesPerSecurityGroupLimitExceeded));
    assert_eq!(ingress(&lab, "web").await.len(), 2);

    let unknown = revoke(&lab, "web", vec![tcp(22, cidr("10.0.0.0/8")), tcp(23, cidr("10.0.0.0/8"))], vec![]);
    assert_eq!(unknown.await, Err(Code::InvalidPermissionNotFound));
    assert_eq!(revoke(&lab, "web", vec![], vec!["sgr-0badbeef".into()]).await, Err(Code::InvalidPermissionNotFound));
    let rules = ingress(&lab, "web").await;
    assert_eq!(rules.len(), 2);
    let gone = revoke(
        &lab,
        "web",
        vec![tcp(22, cidr("10.0.0.0/8"))],
        vec![rules[0].rule_id.clone(), rules[1].rule_id.clone()],
    );
    assert_eq!(gone.await, Ok(2), "one rule told in two ways is one rule");
    assert_eq!(ingress(&lab, "web").await, []);
}

#[tokio::test]
async fn a_group_stays_while_another_groups_rule_names_it() {
    let lab = Lab::new().await;
    let web = create(&lab, "admin", "web").await.unwrap();
    let db = create(&lab, "admin", "db").await.unwrap();
    authorize(&lab, "db", vec![tcp(5432, peer("web", None)), tcp(5432, peer("db", None))]).await.unwrap();
    let by_id = PeerRef::Group { group: GroupRef::Id(web), owner: Some(ADMIN.into()) };
    assert_eq!(authorize(&lab, "db", vec![tcp(5432, by_id)]).await, Err(Code::InvalidPermissionDuplicate));
    let refused = delete(&lab, "web").await.unwrap_err();
    assert!(refused.code == Code::DependencyViolation && refused.message.contains(&db), "{refused}");
    delete(&lab, "db").await.unwrap();
    delete(&lab, "web").await.unwrap();
}

#[tokio::test]
async fn another_accounts_group_may_be_let_in_and_may_go_with_its_account() {
    let lab = Lab::new().await;
    create(&lab, "admin", "web").await.unwrap();
    create(&lab, "eve", "eves").await.unwrap();
    assert_eq!(authorize(&lab, "web", vec![tcp(22, peer("eves", None))]).await, Err(Code::InvalidGroupNotFound));
    let rules = authorize(&lab, "web", vec![tcp(22, peer("eves", Some(EVE)))]).await.unwrap();
    assert!(matches!(&rules[0].peer, Peer::Group { owner, .. } if owner == EVE), "{rules:?}");
    assert_eq!(groups(&lab, "eve").await.len(), 2, "and eve does not see the administrator's");
    lab.cloud.store.delete_account(EVE.into()).await.unwrap().unwrap().unwrap();
    assert_eq!(ingress(&lab, "web").await, []);
}
