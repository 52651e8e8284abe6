//! An answer: whole, or in pieces, the first of which are sent while the last are not written yet.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use hyper::body::{Frame, SizeHint};
use tokio::sync::mpsc;

/// What a handler gives.
pub type Answer = Response<Body>;

/// Pieces that may be written before the first of them is sent.
const AHEAD: usize = 4;

/// The body of an answer.
#[derive(Debug)]
pub enum Body {
    /// All of it, with its length told in advance.
    Whole(Full<Bytes>),
    /// Piece by piece.
    Pieces(mpsc::Receiver<Piece>),
}

/// What is handed from the one who writes to the one who sends.
#[derive(Debug)]
pub enum Piece {
    /// Some bytes.
    Bytes(Bytes),
    /// There are no more.
    End,
}

/// The writing end of a body in pieces.
#[derive(Debug)]
pub struct Pieces(mpsc::Sender<Piece>);

impl Body {
    /// A body that `write` writes, on a thread where it may wait for a slow client. A writer that ends without
    /// [`Pieces::end`] has failed, and the client's connection breaks: half an answer is never taken for one.
    pub fn written_by(write: impl FnOnce(Pieces) + Send + 'static) -> Self {
        let (sender, pieces) = mpsc::channel(AHEAD);
        tokio::task::spawn_blocking(move || write(Pieces(sender)));
        Body::Pieces(pieces)
    }
}

impl Pieces {
    /// Hands a piece over, as soon as the client has taken enough of those before; false if it has gone.
    pub fn put(&self, piece: impl Into<Bytes>) -> bool {
        self.0.blocking_send(Piece::Bytes(piece.into())).is_ok()
    }

    /// Says that all pieces have been put.
    pub fn end(self) {
        // A client that has gone misses nothing.
        let _ = self.0.blocking_send(Piece::End);
    }
}

impl From<Bytes> for Body {
    fn from(whole: Bytes) -> Self {
        Body::Whole(Full::new(whole))
    }
}

impl From<String> for Body {
    fn from(whole: String) -> Self {
        Bytes::from(whole).into()
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Body::Whole(whole) => {
                Pin::new(whole).poll_frame(cx).map(|frame| frame.map(|frame| frame.map_err(|never| match never {})))
            }
            Body::Pieces(pieces) => Poll::Ready(match ready!(pieces.poll_recv(cx)) {
                Some(Piece::Bytes(bytes)) => Some(Ok(Frame::data(bytes))),
                Some(Piece::End) => None,
                None => Some(Err(io::Error::other("the answer was not written to its end"))),
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Body::Whole(whole) => whole.is_end_stream(),
            Body::Pieces(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::Whole(whole) => whole.size_hint(),
            Body::Pieces(_) => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn pieces_arrive_in_order_and_none_is_missing() {
        let body = Body::written_by(|pieces| {
            for number in 0..100_u8 {
                assert!(pieces.put(vec![number; 10]));
            }
            pieces.end();
        });
        let bytes = body.collect().await.unwrap().to_bytes();
        assert!(bytes.iter().map(|byte| usize::from(*byte)).eq((0..1000).map(|at| at / 10)));
    }

    #[tokio::test]
    async fn a_writer_that_fails_leaves_no_answer() {
        let body = Body::written_by(|pieces| {
            pieces.put("half");
        });
        assert!(body.collect().await.is_err());
    }

    #[tokio::test]
    async fn a_writer_learns_that_its_client_has_gone() {
        let (told, heard) = tokio::sync::oneshot::channel();
        let body = Body::written_by(|pieces| {
            while pieces.put("more") {}
            let _ = told.send(());
        });
        drop(body);
        tokio::time::timeout(std::time::Duration::from_secs(10), heard).await.unwrap().unwrap();
    }
}
