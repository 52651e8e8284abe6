//! The server: a bounded number of connections, bounded headers, bodies and waits.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::BODY_LIMIT;
use crate::service::BoxFuture;

/// What answers requests. The peer's address is in the request's extensions as [`SocketAddr`].
pub type Handler = Arc<dyn Fn(Request<Bytes>) -> BoxFuture<'static, Response<Full<Bytes>>> + Send + Sync>;

/// How much a client may take of a server.
#[derive(Clone, Copy, Debug)]
pub struct ServerLimits {
    /// Largest request body, in bytes; larger ones get 413.
    pub body: usize,
    /// Longest wait for a request's header, which is also how long a kept-alive connection may
    /// stay idle.
    pub header_wait: Duration,
    /// Longest wait for a request's whole body, however slowly it drips; then 408.
    pub body_wait: Duration,
    /// Connections served at a time; further ones wait to be accepted.
    pub connections: usize,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            body: BODY_LIMIT,
            header_wait: Duration::from_secs(30),
            body_wait: Duration::from_secs(30),
            connections: 512,
        }
    }
}

/// Serves until `stop` resolves, then lets requests in flight finish for up to 10 s.
///
/// # Errors
/// None of a connection's errors ends the server; it returns only after `stop`.
pub async fn serve(listener: TcpListener, limits: ServerLimits, handler: Handler, stop: impl Future<Output = ()>) {
    let permits = Arc::new(Semaphore::new(limits.connections));
    let graceful = GracefulShutdown::new();
    let mut stop = pin!(stop);
    loop {
        let accepted = async {
            // The permit comes before the accept: beyond the limit, clients wait in the backlog.
            let permit = permits.clone().acquire_owned().await.expect("the semaphore is never closed");
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            accepted = accepted => accepted,
            () = &mut stop => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let watcher = graceful.watcher();
                let handler = handler.clone();
                tokio::spawn(async move {
                    let _permit = permit;
                    connection(stream, peer, limits, handler, watcher).await;
                });
            }
            Err(error) => {
                // Out of descriptors: accept would fail at once again and again.
                tracing::warn!(event = "http.accept", %error);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    if tokio::time::timeout(Duration::from_secs(10), graceful.shutdown()).await.is_err() {
        tracing::warn!(event = "http.stop", "requests still in flight after 10 s are cut off");
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    limits: ServerLimits,
    handler: Handler,
    watcher: hyper_util::server::graceful::Watcher,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(event = "http.nodelay", %peer, %error);
    }
    let service = service_fn(move |request| {
        let handler = handler.clone();
        async move { Ok::<_, io::Error>(answer(request, peer, limits, &handler).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_wait)
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(served).await {
        tracing::debug!(event = "http.connection", %peer, %error);
    }
}

async fn answer(
    request: Request<Incoming>,
    peer: SocketAddr,
    limits: ServerLimits,
    handler: &Handler,
) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let collected = tokio::time::timeout(limits.body_wait, Limited::new(body, limits.body).collect()).await;
    let body = match collected {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            return refuse(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than {} bytes", limits.body));
        }
        Ok(Err(error)) => return refuse(StatusCode::BAD_REQUEST, format!("the body cannot be read: {error}")),
        Err(_) => {
            let text = format!("the body did not arrive within {} s", limits.body_wait.as_secs());
            return refuse(StatusCode::REQUEST_TIMEOUT, text);
        }
    };
    let mut request = Request::from_parts(parts, body);
    request.extensions_mut().insert(peer);
    handler(request).await
}

/// A refusal below SOAP and EC2, in plain text; the connection is not used again.
fn refuse(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text + "\n")));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(http::header::CONNECTION, http::HeaderValue::from_static("close"));
    response
}
