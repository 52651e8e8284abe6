//! The real door in this process, with bytes thrown at it: `http::serve` and `Endpoint` over a
//! small router, raw sockets, and an honest client to see that the door is still good.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ironbark_wsdl::clock::Clock;
use ironbark_wsdl::endpoint::{Contract, Endpoint};
use ironbark_wsdl::envelope::{self, Outgoing};
use ironbark_wsdl::http::{ServerLimits, serve};
use ironbark_wsdl::peer::{Peer, SoapClient};
use ironbark_wsdl::wsse::{Identity, Profile, Security};
use ironbark_wsdl::{CallError, Context, Recorder, Refusal, RequestId, Router, call, nc};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// Where the service is.
pub const PATH: &str = "/axis2/services/EucalyptusNC";
/// How long a test waits for anything before it fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

const CONTRACTS: &[Contract] =
    &[Contract { query: "wsdl", text: include_str!("../../wsdl/contract/eucalyptus_nc.wsdl") }];

static PANICS: AtomicUsize = AtomicUsize::new(0);

/// A served door. It closes with its value.
pub struct Door {
    /// Where it listens.
    pub address: SocketAddr,
    reboots: Arc<AtomicUsize>,
    caller: Arc<Identity>,
    honest: SoapClient,
    stop: Option<oneshot::Sender<()>>,
}

impl Door {
    /// Opens one. From now on panics in this process are counted; see [`Door::assert_unshaken`].
    ///
    /// # Panics
    /// If loopback has no free port.
    pub async fn open(limits: ServerLimits) -> Self {
        count_panics();
        let caller = Arc::new(Identity::generate("caller").expect("a key"));
        let own = Arc::new(Identity::generate("door").expect("a key"));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("it is bound");
        let url = format!("http://{address}{PATH}");
        let peer = Peer { url, certificate: own.certificate().clone(), profile: Profile::Strict };
        let honest = SoapClient::new(&peer, &caller.clone().into(), Clock::system()).expect("a usable key");
        let security = Security::new(own, Profile::Strict, Clock::system());
        security.trust(vec![caller.certificate().clone()]);
        let reboots = Arc::new(AtomicUsize::new(0));
        let router = Router::new(reboots.clone(), Arc::new(Recorder::new("nc:door")), PATIENCE).on(reboot_instance);
        let endpoint = Endpoint::new(router, Some(security), PATH, CONTRACTS);
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(serve(listener, limits, endpoint.into_handler(), async move { drop(stopped.await) }));
        Self { address, reboots, caller, honest, stop: Some(stop) }
    }

    /// How often the one operation was carried out.
    pub fn reboots(&self) -> usize {
        self.reboots.load(Ordering::SeqCst)
    }

    /// A call as it should be.
    pub async fn honest_call(&self) -> Result<nc::RebootInstanceResponse, CallError> {
        let request = nc::RebootInstance { instance_id: "i-0000000A".into(), ..Default::default() };
        let recorder = Arc::new(Recorder::silent("test"));
        let ctx = Context::new(RequestId::random(), "alice", PATIENCE, recorder);
        call(&self.honest, &ctx, request).await
    }

    /// Nothing panicked, and an honest call is served.
    ///
    /// # Panics
    /// If one of these is not so.
    pub async fn assert_unshaken(&self) {
        self.honest_call().await.expect("an honest call is served");
        assert_eq!(PANICS.load(Ordering::SeqCst), 0, "something panicked");
    }

    /// A signed envelope of the one operation, as text.
    pub fn signed(&self, id: &str) -> String {
        self.signed_by(&self.caller, id)
    }

    /// The same, signed by anybody.
    pub fn signed_by(&self, who: &Arc<Identity>, id: &str) -> String {
        let url = format!("http://{}{PATH}", self.address);
        let message_id = format!("urn:uuid:{}", uuid::Uuid::new_v4());
        let outgoing = Outgoing {
            to: Some(&url),
            action: Some("EucalyptusNC#ncRebootInstance"),
            message_id: Some(&message_id),
            body: &format!(
                "<n:ncRebootInstance xmlns:n=\"http://eucalyptus.ucsb.edu/\"><n:instanceId>{id}</n:instanceId></n:ncRebootInstance>"
            ),
            ..Outgoing::default()
        };
        let security = Security::new(who.clone(), Profile::Strict, Clock::system());
        envelope::write(&outgoing, Some(&security.signer())).expect("well formed")
    }

