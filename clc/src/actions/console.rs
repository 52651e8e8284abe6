//! What instances have said on their consoles, and the password that a Windows guest says there.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ironbark_wsdl::{CallError, Context, cc};

use super::unanswered;
use crate::cloud::Cloud;
use crate::clusters::tell;
use crate::ec2::console::{GetConsoleOutput, GetConsoleOutputResponse, GetPasswordData, GetPasswordDataResponse};
use crate::ec2::instances::InstanceState;
use crate::error::{Code, Ec2Error};
use crate::front::Caller;
use crate::hosts::Reader;
use crate::ids;
use crate::lifecycle::Observed;
use crate::store::Instance;

/// What an instance has said on its console.
///
/// # Errors
/// `InvalidInstanceID.NotFound`; `Unavailable` if its cluster has not answered.
pub async fn get_console_output(
    cloud: Arc<Cloud>,
    ctx: Context,
    caller: Caller,
    request: GetConsoleOutput,
) -> Result<GetConsoleOutputResponse, Ec2Error> {
    let (instance_id, output) = output(&cloud, &ctx, caller, &request.instance_id).await?;
    Ok(GetConsoleOutputResponse { instance_id, timestamp: cloud.clock.now(), output })
}

/// The encrypted password that a guest has said on its console; empty while it has said none.
///
/// # Errors
/// As [`get_console_output`].
pub async fn get_password_data(
    cloud: Arc<Cloud>,
    ctx: Context,
    caller: Caller,
    request: GetPasswordData,
) -> Result<GetPasswordDataResponse, Ec2Error> {
    let (instance_id, output) = output(&cloud, &ctx, caller, &request.instance_id).await?;
    let password_data = password(&String::from_utf8_lossy(&output));
    Ok(GetPasswordDataResponse { instance_id, timestamp: cloud.clock.now(), password_data })
}

/// What stands between the marks on the console (EC2's and 2.0.1's way), if it is base64: the last
/// one counts, for a guest makes a new one when it is made anew.
fn password(console: &str) -> String {
    let marked = console.rsplit_once("</Password>").and_then(|(before, _)| before.rsplit_once("<Password>"));
    let data: String = marked.map(|(_, data)| data.split_whitespace().collect()).unwrap_or_default();
    if STANDARD.decode(&data).is_ok() { data } else { String::new() }
}

/// The id and the console output of an instance that belongs to the caller.
async fn output(
    cloud: &Cloud,
    ctx: &Context,
    caller: Caller,
    instance_id: &str,
) -> Result<(String, Vec<u8>), Ec2Error> {
    let id = ids::canonical(instance_id);
    let instance = cloud.store.instance(caller.scope(), id.clone()).await?.ok_or_else(|| Ec2Error::no_instance(&id))?;
    let reader = Reader::of(cloud, &caller);
    let unseen = instance.observed == Observed::Unseen;
    let output = if unseen { Vec::new() } else { console_of(cloud, ctx, &instance, &reader).await? };
    Ok((id, output))
}

/// What the cluster has of it. One that is not running may have none any more: that is no error.
async fn console_of(cloud: &Cloud, ctx: &Context, instance: &Instance, reader: &Reader) -> Result<Vec<u8>, Ec2Error> {
    let message = cc::GetConsoleOutput { instance_id: Some(instance.id.clone()), ..cc::GetConsoleOutput::default() };
    match tell(&cloud.clusters, ctx, &instance.cluster, message, &instance.id).await {
        Ok(answer) => {
            let text: String = answer.console_output.unwrap_or_default().split_whitespace().collect();
            let bytes = STANDARD.decode(text).map_err(Ec2Error::internal)?;
            Ok(bytes)
        }
        Err(CallError::Declined { .. }) if instance.state() != InstanceState::Running => Ok(Vec::new()),
        Err(CallError::Declined { reason }) => {
            let reason = reader.text(&reason);
            let text = format!("Zone {} has no console output of {}: {reason}", instance.cluster, instance.id);
            Err(Ec2Error::new(Code::UnsupportedOperation, text))
        }
        Err(error) => Err(unanswered(&instance.cluster, error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_password_on_the_console_counts() {
        assert_eq!(password("boot <Password>b2xk</Password> <Password>\r\nbmV3\r\n</Password> end"), "bmV3");
        for console in
            ["", "no password", "<Password>half", "<Password>not base64!</Password>", "</Password><Password>"]
        {
            assert_eq!(password(console), "", "{console}");
        }
    }
}
