//! The door as callers of Eucalyptus 2.0.1 know it: dispatched by wsa:Action, answered in their layout
//! and dialect, refused in their words by an unsigned fault after which the connection is closed. They
//! have the operations of 2.0.1 only: what Ironbark added is not for callers whose Bodies anybody on
//! the way can change.

use http::{HeaderMap, HeaderValue, StatusCode, header};
use uuid::Uuid;

use super::{Endpoint, is_host, plain, with_type};
use crate::envelope::Envelope;
use crate::epochs::Epochs;
use crate::euca201::{self, Addressing, OldFault, dialect};
use crate::fault::{Fault, FaultCode};
use crate::http::Answer;
use crate::service::{Incoming, Service};
use crate::trace::Moment;
use crate::wsse::{Expect, Security, SecurityError};

/// The longest MessageID that is kept for traces; old clients' have 50 characters.
const LONGEST_ID: usize = 128;

/// What an old caller is told, and what is wrong.
struct Refused {
    fault: OldFault,
    problem: String,
}

fn refused<T>(fault: OldFault, problem: impl Into<String>) -> Result<T, Refused> {
    Err(Refused { fault, problem: problem.into() })
}

impl<S: Send + Sync + 'static> Endpoint<S> {
    /// Answers an old caller, or one that we do not know.
    pub(super) async fn call_old(
        &self,
        security: &Security,
        headers: &HeaderMap,
        envelope: &Envelope,
        received: Moment,
    ) -> Answer {
        if !headers.contains_key("SOAPAction") {
            return plain(StatusCode::NOT_FOUND, "a SOAP 1.1 request has a SOAPAction header\n".to_string());
        }
        match self.serve_old(security, headers, envelope, received).await {
            Ok(text) => with_type(StatusCode::OK, text, "text/xml"),
            Err(Refused { fault, problem }) => {
                tracing::warn!(event = "soap.refused", profile = "euca-2.0.1", op = envelope.body_name.local, problem);
                refuse(fault, &problem)
            }
        }
    }

    async fn serve_old(
        &self,
        security: &Security,
        headers: &HeaderMap,
        envelope: &Envelope,
        received: Moment,
    ) -> Result<String, Refused> {
        is_soap11(headers)?;
        self.dispatch(envelope)?;
        security.verify(envelope, Expect::Request).map_err(|error| match error {
            SecurityError::Old { fault, problem } => Refused { fault, problem },
            other => Refused { fault: OldFault::NotVerified, problem: other.to_string() },
        })?;
        if envelope.body_name.namespace != Service::Nc.namespace() {
            let problem = format!("the Body's child is in the namespace '{}'", envelope.body_name.namespace);
            return refused(OldFault::NotOfContract, problem);
        }
        let incoming = Incoming {
            namespace: envelope.body_name.namespace.clone(),
            operation: envelope.body_name.local.clone(),
            body: envelope.body.clone(),
            message_id: envelope.message_id.clone().filter(|id| id.len() <= LONGEST_ID),
            epochs: Epochs::default(),
            received,
        };
        let reply = self.router.serve(incoming).await?.reply;
        let body = dialect::answer(&reply.body).or_else(|error| refused(OldFault::Server, error.to_string()))?;
        let here = format!("http://{}{}", host(headers), self.path);
        let addressing = Addressing::Answer {
            action: envelope.action.as_deref().unwrap_or_default(),
            from: envelope.to.as_deref().unwrap_or(&here),
            message_id: &format!("urn:uuid:{}", Uuid::new_v4()),
            relates_to: envelope.message_id.as_deref(),
        };
        Ok(euca201::write(addressing, &body, security.old_identity())?)
    }

    /// wsa:To decides the service by its last part and wsa:Action the operation, before any signature
    /// is looked at; SOAPAction is not looked at, nor the host in To.
    fn dispatch(&self, envelope: &Envelope) -> Result<(), Refused> {
        let last = |url: &'static str| url.rsplit('/').next().unwrap_or_default();
        let service = last(self.path);
        if let Some(to) = &envelope.to
            && to.trim_end_matches('/').rsplit('/').next() != Some(service)
        {
            return refused(OldFault::ServiceNotFound, format!("the message is for '{to}'; this is {}", self.path));
        }
        let operation = match &envelope.action {
            Some(action) => action.strip_prefix(service).and_then(|rest| rest.strip_prefix('#')),
            None => Some(envelope.body_name.local.as_str()),
        };
        let old = Service::Nc.namespace();
        if self.router.operations().iter().any(|(namespace, name)| *namespace == old && Some(*name) == operation) {
            return Ok(());
        }
        let asked = envelope.action.as_ref().unwrap_or(&envelope.body_name.local);
        refused(OldFault::OperationNotFound, format!("no operation '{asked}' for callers of the profile euca-2.0.1"))
    }
}

impl From<Fault> for Refused {
    /// Of a verified message: our router's and our writer's faults.
    fn from(fault: Fault) -> Self {
        let old = match fault.code {
            FaultCode::Client | FaultCode::MustUnderstand | FaultCode::VersionMismatch => OldFault::NotOfContract,
            FaultCode::Server => OldFault::Server,
        };
        Self { fault: old, problem: fault.reason }
    }
}

/// Any content type but SOAP 1.1's is SOAP 1.2 to the old server, or nothing it knows.
fn is_soap11(headers: &HeaderMap) -> Result<(), Refused> {
    let Some(kind) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let kind = kind.to_str().unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("text/xml") {
        return Ok(());
    }
    refused(OldFault::SoapVersion, format!("the content type '{kind}'; SOAP 1.1 has text/xml"))
}

/// Under which name we were called.
fn host(headers: &HeaderMap) -> &str {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    host.filter(|host| is_host(host)).unwrap_or("localhost")
}

/// A fault as the old server sends it.
pub(super) fn refuse(fault: OldFault, problem: &str) -> Answer {
    let mut response = with_type(StatusCode::INTERNAL_SERVER_ERROR, fault.envelope(problem), "text/xml");
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}
