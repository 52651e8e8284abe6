//! What each operation does: read the wire, ask the node, write the wire. One function an operation,
//! of its snake_case name; no decision about an instance is made here.

mod bundles;
mod host;
mod instances;
mod node;
mod volumes;

pub use bundles::{bundle_instance, cancel_bundle_task, describe_bundle_tasks};
pub use host::{describe_resource, power_down, start_network};
pub use instances::{
    describe_instances, get_console_output, reboot_instance, run_instance, start_instance, stop_instance,
    terminate_instance,
};
pub use node::{OPERATIONS, describe_inventory, describe_logs, describe_node, describe_trace};
pub use volumes::{attach_volume, detach_volume};
