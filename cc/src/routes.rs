//! What the cluster controller serves: the visible list, request to function. The operations of
//! `eucalyptus_cc.wsdl` and those of `ironbark.wsdl` that a cluster has; no handler registers
//! itself anywhere else.

use std::sync::Arc;

use ironbark_wsdl::trace::Recorder;
use ironbark_wsdl::{Router, cc, ironbark};

use crate::budget;
use crate::cluster::Cluster;
use crate::handlers::{bundles, instances, inventory, network, nodes, placements, resources, run, trace, volumes};

/// The Ironbark operations that a cluster serves, as DescribeCluster tells them.
pub const IRONBARK: &[&str] = &[
    "DescribeCluster",
    "StopInstances",
    "StartInstances",
    "RegisterNode",
    "DeregisterNode",
    "ModifyNode",
    "DescribePlacements",
    "PlanInstances",
    "JoinPlacementGroup",
    "RestrictPlacement",
    "DescribeTrace",
    "DescribeLogs",
    "DescribeInventory",
];

/// The router over a cluster; `recorder` keeps the spans of what it serves.
pub fn router(cluster: Arc<Cluster>, recorder: Arc<Recorder>) -> Router<Cluster> {
    Router::new(cluster, recorder, budget::OPERATION)
        .on::<cc::DescribeInstances, _, _>(instances::describe_instances)
        .on::<cc::DescribeResources, _, _>(resources::describe_resources)
        .on::<cc::RunInstances, _, _>(run::run_instances)
        .on::<cc::TerminateInstances, _, _>(instances::terminate_instances)
        .on::<cc::RebootInstances, _, _>(instances::reboot_instances)
        .on::<cc::GetConsoleOutput, _, _>(instances::get_console_output)
        .on::<cc::AttachVolume, _, _>(volumes::attach_volume)
        .on::<cc::DetachVolume, _, _>(volumes::detach_volume)
        .on::<cc::StartNetwork, _, _>(network::start_network)
        .on::<cc::StopNetwork, _, _>(network::stop_network)
        .on::<cc::ConfigureNetwork, _, _>(network::configure_network)
        .on::<cc::AssignAddress, _, _>(network::assign_address)
        .on::<cc::UnassignAddress, _, _>(network::unassign_address)
        .on::<cc::DescribeNetworks, _, _>(network::describe_networks)
        .on::<cc::DescribePublicAddresses, _, _>(network::describe_public_addresses)
        .on::<cc::BundleInstance, _, _>(bundles::bundle_instance)
        .on::<cc::CancelBundleTask, _, _>(bundles::cancel_bundle_task)
        .on::<cc::DescribeBundleTasks, _, _>(bundles::describe_bundle_tasks)
        .on::<ironbark::DescribeCluster, _, _>(nodes::describe_cluster)
        .on::<ironbark::RegisterNode, _, _>(nodes::register_node)
        .on::<ironbark::DeregisterNode, _, _>(nodes::deregister_node)
        .on::<ironbark::ModifyNode, _, _>(nodes::modify_node)
        .on::<ironbark::StopInstances, _, _>(instances::stop_instances)
        .on::<ironbark::StartInstances, _, _>(instances::start_instances)
        .on::<ironbark::DescribePlacements, _, _>(placements::describe_placements)
        .on::<ironbark::PlanInstances, _, _>(placements::plan_instances)
        .on::<ironbark::JoinPlacementGroup, _, _>(placements::join_placement_group)
        .on::<ironbark::RestrictPlacement, _, _>(placements::restrict_placement)
        .on::<ironbark::DescribeTrace, _, _>(trace::describe_trace)
        .on::<ironbark::DescribeLogs, _, _>(trace::describe_logs)
        .on::<ironbark::DescribeInventory, _, _>(inventory::describe_inventory)
}
