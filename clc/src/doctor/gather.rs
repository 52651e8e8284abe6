//! Makes the doctor's scene: asks every cluster, and reads the records, at one moment as nearly as can be.

use std::sync::Arc;
use std::time::Duration;

use ironbark_wsdl::ironbark::{DescribeCluster, DescribeInventory};
use ironbark_wsdl::{CallError, Context};
use tokio::task::JoinSet;

use super::scene::{Scene, Seen};
use crate::cloud::Cloud;
use crate::clusters::tell;
use crate::convert;
use crate::refresh;
use crate::store::StoreError;

/// Longest wait for a cluster's part.
const BUDGET: Duration = Duration::from_secs(20);

/// Looks at everything: first what the clusters have now is taken into the records, then both are read.
///
/// # Errors
/// [`StoreError`] if the records cannot be read.
pub async fn gather(cloud: &Arc<Cloud>, ctx: &Context) -> Result<Scene, StoreError> {
    let mut asked = JoinSet::new();
    for name in cloud.clusters.names() {
        let (cloud, ctx) = (cloud.clone(), ctx.clone());
        asked.spawn(async move {
            refresh::poll(&cloud, &name).await;
            let seen = match cloud.clusters.known(&name).and_then(|known| known.failure) {
                // It was given its time, and asking it more would take as long again.
                Some(failure) => Seen::Silent(failure),
                None => look(&cloud, &ctx.within(BUDGET), &name).await,
            };
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
        // It answered the poll, so what it does not understand is the question.
        Err(CallError::Fault { .. }) => Seen::Old,
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
