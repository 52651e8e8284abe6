//! TLS at the EC2 door: real clients through it, strangers kept out, and nobody who stalls it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ironbark_clc::config::Config;
use ironbark_clc::tls;
use ironbark_tests::daemon::program;
use ironbark_tests::tools::{Guest, python, script};
use ironbark_tests::{Cloud, Settings};
use ironbark_wsdl::http::{Body, Handler, ServerLimits, serve_tls};
use tempfile::TempDir;
use tokio::net::TcpListener;

fn cloud() -> (TempDir, Cloud) {
    let files = TempDir::with_prefix("ironbark-guest-").expect("a temporary directory");
    let settings = Settings { isolation: "semaphore", tls: true, ..Settings::default() };
    let cloud = Cloud::start(&settings, Some(Guest::pretended(files.path())));
    (files, cloud)
}

fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().expect("the client can be started");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() { Ok(printed) } else { Err(printed + &String::from_utf8_lossy(&output.stderr)) }
}

#[test]
fn euca_speaks_tls_and_believes_nobody_else() {
    let (_files, cloud) = cloud();
    assert!(cloud.eucarc("EC2_URL").starts_with("https://127.0.0.1:"));
    assert!(cloud.euca(&["describe-availability-zones"]).contains("cluster1"));
    let copy = cloud.path("copy");
    cloud.euca(&["admin", "get-credentials", "admin", &copy]);
    assert_eq!(
        std::fs::read(format!("{copy}/ca.pem")).expect("whom to believe is among the credentials"),
        std::fs::read(cloud.path("clc/door-ca.pem")).expect("the cloud made it")
    );
    // The certificates of another cloud.
    let other = TempDir::new().expect("a temporary directory");
    let config = config(other.path());
    let files = tls::files(&config).expect("it can be made").expect("it speaks TLS");
    let mut command = cloud.client(program("euca"));
    command.env("AWS_CA_BUNDLE", files.authority.expect("it was made")).arg("describe-regions");
    let refusal = run(&mut command).expect_err("another cloud's authority does not vouch for this one");
    assert!(refusal.contains("certificate"), "{refusal}");
    let fingerprint = std::fs::read_to_string(cloud.path("clc/door-fingerprint")).expect("it is written beside");
    assert!(cloud.clc.log().contains(fingerprint.trim()), "and logged");

    // It has ten years to go, of which an administrator is told nothing.
    let quiet = cloud.client(program("euca")).args(["admin", "describe-clusters"]).output().expect("it can be started");
    assert!(quiet.status.success() && quiet.stderr.is_empty(), "{}", String::from_utf8_lossy(&quiet.stderr));

    // Plain HTTP gets an answer that says what to do.
    let mut plain = TcpStream::connect(cloud.clc.address()).expect("the door listens");
    plain.write_all(b"GET / HTTP/1.1\r\nHost: cloud\r\n\r\n").expect("it is read");
    let mut answer = String::new();
    plain.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("https://"), "{answer}");
}

#[test]
fn real_clients_come_in_over_tls() {
    let Some(python) = python() else { return };
    let (_files, cloud) = cloud();
    let image = cloud.register_guest();
    let authority = cloud.eucarc("AWS_CA_BUNDLE");
    // boto 2 reads it from its own file.
    let boto_config = cloud.path("boto.cfg");
    std::fs::write(&boto_config, format!("[Boto]\nca_certificates_file = {authority}\n")).expect("our own directory");
    let client = |program: &Path| {
        let mut command = cloud.client(program);
        command.env("REQUESTS_CA_BUNDLE", &authority).env("SSL_CERT_FILE", &authority).env("BOTO_CONFIG", &boto_config);
        command
    };
    // boto 2 checks names, but no addresses; zeep wants to find nothing of the others.
    let named = cloud.eucarc("EC2_URL").replace("127.0.0.1", "localhost");
    for life in ["zeep_life.py", "boto3_life.py", "boto2_life.py", "libcloud_life.py"] {
        let printed = run(client(&python).env("EC2_URL", &named).arg(script(life)).arg(&image))
            .unwrap_or_else(|error| panic!("{life}: {error}"));
        assert!(printed.contains("ok i-"), "{life}: {printed}");
    }
    let aws = python.with_file_name("aws");
    let regions = run(client(&aws).args(["ec2", "describe-regions"])).expect("aws");
    assert!(regions.contains("ironbark"), "{regions}");
    let without = run(cloud.client(&aws).env_remove("AWS_CA_BUNDLE").args(["ec2", "describe-regions"]));
    let without = without.expect_err("a certificate of nobody's is not believed");
    assert!(without.contains("CERTIFICATE_VERIFY_FAILED"), "{without}");
}

