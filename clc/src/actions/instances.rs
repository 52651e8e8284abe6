//! Instances that are there: show, reboot, stop, start, terminate.
//!
//! Stop, start and terminate write a wish and answer; `launch` tells the clusters. Reboot is no
//! wish but an act: it is told at once, and the answer waits for the clusters' answers.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use ironbark_wsdl::{CallError, Context, cc};
use tokio::task::JoinSet;

use super::quotas::too_much;
use super::unanswered;
use crate::cloud::Cloud;
use crate::clusters::tell;
use crate::convert;
use crate::ec2::Done;
use crate::ec2::instances::{
    DescribeInstances, DescribeInstancesResponse, InstanceState, RebootInstances, StartInstances, StateChange,
    StateChanges, StopInstances, TerminateInstances,
};
use crate::error::{Code, Ec2Error};
use crate::front::{Action, Caller};
use crate::hosts::Reader;
use crate::ids;
use crate::lifecycle::Act;
use crate::store::{Change, Instance, Refused, Reservation, Scope, StoreError};

/// The account's instances; for administrators of the cloud also others', named or by `verbose`.
///
/// # Errors
/// `InvalidInstanceID.NotFound` if one that was named is not there.
pub async fn describe_instances(
    cloud: Arc<Cloud>,
    _: Context,
    caller: Caller,
    mut request: DescribeInstances,
) -> Result<DescribeInstancesResponse, Ec2Error> {
    request.instance_ids = canonical(request.instance_ids);
    let all = shown(&cloud, &caller, &request.instance_ids, request.verbose).await?;
    Ok(request
        .answer(all.iter().map(|(reservation, instances)| convert::reservation(reservation, instances)).collect()))
}

/// Everything of the account that is shown, in which each of `named` must be. Others' are shown to
/// administrators of the cloud where they ask: by name, or for all.
///
/// # Errors
/// `InvalidInstanceID.NotFound`.
pub(super) async fn shown(
    cloud: &Cloud,
    caller: &Caller,
    named: &[String],
    everybodys: bool,
) -> Result<Vec<(Reservation, Vec<Instance>)>, Ec2Error> {
    let asked = everybodys || !named.is_empty();
    let scope = if asked { caller.scope() } else { Scope::Account(caller.account.clone()) };
    let mut all = cloud.store.reservations(scope, cloud.shown_since(), named.to_vec()).await?;
    hide_hosts(cloud, caller, &mut all);
    let there: HashSet<&str> =
        all.iter().flat_map(|(_, instances)| instances).map(|instance| instance.id.as_str()).collect();
    let missing: Vec<&str> = named.iter().map(String::as_str).filter(|id| !there.contains(id)).collect();
    if missing.is_empty() { Ok(all) } else { Err(Ec2Error::no_instances(&missing)) }
}

/// Takes the hosts out of the reasons, for those who may not know them. Only those that a tier gave can name one.
fn hide_hosts(cloud: &Cloud, caller: &Caller, all: &mut [(Reservation, Vec<Instance>)]) {
    let reasons = all.iter_mut().flat_map(|(_, instances)| instances).filter_map(|instance| instance.reason.as_mut());
    let mut given = reasons.filter(|reason| reason.code.starts_with("Server.")).peekable();
    if given.peek().is_some() {
        let reader = Reader::of(cloud, caller);
        given.for_each(|reason| reason.text = reader.text(&reason.text));
    }
}

/// Restarts instances: all of them are the caller's and running, or nothing is sent.
///
/// # Errors
/// `InvalidInstanceID.NotFound`, `IncorrectInstanceState`; `Unavailable` if a cluster has not
/// answered.
pub async fn reboot_instances(
    cloud: Arc<Cloud>,
    ctx: Context,
    caller: Caller,
    request: RebootInstances,
) -> Result<Done, Ec2Error> {
    let reader = Reader::of(&cloud, &caller);
    let changes = act(&cloud, &ctx, caller, Act::Reboot, request.instance_ids, false).await?;
    let mut by_cluster: BTreeMap<String, Vec<Instance>> = BTreeMap::new();
    for Change { instance, .. } in changes {
        by_cluster.entry(instance.cluster.clone()).or_default().push(instance);
    }
    let mut calls = JoinSet::new();
    for (cluster, instances) in by_cluster {
        let (cloud, ctx) = (cloud.clone(), ctx.clone().with_epochs(convert::epochs(&instances)));
        calls.spawn(async move {
            let instance_ids: Vec<String> = instances.iter().map(|instance| instance.id.clone()).collect();
            let detail = instance_ids.join(" ");
            let message = cc::RebootInstances { instance_ids, ..cc::RebootInstances::default() };
            let result = tell(&cloud.clusters, &ctx, &cluster, message, &detail).await.map(drop);
            let noted = note_reboot(&cloud, &ctx, &instances, &result).await;
            noted.map(|()| (cluster, result))
        });
    }
    let results: Result<Vec<_>, StoreError> = calls.join_all().await.into_iter().collect();
    reboot_outcome(results?, &reader)
}

