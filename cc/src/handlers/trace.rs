//! The steps of a request in this cluster: ours, and through us those of the nodes.

use std::sync::Arc;

use ironbark_wsdl::ironbark::{DescribeTrace, DescribeTraceResponse};
use ironbark_wsdl::{Context, Refusal};

use crate::cluster::Cluster;
use crate::cluster::node::Health;
use crate::ids::NodeName;
use crate::{budget, convert, fan, nodes};

/// Our own spans and those of all nodes that know the operation. A node that does not answer is
/// left out: a trace with a hole is better than none.
pub async fn describe_trace(
    cluster: Arc<Cluster>,
    ctx: Context,
    request: DescribeTrace,
) -> Result<DescribeTraceResponse, Refusal> {
    let knowing: Vec<NodeName> = cluster.read(|beliefs| {
        let answering = beliefs.nodes.iter().filter(|node| node.health != Health::Down);
        let knowing = answering.filter(|node| node.identity.operations.iter().any(|known| known == "DescribeTrace"));
        knowing.map(|node| node.entry.name.clone()).collect()
    });
    let asked = fan::each(knowing, |node| {
        let (cluster, ctx, request) = (cluster.clone(), ctx.clone(), request.clone());
        async move {
            let answer = nodes::tell(&cluster, &ctx, &node, request, budget::CALL_MIN).await;
            answer.inspect_err(|error| tracing::warn!(node = %node, %error, "its part of the trace is missing"))
        }
    });
    let mut spans: Vec<_> = ctx.recorder.of(&request.request_id).into_iter().map(convert::span).collect();
    spans.extend(asked.await.into_iter().flatten().flat_map(|answer| answer.spans));
    Ok(DescribeTraceResponse { spans, ..Default::default() })
}
