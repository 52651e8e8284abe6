//! The cloud controller as one value: its records, its links to the clusters, its clock. Every
//! action gets it as its first argument. It decides nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ironbark_wsdl::clock::Clock;
use ironbark_wsdl::{Context, Recorder, RequestId};
use jiff::SignedDuration;
use tokio::sync::Notify;

use crate::clusters::{Clusters, Connect};
use crate::front::Caller;
use crate::launch::tries::Tries;
use crate::pool::Pool;
use crate::refresh::watch::Watch;
use crate::store::{Deed, OnFailure, Store, StoreError};
use crate::upkeep::request_log::RequestLog;

/// The tier's name in traces.
pub const TIER: &str = "clc";

/// Terminated instances are shown for so long, as EC2 shows them.
const SHOWN_AFTER_END: SignedDuration = SignedDuration::from_hours(1);

/// What the cloud is told about itself.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where its API is, `http://host:8773/services/Eucalyptus`.
    pub url: String,
    /// The name of its one region.
    pub region: String,
    /// The elastic addresses that there are.
    pub addresses: Pool,
    /// How often each cluster is asked.
    pub poll: Duration,
    /// What becomes of an instance that failed.
    pub on_failure: OnFailure,
    /// The tags that instances of a type ask of their nodes, by the type's name.
    pub node_tags: BTreeMap<String, Vec<String>>,
}

/// The cloud controller.
pub struct Cloud {
    /// The records.
    pub store: Store,
    /// The links to the clusters.
    pub clusters: Clusters,
    /// The time of day.
    pub clock: Clock,
    /// The steps of the latest requests.
    pub recorder: Arc<Recorder>,
    /// What it is told about itself.
    pub settings: Settings,
    /// Rung when a wish was written: the launcher looks at once.
    pub(crate) wished: Notify,
    /// Rung when a cluster was registered or deregistered.
    pub(crate) registered: Notify,
    /// What the launcher has in hand.
    pub tries: Tries,
    /// Answered requests on their way to the records.
    pub(crate) answered: RequestLog,
    /// What is remembered between polls.
    pub(crate) watch: Watch,
}

impl Cloud {
    /// A controller over its records, with a link to each registered cluster made by `connect`.
    /// Nothing runs yet: [`crate::launch::run`] and [`crate::refresh::run`] do the work between
    /// requests, and tests may step [`crate::launch::pass`] and [`crate::refresh::poll`] instead.
    ///
    /// # Errors
    /// [`StoreError`] if the clusters cannot be read.
    pub async fn open(
        store: Store,
        settings: Settings,
        clock: Clock,
        connect: Connect,
    ) -> Result<Arc<Self>, StoreError> {
        store.requests_interrupted(clock.now().as_microsecond()).await?;
        let clusters = Clusters::new(connect);
        for cluster in store.clusters().await? {
            let name = cluster.name.clone();
            if let Err(reason) = clusters.link(cluster) {
                tracing::error!(event = "cluster.link", cluster = name, reason);
            }
        }
        Ok(Arc::new(Self {
            store,
            clusters,
            clock,
            recorder: Arc::new(Recorder::new(TIER)),
            settings,
            wished: Notify::new(),
            registered: Notify::new(),
            tries: Tries::default(),
            answered: RequestLog::default(),
            watch: Watch::default(),
        }))
    }

    /// The time of day, microseconds since the epoch.
    pub fn now(&self) -> i64 {
        self.clock.now().as_microsecond()
    }

    /// The tags that instances of that type ask of their nodes.
    pub(crate) fn node_tags(&self, type_name: &str) -> Vec<String> {
        self.settings.node_tags.get(type_name).cloned().unwrap_or_default()
    }

    /// What ended before this moment is not shown any more.
    pub fn shown_since(&self) -> i64 {
        (self.clock.now() - SHOWN_AFTER_END).as_microsecond()
    }

    /// A request that does something with instances, for their history.
    pub(crate) fn deed(&self, ctx: &Context, caller: &Caller, action: &'static str) -> Deed {
        Deed { request_id: ctx.request.to_string(), by: caller.to_string(), action, at: self.now() }
    }

    /// A context for work that the cloud goes on with after the answer, under the request that
    /// asked for it: the span of a request at the door bears the request's id.
    pub(crate) fn context(&self, request_id: &str, user: &str, budget: Duration) -> Context {
        let mut ctx = Context::new(RequestId::from_peer(Some(request_id)), user, budget, self.recorder.clone());
        ctx.span = request_id.to_string();
        ctx
    }
}
