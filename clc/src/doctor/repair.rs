//! Does a finding's plan, by operations that are there anyway: a poll, a try of the launcher, a termination, a
//! disassociation. Each may be done twice without harm.

use std::sync::Arc;

use ironbark_wsdl::{Context, cc};

use super::Repair;
use crate::actions::addresses;
use crate::causes::with_causes;
use crate::cloud::Cloud;
use crate::clusters::tell;
use crate::refresh;
use crate::store::Deed;

/// Does it, and says what came of it; `deed` is who asked for it, for the histories.
pub async fn repair(cloud: &Arc<Cloud>, ctx: &Context, repair: &Repair, deed: &Deed) -> String {
    match repair {
        Repair::None => "left to you".to_string(),
        Repair::Ask { cluster } => {
            refresh::poll(cloud, cluster).await;
            match cloud.clusters.known(cluster).and_then(|known| known.failure) {
                Some(failure) => format!("cluster {cluster} was asked and did not answer: {failure}"),
                None => format!("cluster {cluster} was asked, and what it said is in the records"),
            }
        }
        Repair::Tell { id } => {
            cloud.tries.hurry(id);
            cloud.wished.notify_one();
            "is being sent".to_string()
        }
        Repair::End { id, cluster, .. } => {
            let request =
                cc::TerminateInstances { instance_ids: vec![id.clone()], ..cc::TerminateInstances::default() };
            match tell(&cloud.clusters, ctx, cluster, request, id).await {
                Ok(_) => format!("cluster {cluster} ends it"),
                Err(error) => format!("cluster {cluster} did not: {error}"),
            }
        }
        Repair::TakeOff { public_ip } => match addresses::take_off_ended(cloud, ctx, public_ip, deed).await {
            Ok(true) => "taken off".to_string(),
            Ok(false) => "it is on a living instance now, or nobody's".to_string(),
            Err(error) => with_causes(&error),
        },
    }
}
