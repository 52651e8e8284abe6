//! What a cluster asks of a node: the 13 operations of `contract/eucalyptus_nc.wsdl`, one struct a
//! message. Fields stand in the schema's order and bear its names; what occurs at most once and may
//! be absent is an `Option`, what may repeat a `Vec`. No behaviour, no tier.
//!
//! The first five fields of each message are those of the base type, repeated because yaserde reads
//! a flattened base twice over.

mod bundles;
mod host;
mod instances;
mod types;
mod volumes;

pub use bundles::*;
pub use host::*;
pub use instances::*;
pub use types::*;
pub use volumes::*;

use crate::marshal::operations;
use crate::service::Service;

operations! {
    Service::Nc, status: none,
    DescribeResource => DescribeResourceResponse "ncDescribeResource",
    DescribeInstances => DescribeInstancesResponse "ncDescribeInstances",
    RunInstance => RunInstanceResponse "ncRunInstance",
    TerminateInstance => TerminateInstanceResponse "ncTerminateInstance",
    RebootInstance => RebootInstanceResponse "ncRebootInstance",
    GetConsoleOutput => GetConsoleOutputResponse "ncGetConsoleOutput",
    AttachVolume => AttachVolumeResponse "ncAttachVolume",
    DetachVolume => DetachVolumeResponse "ncDetachVolume",
    StartNetwork => StartNetworkResponse "ncStartNetwork",
    PowerDown => PowerDownResponse "ncPowerDown",
    BundleInstance => BundleInstanceResponse "ncBundleInstance",
    CancelBundleTask => CancelBundleTaskResponse "ncCancelBundleTask",
    DescribeBundleTasks => DescribeBundleTasksResponse "ncDescribeBundleTasks",
}
