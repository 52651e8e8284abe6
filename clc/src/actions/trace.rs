//! The timed trace of a request over the three tiers, gathered through the clusters.

use std::sync::Arc;
use std::time::Duration;

use ironbark_wsdl::{Context, Span, ironbark};
use tokio::task::JoinSet;

use crate::cloud::Cloud;
use crate::clusters::tell;
use crate::convert;
use crate::ec2::admin::{DescribeTrace, Listing};
use crate::error::{Code, Ec2Error};
use crate::front::Caller;

/// Longest wait for a cluster's part; what has come by then is shown.
const BUDGET: Duration = Duration::from_secs(15);

/// Every step of a request: ours and, asked through, the clusters' and their nodes'. For who made
/// the request, and for administrators.
///
/// # Errors
/// `NoSuchEntity` if nobody knows it, or it is another's.
pub async fn describe_trace(
    cloud: Arc<Cloud>,
    ctx: Context,
    caller: Caller,
    request: DescribeTrace,
) -> Result<Listing<Span>, Ec2Error> {
    let id = request.request_id.to_string();
    let unknown = || {
        let text =
            format!("There is no trace of a request {id} of yours; traces are kept for the latest requests only");
        Ec2Error::new(Code::NoSuchEntity, text)
    };
    if !caller.is_administrator() && cloud.requester(&id).await?.as_deref() != Some(caller.account.as_str()) {
        return Err(unknown());
    }
    let mut spans = cloud.recorder.of(&id);
    let mut parts = JoinSet::new();
    for (cluster, known) in cloud.clusters.all_known() {
        if known.knows("DescribeTrace") {
            parts.spawn(part(cloud.clone(), ctx.clone(), cluster.name, id.clone()));
        }
    }
    spans.extend(parts.join_all().await.into_iter().flatten());
    spans.sort_by_key(|span| span.start);
    if spans.is_empty() { Err(unknown()) } else { Ok(Listing(spans)) }
}

/// One cluster's part. A cluster that does not answer is a line of the trace that says so.
async fn part(cloud: Arc<Cloud>, ctx: Context, cluster: String, id: String) -> Vec<Span> {
    let message = ironbark::DescribeTrace { request_id: id.clone(), ..ironbark::DescribeTrace::default() };
    match tell(&cloud.clusters, &ctx.within(BUDGET), &cluster, message, &id).await {
        Ok(answer) => answer.spans.into_iter().map(convert::span).collect(),
        Err(error) => {
            let asked = ctx.start("trace.missing", format!("the part of cluster {cluster}"));
            let span = Span {
                request_id: id,
                id: asked.ctx().span.clone(),
                parent: None,
                tier: format!("cc:{cluster}"),
                name: "trace.missing".to_string(),
                detail: None,
                start: ironbark_wsdl::trace::now_micros(),
                duration: 0,
                outcome: error.to_string(),
            };
            asked.finish(error.kind());
            vec![span]
        }
    }
}
