//! The cluster about itself, and its nodes' registration.

use std::sync::Arc;

use ironbark_wsdl::ironbark::{
    DeregisterNode, DeregisterNodeResponse, DescribeCluster, DescribeClusterResponse, ModifyNode, ModifyNodeResponse,
    RegisterNode, RegisterNodeResponse,
};
use ironbark_wsdl::wsse::Certificate;
use ironbark_wsdl::{Context, Refusal};

use crate::cluster::Cluster;
use crate::cluster::node::{Entry, Profile, Source, node_url};
use crate::convert;
use crate::error::ClusterError;
use crate::ids::NodeName;
use crate::{registry, routes};

/// The reason is in every decision's record.
const LONGEST_REASON: usize = 256;

/// All that is believed, and since when.
pub async fn describe_cluster(
    cluster: Arc<Cluster>,
    _ctx: Context,
    _: DescribeCluster,
) -> Result<DescribeClusterResponse, Refusal> {
    let settings = &cluster.settings;
    Ok(cluster.read(|beliefs| DescribeClusterResponse {
        cluster_name: settings.name.clone(),
        version: env!("CARGO_PKG_VERSION").to_string(),
        isolation: settings.isolation.name().to_string(),
        schedule: settings.schedule.name().to_string(),
        operations: routes::IRONBARK.iter().map(ToString::to_string).collect(),
        nodes: beliefs.nodes.iter().map(|node| convert::cluster_node(node, beliefs)).collect(),
        instances: beliefs.instances.values().map(convert::cluster_instance).collect(),
        ..Default::default()
    }))
}

/// Takes a node in; it is on disk when this answers.
pub async fn register_node(
    cluster: Arc<Cluster>,
    _ctx: Context,
    request: RegisterNode,
) -> Result<RegisterNodeResponse, Refusal> {
    registry::register(&cluster, entry(request)?).await?;
    Ok(RegisterNodeResponse::default())
}

/// Lets a node go that has no instances.
pub async fn deregister_node(
    cluster: Arc<Cluster>,
    _ctx: Context,
    request: DeregisterNode,
) -> Result<DeregisterNodeResponse, Refusal> {
    let name = NodeName::parse(&request.name).map_err(ClusterError::from)?;
    registry::deregister(&cluster, &name).await?;
    Ok(DeregisterNodeResponse::default())
}

/// Lets a node get no new instances, or get them again.
pub async fn modify_node(
    cluster: Arc<Cluster>,
    _ctx: Context,
    request: ModifyNode,
) -> Result<ModifyNodeResponse, Refusal> {
    let name = NodeName::parse(&request.name).map_err(ClusterError::from)?;
    let reason = request.reason.filter(|reason| !reason.is_empty());
    if reason.as_ref().is_some_and(|reason| reason.len() > LONGEST_REASON) {
        let problem = format!("is longer than {LONGEST_REASON} bytes; say it shorter");
        return Err(ClusterError::bad("reason", problem).into());
    }
    if request.draining {
        registry::drain(&cluster, &name, reason).await?;
    } else {
        registry::undrain(&cluster, &name).await?;
    }
    Ok(ModifyNodeResponse::default())
}

/// Checks a registration.
fn entry(request: RegisterNode) -> Result<Entry, ClusterError> {
    let name = NodeName::parse(&request.name)?;
    let url = node_url(&request.url).map_err(|problem| ClusterError::bad("url", problem))?;
    let profile = Profile::from_name(&request.profile).ok_or_else(|| {
        ClusterError::bad("profile", format!("'{}' is not known; there are strict and euca-2.0.1", request.profile))
    })?;
    Certificate::from_pem(&request.certificate).map_err(|error| ClusterError::bad("certificate", error.to_string()))?;
    Ok(Entry { name, url, profile, certificate: request.certificate, source: Source::Registered })
}
