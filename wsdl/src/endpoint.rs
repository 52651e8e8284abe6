//! A tier's door: HTTP in, envelope, signature, router, and the signed way back. Knows no
//! operation. [`crate::peer`] is the other end; `old` answers callers of Eucalyptus 2.0.1.

mod old;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};

use crate::envelope::{self, Envelope, Limits, Outgoing};
use crate::fault::{Fault, FaultCode};
use crate::http::{Answer, Body, Handler};
use crate::service::{Incoming, Router, Served};
use crate::trace::{Moment, now_micros};
use crate::wsse::{Expect, Profile, Security};

/// A contract file that the endpoint serves.
#[derive(Clone, Copy, Debug)]
pub struct Contract {
    /// The query string under which it is found: `wsdl`, `wsdl=ironbark`.
    pub query: &'static str,
    /// The file, whose service addresses are replaced by the endpoint's own.
    pub text: &'static str,
}

/// One SOAP service on one path.
pub struct Endpoint<S> {
    router: Router<S>,
    security: Option<Security>,
    path: &'static str,
    contracts: &'static [Contract],
    limits: Limits,
}

impl<S: Send + Sync + 'static> Endpoint<S> {
    /// Serves `router` at `path`. Without `security` anybody may call: that is for measuring what
    /// signatures cost, and no configuration of a tier asks for it.
    pub fn new(
        router: Router<S>,
        security: Option<Security>,
        path: &'static str,
        contracts: &'static [Contract],
    ) -> Self {
        Self { router, security, path, contracts, limits: Limits::request() }
    }

    /// As a handler for [`crate::http::serve`].
    pub fn into_handler(self) -> Handler {
        let endpoint = Arc::new(self);
        Arc::new(move |request| {
            let endpoint = endpoint.clone();
            Box::pin(async move { endpoint.handle(request).await })
        })
    }

    /// Answers one HTTP request.
    pub async fn handle(&self, request: Request<Bytes>) -> Answer {
        if request.uri().path().trim_end_matches('/') != self.path {
            return plain(StatusCode::NOT_FOUND, format!("nothing is served here; the service is at {}\n", self.path));
        }
        match *request.method() {
            Method::GET => self.contract(&request),
            Method::POST => self.call(request).await,
            _ => plain(StatusCode::METHOD_NOT_ALLOWED, "POST a SOAP 1.1 envelope, or GET ?wsdl\n".to_string()),
        }
    }

    fn contract(&self, request: &Request<Bytes>) -> Answer {
        let query = request.uri().query().unwrap_or_default();
        let Some(contract) = self.contracts.iter().find(|contract| contract.query.eq_ignore_ascii_case(query)) else {
            let known: Vec<String> =
                self.contracts.iter().map(|contract| format!("{}?{}", self.path, contract.query)).collect();
            return plain(StatusCode::NOT_FOUND, format!("the contracts are at {}\n", known.join(" and ")));
        };
        let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).filter(|host| is_host(host));
        let text = match host {
            Some(host) => readdressed(contract.text, host),
            None => contract.text.to_string(),
        };
        xml(StatusCode::OK, text)
    }

    async fn call(&self, request: Request<Bytes>) -> Answer {
        let received = Moment::now();
        let has_old_callers = self.security.as_ref().is_some_and(Security::has_old_peers);
        let envelope = match envelope::read_from_any(request.body(), &self.limits) {
            Ok(envelope) => envelope,
            Err(unread) if has_old_callers => return old::refuse(unread.old, &unread.fault.reason),
            Err(unread) => return self.refuse(&unread.fault, None),
        };
        match &self.security {
            Some(security) if security.profile_of(&envelope) == Profile::Euca201 => {
                self.call_old(security, request.headers(), &envelope, received).await
            }
            Some(_) | None => self.call_ours(&envelope, received).await,
        }
    }

    async fn call_ours(&self, envelope: &Envelope, received: Moment) -> Answer {
        if let Some(security) = &self.security
            && let Err(error) = security.verify(envelope, Expect::Request)
        {
            tracing::warn!(event = "soap.refused", op = envelope.body_name.local, %error);
            return self.refuse(&error.into(), None);
        }
        let began = now_micros();
        let incoming = Incoming {
            namespace: envelope.body_name.namespace.clone(),
            operation: envelope.body_name.local.clone(),
            body: envelope.body.clone(),
            message_id: envelope.message_id.clone(),
            epochs: envelope.epochs.clone(),
            received,
        };
        let Served { reply, ctx } = match self.router.serve(incoming).await {
            Ok(served) => served,
            Err(fault) => return self.refuse(&fault, Some(envelope)),
        };
        tracing::debug!(event = "soap.served", op = envelope.body_name.local, micros = now_micros() - began);
        let signing = ctx.start(format!("{}.sign", ctx.recorder.kind()), "");
        let written = self.write(envelope, &reply.body, reply.reason.as_deref());
        signing.finish("ok");
        match written {
            Ok(text) => xml(StatusCode::OK, text),
            Err(fault) => self.refuse(&fault, Some(envelope)),
        }
    }

    /// The answer's envelope. Its Action repeats the request's, as 2.0.1 has it.
    fn write(&self, request: &Envelope, body: &str, reason: Option<&str>) -> Result<String, Fault> {
        let outgoing = Outgoing {
            to: None,
            action: request.action.as_deref(),
            message_id: None,
            relates_to: request.message_id.as_deref(),
            reason,
            epochs: None,
            body,
        };
        let signer = self.security.as_ref().map(Security::signer);
        envelope::write(&outgoing, signer.as_ref())
    }

    /// A SOAP fault, with HTTP 500 as SOAP 1.1 demands. Signed if the request was verified: a
    /// stranger is told why, but costs us no signature.
    fn refuse(&self, fault: &Fault, request: Option<&Envelope>) -> Answer {
        tracing::info!(event = "soap.fault", code = fault.code.name(), reason = fault.reason);
        let body = fault_body(fault);
        let written = match request {
            Some(request) => self.write(request, &body, None),
            None => envelope::write(&Outgoing { body: &body, ..Outgoing::default() }, None),
        };
        match written {
            Ok(text) => xml(StatusCode::INTERNAL_SERVER_ERROR, text),
            Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
        }
    }
}

