//! The configuration file, TOML. Unknown keys are errors with line and column. Relative paths are
//! relative to the file's directory. Reads the nodes' certificates when asked for them, and no
//! other file.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ironbark_wsdl::euca201::{OldCaller, OldIdentity, OldPeers};
use serde::Deserialize;
use thiserror::Error;

use crate::cluster::node::{Entry, Profile, Source, node_url};
use crate::ids::NodeName;
use crate::place::Schedule;

/// Longest pause between two refreshes, in seconds: 2.0.1 polled every 6.
const POLL_MAX: u64 = 3600;

/// Why a configuration cannot be used; names the file.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("{path}: cannot be read", path = .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The TOML is wrong; the text has line and column.
    #[error("{path} is not as it should be", path = .path.display())]
    Toml {
        /// Which file.
        path: PathBuf,
        /// What is wrong and where.
        source: Box<toml::de::Error>,
    },
    /// A value cannot be taken.
    #[error("{path}: {key}: {problem}", path = .path.display())]
    Value {
        /// Which file.
        path: PathBuf,
        /// Which key.
        key: String,
        /// What is wrong and what would be right.
        problem: String,
    },
}

/// A cluster controller's configuration, checked, its paths absolute or relative to where it runs.
#[derive(Debug)]
pub struct Config {
    /// The cluster's name, which is its availability zone.
    pub name: String,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where its state and its identity are.
    pub state_dir: PathBuf,
    /// The URL under which the cloud knows it. With it, a message that was meant for another
    /// cluster of the same cloud and is sent here is not accepted.
    pub url: Option<String>,
    /// The certificate of the only caller accepted.
    pub cloud_cert: PathBuf,
    /// How calls to nodes are kept apart.
    pub isolation: Isolation,
    /// How nodes are picked.
    pub schedule: Schedule,
    /// Pause between two refreshes of a node.
    pub poll: Duration,
    /// dnsmasq's lease file.
    pub dhcp_leases: Option<PathBuf>,
    /// Who this cluster is to nodes and clouds of Eucalyptus 2.0.1, and which such clouds may call.
    pub old_peers: OldPeers,
    /// The certificate of the nodes (`node-cert.pem`), for which a cloud of Eucalyptus 2.0.1 asks before
    /// it asks this cluster anything else.
    pub old_node_cert: Option<PathBuf>,
    /// Nodes written in the file; see [`Config::entries`].
    nodes: Vec<FileNode>,
}

/// How calls to nodes are kept apart from this process and from each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    /// Each call in a child process of its own.
    #[default]
    Fork,
    /// In this process, under the same limits.
    Semaphore,
}

