//! The list of what a node serves: request to function, one line each.

use std::sync::Arc;
use std::time::Duration;

use ironbark_wsdl::{Recorder, Router};

use crate::handlers;
use crate::node::Node;

/// The time a handler has: what the old CC waits for an answer (wire/nc.md 4).
const BUDGET: Duration = Duration::from_secs(20);

/// The node's router.
pub fn router(node: Arc<Node>, recorder: Arc<Recorder>) -> Router<Node> {
    Router::new(node, recorder, BUDGET)
        // Eucalyptus 2.0.1 (wsdl/contract/eucalyptus_nc.wsdl)
        .on(handlers::describe_resource)
        .on(handlers::describe_instances)
        .on(handlers::run_instance)
        .on(handlers::terminate_instance)
        .on(handlers::reboot_instance)
        .on(handlers::get_console_output)
        .on(handlers::attach_volume)
        .on(handlers::detach_volume)
        .on(handlers::start_network)
        .on(handlers::power_down)
        .on(handlers::bundle_instance)
        .on(handlers::cancel_bundle_task)
        .on(handlers::describe_bundle_tasks)
        // Ironbark (wsdl/contract/ironbark.wsdl)
        .on(handlers::describe_node)
        .on(handlers::stop_instance)
        .on(handlers::start_instance)
        .on(handlers::describe_trace)
        .on(handlers::describe_logs)
        .on(handlers::describe_inventory)
}
