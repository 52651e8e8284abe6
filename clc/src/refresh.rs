//! Asks every cluster, every few seconds, what it has: instances, room, nodes. What comes back
//! changes the records; what does not come back changes nothing but how old our knowledge is.
//!
//! A cluster that comes back never causes anything to be taken down that the records do not say has ended: an
//! instance it reports that is not in them is logged and left alone.

pub(crate) mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ironbark_wsdl::context::SYSTEM_USER;
use ironbark_wsdl::ironbark::{ClusterInstance, DescribeCluster, DescribeClusterResponse};
use ironbark_wsdl::{CallError, Context, Moment, Recorder, cc};
use jiff::Timestamp;
use tokio::task::JoinSet;

use crate::causes::with_causes;
use crate::cloud::{Cloud, TIER};
use crate::clusters::{Known, tell};
use crate::convert;
use crate::store::{Learnt, Report, Reported, StoreError};

/// Longest wait for one answer of a poll.
const BUDGET: Duration = Duration::from_secs(20);
/// Polls all clusters until the task is dropped; a slow cluster does not hold up the others.
pub async fn run(cloud: Arc<Cloud>) {
    loop {
        let mut polls = JoinSet::new();
        let names = cloud.clusters.names();
        for name in names {
            let cloud = cloud.clone();
            polls.spawn(async move {
                loop {
                    poll(&cloud, &name).await;
                    tokio::time::sleep(cloud.settings.poll).await;
                }
            });
        }
        // Begin anew when the list of clusters changes; dropping the set ends the old polls. A poll
        // never ends by itself but by a panic, whose cluster must not be forgotten for it.
        tokio::select! {
            () = cloud.registered.notified() => {}
            Some(ended) = polls.join_next() => {
                tracing::error!(event = "refresh.died", error = ?ended.err());
                tokio::time::sleep(cloud.settings.poll).await;
            }
        }
    }
}

/// Asks one cluster once, and takes what it says into the records.
pub async fn poll(cloud: &Cloud, cluster: &str) {
    // A recorder of its own: polls would soon push the users' requests out of the cloud's.
    let ctx = Context::background(BUDGET, Arc::new(Recorder::new(TIER)));
    let (asked, began) = (cloud.clock.now(), Moment::now());
    match ask(cloud, &ctx, cluster).await {
        Ok(answer) => match take(cloud, cluster, asked, answer).await {
            Ok(Reported { ended, learnt, .. }) => {
                tell_learnt(cloud, &ctx, began, learnt);
                end_again(cloud, &ctx, cluster, ended).await;
            }
            Err(error) => {
                tracing::error!(event = "refresh.record", req = %ctx.request, cluster, error = with_causes(&error));
            }
        },
        Err(error) => cloud.clusters.learn(cluster, |known| {
            if known.failure.is_none() {
                tracing::warn!(event = "refresh.unanswered", req = %ctx.request, cluster, %error);
            }
            known.failure = Some(error.to_string());
        }),
    }
}

struct Answer {
    instances: Vec<cc::Instance>,
    resources: Vec<cc::Resource>,
    description: Option<DescribeClusterResponse>,
}

/// One poll is good as a whole, or it is none.
async fn ask(cloud: &Cloud, ctx: &Context, cluster: &str) -> Result<Answer, CallError> {
    let clusters = &cloud.clusters;
    let instances = tell(clusters, ctx, cluster, cc::DescribeInstances::default(), "").await?;
    let resources = tell(clusters, ctx, cluster, convert::describe_resources(), "").await?;
    let description = match tell(clusters, ctx, cluster, DescribeCluster::default(), "").await {
        Ok(description) => Some(description),
        // Not even asked: it was registered with the profile euca-2.0.1.
        Err(CallError::Declined { .. }) => None,
        // A 2.0.1 cluster does not know the operation, and says so with a fault. One that knew it
        // before has some other trouble: its three old states would hide the ones we know.
        Err(CallError::Fault { .. }) if clusters.known(cluster).is_none_or(|known| known.description.is_none()) => None,
        Err(error) => return Err(error),
    };
    Ok(Answer { instances: instances.instances, resources: resources.resources, description })
}

