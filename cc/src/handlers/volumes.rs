//! Attaching and detaching volumes: passed on to the node that has the instance.

use std::sync::Arc;

use ironbark_wsdl::cc::{AttachVolume, AttachVolumeResponse, DetachVolume, DetachVolumeResponse};
use ironbark_wsdl::{Context, Refusal, nc};

use super::{required, required_id};
use crate::cluster::Cluster;
use crate::error::ClusterError;
use crate::locate::tell_owner;

/// Attaches a volume to an instance.
pub async fn attach_volume(
    cluster: Arc<Cluster>,
    ctx: Context,
    request: AttachVolume,
) -> Result<AttachVolumeResponse, Refusal> {
    let id = required_id(request.instance_id.as_ref())?;
    required("volumeId", request.volume_id.as_ref())?;
    required("remoteDev", request.remote_dev.as_ref())?;
    required("localDev", request.local_dev.as_ref())?;
    let request = nc::AttachVolume {
        instance_id: request.instance_id,
        volume_id: request.volume_id,
        remote_dev: request.remote_dev,
        local_dev: request.local_dev,
        ..Default::default()
    };
    match tell_owner(&cluster, &ctx, &id, request).await {
        Ok(_) => Ok(AttachVolumeResponse::default()),
        Err(why) => Err(ClusterError::Instance(format!("{id}: {why}")).into()),
    }
}

/// Takes a volume away from an instance. `force` goes on as it came (2.0.1 lost it).
pub async fn detach_volume(
    cluster: Arc<Cluster>,
    ctx: Context,
    request: DetachVolume,
) -> Result<DetachVolumeResponse, Refusal> {
    let id = required_id(request.instance_id.as_ref())?;
    required("volumeId", request.volume_id.as_ref())?;
    let request = nc::DetachVolume {
        instance_id: request.instance_id,
        volume_id: request.volume_id,
        remote_dev: request.remote_dev,
        local_dev: request.local_dev,
        force: request.force,
        ..Default::default()
    };
    match tell_owner(&cluster, &ctx, &id, request).await {
        Ok(_) => Ok(DetachVolumeResponse::default()),
        Err(why) => Err(ClusterError::Instance(format!("{id}: {why}")).into()),
    }
}
