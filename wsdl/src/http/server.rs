//! The server: a bounded number of connections, bounded headers, bodies and waits, with TLS or
//! without.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use super::REQUEST_LIMIT;
use super::answer::{Answer, Body};
use super::body::{self, Whole};
use super::places::{Place, Places, Turn};
use crate::service::BoxFuture;

/// What answers requests. The peer's address is in the request's extensions as [`SocketAddr`].
pub type Handler = Arc<dyn Fn(Request<Bytes>) -> BoxFuture<'static, Answer> + Send + Sync>;

/// Header fields of a request; more get 431. Real clients send about ten.
const HEADERS: usize = 64;
/// Bytes of a request's header; more get 431. The longest honest one is a signed EC2 Query by GET.
const HEADER_BYTES: usize = 32 * 1024;

/// How much a client may take of a server.
#[derive(Clone, Copy, Debug)]
pub struct ServerLimits {
    /// Largest request body, in bytes; larger ones get 413.
    pub body: usize,
    /// Requests over 64 KiB that are held at a time; others wait as long as for their body.
    pub large: usize,
    /// Longest wait for a TLS handshake, and for a request's header, which is also how long a
    /// kept-alive connection may stay idle.
    pub header_wait: Duration,
    /// Longest wait for a request's whole body, however slowly it drips; then 408.
    pub body_wait: Duration,
    /// Longest wait for a client to take its answer; then the connection is closed.
    pub answer_wait: Duration,
    /// Connections served at a time. One more, and that is closed whose client keeps us waiting
    /// longest; while all are being worked for, further ones wait to be accepted.
    pub connections: usize,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            body: REQUEST_LIMIT,
            large: 32,
            header_wait: Duration::from_secs(30),
            body_wait: Duration::from_secs(30),
            answer_wait: Duration::from_secs(60),
            connections: 512,
        }
    }
}

/// What all connections share.
struct Server {
    limits: ServerLimits,
    handler: Handler,
    tls: Option<TlsAcceptor>,
    large: Arc<Semaphore>,
}

/// Serves until `stop` resolves, then lets requests in flight finish for up to 10 s.
///
/// # Errors
/// None of a connection's errors ends the server; it returns only after `stop`.
pub async fn serve(listener: TcpListener, limits: ServerLimits, handler: Handler, stop: impl Future<Output = ()>) {
    let server = Server { limits, handler, tls: None, large: Arc::new(Semaphore::new(limits.large)) };
    accept_all(listener, server, stop).await;
}

/// [`serve`] over TLS. Who speaks plain HTTP is told so.
///
/// # Errors
/// As [`serve`].
pub async fn serve_tls(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    limits: ServerLimits,
    handler: Handler,
    stop: impl Future<Output = ()>,
) {
    let tls = Some(TlsAcceptor::from(tls));
    let server = Server { limits, handler, tls, large: Arc::new(Semaphore::new(limits.large)) };
    accept_all(listener, server, stop).await;
}

async fn accept_all(listener: TcpListener, server: Server, stop: impl Future<Output = ()>) {
    let limits = server.limits;
    let server = Arc::new(server);
    let places = Places::new(limits.connections);
    let graceful = GracefulShutdown::new();
    let mut stop = pin!(stop);
    loop {
        let arrived = async {
            let accepted = listener.accept().await;
            // At most one connection waits here for a place; the others wait in the backlog.
            let place = match &accepted {
                Ok(_) => Some(places.take(limits.header_wait + limits.answer_wait).await),
                Err(_) => None,
            };
            (accepted, place)
        };
        let (accepted, place) = tokio::select! {
            arrived = arrived => arrived,
            () = &mut stop => break,
        };
        match (accepted, place) {
            (Ok((stream, peer)), Some(place)) => {
                tokio::spawn(connection(server.clone(), stream, peer, place, graceful.watcher()));
            }
            (Ok(_), None) => {}
            (Err(error), _) => {
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

async fn connection(server: Arc<Server>, stream: TcpStream, peer: SocketAddr, place: Place, watcher: Watcher) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(event = "http.nodelay", %peer, %error);
    }
    let turn = place.turn().clone();
    let served = async {
        match server.tls.clone() {
            None => exchange(server, stream, peer, turn, watcher).await,
            Some(tls) => match shake_hands(&server, tls, stream).await {
                Ok(stream) => exchange(server, stream, peer, turn, watcher).await,
                Err(error) => tracing::debug!(event = "http.tls", %peer, %error),
            },
        }
    };
    tokio::select! {
        () = served => {}
        () = place.turn().over() => tracing::debug!(event = "http.cut", %peer, "its client kept us waiting"),
    }
}

/// The first byte of a TLS handshake (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 22;

/// The connection as TLS, within the time that a header has.
async fn shake_hands(
    server: &Server,
    tls: TlsAcceptor,
    mut stream: TcpStream,
) -> io::Result<tokio_rustls::server::TlsStream<TcpStream>> {
    let handshake = async {
        let mut first = [0];
        if stream.peek(&mut first).await? == 1 && first[0] != HANDSHAKE {
            let text = "This door speaks TLS: write https:// in the URL\n";
            let answer = format!(
                "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\n\
                 connection: close\r\n\r\n{text}",
                text.len()
            );
            stream.write_all(answer.as_bytes()).await?;
            stream.shutdown().await?;
            return Err(io::Error::other("it does not speak TLS"));
        }
        tls.accept(stream).await
    };
    match tokio::time::timeout(server.limits.header_wait, handshake).await {
        Ok(shaken) => shaken,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "its handshake took too long")),
    }
}

/// Requests and answers over one connection, to its end.
async fn exchange<IO>(server: Arc<Server>, stream: IO, peer: SocketAddr, turn: Arc<Turn>, watcher: Watcher)
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let header_wait = server.limits.header_wait;
    let service = service_fn(move |request| {
        let (server, turn) = (server.clone(), turn.clone());
        async move { Ok::<_, io::Error>(answer(&server, request, peer, &turn).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header_wait)
        .max_headers(HEADERS)
        .max_header_size(HEADER_BYTES)
        .max_buf_size(2 * HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(served).await {
        tracing::debug!(event = "http.connection", %peer, %error);
    }
}

/// One request. Whose turn it is on the connection is told at each step.
async fn answer(server: &Server, request: Request<Incoming>, peer: SocketAddr, turn: &Turn) -> Answer {
    let limits = &server.limits;
    turn.theirs(limits.body_wait + limits.answer_wait);
    let (parts, read) = body::read(request, limits, &server.large).await;
    turn.ours();
    let response = match read {
        Ok(Whole { bytes, _large }) => {
            let mut request = Request::from_parts(parts, bytes);
            request.extensions_mut().insert(peer);
            (server.handler)(request).await
        }
        Err((status, text)) => refuse(status, text),
    };
    turn.answered(limits.answer_wait + limits.header_wait);
    response
}

/// A refusal below SOAP and EC2, in plain text; the connection is not used again.
fn refuse(status: StatusCode, text: String) -> Answer {
    let mut response = Response::new(Body::from(text + "\n"));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(http::header::CONNECTION, http::HeaderValue::from_static("close"));
    response
}