/// Writes down the ends that no report will tell: what certainly did not happen, and what a node of
/// 2.0.1, which counts no boots, has accepted.
async fn note_reboot(
    cloud: &Cloud,
    ctx: &Context,
    instances: &[Instance],
    result: &Result<(), CallError>,
) -> Result<(), StoreError> {
    let (uncounted, words) = match result {
        Ok(()) => (true, "accepted; its node does not tell how reboots go".to_string()),
        Err(CallError::Unreachable { reason }) => (false, format!("not sent: {reason}")),
        // Of several, the reports tell which were rebooted.
        Err(CallError::Declined { reason }) if instances.len() == 1 => (false, format!("refused: {reason}")),
        Err(CallError::Declined { .. } | CallError::TimedOut { .. } | CallError::Fault { .. }) => return Ok(()),
    };
    let ended = instances.iter().filter(|instance| !uncounted || instance.boot_count.is_none());
    let ended: Vec<String> = ended.map(|instance| instance.id.clone()).collect();
    if ended.is_empty() {
        return Ok(());
    }
    cloud.store.request_ended(ctx.request.to_string(), ended, words, cloud.now()).await
}

/// One answer from those of the clusters. If some instance was rebooted, a status that makes
/// clients send the request again would reboot it again.
fn reboot_outcome(results: Vec<(String, Result<(), CallError>)>, reader: &Reader) -> Result<Done, Ec2Error> {
    let some_done = results.iter().any(|(_, result)| matches!(result, Ok(()) | Err(CallError::Declined { .. })));
    let mut failures = results.into_iter().filter_map(|(cluster, result)| Some((cluster, result.err()?)));
    let Some((cluster, error)) = failures.next() else { return Ok(Done) };
    match error {
        CallError::Declined { reason } => Err(Ec2Error::new(
            Code::IncorrectInstanceState,
            format!("Zone {cluster} could not reboot every instance: {}", reader.text(&reason)),
        )),
        error if some_done => {
            let told = unanswered(&cluster, error);
            Err(Ec2Error { code: Code::IncorrectInstanceState, ..told })
        }
        error => Err(unanswered(&cluster, error)),
    }
}

/// Ends instances for good.
///
/// # Errors
/// `InvalidInstanceID.NotFound`; then none is touched.
pub async fn terminate_instances(
    cloud: Arc<Cloud>,
    ctx: Context,
    caller: Caller,
    request: TerminateInstances,
) -> Result<StateChanges, Ec2Error> {
    let changes = act(&cloud, &ctx, caller, Act::Terminate, request.instance_ids, false).await?;
    Ok(state_changes(&cloud, changes))
}

/// Shuts instances down and keeps their disks.
///
/// # Errors
/// `InvalidInstanceID.NotFound`, `IncorrectInstanceState`; `UnsupportedOperation` if a node is of a
/// kind that cannot.
pub async fn stop_instances(
    cloud: Arc<Cloud>,
    ctx: Context,
    caller: Caller,
    request: StopInstances,
) -> Result<StateChanges, Ec2Error> {
    let ids = canonical(request.instance_ids);
    check_ability(&cloud, &caller, &ids, ("StopInstances", "StopInstance")).await?;
    let changes = act(&cloud, &ctx, caller, Act::Stop, ids, request.force).await?;
    Ok(state_changes(&cloud, changes))
}

/// Starts stopped instances.
///
/// # Errors
/// As [`stop_instances`].
pub async fn start_instances(
    cloud: Arc<Cloud>,
    ctx: Context,
    caller: Caller,
    request: StartInstances,
) -> Result<StateChanges, Ec2Error> {
    let ids = canonical(request.instance_ids);
    check_ability(&cloud, &caller, &ids, ("StartInstances", "StartInstance")).await?;
    check_drains(&cloud, &caller, &ids).await?;
    let changes = act(&cloud, &ctx, caller, Act::Start, ids, false).await?;
    Ok(state_changes(&cloud, changes))
}

/// Carries a request on several instances out in the records: on all, or on none.
async fn act(
    cloud: &Cloud,
    ctx: &Context,
    caller: Caller,
    act: Act,
    instance_ids: Vec<String>,
    force: bool,
) -> Result<Vec<Change>, Ec2Error> {
    let ids = canonical(instance_ids);
    let action = match act {
        Act::Reboot => RebootInstances::NAME,
        Act::Stop => StopInstances::NAME,
        Act::Start => StartInstances::NAME,
        Act::Terminate => TerminateInstances::NAME,
    };
    let deed = cloud.deed(ctx, &caller, action);
    let result = cloud.store.act(act, caller.scope(), ids, force, deed).await?;
    result.map_err(|refused| refusal(act, refused))
}

