//! The client: one POST, one answer, and an honest word on whether the peer can have got it.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::BODY_LIMIT;
use crate::fault::CallError;

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
            .build(connector);
        Self(client)
    }
}

/// Posts `body` to `url` and brings back status and body, within `budget`.
///
/// # Errors
/// [`CallError::Unreachable`] if no connection was made; [`CallError::TimedOut`] if the request
/// may have been read but no whole answer came; [`CallError::Fault`] if the URL is not one, or the
/// answer is larger than [`BODY_LIMIT`].
pub async fn post(
    client: &HttpClient,
    url: &str,
    headers: HeaderMap,
    body: String,
    budget: Duration,
) -> Result<(StatusCode, Bytes), CallError> {
    let mut request = Request::post(url)
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| CallError::Fault { code: "Client".into(), reason: format!("'{url}' is no URL: {error}") })?;
    *request.headers_mut() = headers;
    let exchange = async {
        let response = client.0.request(request).await.map_err(|error| {
            let reason = with_causes(&error);
            if error.is_connect() {
                CallError::Unreachable { reason: format!("{url}: {reason}") }
            } else {
                CallError::TimedOut { after: Duration::ZERO, reason: format!("{url}: the connection broke: {reason}") }
            }
        })?;
        let status = response.status();
        let body = Limited::new(response.into_body(), BODY_LIMIT).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                CallError::Fault {
                    code: "Client".into(),
                    reason: format!("{url} answered more than {BODY_LIMIT} bytes"),
                }
            } else {
                CallError::TimedOut { after: Duration::ZERO, reason: format!("{url}: the answer broke off: {error}") }
            }
        })?;
        Ok((status, body.to_bytes()))
    };
    let began = std::time::Instant::now();
    match tokio::time::timeout(budget, exchange).await {
        Ok(Err(CallError::TimedOut { reason, .. })) => Err(CallError::TimedOut { after: began.elapsed(), reason }),
        Ok(result) => result,
        Err(_) => Err(CallError::TimedOut { after: budget, reason: format!("{url} gave no answer") }),
    }
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
