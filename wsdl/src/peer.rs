//! A call to another tier over HTTP: sign, post, verify, and say honestly how it went. The
//! Transport of the mode `semaphore`; the mode `fork` runs the same code in a child
//! ([`Isolated`]), so that whatever a peer answers can harm that child only.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use quick_xml::events::Event;
use serde::{Deserialize, Serialize};

use crate::child::{ChildError, Isolation};
use crate::clock::Clock;
use crate::context::Context;
use crate::envelope::{self, Envelope, Limits, Outgoing};
use crate::fault::CallError;
use crate::http::{HttpClient, post};
use crate::service::{BoxFuture, Exchange, Reply, Service, Transport};
use crate::wsse::{Certificate, Expect, Identity, Profile, Security};

/// Longest wait for a TCP connection.
const CONNECT_WAIT: Duration = Duration::from_secs(3);
/// Idle connections kept for a peer.
const IDLE: usize = 16;

/// Whom to call, and who must have signed the answer.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Where it listens, `http://host:8775/axis2/services/EucalyptusNC`.
    pub url: String,
    /// The only certificate that its answers may bear.
    pub certificate: Certificate,
}

/// A signed conversation with one peer, over connections that are kept.
pub struct SoapClient {
    url: String,
    security: Option<Security>,
    http: HttpClient,
}

impl SoapClient {
    /// A client that signs as `identity` and believes only `peer`.
    pub fn new(peer: &Peer, identity: Arc<Identity>, clock: Clock) -> Self {
        Self::with_idle(peer, identity, clock, IDLE)
    }

    /// A client without signatures, for measuring what they cost.
    pub fn unsigned(url: &str) -> Self {
        Self { url: url.to_string(), security: None, http: HttpClient::new(CONNECT_WAIT, IDLE) }
    }

    fn with_idle(peer: &Peer, identity: Arc<Identity>, clock: Clock, idle: usize) -> Self {
        let security = Security::new(identity, Profile::Strict, clock);
        security.trust(vec![peer.certificate.clone()]);
        Self { url: peer.url.clone(), security: Some(security), http: HttpClient::new(CONNECT_WAIT, idle) }
    }

    /// One call, within `budget`.
    ///
    /// # Errors
    /// As [`Transport::send`].
    pub async fn call(&self, exchange: &Exchange, budget: Duration) -> Result<Reply, CallError> {
        let action = exchange.service.action(exchange.operation);
        let text = self.write(exchange, &action)?;
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/xml; charset=utf-8"));
        let quoted = HeaderValue::try_from(format!("\"{action}\"")).map_err(|error| malformed(error.to_string()))?;
        headers.insert("SOAPAction", quoted);
        let (status, body) = post(&self.http, &self.url, headers, text, budget).await?;
        self.read(exchange, status, &body)
    }

    fn write(&self, exchange: &Exchange, action: &str) -> Result<String, CallError> {
        let outgoing = Outgoing {
            to: Some(&self.url),
            action: Some(action),
            message_id: Some(&exchange.message_id),
            body: &exchange.body,
            ..Outgoing::default()
        };
        let signer = self.security.as_ref().map(Security::signer);
        Ok(envelope::write(&outgoing, signer.as_ref())?)
    }

    /// Judges an answer. Whatever is no proper answer is a Fault: the peer may have done what was
    /// asked, so the caller takes it for unknown.
    fn read(&self, exchange: &Exchange, status: StatusCode, body: &[u8]) -> Result<Reply, CallError> {
        let envelope = envelope::read(body, &Limits::default()).map_err(|fault| {
            malformed(format!("{} answered {status} with what is no SOAP answer: {}", self.url, fault.reason))
        })?;
        let verified = match &self.security {
            None => Ok(()),
            Some(security) => security.verify(&envelope, Expect::Reply { to: &exchange.message_id }).map(drop),
        };
        if envelope.body_name.local == "Fault" {
            let (code, reason) = read_fault(&envelope);
            let note = if verified.is_ok() { "" } else { " (not signed by the peer)" };
            return Err(CallError::Fault { code, reason: format!("{reason}{note}") });
        }
        verified.map_err(|error| malformed(format!("the answer of {} is not believed: {error}", self.url)))?;
        let expected = format!("{}Response", exchange.operation);
        if envelope.body_name.local != expected || envelope.body_name.namespace != exchange.service.namespace() {
            return Err(malformed(format!("{} answered with {}, not {expected}", self.url, envelope.body_name.local)));
        }
        Ok(Reply { body: envelope.body, reason: envelope.reason })
    }
}

impl Transport for SoapClient {
    fn send<'a>(&'a self, ctx: &'a Context, exchange: Exchange) -> BoxFuture<'a, Result<Reply, CallError>> {
        Box::pin(async move { self.call(&exchange, ctx.remaining()).await })
    }
}

fn malformed(reason: String) -> CallError {
    CallError::Fault { code: "Client".to_string(), reason }
}

