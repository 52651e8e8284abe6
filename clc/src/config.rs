//! The configuration file: what the administrator decides. A key that does not exist is an error
//! with its line. Relative paths are relative to the file's own directory.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ironbark_wsdl::euca201::{OldIdentity, OldPeers};
use serde::Deserialize;

use crate::cloud::Settings;

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
    /// The name of the cloud's one region.
    #[serde(default = "default_region")]
    pub region: String,
    /// Seconds between two questions to a cluster.
    #[serde(default = "default_poll_seconds")]
    pub poll_seconds: u64,
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
        let dir = path.parent().unwrap_or(Path::new("."));
        config.state_dir = dir.join(&config.state_dir);
        config.old_peers = OldPeers::new(config.old_identity.take(), Vec::new(), dir).map_err(anyhow::Error::msg)?;
        Ok(config)
    }

    /// The file of the records.
    pub fn database(&self) -> PathBuf {
        self.state_dir.join("cloud.db")
    }

    /// What the cloud is told about itself.
    pub fn settings(&self) -> Settings {
        Settings { url: self.url.clone(), region: self.region.clone(), poll: Duration::from_secs(self.poll_seconds) }
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
    fn a_slip_is_shown_with_its_line() {
        let error = format!("{:#}", load(&format!("{GOOD}regoin = \"x\"\n")).unwrap_err());
        assert!(error.contains("regoin") && error.contains("line 4"), "{error}");
        assert!(load(&format!("{GOOD}poll_seconds = 0\n")).is_err());
        assert!(load(&GOOD.replace("http://", "")).is_err());
    }
}
