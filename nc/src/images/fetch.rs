//! Bringing an image's bytes into a file: from a file on this node or from a web server, bounded in size and in time,
//! hashed on the way. Knows nothing of the cache (it is told where to write) and of formats.

use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;

use super::cache::{Origin, Stamp};
use super::rules::{AllowRules, Place, Source};
use super::sparse::{SparseWriter, Written};
use super::{ImageError, Progress};

/// How many bytes of a file are read at once.
const READ: usize = 1 << 20;
/// Chunks on their way between reading and writing.
const QUEUE: usize = 8;
/// Progress is told each time this many more bytes have come.
const TELL_EVERY: u64 = 1 << 20;

/// How long a fetch may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For the connection.
    pub connect: Duration,
    /// Without a byte: between two pieces of the answer, until this node's disk takes one, until a copy has grown.
    pub idle: Duration,
    /// In all.
    pub total: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connect: Duration::from_secs(10), idle: Duration::from_secs(30), total: Duration::from_secs(3600) }
    }
}

/// The present state of the source, to compare with the one that a cached copy was made from.
///
/// # Errors
/// A file that is not there, not a file, or not allowed.
pub fn origin(source: &Source, allow: &AllowRules) -> Result<Origin, ImageError> {
    match &source.place {
        Place::File(path) => open(source, path, allow).map(|(_, stamp)| Origin(Some(stamp))),
        Place::Http(_) => Ok(Origin(None)),
    }
}

/// Writes the source's bytes to `to`: `most` bytes at most. `make_room` is called with the size once it is known.
///
/// # Errors
/// [`ImageError`], all but `Digest` and `Refused`. The file `to` may be there and incomplete.
pub async fn fetch(
    source: &Source,
    allow: &AllowRules,
    to: &Path,
    most: u64,
    limits: &Limits,
    make_room: &(impl Fn(u64) + Sync),
    progress: &(impl Fn(Progress) + Send + Sync),
) -> Result<Written, ImageError> {
    let work = async {
        let (mut stream, total) = connect(source, allow, limits).await?;
        if let Some(actual) = total.filter(|total| *total > most) {
            return Err(ImageError::TooLarge { url: source.shown(), actual, limit: most });
        }
        make_room(total.unwrap_or(0));
        let written =
            pour(source, &mut stream, to, most, limits.idle, &|received| progress(Progress { received, total }))
                .await?;
        if let Some(total) = total.filter(|total| *total != written.bytes) {
            let problem = format!("{} bytes came of the {total} announced; try again", written.bytes);
            return Err(ImageError::Source { url: source.shown(), problem });
        }
        stream.check_unchanged(source)?;
        Ok(written)
    };
    match tokio::time::timeout(limits.total, work).await {
        Ok(result) => result,
        Err(_) => Err(stalled(
            source,
            format!("not finished after {} s; use a nearer or faster server", limits.total.as_secs()),
        )),
    }
}

/// The bytes of an image, piece by piece.
enum Stream {
    File { file: tokio::fs::File, stamp: Stamp },
    Body(Incoming),
}

impl Stream {
    async fn next(&mut self, source: &Source) -> Result<Option<Bytes>, ImageError> {
        match self {
            Self::File { file, .. } => {
                let mut buffer = BytesMut::with_capacity(READ);
                let count = file
                    .read_buf(&mut buffer)
                    .await
                    .map_err(|error| failed(source, format!("cannot be read: {error}")))?;
                Ok((count > 0).then(|| buffer.freeze()))
            }
            Self::Body(body) => loop {
                match body.frame().await {
                    None => return Ok(None),
                    // Trailers carry nothing for us.
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(data) => return Ok(Some(data)),
                        Err(_) => continue,
                    },
                    Some(Err(error)) => {
                        return Err(failed(source, format!("the answer broke off: {}; try again", chain(&error))));
                    }
                }
            },
        }
    }

    /// Whether a file is still what it was when it was opened: if not, the copy may be a mixture.
    fn check_unchanged(&self, source: &Source) -> Result<(), ImageError> {
        match (self, &source.place) {
            (Self::File { stamp, .. }, Place::File(path)) => match std::fs::metadata(path) {
                Ok(now) if Stamp::of(&now) == *stamp => Ok(()),
                Ok(_) | Err(_) => {
                    Err(failed(source, "the file changed while it was read; run the instance again".to_owned()))
                }
            },
            (Self::File { .. } | Self::Body(_), Place::File(_) | Place::Http(_)) => Ok(()),
        }
    }
}

/// Opens the source; gives its length if it is known.
async fn connect(source: &Source, allow: &AllowRules, limits: &Limits) -> Result<(Stream, Option<u64>), ImageError> {
    match &source.place {
        Place::File(path) => {
            let (file, stamp) = open(source, path, allow)?;
            let mut file = tokio::fs::File::from_std(file);
            file.set_max_buf_size(READ);
            let total =
                file.metadata().await.map_err(|error| failed(source, format!("cannot be read: {error}")))?.len();
            Ok((Stream::File { file, stamp }, Some(total)))
        }
        Place::Http(uri) => request(source, uri, limits).await,
    }
}

