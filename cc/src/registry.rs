//! Taking nodes into the cluster and letting them go. A registration is on disk before it is
//! acknowledged. Nodes of the configuration file are not touched here.

use std::sync::Arc;

use crate::cluster::Cluster;
use crate::cluster::node::{Entry, Source};
use crate::error::ClusterError;
use crate::ids::NodeName;
use crate::refresh;

/// Takes a node in and begins to ask it. The same registration again is no error.
///
/// # Errors
/// [`ClusterError::Node`] when the name or the URL is another node's; [`ClusterError::State`].
pub async fn register(cluster: &Arc<Cluster>, entry: Entry) -> Result<(), ClusterError> {
    let there = cluster.read(|beliefs| {
        let same = |other: &Entry| other.name == entry.name || other.url == entry.url;
        beliefs.nodes.iter().map(|node| node.entry.clone()).find(same)
    });
    if let Some(other) = there {
        return already_there(&entry, &other);
    }
    cluster.write_node(&entry.name, Some(&entry)).await?;
    cluster.change(|beliefs, now| beliefs.add_node(entry.clone(), now)).await?;
    let link = cluster.link_up(&entry);
    refresh::watch(cluster, link);
    cluster.kick(&entry.name);
    tracing::info!(node = %entry.name, url = entry.url, event = "cc.node.registered");
    Ok(())
}

/// A name or URL is in use: fine if by this very registration.
fn already_there(entry: &Entry, other: &Entry) -> Result<(), ClusterError> {
    let refuse = |problem: String| Err(ClusterError::Node { name: entry.name.clone(), problem });
    if other.name != entry.name {
        return refuse(format!("{} is the URL of node {} already; a node has one name", other.url, other.name));
    }
    if other.url != entry.url {
        return refuse(format!("registered already with the URL {}; deregister it first", other.url));
    }
    if other.certificate.trim() != entry.certificate.trim() || other.profile != entry.profile {
        return refuse("registered already with another certificate; deregister it first".to_string());
    }
    Ok(())
}

/// Lets a node go.
///
/// # Errors
/// [`ClusterError::Node`] when it is not registered, is in the configuration file, or still has
/// instances; [`ClusterError::State`].
pub async fn deregister(cluster: &Cluster, name: &NodeName) -> Result<(), ClusterError> {
    let refuse = |problem: String| Err(ClusterError::Node { name: name.clone(), problem });
    let (source, instances) = cluster.read(|beliefs| {
        let here = beliefs.instances.values().filter(|instance| instance.node == *name && instance.alive());
        (
            beliefs.node(name).map(|node| node.entry.source),
            here.map(|instance| instance.id.to_string()).collect::<Vec<_>>(),
        )
    });
    match source {
        None => return refuse("not registered with this cluster".to_string()),
        Some(Source::Configured) => {
            return refuse("written in the configuration file; take it out there and restart".to_string());
        }
        Some(Source::Registered) => {}
    }
    if !instances.is_empty() {
        return refuse(format!("it has instances, terminate them first: {}", instances.join(", ")));
    }
    cluster.write_node(name, None).await?;
    cluster.unlink(name);
    cluster.change(|beliefs, _| beliefs.remove_node(name)).await?;
    tracing::info!(node = %name, event = "cc.node.deregistered");
    Ok(())
}
