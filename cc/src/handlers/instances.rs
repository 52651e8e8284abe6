//! Describing, rebooting, ending, stopping and starting instances, and their consoles. Every id of
//! a request gets its own result.

use std::collections::BTreeSet;
use std::sync::Arc;

use ironbark_wsdl::cc::{
    DescribeInstances, DescribeInstancesResponse, GetConsoleOutput, GetConsoleOutputResponse, RebootInstances,
    RebootInstancesResponse, TerminateInstances, TerminateInstancesResponse,
};
use ironbark_wsdl::context::SYSTEM_USER;
use ironbark_wsdl::ironbark::{
    InstanceResult, StartInstances, StartInstancesResponse, StopInstances, StopInstancesResponse,
};
use ironbark_wsdl::{Context, Refusal, ironbark, nc};

use super::{required_id, within_limit};
use crate::cluster::Cluster;
use crate::cluster::instance::{Launch, State};
use crate::error::ClusterError;
use crate::ids::{InstanceId, NodeName};
use crate::locate::{self, Found, failures, for_each, tell_owner};
use crate::{budget, convert, fan, nodes};

/// Answers from what is believed; asks no node. Ids narrow the answer; others than the super-user
/// see their own.
pub async fn describe_instances(
    cluster: Arc<Cluster>,
    ctx: Context,
    request: DescribeInstances,
) -> Result<DescribeInstancesResponse, Refusal> {
    let wanted: BTreeSet<&str> = request.instance_ids.iter().map(String::as_str).collect();
    let instances = cluster.read(|beliefs| {
        let visible = beliefs.instances.values().filter(|instance| {
            (wanted.is_empty() || wanted.contains(instance.id.as_str()))
                && (ctx.user == SYSTEM_USER || instance.spec.owner == ctx.user)
        });
        visible.map(|instance| convert::instance(instance, beliefs)).collect()
    });
    Ok(DescribeInstancesResponse { instances, ..Default::default() })
}

/// Reboots each; return=false with each id's result in statusMessage when any failed.
pub async fn reboot_instances(
    cluster: Arc<Cluster>,
    ctx: Context,
    request: RebootInstances,
) -> Result<RebootInstancesResponse, Refusal> {
    within_limit(&request.instance_ids)?;
    let results = for_each(request.instance_ids, |id| {
        let (cluster, ctx) = (cluster.clone(), ctx.clone());
        async move {
            let request = nc::RebootInstance { instance_id: id.to_string(), ..Default::default() };
            tell_owner(&cluster, &ctx, &id, request).await.map(drop)
        }
    });
    match failures(&results.await) {
        None => Ok(RebootInstancesResponse::default()),
        Some(text) => Err(Refusal::new(text)),
    }
}

/// Ends each; isTerminated has true for each that its node ends or that is gone. When any failed,
/// return=false with each id's result in statusMessage.
pub async fn terminate_instances(
    cluster: Arc<Cluster>,
    ctx: Context,
    request: TerminateInstances,
) -> Result<TerminateInstancesResponse, Refusal> {
    within_limit(&request.instance_ids)?;
    let results = for_each(request.instance_ids, |id| {
        let (cluster, ctx) = (cluster.clone(), ctx.clone());
        async move { terminate_instance(&cluster, &ctx, &id).await }
    });
    let results = results.await;
    let status_message = failures(&results);
    Ok(TerminateInstancesResponse {
        accepted: Some(status_message.is_none()),
        status_message,
        is_terminated: results.iter().map(|(_, result)| result.is_ok()).collect(),
        ..Default::default()
    })
}

/// Ends one instance. One that is gone, or that certainly no node has, is ended already. A launch
/// that is not settled is marked first, so that it is ended even if it turns up later, and taken to no other node; so is
/// one whose node is down.
async fn terminate_instance(cluster: &Arc<Cluster>, ctx: &Context, id: &InstanceId) -> Result<(), String> {
    let (gone, unsettled) = cluster.read(|beliefs| match beliefs.instances.get(id) {
        Some(instance) => {
            let gone = !instance.alive() && instance.also_on.is_empty();
            (gone, instance.launch != Launch::Settled || instance.can_move())
        }
        None => (false, false),
    });
    if gone {
        return Ok(());
    }
    if unsettled {
        let mark =
            cluster.change(|beliefs, _| beliefs.unwanted(id, "terminated while it was being launched".to_string()));
        mark.await.map_err(|error| error.to_string())?;
    }
    match locate::locate(cluster, id).await {
        Found::Nowhere(_) => Ok(()),
        Found::On(node) => match end_on(cluster.clone(), ctx.clone(), node, id.clone()).await {
            // It is ended when it turns up; its node just does not have it yet.
            Err(_) if unsettled => Ok(()),
            result => result,
        },
        Found::Disputed(nodes) => {
            let all = fan::each(nodes, |node| end_on(cluster.clone(), ctx.clone(), node, id.clone())).await;
            let failed: Vec<String> = all.into_iter().filter_map(Result::err).collect();
            if failed.is_empty() { Ok(()) } else { Err(failed.join(" and ")) }
        }
        Found::Down(why) | Found::Perhaps(why) => end_later(cluster, id, why).await,
    }
}

