//! Taking nodes into the cluster and letting them go. A registration is on disk before it is
//! acknowledged. Nodes of the configuration file are not touched here.

use std::sync::Arc;

use crate::cluster::Cluster;
use crate::cluster::beliefs::Beliefs;
use crate::cluster::node::{Entry, Source};
use crate::error::ClusterError;
use crate::ids::NodeName;
use crate::refresh;

/// Takes a node in and begins to ask it. The same registration again is no error.
///
/// # Errors
/// [`ClusterError::Node`] when the name or the URL is another node's; [`ClusterError::State`].
pub async fn register(cluster: &Arc<Cluster>, entry: Entry) -> Result<(), ClusterError> {
    // Looked up and taken in one step: of two registrations at once one finds the other.
    let there = cluster.list(|beliefs, now| {
        let same = |other: &&Entry| other.name == entry.name || other.url == entry.url;
        let there = beliefs.nodes.iter().map(|node| &node.entry).find(same).cloned();
        if there.is_none() {
            beliefs.add_node(entry.clone(), now);
        }
        there
    });
    if let Some(other) = there {
        already_there(&entry, &other)?;
        // The first of two registrations at once may still be writing.
        return match other.source {
            Source::Registered => Ok(cluster.write_node(&entry.name, Some(&entry), None).await?),
            Source::Configured => Ok(()),
        };
    }
    if let Err(error) = cluster.write_node(&entry.name, Some(&entry), None).await {
        cluster.list(|beliefs, _| beliefs.remove_node(&entry.name));
        return Err(error.into());
    }
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
    // Looked at and let go in one step, so that nothing is placed on it in between.
    let gone = cluster.list(|beliefs, _| {
        let entry = may_go(beliefs, name)?;
        beliefs.remove_node(name);
        Ok(entry)
    });
    let entry = gone.map_err(|problem| ClusterError::Node { name: name.clone(), problem })?;
    if let Err(error) = cluster.write_node(name, None, Some(&entry)).await {
        cluster.list(|beliefs, now| beliefs.add_node(entry, now));
        return Err(error.into());
    }
    cluster.unlink(name);
    tracing::info!(node = %name, event = "cc.node.deregistered");
    Ok(())
}

/// The node's entry if it may be let go, else what is in the way.
fn may_go(beliefs: &Beliefs, name: &NodeName) -> Result<Entry, String> {
    let entry = beliefs.node(name).map(|node| node.entry.clone());
    let entry = entry.ok_or_else(|| "not registered with this cluster".to_string())?;
    match entry.source {
        Source::Configured => {
            return Err("written in the configuration file; take it out there and restart".to_string());
        }
        Source::Registered => {}
    }
    let here = beliefs.on(name).filter(|instance| instance.node == *name && instance.alive());
    let instances: Vec<&str> = here.map(|instance| instance.id.as_str()).collect();
    if instances.is_empty() {
        Ok(entry)
    } else {
        Err(format!("it has instances, terminate them first: {}", instances.join(", ")))
    }
}
