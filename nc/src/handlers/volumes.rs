//! Operations that plug disks in and out.

use std::sync::Arc;

use ironbark_wsdl::{Context, Refusal, nc};

use crate::node::Node;
use crate::runner::VolumeAsk;
use crate::volumes::{check_source, read_plug};

/// Attaches a local block device or file, also to a stopped instance, which has it when it is started.
pub async fn attach_volume(
    node: Arc<Node>,
    ctx: Context,
    request: nc::AttachVolume,
) -> Result<nc::AttachVolumeResponse, Refusal> {
    let id = needed("instanceId", request.instance_id)?;
    let volume_id = needed("volumeId", request.volume_id)?;
    let remote_dev = needed("remoteDev", request.remote_dev)?;
    let local_dev = needed("localDev", request.local_dev)?;
    let handle = node.instance(&id)?;
    let because = |reason: String| Refusal::new(format!("{id}: {reason}"));
    let plug = read_plug(&volume_id, &remote_dev, &local_dev).map_err(because)?;
    check_source(&plug.source, &node.state_dir).map_err(because)?;
    handle.volume(&ctx, VolumeAsk::Attach(plug)).await?;
    Ok(nc::AttachVolumeResponse::default())
}

/// Detaches a volume that was attached. `force` changes nothing, as in 2.0.1: a guest that does not let go is stopped first.
pub async fn detach_volume(
    node: Arc<Node>,
    ctx: Context,
    request: nc::DetachVolume,
) -> Result<nc::DetachVolumeResponse, Refusal> {
    let id = needed("instanceId", request.instance_id)?;
    let volume_id = needed("volumeId", request.volume_id)?;
    let source = request.remote_dev.unwrap_or_default();
    let handle = node.instance(&id)?;
    handle.volume(&ctx, VolumeAsk::Detach { volume_id, source }).await?;
    Ok(nc::DetachVolumeResponse::default())
}

fn needed(field: &str, value: Option<String>) -> Result<String, Refusal> {
    value.filter(|value| !value.is_empty()).ok_or_else(|| Refusal::new(format!("{field} is missing")))
}
