//! What the cloud asks of a cluster: the 18 operations of `contract/eucalyptus_cc.wsdl`, one struct a
//! message. Fields stand in the schema's order and bear its names; what occurs at most once and may
//! be absent is an `Option`, what may repeat a `Vec`. No behaviour, no tier.
//!
//! Four types are the node's: a size, a network identity and a volume go through unchanged.

mod addresses;
mod bundles;
mod instances;
mod networks;
mod resources;
mod types;
mod volumes;

pub use addresses::*;
pub use bundles::*;
pub use instances::*;
pub use networks::*;
pub use resources::*;
pub use types::*;
pub use volumes::*;

use crate::marshal::operations;
use crate::service::Service;

operations! {
    Service::Cc, status: text,
    DescribeInstances => DescribeInstancesResponse "DescribeInstances",
    DescribeResources => DescribeResourcesResponse "DescribeResources",
    RunInstances => RunInstancesResponse "RunInstances",
    TerminateInstances => TerminateInstancesResponse "TerminateInstances",
    RebootInstances => RebootInstancesResponse "RebootInstances",
    GetConsoleOutput => GetConsoleOutputResponse "GetConsoleOutput",
    AttachVolume => AttachVolumeResponse "AttachVolume",
    DetachVolume => DetachVolumeResponse "DetachVolume",
    StartNetwork => StartNetworkResponse "StartNetwork",
    StopNetwork => StopNetworkResponse "StopNetwork",
    ConfigureNetwork => ConfigureNetworkResponse "ConfigureNetwork",
    AssignAddress => AssignAddressResponse "AssignAddress",
    UnassignAddress => UnassignAddressResponse "UnassignAddress",
    DescribeNetworks => DescribeNetworksResponse "DescribeNetworks",
    DescribePublicAddresses => DescribePublicAddressesResponse "DescribePublicAddresses",
    BundleInstance => BundleInstanceResponse "BundleInstance",
    CancelBundleTask => CancelBundleTaskResponse "CancelBundleTask",
    DescribeBundleTasks => DescribeBundleTasksResponse "DescribeBundleTasks",
}
