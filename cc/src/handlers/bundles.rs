//! Bundling an instance's disk: passed on to its node; the states are what the nodes report.

use std::collections::BTreeSet;
use std::sync::Arc;

use ironbark_wsdl::cc::{
    BundleInstance, BundleInstanceResponse, BundleTask, CancelBundleTask, CancelBundleTaskResponse,
    DescribeBundleTasks, DescribeBundleTasksResponse,
};
use ironbark_wsdl::{Context, Refusal, nc};

use super::required_id;
use crate::cluster::Cluster;
use crate::error::ClusterError;
use crate::locate::tell_owner;

/// Bundles the disk of an instance.
pub async fn bundle_instance(
    cluster: Arc<Cluster>,
    ctx: Context,
    request: BundleInstance,
) -> Result<BundleInstanceResponse, Refusal> {
    let id = required_id(request.instance_id.as_ref())?;
    let request = nc::BundleInstance {
        instance_id: request.instance_id,
        bucket_name: request.bucket_name,
        file_prefix: request.file_prefix,
        walrus_url: request.walrus_url,
        user_public_key: request.user_public_key,
        s3_policy: request.s3_policy,
        s3_policy_sig: request.s3_policy_sig,
        ..Default::default()
    };
    match tell_owner(&cluster, &ctx, &id, request).await {
        Ok(_) => Ok(BundleInstanceResponse::default()),
        Err(why) => Err(ClusterError::Instance(format!("{id}: {why}")).into()),
    }
}

/// Gives up the bundling of an instance.
pub async fn cancel_bundle_task(
    cluster: Arc<Cluster>,
    ctx: Context,
    request: CancelBundleTask,
) -> Result<CancelBundleTaskResponse, Refusal> {
    let id = required_id(request.instance_id.as_ref())?;
    let request = nc::CancelBundleTask { instance_id: request.instance_id, ..Default::default() };
    match tell_owner(&cluster, &ctx, &id, request).await {
        Ok(_) => Ok(CancelBundleTaskResponse::default()),
        Err(why) => Err(ClusterError::Instance(format!("{id}: {why}")).into()),
    }
}

/// The bundling states that the nodes last reported; asks no node. Ids narrow the answer.
pub async fn describe_bundle_tasks(
    cluster: Arc<Cluster>,
    _ctx: Context,
    request: DescribeBundleTasks,
) -> Result<DescribeBundleTasksResponse, Refusal> {
    let wanted: BTreeSet<&str> = request.instance_ids.iter().map(String::as_str).collect();
    let bundle_tasks = cluster.read(|beliefs| {
        let named =
            beliefs.instances.values().filter(|instance| wanted.is_empty() || wanted.contains(instance.id.as_str()));
        named
            .filter_map(|instance| {
                let state = instance.bundle.clone()?;
                Some(BundleTask { instance_id: Some(instance.id.to_string()), state: Some(state) })
            })
            .collect()
    });
    Ok(DescribeBundleTasksResponse { bundle_tasks, ..Default::default() })
}
