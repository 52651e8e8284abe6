//! The three ideas that carry every call: a **Request** knows its wire name and its response; a
//! **Router** is a visible list from request to function; a **Transport** takes an XML body out
//! and brings an XML body back. A Router is a Transport too, so a test's node is the real router
//! behind real XML. Nothing here knows HTTP, signatures or any tier.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tracing::Instrument;
use uuid::Uuid;
use yaserde::{YaDeserialize, YaSerialize};

use crate::context::{Context, RequestId, SYSTEM_USER};
use crate::epochs::Epochs;
use crate::fault::{CallError, Fault, Refusal};
use crate::marshal::{from_xml, to_xml};
use crate::trace::{Moment, Recorder};

/// A future on the heap, as traits that are used as objects need it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A contract: its namespace and how its SOAPAction is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// Eucalyptus 2.0.1's node controller (`wsdl/contract/eucalyptus_nc.wsdl`).
    Nc,
    /// Eucalyptus 2.0.1's cluster controller (`wsdl/contract/eucalyptus_cc.wsdl`).
    Cc,
    /// What the 2.0.1 wire lacks (`wsdl/contract/ironbark.wsdl`); asked only of peers that know it.
    Ironbark,
}

impl Service {
    /// The namespace of its messages.
    pub fn namespace(self) -> &'static str {
        match self {
            Service::Nc | Service::Cc => "http://eucalyptus.ucsb.edu/",
            Service::Ironbark => "urn:ironbark:1",
        }
    }

    /// The SOAPAction and wsa:Action of an operation, `EucalyptusNC#ncRebootInstance`.
    pub fn action(self, operation: &str) -> String {
        match self {
            Service::Nc => format!("EucalyptusNC#{operation}"),
            Service::Cc => format!("EucalyptusCC#{operation}"),
            Service::Ironbark => format!("Ironbark#{operation}"),
        }
    }
}

/// The header fields that every message of every contract begins with.
pub trait Message: crate::marshal::Wire {
    /// The request id, where the sender gave one.
    fn correlation_id(&self) -> Option<&str>;
    /// The user on whose behalf, where the sender gave one.
    fn user_id(&self) -> Option<&str>;
    /// Sets both.
    fn stamp(&mut self, correlation_id: Option<&str>, user_id: Option<&str>);
}

/// A request message: it knows its wire name, its contract and its response.
pub trait Request: Message + YaSerialize + YaDeserialize + Send + Sync + 'static {
    /// Local name of the body's child, `ncRebootInstance`.
    const NAME: &'static str;
    /// The contract it belongs to.
    const SERVICE: Service;
    /// What comes back; its element is `NAME` followed by `Response`.
    type Response: Response;
}

/// A response message.
pub trait Response: Message + YaSerialize + YaDeserialize + Send + Sync + 'static {
    /// The field `return`, where it was sent.
    fn accepted(&self) -> Option<bool>;
    /// Sets the field `return`.
    fn accept(&mut self, accepted: bool);
    /// The reason in `statusMessage`, where the contract has room for text.
    fn status(&self) -> Option<&str>;
    /// A refusal: `return=false`, the reason where there is room, and schema-valid values in
    /// whatever is mandatory.
    fn refused(reason: &str) -> Self;
}

/// One call as a transport sees it.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The contract.
    pub service: Service,
    /// The operation, which is also the local name of the body's child.
    pub operation: &'static str,
    /// The body's child, as XML.
    pub body: String,
    /// `urn:uuid:...`: the wsa:MessageID, and the id of the caller's span for this call.
    pub message_id: String,
    /// Which operation of each of its instances it is.
    pub epochs: Epochs,
}

/// What came back: the body's child in canonical form, and the reason of a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The body's child, as XML.
    pub body: String,
    /// The text of the `Reason` header block.
    pub reason: Option<String>,
}

/// XML body out, XML body back. HTTP, the forked child, a limit, a test's fault: each is a
/// Transport, and wraps one.
pub trait Transport: Send + Sync {
    /// Sends one request and waits for its reply until `ctx.deadline`.
    fn send<'a>(&'a self, ctx: &'a Context, exchange: Exchange) -> BoxFuture<'a, Result<Reply, CallError>>;
}

/// Calls an operation of another tier: marshals, sends, unmarshals, and records a span named
/// `TIER.call.OPERATION` that bears the message's id.
///
/// # Errors
/// [`CallError::Declined`] when the peer answered `return=false`; otherwise as the transport says.
pub async fn call<R: Request>(transport: &dyn Transport, ctx: &Context, request: R) -> Result<R::Response, CallError> {
    call_about(transport, ctx, request, "").await
}

