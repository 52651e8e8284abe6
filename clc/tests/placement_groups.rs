//! Placement groups: whose they are, when they can go, and that a launch in one reaches its cluster as such.

mod support;

use std::collections::BTreeMap;

use ironbark_clc::actions::instances::terminate_instances;
use ironbark_clc::actions::placement_groups::{
    create_placement_group, delete_placement_group, describe_placement_groups,
};
use ironbark_clc::ec2::instances::TerminateInstances;
use ironbark_clc::ec2::placement_groups::{
    CreatePlacementGroup, DeletePlacementGroup, DescribePlacementGroups, Strategy,
};
use ironbark_clc::ec2::run::RunInstances;
use ironbark_clc::error::{Code, Ec2Error};
use ironbark_wsdl::ironbark::PlanInstancesResponse;
use support::{Lab, ZONE, caller};

async fn create(lab: &Lab, account: &str, name: &str, strategy: Strategy) -> Result<String, Ec2Error> {
    let request = CreatePlacementGroup { group_name: name.into(), strategy, tags: Vec::new() };
    let made = create_placement_group(lab.cloud.clone(), lab.ctx(), caller(account), request).await?;
    Ok(made.0.group_id)
}

async fn delete(lab: &Lab, account: &str, name: &str) -> Result<(), Ec2Error> {
    let request = DeletePlacementGroup { group_name: name.into() };
    delete_placement_group(lab.cloud.clone(), lab.ctx(), caller(account), request).await.map(drop)
}

async fn names(lab: &Lab, account: &str, request: DescribePlacementGroups) -> Result<Vec<String>, Ec2Error> {
    let answer = describe_placement_groups(lab.cloud.clone(), lab.ctx(), caller(account), request).await?;
    Ok(answer.0.into_iter().map(|group| group.group_name).collect())
}

fn run_in(group: &str) -> RunInstances {
    RunInstances { placement_group: Some(group.into()), ..Lab::run(2) }
}

/// A cluster that knows groups and has room.
async fn lab() -> Lab {
    let lab = Lab::new().await;
    *lab.cc.groups.lock().unwrap() = Some(BTreeMap::new());
    *lab.cc.plan.lock().unwrap() = Some(PlanInstancesResponse { possible: 2, ..Default::default() });
    lab.poll().await;
    lab
}

#[tokio::test]
async fn a_launch_in_a_group_says_so_to_its_cluster_before_it_is_sent() {
    let lab = lab().await;
    let id = create(&lab, "admin", "web", Strategy::Spread).await.unwrap();
    let ids = lab.run_instances(run_in("web")).await.unwrap();
    lab.pass().await;
    let joined = lab.cc.groups.lock().unwrap().clone().unwrap();
    assert_eq!(joined, ids.iter().map(|id| (id.clone(), "spread".to_string())).collect());
    let tried = lab.wire.tried.lock().unwrap().clone();
    let place = |operation| tried.iter().position(|tried| *tried == operation).unwrap();
    assert!(place("JoinPlacementGroup") < place("RunInstances"));
    assert_eq!(lab.describe(&ids[0]).await.unwrap().placement_group.as_deref(), Some("web"));
    // By its id as well; and it stays as long as somebody is in it.
    let more = lab.run_instances(run_in(&id)).await.unwrap();
    assert_eq!(delete(&lab, "admin", "web").await.unwrap_err().code, Code::InvalidPlacementGroupInUse);
    let request = TerminateInstances { instance_ids: [ids, more].concat() };
    terminate_instances(lab.cloud.clone(), lab.ctx(), caller("admin"), request).await.unwrap();
    lab.pass().await;
    // A poll that was asked after the terminations were accepted.
    lab.advance(1);
    lab.poll().await;
    delete(&lab, "admin", "web").await.unwrap();
    assert_eq!(delete(&lab, "admin", "web").await.unwrap_err().code, Code::InvalidPlacementGroupUnknown);
}

#[tokio::test]
async fn groups_are_an_accounts_own() {
    let lab = lab().await;
    create(&lab, "admin", "web", Strategy::Cluster).await.unwrap();
    let twice = create(&lab, "admin", "web", Strategy::Spread).await.unwrap_err();
    assert_eq!(twice.code, Code::InvalidPlacementGroupDuplicate);
    assert!(names(&lab, "eve", DescribePlacementGroups::default()).await.unwrap().is_empty());
    assert_eq!(names(&lab, "admin", DescribePlacementGroups::default()).await.unwrap(), ["web"]);
    let named = DescribePlacementGroups { group_names: vec!["web".into()], ..Default::default() };
    assert_eq!(names(&lab, "eve", named).await.unwrap_err().code, Code::InvalidPlacementGroupUnknown);
    assert_eq!(delete(&lab, "eve", "web").await.unwrap_err().code, Code::InvalidPlacementGroupUnknown);
    let unknown = lab.run_instances(run_in("db")).await.unwrap_err();
    assert_eq!(unknown.code, Code::InvalidPlacementGroupUnknown);
}

#[tokio::test]
async fn a_zone_that_knows_no_groups_gets_no_launch_in_one() {
    let lab = Lab::new().await;
    create(&lab, "admin", "web", Strategy::Cluster).await.unwrap();
    let error = lab.run_instances(run_in("web")).await.unwrap_err();
    assert_eq!(error.code, Code::InsufficientInstanceCapacity);
    assert!(error.message.contains(&format!("zone {ZONE}: has a cluster that knows no placement groups")), "{error}");
}

#[tokio::test]
async fn what_a_group_leaves_room_for_is_asked_before_a_launch_is_accepted() {
    let lab = lab().await;
    create(&lab, "admin", "web", Strategy::Spread).await.unwrap();
    let short = Some("1 node has an instance of its placement group".to_string());
    *lab.cc.plan.lock().unwrap() = Some(PlanInstancesResponse { possible: 0, short, ..Default::default() });
    let error = lab.run_instances(run_in("web")).await.unwrap_err();
    assert!(error.message.contains("1 node has an instance of its placement group"), "{error}");
}
