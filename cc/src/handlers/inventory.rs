//! What is really there on the nodes, gathered from all of them.

use std::sync::Arc;

use ironbark_wsdl::ironbark::{DescribeInventory, DescribeInventoryResponse, Inventory};
use ironbark_wsdl::{Context, Refusal};

use crate::cluster::Cluster;
use crate::cluster::node::Node;
use crate::ids::NodeName;
use crate::{budget, fan, nodes};

/// One inventory for each node, in the nodes' order. A node that cannot be asked has one that says why: that is what
/// is looked for.
pub async fn describe_inventory(
    cluster: Arc<Cluster>,
    ctx: Context,
    _: DescribeInventory,
) -> Result<DescribeInventoryResponse, Refusal> {
    let asked: Vec<(NodeName, Option<String>)> =
        cluster.read(|beliefs| beliefs.nodes.iter().map(|node| (node.entry.name.clone(), why_not(node))).collect());
    let inventories = fan::each(asked, |(node, why_not)| {
        let (cluster, ctx) = (cluster.clone(), ctx.clone());
        async move {
            match why_not {
                Some(trouble) => silent(&node, trouble),
                None => inventory(&cluster, &ctx, &node).await,
            }
        }
    });
    Ok(DescribeInventoryResponse { inventories: inventories.await, ..Default::default() })
}

/// Why a node is not even asked.
fn why_not(node: &Node) -> Option<String> {
    let told = node.identity.node_id.is_some() || node.identity.old_wire.is_some();
    let knows = node.identity.operations.iter().any(|known| known == "DescribeInventory");
    let old = told && !knows;
    node.down().or_else(|| {
        old.then(|| format!("node {} is of a version that cannot tell what is really there", node.entry.name))
    })
}

async fn inventory(cluster: &Cluster, ctx: &Context, node: &NodeName) -> Inventory {
    let answer = nodes::tell(cluster, ctx, node, DescribeInventory::default(), budget::CALL_MIN).await;
    // What is found out now should soon be believed as well.
    cluster.kick(node);
    match answer.map(|answer| answer.inventories.into_iter().next()) {
        Ok(Some(inventory)) => Inventory { node_name: node.to_string(), ..inventory },
        Ok(None) => silent(node, format!("node {node} answered without an inventory")),
        Err(error) => silent(node, nodes::sentence(node, &error)),
    }
}

fn silent(node: &NodeName, trouble: String) -> Inventory {
    Inventory { node_name: node.to_string(), trouble: Some(trouble), ..Default::default() }
}
