//! The attributes of instances. What the cloud itself keeps (protection, shutdown behavior, whether
//! it is monitored) is changed at once, the type of a stopped one for its next start; what a node
//! made of the launch stays as it is, and a client that wants it otherwise is told so.

use std::sync::Arc;

use ironbark_wsdl::Context;

use super::instances::{canonical, refusal};
use crate::cloud::Cloud;
use crate::ec2::Done;
use crate::ec2::attributes::{
    Attribute, AttributeChange, AttributeValue, DescribeInstanceAttribute, DescribeInstanceAttributeResponse,
    ModifyInstanceAttribute, ResetInstanceAttribute, Resettable,
};
use crate::ec2::instances::InstanceState;
use crate::ec2::monitoring::{MonitorInstances, Monitorings, UnmonitorInstances};
use crate::error::{Code, Ec2Error};
use crate::front::{Action, Caller};
use crate::ids;
use crate::lifecycle::Act;
use crate::store::{Attributes, Deed, Instance, Refused, Reservation, Resized};
use crate::types::size;

/// One attribute of one instance.
///
/// # Errors
/// `InvalidInstanceID.NotFound`.
pub async fn describe_instance_attribute(
    cloud: Arc<Cloud>,
    _: Context,
    caller: Caller,
    request: DescribeInstanceAttribute,
) -> Result<DescribeInstanceAttributeResponse, Ec2Error> {
    let (of, instance) = owned(&cloud, &caller, &request.instance_id).await?;
    let set = instance.attributes;
    let text = |text: &str| AttributeValue::Text(Some(text.to_string()));
    let id = |image: &Option<(String, String)>| AttributeValue::Text(image.as_ref().map(|(id, _)| id.clone()));
    let value = match request.attribute {
        Attribute::InstanceType => text(type_name(&of, &instance)),
        Attribute::Kernel => id(&of.kernel),
        Attribute::Ramdisk => id(&of.ramdisk),
        Attribute::UserData => AttributeValue::Bytes(of.user_data),
        Attribute::DisableApiTermination => AttributeValue::Boolean(set.disable_api_termination),
        Attribute::DisableApiStop => AttributeValue::Boolean(set.disable_api_stop),
        Attribute::InstanceInitiatedShutdownBehavior => text(set.shutdown_behavior.name()),
        Attribute::RootDeviceName => AttributeValue::Text(of.root_device_name),
        Attribute::GroupSet => AttributeValue::Groups(of.groups),
        // What this cloud does not do.
        Attribute::SourceDestCheck | Attribute::EbsOptimized => AttributeValue::Boolean(false),
        Attribute::EnaSupport | Attribute::EnclaveOptions => AttributeValue::Boolean(false),
        Attribute::SriovNetSupport => AttributeValue::Text(None),
        Attribute::BlockDeviceMapping | Attribute::ProductCodes => AttributeValue::Nothing,
    };
    Ok(DescribeInstanceAttributeResponse { instance_id: instance.id, attribute: request.attribute, value })
}

