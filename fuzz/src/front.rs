//! What must be true of any HTTP request at the EC2 API's door, from strangers and from users: it is
//! answered, by well-formed XML, and never by "try again". Each input meets a cloud of its own, so that
//! a finding does not depend on those before it.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use aws_lc_rs::{digest, hmac};
use bytes::Bytes;
use http::{Request, header};
use http_body_util::BodyExt;
use ironbark_clc::cloud::{Cloud, Settings};
use ironbark_clc::clusters::Connect;
use ironbark_clc::front::Front;
use ironbark_clc::pool::Pool;
use ironbark_clc::role::Role;
use ironbark_clc::serve;
use ironbark_clc::store::{AccessKey, Account, Certificate, OnFailure, Store, User, UserGroup};
use ironbark_wsdl::clock::Clock;
use ironbark_wsdl::envelope::{self, Limits, Outgoing};
use ironbark_wsdl::wsse::{Identity, Profile, Security};
use tempfile::TempDir;
use tokio::sync::OnceCell;
use xml::reader::{EventReader, XmlEvent};

const NOW: &str = "2026-11-20T12:01:00Z";
/// The same in a signature.
const DATE: &str = "20261120T120100Z";
const KEY: &str = "AKIBFUZZ";
const SECRET: &str = "theSecretOfTheFuzzTarget";
const PATH: &str = "/services/Eucalyptus";

/// Any bytes as an HTTP request (first line, headers, an empty line, body): asked as it is; its
/// parameters, signed; and its envelope's body, or what it has in place of one, signed.
pub fn front(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let stand = Stand::new().await;
        if let Some(request) = given(head, body) {
            let query = request.uri().query().unwrap_or_default().to_string();
            let (status, text) = stand.ask(request).await;
            assert!(!(200..300).contains(&status) || text.contains("<definitions"), "a stranger was served: {text}");
            let parameters = format!("{query}&{body}");
            let (_, text) = stand.ask(with_key(&parameters)).await;
            // A name that is written otherwise is seen by the door only.
            assert!(!text.contains("<Code>AuthFailure<") || parameters.contains('%'), "not let in: {text}");
        }
        if let Some(envelope) = with_certificate(body) {
            let request = Request::post(PATH).header(header::CONTENT_TYPE, "text/xml").body(Bytes::from(envelope));
            let (_, text) = stand.ask(request.expect("a request")).await;
            assert!(!text.contains("<faultcode>soapenv:Client.AuthFailure<"), "not let in: {text}");
        }
    });
}

/// The request that is written there; none if HTTP itself refuses it.
fn given(head: &str, body: &str) -> Option<Request<Bytes>> {
    let mut lines = head.lines();
    let mut words = lines.next()?.split(' ');
    let mut request = Request::builder().method(words.next()?).uri(words.next()?);
    for line in lines {
        let (name, value) = line.split_once(':')?;
        request = request.header(name, value.trim());
    }
    request.body(Bytes::copy_from_slice(body.as_bytes())).ok()
}

/// The parameters as a form that the administrator signs by V4, instead of whoever had signed them.
fn with_key(parameters: &str) -> Request<Bytes> {
    const OTHERS: [&str; 5] = ["AWSAccessKeyId", "Signature", "Timestamp", "Expires", "X-Amz-"];
    let unsigned = |pair: &&str| !pair.is_empty() && !OTHERS.iter().any(|begin| pair.starts_with(begin));
    let form = parameters.split('&').filter(unsigned).collect::<Vec<_>>().join("&");
    let canonical =
        format!("POST\n{PATH}\n\nhost:h\nx-amz-date:{DATE}\n\nhost;x-amz-date\n{}", sha256(form.as_bytes()));
    let scope = format!("{}/ironbark/ec2/aws4_request", &DATE[..8]);
    let string = format!("AWS4-HMAC-SHA256\n{DATE}\n{scope}\n{}", sha256(canonical.as_bytes()));
    let mut signature = format!("AWS4{SECRET}").into_bytes();
    for part in scope.split('/').chain([string.as_str()]) {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &signature);
        signature = hmac::sign(&key, part.as_bytes()).as_ref().to_vec();
    }
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={KEY}/{scope}, SignedHeaders=host;x-amz-date, Signature={}",
        hex(&signature)
    );
    let request = Request::post(PATH).header("host", "h").header("x-amz-date", DATE);
    request.header("authorization", authorization).body(Bytes::from(form)).expect("a request")
}

