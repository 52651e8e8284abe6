//! The configuration file: what the administrator decides. A key that does not exist is an error
//! with its line. Relative paths are relative to the file's own directory.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ironbark_wsdl::euca201::{OldIdentity, OldPeers};
use serde::Deserialize;

use crate::cloud::Settings;
use crate::pool::Pool;
use crate::store::OnFailure;
use crate::tls;
use crate::types::size;

/// Most tags that a node has (nc.toml).
const MOST_TAGS: usize = 32;

/// The configuration of a cloud controller.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where to listen, `0.0.0.0:8773`.
    pub listen: SocketAddr,
    /// Where records and identity are kept; made at the first start.
    pub state_dir: PathBuf,
    /// Where clients reach the API: what `eucarc` and DescribeRegions tell.
    pub url: String,
    /// The door's own certificate; without one, one is made.
    pub tls: Option<tls::Files>,
    /// The door speaks plain HTTP although others than this machine can reach it, or although `url`
    /// says https: a proxy ends TLS, or the network is trusted.
    #[serde(default)]
    pub plain_http: bool,
    /// Query requests may be signed by version 1, which is not safe: for tools that know no other.
    #[serde(default)]
    pub signature_version_1: bool,
    /// The name of the cloud's one region.
    #[serde(default = "default_region")]
    pub region: String,
    /// The elastic addresses that accounts may take: addresses, ranges, networks.
    #[serde(default)]
    public_addresses: Vec<String>,
    /// The same, read.
    #[serde(skip)]
    pub addresses: Pool,
    /// Seconds between two questions to a cluster.
    #[serde(default = "default_poll_seconds")]
    pub poll_seconds: u64,
    /// What becomes of an instance that went off although neither its owner nor its guest asked for it.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// `[node_tags]`: by instance type, the tags that a node must have to get an instance of it.
    #[serde(default)]
    pub node_tags: BTreeMap<String, Vec<String>>,
    /// Who this cloud is to clusters of Eucalyptus 2.0.1.
    old_identity: Option<OldIdentity>,
    /// The same, its paths resolved.
    #[serde(skip)]
    pub old_peers: OldPeers,
}

fn default_region() -> String {
    "ironbark".to_string()
}

fn default_poll_seconds() -> u64 {
    2
}

