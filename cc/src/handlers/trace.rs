//! The steps and the log lines of a request in this cluster: ours, and through us those of the nodes.

use std::sync::Arc;

use ironbark_wsdl::ironbark::{DescribeLogs, DescribeLogsResponse, DescribeTrace, DescribeTraceResponse, LogLine};
use ironbark_wsdl::{Context, Refusal, log};

use crate::cluster::Cluster;
use crate::cluster::node::Health;
use crate::ids::NodeName;
use crate::nodes::NodeRequest;
use crate::{budget, convert, fan, nodes};

/// Our own spans and those of all nodes that know the operation. A node that does not answer is
/// left out: a trace with a hole is better than none.
pub async fn describe_trace(
    cluster: Arc<Cluster>,
    ctx: Context,
    request: DescribeTrace,
) -> Result<DescribeTraceResponse, Refusal> {
    let own = ctx.recorder.of(&request.request_id).into_iter();
    let later = cluster.background_recorder().of(&request.request_id);
    let mut spans: Vec<_> = own.chain(later).map(convert::span).collect();
    spans.extend(of_nodes(&cluster, &ctx, request).await.into_iter().flat_map(|answer| answer.spans));
    Ok(DescribeTraceResponse { spans, ..Default::default() })
}

/// Our own lines and those of all nodes that know the operation, like [`describe_trace`].
pub async fn describe_logs(
    cluster: Arc<Cluster>,
    ctx: Context,
    request: DescribeLogs,
) -> Result<DescribeLogsResponse, Refusal> {
    let tier = ctx.recorder.tier();
    let own = log::lines_of(&request.request_id);
    let mut lines: Vec<LogLine> = own.into_iter().map(|line| LogLine::of(line, tier)).collect();
    lines.extend(of_nodes(&cluster, &ctx, request).await.into_iter().flat_map(|answer| answer.lines));
    Ok(DescribeLogsResponse { lines, ..Default::default() })
}

/// The answers of all nodes that are not down and know the operation.
async fn of_nodes<R: NodeRequest + Clone>(cluster: &Arc<Cluster>, ctx: &Context, request: R) -> Vec<R::Response> {
    let knowing: Vec<NodeName> = cluster.read(|beliefs| {
        let answering = beliefs.nodes.iter().filter(|node| node.health != Health::Down);
        let knowing = answering.filter(|node| node.identity.operations.iter().any(|known| known == R::NAME));
        knowing.map(|node| node.entry.name.clone()).collect()
    });
    let asked = fan::each(knowing, |node| {
        let (cluster, ctx, request) = (cluster.clone(), ctx.clone(), request.clone());
        async move {
            let answer = nodes::tell(&cluster, &ctx, &node, request, budget::CALL_MIN).await;
            answer.inspect_err(|error| tracing::warn!(event = "trace.missing", node = %node, op = R::NAME, %error))
        }
    });
    asked.await.into_iter().flatten().collect()
}
