//! The timed trace of a request over the three tiers, and its log lines, gathered through the
//! clusters; or of all requests to which an administrator gave one id.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ironbark_wsdl::ironbark::{self, LogLine};
use ironbark_wsdl::{CallError, Context, Request, RequestId, Span, log};
use tokio::task::JoinSet;

use crate::cloud::{Cloud, TIER};
use crate::clusters::tell;
use crate::convert;
use crate::ec2::admin::{DescribeLogs, DescribeTrace, Listing};
use crate::error::{Code, Ec2Error};
use crate::front::Caller;
use crate::hosts::Reader;

/// Longest wait for a cluster's part; what has come by then is shown.
const BUDGET: Duration = Duration::from_secs(15);

/// Every step of a request: ours and, asked through, the clusters' and their nodes'. For who made
/// the request, without the hosts' names, and for administrators. A cluster that does not answer is a step that says so.
///
/// # Errors
/// `NoSuchEntity` if nobody knows it, or it is another's.
pub async fn describe_trace(
    cloud: Arc<Cloud>,
    ctx: Context,
    caller: Caller,
    request: DescribeTrace,
) -> Result<Listing<Span>, Ec2Error> {
    let mut spans = Vec::new();
    for id in meant(&cloud, &caller, &request.request_id).await? {
        spans.extend(cloud.recorder.of(&id));
        let message = ironbark::DescribeTrace { request_id: id.clone(), ..Default::default() };
        for (cluster, part) in of_clusters(&cloud, &ctx, message).await {
            match part {
                Ok(answer) => spans.extend(answer.spans.into_iter().map(convert::span)),
                Err(error) => spans.push(missing_span(&id, &cluster, &error)),
            }
        }
    }
    let reader = Reader::of(&cloud, &caller);
    for span in &mut spans {
        span.tier = reader.text(&span.tier);
        span.detail = span.detail.as_deref().map(|detail| reader.text(detail));
        span.outcome = reader.text(&span.outcome);
    }
    spans.sort_by_key(|span| span.start);
    if spans.is_empty() { Err(unknown(request.request_id.as_str())) } else { Ok(Listing(spans)) }
}

fn missing_span(id: &str, cluster: &str, error: &CallError) -> Span {
    Span {
        request_id: id.to_string(),
        id: format!("missing {cluster}"),
        parent: None,
        tier: format!("cc:{cluster}"),
        name: "trace.missing".to_string(),
        detail: None,
        start: ironbark_wsdl::trace::now_micros(),
        duration: 0,
        outcome: error.to_string(),
    }
}

/// Every line of the tiers' logs that bears the request's id, by time; like [`describe_trace`].
///
/// # Errors
/// As [`describe_trace`].
pub async fn describe_logs(
    cloud: Arc<Cloud>,
    ctx: Context,
    caller: Caller,
    request: DescribeLogs,
) -> Result<Listing<LogLine>, Ec2Error> {
    let mut lines = Vec::new();
    for id in meant(&cloud, &caller, &request.request_id).await? {
        lines.extend(log::lines_of(&id).into_iter().map(|line| LogLine::of(line, TIER)));
        let message = ironbark::DescribeLogs { request_id: id, ..Default::default() };
        for (cluster, part) in of_clusters(&cloud, &ctx, message).await {
            match part {
                Ok(answer) => lines.extend(answer.lines),
                Err(error) => lines.push(LogLine {
                    time: ironbark_wsdl::trace::now_micros(),
                    tier: format!("cc:{cluster}"),
                    level: "WARN".to_string(),
                    event: "trace.missing".to_string(),
                    text: error.to_string(),
                }),
            }
        }
    }
    let reader = Reader::of(&cloud, &caller);
    for line in &mut lines {
        line.tier = reader.text(&line.tier);
        line.text = reader.text(&line.text);
    }
    // The sort is stable: what one tier wrote in one microsecond stays in its order.
    lines.sort_by_key(|line| line.time);
    if lines.is_empty() { Err(unknown(request.request_id.as_str())) } else { Ok(Listing(lines)) }
}

fn unknown(id: &str) -> Ec2Error {
    let text = format!("Nothing is known of a request {id} of yours; traces and lines are kept of the latest only");
    Ec2Error::new(Code::NoSuchEntity, text)
}

/// The requests that are meant by an id, of those that the caller may look at: the one that has it, or for an
/// administrator those to which it was given.
async fn meant(cloud: &Cloud, caller: &Caller, id: &RequestId) -> Result<BTreeSet<String>, Ec2Error> {
    let own = BTreeSet::from([id.to_string()]);
    if caller.is_administrator() {
        let parts = cloud.requests_of(id.as_str()).await?;
        return Ok(if parts.is_empty() { own } else { parts });
    }
    let requester = cloud.requester(id.as_str()).await?;
    if requester.as_ref() == Some(&caller.account) { Ok(own) } else { Err(unknown(id.as_str())) }
}

/// The part of every cluster that knows the operation, by the clusters' names.
async fn of_clusters<R: Request + Clone>(
    cloud: &Arc<Cloud>,
    ctx: &Context,
    message: R,
) -> Vec<(String, Result<R::Response, CallError>)> {
    let mut parts = JoinSet::new();
    for (cluster, known) in cloud.clusters.all_known() {
        if known.knows(R::NAME) {
            let (cloud, ctx, message) = (cloud.clone(), ctx.within(BUDGET), message.clone());
            parts.spawn(async move {
                let part = tell(&cloud.clusters, &ctx, &cluster.name, message, &cluster.name).await;
                (cluster.name, part)
            });
        }
    }
    let mut parts = parts.join_all().await;
    parts.sort_by(|(one, _), (other, _)| one.cmp(other));
    parts
}
