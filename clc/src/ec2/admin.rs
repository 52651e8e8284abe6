//! What administrators ask for: clusters, nodes, users, credentials, traces. Query only, in any
//! version (`eucalyptus` by custom). Lists of plain fields; no action here is EC2's.

use super::Done;
use crate::error::Ec2Error;
use crate::front::{Access, Action, Params, Reply, Writer};

/// A thing shown as a row of named fields.
pub trait Row {
    /// The element around the list, `clusterSet`.
    const SET: &'static str;
    /// The fields in their order; those without a value are left out.
    fn fields(&self) -> Vec<(&'static str, String)>;
}

/// An answer that is a list of rows: `<SET><item><field>...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing<T>(pub Vec<T>);

impl<T: Row> Reply for Listing<T> {
    fn write(&self, w: &mut Writer) {
        w.set(T::SET, &self.0, |w, row| {
            for (name, value) in row.fields() {
                w.text(name, &value);
            }
        });
    }
}

/// The fields that have a value.
fn given(fields: Vec<(&'static str, Option<String>)>) -> Vec<(&'static str, String)> {
    fields.into_iter().filter_map(|(name, value)| value.map(|value| (name, value))).collect()
}

/// A name that administrators give: it becomes part of file names, of zone names and of logs.
fn name(params: &Params, parameter: &str) -> Result<String, Ec2Error> {
    let text = params.required(parameter)?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    // euca2ools' word for "show me more" can never be a zone.
    if begins && text.len() <= 64 && text.chars().all(fits) && text != "verbose" {
        return Ok(text.to_string());
    }
    Err(params.invalid(
        parameter,
        text,
        "It must be at most 64 letters, digits, '-', '_' and '.', and begin with a letter or digit.",
    ))
}

/// Where a peer listens: `http://host:port/path`.
fn url(params: &Params) -> Result<String, Ec2Error> {
    let text = params.required("Url")?;
    let parsed = text.parse::<http::Uri>().ok().filter(|_| text.len() <= 1024);
    match parsed {
        Some(url) if url.scheme_str() == Some("http") && url.host().is_some() => Ok(text.to_string()),
        _ => Err(params.invalid(
            "Url",
            text,
            "It must be where the controller listens, such as http://host:8774/axis2/services/EucalyptusCC.",
        )),
    }
}

/// A peer's certificate in PEM; that it can be read is for the action to check.
fn certificate(params: &Params) -> Result<String, Ec2Error> {
    let text = params.required("Certificate")?;
    if text.len() <= 64 * 1024 && text.contains("-----BEGIN CERTIFICATE-----") {
        return Ok(text.to_string());
    }
    Err(params.invalid(
        "Certificate",
        "...",
        "It must be the controller's certificate in PEM, beginning with -----BEGIN CERTIFICATE-----.",
    ))
}

/// Makes a cluster known, or gives a known one another URL or certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterCluster {
    /// Also the availability zone's name.
    pub name: String,
    pub url: String,
    /// PEM.
    pub certificate: String,
}

impl Action for RegisterCluster {
    const NAME: &'static str = "RegisterCluster";
    const ACCESS: Access = Access::Administrator;
    const SOAP: bool = false;
    type Response = Done;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Ok(Self { name: name(params, "Name")?, url: url(params)?, certificate: certificate(params)? })
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
}

impl Action for RegisterNode {
    const NAME: &'static str = "RegisterNode";
    const ACCESS: Access = Access::Administrator;
    const SOAP: bool = false;
    type Response = Done;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        let (cluster, name) = (name(params, "Cluster")?, name(params, "Name")?);
        Ok(Self { cluster, name, url: url(params)?, certificate: certificate(params)? })
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
        let cluster = params.optional("Cluster").map(|_| name(params, "Cluster")).transpose()?;
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
            ("instances", Some(self.instance_ids.join(" "))),
        ])
    }
}

/// Makes a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateUser {
    pub user_name: String,
    pub admin: bool,
}

impl Action for CreateUser {
    const NAME: &'static str = "CreateUser";
    const ACCESS: Access = Access::Administrator;
    const SOAP: bool = false;
    type Response = Done;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Ok(Self { user_name: name(params, "UserName")?, admin: params.boolean("Admin")?.unwrap_or(false) })
    }
}

/// Removes a user and its credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteUser {
    pub user_name: String,
}

impl Action for DeleteUser {
    const NAME: &'static str = "DeleteUser";
    const ACCESS: Access = Access::Administrator;
    const SOAP: bool = false;
    type Response = Done;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Ok(Self { user_name: name(params, "UserName")? })
    }
}

/// Which users there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DescribeUsers;

impl Action for DescribeUsers {
    const NAME: &'static str = "DescribeUsers";
    const ACCESS: Access = Access::Administrator;
    const SOAP: bool = false;
    type Response = Listing<UserRow>;

    fn parse(_: &Params) -> Result<Self, Ec2Error> {
        Ok(Self)
    }
}

/// One user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRow {
    pub user_name: String,
    pub admin: bool,
    /// The ids of its access keys; never a secret.
    pub access_key_ids: Vec<String>,
    /// The fingerprints of its certificates.
    pub certificates: Vec<String>,
}

