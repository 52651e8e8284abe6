//! One HTTP request from its first line to its answer: which door, who asks, what is done, what is
//! said. The request id is born here.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use ironbark_wsdl::clock::Clock;
use ironbark_wsdl::http::{Answer, Handler};
use ironbark_wsdl::wsse::Identity;
use ironbark_wsdl::{Context, Moment, Recorder, RequestId};
use tracing::Instrument;

use super::action::{Actions, Caller, Reply};
use super::directory::{Answered, Directory};
use super::query::{self, Accepted, Form};
use super::replay::Replays;
use super::reply::{Rejected, failure, success, xml};
use super::signature::Message;
use super::soap::{self, Guard};
use super::wsdl;
use super::xml::Door;
use crate::error::{Code, Ec2Error};

/// Where the API is; a slash may follow, and belongs to what clients sign. `/` is for libraries
/// that cannot be told a path.
const PATHS: [&str; 3] = ["/services/Eucalyptus", "/services/compute", ""];

/// The largest body, in bytes; the largest honest one is a RunInstances with 16 KiB of user data.
const MAX_BODY: usize = 1 << 20;

/// How long an action may take if nothing else is said: clients give up after 60 s.
const BUDGET: Duration = Duration::from_secs(55);

/// The EC2 API in front of a cloud's state `S`.
pub struct Front<S> {
    state: Arc<S>,
    actions: Actions<S>,
    recorder: Arc<Recorder>,
    guard: Guard,
    replays: Replays,
    clock: Clock,
    url: String,
    version_1: bool,
}

impl<S: Directory> Front<S> {
    /// Serves `actions` over `state`. `identity` is the cloud's own; `url` is where clients find
    /// it, as the contract at `?wsdl` tells.
    pub fn new(
        state: Arc<S>,
        actions: Actions<S>,
        recorder: Arc<Recorder>,
        identity: Arc<Identity>,
        clock: Clock,
        url: impl Into<String>,
    ) -> Self {
        let guard = Guard::new(identity, clock.clone());
        Self { state, actions, recorder, guard, replays: Replays::default(), clock, url: url.into(), version_1: false }
    }

    /// Takes signatures of version 1 too, which are not safe.
    #[must_use]
    pub fn accepting_version_1(mut self, accept: bool) -> Self {
        self.version_1 = accept;
        self
    }

    /// As a handler for [`ironbark_wsdl::http::serve`].
    pub fn into_handler(self) -> Handler {
        let front = Arc::new(self);
        Arc::new(move |request| {
            let front = front.clone();
            Box::pin(async move { front.handle(request).await })
        })
    }

    /// Answers one request.
    pub async fn handle(self: &Arc<Self>, request: Request<Bytes>) -> Answer {
        let id = RequestId::random();
        let span = tracing::info_span!(
            "request", req = %id, user = tracing::field::Empty, op = tracing::field::Empty, global = tracing::field::Empty
        );
        self.answer(id, request).instrument(span).await
    }

    async fn answer(self: &Arc<Self>, id: RequestId, request: Request<Bytes>) -> Answer {
        let peer = request.extensions().get::<SocketAddr>().map(ToString::to_string).unwrap_or_default();
        let path: String = request.uri().path().chars().take(100).collect();
        tracing::info!(event = "request.begin", peer, method = request.method().as_str(), path);
        let began = Instant::now();
        let (response, outcome) = match way(&request) {
            Ok(Way::Contract) => (xml(StatusCode::OK, &id, wsdl::at(&self.url)), Ok(())),
            Ok(Way::Api { door, is_form }) => self.serve(&id, &request, door, is_form).await,
            Err(error) => {
                let rejected = Rejected::from(error);
                (failure(Door::Query, &id, &rejected), Err(rejected))
            }
        };
        report(began, &outcome);
        response
    }

    /// One request of the API: authenticate, carry out, write down.
    async fn serve(
        self: &Arc<Self>,
        id: &RequestId,
        request: &Request<Bytes>,
        door: Door,
        is_form: bool,
    ) -> (Answer, Result<(), Rejected>) {
        let received = Moment::now();
        let accepted = match self.accept(request, door, is_form).await {
            Ok(accepted) => accepted,
            // No span is kept of strangers: they could push out everybody else's.
            Err(rejected) => return (failure(door, id, &rejected), Err(rejected)),
        };
        let caller = accepted.caller.clone();
        let (action, version) = (accepted.call.action.clone(), accepted.version.clone());
        // What the account owns below bears its id.
        let ctx = Context::new(id.clone(), caller.account.as_str(), BUDGET, self.recorder.clone());
        // What goes on after the answer finds the span by the request's id.
        let root = ctx.start_as(id.to_string(), "clc.request", action.as_str()).since(received);
        // Each step begins where the one before ended: no time of a request is nobody's.
        let verified = root.ctx().start("clc.front.verify", caller.to_string()).since(received).finish("ok");
        tracing::Span::current().record("user", caller.to_string()).record("op", action.as_str());
        let global = global_id(request, &caller);
        if let Some(id) = &global {
            tracing::Span::current().record("global", tracing::field::display(id));
        }
        let began = Instant::now();
        let (performed, ended) = self.perform(root.ctx(), accepted, verified).await;
        let outcome = performed.as_ref().map_or_else(|error| error.code.as_str(), |_| "ok");
        let answering = root.ctx().start("clc.front.answer", "").since(ended);
        let (caller, global, took) = (&caller, global.as_ref(), began.elapsed());
        self.state.answered(root.ctx(), Answered { caller, action: &action, global, outcome, took });
        let (answer, result) = match performed {
            Ok(reply) => (success(door, version, &action, id, reply), Ok(())),
            Err(error) => {
                let rejected = Rejected::from(error);
                (failure(door, id, &rejected), Err(rejected))
            }
        };
        let answered = answering.finish("ok");
        root.finish_at(outcome, answered);
        (answer, result)
    }

