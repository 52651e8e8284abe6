//! Taking nodes into the cluster, letting them drain, and letting them go. What is acknowledged is on disk. Nodes
//! of the configuration file are neither taken in nor let go here.

use std::sync::Arc;

use jiff::Timestamp;

use crate::cluster::Cluster;
use crate::cluster::beliefs::Beliefs;
use crate::cluster::node::{Drain, Entry, Source};
use crate::error::ClusterError;
use crate::ids::NodeName;
use crate::refresh;

const UNKNOWN: &str = "not registered with this cluster";

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
        let drain = beliefs.node(name).and_then(|node| node.drain.clone());
        beliefs.remove_node(name);
        Ok((entry, drain))
    });
    let (entry, drain) = gone.map_err(|problem| ClusterError::Node { name: name.clone(), problem })?;
    if let Err(error) = cluster.write_node(name, None, Some(&entry)).await {
        cluster.list(|beliefs, now| {
            beliefs.add_node(entry, now);
            beliefs.drain(name, drain);
        });
        return Err(error.into());
    }
    cluster.unlink(name);
    tracing::info!(node = %name, event = "cc.node.deregistered");
    Ok(())
}

/// Lets a node get no new instances from now on; what it has stays. Said again, the reason may be another.
///
/// # Errors
/// [`ClusterError::Node`] when there is no such node; [`ClusterError::State`].
pub async fn drain(cluster: &Cluster, name: &NodeName, reason: Option<String>) -> Result<(), ClusterError> {
    let drain = |before: Option<&Drain>, now| {
        let since = before.map_or(now, |drain| drain.since);
        Some(Drain { node: name.clone(), since, reason: reason.clone() })
    };
    set_drain(cluster, name, drain).await?;
    tracing::info!(node = %name, reason, event = "cc.node.draining");
    Ok(())
}

/// Lets a node get new instances again.
///
/// # Errors
/// As [`drain`].
pub async fn undrain(cluster: &Cluster, name: &NodeName) -> Result<(), ClusterError> {
    set_drain(cluster, name, |_, _| None).await?;
    tracing::info!(node = %name, event = "cc.node.undrained");
    Ok(())
}

async fn set_drain(
    cluster: &Cluster,
    name: &NodeName,
    to: impl FnOnce(Option<&Drain>, Timestamp) -> Option<Drain>,
) -> Result<(), ClusterError> {
    let mut before = None;
    let set = cluster.change(|beliefs, now| {
        before = beliefs.node(name).and_then(|node| node.drain.clone());
        beliefs.drain(name, to(before.as_ref(), now))
    });
    match set.await {
        Ok(true) => Ok(()),
        Ok(false) => Err(ClusterError::Node { name: name.clone(), problem: UNKNOWN.to_string() }),
        Err(error) => {
            cluster.list(|beliefs, _| beliefs.drain(name, before));
            Err(error.into())
        }
    }
}

/// The node's entry if it may be let go, else what is in the way.
fn may_go(beliefs: &Beliefs, name: &NodeName) -> Result<Entry, String> {
    let entry = beliefs.node(name).map(|node| node.entry.clone());
    let entry = entry.ok_or_else(|| UNKNOWN.to_string())?;
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