fn config(dir: &Path) -> Config {
    let path = dir.join("clc.toml");
    let text = "listen = \"127.0.0.1:0\"\nstate_dir = \".\"\nurl = \"https://127.0.0.1:8773/services/Eucalyptus\"\n";
    std::fs::write(&path, text).expect("our own directory");
    Config::load(&path).expect("it is well formed")
}

/// A door that answers everything alike, with a certificate that ends in nine days and some hours.
#[tokio::test(flavor = "multi_thread")]
async fn administrators_are_told_that_the_certificate_ends() {
    let dir = TempDir::new().expect("a temporary directory");
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut parameters = rcgen::CertificateParams::new(vec!["127.0.0.1".to_string()]).expect("a name");
    let end = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(9 * 24 + 12);
    parameters.not_after = std::time::SystemTime::from(end).into();
    let certificate = dir.path().join("door.pem");
    std::fs::write(&certificate, parameters.self_signed(&key).expect("a certificate").pem())
        .expect("our own directory");
    let key_file = dir.path().join("door-key.pem");
    std::fs::write(&key_file, key.serialize_pem()).expect("our own directory");
    std::fs::set_permissions(&key_file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("our own file");
    let given = tls::Files { certificate: certificate.clone(), key: key_file, authority: None };
    let (tls, _) = tls::server(&given, &config(dir.path())).expect("it can be used");
    let answer = "<R><requestId>r</requestId><clusterSet/></R>";
    let handler: Handler = Arc::new(move |_| {
        Box::pin(async move { http::Response::new(Body::from(Bytes::from_static(answer.as_bytes()))) })
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let url = format!("https://{}/", listener.local_addr().expect("it is bound"));
    let server = tokio::spawn(serve_tls(listener, tls, ServerLimits::default(), handler, std::future::pending()));
    let told = tokio::task::spawn_blocking(move || {
        let asked = |line: &[&str]| {
            let mut command = Command::new(program("euca"));
            command.env("EC2_URL", &url).env("EC2_ACCESS_KEY", "k").env("EC2_SECRET_KEY", "s");
            let output = command.env("AWS_CA_BUNDLE", &certificate).args(line).output().expect("euca can be started");
            (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
        };
        (asked(&["admin", "describe-clusters"]), asked(&["describe-regions"]))
    });
    let (administrator, user) = told.await.expect("no panic");
    assert!(administrator.0 && administrator.1.contains("ends in 9 days"), "{administrator:?}");
    assert_eq!(user, (true, String::new()), "others cannot do anything about it");
    server.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stalls_the_handshake_is_cut_off() {
    let dir = TempDir::new().expect("a temporary directory");
    let config = config(dir.path());
    let files = tls::files(&config).expect("it can be made").expect("it speaks TLS");
    let (tls, _) = tls::server(&files, &config).expect("it can be used");
    let handler: Handler = Arc::new(|_| Box::pin(async { http::Response::new(Body::from(Bytes::from_static(b"ok"))) }));
    let wait = Duration::from_millis(400);
    let limits = ServerLimits { header_wait: wait, ..ServerLimits::default() };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let address = listener.local_addr().expect("it is bound");
    let server = tokio::spawn(serve_tls(listener, tls, limits, handler, std::future::pending()));
    // Nothing; the first byte; a record that says it is long, and drips.
    for (beginning, drips) in [(&b""[..], false), (b"\x16", false), (b"\x16\x03\x01\x02\x00\x01", true)] {
        let began = Instant::now();
        let closed = tokio::task::spawn_blocking(move || {
            let mut stream = TcpStream::connect(address).expect("the door listens");
            stream.write_all(beginning).expect("it is taken");
            stream.set_read_timeout(Some(Duration::from_millis(20))).expect("a socket");
            loop {
                if began.elapsed() > Duration::from_secs(20) {
                    return false;
                }
                if drips && stream.write_all(b"\0").is_err() {
                    return true;
                }
                match stream.read(&mut [0; 64]) {
                    Ok(0) => return true,
                    Ok(_) => {}
                    Err(error)
                        if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
                    Err(_) => return true,
                }
            }
        });
        assert!(closed.await.expect("no panic"), "{beginning:?} holds a connection for ever");
    }
    server.abort();
}
