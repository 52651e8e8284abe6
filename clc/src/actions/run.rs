//! RunInstances: check everything, choose the zone, write reservation and instances down at once,
//! answer *pending*. `launch` sends them. With DryRun it ends before anything is written down but why.

use std::fmt::Write as _;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use ironbark_wsdl::Context;

use super::quotas::too_much;
use crate::cloud::Cloud;
use crate::convert;
use crate::ec2::images::ImageType;
use crate::ec2::instances::Group;
use crate::ec2::placement_groups::Strategy;
use crate::ec2::run::{RunInstances, RunInstancesResponse};
use crate::ec2::security_groups::{DEFAULT_GROUP, GroupRef, SecurityGroup};
use crate::error::{Code, Ec2Error};
use crate::front::Caller;
use crate::ids;
use crate::placement::{self, Wanted};
use crate::store::{
    Attributes, Idempotency, Image, Launch, PlacementGroup, Reservation, Reserved, ZoneChoice, ZoneVerdict,
    of_instances,
};
use crate::types::{Size, size};

/// Ids are random: that five sets in a row meet a taken one does not happen.
const ID_TRIES: usize = 5;

/// Starts new instances of one image.
///
/// # Errors
/// EC2's for what is named and not there; `InsufficientInstanceCapacity` if certainly no zone has
/// room for the least that is asked for; `DryRunOperation` of a rehearsal that came to its end.
pub async fn run_instances(
    cloud: Arc<Cloud>,
    ctx: Context,
    caller: Caller,
    request: RunInstances,
) -> Result<RunInstancesResponse, Ec2Error> {
    if request.dry_run {
        return rehearse(&cloud, &ctx, &caller, &request).await;
    }
    let digest = fingerprint(&request);
    // Before the checks: what the first request named may be gone when it is repeated.
    if let Some(token) = request.client_token.clone()
        && let Some(known) = cloud.store.idempotency(caller.account.clone(), token, digest.clone()).await?
    {
        return repeated(&cloud, known).await;
    }
    let order = Order::check(&cloud, &ctx, &caller, &request).await?;
    for _ in 0..ID_TRIES {
        let launch = order.launch(&ctx, &caller, &request, &digest, cloud.now());
        let id = launch.reservation.id.clone();
        match cloud.store.reserve(launch).await? {
            Reserved::Made => {
                cloud.wished.notify_one();
                return repeated(&cloud, Idempotency::Same(id)).await;
            }
            Reserved::Known(known) => return repeated(&cloud, known).await,
            Reserved::IdTaken => {}
            Reserved::GroupGone(group) => return Err(Ec2Error::no_group(&group.name)),
            Reserved::ClusterGone => return Err(no_zone(&order.choice.zone)),
            Reserved::PlacementGroupGone(group) => return Err(Ec2Error::no_placement_group(&group)),
            Reserved::TooMuch(excess) => return Err(too_much(&excess)),
        }
    }
    Err(Ec2Error::internal("every id that was made is taken"))
}

/// Everything up to the launch. That it would be one is an error, too: EC2's way of saying so.
async fn rehearse(
    cloud: &Arc<Cloud>,
    ctx: &Context,
    caller: &Caller,
    request: &RunInstances,
) -> Result<RunInstancesResponse, Ec2Error> {
    let order = Order::check(cloud, ctx, caller, request).await?;
    let asked = of_instances(order.count, order.size.cores, order.size.memory_mb);
    if let Some(excess) = cloud.store.excess(caller.account.clone(), asked).await? {
        return Err(too_much(&excess));
    }
    let Chosen { zone, named, verdicts } = order.choice;
    let chosen = verdicts.iter().find(|verdict| verdict.chosen).map(|verdict| verdict.sentence.clone());
    keep_choice(cloud, ctx, caller, named, verdicts).await?;
    let text = format!(
        "Request would have succeeded, but DryRun flag is set: zone {zone} {}. {}",
        chosen.unwrap_or_default(),
        placement::hint(ctx.request.as_str())
    );
    Err(Ec2Error::new(Code::DryRunOperation, text))
}

