//! Real doors over TCP whose handlers say yes to everything, and raw bytes to them.

use std::sync::Arc;
use std::time::Duration;

use ironbark_wsdl::clock::Clock;
use ironbark_wsdl::endpoint::{Contract, Endpoint};
use ironbark_wsdl::http::{ServerLimits, serve};
use ironbark_wsdl::wsse::{Certificate, Identity, Profile, Security};
use ironbark_wsdl::{Context, Recorder, Refusal, Request, Response, Router, Service, cc, ironbark, nc};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const DEADLINE: Duration = Duration::from_secs(20);

pub const CONTRACTS: &[Contract] = &[Contract { query: "wsdl", text: "<definitions/>" }];

async fn yes<R: Request>(_: Arc<()>, _: Context, _: R) -> Result<R::Response, Refusal> {
    let mut response = R::Response::refused("");
    response.accept(true);
    Ok(response)
}

macro_rules! yes_to {
    ($router:expr, $($module:ident::$request:ident),*) => { $router$(.on::<$module::$request, _, _>(yes))* };
}

pub fn nodes_router() -> Router<()> {
    let router = Router::new(Arc::new(()), Arc::new(Recorder::new("nc:test")), DEADLINE);
    yes_to!(
        router,
        nc::DescribeResource,
        nc::DescribeInstances,
        nc::RunInstance,
        nc::TerminateInstance,
        nc::RebootInstance,
        nc::GetConsoleOutput,
        nc::AttachVolume,
        nc::DetachVolume,
        nc::StartNetwork,
        nc::PowerDown,
        nc::BundleInstance,
        nc::CancelBundleTask,
        nc::DescribeBundleTasks,
        ironbark::StopInstance
    )
}

fn clusters_router() -> Router<()> {
    let router = Router::new(Arc::new(()), Arc::new(Recorder::new("cc:test")), DEADLINE);
    yes_to!(
        router,
        cc::DescribeInstances,
        cc::DescribeResources,
        cc::RunInstances,
        cc::TerminateInstances,
        cc::RebootInstances,
        cc::GetConsoleOutput,
        cc::AttachVolume,
        cc::DetachVolume,
        cc::StartNetwork,
        cc::StopNetwork,
        cc::ConfigureNetwork,
        cc::AssignAddress,
        cc::UnassignAddress,
        cc::DescribeNetworks,
        cc::DescribePublicAddresses,
        cc::BundleInstance,
        cc::CancelBundleTask,
        cc::DescribeBundleTasks,
        ironbark::RegisterNode
    )
}

/// Who may call a door, and who it is.
pub struct Keys {
    /// To strict callers.
    pub own: Arc<Identity>,
    /// To old callers.
    pub old: Arc<Identity>,
    pub strict_callers: Vec<Certificate>,
    pub old_callers: Vec<Certificate>,
}

impl Keys {
    /// A door that knows only the old caller with this certificate.
    pub fn for_old(caller: Certificate) -> Self {
        Self {
            own: Arc::new(Identity::generate("door").expect("a key")),
            old: Arc::new(Identity::generate_rsa("door").expect("a key")),
            strict_callers: Vec::new(),
            old_callers: vec![caller],
        }
    }

    pub fn security(&self) -> Security {
        let security = Security::new(self.own.clone(), Profile::Strict, Clock::system());
        security.trust(self.strict_callers.clone());
        security.with_old_callers(self.old.clone(), self.old_callers.clone()).expect("RSA keys, nobody twice")
    }
}

/// Opens a door and tells its port; it is shut when the test ends.
pub async fn open(service: Service, security: Security) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let handler = match service {
        Service::Nc => Endpoint::new(nodes_router(), Some(security), "/axis2/services/EucalyptusNC", CONTRACTS),
        Service::Cc => Endpoint::new(clusters_router(), Some(security), "/axis2/services/EucalyptusCC", CONTRACTS),
        Service::Ironbark => unreachable!("no door of its own"),
    }
    .into_handler();
    tokio::spawn(serve(listener, ServerLimits::default(), handler, std::future::pending()));
    port
}

/// What came back for raw bytes: statuses and bodies, one for each answer.
pub async fn send(port: u16, bytes: &[u8], answers: usize) -> Vec<(u16, String, String)> {
    let exchange = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("a connection");
        stream.write_all(bytes).await.expect("sent");
        let (mut received, mut found) = (Vec::new(), Vec::new());
        while found.len() < answers {
            let mut more = [0; 16384];
            let count = stream.read(&mut more).await.expect("received");
            assert!(count > 0, "closed after {}", String::from_utf8_lossy(&received));
            received.extend_from_slice(&more[..count]);
            while let Some(answer) = take_answer(&mut received) {
                if answer.0 != 100 {
                    found.push(answer);
                }
            }
        }
        found
    };
    tokio::time::timeout(DEADLINE, exchange).await.expect("an answer in time")
}

/// The first whole answer, taken off the bytes: status, header, body.
fn take_answer(received: &mut Vec<u8>) -> Option<(u16, String, String)> {
    let end = received.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let header = String::from_utf8(received[..end].to_vec()).expect("an HTTP header");
    let status = header.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let length =
        header.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    let all = end + length.unwrap_or(0);
    if received.len() < all {
        return None;
    }
    let body = String::from_utf8(received[end..all].to_vec()).expect("text");
    received.drain(..all);
    Some((status, header, body))
}
