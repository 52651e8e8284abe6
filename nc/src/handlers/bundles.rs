//! Bundling, which 2.0.1 has for Windows guests and a Walrus store. We have neither: the operations
//! answer as the contract says, and nothing is ever being bundled.

use std::sync::Arc;

use ironbark_wsdl::{Context, Refusal, nc};

use crate::node::Node;

/// Not offered.
pub async fn bundle_instance(
    _node: Arc<Node>,
    _ctx: Context,
    _request: nc::BundleInstance,
) -> Result<nc::BundleInstanceResponse, Refusal> {
    Err(Refusal::new("bundling needs Windows guests and Walrus; not offered"))
}

/// There is never a bundling to give up.
pub async fn cancel_bundle_task(
    node: Arc<Node>,
    _ctx: Context,
    request: nc::CancelBundleTask,
) -> Result<nc::CancelBundleTaskResponse, Refusal> {
    let record = node.instance(&request.instance_id.unwrap_or_default())?.record();
    Err(Refusal::new(format!("{}: nothing is being bundled", record.id)))
}

/// `none` for each instance asked for that is here; asking for none is refused, as in 2.0.1.
pub async fn describe_bundle_tasks(
    node: Arc<Node>,
    _ctx: Context,
    request: nc::DescribeBundleTasks,
) -> Result<nc::DescribeBundleTasksResponse, Refusal> {
    if request.instance_ids.is_empty() {
        return Err(Refusal::new("instanceIds is missing: at least one is needed"));
    }
    let known = request.instance_ids.into_iter().filter(|id| node.instance(id).is_ok());
    let task = |id| nc::BundleTask { instance_id: Some(id), state: Some("none".to_string()), manifest: None };
    Ok(nc::DescribeBundleTasksResponse { bundle_tasks: known.map(task).collect(), ..Default::default() })
}