/// The answer is the reservation as it now is, whether this request made it or one before.
async fn repeated(cloud: &Cloud, known: Idempotency) -> Result<RunInstancesResponse, Ec2Error> {
    match known {
        Idempotency::Same(id) => {
            let found = cloud.store.reservation(id.clone()).await?;
            let (reservation, instances) = found
                .filter(|(_, instances)| !instances.is_empty())
                .ok_or_else(|| Ec2Error::internal(format!("no reservation {id}")))?;
            Ok(RunInstancesResponse(convert::reservation(&reservation, &instances)))
        }
        Idempotency::Mismatch => Err(Ec2Error::new(
            Code::IdempotentParameterMismatch,
            "The client token was used before, with other parameters; use a new token for a new request",
        )),
    }
}

/// A request whose every part was found.
struct Order {
    size: Size,
    image: Image,
    kernel: Option<Image>,
    ramdisk: Option<Image>,
    groups: Vec<Group>,
    public_key: String,
    placement_group: Option<PlacementGroup>,
    choice: Chosen,
    count: u32,
}

/// A zone that was found.
struct Chosen {
    zone: String,
    /// No other will do.
    named: bool,
    verdicts: Vec<ZoneVerdict>,
}

impl Order {
    async fn check(
        cloud: &Arc<Cloud>,
        ctx: &Context,
        caller: &Caller,
        request: &RunInstances,
    ) -> Result<Self, Ec2Error> {
        let size = find_size(&request.instance_type)?;
        let images = cloud.store.images().await?;
        let find = |id: &str, kind: ImageType| find_image(&images, caller, id, kind);
        let image = find(&request.image_id, ImageType::Machine)?;
        let kernel = request.kernel_id.as_ref().or(image.kernel_id.as_ref());
        let kernel = kernel.map(|id| find(id, ImageType::Kernel)).transpose()?;
        let ramdisk = request.ramdisk_id.as_ref().or(image.ramdisk_id.as_ref());
        let ramdisk = ramdisk.map(|id| find(id, ImageType::Ramdisk)).transpose()?;
        if ramdisk.is_some() && kernel.is_none() {
            return Err(Ec2Error::new(
                Code::InvalidParameterCombination,
                "A ramdisk needs a kernel: give a KernelId too",
            ));
        }
        let groups = groups(cloud.store.security_groups(caller.account.clone()).await?, request)?;
        let public_key = match &request.key_name {
            None => String::new(),
            Some(name) => {
                let keys = cloud.store.key_pairs(caller.account.clone()).await?;
                let key = keys.into_iter().find(|key| key.name == *name);
                key.ok_or_else(|| Ec2Error::no_key_pair(name))?.public_key
            }
        };
        let placement_group = placement_group(cloud, caller, request.placement_group.as_ref()).await?;
        let wanted = Wanted {
            zone: request.availability_zone.clone(),
            group: placement_group.clone(),
            image_id: Some(image.id.clone()),
            architecture: Some(image.architecture.clone()),
            tags: cloud.node_tags(size.name),
            rehearsed: request.dry_run,
            ..Wanted::of(size, request.min_count)
        };
        let choice = choose_zone(cloud, ctx, caller, wanted).await?;
        let count = request.max_count;
        Ok(Self { size, image, kernel, ramdisk, groups, public_key, placement_group, choice, count })
    }

    fn launch(&self, ctx: &Context, caller: &Caller, request: &RunInstances, digest: &str, now: i64) -> Launch {
        let with_url = |image: &Image| (image.id.clone(), image.url());
        Launch {
            reservation: Reservation {
                id: ids::reservation_id(),
                owner: caller.account.clone(),
                cluster: self.choice.zone.clone(),
                request_id: ctx.request.to_string(),
                min_count: request.min_count,
                image_id: self.image.id.clone(),
                image_url: self.image.url(),
                kernel: self.kernel.as_ref().map(with_url),
                ramdisk: self.ramdisk.as_ref().map(with_url),
                architecture: self.image.architecture.clone(),
                root_device_name: self.image.root_device_name.clone(),
                type_name: self.size.name.to_string(),
                memory_mb: self.size.memory_mb,
                cores: self.size.cores,
                disk_gb: self.size.disk_gb,
                key_name: request.key_name.clone(),
                public_key: self.public_key.clone(),
                groups: self.groups.clone(),
                placement_group: self.placement_group.clone(),
                user_data: request.user_data.clone().unwrap_or_default(),
                client_token: request.client_token.clone(),
                created: now,
            },
            attributes: Attributes {
                disable_api_termination: request.disable_api_termination,
                disable_api_stop: request.disable_api_stop,
                shutdown_behavior: request.shutdown_behavior,
                monitored: request.monitored,
            },
            instance_ids: (0..self.count).map(|_| ids::instance_id()).collect(),
            tags: request.tags.clone(),
            by: caller.to_string(),
            digest: digest.to_string(),
            zone_named: self.choice.named,
            zone_verdicts: self.choice.verdicts.clone(),
        }
    }
}

