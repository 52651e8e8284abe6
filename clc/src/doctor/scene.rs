//! What the doctor compares, as plain nouns: the records, and beside them what clusters believe and nodes find. Gathered
//! here, at one moment as nearly as can be; judged in `examine`.

use std::sync::Arc;
use std::time::Duration;

use ironbark_wsdl::ironbark::{DescribeCluster, DescribeInventory};
use ironbark_wsdl::{CallError, Context};
use jiff::Timestamp;
use tokio::task::JoinSet;

use crate::cloud::Cloud;
use crate::clusters::tell;
use crate::convert;
use crate::lifecycle::Observed;
use crate::refresh;
use crate::store::{Address, Instance, StoreError};

/// Longest wait for a cluster's part.
const BUDGET: Duration = Duration::from_secs(20);

/// Everything that is compared.
#[derive(Clone, Debug, Default)]
pub struct Scene {
    /// When.
    pub now: Timestamp,
    /// Every instance that is kept, ended ones too.
    pub records: Vec<Instance>,
    /// Every elastic address that somebody has.
    pub addresses: Vec<Address>,
    /// The clusters, by name.
    pub clusters: Vec<(String, Seen)>,
}

/// What came of asking a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It did not answer, and why.
    Silent(String),
    /// It knows the operations of Eucalyptus 2.0.1 only, which tell too little.
    Old,
    /// It answered.
    Told {
        /// What it believes of instances.
        beliefs: Vec<Belief>,
        /// Its nodes.
        nodes: Vec<Node>,
    },
}

/// What a cluster believes of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Belief {
    /// Which.
    pub id: String,
    /// On which node.
    pub node: String,
    /// How it is.
    pub state: Observed,
    /// Why.
    pub reason: Option<String>,
    /// Since when.
    pub since: Timestamp,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// What it found; or why it could not be asked.
    pub inventory: Result<Inventory, String>,
}

/// What a node found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Why its hypervisor could not be asked.
    pub hypervisor_trouble: Option<String>,
    /// Its instances.
    pub instances: Vec<OnNode>,
    /// Domains with its mark and without a record.
    pub strange_domains: Vec<String>,
    /// Directories without a record.
    pub strange_files: Vec<String>,
    /// Records it cannot read.
    pub unreadable: Vec<String>,
    /// MB free where the disks are.
    pub disk_free_mb: i64,
}

/// An instance as its node has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnNode {
    /// Which.
    pub id: String,
    /// Whose.
    pub owner: String,
    /// How its node says it is.
    pub state: Observed,
    /// Why.
    pub reason: Option<String>,
    /// Since when.
    pub since: Timestamp,
    /// Its domain in the node's word; none when the hypervisor could not be asked.
    pub domain: Option<String>,
    /// Whether its files are there.
    pub files: bool,
}

/// Looks at everything: first what the clusters have now is taken into the records, then both are read.
///
/// # Errors
/// [`StoreError`] if the records cannot be read.
pub async fn gather(cloud: &Arc<Cloud>, ctx: &Context) -> Result<Scene, StoreError> {
    let mut asked = JoinSet::new();
    for name in cloud.clusters.names() {
        let (cloud, ctx) = (cloud.clone(), ctx.within(BUDGET));
        asked.spawn(async move {
            refresh::poll(&cloud, &name).await;
            let seen = look(&cloud, &ctx, &name).await;
            (name, seen)
        });
    }
    let mut clusters = asked.join_all().await;
    clusters.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(Scene {
        now: cloud.clock.now(),
        records: cloud.store.kept().await?,
        addresses: cloud.store.addresses(None).await?,
        clusters,
    })
}

async fn look(cloud: &Cloud, ctx: &Context, cluster: &str) -> Seen {
    match ask(cloud, ctx, cluster).await {
        Ok(seen) => seen,
        // Not even asked: it was registered with the profile euca-2.0.1.
        Err(CallError::Declined { .. }) => Seen::Old,
        // It answers polls, so what it does not understand is the question.
        Err(CallError::Fault { .. }) if cloud.clusters.known(cluster).is_some_and(|known| known.failure.is_none()) => {
            Seen::Old
        }
        Err(error) => Seen::Silent(error.to_string()),
    }
}

async fn ask(cloud: &Cloud, ctx: &Context, cluster: &str) -> Result<Seen, CallError> {
    let description = tell(&cloud.clusters, ctx, cluster, DescribeCluster::default(), "").await?;
    let found = tell(&cloud.clusters, ctx, cluster, DescribeInventory::default(), "").await?;
    Ok(Seen::Told {
        beliefs: description.instances.iter().filter_map(convert::belief).collect(),
        nodes: found.inventories.into_iter().map(convert::inventory).collect(),
    })
}