/// Changes one attribute of one instance.
///
/// # Errors
/// `InvalidInstanceID.NotFound`; `IncorrectInstanceState` for what EC2 changes of stopped instances
/// only; `UnsupportedOperation` for what cannot be changed here.
pub async fn modify_instance_attribute(
    cloud: Arc<Cloud>,
    ctx: Context,
    caller: Caller,
    request: ModifyInstanceAttribute,
) -> Result<Done, Ec2Error> {
    let (of, instance) = owned(&cloud, &caller, &request.instance_id).await?;
    let deed = cloud.deed(&ctx, &caller, ModifyInstanceAttribute::NAME);
    match request.change {
        AttributeChange::DisableApiTermination(protected) => {
            let detail = format!("disableApiTermination = {protected}");
            set(&cloud, &caller, instance, (deed, detail), move |set| set.disable_api_termination = protected).await
        }
        AttributeChange::DisableApiStop(protected) => {
            let detail = format!("disableApiStop = {protected}");
            set(&cloud, &caller, instance, (deed, detail), move |set| set.disable_api_stop = protected).await
        }
        AttributeChange::InstanceInitiatedShutdownBehavior(behavior) => {
            let detail = format!("instanceInitiatedShutdownBehavior = {}", behavior.name());
            set(&cloud, &caller, instance, (deed, detail), move |set| set.shutdown_behavior = behavior).await
        }
        AttributeChange::InstanceType(name) if name == type_name(&of, &instance) => Ok(Done),
        AttributeChange::InstanceType(name) => resize(&cloud, &caller, instance, &name, deed).await,
        AttributeChange::Kernel(id) => launched(&instance, "kernel", is(&id, of.kernel.as_ref())),
        AttributeChange::Ramdisk(id) => launched(&instance, "ramdisk", is(&id, of.ramdisk.as_ref())),
        AttributeChange::UserData(bytes) => launched(&instance, "userData", bytes == of.user_data),
        AttributeChange::SourceDestCheck(on) => absent(!on, "sourceDestCheck"),
        AttributeChange::EbsOptimized(on) => absent(!on, "ebsOptimized"),
        AttributeChange::EnaSupport(on) => absent(!on, "enaSupport"),
        AttributeChange::SriovNetSupport(_) => absent(false, "sriovNetSupport"),
        AttributeChange::Groups(_) => Err(Ec2Error::new(
            Code::InvalidParameterCombination,
            "You may only modify the groupSet of an instance in a VPC; this cloud has none, so groups are chosen at launch",
        )),
        AttributeChange::BlockDeviceMapping => Err(Ec2Error::new(
            Code::UnsupportedOperation,
            "The instance has no disks that are volumes, so no block device mapping can be changed",
        )),
    }
}

/// Takes an attribute back to what the instance had at first. None of these ever changes here.
///
/// # Errors
/// `InvalidInstanceID.NotFound`; `UnsupportedOperation` if the image has another kernel or ramdisk
/// than the instance was launched with.
pub async fn reset_instance_attribute(
    cloud: Arc<Cloud>,
    _: Context,
    caller: Caller,
    request: ResetInstanceAttribute,
) -> Result<Done, Ec2Error> {
    let (of, instance) = owned(&cloud, &caller, &request.instance_id).await?;
    let images = cloud.store.images().await?;
    let image = images.into_iter().find(|image| image.id == of.image_id);
    let same = |own: Option<&(String, String)>, default: Option<&String>| own.map(|(id, _)| id) == default;
    match (request.attribute, image) {
        (Resettable::SourceDestCheck, _) | (_, None) => Ok(Done),
        (Resettable::Kernel, Some(image)) => {
            launched(&instance, "kernel", same(of.kernel.as_ref(), image.kernel_id.as_ref()))
        }
        (Resettable::Ramdisk, Some(image)) => {
            launched(&instance, "ramdisk", same(of.ramdisk.as_ref(), image.ramdisk_id.as_ref()))
        }
    }
}

/// Wishes instances to be monitored.
///
/// # Errors
/// `InvalidInstanceID.NotFound`; then none is.
pub async fn monitor_instances(
    cloud: Arc<Cloud>,
    ctx: Context,
    caller: Caller,
    request: MonitorInstances,
) -> Result<Monitorings, Ec2Error> {
    let deed = cloud.deed(&ctx, &caller, MonitorInstances::NAME);
    monitor(&cloud, caller, request.instance_ids, true, deed).await
}

/// Wishes instances not to be monitored.
///
/// # Errors
/// As [`monitor_instances`].
pub async fn unmonitor_instances(
    cloud: Arc<Cloud>,
    ctx: Context,
    caller: Caller,
    request: UnmonitorInstances,
) -> Result<Monitorings, Ec2Error> {
    let deed = cloud.deed(&ctx, &caller, UnmonitorInstances::NAME);
    monitor(&cloud, caller, request.instance_ids, false, deed).await
}

