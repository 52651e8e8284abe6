//! How many instances of each type the cluster holds, and how many more fit.

use std::sync::Arc;

use ironbark_wsdl::cc::{DescribeResources, DescribeResourcesResponse, Resource, VirtualMachine};
use ironbark_wsdl::{Context, Refusal};

use crate::cluster::Cluster;
use crate::cluster::beliefs::Beliefs;
use crate::cluster::node::Health;
use crate::convert;
use crate::error::ClusterError;

/// For each type, the sum over the nodes of how many fit (wire/cc.md 8.5), from what is believed:
/// what is free already has the claims of launches under way taken off. A node that is down holds
/// nothing; one that is suspect holds its maximum and has no room now, as placement sees it.
pub async fn describe_resources(
    cluster: Arc<Cluster>,
    _ctx: Context,
    request: DescribeResources,
) -> Result<DescribeResourcesResponse, Refusal> {
    let sizes = request.instance_types.iter();
    if let Some(bad) =
        sizes.clone().find(|machine| [machine.memory, machine.cores, machine.disk].iter().any(|n| n.unwrap_or(0) <= 0))
    {
        let name = bad.name.as_deref().unwrap_or("without a name");
        let problem = format!("type {name}: memory, cores and disk must each be 1 or more");
        return Err(ClusterError::bad("instanceTypes", problem).into());
    }
    Ok(cluster.read(|beliefs| DescribeResourcesResponse {
        resources: sizes.map(|machine| resource(beliefs, machine)).collect(),
        service_tags: beliefs.nodes.iter().map(|node| node.entry.url.clone()).collect(),
        ..Default::default()
    }))
}

fn resource(beliefs: &Beliefs, machine: &VirtualMachine) -> Resource {
    let size = convert::size(machine);
    let (mut most, mut now) = (0, 0);
    for node in &beliefs.nodes {
        match node.health {
            Health::Up | Health::Suspect => most += node.offered.unwrap_or_default().times(size),
            Health::Unknown | Health::Down => {}
        }
        now += beliefs.free(node).times(size);
    }
    Resource {
        // Device mappings are no part of this answer (recorded fact).
        instance_type: Some(VirtualMachine { device_mapping: Vec::new(), ..machine.clone() }),
        max_instances: Some(convert::narrow(most)),
        available_instances: Some(convert::narrow(now)),
    }
}