pub(super) fn find_image(images: &[Image], caller: &Caller, id: &str, kind: ImageType) -> Result<Image, Ec2Error> {
    let canonical = ids::canonical(id);
    let found = images.iter().find(|image| image.id == canonical && image.is_visible_to(&caller.account));
    let image = found.ok_or_else(|| Ec2Error::no_image(id))?;
    if image.kind == kind {
        return Ok(image.clone());
    }
    let text = format!("The image '{id}' is a {}, but a {} is needed here", image.kind.name(), kind.name());
    Err(Ec2Error::new(Code::InvalidParameterValue, text))
}

/// The groups that are asked for, by name or id, each once; `default` if none is.
fn groups(all: Vec<SecurityGroup>, request: &RunInstances) -> Result<Vec<Group>, Ec2Error> {
    let mut asked = request.security_groups.clone();
    if asked.is_empty() {
        asked.push(GroupRef::Name(DEFAULT_GROUP.to_string()));
    }
    if let Some(missing) = asked.iter().find(|named| !all.iter().any(|group| named.is(group))) {
        return Err(Ec2Error::no_group(missing.text()));
    }
    let chosen = all.into_iter().filter(|group| asked.iter().any(|named| named.is(group)));
    Ok(chosen.map(|group| Group { id: group.group_id, name: group.name }).collect())
}

/// The zone asked for, or the one with most room.
async fn choose_zone(cloud: &Arc<Cloud>, ctx: &Context, caller: &Caller, wanted: Wanted) -> Result<Chosen, Ec2Error> {
    let names = cloud.clusters.names();
    if names.is_empty() {
        let text = "The cloud has no zone yet: an administrator must register a cluster (euca admin register-cluster)";
        return Err(Ec2Error::new(Code::Unsupported, text));
    }
    if let Some(zone) = wanted.zone.as_ref().filter(|zone| !names.contains(zone)) {
        return Err(no_zone(zone));
    }
    let zone = of_group(cloud, wanted.zone.clone(), wanted.group.as_ref()).await?;
    let (named, wanted) = (zone.is_some(), Wanted { zone, ..wanted });
    let choice = placement::choose(cloud, ctx, &wanted).await;
    if let Some(zone) = choice.zone {
        return Ok(Chosen { zone, named, verdicts: choice.verdicts });
    }
    let error = no_room(ctx, &wanted, &choice.verdicts);
    keep_choice(cloud, ctx, caller, named, choice.verdicts).await?;
    Err(error)
}

/// Keeps the choice of a zone that nothing is launched in, for whoever asks why.
async fn keep_choice(
    cloud: &Cloud,
    ctx: &Context,
    caller: &Caller,
    named: bool,
    verdicts: Vec<ZoneVerdict>,
) -> Result<(), Ec2Error> {
    let choice = ZoneChoice {
        request_id: ctx.request.to_string(),
        owner: caller.account.clone(),
        attempt: 1,
        named,
        at: cloud.now(),
        declined: None,
        verdicts,
    };
    Ok(cloud.store.keep_zone_choice(choice).await?)
}

/// The zone that was named, or the one in which the instances of a group are that are to be near each other.
pub(super) async fn of_group(
    cloud: &Cloud,
    named: Option<String>,
    group: Option<&PlacementGroup>,
) -> Result<Option<String>, Ec2Error> {
    let Some(group) = group.filter(|group| group.strategy == Strategy::Cluster) else { return Ok(named) };
    match (cloud.store.placement_group_zone(group.id.clone()).await?, named) {
        (Some(zone), Some(other)) if zone != other => {
            let text = format!("The instances of the placement group are in zone {zone}: name that zone, or none");
            Err(Ec2Error::new(Code::InvalidParameterCombination, text))
        }
        (zone, named) => Ok(zone.or(named)),
    }
}

/// The placement group that is asked for, by name or id.
pub(super) async fn placement_group(
    cloud: &Cloud,
    caller: &Caller,
    asked: Option<&String>,
) -> Result<Option<PlacementGroup>, Ec2Error> {
    let Some(asked) = asked else { return Ok(None) };
    let groups = cloud.store.placement_groups(caller.account.clone()).await?;
    let found = groups.into_iter().find(|group| group.name == *asked || group.id == *asked);
    found.map(Some).ok_or_else(|| Ec2Error::no_placement_group(asked))
}

