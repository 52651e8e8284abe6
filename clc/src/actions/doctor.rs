//! The doctor's two actions: look, and look and repair. What is found is decided in [`crate::doctor`].

use std::sync::Arc;

use ironbark_wsdl::Context;

use crate::cloud::Cloud;
use crate::doctor::{self, Finding, Scene, scene::Seen};
use crate::ec2::admin::{DescribeFindings, Diagnosis, Found, RepairFindings};
use crate::error::Ec2Error;
use crate::front::{Action, Caller};
use crate::ids;

/// What does not fit together, everywhere or about one instance. Changes nothing but what a poll changes.
///
/// # Errors
/// `InvalidInstanceID.NotFound` if nobody knows the instance.
pub async fn describe_findings(
    cloud: Arc<Cloud>,
    ctx: Context,
    _: Caller,
    request: DescribeFindings,
) -> Result<Diagnosis, Ec2Error> {
    let (scene, findings) = look(&cloud, &ctx, request.instance_id.as_deref()).await?;
    let named = request.instance_id.is_some();
    Ok(diagnosis(&scene, findings.into_iter().map(|finding| (finding, None)), named))
}

/// The same, and carries the plans out one after the other.
///
/// # Errors
/// As [`describe_findings`]; what a repair came to is in its finding.
pub async fn repair_findings(
    cloud: Arc<Cloud>,
    ctx: Context,
    caller: Caller,
    request: RepairFindings,
) -> Result<Diagnosis, Ec2Error> {
    let (scene, findings) = look(&cloud, &ctx, request.instance_id.as_deref()).await?;
    let named = request.instance_id.is_some();
    let deed = cloud.deed(&ctx, &caller, RepairFindings::NAME);
    let mut done = Vec::with_capacity(findings.len());
    for finding in findings {
        let outcome = if finding.repair.is_done(named) {
            let outcome = doctor::repair(&cloud, &ctx, &finding.repair, &deed).await;
            let (kind, subject) = (finding.kind.name(), &finding.subject);
            tracing::info!(event = "doctor.repaired", req = %ctx.request, user = %caller, kind, subject, outcome);
            Some(outcome)
        } else {
            None
        };
        done.push((finding, outcome));
    }
    Ok(diagnosis(&scene, done, named))
}

async fn look(cloud: &Arc<Cloud>, ctx: &Context, id: Option<&str>) -> Result<(Scene, Vec<Finding>), Ec2Error> {
    let scene = doctor::gather(cloud, ctx).await?;
    let findings = match id {
        None => doctor::examine(&scene),
        Some(id) => {
            let id = ids::canonical(id);
            doctor::about(&scene, &id).ok_or_else(|| Ec2Error::no_instance(&id))?
        }
    };
    Ok((scene, findings))
}

fn diagnosis(scene: &Scene, findings: impl IntoIterator<Item = (Finding, Option<String>)>, named: bool) -> Diagnosis {
    let nodes = |(_, seen): &(String, Seen)| match seen {
        Seen::Told { nodes, .. } => nodes.len(),
        Seen::Silent(_) | Seen::Old => 0,
    };
    let found = |(finding, outcome): (Finding, Option<String>)| Found {
        repairable: finding.repair.is_done(named),
        finding,
        outcome,
    };
    Diagnosis {
        clusters: scene.clusters.len(),
        nodes: scene.clusters.iter().map(nodes).sum(),
        instances: scene.records.iter().filter(|record| record.ended.is_none()).count(),
        findings: findings.into_iter().map(found).collect(),
    }
}