/// What the client is told of a request that the records refused.
pub(super) fn refusal(act: Act, refused: Refused) -> Ec2Error {
    match refused {
        Refused::NotFound(ids) => Ec2Error::no_instances(&ids),
        Refused::Protected(id) => {
            let (verb, attribute) = match act {
                Act::Stop => ("stopped", "disableApiStop"),
                Act::Terminate | Act::Reboot | Act::Start => ("terminated", "disableApiTermination"),
            };
            let text = format!(
                "The instance '{id}' may not be {verb}. Modify its '{attribute}' instance attribute and try again."
            );
            Ec2Error::new(Code::OperationNotPermitted, text)
        }
        Refused::TooMuch(excess) => too_much(&excess),
        Refused::State(id, state) => {
            let verb = match act {
                Act::Reboot => "rebooted",
                Act::Stop => "stopped",
                Act::Start => "started",
                Act::Terminate => "terminated",
            };
            let text = format!("The instance '{id}' is {} and cannot be {verb} now", state.name());
            Ec2Error::new(Code::IncorrectInstanceState, text)
        }
    }
}

/// Rings for the launcher and shows what changed.
fn state_changes(cloud: &Cloud, changes: Vec<Change>) -> StateChanges {
    cloud.wished.notify_one();
    let change = |change: Change| StateChange {
        instance_id: change.instance.id,
        current: change.after,
        previous: change.before,
    };
    StateChanges(changes.into_iter().map(change).collect())
}

/// The 2.0.1 wire knows no stop and no start: they are offered where cluster and node say that they
/// know the operation.
async fn check_ability(cloud: &Cloud, caller: &Caller, ids: &[String], needs: (&str, &str)) -> Result<(), Ec2Error> {
    for id in ids {
        let found = cloud.store.instance(caller.scope(), id.clone()).await?;
        let instance = found.ok_or_else(|| Ec2Error::no_instance(id))?;
        let cluster = &instance.cluster;
        let known = cloud.clusters.known(cluster).unwrap_or_default();
        // A node that has counted boots knows both: 2.0.1's count none.
        let node_is_able = instance.boot_count.is_some();
        if known.answered.is_none() {
            // Not since we started.
            if node_is_able {
                continue;
            }
            let text =
                format!("Zone {cluster} has not answered yet, so it is not known what it can do; try again later");
            return Err(Ec2Error::new(Code::Unavailable, text));
        }
        let unable = |who: String| {
            let text = format!("{who} knows the operations of Eucalyptus 2.0.1 only, which has no {}", needs.0);
            Err(Ec2Error::new(Code::UnsupportedOperation, text))
        };
        let has = |operations: &[String], name: &str| operations.iter().any(|operation| operation == name);
        if !known.description.as_ref().is_some_and(|description| has(&description.operations, needs.0)) {
            return unable(format!("Zone {cluster}"));
        }
        // A node that has not been heard of since its cluster started tells nothing yet.
        let node = instance.node.as_deref().filter(|_| !node_is_able).and_then(|name| known.node(name));
        if node.is_some_and(|node| !has(&node.operations, needs.1)) {
            return unable(format!("The node of '{id}'"));
        }
    }
    Ok(())
}

/// What is stopped comes back where its disk is. A node that an administrator drains is about to go.
async fn check_drains(cloud: &Cloud, caller: &Caller, ids: &[String]) -> Result<(), Ec2Error> {
    for id in ids {
        let found = cloud.store.instance(caller.scope(), id.clone()).await?;
        let instance = found.ok_or_else(|| Ec2Error::no_instance(id))?;
        let known = cloud.clusters.known(&instance.cluster).unwrap_or_default();
        let drain = instance.node.as_deref().and_then(|name| known.node(name)?.draining.as_ref());
        if let Some(drain) = drain.filter(|_| instance.state() == InstanceState::Stopped) {
            let text = format!(
                "The instance '{id}' cannot be started now: the node that has its disk is draining {drain}; an administrator \
                 of the cloud can end that"
            );
            return Err(Ec2Error::new(Code::OperationNotPermitted, text));
        }
    }
    Ok(())
}

/// The ids as the records have them.
pub(super) fn canonical(given: Vec<String>) -> Vec<String> {
    let mut ids: Vec<String> = Vec::with_capacity(given.len());
    for id in given {
        let id = ids::canonical(&id);
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(results: Vec<Result<(), CallError>>) -> Option<Code> {
        let named = results.into_iter().map(|result| ("c".to_string(), result)).collect();
        reboot_outcome(named, &Reader::default()).err().map(|error| error.code)
    }

    #[test]
    fn nothing_that_was_rebooted_is_asked_for_again_by_a_retrying_client() {
        let gone = || Err(CallError::Unreachable { reason: "refused".into() });
        let declined = || Err(CallError::Declined { reason: "i-1: ok; i-2: node n1 did not answer".into() });
        assert_eq!(code(vec![Ok(()), Ok(())]), None);
        assert_eq!(code(vec![gone()]), Some(Code::Unavailable));
        for results in [vec![Ok(()), gone()], vec![declined()], vec![gone(), declined()]] {
            assert!(!code(results).unwrap().is_server());
        }
    }
}
