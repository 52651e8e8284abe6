//! The client: one POST, one answer, and an honest word on whether the peer can have got it.

use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body as _, Incoming};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use tokio::sync::Notify;

use super::BODY_LIMIT;
use crate::fault::CallError;

/// Answers of the 100 kind before the real one; HTTP knows four of them.
const INFORMATIONAL: usize = 16;

/// Bytes read from a peer at a time. What has been read is understood before anything else happens, so a peer
/// that prattles must not hand over hundreds of kilobytes of it at once.
const READ: usize = 16 * 1024;

/// A client that keeps connections for the next call. Idle ones go after 5 s, long before our
/// servers (30 s) would close them, so that a request is hardly ever written to a dying
/// connection.
#[derive(Clone, Debug)]
pub struct HttpClient(Client<HttpConnector, Full<Bytes>>);

impl HttpClient {
    /// A client that waits at most `connect_wait` for a connection and keeps up to `idle` idle
    /// ones per peer. `idle = 0` closes each connection after its call, as an old NC needs, which
    /// serves one connection at a time.
    pub fn new(connect_wait: Duration, idle: usize) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(connect_wait));
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(5))
            .pool_max_idle_per_host(idle)
            .http1_read_buf_exact_size(READ)
            .build(connector);
        Self(client)
    }
}

/// Posts `body` to `url` and brings back status and body, within `budget`.
///
/// # Errors
/// [`CallError::Unreachable`] if no connection was made; [`CallError::TimedOut`] if the request
/// may have been read but no whole answer came; [`CallError::Fault`] if the URL is not one, or the
/// answer is no HTTP or larger than [`BODY_LIMIT`].
pub async fn post(
    client: &HttpClient,
    url: &str,
    headers: HeaderMap,
    body: String,
    budget: Duration,
) -> Result<(StatusCode, Bytes), CallError> {
    let mut request = Request::post(url)
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| malformed(format!("'{url}' is no URL: {error}")))?;
    *request.headers_mut() = headers;
    let prattle = bounded_prattle(&mut request);
    let exchange = async {
        let response = tokio::select! {
            response = client.0.request(request) => response.map_err(|error| unanswered(url, &error))?,
            () = prattle.notified() => {
                return Err(malformed(format!("{url} sent more than {INFORMATIONAL} informational answers and no other")));
            }
        };
        let status = response.status();
        Ok((status, gather(url, response.into_body()).await?))
    };
    let began = std::time::Instant::now();
    match tokio::time::timeout(budget, exchange).await {
        Ok(Err(CallError::TimedOut { reason, .. })) => Err(CallError::TimedOut { after: began.elapsed(), reason }),
        Ok(result) => result,
        Err(_) => Err(CallError::TimedOut { after: budget, reason: format!("{url} gave no answer") }),
    }
}

/// Notifies when a peer says `100 Continue` and the like again and again: without end, reading that
/// would take all the processor has.
fn bounded_prattle(request: &mut Request<Full<Bytes>>) -> Arc<Notify> {
    let enough = Arc::new(Notify::new());
    let (count, told) = (AtomicUsize::new(0), enough.clone());
    hyper::ext::on_informational(request, move |_| {
        if count.fetch_add(1, Ordering::Relaxed) == INFORMATIONAL {
            told.notify_one();
        }
    });
    enough
}

/// Why there is no answer, and whether the request can have been read.
fn unanswered(url: &str, error: &hyper_util::client::legacy::Error) -> CallError {
    let reason = with_causes(error);
    let http = error.source().and_then(|source| source.downcast_ref::<hyper::Error>());
    if error.is_connect() {
        CallError::Unreachable { reason: format!("{url}: {reason}") }
    } else if http.is_some_and(hyper::Error::is_parse) {
        malformed(format!("{url} answered what is no HTTP: {reason}"))
    } else {
        CallError::TimedOut { after: Duration::ZERO, reason: format!("{url}: the connection broke: {reason}") }
    }
}

/// The whole body, into one buffer: one that comes byte by byte takes no more room than another.
async fn gather(url: &str, mut body: Incoming) -> Result<Bytes, CallError> {
    let too_large = || malformed(format!("{url} answered more than {BODY_LIMIT} bytes"));
    if body.size_hint().lower() > u64::try_from(BODY_LIMIT).unwrap_or(u64::MAX) {
        return Err(too_large());
    }
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| CallError::TimedOut {
            after: Duration::ZERO,
            reason: format!("{url}: the answer broke off: {}", with_causes(&error)),
        })?;
        let Some(data) = frame.data_ref() else { continue };
        if bytes.len() + data.len() > BODY_LIMIT {
            return Err(too_large());
        }
        bytes.extend_from_slice(data);
    }
    Ok(bytes.freeze())
}

fn malformed(reason: String) -> CallError {
    CallError::Fault { code: "Client".into(), reason }
}

/// hyper's errors tell one level each; the useful word ("Connection refused") is the last.
pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
