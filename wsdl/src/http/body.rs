//! A request's body, read whole and no further than allowed. Judges lengths, times and encodings;
//! knows no SOAP.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::ServerLimits;
use super::client::with_causes;

/// Bodies up to this length are always read; of longer ones only so many are held at a time (see
/// [`ServerLimits::large`]). Nearly every honest request is shorter.
const SMALL: usize = 64 * 1024;
/// How long a refused body is read on for nothing.
const DISCARD_WAIT: Duration = Duration::from_secs(2);

/// A body, and with it the right to be as long as it is.
pub(super) struct Whole {
    pub bytes: Bytes,
    /// Given back when the request has been answered.
    pub _large: Option<OwnedSemaphorePermit>,
}

/// Why there is no body: what to answer, and a sentence.
pub(super) type Refused = (StatusCode, String);

/// Reads the body of `request`.
pub(super) async fn read(
    request: Request<Incoming>,
    limits: &ServerLimits,
    large: &Arc<Semaphore>,
) -> (http::request::Parts, Result<Whole, Refused>) {
    let (parts, mut body) = request.into_parts();
    let deadline = Instant::now() + limits.body_wait;
    let read = match announced(&parts.headers, &body, limits) {
        Ok(()) => gather(&mut body, limits, large, deadline).await,
        Err(refused) => Err(refused),
    };
    if read.is_err() && !parts.headers.contains_key(header::EXPECT) {
        discard(&mut body, limits.body).await;
    }
    (parts, read)
}

/// What the header says of the body is enough to refuse it.
fn announced(headers: &HeaderMap, body: &Incoming, limits: &ServerLimits) -> Result<(), Refused> {
    for (name, harmless) in [(header::CONTENT_ENCODING, "identity"), (header::TRANSFER_ENCODING, "chunked")] {
        for value in headers.get_all(&name) {
            if !value.as_bytes().eq_ignore_ascii_case(harmless.as_bytes()) {
                let value = String::from_utf8_lossy(value.as_bytes());
                let text = format!("{name}: {} is not understood here; send the body as it is", value.escape_debug());
                return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
            }
        }
    }
    match usize::try_from(body.size_hint().lower()) {
        Ok(length) if length <= limits.body => Ok(()),
        Ok(_) | Err(_) => Err(too_large(limits)),
    }
}

/// The bytes go into one buffer: a body that comes byte by byte takes no more room than another.
async fn gather(
    body: &mut Incoming,
    limits: &ServerLimits,
    large: &Arc<Semaphore>,
    deadline: Instant,
) -> Result<Whole, Refused> {
    let mut bytes = BytesMut::new();
    let mut permit = None;
    loop {
        let Ok(frame) = timeout_at(deadline, body.frame()).await else {
            let text = format!("the body did not arrive within {} s", limits.body_wait.as_secs_f32());
            return Err((StatusCode::REQUEST_TIMEOUT, text));
        };
        let frame = match frame {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => {
                return Err((StatusCode::BAD_REQUEST, format!("the body cannot be read: {}", with_causes(&error))));
            }
            None => return Ok(Whole { bytes: bytes.freeze(), _large: permit }),
        };
        // Trailers say nothing that anybody here asks for.
        let Some(data) = frame.data_ref() else { continue };
        let length = bytes.len() + data.len();
        if length > limits.body {
            return Err(too_large(limits));
        }
        if length > SMALL && permit.is_none() {
            let waited = timeout_at(deadline, large.clone().acquire_owned()).await;
            let Ok(acquired) = waited else {
                let text = format!("more than {} requests over {SMALL} bytes at once; try again later", limits.large);
                return Err((StatusCode::SERVICE_UNAVAILABLE, text));
            };
            permit = Some(acquired.expect("the semaphore is never closed"));
        }
        bytes.extend_from_slice(data);
    }
}

fn too_large(limits: &ServerLimits) -> Refused {
    (StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than {} bytes", limits.body))
}

/// Reads up to `left` bytes more and forgets them: a connection that is closed with bytes unread is
/// reset, and the client would not see why it was refused. Whoever sends more does not.
async fn discard(body: &mut Incoming, mut left: usize) {
    let deadline = Instant::now() + DISCARD_WAIT;
    if body.size_hint().lower() > u64::try_from(2 * left).unwrap_or(u64::MAX) {
        return;
    }
    while let Ok(Some(Ok(frame))) = timeout_at(deadline, body.frame()).await {
        let length = frame.data_ref().map_or(0, Bytes::len);
        match left.checked_sub(length) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}