/// That no zone will do, and why none.
fn no_room(ctx: &Context, wanted: &Wanted, verdicts: &[ZoneVerdict]) -> Ec2Error {
    let which = match &wanted.zone {
        Some(zone) => format!("Zone {zone} has no"),
        None => "No zone has".to_string(),
    };
    let (count, less) = match wanted.least {
        1 => ("an instance".to_string(), "a smaller one"),
        least => (format!("{least} instances"), "fewer or smaller ones"),
    };
    let why = verdicts.iter().map(|verdict| format!("zone {}: {}", verdict.zone, verdict.sentence));
    let text = format!(
        "{which} room for {count} of type {} now ({}). Ask for {less}, or try again later. {}",
        wanted.size.name,
        why.collect::<Vec<_>>().join("; "),
        placement::hint(ctx.request.as_str()),
    );
    Ec2Error::new(Code::InsufficientInstanceCapacity, text)
}

pub(super) fn no_zone(zone: &str) -> Ec2Error {
    let shown: String = zone.chars().take(60).collect();
    Ec2Error::new(Code::InvalidParameterValue, format!("Invalid availability zone: [{shown}]"))
}

/// The size of that name.
///
/// # Errors
/// `InvalidParameterValue` if there is none; it names all.
pub(super) fn find_size(name: &str) -> Result<Size, Ec2Error> {
    let names: Vec<&str> = crate::types::SIZES.iter().map(|size| size.name).collect();
    let none = || Ec2Error::invalid("InstanceType", name, &format!("It must be one of {}.", names.join(", ")));
    size(name).ok_or_else(none)
}

/// What tells a repeated request from another one under the same token: every parameter but the
/// token, each with its name and length.
fn fingerprint(request: &RunInstances) -> String {
    let RunInstances {
        image_id,
        min_count,
        max_count,
        key_name,
        security_groups,
        user_data,
        instance_type,
        availability_zone,
        placement_group,
        kernel_id,
        ramdisk_id,
        client_token: _,
        disable_api_termination,
        disable_api_stop,
        shutdown_behavior,
        monitored,
        tags,
        dry_run: _,
    } = request;
    let mut text = format!("{image_id:?} {min_count} {max_count} {key_name:?} {security_groups:?}");
    let tags: Vec<(&str, &str)> = tags.iter().map(|tag| (tag.key.as_str(), tag.value.as_str())).collect();
    let rest =
        write!(text, " {user_data:?} {instance_type:?} {availability_zone:?} {kernel_id:?} {ramdisk_id:?} {tags:?}");
    rest.expect("writing to a String cannot fail");
    let set = write!(text, " {disable_api_termination} {disable_api_stop} {shutdown_behavior:?} {monitored}");
    set.expect("writing to a String cannot fail");
    // What came to be a parameter later counts only where it is given: a request of before stays the same one.
    if placement_group.is_some() {
        write!(text, " {placement_group:?}").expect("writing to a String cannot fail");
    }
    digest(&SHA256, text.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_has_every_parameter_but_the_token() {
        let request = RunInstances { image_id: "emi-1".into(), min_count: 1, max_count: 1, ..RunInstances::default() };
        let with = |change: fn(&mut RunInstances)| {
            let mut other = request.clone();
            change(&mut other);
            fingerprint(&other)
        };
        assert_eq!(with(|other| other.client_token = Some("t".into())), fingerprint(&request));
        assert_ne!(with(|other| other.max_count = 2), fingerprint(&request));
        assert_ne!(with(|other| other.user_data = Some(vec![])), fingerprint(&request));
        assert_ne!(with(|other| other.monitored = true), fingerprint(&request));
        assert_ne!(with(|other| other.key_name = Some("k".into())), fingerprint(&request));
        assert_ne!(with(|other| other.placement_group = Some("g".into())), fingerprint(&request));
    }

    /// The records hold digests that earlier versions made.
    #[test]
    fn a_request_of_before_there_were_placement_groups_is_the_same_afterwards() {
        let request = RunInstances { image_id: "emi-1".into(), min_count: 1, max_count: 1, ..RunInstances::default() };
        assert_eq!(fingerprint(&request), "8408c1c7103aa3dad1409b6e3b575e7d22b5d8180ea99a1c9307a74b88f59438");
    }
}