/// The body in an envelope that the administrator signs; none if it is nothing that can be in one.
fn with_certificate(body: &str) -> Option<String> {
    let inside = envelope::read(body.as_bytes(), &Limits::request()).map(|envelope| envelope.body);
    let outgoing = Outgoing { body: &inside.unwrap_or_else(|_| body.to_string()), ..Outgoing::default() };
    let security = Security::new(identity().clone(), Profile::User, clock());
    envelope::write(&outgoing, Some(&security.signer())).ok()
}

fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn clock() -> Clock {
    Clock::manual(NOW.parse().expect("a time"))
}

/// The administrator's certificate, and the cloud's: keys take long to make.
fn identity() -> &'static Arc<Identity> {
    static IDENTITY: OnceLock<Arc<Identity>> = OnceLock::new();
    IDENTITY.get_or_init(|| Arc::new(Identity::generate_rsa("fuzz").expect("a key")))
}

/// The files of the records of such a cloud, made once: a schema takes longer to make than to copy.
async fn records() -> &'static [(&'static str, Vec<u8>)] {
    static RECORDS: OnceCell<Vec<(&str, Vec<u8>)>> = OnceCell::const_new();
    let made = RECORDS.get_or_init(|| async {
        let dir = tempfile::tempdir().expect("a directory");
        let path = |file: &str| dir.path().join(file);
        administrator(&Store::open(&path("cloud.db")).expect("a store")).await;
        // All is in the one file once the last connection, which the writing thread has, is closed.
        let deadline = Instant::now() + Duration::from_secs(60);
        while path("cloud.db-wal").exists() {
            assert!(Instant::now() < deadline, "the records are not closed");
            tokio::task::yield_now().await;
        }
        ["cloud.db", "secrets.key"].map(|file| (file, fs::read(path(file)).expect("a file"))).into()
    });
    made.await
}

/// Makes the administrator.
async fn administrator(store: &Store) {
    let (account, created) = ("100000000001".to_string(), 1);
    let user = User { id: "AIDAFUZZ".into(), account: account.clone(), name: "admin".into(), created };
    let group =
        UserGroup { account: account.clone(), name: "administrators".into(), role: Role::CloudAdministrator, created };
    let key = AccessKey { id: KEY.into(), user: user.id.clone(), secret: SECRET.into(), active: true, created };
    let certificate = Certificate {
        fingerprint: identity().fingerprint(),
        user: user.id.clone(),
        pem: identity().cert_pem(),
        active: true,
        created,
    };
    let account = Account { id: account, name: "admin".into(), created };
    store.create_account(account, user, group).await.expect("an account");
    assert!(store.add_access_key(key).await.expect("a key"));
    assert!(store.add_certificate(certificate).await.expect("a certificate"));
}

/// A cloud with an administrator and no clusters, and nothing of it reaches a network.
struct Stand {
    front: Arc<Front<Cloud>>,
    _dir: TempDir,
}

impl Stand {
    async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        for (name, bytes) in records().await {
            let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(dir.path().join(name));
            file.and_then(|mut file| file.write_all(bytes)).expect("a copy");
        }
        let store = Store::open(&dir.path().join("cloud.db")).expect("a store");
        let settings = Settings {
            url: "http://h:8773/services/Eucalyptus".into(),
            region: "ironbark".into(),
            addresses: Pool::parse(&["192.0.2.10-192.0.2.12".to_string()]).expect("addresses"),
            poll: Duration::from_secs(2),
            on_failure: OnFailure::default(),
            node_tags: BTreeMap::new(),
        };
        let connect: Connect = Arc::new(|_| Err("there is no network here".into()));
        let cloud = Cloud::open(store, settings, clock(), connect).await.expect("a cloud");
        Self { front: Arc::new(serve::front(&cloud, identity().clone())), _dir: dir }
    }

    /// Status and text of the answer, which must be one that a client can read, and that does not make
    /// it try again.
    async fn ask(&self, request: Request<Bytes>) -> (u16, String) {
        let shown = format!("{request:?}");
        let (parts, body) = self.front.handle(request).await.into_parts();
        let body = body.collect().await.expect("the whole answer").to_bytes();
        let text = String::from_utf8(body.to_vec()).expect("text");
        for event in EventReader::new(text.as_bytes()) {
            let event = event.unwrap_or_else(|error| panic!("{error}: {text}, to {shown}"));
            assert!(!matches!(event, XmlEvent::Doctype { .. }), "{text}, to {shown}");
        }
        let status = parts.status.as_u16();
        // SOAP 1.1 has no other status for a fault of the client's: Client, VersionMismatch, MustUnderstand.
        let fault = text.contains("<faultcode>soapenv:") && !text.contains("<faultcode>soapenv:Server");
        // There is no cluster, so there is no room.
        let full = text.contains("InsufficientInstanceCapacity");
        assert!(status < 500 || fault || full, "{status} {text}, to {shown}");
        (status, text)
    }
}