impl Row for UserRow {
    const SET: &'static str = "userSet";

    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![
            ("userName", self.user_name.clone()),
            ("admin", self.admin.to_string()),
            ("accessKeys", self.access_key_ids.join(" ")),
            ("certificates", self.certificates.join(" ")),
        ]
    }
}

/// Makes an access key for a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateAccessKey {
    pub user_name: String,
}

impl Action for CreateAccessKey {
    const NAME: &'static str = "CreateAccessKey";
    const ACCESS: Access = Access::Administrator;
    const SOAP: bool = false;
    type Response = NewAccessKey;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Ok(Self { user_name: name(params, "UserName")? })
    }
}

/// A new access key, whose secret is told this once.
#[derive(Clone, PartialEq, Eq)]
pub struct NewAccessKey {
    pub user_name: String,
    pub access_key_id: String,
    pub secret_access_key: String,
}

impl std::fmt::Debug for NewAccessKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewAccessKey").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

impl Reply for NewAccessKey {
    fn write(&self, w: &mut Writer) {
        w.element("accessKey", |w| {
            w.text("userName", &self.user_name);
            w.text("accessKeyId", &self.access_key_id);
            w.text("secretAccessKey", &self.secret_access_key);
        });
    }
}

/// Withdraws an access key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteAccessKey {
    pub access_key_id: String,
}

impl Action for DeleteAccessKey {
    const NAME: &'static str = "DeleteAccessKey";
    const ACCESS: Access = Access::Administrator;
    const SOAP: bool = false;
    type Response = Done;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Ok(Self { access_key_id: name(params, "AccessKeyId")? })
    }
}

/// Makes a certificate with its key for a user, for the SOAP door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateSigningCertificate {
    pub user_name: String,
}

impl Action for CreateSigningCertificate {
    const NAME: &'static str = "CreateSigningCertificate";
    const ACCESS: Access = Access::Administrator;
    const SOAP: bool = false;
    type Response = NewCertificate;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Ok(Self { user_name: name(params, "UserName")? })
    }
}

/// A new certificate, whose key is told this once.
#[derive(Clone, PartialEq, Eq)]
pub struct NewCertificate {
    pub user_name: String,
    /// SHA-256 of its DER, hex.
    pub fingerprint: String,
    /// PEM.
    pub certificate: String,
    /// PEM.
    pub private_key: String,
}

impl std::fmt::Debug for NewCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewCertificate").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

impl Reply for NewCertificate {
    fn write(&self, w: &mut Writer) {
        w.element("certificate", |w| {
            w.text("userName", &self.user_name);
            w.text("certificateId", &self.fingerprint);
            w.text("certificateBody", &self.certificate);
            w.text("privateKey", &self.private_key);
        });
    }
}

/// The timed trace of one request over the three tiers, for whoever made it and for administrators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeTrace {
    pub request_id: ironbark_wsdl::RequestId,
}

impl Action for DescribeTrace {
    const NAME: &'static str = "DescribeTrace";
    const SOAP: bool = false;
    type Response = Listing<ironbark_wsdl::Span>;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        let text = params.required("RequestId")?;
        let request_id = text
            .parse()
            .map_err(|_| params.invalid("RequestId", text, "It must be a UUID such as the requestId of an answer."))?;
        Ok(Self { request_id })
    }
}

impl Row for ironbark_wsdl::Span {
    const SET: &'static str = "spanSet";

    fn fields(&self) -> Vec<(&'static str, String)> {
        given(vec![
            ("requestId", Some(self.request_id.clone())),
            ("id", Some(self.id.clone())),
            ("parent", self.parent.clone()),
            ("tier", Some(self.tier.clone())),
            ("name", Some(self.name.clone())),
            ("detail", self.detail.clone()),
            ("start", Some(self.start.to_string())),
            ("duration", Some(self.duration.to_string())),
            ("outcome", Some(self.outcome.clone())),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    fn register(name: &str, url: &str, certificate: &str) -> Result<RegisterCluster, Ec2Error> {
        RegisterCluster::parse(&Params::try_from(&[("Name", name), ("Url", url), ("Certificate", certificate)][..])?)
    }

    #[test]
    fn names_urls_and_certificates_are_checked() {
        let (url, pem) = ("http://10.0.0.1:8774/axis2/services/EucalyptusCC", "-----BEGIN CERTIFICATE-----\n");
        assert!(register("cluster1", url, pem).is_ok());
        for (name, url, pem) in [
            ("../x", url, pem),
            ("verbose", url, pem),
            ("c", "10.0.0.1:8774", pem),
            ("c", "ftp://h/", pem),
            ("c", url, "key"),
        ] {
            assert_eq!(register(name, url, pem).unwrap_err().code, Code::InvalidParameterValue);
        }
    }

    #[test]
    fn secrets_are_not_debugged() {
        let key = NewAccessKey { user_name: "u".into(), access_key_id: "A".into(), secret_access_key: "SECRET".into() };
        assert!(!format!("{key:?}").contains("SECRET"));
    }
}
