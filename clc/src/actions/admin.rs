//! What administrators of the cloud do with clusters and nodes. That the caller is one was checked at
//! the door.

use std::sync::Arc;

use ironbark_wsdl::wsse::Certificate;
use ironbark_wsdl::{CallError, Context, ironbark};
use jiff::Timestamp;

use super::unanswered;
use crate::cloud::Cloud;
use crate::clusters::{Node, tell};
use crate::ec2::Done;
use crate::ec2::admin::{
    ClusterRow, DeregisterCluster, DeregisterNode, DescribeClusters, DescribeNodes, Listing, ModifyNode, NodeRow,
    RegisterCluster, RegisterNode,
};
use crate::error::{Code, Ec2Error};
use crate::front::Caller;
use crate::store::Cluster;

/// Makes a cluster known, or gives a known one another URL or certificate. It need not answer yet.
///
/// # Errors
/// `InvalidParameterValue` if its certificate cannot be read, or the keys do not fit its profile.
pub async fn register_cluster(
    cloud: Arc<Cloud>,
    _: Context,
    _: Caller,
    request: RegisterCluster,
) -> Result<Done, Ec2Error> {
    check_certificate(&request.certificate)?;
    let cluster = Cluster {
        name: request.name,
        url: request.url.clone(),
        certificate: request.certificate,
        profile: request.profile.name().to_string(),
        created: cloud.now(),
    };
    let unusable = |problem: String| Ec2Error::invalid("Url", &request.url, &problem);
    cloud.clusters.check(&cluster).map_err(unusable)?;
    cloud.store.register_cluster(cluster.clone()).await?;
    cloud.clusters.link(cluster).map_err(unusable)?;
    cloud.registered.notify_one();
    Ok(Done)
}

/// Forgets a cluster that has no instances any more.
///
/// # Errors
/// `NoSuchEntity`; `OperationNotPermitted` with the ids while it has instances.
pub async fn deregister_cluster(
    cloud: Arc<Cloud>,
    _: Context,
    _: Caller,
    request: DeregisterCluster,
) -> Result<Done, Ec2Error> {
    match cloud.store.deregister_cluster(request.name.clone()).await? {
        None => Err(no_cluster(&request.name)),
        Some(Err(living)) => {
            let shown: Vec<String> = living.iter().take(5).cloned().collect();
            let text = format!(
                "The cluster {} still has {} instances ({}{}): terminate them first",
                request.name,
                living.len(),
                shown.join(", "),
                if living.len() > shown.len() { ", ..." } else { "" }
            );
            Err(Ec2Error::new(Code::OperationNotPermitted, text))
        }
        Some(Ok(())) => {
            cloud.clusters.unlink(&request.name);
            cloud.registered.notify_one();
            Ok(Done)
        }
    }
}

/// The clusters, and how they are.
///
/// # Errors
/// None.
pub async fn describe_clusters(
    cloud: Arc<Cloud>,
    _: Context,
    _: Caller,
    _: DescribeClusters,
) -> Result<Listing<ClusterRow>, Ec2Error> {
    let rows = cloud.clusters.all_known().into_iter().map(|(cluster, known)| ClusterRow {
        state: match (&known.failure, known.answered) {
            (Some(_), _) => "down",
            (None, Some(_)) => "up",
            (None, None) => "unknown",
        }
        .to_string(),
        reason: known.failure,
        version: known.description.as_ref().map(|description| description.version.clone()),
        nodes: known.description.as_ref().and_then(|description| u32::try_from(description.nodes.len()).ok()),
        last_seen: known.answered.map(shown),
        certificate_fingerprint: Certificate::from_pem(&cluster.certificate)
            .ok()
            .map(|certificate| certificate.fingerprint()),
        name: cluster.name,
        url: cluster.url,
    });
    Ok(Listing(rows.collect()))
}

/// Makes a node known to its cluster.
///
/// # Errors
/// `NoSuchEntity` (cluster), `InvalidParameterValue` (certificate, or what the cluster says),
/// `Unavailable`.
pub async fn register_node(
    cloud: Arc<Cloud>,
    ctx: Context,
    _: Caller,
    request: RegisterNode,
) -> Result<Done, Ec2Error> {
    check_certificate(&request.certificate)?;
    check_cluster(&cloud, &request.cluster)?;
    let detail = request.name.clone();
    let message = ironbark::RegisterNode {
        name: request.name,
        url: request.url,
        profile: request.profile.name().to_string(),
        certificate: request.certificate,
        ..ironbark::RegisterNode::default()
    };
    let answer = tell(&cloud.clusters, &ctx, &request.cluster, message, &detail).await;
    answer.map_err(|error| declined(&request.cluster, Code::InvalidParameterValue, error))?;
    Ok(Done)
}

