//! Nodes that do harm: a TCP server that speaks just enough HTTP to break every promise of a node,
//! one [`Misdeed`] at a time. Where an answer must be signed to be bad in the right way, the real
//! door of a real node made it.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use ironbark_wsdl::http::Handler;
use nix::sys::socket::{Backlog, listen};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::door::PATH;

/// What a node does instead of answering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misdeed {
    /// None: it answers as it should.
    None,
    /// Nobody listens.
    Refuses,
    /// Somebody listens whose backlog is full: no connection comes about.
    BacklogFull,
    /// Connections come about, and nobody reads from them.
    NeverAccepts,
    /// Accepts and closes.
    ClosesAtOnce,
    /// Reads the request and says nothing.
    Hangs,
    /// Answers well, a byte every 20 ms.
    Drips,
    /// Answers well, and resets the connection in the middle.
    Resets,
    /// Answers well, and closes in the middle.
    BreaksOff,
    /// Answers bytes that are no HTTP.
    Garbage,
    /// Answers HTTP that is no SOAP.
    Page,
    /// Sends header fields without end.
    EndlessHeader,
    /// Says `100 Continue` without end.
    EndlessContinue,
    /// Sends a body in chunks without end.
    EndlessBody,
    /// Answers 200 MB, as it says.
    Huge,
    /// Answers 12 MB of XML that wants to become much more.
    Bomb,
    /// Answers well, compressed as it says.
    Compressed,
    /// Answers well, after so much time.
    Late(Duration),
    /// Answers with what it answered to an earlier request.
    OtherRequest,
    /// Answers well, changed on its way.
    Tampered,
    /// Answers with an unsigned fault.
    UnsignedFault,
    /// Sends elsewhere.
    Redirects,
}

/// A node with a misdeed. It ends with its value.
pub struct ScriptedNode {
    /// Where it listens, or would.
    pub address: SocketAddr,
    misdeed: Arc<Mutex<Misdeed>>,
    task: Option<JoinHandle<()>>,
    _silent: Vec<TcpStream>,
}

impl ScriptedNode {
    /// Starts one in front of `real`, which makes the answers.
    ///
    /// # Panics
    /// If loopback has no free port.
    pub async fn start(misdeed: Misdeed, real: Handler) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).expect("loopback has a free port");
        let address = socket.local_addr().expect("it is bound");
        let shared = Arc::new(Mutex::new(misdeed));
        let mut node = Self { address, misdeed: shared.clone(), task: None, _silent: Vec::new() };
        match misdeed {
            Misdeed::Refuses => drop(socket),
            Misdeed::BacklogFull => {
                let listener = socket.listen(1).expect("it listens");
                // tokio may have raised it: room for one, and the kernel gives one more.
                listen(&listener, Backlog::new(0).expect("a backlog")).expect("it listens");
                let full = async {
                    loop {
                        node._silent.push(TcpStream::connect(address).await.expect("loopback"));
                    }
                };
                drop(tokio::time::timeout(Duration::from_millis(300), full).await);
                node.task = Some(tokio::spawn(hold(listener)));
            }
            Misdeed::NeverAccepts => node.task = Some(tokio::spawn(hold(socket.listen(1024).expect("it listens")))),
            _ => {
                let listener = socket.listen(1024).expect("it listens");
                node.task = Some(tokio::spawn(accept(listener, shared, real)));
            }
        }
        node
    }

    /// From now on it behaves. Only for misdeeds of nodes that accept.
    pub fn repent(&self) {
        *self.misdeed.lock().unwrap_or_else(PoisonError::into_inner) = Misdeed::None;
    }

    /// Where the service is.
    pub fn url(&self) -> String {
        format!("http://{}{PATH}", self.address)
    }
}