async fn monitor(
    cloud: &Cloud,
    caller: Caller,
    ids: Vec<String>,
    on: bool,
    deed: Deed,
) -> Result<Monitorings, Ec2Error> {
    let set = move |set: &mut Attributes| set.monitored = on;
    let done = cloud.store.set_attributes(caller.scope(), canonical(ids), (deed, None), set).await?;
    // Nothing but an id that is not there is refused, whatever the act.
    let instances = done.map_err(|refused| refusal(Act::Reboot, refused))?;
    Ok(Monitorings(instances.into_iter().map(|instance| (instance.id, instance.attributes.monitored)).collect()))
}

/// The caller's instance of that id, with its reservation.
async fn owned(cloud: &Cloud, caller: &Caller, id: &str) -> Result<(Reservation, Instance), Ec2Error> {
    let missing = || Ec2Error::no_instance(id);
    let instance = cloud.store.instance(caller.scope(), ids::canonical(id)).await?.ok_or_else(missing)?;
    let found = cloud.store.reservation(instance.reservation_id.clone()).await?;
    let (reservation, _) = found.ok_or_else(missing)?;
    Ok((reservation, instance))
}

async fn set(
    cloud: &Cloud,
    caller: &Caller,
    instance: Instance,
    (deed, detail): (Deed, String),
    change: impl Fn(&mut Attributes) + Send + 'static,
) -> Result<Done, Ec2Error> {
    let done = cloud.store.set_attributes(caller.scope(), vec![instance.id], (deed, Some(detail)), change).await?;
    done.map(|_| Done).map_err(|refused| refusal(Act::Reboot, refused))
}

fn type_name<'a>(of: &'a Reservation, instance: &'a Instance) -> &'a str {
    instance.resized.as_ref().map_or(&of.type_name, |resized| &resized.type_name)
}

/// A stopped instance comes back with the memory and the cores of the new type; its disk stays.
async fn resize(cloud: &Cloud, caller: &Caller, instance: Instance, name: &str, deed: Deed) -> Result<Done, Ec2Error> {
    let Some(size) = size(name) else {
        let shown: String = name.chars().take(60).collect();
        let text = format!("Invalid value '{shown}' for InstanceType.");
        return Err(Ec2Error::new(Code::InvalidInstanceAttributeValue, text));
    };
    let to = Resized { type_name: size.name.to_string(), memory_mb: size.memory_mb, cores: size.cores };
    match cloud.store.resize(caller.scope(), instance.id, to, deed).await? {
        Ok(()) => Ok(Done),
        Err(Refused::State(id, _)) => Err(not_stopped(&id)),
        Err(refused) => Err(refusal(Act::Start, refused)),
    }
}

fn not_stopped(id: &str) -> Ec2Error {
    Ec2Error::new(Code::IncorrectInstanceState, format!("The instance '{id}' is not in the 'stopped' state."))
}

fn is(id: &str, image: Option<&(String, String)>) -> bool {
    image.map_or("", |(id, _)| id) == ids::canonical(id)
}

/// What was settled by the launch: EC2 changes it of stopped instances only, and our nodes keep it
/// with the disk they made.
fn launched(instance: &Instance, attribute: &str, same: bool) -> Result<Done, Ec2Error> {
    if same {
        return Ok(Done);
    }
    if instance.state() != InstanceState::Stopped {
        return Err(not_stopped(&instance.id));
    }
    let text = format!(
        "The {attribute} of an instance is settled by its launch in this cloud; run a new instance with another one"
    );
    Err(Ec2Error::new(Code::UnsupportedOperation, text))
}

/// What this cloud does not do can be switched off, and not on.
fn absent(off: bool, attribute: &str) -> Result<Done, Ec2Error> {
    if off {
        return Ok(Done);
    }
    let text = format!("{attribute} is not supported by this cloud; leave it off");
    Err(Ec2Error::new(Code::UnsupportedOperation, text))
}
