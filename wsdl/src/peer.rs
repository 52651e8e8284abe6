//! A call to another tier over HTTP: sign, post, verify, and say honestly how it went. [`SoapClient`]
//! is the Transport of the mode `semaphore`; [`Isolated`], of the mode `fork`, runs the same code in a
//! child, so that whatever a peer answers can harm that child only.

mod isolated;
mod old;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use quick_xml::events::Event;

use crate::clock::Clock;
use crate::context::Context;
use crate::envelope::{self, Envelope, Limits, Outgoing};
use crate::fault::{CallError, Fault};
use crate::http::{HttpClient, post};
use crate::service::{BoxFuture, Exchange, Reply, Transport};
use crate::wsse::{Certificate, Expect, Identity, KeyError, Profile, Security};

pub use isolated::{Isolated, isolated_work};
use old::Turns;

/// Longest wait for a TCP connection.
const CONNECT_WAIT: Duration = Duration::from_secs(3);
/// Idle connections kept for a peer. None for an old one: its node serves one connection at a time and
/// keeps an idle one for 30 s.
const IDLE: usize = 16;
/// Answers over so many bytes are read beside the runtime.
const LONG: usize = 256 * 1024;

/// Whom to call, by which rules, and who must have signed the answer.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Where it listens, `http://host:8775/axis2/services/EucalyptusNC`.
    pub url: String,
    /// The only certificate that its answers may bear.
    pub certificate: Certificate,
    /// `strict`, or `euca-2.0.1` for a peer that an administrator named so.
    pub profile: Profile,
}

/// What a controller signs with.
#[derive(Clone, Debug)]
pub struct Identities {
    /// Its own key.
    pub own: Arc<Identity>,
    /// The RSA key by which peers of Eucalyptus 2.0.1 know it, where it has such peers.
    pub old: Option<Arc<Identity>>,
}

impl From<Arc<Identity>> for Identities {
    fn from(own: Arc<Identity>) -> Self {
        Self { own, old: None }
    }
}

impl Peer {
    /// What is needed to talk to it.
    fn security(&self, identities: &Identities, clock: Clock) -> Result<Security, KeyError> {
        let unusable = |problem: &str| KeyError::Content { what: self.url.clone(), problem: problem.to_string() };
        let identity = match self.profile {
            Profile::Strict => &identities.own,
            Profile::Euca201 => {
                let old = identities.old.as_ref();
                let old = old.ok_or_else(|| unusable("a peer of the profile euca-2.0.1 needs an old_identity here"))?;
                if !(old.certificate().is_rsa() && self.certificate.is_rsa()) {
                    return Err(unusable("the profile euca-2.0.1 knows RSA keys only, on both sides"));
                }
                old
            }
            Profile::User => return Err(unusable("the profile user is not between tiers")),
        };
        let security = Security::new(identity.clone(), self.profile, clock);
        security.trust(vec![self.certificate.clone()]);
        Ok(security)
    }
}

/// A signed conversation with one peer.
pub struct SoapClient {
    url: String,
    profile: Profile,
    security: Option<Security>,
    http: HttpClient,
    turns: Turns,
}

impl SoapClient {
    /// A client that signs as the peer's profile asks and believes only that peer.
    ///
    /// # Errors
    /// [`KeyError::Content`] if the profile is `euca-2.0.1` and a key is missing or not RSA.
    pub fn new(peer: &Peer, identities: &Identities, clock: Clock) -> Result<Self, KeyError> {
        let idle = if peer.profile == Profile::Euca201 { 0 } else { IDLE };
        Self::with_idle(peer, identities, clock, idle)
    }

    /// A client without signatures, for measuring what they cost.
    pub fn unsigned(url: &str) -> Self {
        let http = HttpClient::new(CONNECT_WAIT, IDLE);
        Self { url: url.to_string(), profile: Profile::Strict, security: None, http, turns: Turns::free() }
    }

    fn with_idle(peer: &Peer, identities: &Identities, clock: Clock, idle: usize) -> Result<Self, KeyError> {
        Ok(Self {
            url: peer.url.clone(),
            profile: peer.profile,
            security: Some(peer.security(identities, clock)?),
            http: HttpClient::new(CONNECT_WAIT, idle),
            turns: Turns::of(peer.profile),
        })
    }

    /// One call, within `budget`.
    ///
    /// # Errors
    /// As [`Transport::send`].
    pub async fn call(&self, exchange: &Exchange, budget: Duration) -> Result<Reply, CallError> {
        let text = self.write(exchange)?;
        self.deliver(exchange, text, budget).await
    }

    /// Posts a message that [`SoapClient::write`] made, and judges the answer.
    async fn deliver(&self, exchange: &Exchange, text: String, budget: Duration) -> Result<Reply, CallError> {
        let action = exchange.service.action(exchange.operation);
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/xml; charset=utf-8"));
        let quoted = HeaderValue::try_from(format!("\"{action}\"")).map_err(|error| malformed(error.to_string()))?;
        headers.insert("SOAPAction", quoted);
        if self.profile == Profile::Euca201 {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        let (_turn, budget) = self.turns.take(exchange.service, budget).await?;
        let (status, body) = post(&self.http, &self.url, headers, text, budget).await?;
        self.read(exchange, status, parse(body).await)
    }

    /// The message, signed.
    fn write(&self, exchange: &Exchange) -> Result<String, CallError> {
        let action = &exchange.service.action(exchange.operation);
        if let (Profile::Euca201, Some(security)) = (self.profile, &self.security) {
            return old::write(&self.url, exchange, action, security.identity());
        }
        let epochs = (!exchange.epochs.is_empty()).then(|| exchange.epochs.to_string());
        let outgoing = Outgoing {
            to: Some(&self.url),
            action: Some(action),
            message_id: Some(&exchange.message_id),
            epochs: epochs.as_deref(),
            body: &exchange.body,
            ..Outgoing::default()
        };
        let signer = self.security.as_ref().map(Security::signer);
        Ok(envelope::write(&outgoing, signer.as_ref())?)
    }

    /// Judges an answer. Whatever is no proper answer is a Fault: the peer may have done what was
    /// asked, so the caller takes it for unknown.
    fn read(
        &self,
        exchange: &Exchange,
        status: StatusCode,
        answer: Result<Envelope, Fault>,
    ) -> Result<Reply, CallError> {
        let envelope = answer.map_err(|fault| {
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
        // An old peer has no such header block, so one on its answer is nobody's.
        let reason = envelope.reason.filter(|_| self.profile != Profile::Euca201);
        Ok(Reply { body: envelope.body, reason })
    }
}

impl Transport for SoapClient {
    fn send<'a>(&'a self, ctx: &'a Context, exchange: Exchange) -> BoxFuture<'a, Result<Reply, CallError>> {
        Box::pin(async move { self.call(&exchange, ctx.remaining()).await })
    }
}

/// Reads an answer. A long one takes a second, and what one peer sends must not hold up the calls to
/// others: it is read beside the runtime.
async fn parse(body: Bytes) -> Result<Envelope, Fault> {
    if body.len() <= LONG {
        return envelope::read(&body, &Limits::default());
    }
    let read = tokio::task::spawn_blocking(move || envelope::read(&body, &Limits::default()));
    read.await.unwrap_or_else(|error| Err(Fault::server(format!("the answer could not be read: {error}"))))
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