/// [`call`], with a detail for the trace: which instance, which node.
///
/// # Errors
/// As [`call`].
pub async fn call_about<R: Request>(
    transport: &dyn Transport,
    ctx: &Context,
    mut request: R,
    detail: &str,
) -> Result<R::Response, CallError> {
    request.stamp(Some(ctx.request.as_str()), Some(&ctx.user));
    let message_id = format!("urn:uuid:{}", Uuid::new_v4());
    let span = ctx.start_as(message_id.clone(), format!("{}.call.{}", ctx.recorder.kind(), R::NAME), detail);
    let result = exchange::<R>(transport, span.ctx(), &request, message_id).await;
    span.finish(result.as_ref().map_or_else(|error| format!("{}: {error}", error.kind()), |_| "ok".to_string()));
    result
}

async fn exchange<R: Request>(
    transport: &dyn Transport,
    ctx: &Context,
    request: &R,
    message_id: String,
) -> Result<R::Response, CallError> {
    let unmarshallable = |error: crate::marshal::MarshalError| CallError::Fault {
        code: "Client".to_string(),
        reason: error.to_string(),
    };
    let body = to_xml(request).map_err(unmarshallable)?;
    let epochs = ctx.epochs.clone();
    let exchange = Exchange { service: R::SERVICE, operation: R::NAME, body, message_id, epochs };
    let reply = transport.send(ctx, exchange).await?;
    let response: R::Response = from_xml(&reply.body).map_err(unmarshallable)?;
    if response.accepted() == Some(false) {
        let reason = reply
            .reason
            .or_else(|| response.status().map(str::to_string))
            .unwrap_or_else(|| "the peer gave no reason".to_string());
        return Err(CallError::Declined { reason });
    }
    Ok(response)
}

/// A verified message on its way to its handler.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// Namespace of the body's child.
    pub namespace: String,
    /// Local name of the body's child: the operation.
    pub operation: String,
    /// The body's child in canonical form.
    pub body: String,
    /// The caller's wsa:MessageID, under which our spans hang.
    pub message_id: Option<String>,
    /// Which operation of each of its instances it is.
    pub epochs: Epochs,
    /// When its bytes were there: before they were read and their signature verified.
    pub received: Moment,
}

/// A message that was served.
#[derive(Clone, Debug)]
pub struct Served {
    /// Its answer.
    pub reply: Reply,
    /// The request it was part of, under the caller's span: for what is still done for the answer.
    pub ctx: Context,
}

type Route<S> =
    Box<dyn Fn(Arc<S>, Arc<Recorder>, Duration, Incoming) -> BoxFuture<'static, Result<Served, Fault>> + Send + Sync>;

/// The visible list of what a tier serves: request type to function, one line each.
pub struct Router<S> {
    state: Arc<S>,
    recorder: Arc<Recorder>,
    budget: Duration,
    routes: Vec<(&'static str, &'static str, Route<S>)>,
}

impl<S: Send + Sync + 'static> Router<S> {
    /// An empty router over a tier's state. `budget` is the time a handler has for its answer.
    pub fn new(state: Arc<S>, recorder: Arc<Recorder>, budget: Duration) -> Self {
        Self { state, recorder, budget, routes: Vec::new() }
    }

    /// Adds a line: requests of type `R` go to `handler`.
    #[must_use]
    pub fn on<R, F, Fut>(mut self, handler: F) -> Self
    where
        R: Request,
        F: Fn(Arc<S>, Context, R) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<R::Response, Refusal>> + Send + 'static,
    {
        let route: Route<S> = Box::new(move |state, recorder, budget, incoming| {
            let handler = handler.clone();
            Box::pin(serve_one(state, recorder, budget, incoming, handler))
        });
        self.routes.push((R::SERVICE.namespace(), R::NAME, route));
        self
    }

    /// The operations routed, as (namespace, name): what the conformance test compares.
    pub fn operations(&self) -> Vec<(&'static str, &'static str)> {
        self.routes.iter().map(|(namespace, name, _)| (*namespace, *name)).collect()
    }

    /// Serves one verified message.
    ///
    /// # Errors
    /// A [`Fault`] when the operation is unknown, its message malformed, or its handler in [`Refusal::Trouble`].
    pub async fn serve(&self, incoming: Incoming) -> Result<Served, Fault> {
        let fits = |line: &&(&str, &str, Route<S>)| line.0 == incoming.namespace && line.1 == incoming.operation;
        let Some((_, _, route)) = self.routes.iter().find(fits) else {
            return Err(Fault::client(format!(
                "no operation {{{}}}{} here; the WSDL at ?wsdl lists what there is",
                incoming.namespace, incoming.operation
            )));
        };
        route(self.state.clone(), self.recorder.clone(), self.budget, incoming).await
    }
}