/// Its node cannot be told now: that it is to be ended is written down, and done when the node answers. What is
/// not even believed to be anywhere cannot be written down.
async fn end_later(cluster: &Cluster, id: &InstanceId, why: String) -> Result<(), String> {
    let marked = cluster.change(|beliefs, _| {
        let known = beliefs.instances.contains_key(id);
        beliefs.unwanted(id, format!("to be terminated as soon as its node answers: {why}"));
        known
    });
    if marked.await.map_err(|error| error.to_string())? { Ok(()) } else { Err(why) }
}

async fn end_on(cluster: Arc<Cluster>, ctx: Context, node: NodeName, id: InstanceId) -> Result<(), String> {
    let request = nc::TerminateInstance { instance_id: id.to_string(), ..Default::default() };
    let ctx = ctx.about(id.as_str());
    let answer = nodes::tell(&cluster, &ctx, &node, request, budget::share(ctx.remaining(), 1)).await;
    cluster.kick(&node);
    answer.map(drop).map_err(|error| nodes::sentence(&node, &error))
}

/// Powers each down; disk, MAC and private address stay.
pub async fn stop_instances(
    cluster: Arc<Cluster>,
    ctx: Context,
    request: StopInstances,
) -> Result<StopInstancesResponse, Refusal> {
    let force = request.force;
    within_limit(&request.instance_ids)?;
    let results = for_each(request.instance_ids, |id| {
        let (cluster, ctx) = (cluster.clone(), ctx.clone());
        async move {
            offered(&cluster, &id, "StopInstance").await?;
            let request = ironbark::StopInstance { instance_id: id.to_string(), force, ..Default::default() };
            tell_owner(&cluster, &ctx, &id, request).await.map(drop)
        }
    });
    Ok(StopInstancesResponse { results: told(results.await), ..Default::default() })
}

/// Boots each stopped one again, with another size if one is given.
pub async fn start_instances(
    cluster: Arc<Cluster>,
    ctx: Context,
    request: StartInstances,
) -> Result<StartInstancesResponse, Refusal> {
    within_limit(&request.instance_ids)?;
    let results = for_each(request.instance_ids, |id| {
        let (cluster, ctx, size) = (cluster.clone(), ctx.clone(), request.size.clone());
        async move {
            offered(&cluster, &id, "StartInstance").await?;
            not_draining(&cluster, &id)?;
            let request = ironbark::StartInstance { instance_id: id.to_string(), size, ..Default::default() };
            tell_owner(&cluster, &ctx, &id, request).await.map(drop)
        }
    });
    Ok(StartInstancesResponse { results: told(results.await), ..Default::default() })
}

/// Refuses what a node has said it does not know. One that has said nothing yet is tried.
async fn offered(cluster: &Arc<Cluster>, id: &InstanceId, operation: &str) -> Result<(), String> {
    let node = locate::locate(cluster, id).await.one()?;
    let lacks = cluster.read(|beliefs| {
        let identity = beliefs.node(&node).map(|node| node.identity.clone()).unwrap_or_default();
        let told = identity.node_id.is_some() || identity.old_wire.is_some();
        told && !identity.operations.iter().any(|known| known == operation)
    });
    if lacks {
        Err(format!("node {node} does not know {operation}; an Ironbark node controller is needed for it"))
    } else {
        Ok(())
    }
}

/// A stopped instance can be started on the node that has its disk only, and that may be about to go.
fn not_draining(cluster: &Cluster, id: &InstanceId) -> Result<(), String> {
    let drain = cluster.read(|beliefs| {
        let stopped = beliefs.instances.get(id).filter(|instance| instance.state == State::Stopped)?;
        beliefs.node(&stopped.node)?.drain.clone()
    });
    match drain {
        None => Ok(()),
        Some(drain) => Err(format!(
            "the node that has its disk is draining {drain}; it can be started when an administrator has ended that \
             (euca admin undrain-node)"
        )),
    }
}

fn told(results: Vec<(String, Result<(), String>)>) -> Vec<InstanceResult> {
    let one = |(instance_id, result): (String, Result<(), String>)| InstanceResult {
        instance_id,
        accepted: result.is_ok(),
        reason: result.err(),
    };
    results.into_iter().map(one).collect()
}

/// The console of one instance, as its node encodes it (base64).
pub async fn get_console_output(
    cluster: Arc<Cluster>,
    ctx: Context,
    request: GetConsoleOutput,
) -> Result<GetConsoleOutputResponse, Refusal> {
    let id = required_id(request.instance_id.as_ref())?;
    let refuse = |why| Refusal::from(ClusterError::Instance(format!("{id}: {why}")));
    let node = locate::locate(&cluster, &id).await.one().map_err(refuse)?;
    let request = nc::GetConsoleOutput { instance_id: id.to_string(), ..Default::default() };
    let answer = nodes::tell(&cluster, &ctx, &node, request, budget::CONSOLE).await;
    let answer = answer.map_err(|error| refuse(nodes::sentence(&node, &error)))?;
    Ok(GetConsoleOutputResponse { console_output: Some(answer.console_output), ..Default::default() })
}