/// Lets a cluster forget a node.
///
/// # Errors
/// `NoSuchEntity` (cluster, or what the cluster says), `Unavailable`.
pub async fn deregister_node(
    cloud: Arc<Cloud>,
    ctx: Context,
    _: Caller,
    request: DeregisterNode,
) -> Result<Done, Ec2Error> {
    check_cluster(&cloud, &request.cluster)?;
    let detail = request.name.clone();
    let message = ironbark::DeregisterNode { name: request.name, ..ironbark::DeregisterNode::default() };
    let answer = tell(&cloud.clusters, &ctx, &request.cluster, message, &detail).await;
    answer.map_err(|error| declined(&request.cluster, Code::OperationNotPermitted, error))?;
    Ok(Done)
}

/// Lets a node get no new instances, or get them again.
///
/// # Errors
/// `NoSuchEntity` (cluster, or what the cluster says), `Unavailable`.
pub async fn modify_node(cloud: Arc<Cloud>, ctx: Context, _: Caller, request: ModifyNode) -> Result<Done, Ec2Error> {
    check_cluster(&cloud, &request.cluster)?;
    let ModifyNode { cluster, name, draining, reason } = request;
    let detail = name.clone();
    let message = ironbark::ModifyNode { name, draining, reason, ..ironbark::ModifyNode::default() };
    let answer = tell(&cloud.clusters, &ctx, &cluster, message, &detail).await;
    answer.map_err(|error| declined(&cluster, Code::NoSuchEntity, error))?;
    Ok(Done)
}

/// The nodes, as their clusters last told.
///
/// # Errors
/// `NoSuchEntity` if a cluster was named that is not there.
pub async fn describe_nodes(
    cloud: Arc<Cloud>,
    _: Context,
    _: Caller,
    request: DescribeNodes,
) -> Result<Listing<NodeRow>, Ec2Error> {
    if let Some(cluster) = &request.cluster {
        check_cluster(&cloud, cluster)?;
    }
    let asked = |name: &str| request.cluster.as_ref().is_none_or(|cluster| cluster == name);
    let mut rows = Vec::new();
    for (cluster, known) in cloud.clusters.all_known() {
        let nodes = known.description.filter(|_| asked(&cluster.name)).map(|description| description.nodes);
        rows.extend(
            nodes.unwrap_or_default().into_iter().map(|node| node_row(&cluster.name, known.failure.as_deref(), node)),
        );
    }
    Ok(Listing(rows))
}

fn node_row(cluster: &str, failure: Option<&str>, node: Node) -> NodeRow {
    let free_and_all = |(free, all): (i32, i32)| (all > 0).then_some((i64::from(free), i64::from(all)));
    NodeRow {
        cluster: cluster.to_string(),
        name: node.name,
        url: node.url,
        // What a silent cluster said of its nodes is history.
        state: if failure.is_some() { "unknown".to_string() } else { node.state },
        reason: failure.map(|failure| format!("the cluster has not answered: {failure}")).or(node.reason),
        last_seen: node.last_seen.map(shown),
        cores: free_and_all(node.cores),
        memory_mb: free_and_all(node.memory_mb),
        disk_gb: free_and_all(node.disk_gb),
        hypervisor: node.hypervisor,
        architecture: node.architecture,
        tags: node.tags,
        draining: node.draining,
        instance_ids: node.instance_ids,
    }
}

fn shown(moment: Timestamp) -> String {
    format!("{moment:.3}")
}

fn check_certificate(pem: &str) -> Result<(), Ec2Error> {
    match Certificate::from_pem(pem) {
        Ok(_) => Ok(()),
        Err(error) => Err(Ec2Error::invalid("Certificate", "...", &format!("It cannot be used: {error}."))),
    }
}

fn check_cluster(cloud: &Cloud, name: &str) -> Result<(), Ec2Error> {
    if cloud.clusters.known(name).is_some() { Ok(()) } else { Err(no_cluster(name)) }
}

/// A cluster's own refusal or trouble is told in its words.
fn declined(cluster: &str, code: Code, error: CallError) -> Ec2Error {
    match error {
        CallError::Declined { reason } => Ec2Error::new(code, format!("Cluster {cluster} refused: {reason}")),
        CallError::Fault { reason, .. } => {
            Ec2Error::new(Code::Unavailable, format!("Cluster {cluster} is in trouble: {reason}"))
        }
        error => unanswered(cluster, error),
    }
}

fn no_cluster(name: &str) -> Ec2Error {
    Ec2Error::new(Code::NoSuchEntity, format!("There is no cluster {name}; describe-clusters lists them"))
}