/// A `soapenv:Fault` element with its namespace.
pub fn fault_body(fault: &Fault) -> String {
    let code = match fault.code {
        FaultCode::Client | FaultCode::Server | FaultCode::MustUnderstand | FaultCode::VersionMismatch => {
            fault.code.name()
        }
    };
    // Whatever a stranger sent may be quoted in the reason: only harmless characters are repeated.
    let reason: String = fault.reason.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let reason = quick_xml::escape::escape(reason);
    format!(
        "<soapenv:Fault xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\"><faultcode>soapenv:{code}</faultcode>\
         <faultstring>{reason}</faultstring></soapenv:Fault>"
    )
}

/// A Host header that may stand in a URL as it is.
fn is_host(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']'))
}

/// The contract with every `location="http://HOST/..."` at `host`.
fn readdressed(text: &str, host: &str) -> String {
    const BEFORE: &str = "location=\"http://";
    let mut parts = text.split(BEFORE);
    let mut readdressed = parts.next().unwrap_or_default().to_string();
    for part in parts {
        let path = part.find('/').map_or("", |at| &part[at..]);
        readdressed.push_str(BEFORE);
        readdressed.push_str(host);
        readdressed.push_str(path);
    }
    readdressed
}

fn xml(status: StatusCode, text: String) -> Answer {
    with_type(status, text, "text/xml; charset=utf-8")
}

fn plain(status: StatusCode, text: String) -> Answer {
    with_type(status, text, "text/plain; charset=utf-8")
}

fn with_type(status: StatusCode, text: String, kind: &'static str) -> Answer {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_follow_the_host_that_was_asked() {
        let text = "<a location=\"http://localhost:8775/x\"/><b location=\"http://localhost:8774/y\"/>";
        let expected = "<a location=\"http://n1:9/x\"/><b location=\"http://n1:9/y\"/>";
        assert_eq!(readdressed(text, "n1:9"), expected);
        assert!(is_host("[::1]:8775") && !is_host("a\"b") && !is_host(""));
    }

    #[test]
    fn a_fault_quotes_safely() {
        let body = fault_body(&Fault::client("bad <x>\u{1}\r\n"));
        assert!(body.contains("bad &lt;x&gt;   </faultstring>"), "{body}");
    }
}