/// Opens a file that the rules allow. The rules judge the real path, of the file that was really opened.
fn open(source: &Source, path: &Path, allow: &AllowRules) -> Result<(std::fs::File, Stamp), ImageError> {
    let unreadable =
        |error: std::io::Error| failed(source, format!("cannot be opened: {error}; check the path and the rights"));
    let real = match std::fs::canonicalize(path) {
        Ok(real) => real,
        Err(error) => {
            // Only below an allowed directory may one learn what is there.
            allow.check_real_path(source, path)?;
            return Err(unreadable(error));
        }
    };
    allow.check_real_path(source, &real)?;
    // A FIFO or a device must not make us wait.
    let file = std::fs::File::options()
        .read(true)
        .custom_flags(nix::libc::O_NONBLOCK | nix::libc::O_NOFOLLOW)
        .open(&real)
        .map_err(unreadable)?;
    let opened = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).map_err(unreadable)?;
    allow.check_real_path(source, &opened)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(failed(source, "is not a regular file".to_owned()));
    }
    Ok((file, Stamp::of(&metadata)))
}

async fn request(source: &Source, uri: &http::Uri, limits: &Limits) -> Result<(Stream, Option<u64>), ImageError> {
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(limits.connect));
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
    let request = http::Request::get(uri)
        .header(http::header::USER_AGENT, concat!("ironbark-nc/", env!("CARGO_PKG_VERSION")))
        // The digest and the size are those of the file, not of some packing of it.
        .header(http::header::ACCEPT_ENCODING, "identity")
        .body(Empty::new())
        .map_err(|error| failed(source, format!("cannot be asked for: {error}")))?;
    let answer = match tokio::time::timeout(limits.idle, client.request(request)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => {
            return Err(failed(source, format!("cannot be fetched: {}; check the host and its server", chain(&error))));
        }
        Err(_) => {
            return Err(stalled(source, format!("no answer within {} s; check the server", limits.idle.as_secs())));
        }
    };
    if answer.status().is_redirection() {
        let there =
            answer.headers().get(http::header::LOCATION).and_then(|value| value.to_str().ok()).unwrap_or("elsewhere");
        let there = there.split('?').next().unwrap_or_default();
        return Err(failed(source, format!("the server sends us on to {there}; register that URL instead")));
    }
    if answer.status() != http::StatusCode::OK {
        return Err(failed(source, format!("the server answers {}; check the URL", answer.status())));
    }
    if answer.headers().get(http::header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        return Err(failed(
            source,
            "the server packs the content although we asked it not to; use another server".to_owned(),
        ));
    }
    let total = hyper::body::Body::size_hint(answer.body()).exact();
    Ok((Stream::Body(answer.into_body()), total))
}

/// Moves bytes from the stream to the file. Hashing and writing happen on a blocking thread; when this future is dropped
/// that thread finds the queue closed and gives up.
async fn pour(
    source: &Source,
    stream: &mut Stream,
    to: &Path,
    most: u64,
    idle: Duration,
    progress: &(impl Fn(u64) + Send + Sync),
) -> Result<Written, ImageError> {
    let (sender, receiver) = mpsc::channel(QUEUE);
    // Made here and not on the thread, so that no file appears after this future was dropped.
    let file = SparseWriter::create(to).map_err(ImageError::disk(to, "make"))?;
    let writer = tokio::task::spawn_blocking(move || write_all(file, receiver));
    let (mut received, mut told) = (0, 0);
    loop {
        let Ok(next) = tokio::time::timeout(idle, stream.next(source)).await else {
            return Err(stalled(
                source,
                format!("nothing came for {} s, after {received} bytes; check the server", idle.as_secs()),
            ));
        };
        let piece = next?;
        let end = piece.is_none();
        received += piece.as_ref().map_or(0, |bytes| bytes.len() as u64);
        if received > most {
            return Err(ImageError::TooLarge { url: source.shown(), actual: received, limit: most });
        }
        if end || received - told >= TELL_EVERY {
            told = received;
            progress(received);
        }
        let Ok(taken) = tokio::time::timeout(idle, sender.send(piece)).await else {
            return Err(stalled(
                source,
                format!(
                    "this node's disk took nothing for {} s, at {received} bytes; see whether it still answers",
                    idle.as_secs()
                ),
            ));
        };
        // The writer ends before us only by an error of its own, which is told below.
        if taken.is_err() || end {
            break;
        }
    }
    drop(sender);
    let written = writer.await.expect("the writer does not panic").map_err(ImageError::disk(to, "write"))?;
    Ok(written.expect("the end was sent, or the writer failed"))
}

/// Writes pieces until the end (`None`). Gives nothing when the queue closes before it: nobody wants the file then.
fn write_all(mut writer: SparseWriter, mut pieces: mpsc::Receiver<Option<Bytes>>) -> std::io::Result<Option<Written>> {
    while let Some(piece) = pieces.blocking_recv() {
        match piece {
            Some(bytes) => writer.write(&bytes)?,
            None => return writer.finish().map(Some),
        }
    }
    Ok(None)
}

fn failed(source: &Source, problem: String) -> ImageError {
    ImageError::Source { url: source.shown(), problem }
}

fn stalled(source: &Source, problem: String) -> ImageError {
    ImageError::Stalled { url: source.shown(), problem }
}

/// An error and its causes in one line: hyper's own text tells only the outermost.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
