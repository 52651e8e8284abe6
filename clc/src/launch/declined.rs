//! A launch that its cluster declined: it goes to another zone if that is certainly no second copy, and
//! is over with a reason if not.

use std::sync::Arc;

use ironbark_wsdl::Context;
use ironbark_wsdl::ironbark::DescribePlacements;

use super::Untold;
use crate::cloud::Cloud;
use crate::clusters::tell;
use crate::placement::{self, Wanted};
use crate::store::{Instance, Move, Reason, Reservation, ZoneChoice};
use crate::types::size;

/// How many zones are tried for one launch (operations-spec.md C-4: max_attempts).
const MOST_ZONES: usize = 3;

/// A launch that its cluster declined goes to another zone, or is over.
pub(super) async fn declined(
    cloud: &Arc<Cloud>,
    ctx: &Context,
    cluster: &str,
    reservation: &Reservation,
    asked: &[Instance],
    all: bool,
    said: String,
) -> Result<String, Untold> {
    if all && let Some(next) = elsewhere(cloud, ctx, cluster, reservation, asked).await? {
        let to = next.to.clone();
        if cloud.store.move_launch(next, said.clone()).await? {
            return Ok(format!("declined: {said}; zone {to} is next"));
        }
    }
    let text = format!("zone {cluster}: {said}; {}", placement::hint(&reservation.request_id));
    let reason = Reason::new("Server.InsufficientInstanceCapacity", text);
    let over = asked.iter().map(|instance| (instance.id.clone(), reason.clone())).collect();
    cloud.store.zone_declined(reservation.request_id.clone(), said.clone()).await?;
    cloud.store.launched(Vec::new(), over, cloud.now()).await?;
    Ok(format!("declined: {said}"))
}

/// Another zone for a launch that was declined, if the client named none, and if it is certain that
/// nothing of it was taken: its cluster must have placed it, and say so.
async fn elsewhere(
    cloud: &Arc<Cloud>,
    ctx: &Context,
    cluster: &str,
    reservation: &Reservation,
    asked: &[Instance],
) -> Result<Option<Move>, Untold> {
    let choices = cloud.store.zone_choices(reservation.request_id.clone()).await?;
    let named = choices.last().is_none_or(|choice| choice.named);
    let knows = cloud.clusters.known(cluster).is_some_and(|known| known.knows("DescribePlacements"));
    let Some(size) = size(&reservation.type_name).filter(|_| !named && knows && choices.len() < MOST_ZONES) else {
        return Ok(None);
    };
    let question = DescribePlacements { request_id: reservation.request_id.clone(), ..DescribePlacements::default() };
    match tell(&cloud.clusters, ctx, cluster, question, &reservation.request_id).await {
        Ok(answer) if !answer.taken && !answer.placements.is_empty() => {}
        Ok(_) | Err(_) => return Ok(None),
    }
    let declined: Vec<String> = choices.iter().filter_map(ZoneChoice::zone).map(str::to_string).collect();
    let wanted = Wanted {
        declined,
        group: reservation.placement_group.clone(),
        image_id: Some(reservation.image_id.clone()),
        architecture: Some(reservation.architecture.clone()),
        tags: cloud.node_tags(&reservation.type_name),
        ..Wanted::of(size, reservation.min_count)
    };
    let choice = placement::choose(cloud, ctx, &wanted).await;
    let Some(to) = choice.zone.filter(|_| choice.certain) else { return Ok(None) };
    Ok(Some(Move {
        instances: asked.iter().map(|instance| (instance.id.clone(), instance.epoch)).collect(),
        reservation_id: reservation.id.clone(),
        from: cluster.to_string(),
        to,
        choice: ZoneChoice {
            request_id: reservation.request_id.clone(),
            owner: reservation.owner.clone(),
            attempt: u32::try_from(choices.len()).unwrap_or(u32::MAX).saturating_add(1),
            named: false,
            at: cloud.now(),
            declined: None,
            verdicts: choice.verdicts,
        },
    }))
}
