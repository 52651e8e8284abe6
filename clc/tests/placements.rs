//! The choice of zones: never refused by what was true a moment ago, refused in words, moved on when a zone
//! declines, and told to those who may know.

mod support;

use ironbark_clc::actions::instances::terminate_instances;
use ironbark_clc::actions::placements::{describe_placement_plan, describe_placements};
use ironbark_clc::actions::run::run_instances;
use ironbark_clc::ec2::admin::{DescribePlacementPlan, DescribePlacements, Placements};
use ironbark_clc::ec2::instances::{InstanceState, TerminateInstances};
use ironbark_clc::ec2::run::RunInstances;
use ironbark_clc::error::{Code, Ec2Error};
use ironbark_clc::refresh;
use ironbark_clc::store::{Cluster, Move, Quantity, Scope, Setting, ZoneChoice};
use ironbark_wsdl::RequestId;
use ironbark_wsdl::ironbark::{
    DescribePlacementsResponse, Placement, PlacementCount, PlacementNode, PlanInstancesResponse,
};
use support::{Cc, IMAGE, Lab, Trouble, Wire, ZONE, caller, open_zones};

use std::collections::BTreeMap;
use std::sync::Arc;

const OTHER: &str = "cluster2";

fn plan(possible: i32, silent: bool) -> Option<PlanInstancesResponse> {
    let short = Some("1 node has too little memory".to_string());
    Some(PlanInstancesResponse { possible, silent, short, placements: vec![placement()], ..Default::default() })
}

fn placement() -> Placement {
    let count = PlacementCount { filter: "memory".into(), nodes: 1, words: "has too little memory".into() };
    let node = PlacementNode {
        name: "n1".into(),
        filter: Some("memory".into()),
        reason: Some("has only 64 MB of memory free; the instance needs 128".into()),
        ..Default::default()
    };
    Placement {
        outcome: "nowhere".into(),
        schedule: "GREEDY".into(),
        node_count: 1,
        counts: vec![count],
        nodes: vec![node],
        ..Default::default()
    }
}

fn story(taken: bool) -> Option<DescribePlacementsResponse> {
    Some(DescribePlacementsResponse { taken, placements: vec![placement()], ..Default::default() })
}

/// Runs instances in the name of `account`; the request's id and how it was answered.
async fn run(lab: &Lab, account: &str, request: RunInstances) -> (RequestId, Result<Vec<String>, Ec2Error>) {
    let ctx = lab.ctx();
    let id = ctx.request.clone();
    let answer = run_instances(lab.cloud.clone(), ctx, caller(account), request).await;
    let ids = |answer: ironbark_clc::ec2::run::RunInstancesResponse| {
        answer.0.instances.into_iter().map(|instance| instance.instance_id).collect()
    };
    (id, answer.map(ids))
}

async fn told(lab: &Lab, account: &str, request_id: &RequestId) -> Result<Placements, Ec2Error> {
    let request = DescribePlacements { request_id: request_id.clone() };
    describe_placements(lab.cloud.clone(), lab.ctx(), caller(account), request).await
}

/// `1 cluster1 has room for 100: 1 node is down`, the chosen ones with what declined them.
fn zones(told: &Placements) -> Vec<String> {
    let line = |line: &ironbark_clc::ec2::admin::ZoneLine| {
        let mark = if line.chosen { "" } else { "not " };
        let declined = line.declined.as_ref().map(|said| format!(": {said}")).unwrap_or_default();
        format!("{} {mark}{} {}{declined}", line.attempt, line.zone, line.reason)
    };
    told.zones.iter().map(line).collect()
}

/// Two zones, of which the first has more room; the cluster of the second.
async fn two_zones() -> (Lab, Arc<Cc>) {
    let mut lab = Lab::new().await;
    let other = Cc::new(lab.clock.clone());
    *other.room.lock().unwrap() = 50;
    let cluster = Cluster {
        name: OTHER.into(),
        url: "http://other".into(),
        certificate: String::new(),
        profile: "strict".into(),
        created: 1,
    };
    lab.cloud.store.register_cluster(cluster).await.unwrap();
    let wires = [(ZONE, lab.wire.clone()), (OTHER, Wire::new(other.clone()))];
    lab.cloud = open_zones(lab.dir.path(), &wires, &lab.clock).await;
    *lab.cc.story.lock().unwrap() = story(false);
    for zone in [ZONE, OTHER] {
        refresh::poll(&lab.cloud, zone).await;
    }
    (lab, other)
}

