//! The two kinds of callers: one that speaks EC2's Query with Signature V4 to the CLC, and one that speaks SOAP to
//! the CC as the cloud does.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use bytes::Bytes;
use http::header;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use ironbark_wsdl::clock::Clock;
use ironbark_wsdl::peer::{Peer, SoapClient};
use ironbark_wsdl::wsse::{Certificate, Identity, Profile};
use ironbark_wsdl::{CallError, Context, Recorder, Request, RequestId, call};

/// The signer of `euca`, the project's own command line. Its unit tests run where it is at home.
#[allow(unused_imports, dead_code)]
#[path = "../../../clc/cli/src/sigv4.rs"]
mod sigv4;

pub use sigv4::encode;

/// How long any call may take.
const BUDGET: Duration = Duration::from_secs(30);
/// The user of everything that is measured.
pub const USER: &str = "admin";

/// A user's client at the cloud's door.
pub struct Ec2 {
    address: String,
    access_key: String,
    secret_key: String,
    http: Client<HttpConnector, Full<Bytes>>,
}

impl Ec2 {
    /// A client of the CLC at `address`, `host:port`, with the keys of an eucarc.
    ///
    /// # Errors
    /// If that cannot be read, or has no keys.
    pub fn new(address: &str, eucarc: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(eucarc).context("the user's eucarc")?;
        let value = |name: &str| {
            let mut lines = text.lines();
            let line = lines.find_map(|line| line.strip_prefix("export ")?.strip_prefix(name)?.strip_prefix('='));
            line.map(|value| value.trim_matches(['"', '\'']).to_string())
                .with_context(|| format!("no {name} in eucarc"))
        };
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Ok(Self {
            address: address.to_string(),
            access_key: value("AWS_ACCESS_KEY_ID")?,
            secret_key: value("AWS_SECRET_ACCESS_KEY")?,
            http: Client::builder(TokioExecutor::new()).build(connector),
        })
    }

    /// Performs an action and gives the answer's text. `more` is the rest of the form: `&InstanceId.1=i-1`.
    ///
    /// # Errors
    /// The cloud's own words.
    pub async fn ask(&self, action: &str, more: &str) -> Result<String> {
        const PATH: &str = "/services/Eucalyptus";
        let body = format!("Action={}&Version=2016-11-15{more}", encode(action));
        let date = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
        let authorization = sigv4::authorization(&sigv4::Signing {
            access_key: &self.access_key,
            secret_key: &self.secret_key,
            region: "ironbark",
            host: &self.address,
            path: PATH,
            body: &body,
            date: &date,
        });
        let request = http::Request::post(format!("http://{}{PATH}", self.address))
            .header(header::CONTENT_TYPE, sigv4::CONTENT_TYPE)
            .header("x-amz-date", date)
            .header(header::AUTHORIZATION, authorization)
            .body(Full::new(Bytes::from(body)))?;
        let exchange = async {
            let response = self.http.request(request).await.context("the cloud cannot be reached")?;
            let (status, body) = (response.status(), response.into_body());
            Ok::<_, anyhow::Error>((status, body.collect().await.context("the answer broke off")?.to_bytes()))
        };
        let answered = tokio::time::timeout(BUDGET, exchange).await;
        let (status, answer) = answered.with_context(|| format!("{action}: no answer within {BUDGET:?}"))??;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        if !status.is_success() {
            bail!("{action}: {status}: {answer}");
        }
        Ok(answer)
    }
}

/// A caller of a CC's door.
pub struct Soap {
    client: SoapClient,
    recorder: Arc<Recorder>,
}

impl Soap {
    /// The cloud of that directory, which signs.
    ///
    /// # Errors
    /// If its key cannot be read.
    pub fn signed(directory: &Path, url: &str) -> Result<Self> {
        let own = Arc::new(Identity::load_or_generate(&directory.join("clc"), "clc")?);
        let certificate = Certificate::load(&directory.join("cc/cert.pem"))?;
        let peer = Peer { url: url.to_string(), certificate, profile: Profile::Strict };
        let client = SoapClient::new(&peer, &own.into(), Clock::system())?;
        Ok(Self::over(client))
    }

    /// Somebody who does not sign.
    pub fn unsigned(url: &str) -> Self {
        Self::over(SoapClient::unsigned(url))
    }

    fn over(client: SoapClient) -> Self {
        Self { client, recorder: Arc::new(Recorder::silent("clc")) }
    }

    /// One call.
    ///
    /// # Errors
    /// As the call ended.
    pub async fn call<R: Request>(&self, request: R) -> Result<R::Response> {
        let ctx = Context::new(RequestId::random(), USER, BUDGET, self.recorder.clone());
        call(&self.client, &ctx, request).await.map_err(|error: CallError| anyhow!("{}: {error}", R::NAME))
    }
}
