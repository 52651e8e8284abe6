//! The node controller's configuration file: its keys, their defaults and what is wrong with them.
//! Knows nothing of what is done with the values.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ironbark_wsdl::euca201::{OldCaller, OldIdentity, OldPeers};
use serde::Deserialize;

use crate::error::Error;
use crate::hypervisor::accel;
use crate::images::AllowRules;

/// Most tags of one node.
const MOST_TAGS: usize = 32;

/// `nc.toml`, with relative paths resolved against the file's directory.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The node's name, in logs and traces.
    pub name: String,
    /// Where to serve.
    pub listen: SocketAddr,
    /// Records, instances, cache and identity.
    pub state_dir: PathBuf,
    /// The cluster controller's certificate: the only caller accepted.
    pub cluster_cert: PathBuf,
    /// What runs the domains.
    #[serde(default)]
    pub hypervisor: Hypervisor,
    /// What the node offers.
    #[serde(default)]
    pub limits: Limits,
    /// `[overcommit]`.
    #[serde(default)]
    pub overcommit: Overcommit,
    /// What instances may ask of their node, `ssd`.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Which images it fetches.
    #[serde(default)]
    pub images: Images,
    /// How it reboots.
    #[serde(default)]
    pub reboot: Grace,
    /// How it stops.
    #[serde(default)]
    pub stop: Grace,
    /// Who this node is to callers of Eucalyptus 2.0.1.
    old_identity: Option<OldIdentity>,
    /// Cluster controllers of Eucalyptus 2.0.1 that may call, beside `cluster_cert`.
    #[serde(default)]
    old_callers: Vec<OldCaller>,
    /// Both of these, as checked.
    #[serde(skip)]
    pub old_peers: OldPeers,
    /// The command of ncPowerDown; without it the operation is refused.
    #[serde(default)]
    pub power_down: Vec<String>,
}

/// `[hypervisor]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Hypervisor {
    /// Any libvirt URI.
    pub uri: String,
    /// `auto`, `kvm` or `qemu`.
    pub kind: String,
    /// The bridge of SYSTEM mode; without it guests get a user-mode network.
    pub bridge: Option<String>,
}

impl Default for Hypervisor {
    fn default() -> Self {
        Self { uri: "qemu:///system".to_string(), kind: "auto".to_string(), bridge: None }
    }
}

/// `[limits]`: what is not given is found out.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// MiB for instances.
    pub memory_mb: Option<u64>,
    /// Virtual processors for instances; may be more than the machine has.
    pub cores: Option<u64>,
    /// GiB for instances' disks.
    pub disk_gb: Option<u64>,
    /// GiB for the image cache.
    pub cache_gb: Option<u64>,
}

/// `[overcommit]`: how much more, or less, than the machine has is given to instances. Of no effect on what
/// `[limits]` says outright.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Overcommit {
    /// Virtual processors for each of the machine's.
    pub cores: f64,
    /// Of the machine's memory.
    pub memory: f64,
}

impl Default for Overcommit {
    fn default() -> Self {
        Self { cores: 1.0, memory: 1.0 }
    }
}

/// `[images]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Images {
    /// Which URLs may be fetched; without it, any `http` URL and no file.
    pub allow: Option<Vec<String>>,
}

/// `[reboot]` and `[stop]`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Grace {
    /// How long a guest has to obey before it is forced; 60 as in `operations-spec`'s C-9 and C-11.
    pub grace_seconds: u64,
}

impl Default for Grace {
    fn default() -> Self {
        Self { grace_seconds: 60 }
    }
}