#[tokio::test]
async fn a_zone_that_was_full_a_moment_ago_is_asked_anew_before_a_launch_is_refused() {
    let lab = Lab::new().await;
    *lab.cc.room.lock().unwrap() = 0;
    *lab.cc.plan.lock().unwrap() = plan(1, false);
    lab.poll().await;
    let (id, ids) = run(&lab, "admin", Lab::run(1)).await;
    assert_eq!(ids.unwrap().len(), 1);
    assert_eq!(zones(&told(&lab, "admin", &id).await.unwrap()), ["1 cluster1 has room for 1"]);
    // A node that does not answer now is its cluster's to wait for.
    *lab.cc.plan.lock().unwrap() = plan(0, true);
    assert!(run(&lab, "admin", Lab::run(1)).await.1.is_ok());
    // Nobody asks while the last word was that there is room.
    *lab.cc.room.lock().unwrap() = 5;
    lab.poll().await;
    let asked = lab.wire.count("PlanInstances");
    assert!(run(&lab, "admin", Lab::run(1)).await.1.is_ok());
    assert_eq!(lab.wire.count("PlanInstances"), asked);
}

#[tokio::test]
async fn a_refusal_says_why_in_words_and_is_explained_to_those_who_may_know() {
    let lab = Lab::new().await;
    *lab.cc.room.lock().unwrap() = 0;
    *lab.cc.plan.lock().unwrap() = plan(0, false);
    *lab.cc.story.lock().unwrap() = story(false);
    lab.poll().await;
    let (id, refused) = run(&lab, "eve", Lab::run(1)).await;
    let error = refused.unwrap_err();
    assert_eq!(error.code, Code::InsufficientInstanceCapacity);
    assert_eq!(
        error.message,
        format!(
            "No zone has room for an instance of type m1.small now (zone cluster1: 1 node has too little memory). Ask for \
             a smaller one, or try again later. `euca schedule explain req-{id}` tells more"
        )
    );
    let hers = told(&lab, "eve", &id).await.unwrap();
    assert_eq!(zones(&hers), ["1 not cluster1 1 node has too little memory"]);
    let decision = &hers.decisions[0];
    assert_eq!((decision.nodes.as_ref(), decision.reasons[0].words.as_str()), (None, "has too little memory"));
    let all = told(&lab, "admin", &id).await.unwrap();
    let node = &all.decisions[0].nodes.as_ref().unwrap()[0];
    assert_eq!(node.reason.as_deref(), Some("has only 64 MB of memory free; the instance needs 128"));

    let (of_admin, _) = run(&lab, "admin", Lab::run(1)).await;
    assert_eq!(told(&lab, "eve", &of_admin).await.unwrap_err().code, Code::NoSuchEntity, "it is another's");
    assert_eq!(told(&lab, "eve", &RequestId::random()).await.unwrap_err().code, Code::NoSuchEntity);
    lab.cloud.store.forget_zone_choices(i64::MAX).await.unwrap();
    assert_eq!(told(&lab, "eve", &id).await.unwrap_err().code, Code::NoSuchEntity);
}

#[tokio::test]
async fn a_launch_that_its_zone_declines_goes_to_the_next_one() {
    let (lab, other) = two_zones().await;
    lab.cc.refuse("RunInstances", "1 node is down");
    let (id, ids) = run(&lab, "admin", Lab::run(2)).await;
    let ids = ids.unwrap();
    lab.pass().await;
    assert!(other.ids().is_empty(), "it is declined by the first zone first");
    lab.pass().await;
    assert_eq!(other.ids().len(), 2);
    for zone in [ZONE, OTHER] {
        refresh::poll(&lab.cloud, zone).await;
    }
    assert_eq!(lab.states(&ids).await, [InstanceState::Pending; 2]);
    assert_eq!(
        zones(&told(&lab, "admin", &id).await.unwrap()),
        ["1 cluster1 has room for 100: 1 node is down", "1 not cluster2 has room for 50", "2 cluster2 has room for 50"]
    );
}

