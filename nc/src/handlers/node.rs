//! What the old wire has no word for: who the node is, how its instances really are, what a request did, what is
//! there.

use std::sync::Arc;
use std::time::Duration;

use ironbark_wsdl::ironbark::{LogLine, NodeFacts};
use ironbark_wsdl::{Context, Refusal, ironbark, log};

use crate::convert;
use crate::effects::blocking;
use crate::node::Node;

/// The operations of [`ironbark`] that a node serves.
pub const OPERATIONS: [&str; 6] =
    ["DescribeNode", "StopInstance", "StartInstance", "DescribeTrace", "DescribeLogs", "DescribeInventory"];

/// Most cached images that are told of.
const MOST_IMAGES: usize = 256;

/// What the hypervisor has for its part of an inventory: less than a cluster waits for the whole.
const HYPERVISOR_PART: Duration = Duration::from_secs(3);

/// Who the node is and how its instances are.
pub async fn describe_node(
    node: Arc<Node>,
    _ctx: Context,
    _request: ironbark::DescribeNode,
) -> Result<ironbark::DescribeNodeResponse, Refusal> {
    let health = node.health();
    let (architecture, known) = match health.host {
        Some(host) => (Some(host.architecture), host.hypervisor),
        None => (None, "unknown".to_string()),
    };
    let shop = node.shop().clone();
    let images = blocking(move || shop.images.cached_ids(MOST_IMAGES)).await;
    let hypervisor = match health.trouble {
        None => known,
        Some(trouble) => format!("{known}; cannot be asked since {:.0}: {trouble}", health.since),
    };
    Ok(ironbark::DescribeNodeResponse {
        node_id: node.id.to_string(),
        node_name: node.name.clone(),
        version: env!("CARGO_PKG_VERSION").to_string(),
        boot_id: node.boot_id.to_string(),
        hypervisor,
        operations: OPERATIONS.map(str::to_string).to_vec(),
        instances: node.records().iter().map(|record| convert::node_instance(record)).collect(),
        facts: Some(NodeFacts { architecture, tags: node.tags.clone(), images }),
        ..Default::default()
    })
}

/// The steps of a request on this node, as long as they are kept.
pub async fn describe_trace(
    node: Arc<Node>,
    _ctx: Context,
    request: ironbark::DescribeTrace,
) -> Result<ironbark::DescribeTraceResponse, Refusal> {
    let spans = node.recorder().of(&request.request_id).into_iter().map(convert::span).collect();
    Ok(ironbark::DescribeTraceResponse { spans, ..Default::default() })
}

/// The log lines of a request on this node, as long as they are kept.
pub async fn describe_logs(
    node: Arc<Node>,
    _ctx: Context,
    request: ironbark::DescribeLogs,
) -> Result<ironbark::DescribeLogsResponse, Refusal> {
    let tier = node.recorder().tier();
    let lines = log::lines_of(&request.request_id).into_iter().map(|line| LogLine::of(line, tier)).collect();
    Ok(ironbark::DescribeLogsResponse { lines, ..Default::default() })
}

/// What is really there: records, domains, files.
pub async fn describe_inventory(
    node: Arc<Node>,
    _ctx: Context,
    _request: ironbark::DescribeInventory,
) -> Result<ironbark::DescribeInventoryResponse, Refusal> {
    let inventory = convert::inventory(&node.name, &node.inventory(HYPERVISOR_PART).await);
    Ok(ironbark::DescribeInventoryResponse { inventories: vec![inventory], ..Default::default() })
}