/// The code's local part and the text of a SOAP 1.1 fault.
fn read_fault(envelope: &Envelope) -> (String, String) {
    let (mut code, mut reason, mut inside) = (String::new(), String::new(), None);
    let mut reader = quick_xml::Reader::from_str(&envelope.body);
    // The envelope was read before, so this is well-formed; an error only ends the search.
    while let Ok(event) = reader.read_event() {
        match event {
            Event::Start(start) => match start.local_name().as_ref() {
                "faultcode" => inside = Some(true),
                "faultstring" => inside = Some(false),
                _ => {}
            },
            Event::Text(text) => match inside {
                Some(true) => code.push_str(&text),
                Some(false) => reason.push_str(&text),
                None => {}
            },
            Event::GeneralRef(reference) if inside == Some(false) => {
                reason.push_str(quick_xml::escape::resolve_predefined_entity(&reference).unwrap_or("?"));
            }
            Event::End(_) => inside = None,
            Event::Eof => break,
            Event::Empty(_)
            | Event::CData(_)
            | Event::Comment(_)
            | Event::Decl(_)
            | Event::PI(_)
            | Event::DocType(_)
            | Event::GeneralRef(_) => {}
        }
    }
    let local = code.rsplit(':').next().unwrap_or_default().trim().to_string();
    (local, reason)
}

/// A call as it travels to the child: all that the child cannot know.
#[derive(Serialize, Deserialize)]
struct Job {
    url: String,
    certificate_pem: String,
    service: String,
    operation: String,
    body: String,
    message_id: String,
    budget_ms: u64,
}

/// What comes back from the child.
#[derive(Serialize, Deserialize)]
enum Outcome {
    Reply { body: String, reason: Option<String> },
    Failed(CallError),
}

/// The Transport of the mode `fork`: each call in a child of its own.
pub struct Isolated {
    peer: Peer,
    isolation: Arc<Isolation>,
}

impl Isolated {
    /// Calls to `peer` through the fork server, whose work must be [`isolated_work`].
    pub fn new(peer: Peer, isolation: Arc<Isolation>) -> Self {
        Self { peer, isolation }
    }

    async fn run(&self, exchange: Exchange, budget: Duration) -> Result<Reply, CallError> {
        let job = Job {
            url: self.peer.url.clone(),
            certificate_pem: self.peer.certificate.pem(),
            service: exchange.service.action(""),
            operation: exchange.operation.to_string(),
            body: exchange.body,
            message_id: exchange.message_id,
            budget_ms: u64::try_from(budget.as_millis()).unwrap_or(u64::MAX),
        };
        let job = serde_json::to_vec(&job).map_err(|error| malformed(error.to_string()))?;
        // The child's own limit comes first, so that it can say where it got stuck.
        let answer =
            self.isolation.run(&job, budget + Duration::from_millis(200)).await.map_err(|error| match error {
                ChildError::Deadline(after) => {
                    CallError::TimedOut { after, reason: "the isolated call was killed".to_string() }
                }
                ChildError::Crashed(_) => CallError::Fault { code: "Server".to_string(), reason: error.to_string() },
                ChildError::NoServer(_) => CallError::Unreachable { reason: error.to_string() },
            })?;
        match serde_json::from_slice(&answer).map_err(|error| malformed(error.to_string()))? {
            Outcome::Reply { body, reason } => Ok(Reply { body, reason }),
            Outcome::Failed(error) => Err(error),
        }
    }
}

impl Transport for Isolated {
    fn send<'a>(&'a self, ctx: &'a Context, exchange: Exchange) -> BoxFuture<'a, Result<Reply, CallError>> {
        Box::pin(self.run(exchange, ctx.remaining()))
    }
}

/// What each child of the fork server does with its job: the whole call, on a runtime of its own.
pub fn isolated_work(identity: Arc<Identity>) -> impl Fn(&[u8]) -> Vec<u8> {
    move |job| {
        let outcome = match perform(job, identity.clone()) {
            Ok(reply) => Outcome::Reply { body: reply.body, reason: reply.reason },
            Err(error) => Outcome::Failed(error),
        };
        serde_json::to_vec(&outcome).unwrap_or_default()
    }
}

fn perform(job: &[u8], identity: Arc<Identity>) -> Result<Reply, CallError> {
    let job: Job = serde_json::from_slice(job).map_err(|error| malformed(error.to_string()))?;
    let certificate = Certificate::from_pem(&job.certificate_pem).map_err(|error| malformed(error.to_string()))?;
    let service = [Service::Nc, Service::Cc, Service::Ironbark]
        .into_iter()
        .find(|service| service.action("") == job.service)
        .ok_or_else(|| malformed(format!("no contract has the actions {}", job.service)))?;
    let exchange = Exchange { service, operation: leak(job.operation), body: job.body, message_id: job.message_id };
    let peer = Peer { url: job.url, certificate };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CallError::Unreachable { reason: format!("no runtime in the child: {error}") })?;
    // One call, one connection: nothing is kept idle in a process that ends.
    let client = SoapClient::with_idle(&peer, identity, Clock::system(), 0);
    runtime.block_on(client.call(&exchange, Duration::from_millis(job.budget_ms)))
}

/// The child ends after this one call: the name may live as long as the process.
fn leak(operation: String) -> &'static str {
    Box::leak(operation.into_boxed_str())
}