/// One request through its handler: unmarshal, run within the budget, echo the header, marshal.
async fn serve_one<S, R, F, Fut>(
    state: Arc<S>,
    recorder: Arc<Recorder>,
    budget: Duration,
    incoming: Incoming,
    handler: F,
) -> Result<Served, Fault>
where
    S: Send + Sync + 'static,
    R: Request,
    F: Fn(Arc<S>, Context, R) -> Fut,
    Fut: Future<Output = Result<R::Response, Refusal>>,
{
    let request: R = from_xml(&incoming.body).map_err(|error| Fault::client(error.to_string()))?;
    let id = RequestId::from_peer(request.correlation_id());
    let user = request.user_id().unwrap_or(SYSTEM_USER).to_string();
    // The tier above asks every few seconds how things are: that is no news.
    let asks_of_requests = matches!(R::NAME, "DescribeTrace" | "DescribeLogs");
    let describes = R::NAME.trim_start_matches("nc").starts_with("Describe") && !asks_of_requests;
    let poll = describes && user == SYSTEM_USER;
    let recorder = if poll { Arc::new(Recorder::silent(recorder.tier())) } else { recorder };
    let mut ctx = Context::new(id, user, budget, recorder).with_epochs(incoming.epochs);
    ctx.span = incoming.message_id.unwrap_or_default();
    let kind = ctx.recorder.kind();
    ctx.start(format!("{kind}.verify"), "").since(incoming.received).finish("ok");
    let span = ctx.start(format!("{kind}.{}", R::NAME), "");
    let inner = span.ctx().clone();
    let log = tracing::info_span!("request", req = %ctx.request, user = %ctx.user, op = R::NAME);
    let echo = (request.correlation_id().map(str::to_string), request.user_id().map(str::to_string));
    async move {
        let began = std::time::Instant::now();
        tracing::debug!(event = "request.begin");
        let (mut response, outcome) = match inner.during(handler(state, inner.clone(), request)).await {
            Ok(response) => (response, None),
            Err(Refusal::Declined(reason)) => (R::Response::refused(&reason), Some(reason)),
            Err(Refusal::Trouble(reason)) => {
                let ms = began.elapsed().as_millis();
                tracing::error!(event = "request.end", outcome = "trouble", ms, reason);
                span.finish(format!("trouble: {reason}"));
                return Err(Fault::server(reason));
            }
        };
        if response.accepted().is_none() {
            response.accept(true);
        }
        response.stamp(echo.0.as_deref(), echo.1.as_deref());
        let ms = began.elapsed().as_millis();
        match &outcome {
            None if poll => tracing::debug!(event = "request.end", outcome = "ok", ms),
            None => tracing::info!(event = "request.end", outcome = "ok", ms),
            Some(reason) => tracing::warn!(event = "request.end", outcome = "refused", ms, reason),
        }
        span.finish(outcome.as_deref().map_or_else(|| "ok".to_string(), |reason| format!("refused: {reason}")));
        let body = to_xml(&response).map_err(|error| Fault::server(error.to_string()))?;
        Ok(Served { reply: Reply { body, reason: outcome }, ctx })
    }
    .instrument(log)
    .await
}

impl<S: Send + Sync + 'static> Transport for Router<S> {
    fn send<'a>(&'a self, ctx: &'a Context, exchange: Exchange) -> BoxFuture<'a, Result<Reply, CallError>> {
        Box::pin(async move {
            let incoming = Incoming {
                namespace: exchange.service.namespace().to_string(),
                operation: exchange.operation.to_string(),
                body: exchange.body,
                message_id: Some(exchange.message_id),
                epochs: exchange.epochs,
                received: Moment::now(),
            };
            let budget = ctx.remaining();
            match tokio::time::timeout(budget, self.serve(incoming)).await {
                Ok(served) => Ok(served?.reply),
                Err(_) => Err(CallError::TimedOut { after: budget, reason: "the router gave no answer".to_string() }),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nc;

    #[tokio::test]
    async fn a_no_is_an_answer_and_a_trouble_is_a_fault() {
        let refused = async |refusal: Refusal| {
            let (recorder, budget) = (Arc::new(Recorder::new("nc:test")), Duration::from_secs(60));
            let handler = move |_: Arc<()>, _: Context, _: nc::TerminateInstance| {
                let refusal = refusal.clone();
                async move { Err::<nc::TerminateInstanceResponse, _>(refusal) }
            };
            let router = Router::new(Arc::new(()), recorder.clone(), budget).on(handler);
            let ctx = Context::background(budget, recorder);
            call(&router, &ctx, nc::TerminateInstance::default()).await.unwrap_err()
        };
        let (no, full) = ("it is protected".to_string(), "the disk is full".to_string());
        assert_eq!(refused(Refusal::Declined(no.clone())).await, CallError::Declined { reason: no });
        let fault = CallError::Fault { code: "Server".to_string(), reason: full.clone() };
        assert_eq!(refused(Refusal::Trouble(full)).await, fault);
    }
}
