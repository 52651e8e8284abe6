//! Operations on instances.

use std::io;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ironbark_wsdl::context::SYSTEM_USER;
use ironbark_wsdl::{Context, Refusal, blocking, ironbark, nc};

use crate::console;
use crate::convert::{self, OldState};
use crate::lifecycle::Request;
use crate::node::Node;

/// Admits an instance and answers before anything of it exists; `ncDescribeInstances` tells what became of it.
pub async fn run_instance(
    node: Arc<Node>,
    ctx: Context,
    request: nc::RunInstance,
) -> Result<nc::RunInstanceResponse, Refusal> {
    let owner = request.user_id.clone().unwrap_or_default();
    let (id, order) = convert::read_launch(request, owner).map_err(Refusal::new)?;
    let record = node.launch(&ctx, id, order).await?;
    Ok(nc::RunInstanceResponse { instance: Some(convert::instance(&record)), ..Default::default() })
}

/// The user's instances; all of them for the cloud itself, and for a caller that names no user. Unknown ids are left out.
pub async fn describe_instances(
    node: Arc<Node>,
    _ctx: Context,
    request: nc::DescribeInstances,
) -> Result<nc::DescribeInstancesResponse, Refusal> {
    let user = request.user_id.as_deref().unwrap_or(SYSTEM_USER);
    let wanted = |id: &str| request.instance_ids.is_empty() || request.instance_ids.iter().any(|wanted| wanted == id);
    let records = node.records();
    let visible = records.iter().filter(|record| user == SYSTEM_USER || record.order.owner == user);
    let instances =
        visible.filter(|record| wanted(record.id.as_str())).map(|record| convert::instance(record)).collect();
    Ok(nc::DescribeInstancesResponse { instances, ..Default::default() })
}

/// Ends an instance for good, whatever it is doing. Ending it again is granted again.
pub async fn terminate_instance(
    node: Arc<Node>,
    ctx: Context,
    request: nc::TerminateInstance,
) -> Result<nc::TerminateInstanceResponse, Refusal> {
    let accepted = node.ask(&ctx, &request.instance_id, Request::Terminate).await?;
    Ok(nc::TerminateInstanceResponse {
        instance_id: request.instance_id,
        shutdown_state: Some(OldState::of(&accepted.after).code().to_string()),
        previous_state: Some(OldState::of(&accepted.before).code().to_string()),
        ..Default::default()
    })
}

/// Reboots a running instance: accepted when this answers; `DescribeNode` tells how it went.
pub async fn reboot_instance(
    node: Arc<Node>,
    ctx: Context,
    request: nc::RebootInstance,
) -> Result<nc::RebootInstanceResponse, Refusal> {
    node.ask(&ctx, &request.instance_id, Request::Reboot).await?;
    // 2.0.1 writes false for success here (wire/nc.md 5.5).
    Ok(nc::RebootInstanceResponse { status: false, ..Default::default() })
}

/// Switches an instance off and keeps it.
pub async fn stop_instance(
    node: Arc<Node>,
    ctx: Context,
    request: ironbark::StopInstance,
) -> Result<ironbark::StopInstanceResponse, Refusal> {
    let force = request.force.unwrap_or(false);
    node.ask(&ctx, &request.instance_id, Request::Stop { force }).await?;
    Ok(ironbark::StopInstanceResponse::default())
}

/// Switches a stopped instance on again, with another size if one is given.
pub async fn start_instance(
    node: Arc<Node>,
    ctx: Context,
    request: ironbark::StartInstance,
) -> Result<ironbark::StartInstanceResponse, Refusal> {
    let resized = request.size.map(convert::resized).transpose().map_err(Refusal::new)?;
    node.start_instance(&ctx, &request.instance_id, resized).await?;
    Ok(ironbark::StartInstanceResponse::default())
}

/// The last 64 KiB of what the guest wrote to its serial port. An instance that has written nothing yet has an empty one.
pub async fn get_console_output(
    node: Arc<Node>,
    _ctx: Context,
    request: nc::GetConsoleOutput,
) -> Result<nc::GetConsoleOutputResponse, Refusal> {
    let record = node.instance(&request.instance_id)?.record();
    let path = node.store().files(&record.id).console();
    let read = blocking::spawn(move || console::tail(&path)).await;
    let bytes = read
        .unwrap_or_else(|error| Err(io::Error::other(error)))
        .map_err(|error| Refusal::new(format!("{}: its console cannot be read: {error}", record.id)))?;
    Ok(nc::GetConsoleOutputResponse { console_output: STANDARD.encode(bytes), ..Default::default() })
}
