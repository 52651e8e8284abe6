//! Answers as HTTP: the success and error envelopes of both doors. EC2 writes `requestId` in
//! successes and `RequestID` in errors; clients look for exactly that.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use ironbark_wsdl::{Fault, RequestId};

use super::action::{Reply, Service};
use super::xml::{Door, Writer, escape_into};
use crate::ec2::Version;
use crate::error::Ec2Error;

const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
/// STS has one version.
const STS_NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";
const SOAP_BEGIN: &str = "<soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\"><soapenv:Body>";
const SOAP_END: &str = "</soapenv:Body></soapenv:Envelope>";

/// Why a request is not carried out.
#[derive(Debug)]
pub(super) enum Rejected {
    /// For a reason of EC2's.
    Request(Ec2Error),
    /// It is no SOAP 1.1 envelope that can be taken.
    Envelope(Fault),
}

impl From<Ec2Error> for Rejected {
    fn from(error: Ec2Error) -> Self {
        Rejected::Request(error)
    }
}

impl From<Fault> for Rejected {
    fn from(fault: Fault) -> Self {
        Rejected::Envelope(fault)
    }
}

impl Rejected {
    /// `Client.InvalidAction`: the fault code below the envelope's prefix.
    fn fault_code(&self) -> String {
        match self {
            Rejected::Envelope(fault) => fault.code.name().to_string(),
            Rejected::Request(error) if error.code.is_server() => format!("Server.{}", error.code),
            Rejected::Request(error) => format!("Client.{}", error.code),
        }
    }

    fn message(&self) -> &str {
        match self {
            Rejected::Envelope(fault) => &fault.reason,
            Rejected::Request(error) => &error.message,
        }
    }

    /// EC2's code, for the Query envelope and the log.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Rejected::Envelope(fault) => fault.code.name(),
            Rejected::Request(error) => error.code.as_str(),
        }
    }
}

/// `<ActionResponse xmlns="..."><requestId>...` and the content.
pub(super) fn success(
    door: Door,
    version: &Version,
    action: &str,
    id: &RequestId,
    reply: &dyn Reply,
) -> Response<Full<Bytes>> {
    let mut w = Writer::new(door, version.clone());
    let root = format!("{action}Response");
    match reply.service() {
        Service::Ec2 => w.element_in(&root, &version.namespace(), |w| {
            w.text("requestId", id.as_str());
            reply.write(w);
        }),
        Service::Sts => w.element_in(&root, STS_NAMESPACE, |w| {
            w.element(&format!("{action}Result"), |w| reply.write(w));
            w.element("ResponseMetadata", |w| w.text("RequestId", id.as_str()));
        }),
    }
    let content = w.into_string();
    match door {
        Door::Query => xml(StatusCode::OK, id, format!("{DECLARATION}{content}")),
        Door::Soap => xml(StatusCode::OK, id, format!("{DECLARATION}{SOAP_BEGIN}{content}{SOAP_END}")),
    }
}

/// The error envelope or the SOAP fault, which always has status 500 (SOAP 1.1, section 6.2).
pub(super) fn failure(door: Door, id: &RequestId, rejected: &Rejected) -> Response<Full<Bytes>> {
    let message = escaped(rejected.message());
    match door {
        Door::Query => {
            let status = match rejected {
                Rejected::Request(error) => {
                    StatusCode::from_u16(error.code.status()).unwrap_or(StatusCode::BAD_REQUEST)
                }
                Rejected::Envelope(_) => StatusCode::BAD_REQUEST,
            };
            let code = rejected.code();
            let text = format!(
                "{DECLARATION}<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors><RequestID>{id}</RequestID></Response>"
            );
            xml(status, id, text)
        }
        Door::Soap => {
            let code = rejected.fault_code();
            let text = format!(
                "{DECLARATION}{SOAP_BEGIN}<soapenv:Fault><faultcode>soapenv:{code}</faultcode><faultstring>{message}</faultstring><detail><RequestID>{id}</RequestID></detail></soapenv:Fault>{SOAP_END}"
            );
            xml(StatusCode::INTERNAL_SERVER_ERROR, id, text)
        }
    }
}

/// XML with the request id in a header too, where clients log it from.
pub(super) fn xml(status: StatusCode, id: &RequestId, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/xml;charset=UTF-8"));
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        headers.insert("x-amzn-requestid", value);
    }
    response
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    escape_into(&mut out, text);
    out
}
