//! The one question that a cloud controller of 2.0.1 asks before it asks a cluster anything else: which
//! certificates the cluster and its nodes have (`GetKeys` of the service EucalyptusGL, which is not
//! signed; certificates are public). Its other operation, GetLogs, hands logs to anybody and is not
//! offered.

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use yaserde::{YaDeserialize, YaSerialize};

use super::{OldFault, dialect};
use crate::envelope::names::SOAP;
use crate::envelope::{Limits, read_from_any};
use crate::http::{Answer, Body, Handler};
use crate::marshal::{read, to_xml};
use crate::service::Service;
use crate::wsse::{Certificate, KeyError};

/// Where the service is.
pub const PATH: &str = "/axis2/services/EucalyptusGL";

/// Longest text of a stranger that is sent back.
const LONGEST_ECHO: usize = 512;

#[derive(Default, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "GetKeys")]
struct GetKeys {
    #[yaserde(prefix = "n", rename = "correlationId")]
    correlation_id: Option<String>,
    #[yaserde(prefix = "n", rename = "userId")]
    user_id: Option<String>,
    #[yaserde(prefix = "n", rename = "serviceTag")]
    service_tag: Option<String>,
}

#[derive(Default, YaSerialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "GetKeysResponse")]
struct GetKeysResponse {
    #[yaserde(prefix = "n", rename = "correlationId")]
    correlation_id: Option<String>,
    #[yaserde(prefix = "n", rename = "userId")]
    user_id: Option<String>,
    #[yaserde(prefix = "n", rename = "return")]
    accepted: bool,
    #[yaserde(prefix = "n", rename = "serviceTag")]
    service_tag: Option<String>,
    #[yaserde(prefix = "n", rename = "CCcert")]
    cluster: String,
    #[yaserde(prefix = "n", rename = "NCcert")]
    node: String,
}

/// Puts the service beside another. The files are the cluster's certificate and that of its nodes, as
/// Eucalyptus made them.
///
/// # Errors
/// [`KeyError`] if a file is no certificate.
pub fn beside(handler: Handler, cluster: &Path, node: &Path) -> Result<Handler, KeyError> {
    let encoded = |path: &Path| Certificate::load(path).map(|certificate| STANDARD.encode(certificate.pem()));
    let certificates = Arc::new((encoded(cluster)?, encoded(node)?));
    Ok(Arc::new(move |request| {
        if request.uri().path().trim_end_matches('/') != PATH || request.method() != Method::POST {
            return handler(request);
        }
        let certificates = certificates.clone();
        Box::pin(async move { respond(&request, &certificates.0, &certificates.1) })
    }))
}

fn respond(request: &Request<Bytes>, cluster: &str, node: &str) -> Answer {
    let (status, text) = match answer(request.body(), cluster, node) {
        Ok(text) => (StatusCode::OK, text),
        Err((fault, problem)) => (StatusCode::INTERNAL_SERVER_ERROR, fault.envelope(&problem)),
    };
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/xml"));
    if status != StatusCode::OK {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn answer(message: &[u8], cluster: &str, node: &str) -> Result<String, (OldFault, String)> {
    let envelope = read_from_any(message, &Limits::request()).map_err(|unread| (unread.old, unread.fault.reason))?;
    let asked = &envelope.body_name;
    if asked.namespace != Service::Cc.namespace() || asked.local != "GetKeys" {
        return Err((OldFault::OperationNotFound, format!("no operation '{}' here; there is GetKeys", asked.local)));
    }
    let malformed = |error: crate::marshal::MarshalError| (OldFault::NotOfContract, error.to_string());
    let GetKeys { correlation_id, user_id, service_tag } = read(&envelope.body).map_err(malformed)?;
    let short = |text: Option<String>| text.filter(|text| text.len() <= LONGEST_ECHO);
    let response = GetKeysResponse {
        correlation_id: short(correlation_id),
        user_id: short(user_id),
        accepted: true,
        service_tag: short(service_tag),
        cluster: cluster.to_string(),
        node: node.to_string(),
    };
    let body = to_xml(&response).map_err(malformed)?;
    let body = dialect::answer(&body).map_err(|error| (OldFault::Server, error.to_string()))?;
    Ok(format!("<soapenv:Envelope xmlns:soapenv=\"{SOAP}\"><soapenv:Body>{body}</soapenv:Body></soapenv:Envelope>"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(operation: &str) -> Result<String, (OldFault, String)> {
        let message = format!(
            "<s:Envelope xmlns:s=\"{SOAP}\"><s:Body><e:{operation} xmlns:e=\"http://eucalyptus.ucsb.edu/\">\
             <e:correlationId>c</e:correlationId><e:serviceTag>self</e:serviceTag></e:{operation}></s:Body></s:Envelope>"
        );
        answer(message.as_bytes(), "Q0M=", "TkM=")
    }

    #[test]
    fn certificates_are_told_and_logs_are_not() {
        let told = ask("GetKeys").expect("an answer");
        let expected = "<n:GetKeysResponse xmlns:n=\"http://eucalyptus.ucsb.edu/\"><n:correlationId>c</n:correlationId>\
             <n:return>true</n:return><n:serviceTag>self</n:serviceTag><n:CCcert>Q0M=</n:CCcert><n:NCcert>TkM=</n:NCcert>";
        assert!(told.contains(expected), "{told}");
        assert!(matches!(ask("GetLogs"), Err((OldFault::OperationNotFound, _))));
        assert!(matches!(answer(b"x", "", ""), Err((OldFault::NoEnvelope, _))));
    }

    #[tokio::test]
    async fn the_other_service_keeps_its_requests() {
        let dir = tempfile::tempdir().expect("a directory");
        let pem = dir.path().join("cert.pem");
        std::fs::write(&pem, crate::wsse::Identity::generate_rsa("cc").expect("a key").cert_pem()).expect("written");
        let other: Handler = Arc::new(|_| Box::pin(async { Response::new(Body::from("other".to_string())) }));
        let both = beside(other, &pem, &pem).expect("certificates");
        let status = async |method: Method, path: &str| {
            let request = Request::builder().method(method).uri(path).body(Bytes::new()).expect("a request");
            both(request).await.status()
        };
        assert_eq!(status(Method::POST, "/axis2/services/EucalyptusCC").await, StatusCode::OK);
        assert_eq!(status(Method::GET, PATH).await, StatusCode::OK, "the other's to refuse");
        assert_eq!(status(Method::POST, PATH).await, StatusCode::INTERNAL_SERVER_ERROR);
    }
}
