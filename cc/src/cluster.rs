//! The cluster: the one owner of what is believed of nodes and instances. Beliefs are read and
//! changed in closures under a lock that is never held across an await, and a change is on disk
//! before [`Cluster::change`] returns. Knows no message; calls to nodes are in `nodes`.

pub mod beliefs;
pub mod instance;
pub mod merge;
pub mod node;
pub mod overdue;
pub mod placements;
pub mod terms;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ironbark_wsdl::clock::Clock;
use ironbark_wsdl::trace::Recorder;
use ironbark_wsdl::{Context, Transport};
use jiff::Timestamp;

use self::beliefs::Beliefs;
use self::instance::Instance;
use self::node::{Drain, Entry, Source};
use self::placements::{Placement, Placements};
use self::terms::{AllTerms, Terms};
use crate::config::Isolation;
use crate::ids::{InstanceId, NodeName};
use crate::journal::{Journal, JournalError, Kind};
use crate::link::{Link, Permits};
use crate::place::Schedule;

/// Makes the transport to a node, or says why it cannot be made. Given by `main` (HTTP, isolated)
/// and by tests (the node's own router, or a scripted one).
pub type Connect = Box<dyn Fn(&Entry) -> Result<Arc<dyn Transport>, String> + Send + Sync>;

/// What does not change while the controller runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The cluster's name, which is its availability zone.
    pub name: String,
    /// How nodes are picked.
    pub schedule: Schedule,
    /// How calls to nodes are kept apart; told by DescribeCluster, done by the transports.
    pub isolation: Isolation,
    /// Pause between two refreshes of a node.
    pub poll: Duration,
    /// dnsmasq's lease file; without it the kernel's neighbour table is read.
    pub dhcp_leases: Option<PathBuf>,
}

/// One cluster.
pub struct Cluster {
    /// What does not change.
    pub settings: Settings,
    /// The hour.
    pub clock: Clock,
    /// Limits on calls in flight.
    pub permits: Permits,
    connect: Connect,
    journal: Journal,
    beliefs: Mutex<Beliefs>,
    links: Mutex<BTreeMap<NodeName, Arc<Link>>>,
    /// Takes the spans of the cluster's own work (polling), which would soon fill the ring that
    /// users' requests are traced in.
    background: Arc<Recorder>,
}

impl Cluster {
    /// A cluster as its state on disk remembers it, with the nodes of the configuration and those
    /// registered. Nothing is asked of any node yet: see [`crate::refresh::start`].
    ///
    /// # Errors
    /// [`JournalError`] if the state cannot be read.
    pub fn open(
        settings: Settings,
        configured: Vec<Entry>,
        journal: Journal,
        connect: Connect,
        clock: Clock,
    ) -> Result<Arc<Self>, JournalError> {
        let now = clock.now();
        let mut beliefs = Beliefs::remembered(journal.load::<Instance>(Kind::Instance)?, now);
        beliefs.terms = AllTerms::remembered(journal.load::<Terms>(Kind::Terms)?);
        beliefs.placements = Placements::remembered(journal.load::<Placement>(Kind::Placement)?);
        let registered = journal.load::<Entry>(Kind::Node)?;
        for mut entry in configured {
            entry.source = Source::Configured;
            beliefs.add_node(entry, now);
        }
        for entry in registered {
            if beliefs.node(&entry.name).is_some() {
                tracing::warn!(event = "cc.node.twice", node = %entry.name, "registered and configured: the configuration file counts");
            } else {
                beliefs.add_node(entry, now);
            }
        }
        for drain in journal.load::<Drain>(Kind::Drain)? {
            if let Some(node) = beliefs.node_mut(&drain.node) {
                node.drain = Some(drain);
            }
        }
        let background = Arc::new(Recorder::new(format!("cc:{}", settings.name)));
        let cluster = Self {
            settings,
            clock,
            permits: Permits::default(),
            connect,
            journal,
            links: Mutex::new(BTreeMap::new()),
            background,
            beliefs: Mutex::new(beliefs),
        };
        for entry in cluster.read(|beliefs| beliefs.nodes.iter().map(|node| node.entry.clone()).collect::<Vec<_>>()) {
            cluster.link_up(&entry);
        }
        Ok(Arc::new(cluster))
    }

