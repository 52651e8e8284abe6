//! A bare hyper server that passes a body on to the next one, or answers with it if there is none: what three hops
//! of HTTP cost without anything in them.

use anyhow::{Context as _, Error, Result};
use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use ironbark_tests::talk::{say, told};
use tokio::net::TcpListener;

use super::runtime;

type Forwarder = Client<HttpConnector, Full<Bytes>>;

/// Serves until the input ends; says its URL.
pub fn run(next: Option<&str>) -> Result<()> {
    let next = next.map(str::parse::<Uri>).transpose().context("the next one's URL")?;
    runtime()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        say(&format!("http://{}/", listener.local_addr()?));
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client: Forwarder = Client::builder(TokioExecutor::new()).build(connector);
        tokio::select! {
            served = accept(listener, client, next) => served,
            () = told(|_| String::new()) => Ok(()),
        }
    })
}

async fn accept(listener: TcpListener, client: Forwarder, next: Option<Uri>) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (client, next) = (client.clone(), next.clone());
        let service = service_fn(move |request| pass(client.clone(), next.clone(), request));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn pass(
    client: Forwarder,
    next: Option<Uri>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Error> {
    let body = request.into_body().collect().await?.to_bytes();
    let Some(next) = next else { return Ok(Response::new(Full::new(body))) };
    let response = client.request(Request::post(next).body(Full::new(body))?).await?;
    let body = response.into_body().collect().await?.to_bytes();
    Ok(Response::new(Full::new(body)))
}