impl Isolation {
    /// The name in configuration and contract.
    pub fn name(self) -> &'static str {
        match self {
            Isolation::Fork => "fork",
            Isolation::Semaphore => "semaphore",
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    listen: SocketAddr,
    state_dir: PathBuf,
    url: Option<String>,
    cloud_cert: PathBuf,
    #[serde(default)]
    isolation: Isolation,
    schedule: Option<Schedule>,
    poll_seconds: Option<u64>,
    #[serde(default)]
    network: Network,
    old_identity: Option<OldIdentity>,
    old_node_cert: Option<PathBuf>,
    #[serde(default)]
    old_callers: Vec<OldCaller>,
    #[serde(default)]
    nodes: Vec<FileNode>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Network {
    #[serde(default, rename = "mode")]
    _mode: Mode,
    dhcp_leases: Option<PathBuf>,
}

/// The network modes that there are.
#[derive(Default, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Mode {
    #[default]
    System,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileNode {
    name: NodeName,
    url: String,
    #[serde(default)]
    profile: Profile,
    certificate: PathBuf,
}

impl Config {
    /// Reads and checks a configuration file.
    ///
    /// # Errors
    /// [`ConfigError`], which names the file and the key.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = read(path)?;
        let file: File = toml::from_str(&text)
            .map_err(|source| ConfigError::Toml { path: path.to_path_buf(), source: Box::new(source) })?;
        let value =
            |key: &str, problem: String| ConfigError::Value { path: path.to_path_buf(), key: key.to_string(), problem };
        let base = path.parent().unwrap_or(Path::new("")).to_path_buf();
        let name = NodeName::parse(&file.name)
            .map_err(|_| value("name", "use 1 to 64 letters, digits, '.', '-' and '_', as in cluster1".to_string()))?;
        let poll = file.poll_seconds.unwrap_or(2);
        if !(1..=POLL_MAX).contains(&poll) {
            return Err(value("poll_seconds", format!("{poll} is not between 1 and {POLL_MAX}")));
        }
        Ok(Self {
            name: name.to_string(),
            listen: file.listen,
            state_dir: base.join(file.state_dir),
            url: file.url,
            cloud_cert: base.join(file.cloud_cert),
            isolation: file.isolation,
            schedule: file.schedule.unwrap_or(Schedule::RoundRobin),
            poll: Duration::from_secs(poll),
            dhcp_leases: file.network.dhcp_leases.map(|leases| base.join(leases)),
            old_peers: OldPeers::new(file.old_identity, file.old_callers, &base)
                .map_err(|problem| value("old_callers", problem))?,
            old_node_cert: file.old_node_cert.map(|file| base.join(file)),
            nodes: nodes(file.nodes, &base, &value)?,
        })
    }

    /// The nodes written in the file, each with the text of its certificate.
    ///
    /// # Errors
    /// [`ConfigError::Read`] for a certificate that cannot be read.
    pub fn entries(&self) -> Result<Vec<Entry>, ConfigError> {
        let entry = |node: &FileNode| {
            let certificate = read(&node.certificate)?;
            let (name, url) = (node.name.clone(), node.url.clone());
            Ok(Entry { name, url, profile: node.profile, certificate, source: Source::Configured })
        };
        self.nodes.iter().map(entry).collect()
    }
}

/// Checks the nodes of the file and resolves their paths.
fn nodes(
    mut nodes: Vec<FileNode>,
    base: &Path,
    value: &impl Fn(&str, String) -> ConfigError,
) -> Result<Vec<FileNode>, ConfigError> {
    for index in 0..nodes.len() {
        let (before, rest) = nodes.split_at_mut(index);
        let node = &mut rest[0];
        node.url = node_url(&node.url).map_err(|problem| value(&format!("nodes[{index}].url"), problem))?;
        node.certificate = base.join(&node.certificate);
        if let Some(other) = before.iter().find(|other| other.name == node.name || other.url == node.url) {
            let problem = format!("node {} has the same name or URL", other.name);
            return Err(value(&format!("nodes[{index}].name"), problem));
        }
    }
    Ok(nodes)
}

fn read(path: &Path) -> Result<String, ConfigError> {
    fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_path_buf(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str =
        "name = \"c1\"\nlisten = \"127.0.0.1:8774\"\nstate_dir = \"cc\"\ncloud_cert = \"clc/cert.pem\"\n";

    fn load(text: &str) -> (tempfile::TempDir, Result<Config, ConfigError>) {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("n1.pem"), "PEM").unwrap();
        let path = dir.path().join("cc.toml");
        fs::write(&path, text).unwrap();
        let config = Config::load(&path);
        (dir, config)
    }

    #[test]
    fn the_small_file_has_good_defaults_and_paths_beside_it() {
        let (dir, config) = load(SMALL);
        let config = config.unwrap();
        assert_eq!(
            (config.isolation, config.schedule, config.poll.as_secs()),
            (Isolation::Fork, Schedule::RoundRobin, 2)
        );
        assert_eq!(config.state_dir, dir.path().join("cc"));
        assert!(config.nodes.is_empty() && config.dhcp_leases.is_none());
    }

    #[test]
    fn the_full_file_is_read() {
        let text = format!(
            "{SMALL}isolation = \"semaphore\"\nschedule = \"POWERSAVE\"\npoll_seconds = 6\n[network]\nmode = \"SYSTEM\"\n\
             dhcp_leases = \"/run/leases\"\n[[nodes]]\nname = \"n1\"\nurl = \"http://n1:8775/x\"\ncertificate = \"n1.pem\"\n"
        );
        let (_dir, config) = load(&text);
        let config = config.unwrap();
        assert_eq!(
            (config.isolation, config.schedule, config.poll.as_secs()),
            (Isolation::Semaphore, Schedule::PowerSave, 6)
        );
        assert_eq!(config.dhcp_leases.as_deref(), Some(Path::new("/run/leases")));
        let entries = config.entries().unwrap();
        assert_eq!((entries[0].name.as_str(), entries[0].certificate.as_str()), ("n1", "PEM"));
    }

    #[test]
    fn peers_of_eucalyptus_2_0_1_are_named_so() {
        let text = format!(
            "{SMALL}old_identity = {{ certificate = \"cluster-cert.pem\", key = \"cluster-pk.pem\" }}\n\
             [[old_callers]]\ncertificate = \"cloud-cert.pem\"\n\
             [[nodes]]\nname = \"n1\"\nurl = \"http://n1:8775/x\"\ncertificate = \"n1.pem\"\nprofile = \"euca-2.0.1\"\n"
        );
        let (_dir, config) = load(&text);
        let config = config.unwrap();
        assert_eq!(config.entries().unwrap()[0].profile, Profile::Euca201);
        assert_ne!(config.old_peers, OldPeers::default());
        let (_dir, config) = load(&format!("{SMALL}[[old_callers]]\ncertificate = \"cloud-cert.pem\"\n"));
        assert!(config.unwrap_err().to_string().contains("old_identity"));
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        let node = "[[nodes]]\nname = \"n1\"\nurl = \"http://n1/x\"\ncertificate = \"n1.pem\"\n";
        for (text, expected) in [
            (format!("{SMALL}pol_seconds = 2\n"), "line 5"),
            (format!("{SMALL}poll_seconds = 0\n"), "poll_seconds"),
            (format!("{SMALL}[network]\nmode = \"MANAGED\"\n"), "SYSTEM"),
            (format!("{SMALL}schedule = \"RANDOM\"\n"), "ROUNDROBIN"),
            (SMALL.replace("c1", "c 1"), "name"),
            (format!("{SMALL}{node}{node}"), "nodes[1].name"),
            (format!("{SMALL}{}", node.replace("http", "ftp")), "nodes[0].url"),
            (format!("{SMALL}{}", node.replace("n1.pem", "n2.pem")), "n2.pem"),
        ] {
            let (_dir, config) = load(&text);
            let error = config.and_then(|config| config.entries()).unwrap_err();
            let error = format!("{:#}", anyhow::Error::from(error));
            assert!(error.contains(expected), "{error}");
        }
    }
}
