//! The Transport of the mode `fork`: each call in a child of its own, made by the fork server. What
//! crosses is a job and an outcome, as JSON. The message is signed before it crosses, for what a
//! peer answers is what must be kept apart, and because a forked child's random numbers come late:
//! the crypto library gathers entropy anew after a fork, which takes some 35 ms, more than all else.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Identities, Peer, SoapClient, Turns, malformed};
use crate::child::{ChildError, Isolation};
use crate::clock::Clock;
use crate::context::Context;
use crate::epochs::Epochs;
use crate::fault::CallError;
use crate::service::{BoxFuture, Exchange, Reply, Service, Transport};
use crate::wsse::{Certificate, KeyError, Profile, UnknownProfile};

/// A call as it travels to the child: all that the child cannot know.
#[derive(Serialize, Deserialize)]
struct Job {
    url: String,
    /// `None` where nobody signs: see [`Isolated::unsigned`].
    certificate_pem: Option<String>,
    profile: String,
    service: String,
    operation: String,
    /// The envelope, signed.
    text: String,
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
    url: String,
    certificate_pem: Option<String>,
    profile: Profile,
    /// Writes the messages; it posts none.
    writer: SoapClient,
    isolation: Arc<Isolation>,
    turns: Turns,
}

impl Isolated {
    /// Calls to `peer` through the fork server, whose work must be [`isolated_work`] with the same
    /// identities.
    ///
    /// # Errors
    /// As [`SoapClient::new`].
    pub fn new(peer: Peer, identities: &Identities, isolation: Arc<Isolation>) -> Result<Self, KeyError> {
        let writer = SoapClient::with_idle(&peer, identities, Clock::system(), 0)?;
        let (certificate_pem, turns) = (Some(peer.certificate.pem()), Turns::of(peer.profile));
        Ok(Self { url: peer.url, certificate_pem, profile: peer.profile, writer, isolation, turns })
    }

    /// Calls without signatures, for measuring what they cost.
    pub fn unsigned(url: &str, isolation: Arc<Isolation>) -> Self {
        let (writer, turns) = (SoapClient::unsigned(url), Turns::free());
        Self { url: url.to_string(), certificate_pem: None, profile: Profile::Strict, writer, isolation, turns }
    }

    async fn run(&self, exchange: Exchange, budget: Duration) -> Result<Reply, CallError> {
        let (_turn, budget) = self.turns.take(exchange.service, budget).await?;
        let job = Job {
            url: self.url.clone(),
            certificate_pem: self.certificate_pem.clone(),
            profile: self.profile.name().to_string(),
            service: exchange.service.action(""),
            operation: exchange.operation.to_string(),
            text: self.writer.write(&exchange)?,
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

/// What each child of the fork server does with its job: it posts the message and judges the answer,
/// on a runtime of its own. To be made before the server is forked: what the crypto library prepares at
/// its first use is prepared here, once, and not in every child.
pub fn isolated_work(identities: Identities) -> impl Fn(&[u8]) -> Vec<u8> {
    for identity in [Some(&identities.own), identities.old.as_ref()].into_iter().flatten() {
        // No signature of anything; but that is found out only after all the work of checking it.
        identity.certificate().verifies(identity.algorithm(), b"", &[1; 64]);
    }
    move |job| {
        let outcome = match perform(job, &identities) {
            Ok(reply) => Outcome::Reply { body: reply.body, reason: reply.reason },
            Err(error) => Outcome::Failed(error),
        };
        serde_json::to_vec(&outcome).unwrap_or_default()
    }
}

fn perform(job: &[u8], identities: &Identities) -> Result<Reply, CallError> {
    let job: Job = serde_json::from_slice(job).map_err(|error| malformed(error.to_string()))?;
    let service = [Service::Nc, Service::Cc, Service::Ironbark]
        .into_iter()
        .find(|service| service.action("") == job.service)
        .ok_or_else(|| malformed(format!("no contract has the actions {}", job.service)))?;
    let (operation, message_id) = (leak(job.operation), job.message_id);
    let exchange = Exchange { service, operation, body: String::new(), message_id, epochs: Epochs::default() };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CallError::Unreachable { reason: format!("no runtime in the child: {error}") })?;
    let client = match job.certificate_pem {
        Some(pem) => {
            let certificate = Certificate::from_pem(&pem).map_err(|error| malformed(error.to_string()))?;
            let profile = job.profile.parse().map_err(|error: UnknownProfile| malformed(error.to_string()))?;
            // One call, one connection: nothing is kept idle in a process that ends.
            let client =
                SoapClient::with_idle(&Peer { url: job.url, certificate, profile }, identities, Clock::system(), 0);
            client.map_err(|error| malformed(error.to_string()))?
        }
        None => SoapClient::unsigned(&job.url),
    };
    runtime.block_on(client.deliver(&exchange, job.text, Duration::from_millis(job.budget_ms)))
}

/// The child ends after this one call: the name may live as long as the process.
fn leak(operation: String) -> &'static str {
    Box::leak(operation.into_boxed_str())
}
