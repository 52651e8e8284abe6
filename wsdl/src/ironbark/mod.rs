//! What the 2.0.1 wire lacks: the operations of `contract/ironbark.wsdl`, one struct a message. Asked
//! only of peers that say they know it (a peer that faults on DescribeNode or DescribeCluster does
//! not). A node serves DescribeNode, StopInstance and StartInstance; both serve DescribeTrace,
//! DescribeLogs and DescribeInventory; a cluster serves the others.

mod cluster;
mod inventory;
mod logs;
mod node;
mod placements;
mod trace;

pub use cluster::*;
pub use inventory::*;
pub use logs::*;
pub use node::*;
pub use placements::*;
pub use trace::*;

use crate::marshal::operations;
use crate::service::Service;

operations! {
    Service::Ironbark, status: text,
    DescribeNode => DescribeNodeResponse "DescribeNode",
    StopInstance => StopInstanceResponse "StopInstance",
    StartInstance => StartInstanceResponse "StartInstance",
    DescribeCluster => DescribeClusterResponse "DescribeCluster",
    StopInstances => StopInstancesResponse "StopInstances",
    StartInstances => StartInstancesResponse "StartInstances",
    RegisterNode => RegisterNodeResponse "RegisterNode",
    DeregisterNode => DeregisterNodeResponse "DeregisterNode",
    ModifyNode => ModifyNodeResponse "ModifyNode",
    DescribePlacements => DescribePlacementsResponse "DescribePlacements",
    PlanInstances => PlanInstancesResponse "PlanInstances",
    JoinPlacementGroup => JoinPlacementGroupResponse "JoinPlacementGroup",
    RestrictPlacement => RestrictPlacementResponse "RestrictPlacement",
    DescribeTrace => DescribeTraceResponse "DescribeTrace",
    DescribeLogs => DescribeLogsResponse "DescribeLogs",
    DescribeInventory => DescribeInventoryResponse "DescribeInventory",
}
