//! Who asked, under which request id, until when: the first argument of every call.

use std::fmt;
use std::future::Future;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use thiserror::Error;
use uuid::Uuid;

use crate::epochs::Epochs;
use crate::trace::{Moment, Recorder, Span};

tokio::task_local! {
    /// The request that the present task works for, for what lies too deep to be handed a context:
    /// the records.
    static PRESENT: Context;
}

/// The user in whose name the cloud itself acts (Eucalyptus 2.0.1's super-user on the wire).
pub const SYSTEM_USER: &str = "eucalyptus";

/// The id of one request over all tiers: a lower-case UUID. It is EC2's `requestId`, the wire's
/// `correlationId`, and `req=` on every log line.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(String);

/// A text that is no request id.
#[derive(Debug, Error)]
#[error("'{0}' is no request id: it should be a UUID such as the requestId of an answer")]
pub struct BadRequestId(String);

impl RequestId {
    /// A new random id.
    pub fn random() -> Self {
        Self(Uuid::new_v4().to_string())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id a peer sent in `correlationId`. Old peers send their own forms, or none: a text of
    /// up to 128 harmless characters is kept so that their logs and ours agree; anything else,
    /// and nothing at all, becomes a new id.
    pub fn from_peer(correlation_id: Option<&str>) -> Self {
        let harmless = |text: &str| {
            !text.is_empty()
                && text.len() <= 128
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        };
        match correlation_id {
            Some(text) if harmless(text) => Self(text.to_string()),
            _ => Self::random(),
        }
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RequestId {
    type Err = BadRequestId;

    /// Reads an id that a person typed; a leading `req-` is allowed.
    fn from_str(text: &str) -> Result<Self, BadRequestId> {
        let bare = text.trim().trim_start_matches("req-");
        match Uuid::parse_str(bare) {
            Ok(id) => Ok(Self(id.to_string())),
            Err(_) => Err(BadRequestId(text.to_string())),
        }
    }
}

/// Everything a piece of work must know about the request it belongs to.
#[derive(Clone, Debug)]
pub struct Context {
    /// The request.
    pub request: RequestId,
    /// The user on whose behalf it runs; [`SYSTEM_USER`] for the cloud's own work.
    pub user: String,
    /// Which operation of each of its instances it is, where that is known.
    pub epochs: Epochs,
    /// When the caller stops waiting.
    pub deadline: Instant,
    /// The span under which work is now; empty at the top.
    pub span: String,
    /// Where this tier keeps its spans.
    pub recorder: Arc<Recorder>,
}

impl Context {
    /// A new request that begins in this tier.
    pub fn new(request: RequestId, user: impl Into<String>, budget: Duration, recorder: Arc<Recorder>) -> Self {
        let (deadline, span) = (Instant::now() + budget, String::new());
        Self { request, user: user.into(), epochs: Epochs::default(), deadline, span, recorder }
    }

    /// Work that the cloud does by itself (polling, cleaning up), under an id of its own.
    pub fn background(budget: Duration, recorder: Arc<Recorder>) -> Self {
        Self::new(RequestId::random(), SYSTEM_USER, budget, recorder)
    }

    /// Does work of this request: below it, [`Context::present`] is this context.
    pub async fn during<F: Future>(&self, work: F) -> F::Output {
        PRESENT.scope(self.clone(), work).await
    }

    /// The context of the work that this task is doing, where it said so.
    pub fn present() -> Option<Self> {
        PRESENT.try_with(Clone::clone).ok()
    }

    /// How long the caller still waits; zero when the deadline has passed.
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// The same request with at most `budget` from now on.
    pub fn within(&self, budget: Duration) -> Self {
        let mut inner = self.clone();
        inner.deadline = inner.deadline.min(Instant::now() + budget);
        inner
    }

    /// The same request with `budget` from now on, however little was left: for work that
    /// outlives the answer.
    pub fn detached(&self, budget: Duration) -> Self {
        let mut inner = self.clone();
        inner.deadline = Instant::now() + budget;
        inner
    }

    /// The same request as these operations of its instances.
    #[must_use]
    pub fn with_epochs(mut self, epochs: Epochs) -> Self {
        self.epochs = epochs;
        self
    }

    /// The same request as far as it is about one instance.
    pub fn about(&self, instance_id: &str) -> Self {
        self.clone().with_epochs(self.epochs.only(instance_id))
    }

    /// Opens a span of this request. `name` is stable and documented (`cc.place`); `detail` says
    /// what it was about (an instance id, a node).
    pub fn start(&self, name: impl Into<String>, detail: impl Into<String>) -> OpenSpan {
        self.start_as(Uuid::new_v4().to_string(), name, detail)
    }

    /// Opens a span with a given id: a call's span bears the call's message id, so that the peer
    /// can hang its own spans under it.
    pub fn start_as(&self, id: String, name: impl Into<String>, detail: impl Into<String>) -> OpenSpan {
        let now = Moment::now();
        let mut ctx = self.clone();
        let parent = std::mem::replace(&mut ctx.span, id.clone());
        let span = Span {
            request_id: self.request.to_string(),
            id,
            parent: (!parent.is_empty()).then_some(parent),
            tier: self.recorder.tier().to_string(),
            name: name.into(),
            detail: Some(detail.into()).filter(|text: &String| !text.is_empty()),
            start: now.micros,
            duration: 0,
            outcome: String::new(),
        };
        self.recorder.begin(span.clone());
        OpenSpan { span: Some(span), began: now.instant, ctx }
    }
}

/// A span that has begun. Dropped without [`OpenSpan::finish`], it is recorded as `cancelled`.
#[derive(Debug)]
pub struct OpenSpan {
    span: Option<Span>,
    began: Instant,
    ctx: Context,
}

impl OpenSpan {
    /// The context for work under this span.
    pub fn ctx(&self) -> &Context {
        &self.ctx
    }

    /// The same span, begun earlier: before it was known whose it is.
    #[must_use]
    pub fn since(mut self, began: Moment) -> Self {
        self.began = began.instant;
        if let Some(span) = &mut self.span {
            span.start = began.micros;
        }
        self
    }

    /// Ends the span: `ok`, or how it failed, in few words. Gives the moment, at which the next step
    /// may begin.
    pub fn finish(self, outcome: impl Into<String>) -> Moment {
        let now = Moment::now();
        self.finish_at(outcome, now);
        now
    }

    /// Ends the span where its last step has ended.
    pub fn finish_at(mut self, outcome: impl Into<String>, ended: Moment) {
        self.record(outcome.into(), ended);
    }

    fn record(&mut self, outcome: String, now: Moment) {
        if let Some(mut span) = self.span.take() {
            let lasted = now.instant.saturating_duration_since(self.began);
            span.duration = i64::try_from(lasted.as_micros()).unwrap_or(i64::MAX);
            span.outcome = outcome;
            self.ctx.recorder.record(span);
        }
    }
}

impl Drop for OpenSpan {
    fn drop(&mut self) {
        self.record("cancelled".to_string(), Moment::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typed_id_may_bear_the_prefix() {
        let id = RequestId::random();
        assert_eq!(format!("req-{id}").parse::<RequestId>().unwrap(), id);
        assert!("req-nonsense".parse::<RequestId>().is_err());
    }

    #[test]
    fn a_peers_id_is_kept_only_if_harmless() {
        assert_eq!(RequestId::from_peer(Some("5f0c-4711")).as_str(), "5f0c-4711");
        assert_ne!(RequestId::from_peer(Some("a\nb")).as_str(), "a\nb");
        assert!(!RequestId::from_peer(None).as_str().is_empty());
    }

    #[tokio::test]
    async fn work_knows_whose_it_is_and_a_span_may_begin_before_it_is_named() {
        let recorder = Arc::new(Recorder::new("clc"));
        let ctx = Context::background(Duration::from_secs(1), recorder.clone());
        let began = Moment::now();
        assert!(Context::present().is_none());
        ctx.during(async {
            let present = Context::present().expect("said so");
            present.start("late", "").since(began).finish("ok");
        })
        .await;
        assert_eq!(recorder.of(ctx.request.as_str())[0].start, began.micros);
    }

    #[test]
    fn spans_nest_and_a_dropped_one_says_so() {
        let recorder = Arc::new(Recorder::new("nc:n1"));
        let ctx = Context::background(Duration::from_secs(1), recorder.clone());
        let outer = ctx.start("outer", "");
        drop(outer.ctx().start("inner", "i-1"));
        assert_eq!(recorder.of(ctx.request.as_str())[1].outcome, "in progress");
        outer.finish("ok");
        let spans = recorder.of(ctx.request.as_str());
        assert_eq!(spans.len(), 2);
        assert_eq!((spans[0].name.as_str(), spans[0].outcome.as_str()), ("inner", "cancelled"));
        assert_eq!(spans[0].parent.as_deref(), Some(spans[1].id.as_str()));
        assert_eq!(spans[1].parent, None);
    }
}
