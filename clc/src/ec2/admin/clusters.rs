//! Clusters and nodes: making them known, and how they are.

use ironbark_wsdl::wsse::Profile;

use super::{Listing, Row, certificate, given, name, optional_name, profile, url};
use crate::ec2::Done;
use crate::error::Ec2Error;
use crate::front::{Access, Action, Params};

/// Makes a cluster known, or gives a known one another URL or certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterCluster {
    /// Also the availability zone's name.
    pub name: String,
    pub url: String,
    /// PEM.
    pub certificate: String,
    /// How messages to it are secured.
    pub profile: Profile,
}

impl Action for RegisterCluster {
    const NAME: &'static str = "RegisterCluster";
    const ACCESS: Access = Access::Administrator;
    const SOAP: bool = false;
    type Response = Done;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        let (name, url) = (name(params, "Name")?, url(params)?);
        Ok(Self { name, url, certificate: certificate(params)?, profile: profile(params)? })
    }
}

/// Forgets a cluster; its instances are not touched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeregisterCluster {
    pub name: String,
}

impl Action for DeregisterCluster {
    const NAME: &'static str = "DeregisterCluster";
    const ACCESS: Access = Access::Administrator;
    const SOAP: bool = false;
    type Response = Done;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Ok(Self { name: name(params, "Name")? })
    }
}

/// Which clusters are registered, and how they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DescribeClusters;

impl Action for DescribeClusters {
    const NAME: &'static str = "DescribeClusters";
    const ACCESS: Access = Access::Administrator;
    const SOAP: bool = false;
    type Response = Listing<ClusterRow>;

    fn parse(_: &Params) -> Result<Self, Ec2Error> {
        Ok(Self)
    }
}

/// One cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterRow {
    pub name: String,
    pub url: String,
    /// How we believe it is, in one word: `up`, `down`, `unknown`.
    pub state: String,
    /// Why.
    pub reason: Option<String>,
    /// Its program's version, as it says.
    pub version: Option<String>,
    pub nodes: Option<u32>,
    /// When it last answered; RFC 3339.
    pub last_seen: Option<String>,
    /// SHA-256 of its certificate's DER, hex.
    pub certificate_fingerprint: Option<String>,
}

impl Row for ClusterRow {
    const SET: &'static str = "clusterSet";

    fn fields(&self) -> Vec<(&'static str, String)> {
        given(vec![
            ("name", Some(self.name.clone())),
            ("url", Some(self.url.clone())),
            ("state", Some(self.state.clone())),
            ("reason", self.reason.clone()),
            ("version", self.version.clone()),
            ("nodes", self.nodes.map(|nodes| nodes.to_string())),
            ("lastSeen", self.last_seen.clone()),
            ("certificateFingerprint", self.certificate_fingerprint.clone()),
        ])
    }
}

/// Makes a node known to its cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterNode {
    pub cluster: String,
    pub name: String,
    pub url: String,
    /// PEM.
    pub certificate: String,
    /// How its cluster secures messages to it.
    pub profile: Profile,
}

impl Action for RegisterNode {
    const NAME: &'static str = "RegisterNode";
    const ACCESS: Access = Access::Administrator;
    const SOAP: bool = false;
    type Response = Done;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        let (cluster, name) = (name(params, "Cluster")?, name(params, "Name")?);
        let (url, certificate) = (url(params)?, certificate(params)?);
        Ok(Self { cluster, name, url, certificate, profile: profile(params)? })
    }
}

/// Lets a cluster forget a node; its instances are not touched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeregisterNode {
    pub cluster: String,
    pub name: String,
}

impl Action for DeregisterNode {
    const NAME: &'static str = "DeregisterNode";
    const ACCESS: Access = Access::Administrator;
    const SOAP: bool = false;
    type Response = Done;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Ok(Self { cluster: name(params, "Cluster")?, name: name(params, "Name")? })
    }
}

/// Lets a node get no new instances, or get them again; those that it has stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModifyNode {
    pub cluster: String,
    pub name: String,
    /// True: no new ones.
    pub draining: bool,
    /// Why, for people.
    pub reason: Option<String>,
}

impl Action for ModifyNode {
    const NAME: &'static str = "ModifyNode";
    const ACCESS: Access = Access::Administrator;
    const SOAP: bool = false;
    type Response = Done;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        params.required("Draining")?;
        let draining = params.boolean("Draining")?.unwrap_or_default();
        let reason = params.text("Reason");
        if reason.as_ref().is_some_and(|reason| reason.len() > 256 || reason.chars().any(char::is_control)) {
            return Err(params.invalid("Reason", "...", "It must be one line of at most 256 bytes."));
        }
        Ok(Self { cluster: name(params, "Cluster")?, name: name(params, "Name")?, draining, reason })
    }
}

/// Which nodes the clusters have, and how they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DescribeNodes {
    /// Only of this cluster; of all if absent.
    pub cluster: Option<String>,
}

impl Action for DescribeNodes {
    const NAME: &'static str = "DescribeNodes";
    const ACCESS: Access = Access::Administrator;
    const SOAP: bool = false;
    type Response = Listing<NodeRow>;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        let cluster = optional_name(params, "Cluster")?;
        Ok(Self { cluster })
    }
}

/// One node, as its cluster tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRow {
    pub cluster: String,
    pub name: String,
    pub url: String,
    /// `up`, `suspect`, `down`, `unknown`.
    pub state: String,
    /// Why.
    pub reason: Option<String>,
    /// When it last answered; RFC 3339.
    pub last_seen: Option<String>,
    /// Free and all: cores, MB of memory, GB of disk.
    pub cores: Option<(i64, i64)>,
    pub memory_mb: Option<(i64, i64)>,
    pub disk_gb: Option<(i64, i64)>,
    /// What runs its domains, and why so.
    pub hypervisor: Option<String>,
    /// What its guests' processors are.
    pub architecture: Option<String>,
    /// What its administrator says of it.
    pub tags: Vec<String>,
    /// If it gets no new instances: since when and why.
    pub draining: Option<String>,
    /// The instances on it.
    pub instance_ids: Vec<String>,
}

impl Row for NodeRow {
    const SET: &'static str = "nodeSet";

    fn fields(&self) -> Vec<(&'static str, String)> {
        let free = |pair: Option<(i64, i64)>| pair.map(|(free, _)| free.to_string());
        let all = |pair: Option<(i64, i64)>| pair.map(|(_, all)| all.to_string());
        given(vec![
            ("cluster", Some(self.cluster.clone())),
            ("name", Some(self.name.clone())),
            ("url", Some(self.url.clone())),
            ("state", Some(self.state.clone())),
            ("reason", self.reason.clone()),
            ("lastSeen", self.last_seen.clone()),
            ("coresAvailable", free(self.cores)),
            ("coresMax", all(self.cores)),
            ("memoryAvailable", free(self.memory_mb)),
            ("memoryMax", all(self.memory_mb)),
            ("diskAvailable", free(self.disk_gb)),
            ("diskMax", all(self.disk_gb)),
            ("hypervisor", self.hypervisor.clone()),
            ("architecture", self.architecture.clone()),
            ("tags", Some(self.tags.join(" ")).filter(|tags| !tags.is_empty())),
            ("draining", self.draining.clone()),
            ("instances", Some(self.instance_ids.join(" "))),
        ])
    }
}
