//! Answers as HTTP: the success and error envelopes of both doors. EC2 writes `requestId` in
//! successes and `RequestID` in errors; clients look for exactly that.

use http::{HeaderValue, Response, StatusCode, header};
use ironbark_wsdl::http::{Answer, Body};
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
    version: Version,
    action: &str,
    id: &RequestId,
    reply: Box<dyn Reply + Send>,
) -> Answer {
    if !reply.is_long() {
        let mut w = Writer::new(door, version);
        write(&mut w, action, id, reply.as_ref());
        return xml(StatusCode::OK, id, w.into_string());
    }
    let (action, request_id) = (action.to_string(), id.clone());
    let body = Body::written_by(move |pieces| {
        let mut w = Writer::in_pieces(door, version, pieces);
        write(&mut w, &action, &request_id, reply.as_ref());
        w.end();
    });
    xml(StatusCode::OK, id, body)
}

fn write(w: &mut Writer, action: &str, id: &RequestId, reply: &dyn Reply) {
    let (begin, end) = match w.door() {
        Door::Query => ("", ""),
        Door::Soap => (SOAP_BEGIN, SOAP_END),
    };
    w.raw(DECLARATION);
    w.raw(begin);
    let root = format!("{action}Response");
    match reply.service() {
        Service::Ec2 => {
            let namespace = w.version().namespace();
            w.element_in(&root, &namespace, |w| {
                w.text("requestId", id.as_str());
                reply.write(w);
            });
        }
        Service::Sts => w.element_in(&root, STS_NAMESPACE, |w| {
            w.element(&format!("{action}Result"), |w| reply.write(w));
            w.element("ResponseMetadata", |w| w.text("RequestId", id.as_str()));
        }),
    }
    w.raw(end);
}

/// The error envelope or the SOAP fault, which always has status 500 (SOAP 1.1, section 6.2).
pub(super) fn failure(door: Door, id: &RequestId, rejected: &Rejected) -> Answer {
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
pub(super) fn xml(status: StatusCode, id: &RequestId, body: impl Into<Body>) -> Answer {
    let mut response = Response::new(body.into());
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

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    /// A megabyte of names, in one piece or in many.
    struct Names {
        long: bool,
    }

    impl Reply for Names {
        fn write(&self, w: &mut Writer) {
            w.texts("names", (0..20_000).map(|number| format!("the name with the number {number}")));
        }

        fn is_long(&self) -> bool {
            self.long
        }
    }

    #[tokio::test]
    async fn an_answer_in_pieces_is_the_same_answer() {
        for door in [Door::Query, Door::Soap] {
            let mut texts = Vec::new();
            for long in [false, true] {
                let (id, version) =
                    ("00000000-0000-0000-0000-000000000000".parse().unwrap(), "2010-08-31".parse().unwrap());
                let answer = success(door, version, "DescribeNames", &id, Box::new(Names { long }));
                assert_eq!(matches!(answer.body(), Body::Pieces(_)), long);
                texts.push(answer.into_body().collect().await.unwrap().to_bytes());
            }
            assert_eq!(texts[0], texts[1]);
        }
    }
}