#[tokio::test]
async fn a_launch_stays_with_a_zone_that_was_named_or_may_have_taken_it() {
    type Spoil = fn(&Lab, &mut RunInstances);
    let cases: [(&str, Spoil); 3] = [
        ("named", |_, request| request.availability_zone = Some(ZONE.to_string())),
        ("taken", |lab, _| *lab.cc.story.lock().unwrap() = story(true)),
        ("silent", |lab, _| lab.wire.trouble("DescribePlacements", Trouble::NotSent)),
    ];
    for (case, spoil) in cases {
        let (lab, other) = two_zones().await;
        lab.cc.refuse("RunInstances", "1 node is down");
        let mut request = Lab::run(1);
        spoil(&lab, &mut request);
        let (id, ids) = run(&lab, "admin", request).await;
        let ids = ids.unwrap();
        lab.pass().await;
        lab.pass().await;
        assert!(other.ids().is_empty(), "{case}");
        let reason = lab.describe(&ids[0]).await.unwrap().state_reason.unwrap();
        assert_eq!(reason.code, "Server.InsufficientInstanceCapacity", "{case}");
        let expected = format!("zone cluster1: 1 node is down; `euca schedule explain req-{id}` tells more");
        assert!(reason.message.ends_with(&expected), "{case}: {reason:?}");
    }
    // No answer at all is no refusal.
    let (lab, other) = two_zones().await;
    lab.wire.trouble("RunInstances", Trouble::AnswerLost);
    let ids = run(&lab, "admin", Lab::run(1)).await.1.unwrap();
    lab.pass().await;
    lab.pass().await;
    assert!(other.ids().is_empty());
    assert_eq!(lab.cc.ids(), ids);
}

#[tokio::test]
async fn a_wish_that_changed_meanwhile_is_not_moved() {
    let (lab, other) = two_zones().await;
    let (id, ids) = run(&lab, "admin", Lab::run(2)).await;
    let ids = ids.unwrap();
    let before = lab.cloud.store.zone_choices(id.to_string()).await.unwrap();
    let instance = lab.cloud.store.instance(Scope::Everybody, ids[0].clone()).await.unwrap().unwrap();
    let request = TerminateInstances { instance_ids: vec![ids[0].clone()] };
    terminate_instances(lab.cloud.clone(), lab.ctx(), caller("admin"), request).await.unwrap();
    let next = Move {
        instances: ids.iter().map(|id| (id.clone(), instance.epoch)).collect(),
        reservation_id: instance.reservation_id,
        from: ZONE.into(),
        to: OTHER.into(),
        choice: ZoneChoice { attempt: 2, ..before[0].clone() },
    };
    assert!(!lab.cloud.store.move_launch(next, "1 node is down".into()).await.unwrap());
    assert_eq!(lab.cloud.store.zone_choices(id.to_string()).await.unwrap(), before, "all of it, or nothing");
    lab.pass().await;
    assert!(other.ids().is_empty());
}

#[tokio::test]
async fn a_plan_shows_every_zone_and_starts_nothing() {
    let (lab, other) = two_zones().await;
    *lab.cc.plan.lock().unwrap() = plan(2, false);
    *other.plan.lock().unwrap() = plan(9, false);
    for zone in [ZONE, OTHER] {
        refresh::poll(&lab.cloud, zone).await;
    }
    let ask = |account: &'static str, zone: Option<&str>| {
        let request = DescribePlacementPlan {
            instance_type: "m1.small".into(),
            count: 3,
            availability_zone: zone.map(str::to_string),
            image_id: Some(IMAGE.into()),
            placement_group: None,
        };
        describe_placement_plan(lab.cloud.clone(), lab.ctx(), caller(account), request)
    };
    let both = ask("eve", None).await.unwrap();
    let short = "1 not cluster1 has room for 2 of 3; for the next one, 1 node has too little memory";
    assert_eq!(zones(&both), [short, "1 cluster2 has room for 9"]);
    assert!(both.decisions.iter().all(|decision| decision.nodes.is_none()));
    assert_eq!(zones(&ask("admin", Some(ZONE)).await.unwrap()), [short]);
    let planned = lab.cc.planned.lock().unwrap().clone().unwrap();
    assert_eq!((planned.image_id.as_deref(), planned.architecture.as_deref()), (Some(IMAGE), Some("x86_64")));
    assert_eq!(ask("admin", Some("nowhere")).await.unwrap_err().code, Code::InvalidParameterValue);
    lab.pass().await;
    assert!(lab.cc.ids().is_empty() && other.ids().is_empty());
}

/// The operations that its cluster was asked for a launch, in order.
fn told_of_a_launch(lab: &Lab) -> Vec<&'static str> {
    let tried = lab.wire.tried.lock().unwrap();
    tried.iter().copied().filter(|name| ["RestrictPlacement", "RunInstances"].contains(name)).collect()
}

