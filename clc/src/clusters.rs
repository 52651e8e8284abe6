//! The links to the clusters: how one is called, how many calls are in flight, and what was last
//! learnt of it, with the time of the learning. It decides nothing about instances.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use ironbark_wsdl::service::call_about;
use ironbark_wsdl::{CallError, Context, Request, Transport};
use jiff::Timestamp;
use tokio::sync::Semaphore;

use crate::store::Cluster;

/// Calls in flight to one cluster: as many as a 2.0.1 cluster serves at a time.
const IN_FLIGHT: usize = 8;

/// Makes the way to a cluster: over HTTP, signed, or in a test its router. An error is a sentence
/// for the administrator.
pub type Connect = Arc<dyn Fn(&Cluster) -> Result<Arc<dyn Transport>, String> + Send + Sync>;

/// What was last learnt of a cluster.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// When it last answered a whole poll; everything below is of then.
    pub answered: Option<Timestamp>,
    /// Why the latest poll failed, if it did.
    pub failure: Option<String>,
    /// Room by type name.
    pub room: BTreeMap<String, Room>,
    /// What it tells of itself; `None` of a cluster that knows the 2.0.1 operations only.
    pub description: Option<Description>,
}

/// Room for one instance type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// How many the empty cluster holds.
    pub max: u32,
    /// How many more fit.
    pub available: u32,
}

/// What a cluster tells of itself.
#[derive(Clone, Debug, Default)]
pub struct Description {
    /// Version of its program.
    pub version: String,
    /// The operations it knows beyond 2.0.1's.
    pub operations: Vec<String>,
    /// Its nodes.
    pub nodes: Vec<Node>,
}

/// What a cluster believes of one node.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// Its name in the cluster.
    pub name: String,
    /// Its endpoint.
    pub url: String,
    /// `up`, `suspect`, `down` or `unknown`.
    pub state: String,
    /// Why.
    pub reason: Option<String>,
    /// When it last answered its cluster.
    pub last_seen: Option<Timestamp>,
    /// Cores free, and all.
    pub cores: (i32, i32),
    /// MB of memory free, and all.
    pub memory_mb: (i32, i32),
    /// GB of disk free, and all.
    pub disk_gb: (i32, i32),
    /// What runs its domains, and why so.
    pub hypervisor: Option<String>,
    /// The operations it knows beyond 2.0.1's.
    pub operations: Vec<String>,
    /// What its guests' processors are, if it tells.
    pub architecture: Option<String>,
    /// What its administrator says of it.
    pub tags: Vec<String>,
    /// If it gets no new instances: since when and why.
    pub draining: Option<String>,
    /// The instances on it.
    pub instance_ids: Vec<String>,
}

impl Known {
    /// Whether it has said that it knows this operation, which 2.0.1 has not.
    pub fn knows(&self, operation: &str) -> bool {
        self.description.as_ref().is_some_and(|told| told.operations.iter().any(|known| known == operation))
    }

    /// Its nodes, as far as it tells.
    pub fn nodes(&self) -> &[Node] {
        self.description.as_ref().map_or(&[], |description| &description.nodes)
    }

    /// The node of that name.
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes().iter().find(|node| node.name == name)
    }
}

struct Link {
    cluster: Cluster,
    transport: Arc<dyn Transport>,
    permits: Semaphore,
    known: Mutex<Known>,
}

/// The registered clusters.
pub struct Clusters {
    connect: Connect,
    links: RwLock<BTreeMap<String, Arc<Link>>>,
}

impl Clusters {
    pub(crate) fn new(connect: Connect) -> Self {
        Self { connect, links: RwLock::default() }
    }

    /// Whether there can be a link to a cluster.
    ///
    /// # Errors
    /// As [`Clusters::link`].
    pub fn check(&self, cluster: &Cluster) -> Result<(), String> {
        (self.connect)(cluster).map(drop)
    }

    /// Makes or replaces the link to a cluster.
    ///
    /// # Errors
    /// A sentence that says why its certificate or URL cannot be used.
    pub fn link(&self, cluster: Cluster) -> Result<(), String> {
        let transport = (self.connect)(&cluster)?;
        let link = Link { transport, permits: Semaphore::new(IN_FLIGHT), known: Mutex::default(), cluster };
        let mut links = self.links.write().unwrap_or_else(PoisonError::into_inner);
        links.insert(link.cluster.name.clone(), Arc::new(link));
        Ok(())
    }

    /// Forgets the link to a cluster.
    pub fn unlink(&self, name: &str) {
        self.links.write().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// The names, sorted.
    pub fn names(&self) -> Vec<String> {
        self.links.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// What was last learnt of a cluster; `None` if there is no such cluster.
    pub fn known(&self, name: &str) -> Option<Known> {
        let link = self.find(name)?;
        let known = link.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Some(known)
    }

    /// What was last learnt of every cluster, by name.
    pub fn all_known(&self) -> Vec<(Cluster, Known)> {
        let mut all = Vec::new();
        self.look(|cluster, known| all.push((cluster.clone(), known.clone())));
        all
    }

    /// Looks at what was last learnt of every cluster, by name.
    pub fn look(&self, mut at: impl FnMut(&Cluster, &Known)) {
        let links: Vec<Arc<Link>> =
            self.links.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        for link in links {
            at(&link.cluster, &link.known.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Changes what is known of a cluster.
    pub(crate) fn learn(&self, name: &str, change: impl FnOnce(&mut Known)) {
        if let Some(link) = self.find(name) {
            change(&mut link.known.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    fn find(&self, name: &str) -> Option<Arc<Link>> {
        self.links.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }
}

/// Calls an operation of a cluster; `detail` is for the trace.
///
/// # Errors
/// As the call ended; [`CallError::Unreachable`] also if the cluster is not registered, or all its
/// places stayed taken until the deadline: then nothing was sent.
pub async fn tell<R: Request>(
    clusters: &Clusters,
    ctx: &Context,
    cluster: &str,
    request: R,
    detail: &str,
) -> Result<R::Response, CallError> {
    let unreachable = |reason: String| CallError::Unreachable { reason };
    let link = clusters.find(cluster).ok_or_else(|| unreachable(format!("no cluster {cluster} is registered")))?;
    let place = tokio::time::timeout(ctx.remaining(), link.permits.acquire()).await;
    let Ok(Ok(_place)) = place else {
        return Err(unreachable(format!("{IN_FLIGHT} calls to cluster {cluster} are in flight and none has ended")));
    };
    call_about(link.transport.as_ref(), ctx, request, detail).await
}
