//! The first credentials: made once, the same ones ever after.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use ironbark_clc::config::Config;
use ironbark_clc::{init, serve};

fn config(dir: &Path) -> Config {
    let path = dir.join("clc.toml");
    let text = "listen = \"127.0.0.1:0\"\nstate_dir = \"clc\"\nurl = \"http://127.0.0.1:8773/services/Eucalyptus\"\n";
    fs::write(&path, text).unwrap();
    Config::load(&path).unwrap()
}

#[tokio::test]
async fn init_twice_writes_the_same_credentials_for_their_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let credentials = dir.path().join("credentials");
    init::init(&config, &credentials).await.unwrap();
    let read = |name: &str| fs::read_to_string(credentials.join(name)).unwrap();
    let first = ["eucarc", "cert.pem", "key.pem"].map(read);
    assert_eq!(fs::metadata(&credentials).unwrap().mode() & 0o777, 0o700);
    for name in ["eucarc", "cert.pem", "key.pem"] {
        assert_eq!(fs::metadata(credentials.join(name)).unwrap().mode() & 0o777, 0o600, "{name}");
    }
    for name in
        ["EC2_URL", "EC2_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL_EC2", "EC2_CERT", "EC2_USER_ID"]
    {
        assert!(first[0].contains(&format!("export {name}='")), "{name}");
    }
    init::init(&config, &credentials).await.unwrap();
    assert_eq!(["eucarc", "cert.pem", "key.pem"].map(read), first);

    // Another directory: the same access key, a certificate of its own.
    let other = dir.path().join("other");
    init::init(&config, &other).await.unwrap();
    let key = |text: &str| text.lines().find(|line| line.contains("EC2_SECRET_KEY")).unwrap().to_string();
    assert_eq!(key(&fs::read_to_string(other.join("eucarc")).unwrap()), key(&first[0]));
    assert_ne!(fs::read_to_string(other.join("cert.pem")).unwrap(), first[1]);
}

#[test]
fn a_second_controller_is_kept_away_from_the_records() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    serve::prepare(&config).unwrap();
    let held = serve::lock(&config).unwrap();
    assert!(format!("{:#}", serve::lock(&config).unwrap_err()).contains("another cloud controller runs"));
    drop(held);
    serve::lock(&config).unwrap();
}