async fn take(cloud: &Cloud, cluster: &str, asked: Timestamp, answer: Answer) -> Result<Reported, StoreError> {
    let known = Known {
        answered: Some(asked),
        failure: None,
        room: answer.resources.iter().filter_map(convert::room).collect(),
        description: answer.description.as_ref().map(convert::description),
    };
    let living = cloud.store.living(cluster.to_string()).await?;
    let absent = cloud.watch.absent(cluster, asked, &known, &answer.ids(), &living);
    cloud.clusters.learn(cluster, |before| {
        if before.failure.is_some() {
            tracing::info!(event = "refresh.answered", cluster);
        }
        *before = known;
    });
    let reported = cloud
        .store
        .report(cluster.to_string(), answer.reports(), absent, cloud.settings.on_failure, cloud.now())
        .await?;
    for id in &reported.behind {
        tracing::warn!(
            event = "refresh.behind",
            cluster,
            instance = id,
            "its node knows later operations than the records"
        );
    }
    for id in cloud.watch.new_strangers(cluster, &reported.strangers) {
        tracing::warn!(event = "refresh.stranger", cluster, instance = id, "not in the records; left alone");
    }
    // A report may have made something due: what was stopping is stopped, and wished to run again.
    cloud.wished.notify_one();
    Ok(reported)
}

/// Links what a poll showed to be the end of a request with that request: in its trace, and in the
/// log, where `cause` is the poll.
fn tell_learnt(cloud: &Cloud, poll: &Context, began: Moment, learnt: Vec<Learnt>) {
    for Learnt { instance_id, request_id, action, result } in learnt {
        tracing::info!(
            event = "refresh.learnt", req = request_id, cause = %poll.request, instance = instance_id, action, result
        );
        let ctx = cloud.context(&request_id, SYSTEM_USER, BUDGET);
        ctx.start("clc.refresh.learnt", format!("{instance_id} {action}")).since(began).finish(result);
    }
}

/// What has ended, as its owner was told, and lives all the same, is ended again: its cluster or its node was away when
/// it was decided. The next report tells whether that helped.
async fn end_again(cloud: &Cloud, ctx: &Context, cluster: &str, ids: Vec<String>) {
    if ids.is_empty() {
        return;
    }
    let instances = ids.join(" ");
    let request = cc::TerminateInstances { instance_ids: ids, ..cc::TerminateInstances::default() };
    let told = tell(&cloud.clusters, ctx, cluster, request, &instances).await;
    let outcome = told.map_or_else(|error| error.to_string(), |_| "accepted".to_string());
    tracing::warn!(event = "refresh.ended", req = %ctx.request, cluster, instances, outcome, "they had ended, and lived");
}

impl Answer {
    fn described(&self) -> impl Iterator<Item = &ClusterInstance> {
        self.description.iter().flat_map(|description| &description.instances)
    }

    /// The ids that the cluster named in either answer.
    fn ids(&self) -> BTreeSet<&str> {
        let listed = self.instances.iter().filter_map(|instance| instance.instance_id.as_deref());
        listed.chain(self.described().map(|instance| instance.instance_id.as_str())).collect()
    }

    /// What it said of each. One that describes itself knows the states better there than in
    /// 2.0.1's list; an instance in one of the two answers only came or went between them, and the
    /// next poll tells which.
    fn reports(&self) -> Vec<Report> {
        let described: BTreeMap<&str, &ClusterInstance> =
            self.described().map(|instance| (instance.instance_id.as_str(), instance)).collect();
        let report = |instance: &cc::Instance| {
            let described = instance.instance_id.as_deref().and_then(|id| described.get(id)).copied();
            let half = self.description.is_some() && described.is_none();
            if half { None } else { convert::report(instance, described) }
        };
        self.instances.iter().filter_map(report).collect()
    }
}
