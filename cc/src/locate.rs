//! Finding who answers for an instance, and telling that node something for each of many ids. An
//! id that is not known makes all reachable nodes be asked afresh before it is given up; each id
//! gets an answer of its own and none is dropped.

use std::sync::Arc;

use ironbark_wsdl::Context;

use crate::cluster::Cluster;
use crate::cluster::beliefs::Whereabouts;
use crate::ids::{InstanceId, NodeName};
use crate::nodes::{self, NodeRequest};
use crate::{budget, fan, refresh};

/// Where an instance is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// On this node, which may be asked.
    On(NodeName),
    /// Several nodes report it.
    Disputed(Vec<NodeName>),
    /// Its node is known but down; the sentence says since when and why.
    Down(String),
    /// All nodes were asked, and none has it.
    Nowhere(String),
    /// None of those that could be asked has it; the sentence names those that could not.
    Perhaps(String),
}

/// Looks an instance up; asks around if it is not known.
pub async fn locate(cluster: &Arc<Cluster>, id: &InstanceId) -> Found {
    if let Some(found) = known(cluster, id) {
        return found;
    }
    refresh::reachable(cluster).await;
    known(cluster, id).unwrap_or_else(|| unknown(cluster, id))
}

fn known(cluster: &Cluster, id: &InstanceId) -> Option<Found> {
    cluster.read(|beliefs| match beliefs.whereabouts(id) {
        Whereabouts::Unknown => None,
        Whereabouts::Disputed(nodes) => Some(Found::Disputed(nodes)),
        Whereabouts::On(name) => match beliefs.node(&name) {
            None => Some(Found::Perhaps(format!("{id} was on node {name}, which is not registered any more"))),
            Some(node) => Some(node.down().map_or(Found::On(name), Found::Down)),
        },
    })
}

fn unknown(cluster: &Cluster, id: &InstanceId) -> Found {
    let silent: Vec<String> = cluster.read(|beliefs| {
        let silent = beliefs.nodes.iter().filter(|node| node.health != crate::cluster::node::Health::Up);
        silent.map(|node| format!("{} is {}", node.entry.name, node.condition())).collect()
    });
    let none = format!("no node of cluster {} has {id}", cluster.settings.name);
    if silent.is_empty() {
        Found::Nowhere(none)
    } else {
        Found::Perhaps(format!("{none}, but not all could be asked: {}", silent.join("; ")))
    }
}

impl Found {
    /// The one node to tell, or why there is none.
    ///
    /// # Errors
    /// A sentence for people.
    pub fn one(self) -> Result<NodeName, String> {
        match self {
            Found::On(node) => Ok(node),
            Found::Disputed(nodes) => {
                let names: Vec<&str> = nodes.iter().map(NodeName::as_str).collect();
                Err(format!("nodes {} all report it; terminate it, which ends all of them", names.join(", ")))
            }
            Found::Down(why) | Found::Nowhere(why) | Found::Perhaps(why) => Err(why),
        }
    }
}

/// Tells the node of one instance something.
///
/// # Errors
/// A sentence for people; it need not name the instance.
pub async fn tell_owner<R: NodeRequest>(
    cluster: &Arc<Cluster>,
    ctx: &Context,
    id: &InstanceId,
    request: R,
) -> Result<R::Response, String> {
    let node = locate(cluster, id).await.one()?;
    let allowance = budget::share(ctx.remaining(), 1);
    let answer = nodes::tell(cluster, &ctx.about(id.as_str()), &node, request, allowance).await;
    cluster.kick(&node);
    answer.map_err(|error| nodes::sentence(&node, &error))
}

/// Does the same for each id at once: each text with its result, in the order asked. A text that
/// is no id gets the reason.
pub async fn for_each<F, Fut>(ids: Vec<String>, work: F) -> Vec<(String, Result<(), String>)>
where
    F: Fn(InstanceId) -> Fut,
    Fut: Future<Output = Result<(), String>> + Send + 'static,
{
    let results = fan::each(ids.clone(), |text| {
        let piece = InstanceId::parse(&text).map(&work);
        async move {
            match piece {
                Ok(piece) => piece.await,
                Err(error) => Err(error.to_string()),
            }
        }
    });
    ids.into_iter().zip(results.await).collect()
}

/// The results of many ids in one line, `i-1: ok; i-2: node n1 ...`; `None` when all are ok.
pub fn failures(results: &[(String, Result<(), String>)]) -> Option<String> {
    if results.iter().all(|(_, result)| result.is_ok()) {
        return None;
    }
    let lines = results.iter().map(|(id, result)| match result {
        Ok(()) => format!("{id}: ok"),
        Err(why) => format!("{id}: {why}"),
    });
    Some(lines.collect::<Vec<_>>().join("; "))
}
