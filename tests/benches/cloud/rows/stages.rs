//! Where the time of one call between two tiers goes: the very functions that the doors and clients call, one after
//! the other on one thread, with the messages of a reboot.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use ironbark_wsdl::clock::Clock;
use ironbark_wsdl::envelope::{self, Envelope, Limits, Outgoing};
use ironbark_wsdl::http::{HttpClient, ServerLimits, post, serve};
use ironbark_wsdl::marshal::to_xml;
use ironbark_wsdl::service::Incoming;
use ironbark_wsdl::wsse::{Expect, Identity, Profile, Security};
use ironbark_wsdl::{Context, Moment, Recorder, Refusal, Router, nc};
use nix::time::{ClockId, clock_gettime};
use tokio::net::TcpListener;

use crate::Plan;
use crate::report::{Row, Table};

/// How often each stage is gone through.
const TIMES: usize = 2000;
const PATH: &str = "/axis2/services/EucalyptusNC";

/// The table. `in CC, NC` is how often the two tiers do it for one reboot asked of the CC.
///
/// # Errors
/// If a message is not what it should be.
pub async fn table(plan: &Plan) -> Result<Table> {
    let mut table = Table::new("stages of a call", &["cpu µs", "in CC, NC", "µs a reboot"], "µs a reboot");
    let times = plan.repeat(TIMES);
    let identity = Arc::new(Identity::generate("bench")?);
    let security = Security::new(identity.clone(), Profile::Strict, Clock::system());
    security.trust(vec![identity.certificate().clone()]);

    let body = to_xml(&reboot())?;
    let marshal = timed(times, |_| to_xml(&reboot()))?.0;
    let unsigned = timed(times, |number| written(&body, number, None))?.0;
    let (signed, texts) = timed(times, |number| written(&body, number, Some(&security)))?;
    let (parse, envelopes) = timed(times, |number| envelope::read(texts[number].as_bytes(), &Limits::request()))?;
    let verify = timed(times, |number| security.verify(&envelopes[number], Expect::Request))?.0;
    let (dispatch, http) = (dispatched(&envelopes).await?, over_http(texts).await?);

    for (name, micros, count) in [
        ("marshal a message", marshal, 3.0),
        ("write its envelope", unsigned, 3.0),
        ("sign it", signed - unsigned, 3.0),
        ("HTTP there and back, both ends", http, 1.5),
        ("parse and canonicalise an envelope", parse, 3.0),
        ("verify it", verify, 3.0),
        ("unmarshal, handle, span, marshal", dispatch, 2.0),
    ] {
        table.add(Row::new(name, vec![micros, count, micros * count]));
    }
    let sum = table.rows.iter().map(|row| table.figure(row, "µs a reboot")).sum();
    table.add(Row::new("all of these", vec![f64::NAN, f64::NAN, sum]));
    Ok(table)
}

fn reboot() -> nc::RebootInstance {
    nc::RebootInstance {
        correlation_id: Some("6f0c4711-0000-4000-8000-000000000001".to_string()),
        user_id: Some("admin".to_string()),
        node_name: Some("127.0.0.1".to_string()),
        instance_id: "i-00000001".to_string(),
        ..Default::default()
    }
}

/// The message as it is sent, each with an id of its own.
fn written(body: &str, number: usize, security: Option<&Security>) -> Result<String> {
    let id = format!("urn:uuid:00000000-0000-4000-8000-{number:012}");
    let outgoing = Outgoing {
        to: Some("http://127.0.0.1:8775/axis2/services/EucalyptusNC"),
        action: Some("EucalyptusNC#ncRebootInstance"),
        message_id: Some(&id),
        body,
        ..Outgoing::default()
    };
    let signer = security.map(Security::signer);
    envelope::write(&outgoing, signer.as_ref()).map_err(|fault| anyhow!(fault.reason))
}

/// CPU µs of this thread for each of so many times, and what came of them.
fn timed<T, E: Into<anyhow::Error>>(times: usize, work: impl Fn(usize) -> Result<T, E>) -> Result<(f64, Vec<T>)> {
    let mut made = Vec::with_capacity(times);
    let before = cpu(ClockId::CLOCK_THREAD_CPUTIME_ID)?;
    for number in 0..times {
        made.push(work(number).map_err(Into::into)?);
    }
    let took = cpu(ClockId::CLOCK_THREAD_CPUTIME_ID)? - before;
    Ok((micros(took) / times as f64, made))
}

/// A verified message through a router to a handler that does nothing, in CPU µs.
async fn dispatched(envelopes: &[Envelope]) -> Result<f64> {
    let recorder = Arc::new(Recorder::new("nc:n1"));
    let router = Router::new(Arc::new(()), recorder, Duration::from_secs(5)).on::<nc::RebootInstance, _, _>(accept);
    let before = cpu(ClockId::CLOCK_PROCESS_CPUTIME_ID)?;
    for envelope in envelopes {
        let incoming = Incoming {
            namespace: envelope.body_name.namespace.clone(),
            operation: envelope.body_name.local.clone(),
            body: envelope.body.clone(),
            message_id: envelope.message_id.clone(),
            epochs: envelope.epochs.clone(),
            received: Moment::now(),
        };
        router.serve(incoming).await.map_err(|fault| anyhow!(fault.reason))?;
    }
    let took = cpu(ClockId::CLOCK_PROCESS_CPUTIME_ID)? - before;
    Ok(micros(took) / envelopes.len() as f64)
}

async fn accept(_: Arc<()>, _: Context, _: nc::RebootInstance) -> Result<nc::RebootInstanceResponse, Refusal> {
    Ok(nc::RebootInstanceResponse::default())
}

/// The messages through our HTTP client and server, whose handler sends each back, in CPU µs of both.
async fn over_http(texts: Vec<String>) -> Result<f64> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}{PATH}", listener.local_addr()?);
    let echo: ironbark_wsdl::http::Handler = Arc::new(|request| {
        Box::pin(async { http::Response::new(ironbark_wsdl::http::Body::from(request.into_body())) })
    });
    let server = tokio::spawn(serve(listener, ServerLimits::default(), echo, std::future::pending()));
    let client = HttpClient::new(Duration::from_secs(3), 1);
    let count = texts.len() as f64;
    let before = cpu(ClockId::CLOCK_PROCESS_CPUTIME_ID)?;
    for text in texts {
        post(&client, &url, http::HeaderMap::new(), text, Duration::from_secs(5)).await.context("the echo")?;
    }
    let took = cpu(ClockId::CLOCK_PROCESS_CPUTIME_ID)? - before;
    server.abort();
    Ok(micros(took) / count)
}

fn cpu(clock: ClockId) -> Result<Duration> {
    Ok(Duration::from(clock_gettime(clock)?))
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