impl Drop for ScriptedNode {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

async fn hold(listener: TcpListener) {
    std::future::pending::<()>().await;
    drop(listener);
}

async fn accept(listener: TcpListener, misdeed: Arc<Mutex<Misdeed>>, real: Handler) {
    let earlier: Arc<Mutex<Option<Vec<u8>>>> = Arc::default();
    // They end with the listener.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                let (misdeed, real, earlier) = (misdeed.clone(), real.clone(), earlier.clone());
                connections.spawn(async move { drop(connection(stream, &misdeed, &real, &earlier).await) });
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Serves one connection, until the other side has had enough.
async fn connection(
    mut stream: TcpStream,
    misdeed: &Mutex<Misdeed>,
    real: &Handler,
    earlier: &Mutex<Option<Vec<u8>>>,
) -> std::io::Result<()> {
    loop {
        let misdeed = || *misdeed.lock().unwrap_or_else(PoisonError::into_inner);
        if misdeed() == Misdeed::ClosesAtOnce {
            return Ok(());
        }
        let Some(request) = read_request(&mut stream).await? else { return Ok(()) };
        let misdeed = misdeed();
        if let Some((head, block, times)) = harmful(misdeed) {
            stream.write_all(head.as_bytes()).await?;
            for _ in 0..times {
                stream.write_all(&block).await?;
            }
            continue;
        }
        if misdeed == Misdeed::Hangs {
            return until_closed(&mut stream).await;
        }
        let answer = answer(real, request).await;
        match misdeed {
            Misdeed::Drips => {
                for byte in answer {
                    stream.write_all(&[byte]).await?;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
            Misdeed::Resets | Misdeed::BreaksOff => {
                stream.write_all(&answer[..answer.len() / 2]).await?;
                if misdeed == Misdeed::Resets {
                    reset(&stream);
                }
                return Ok(());
            }
            Misdeed::Compressed => {
                let text = String::from_utf8_lossy(&answer).replacen("\r\n", "\r\nContent-Encoding: gzip\r\n", 1);
                stream.write_all(text.replace("<?xml", "\u{1f}\u{8b}xx").as_bytes()).await?;
                return Ok(());
            }
            Misdeed::Late(after) => {
                tokio::time::sleep(after).await;
                stream.write_all(&answer).await?;
            }
            Misdeed::OtherRequest => {
                let old = earlier.lock().unwrap_or_else(PoisonError::into_inner).replace(answer.clone());
                stream.write_all(&old.unwrap_or(answer)).await?;
            }
            Misdeed::Tampered => {
                // The same length, another meaning.
                let text = String::from_utf8_lossy(&answer).replace("<n:return>", "<n:RETURN>");
                stream.write_all(text.replace("</n:return>", "</n:RETURN>").as_bytes()).await?;
            }
            _ => stream.write_all(&answer).await?,
        }
    }
}

/// What is sent without asking anybody: a beginning, and what is repeated how often.
fn harmful(misdeed: Misdeed) -> Option<(String, Bytes, usize)> {
    const FOR_EVER: usize = usize::MAX;
    let block = |byte: u8| Bytes::from(vec![byte; 1 << 20]);
    let xml = |length: usize| format!("HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {length}\r\n\r\n");
    let whole = |status: &str, fields: &str, body: &str| {
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {length}\r\n\r\n{body}");
        Some((head, Bytes::new(), 0))
    };
    match misdeed {
        Misdeed::Garbage => Some(("\u{16}\u{3}\u{1}\0nonsense\r\n\r\n".into(), Bytes::new(), 0)),
        Misdeed::Page => whole("200 OK", "Content-Type: text/html\r\n", "<html><body><p>It works!<br></body></html>"),
        Misdeed::EndlessHeader => {
            Some(("HTTP/1.1 200 OK\r\n".into(), Bytes::from("X-More: of it\r\n".repeat(1000)), FOR_EVER))
        }
        Misdeed::EndlessContinue => {
            Some((String::new(), Bytes::from("HTTP/1.1 100 Continue\r\n\r\n".repeat(1000)), FOR_EVER))
        }
        Misdeed::EndlessBody => {
            let chunk = [b"100000\r\n", &block(b' ')[..], b"\r\n"].concat();
            let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
            Some((head.into(), Bytes::from(chunk), FOR_EVER))
        }
        Misdeed::Huge => Some((xml(200 << 20), block(b' '), 200)),
        Misdeed::Bomb => {
            let open = format!("<a xmlns:p='{}'>", "u".repeat(100_000));
            let block = Bytes::from("<p:b/>".repeat(100_000));
            Some((format!("{}{open}", xml(open.len() + 20 * block.len())), block, 20))
        }
        Misdeed::UnsignedFault => {
            let body = "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body><s:Fault>\
                        <faultcode>s:Server</faultcode><faultstring>so there</faultstring></s:Fault></s:Body></s:Envelope>";
            whole("500 Internal Server Error", "Content-Type: text/xml\r\n", body)
        }
        Misdeed::Redirects => whole("302 Found", "Location: http://127.0.0.1:1/\r\n", ""),
        _ => None,
    }
}

async fn until_closed(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut buffer = [0; 1024];
    while stream.read(&mut buffer).await? > 0 {}
    Ok(())
}

/// The connection will be reset when it is dropped.
fn reset(stream: &TcpStream) {
    let linger = nix::libc::linger { l_onoff: 1, l_linger: 0 };
    let set = nix::sys::socket::setsockopt(&stream, nix::sys::socket::sockopt::Linger, &linger);
    assert!(set.is_ok(), "descriptor {} takes SO_LINGER", stream.as_raw_fd());
}

/// One request with its body; `None` when there is no more.
async fn read_request(stream: &mut TcpStream) -> std::io::Result<Option<http::Request<Bytes>>> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
            let length = end + 4 + length.unwrap_or(0usize);
            if bytes.len() >= length {
                let body = Bytes::copy_from_slice(&bytes[end + 4..length]);
                return Ok(Some(http::Request::post(PATH).body(body).expect("a request")));
            }
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    }
}

/// The real door's answer, as bytes.
async fn answer(real: &Handler, request: http::Request<Bytes>) -> Vec<u8> {
    let response = real(request).await;
    let status = response.status();
    let body = response.into_body().collect().await.expect("a body in memory").to_bytes();
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), &body].concat()
}
