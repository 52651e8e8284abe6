//! Operations on the machine: what it offers, its network, its power.

use std::sync::Arc;
use std::time::Duration;

use ironbark_wsdl::command::Command;
use ironbark_wsdl::{Context, Refusal, nc};

use crate::capacity::Amount;
use crate::convert::number;
use crate::effects::prepare_network;
use crate::node::Node;

/// How long the command that puts the node to sleep may take to return.
const POWER_DOWN_TIME: Duration = Duration::from_secs(15);

/// What the node offers and what is left: nothing while its hypervisor is silent. Disks are counted in GB throughout;
/// 2.0.1 answers MB and subtracts GB.
pub async fn describe_resource(
    node: Arc<Node>,
    _ctx: Context,
    _request: nc::DescribeResource,
) -> Result<nc::DescribeResourceResponse, Refusal> {
    let (limits, used) = node.room()?;
    let left = if node.trouble().is_some() { Amount::default() } else { limits.less(used) };
    Ok(nc::DescribeResourceResponse {
        node_status: "OK".to_string(),
        memory_size_max: number(limits.memory_mb),
        memory_size_available: number(left.memory_mb),
        disk_size_max: number(limits.disk_gb),
        disk_size_available: number(left.disk_gb),
        number_of_cores_max: number(limits.cores),
        number_of_cores_available: number(left.cores),
        public_subnets: "none".to_string(),
        ..Default::default()
    })
}

/// Readies the network of a VLAN. In SYSTEM mode there is one network for all, and it must be there.
pub async fn start_network(
    node: Arc<Node>,
    _ctx: Context,
    _request: nc::StartNetwork,
) -> Result<nc::StartNetworkResponse, Refusal> {
    let (accepted, status, code) = match prepare_network(node.bridge()) {
        Ok(()) => (true, "SUCCESS", 0),
        Err(reason) => {
            tracing::error!(event = "nc.network.missing", reason);
            (false, "FAIL", 2)
        }
    };
    Ok(nc::StartNetworkResponse {
        accepted: Some(accepted),
        status_message: Some(code),
        network_status: Some(status.to_string()),
        ..Default::default()
    })
}

/// Runs the configured command that puts the node to sleep.
pub async fn power_down(
    node: Arc<Node>,
    _ctx: Context,
    _request: nc::PowerDown,
) -> Result<nc::PowerDownResponse, Refusal> {
    let Some((program, args)) = node.power_down.split_first() else {
        return Err(Refusal::new("this node is never powered down: its nc.toml has no power_down command"));
    };
    let holding = node.records().iter().filter(|record| record.state.holds_memory()).count();
    if holding > 0 {
        return Err(Refusal::new(format!("the node is not powered down: {holding} instances run on it")));
    }
    let run = Command::new(program).args(args).timeout(POWER_DOWN_TIME).run().await;
    run.map_err(|error| Refusal::new(format!("the node is not powered down: {error}")))?;
    tracing::warn!(event = "nc.power.down", "the node goes to sleep, as its cluster asked");
    Ok(nc::PowerDownResponse { status_message: Some(0), ..Default::default() })
}