impl Config {
    /// Reads the file.
    ///
    /// # Errors
    /// [`Error::ConfigFile`] or [`Error::Config`], the latter with line and key.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text =
            std::fs::read_to_string(path).map_err(|source| Error::ConfigFile { path: path.to_path_buf(), source })?;
        // The parent of a bare file name is the empty path, which stands for where we are.
        let base = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Self::parse(&text, base).map_err(|problem| Error::Config { path: path.to_path_buf(), problem })
    }

    fn parse(text: &str, base: &Path) -> Result<Self, String> {
        let mut config: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        config.check()?;
        // libvirt changes the owners of what it is given by absolute paths only.
        let base = std::path::absolute(base).map_err(|error| error.to_string())?;
        config.state_dir = base.join(&config.state_dir);
        config.cluster_cert = base.join(&config.cluster_cert);
        config.old_peers = OldPeers::new(config.old_identity.take(), std::mem::take(&mut config.old_callers), &base)?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if self.name.is_empty() || self.name.len() > 64 || !self.name.bytes().all(plain) {
            return Err(format!("name = \"{}\" must be 1 to 64 letters, digits, '-', '_' or '.'", self.name));
        }
        self.kind()?;
        if let Some(bridge) = &self.hypervisor.bridge
            && (bridge.is_empty() || bridge.len() > 15 || !bridge.bytes().all(plain))
        {
            return Err(format!(
                "[hypervisor] bridge = \"{bridge}\" must be the name of a network interface, at most 15 characters"
            ));
        }
        for (table, grace) in [("reboot", self.reboot), ("stop", self.stop)] {
            if grace.grace_seconds > 3600 {
                return Err(format!("[{table}] grace_seconds = {} must be at most 3600", grace.grace_seconds));
            }
        }
        for (key, factor) in [("cores", self.overcommit.cores), ("memory", self.overcommit.memory)] {
            if !(0.1..=64.0).contains(&factor) {
                return Err(format!("[overcommit] {key} = {factor} must be a factor between 0.1 and 64"));
            }
        }
        if self.tags.len() > MOST_TAGS {
            return Err(format!("tags has {} entries; at most {MOST_TAGS} are told", self.tags.len()));
        }
        if let Some(tag) = self.tags.iter().find(|tag| !(1..=64).contains(&tag.len()) || !tag.bytes().all(plain)) {
            return Err(format!("tags has \"{tag}\": each must be 1 to 64 letters, digits, '-', '_' or '.'"));
        }
        self.allow().map(drop)
    }

    /// The acceleration asked for.
    ///
    /// # Errors
    /// When `[hypervisor] kind` is no such; reading the file has checked it.
    pub fn kind(&self) -> Result<accel::Kind, String> {
        self.hypervisor.kind.parse().map_err(|problem: String| format!("[hypervisor] kind: {problem}"))
    }

    /// The rules for image URLs.
    ///
    /// # Errors
    /// When `[images] allow` has an unsound rule; reading the file has checked it.
    pub fn allow(&self) -> Result<AllowRules, String> {
        match &self.images.allow {
            None => Ok(AllowRules::default()),
            Some(rules) => AllowRules::parse(rules).map_err(|problem| format!("[images] allow: {problem}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = "name = 'n1'\nlisten = '127.0.0.1:8775'\nstate_dir = 'nc'\ncluster_cert = 'cc/cert.pem'\n";

    fn parse(more: &str) -> Result<Config, String> {
        Config::parse(&format!("{LEAST}{more}"), Path::new("/etc/ironbark"))
    }

    #[test]
    fn little_is_needed_and_paths_are_relative_to_the_file() {
        let config = parse("").unwrap();
        assert_eq!(config.state_dir, Path::new("/etc/ironbark/nc"));
        assert_eq!(config.hypervisor.uri, "qemu:///system");
        assert_eq!(config.reboot.grace_seconds, 60);
        assert!(config.power_down.is_empty());
    }

    #[test]
    fn everything_can_be_said() {
        let config = parse(
            "power_down = ['/bin/true']\ntags = ['ssd', 'rack-4']\n[hypervisor]\nuri = 'test:///default'\nkind = 'qemu'\nbridge = 'ibr0'\n\
             [limits]\nmemory_mb = 1\ncores = 2\ndisk_gb = 3\ncache_gb = 4\n[overcommit]\ncores = 4\nmemory = 1.5\n[images]\nallow = ['file:/i', 'http']\n\
             [reboot]\ngrace_seconds = 5\n[stop]\ngrace_seconds = 6\n",
        );
        let config = config.unwrap();
        assert_eq!(config.tags, ["ssd", "rack-4"]);
        assert_eq!((config.limits.cache_gb, config.overcommit.cores, config.overcommit.memory), (Some(4), 4.0, 1.5));
    }

    #[test]
    fn callers_of_eucalyptus_2_0_1_need_an_identity_of_theirs() {
        let callers = "[[old_callers]]\ncertificate = 'cluster-cert.pem'\n";
        let identity = "old_identity = { certificate = 'node-cert.pem', key = 'node-pk.pem' }\n";
        assert_ne!(parse(&format!("{identity}{callers}")).unwrap().old_peers, OldPeers::default());
        assert!(parse(callers).unwrap_err().contains("old_identity"));
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        for (more, word) in [
            ("stat_dir = 'x'\n", "stat_dir"),
            ("[hypervisor]\nkind = 'xen'\n", "kind"),
            ("[hypervisor]\nbridge = 'a/b'\n", "bridge"),
            ("[stop]\ngrace_seconds = 99999\n", "[stop] grace_seconds"),
            ("[images]\nallow = ['ftp://x']\n", "[images] allow"),
            ("[limits]\nmemory_mb = 'much'\n", "memory_mb"),
            ("tags = ['solid state']\n", "solid state"),
            ("tags = ['']\n", "tags"),
            ("[overcommit]\ncores = 0.0\n", "[overcommit] cores"),
            ("[overcommit]\nmemory = nan\n", "[overcommit] memory"),
        ] {
            let problem = parse(more).unwrap_err();
            assert!(problem.contains(word), "{problem}");
        }
        assert!(parse("stat_dir = 'x'\n").unwrap_err().contains("line 5"));
    }
}
