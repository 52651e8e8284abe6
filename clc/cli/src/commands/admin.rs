//! `euca admin`: clusters and nodes; accounts and users are in `identity`. Ordinary signed requests,
//! which the cloud takes from those only who may make them.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Subcommand;

use super::doctor::Unstick;
use super::identity::Identity;
use super::{Call, optional};
use crate::connection::{Cloud, Parameters};
use crate::output::{Form, line, print, table};
use crate::tree::Element;

#[derive(Subcommand)]
pub enum Admin {
    /// Make a cluster known: its name becomes an availability zone.
    RegisterCluster {
        /// Name of the cluster and of its availability zone, as in its cc.toml.
        name: String,
        /// Its address, `http://HOST:8774/axis2/services/EucalyptusCC`.
        address: String,
        /// File with its certificate (`ironbark-cc keys` names it).
        #[arg(long, value_name = "FILE")]
        cert: PathBuf,
        /// How messages to it are secured: `strict`, or `euca-2.0.1` for one of Eucalyptus 2.0.1.
        #[arg(long, default_value = "strict")]
        profile: String,
    },
    /// Forget a cluster; refused while it has instances.
    DeregisterCluster {
        /// Its name.
        name: String,
    },
    /// Show the clusters.
    DescribeClusters,
    /// Make a node known to its cluster.
    RegisterNode {
        /// Its cluster.
        cluster: String,
        /// Name of the node, as in its nc.toml.
        name: String,
        /// Its address, `http://HOST:8775/axis2/services/EucalyptusNC`.
        address: String,
        /// File with its certificate (`ironbark-nc keys` names it).
        #[arg(long, value_name = "FILE")]
        cert: PathBuf,
        /// How messages to it are secured: `strict`, or `euca-2.0.1` for one of Eucalyptus 2.0.1.
        #[arg(long, default_value = "strict")]
        profile: String,
    },
    /// Let a cluster forget a node.
    DeregisterNode {
        /// Its cluster.
        cluster: String,
        /// Its name.
        name: String,
    },
    /// Let a node get no new instances, for its maintenance; those that it has stay. A stopped one is not started.
    DrainNode {
        /// Its cluster.
        cluster: String,
        /// Its name.
        name: String,
        /// Why: shown wherever the node is, and to whom it keeps from starting.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Let a node get new instances again.
    UndrainNode {
        /// Its cluster.
        cluster: String,
        /// Its name.
        name: String,
    },
    /// Show the nodes and why they are as they are.
    DescribeNodes {
        /// Only of this cluster.
        cluster: Option<String>,
    },
    /// Show how one instance is, what it waits for and what can be done; with --yes, do it.
    Unstick(Unstick),
    #[command(flatten)]
    Identity(Identity),
    /// Make new credentials for a user and write them to a new directory: eucarc, cert.pem, key.pem.
    GetCredentials {
        /// Name of the user.
        user: String,
        /// The directory to make.
        directory: PathBuf,
        /// The user's account; yours if it is not given.
        #[arg(long)]
        account: Option<String>,
    },
}

/// Runs an administrator's command.
///
/// # Errors
/// The cloud's own, or a local file's.
pub async fn run(command: Admin, cloud: &Cloud, form: Form) -> Result<()> {
    let call = match command {
        Admin::GetCredentials { user, directory, account } => {
            return get_credentials(cloud, account, user, &directory).await;
        }
        Admin::Unstick(unstick) => return unstick.run(cloud, form).await,
        Admin::Identity(command) => command.call(),
        other => call(other)?,
    };
    let answer = cloud.ask(call.action, call.parameters).await?;
    print(form, &answer, call.text);
    Ok(())
}

fn call(command: Admin) -> Result<Call> {
    let pair = |name: &str, value: String| (name.to_string(), value);
    let (action, parameters) = match command {
        Admin::DescribeClusters => {
            return Ok(Call { action: "DescribeClusters", parameters: Parameters::new(), text: clusters });
        }
        Admin::DescribeNodes { cluster } => {
            let parameters = cluster.map(|cluster| pair("Cluster", cluster)).into_iter().collect();
            return Ok(Call { action: "DescribeNodes", parameters, text: nodes });
        }
        Admin::RegisterCluster { name, address, cert, profile } => {
            let (certificate, profile) = (pair("Certificate", certificate(&cert)?), pair("Profile", profile));
            ("RegisterCluster", vec![pair("Name", name), pair("Url", address), certificate, profile])
        }
        Admin::RegisterNode { cluster, name, address, cert, profile } => {
            let (certificate, profile) = (pair("Certificate", certificate(&cert)?), pair("Profile", profile));
            let node = [pair("Cluster", cluster), pair("Name", name), pair("Url", address)];
            ("RegisterNode", node.into_iter().chain([certificate, profile]).collect())
        }
        Admin::DeregisterCluster { name } => ("DeregisterCluster", vec![pair("Name", name)]),
        Admin::DeregisterNode { cluster, name } => {
            ("DeregisterNode", vec![pair("Cluster", cluster), pair("Name", name)])
        }
        Admin::DrainNode { cluster, name, reason } => {
            let node = [pair("Cluster", cluster), pair("Name", name), pair("Draining", "true".to_string())];
            ("ModifyNode", node.into_iter().chain(optional("Reason", reason)).collect())
        }
        Admin::UndrainNode { cluster, name } => {
            let draining = pair("Draining", "false".to_string());
            ("ModifyNode", vec![pair("Cluster", cluster), pair("Name", name), draining])
        }
        Admin::GetCredentials { .. } | Admin::Identity(_) | Admin::Unstick(_) => {
            bail!("this command is not one of clusters and nodes")
        }
    };
    // Done is done: the answer has nothing to print.
    Ok(Call { action, parameters, text: |_| Vec::new() })
}

fn certificate(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))
}

