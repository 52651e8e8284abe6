//! HTTP/1.1 in and out, over hyper, with every size and time bounded. It knows nothing of SOAP:
//! whole bodies in, and out whole or in pieces.

mod answer;
mod body;
mod client;
mod places;
mod server;

pub use answer::{Answer, Body, Pieces};
pub use client::{HttpClient, post};
pub use server::{Handler, ServerLimits, serve, serve_tls};
pub use tokio_rustls::rustls::ServerConfig as TlsConfig;

/// The largest body taken from a peer that was asked, in bytes. A CC's answer about 2,048 instances
/// (the 2.0.1 wire's own limit) is about 2 MB.
pub const BODY_LIMIT: usize = 16 * 1024 * 1024;

/// The largest body taken from one who asks, in bytes, as [`crate::envelope::Limits::request`] has it.
pub const REQUEST_LIMIT: usize = 2 * 1024 * 1024;