    async fn accept(&self, request: &Request<Bytes>, door: Door, is_form: bool) -> Result<Accepted, Rejected> {
        if request.body().len() > MAX_BODY {
            return Err(
                Ec2Error::new(Code::RequestTooLarge, format!("The request is larger than {MAX_BODY} bytes")).into()
            );
        }
        match door {
            Door::Soap => soap::accept(self.state.as_ref(), &self.guard, request.body()).await,
            Door::Query => {
                let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
                let headers: Vec<(String, String)> =
                    request.headers().iter().map(|(name, value)| (name.as_str().to_string(), text(value))).collect();
                let form = Form { is_body: is_form, version_1: self.version_1 };
                let message = Message {
                    method: request.method().as_str(),
                    path: request.uri().path(),
                    query: request.uri().query().unwrap_or_default(),
                    headers: &headers,
                    body: request.body(),
                };
                Ok(query::accept(self.state.as_ref(), &self.replays, self.clock.now(), &message, form).await?)
            }
        }
    }

    /// Carries the action out in a task of its own: a client that hangs up does not leave it half
    /// done, and a panic in it is one failed request.
    async fn perform(self: &Arc<Self>, ctx: &Context, accepted: Accepted, began: Moment) -> (Performed, Moment) {
        let span = ctx.start("clc.action", accepted.call.action.clone()).since(began);
        let (front, inner) = (self.clone(), span.ctx().clone());
        let work = async move {
            let Accepted { caller, call, version: _ } = accepted;
            let served = front.actions.serve(front.state.clone(), inner.clone(), caller, &call);
            inner.during(served).await
        };
        let result = match tokio::spawn(work.in_current_span()).await {
            Ok(result) => result,
            Err(error) => Err(Ec2Error::internal(error)),
        };
        let ended = span.finish(result.as_ref().map_or_else(ToString::to_string, |_| "ok".to_string()));
        (result, ended)
    }
}

/// What came of an action.
type Performed = Result<Box<dyn Reply + Send>, Ec2Error>;

/// What a request asks for.
enum Way {
    /// `GET ...?wsdl`
    Contract,
    Api {
        door: Door,
        /// The body is a form with parameters.
        is_form: bool,
    },
}

/// The id that an administrator of the cloud gave to what the request is part of (`X-Request-Id: req-UUID`). Others'
/// is no more than what some proxy put there, and so is one of another form.
fn global_id(request: &Request<Bytes>, caller: &Caller) -> Option<RequestId> {
    let text = request.headers().get("x-request-id").filter(|_| caller.is_administrator())?.to_str().ok()?;
    text.strip_prefix("req-").and_then(|_| text.parse().ok())
}

fn way(request: &Request<Bytes>) -> Result<Way, Ec2Error> {
    let path = request.uri().path();
    if !PATHS.contains(&path.strip_suffix('/').unwrap_or(path)) {
        return Err(Ec2Error::new(
            Code::NotFound,
            "Nothing is served at this path; the EC2 API is at /services/Eucalyptus",
        ));
    }
    let query = request.uri().query().unwrap_or_default();
    let kind = request.headers().get(header::CONTENT_TYPE).map(|kind| kind.as_bytes().to_ascii_lowercase());
    let kind = kind.as_deref().unwrap_or_default();
    match *request.method() {
        Method::GET if query.eq_ignore_ascii_case("wsdl") => Ok(Way::Contract),
        Method::GET => Ok(Way::Api { door: Door::Query, is_form: false }),
        Method::POST if kind.starts_with(b"text/xml") || kind.starts_with(b"application/soap+xml") => {
            Ok(Way::Api { door: Door::Soap, is_form: false })
        }
        Method::POST
            if kind.is_empty()
                || kind.starts_with(b"application/x-www-form-urlencoded")
                || request.body().is_empty() =>
        {
            Ok(Way::Api { door: Door::Query, is_form: true })
        }
        Method::POST => Err(Ec2Error::new(
            Code::InvalidRequest,
            "The Content-Type must be application/x-www-form-urlencoded (Query) or text/xml (SOAP)",
        )),
        _ => Err(Ec2Error::new(Code::MethodNotAllowed, "Use GET or POST")),
    }
}

/// The line that ends a request, with what lies behind a failure.
fn report(began: Instant, outcome: &Result<(), Rejected>) {
    let ms = began.elapsed().as_millis();
    match outcome {
        Ok(()) => tracing::info!(event = "request.end", outcome = "ok", ms),
        Err(Rejected::Request(error)) => {
            let (code, reason, cause) = (error.code.as_str(), error.message.as_str(), chain(error));
            if error.code.is_server() {
                tracing::error!(event = "request.end", outcome = code, ms, reason, cause);
            } else {
                tracing::warn!(event = "request.end", outcome = code, ms, reason, cause);
            }
        }
        Err(Rejected::Envelope(fault)) => {
            tracing::warn!(event = "request.end", outcome = fault.code.name(), ms, reason = fault.reason);
        }
    }
}

/// Everything behind an error, outermost first.
fn chain(error: &Ec2Error) -> String {
    let mut texts = Vec::new();
    let mut next = std::error::Error::source(error);
    while let Some(source) = next {
        texts.push(source.to_string());
        next = source.source();
    }
    texts.join(": ")
}