pub(super) fn rows(answer: &Element, set: &str, fields: &[&str]) -> Vec<Vec<String>> {
    let row = |item: &Element| fields.iter().map(|field| item.at(field).to_string()).collect();
    answer.items(set).map(row).collect()
}

fn clusters(answer: &Element) -> Vec<String> {
    let rows = rows(answer, "clusterSet", &["name", "state", "nodes", "version", "lastSeen", "url", "reason"]);
    table(&["CLUSTER", "STATE", "NODES", "VERSION", "LAST SEEN", "ADDRESS", "REASON"], &rows)
}

fn nodes(answer: &Element) -> Vec<String> {
    let row = |item: &Element| {
        let of = |free: &str, all: &str| format!("{}/{}", item.at(free), item.at(all));
        let (state, reason) = match (item.at("state"), item.at("reason"), item.at("draining")) {
            (state, reason, "") => (state.to_string(), reason.to_string()),
            (state, "", drain) => (format!("{state}, draining"), format!("draining {drain}")),
            (state, reason, drain) => (format!("{state}, draining"), format!("{reason}; draining {drain}")),
        };
        vec![
            item.at("cluster").to_string(),
            item.at("name").to_string(),
            state,
            of("coresAvailable", "coresMax"),
            of("memoryAvailable", "memoryMax"),
            of("diskAvailable", "diskMax"),
            item.at("tags").to_string(),
            item.at("hypervisor").to_string(),
            item.at("instances").to_string(),
            reason,
        ]
    };
    let rows: Vec<Vec<String>> = answer.items("nodeSet").map(row).collect();
    table(
        &["CLUSTER", "NODE", "STATE", "CORES", "MEMORY MB", "DISK GB", "TAGS", "HYPERVISOR", "INSTANCES", "REASON"],
        &rows,
    )
}

/// New access key and certificate, in files that only their owner can read.
async fn get_credentials(cloud: &Cloud, account: Option<String>, user: String, directory: &Path) -> Result<()> {
    if directory.exists() {
        bail!("{} is there already: name a directory that is not", directory.display());
    }
    let mut whose = vec![("UserName".to_string(), user)];
    whose.extend(optional("AccountName", account));
    let key = cloud.ask("CreateAccessKey", whose.clone()).await?;
    let certificate = cloud.ask("CreateSigningCertificate", whose).await?;
    let made = fs::DirBuilder::new().mode(0o700).create(directory);
    made.with_context(|| format!("{} cannot be made", directory.display()))?;
    let write = |file: &str, text: &str| {
        let path = directory.join(file);
        let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        opened
            .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
            .with_context(|| format!("{} cannot be written", path.display()))
    };
    if let Some(authority) = cloud.authority() {
        let text = fs::read_to_string(authority).with_context(|| format!("{} cannot be read", authority.display()))?;
        write("ca.pem", &text)?;
    }
    write("cert.pem", certificate.at("certificate/certificateBody"))?;
    write("key.pem", certificate.at("certificate/privateKey"))?;
    write("eucarc", &eucarc(cloud, |field| key.at(&format!("accessKey/{field}")).to_string()))?;
    line(&directory.join("eucarc").display().to_string());
    Ok(())
}

/// An eucarc that finds its neighbours wherever its directory is put. The cloud's own
/// (`ironbark-clc init`) has the same lines.
fn eucarc(cloud: &Cloud, field: impl Fn(&str) -> String) -> String {
    let (url, region) = (cloud.url(), cloud.region());
    let trust = cloud.authority().map_or("", |_| "export AWS_CA_BUNDLE=$EUCA_KEY_DIR/ca.pem\n");
    let (account, id, secret) = (field("accountId"), field("accessKeyId"), field("secretAccessKey"));
    format!(
        "# Credentials of an Ironbark cloud: `source` this file. Keep it to yourself.\n\
         EUCA_KEY_DIR=$(cd \"$(dirname \"${{BASH_SOURCE:-$0}}\")\" && pwd)\n\
         export EUCA_KEY_DIR\n\
         export EC2_URL={url}\n\
         export AWS_ENDPOINT_URL_EC2={url}\n\
         export AWS_ENDPOINT_URL_STS={url}\n\
         export AWS_DEFAULT_REGION={region}\n\
         export EC2_USER_ID={account}\n\
         export EC2_ACCESS_KEY={id}\n\
         export EC2_SECRET_KEY={secret}\n\
         export AWS_ACCESS_KEY_ID={id}\n\
         export AWS_SECRET_ACCESS_KEY={secret}\n\
         export EC2_CERT=$EUCA_KEY_DIR/cert.pem\n\
         export EC2_PRIVATE_KEY=$EUCA_KEY_DIR/key.pem\n{trust}"
    )
}