/// Types with tags in the configuration: here `c1.xlarge`, which asks for `ssd`.
#[tokio::test]
async fn a_type_that_asks_for_tags_goes_to_nodes_that_have_them() {
    let lab = Lab::new().await;
    let large = || RunInstances { instance_type: "c1.xlarge".into(), ..Lab::run(1) };
    *lab.cc.plan.lock().unwrap() = plan(1, false);
    lab.poll().await;
    let refused = lab.run_instances(large()).await.unwrap_err();
    assert!(refused.message.contains("zone cluster1: has a cluster that knows no tags of nodes"), "{refused}");

    *lab.cc.needs.lock().unwrap() = Some(BTreeMap::new());
    lab.poll().await;
    let ids = lab.run_instances(large()).await.unwrap();
    lab.pass().await;
    let needs = lab.cc.needs.lock().unwrap().clone().unwrap();
    assert_eq!(needs, BTreeMap::from([(ids[0].clone(), (Some("x86_64".into()), vec!["ssd".into()]))]));
    assert_eq!(told_of_a_launch(&lab), ["RestrictPlacement", "RunInstances"]);
    assert_eq!(lab.cc.planned.lock().unwrap().clone().unwrap().tags, ["ssd"], "its cluster's number says too little");
}

#[tokio::test]
async fn a_cluster_hears_on_what_an_image_runs_if_not_all_its_nodes_run_just_that() {
    let lab = Lab::new().await;
    *lab.cc.needs.lock().unwrap() = Some(BTreeMap::new());
    *lab.cc.plan.lock().unwrap() = plan(1, false);
    *lab.cc.architecture.lock().unwrap() = Some("x86_64".into());
    lab.poll().await;
    lab.run_instances(Lab::run(1)).await.unwrap();
    lab.pass().await;
    assert_eq!(told_of_a_launch(&lab), ["RunInstances"]);
    assert_eq!(*lab.cc.planned.lock().unwrap(), None);

    *lab.cc.architecture.lock().unwrap() = Some("arm64".into());
    lab.poll().await;
    let ids = lab.run_instances(Lab::run(1)).await.unwrap();
    lab.pass().await;
    assert_eq!(told_of_a_launch(&lab), ["RunInstances", "RestrictPlacement", "RunInstances"]);
    let needs = lab.cc.needs.lock().unwrap().clone().unwrap();
    assert_eq!(needs[&ids[0]], (Some("x86_64".into()), Vec::new()));
    let planned = lab.cc.planned.lock().unwrap().clone().unwrap();
    assert_eq!((planned.architecture.as_deref(), planned.image_id.as_deref()), (Some("x86_64"), Some(IMAGE)));
}

/// The answer to a rehearsal comes from the same question as a plan, and nothing of it is left but its reasons.
#[tokio::test]
async fn a_dry_run_tells_whether_there_is_room_and_starts_nothing() {
    let lab = Lab::new().await;
    let dry = || RunInstances { dry_run: true, client_token: Some("t".into()), ..Lab::run(1) };
    *lab.cc.plan.lock().unwrap() = plan(1, false);
    *lab.cc.story.lock().unwrap() = story(false);
    lab.poll().await;
    let (id, answer) = run(&lab, "eve", dry()).await;
    let error = answer.unwrap_err();
    assert_eq!(error.code, Code::DryRunOperation);
    assert_eq!(
        error.message,
        format!(
            "Request would have succeeded, but DryRun flag is set: zone cluster1 has room for 1. `euca schedule explain \
             req-{id}` tells more"
        )
    );
    assert_eq!(zones(&told(&lab, "eve", &id).await.unwrap()), ["1 cluster1 has room for 1"]);

    // Its last number says that there is room; a rehearsal looks again.
    *lab.cc.plan.lock().unwrap() = plan(0, false);
    let error = run(&lab, "eve", dry()).await.1.unwrap_err();
    assert_eq!(error.code, Code::InsufficientInstanceCapacity);
    assert!(error.message.contains("1 node has too little memory"), "{error}");
    let unknown = RunInstances { image_id: "emi-FFFFFFFF".into(), ..dry() };
    assert_eq!(run(&lab, "eve", unknown).await.1.unwrap_err().code, Code::InvalidImageIdNotFound);

    // Too much for the account; and the token was not used up.
    *lab.cc.plan.lock().unwrap() = plan(1, false);
    let quota = |most| (Quantity::Instances, Setting::Most(most));
    lab.cloud.store.set_quotas(None, vec![quota(0)]).await.unwrap();
    assert_eq!(run(&lab, "eve", dry()).await.1.unwrap_err().code, Code::InstanceLimitExceeded);
    lab.cloud.store.set_quotas(None, vec![quota(9)]).await.unwrap();
    lab.pass().await;
    assert!(lab.cc.ids().is_empty());
    let ids = run(&lab, "eve", RunInstances { dry_run: false, ..dry() }).await.1.unwrap();
    assert_eq!(run(&lab, "eve", dry()).await.1.unwrap_err().code, Code::DryRunOperation);
    assert_eq!(ids.len(), 1);
}