    /// Looks at the beliefs.
    pub fn read<T>(&self, look: impl FnOnce(&Beliefs) -> T) -> T {
        look(&self.lock())
    }

    /// Changes what is believed of the list of nodes, which [`Cluster::write_node`] writes down.
    pub fn list<T>(&self, change: impl FnOnce(&mut Beliefs, Timestamp) -> T) -> T {
        change(&mut self.lock(), self.clock.now())
    }

    /// Changes the beliefs, and returns once the change is on disk. The second argument is the
    /// present moment.
    ///
    /// # Errors
    /// [`JournalError`]: the change is believed but not on disk; it goes there with the next one.
    pub async fn change<T>(&self, change: impl FnOnce(&mut Beliefs, Timestamp) -> T) -> Result<T, JournalError> {
        let (value, saved) = {
            let mut beliefs = self.lock();
            let value = change(&mut beliefs, self.clock.now());
            let (instances, placements) = (beliefs.take_unsaved(), beliefs.placements.take_unsaved());
            let (terms, drains) = (beliefs.terms.take_unsaved(), beliefs.take_unsaved_drains());
            let instance = |(id, now): &(InstanceId, Option<Instance>)| Kind::Instance.entry(id.as_str(), now.as_ref());
            let placement = |(key, now): &(String, Option<Placement>)| Kind::Placement.entry(key, now.as_ref());
            let term = |(id, now): &(InstanceId, Option<Terms>)| Kind::Terms.entry(id.as_str(), now.as_ref());
            let drain = |(name, now): &(NodeName, Option<Drain>)| Kind::Drain.entry(name.as_str(), now.as_ref());
            let entries = instances.iter().map(instance).chain(placements.iter().map(placement));
            let entries = entries.chain(terms.iter().map(term)).chain(drains.iter().map(drain)).collect();
            // Handed in under the lock: the order on disk is the order of the changes.
            (value, self.journal.write(entries))
        };
        let span = Context::present().map(|ctx| ctx.start("cc.record", ""));
        let saved = saved.wait().await;
        if let Some(span) = span {
            span.finish(saved.as_ref().map_or_else(ToString::to_string, |()| "ok".to_string()));
        }
        saved?;
        Ok(value)
    }

    /// Writes a registered node down in the place of what was there `before`; `None` strikes it out.
    ///
    /// # Errors
    /// [`JournalError`] if it cannot be written; then what was there before stands.
    pub async fn write_node(
        &self,
        name: &NodeName,
        entry: Option<&Entry>,
        before: Option<&Entry>,
    ) -> Result<(), JournalError> {
        let write = |entry| self.journal.write(vec![Kind::Node.entry(name.as_str(), entry)]).wait();
        let written = write(entry).await;
        if written.is_err() {
            // The ledger keeps what it could not write, for later: it is taken back by what is handed in after it.
            let _ = write(before).await;
        }
        Ok(written?)
    }

    /// The way to a node.
    pub fn link(&self, name: &NodeName) -> Option<Arc<Link>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// The ways to all nodes.
    pub fn links(&self) -> Vec<Arc<Link>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Makes the way to a node. One that cannot be made answers every call with the reason, so
    /// that it shows as the node's own condition and not as a controller that will not start.
    pub fn link_up(&self, entry: &Entry) -> Arc<Link> {
        let link = Arc::new(Link::new(entry, (self.connect)(entry)));
        let old = self.links.lock().unwrap_or_else(PoisonError::into_inner).insert(entry.name.clone(), link.clone());
        drop(old);
        link
    }

    /// Takes the way to a node away; calls under way come to their end.
    pub fn unlink(&self, name: &NodeName) {
        let link = self.links.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        if let Some(link) = link {
            link.unwatch();
        }
    }

    /// Lets the node's next refresh begin now: something was just asked of it.
    pub fn kick(&self, name: &NodeName) {
        if let Some(link) = self.link(name) {
            link.kick.notify_one();
        }
    }

    /// Where the steps of such work are kept that belong to a request.
    pub fn background_recorder(&self) -> &Recorder {
        &self.background
    }

    /// The context of work that the cluster does by itself.
    pub fn background(&self, budget: Duration) -> Context {
        Context::background(budget, self.background.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Beliefs> {
        // A panic in a closure has been reported; what is believed is still the best there is.
        self.beliefs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for link in self.links() {
            link.unwatch();
        }
    }
}