    /// A new connection.
    ///
    /// # Panics
    /// If it is not accepted.
    pub async fn connect(&self) -> Raw {
        Raw { stream: TcpStream::connect(self.address).await.expect("the door listens"), read: Vec::new() }
    }

    /// Sends `bytes` over a connection of their own and reads one answer.
    pub async fn throw(&self, bytes: &[u8]) -> Answer {
        let mut raw = self.connect().await;
        raw.send(bytes).await;
        raw.answer().await.unwrap_or_else(|| panic!("no answer to {}", shown(bytes)))
    }

    /// POSTs a body as it is.
    pub async fn post(&self, body: &[u8]) -> Answer {
        self.throw(&posted("", body)).await
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        drop(self.stop.take());
    }
}

async fn reboot_instance(
    reboots: Arc<AtomicUsize>,
    _ctx: Context,
    _request: nc::RebootInstance,
) -> Result<nc::RebootInstanceResponse, Refusal> {
    reboots.fetch_add(1, Ordering::SeqCst);
    Ok(nc::RebootInstanceResponse::default())
}

fn count_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANICS.fetch_add(1, Ordering::SeqCst);
            before(panic);
        }));
    });
}

/// A POST of `body`; `fields` are further header fields, each with its CRLF.
pub fn posted(fields: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nHost: door\r\nContent-Type: text/xml\r\nContent-Length: {length}\r\n{fields}\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// A connection that is written and read by hand.
pub struct Raw {
    stream: TcpStream,
    read: Vec<u8>,
}

/// An answer of the door.
#[derive(Debug)]
pub struct Answer {
    /// Its HTTP status.
    pub status: u16,
    /// Its header, in lower case.
    pub head: String,
    /// Its body.
    pub body: String,
}

impl Answer {
    /// The text of the SOAP fault.
    ///
    /// # Panics
    /// If it is none.
    pub fn fault(&self) -> &str {
        let inner = self.body.split_once("<faultstring>").and_then(|(_, rest)| rest.split_once("</faultstring>"));
        match inner {
            Some((text, _)) if self.status == 500 => text,
            Some(_) | None => panic!("no SOAP fault: {self:?}"),
        }
    }
}

impl Raw {
    /// Writes all of it, or as much as the other side takes before it closes.
    pub async fn send(&mut self, bytes: &[u8]) {
        drop(self.try_send(bytes).await);
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// That the other side has closed.
    pub async fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// The next answer; `None` when the connection is closed before one has come whole.
    ///
    /// # Panics
    /// If neither happens for 20 s.
    pub async fn answer(&mut self) -> Option<Answer> {
        loop {
            if let Some((answer, length)) = parsed(&self.read) {
                self.read.drain(..length);
                return Some(answer);
            }
            if self.more().await == 0 {
                return None;
            }
        }
    }

    /// Reads until the connection is closed; gives all that was read.
    ///
    /// # Panics
    /// If it is still open after 20 s.
    pub async fn until_closed(&mut self) -> String {
        let deadline = Instant::now() + PATIENCE;
        while self.more().await > 0 {
            assert!(Instant::now() < deadline, "it still talks");
        }
        String::from_utf8_lossy(&self.read).into_owned()
    }

    async fn more(&mut self) -> usize {
        let mut buffer = [0; 16 * 1024];
        let read = tokio::time::timeout(PATIENCE, self.stream.read(&mut buffer)).await;
        let count = read.expect("neither an answer nor an end").unwrap_or(0);
        self.read.extend_from_slice(&buffer[..count]);
        count
    }
}

/// The first whole answer in `bytes`, and its length.
fn parsed(bytes: &[u8]) -> Option<(Answer, usize)> {
    let text = String::from_utf8_lossy(bytes);
    let end = text.find("\r\n\r\n")? + 4;
    let head = text[..end].to_ascii_lowercase();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse::<usize>().ok());
    let length = end + length.unwrap_or(0);
    let body = String::from_utf8_lossy(bytes.get(end..length)?).into_owned();
    Some((Answer { status, head, body }, length))
}

/// The beginning of what was sent, for a failure's message.
pub fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(300)]).into_owned();
    if bytes.len() > 300 { format!("{text}... ({} bytes)", bytes.len()) } else { text }
}

/// Resident memory of this process, in bytes.
///
/// # Panics
/// If /proc does not tell.
pub fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<usize>().ok());
    kilobytes.expect("VmRSS") * 1024
}
