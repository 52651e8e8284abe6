//! Calling a node: who may call when, and until when. A call needs a permit of its node and one of
//! the cluster, both within its deadline; then it goes to the node's transport, which isolates it
//! (forked child or not). Decides nothing about instances.

use std::time::Duration;

use ironbark_wsdl::service::call_about;
use ironbark_wsdl::{CallError, Context, Request, ironbark, nc};
use tokio::time::{Instant, timeout_at};

use crate::budget::seconds;
use crate::cluster::Cluster;
use crate::ids::NodeName;
use crate::link::Pace;

/// How long after a call's deadline we stop waiting for a transport that does not keep it.
const BACKSTOP: Duration = Duration::from_secs(2);

/// A request that nodes serve, and its pace.
pub trait NodeRequest: Request {
    /// Whose permits it takes.
    const PACE: Pace;
    /// Sets the header's node name, where the contract has one.
    fn address(&mut self, _host: &str) {}
}

macro_rules! paces {
    ($($request:ty => $pace:ident $(, $node_name:ident)?;)*) => {
        $(impl NodeRequest for $request {
            const PACE: Pace = Pace::$pace;
            $(fn address(&mut self, host: &str) {
                self.$node_name = Some(host.to_string());
            })?
        })*
    };
}

// The bundle requests carry no node name (wire/nc.md 2).
paces! {
    nc::DescribeResource => Poll, node_name;
    nc::DescribeInstances => Poll, node_name;
    ironbark::DescribeNode => Poll;
    nc::RebootInstance => Quick, node_name;
    ironbark::DescribeTrace => Quick;
    ironbark::DescribeLogs => Quick;
    ironbark::DescribeInventory => Quick;
    nc::RunInstance => Slow, node_name;
    nc::TerminateInstance => Slow, node_name;
    nc::GetConsoleOutput => Slow, node_name;
    nc::AttachVolume => Slow, node_name;
    nc::DetachVolume => Slow, node_name;
    nc::BundleInstance => Slow;
    nc::CancelBundleTask => Slow;
    ironbark::StopInstance => Slow;
    ironbark::StartInstance => Slow;
}

/// Calls a node. `allowance` (see [`crate::budget`]) bounds waiting for a permit and the call
/// together, and so does what is left of the request's own time.
///
/// # Errors
/// As [`ironbark_wsdl::call`]; [`CallError::Unreachable`] also when no permit came free in time,
/// for then nothing was sent.
pub async fn tell<R: NodeRequest>(
    cluster: &Cluster,
    ctx: &Context,
    node: &NodeName,
    mut request: R,
    allowance: Duration,
) -> Result<R::Response, CallError> {
    let Some(link) = cluster.link(node) else {
        return Err(CallError::Unreachable { reason: "it is not registered with this cluster".to_string() });
    };
    let ctx = ctx.within(allowance);
    let budget = ctx.remaining();
    let deadline = Instant::now() + budget;
    // The node's permit first: whoever waits for a busy node keeps nothing from the others.
    let permits = async { (link.permits.one(R::PACE).await, cluster.permits.one(R::PACE).await) };
    let Ok(_held) = timeout_at(deadline, permits).await else {
        let reason = format!("too many calls are waiting; nothing was sent to it within {} s", budget.as_secs());
        return Err(CallError::Unreachable { reason });
    };
    request.address(link.host());
    let call = call_about(&*link.transport, &ctx, request, node.as_str());
    match timeout_at(deadline + BACKSTOP, call).await {
        Ok(result) => result,
        Err(_) => {
            Err(CallError::TimedOut { after: budget, reason: "its transport did not keep the deadline".to_string() })
        }
    }
}

/// A failed call in a sentence that names the node: what a user reads in `statusMessage`.
pub fn sentence(node: &NodeName, error: &CallError) -> String {
    format!("node {node} {}", words(error))
}

/// A failed call in words to follow the node's name.
pub fn words(error: &CallError) -> String {
    match error {
        CallError::Declined { reason } => format!("declined: {reason}"),
        CallError::Fault { code, reason } => {
            format!("and this cluster do not understand each other ({code}): {reason}")
        }
        CallError::Unreachable { reason } => format!("cannot be reached: {reason}"),
        CallError::TimedOut { after, reason } => {
            format!("did not answer within {} s ({reason}); whether it did as asked is not known", seconds(*after))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_name_the_node_and_the_time() {
        let node = NodeName::parse("n1").unwrap();
        let late = CallError::TimedOut { after: Duration::from_millis(19_960), reason: "no answer".into() };
        assert!(sentence(&node, &late).starts_with("node n1 did not answer within 20 s"));
    }
}