impl Config {
    /// Reads and checks the file.
    ///
    /// # Errors
    /// What is wrong, where, and what to do.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut config: Config = toml::from_str(&text).with_context(|| format!("in {}", path.display()))?;
        ensure!(
            (1..=3600).contains(&config.poll_seconds),
            "in {}: poll_seconds is {}, but must be from 1 to 3600",
            path.display(),
            config.poll_seconds
        );
        ensure!(
            config.url.starts_with("http://") || config.url.starts_with("https://"),
            "in {}: url is '{}', but must be the whole URL of the API, such as http://cloud.example:8773/services/Eucalyptus",
            path.display(),
            config.url
        );
        ensure!(
            config.plain_http || config.speaks_tls() || config.listen.ip().is_loopback(),
            "in {}: secrets would cross the network readable: write https:// in url (a certificate is made, or give one \
             in [tls]), or plain_http = true on a network that you trust",
            path.display()
        );
        ensure!(
            config.tls.is_none() || config.speaks_tls(),
            "in {}: [tls] is given, but the door would speak plain HTTP: write https:// in url",
            path.display()
        );
        for (name, tags) in &config.node_tags {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
            let tag = |tag: &String| (1..=64).contains(&tag.len()) && tag.bytes().all(fits);
            ensure!(size(name).is_some(), "in {}: [node_tags] {name}: there is no such instance type", path.display());
            ensure!(
                tags.len() <= MOST_TAGS && tags.iter().all(tag),
                "in {}: [node_tags] {name}: {tags:?} must be at most {MOST_TAGS} tags of 1 to 64 letters, digits, '-', '_' \
                 or '.', as in a node's nc.toml",
                path.display()
            );
        }
        config.addresses = Pool::parse(&config.public_addresses)
            .map_err(|problem| anyhow::anyhow!("in {}: public_addresses: {problem}", path.display()))?;
        let dir = path.parent().unwrap_or(Path::new("."));
        config.tls = config.tls.map(|files| files.within(dir));
        config.state_dir = dir.join(&config.state_dir);
        config.old_peers = OldPeers::new(config.old_identity.take(), Vec::new(), dir).map_err(anyhow::Error::msg)?;
        Ok(config)
    }

    /// True if the door speaks TLS: `url` says so, and `plain_http` does not say otherwise.
    pub fn speaks_tls(&self) -> bool {
        self.url.starts_with("https://") && !self.plain_http
    }

    /// The host that `url` names.
    pub fn url_host(&self) -> String {
        let uri = self.url.parse::<http::Uri>().ok();
        let host = uri.as_ref().and_then(http::Uri::host).unwrap_or("localhost");
        host.trim_matches(['[', ']']).to_string()
    }

    /// The file of the records.
    pub fn database(&self) -> PathBuf {
        self.state_dir.join("cloud.db")
    }

    /// What the cloud is told about itself.
    pub fn settings(&self) -> Settings {
        Settings {
            url: self.url.clone(),
            region: self.region.clone(),
            addresses: self.addresses.clone(),
            poll: Duration::from_secs(self.poll_seconds),
            on_failure: self.on_failure,
            node_tags: self.node_tags.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Config> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("clc.toml");
        std::fs::write(&path, text).unwrap();
        Config::load(&path)
    }

    const GOOD: &str =
        "listen = \"127.0.0.1:8773\"\nstate_dir = \"clc\"\nurl = \"http://127.0.0.1:8773/services/Eucalyptus\"\n";

    #[test]
    fn the_smallest_file_has_defaults() {
        let config = load(GOOD).unwrap();
        assert_eq!((config.region.as_str(), config.poll_seconds), ("ironbark", 2));
        assert!(config.state_dir.is_absolute() && config.state_dir.ends_with("clc"));
    }

    #[test]
    fn the_pool_is_read_at_the_start() {
        let pool = |entry: &str| load(&format!("{GOOD}public_addresses = [\"{entry}\"]\n"));
        assert_eq!(pool("192.0.2.8/29").unwrap().addresses.iter().count(), 8);
        let error = format!("{:#}", pool("192.0.2").unwrap_err());
        assert!(error.contains("public_addresses") && error.contains("192.0.2"), "{error}");
    }

    #[test]
    fn tags_are_asked_for_by_types_that_there_are() {
        let tags = |line: &str| load(&format!("{GOOD}[node_tags]\n{line}\n"));
        assert_eq!(tags("\"c1.xlarge\" = [\"ssd\"]").unwrap().settings().node_tags["c1.xlarge"], ["ssd"]);
        for bad in ["\"c9.none\" = [\"ssd\"]", "\"m1.small\" = [\"solid state\"]"] {
            assert!(format!("{:#}", tags(bad).unwrap_err()).contains("[node_tags]"), "{bad}");
        }
    }

    #[test]
    fn plain_http_is_for_this_machine_unless_it_is_asked_for() {
        assert!(!load(GOOD).unwrap().speaks_tls());
        let wide = GOOD.replace("\"127.0.0.1:8773\"", "\"0.0.0.0:8773\"");
        let error = format!("{:#}", load(&wide).unwrap_err());
        assert!(error.contains("plain_http") && error.contains("https://"), "{error}");
        assert!(!load(&format!("{wide}plain_http = true\n")).unwrap().speaks_tls());
        let https = wide.replace("http://", "https://");
        let config = load(&https).unwrap();
        assert!(config.speaks_tls());
        assert_eq!(config.url_host(), "127.0.0.1");
        assert!(!load(&format!("{https}plain_http = true\n")).unwrap().speaks_tls(), "a proxy ends TLS");
        assert!(load(&format!("{GOOD}[tls]\ncertificate = \"c\"\nkey = \"k\"\n")).is_err());
    }

    #[test]
    fn a_slip_is_shown_with_its_line() {
        let error = format!("{:#}", load(&format!("{GOOD}regoin = \"x\"\n")).unwrap_err());
        assert!(error.contains("regoin") && error.contains("line 4"), "{error}");
        assert!(load(&format!("{GOOD}poll_seconds = 0\n")).is_err());
        assert!(load(&GOOD.replace("http://", "")).is_err());
    }
}
