//! Instances: what is shown of one, and the requests that describe and change those that exist.
//! Making one is in [`super::run`].

use jiff::Timestamp;

use super::filters::Filters;
use super::instance_filters::Placed;
use super::{Done, Page, Tag, ids, monitoring};
use crate::error::{Code, Ec2Error};
use crate::front::{Action, Params, Reply, Writer};

/// An instance's state as EC2 clients know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InstanceState {
    Pending,
    Running,
    ShuttingDown,
    Terminated,
    Stopping,
    Stopped,
}

impl InstanceState {
    /// EC2's number and name of it. (2.0.1's own "buried" was 64, which is "stopping": never sent.)
    fn entry(self) -> (i64, &'static str) {
        match self {
            InstanceState::Pending => (0, "pending"),
            InstanceState::Running => (16, "running"),
            InstanceState::ShuttingDown => (32, "shutting-down"),
            InstanceState::Terminated => (48, "terminated"),
            InstanceState::Stopping => (64, "stopping"),
            InstanceState::Stopped => (80, "stopped"),
        }
    }

    /// EC2's number of it.
    pub fn code(self) -> i64 {
        self.entry().0
    }

    /// EC2's name of it.
    pub fn name(self) -> &'static str {
        self.entry().1
    }

    pub(super) fn write(self, element: &str, w: &mut Writer) {
        w.element(element, |w| {
            w.number("code", self.code());
            w.text("name", self.name());
        });
    }
}

/// Why an instance is in its state: `Client.UserInitiatedShutdown`, `Server.InternalError`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateReason {
    pub code: String,
    pub message: String,
}

/// A security group of a reservation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// `sg-...`
    pub id: String,
    pub name: String,
}

impl Group {
    /// Writes `groupSet`. Before 2011-01-01 `groupId` held the *name*.
    pub(super) fn write_set(groups: &[Group], w: &mut Writer) {
        let named = !w.version().at_least("2011-01-01");
        w.set("groupSet", groups, |w, group| {
            w.text("groupId", if named { &group.name } else { &group.id });
            w.query_only(|w| w.text("groupName", &group.name));
        });
    }
}

/// The instances of one RunInstances, and who ran them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    pub reservation_id: String,
    /// The user's name.
    pub owner_id: String,
    pub groups: Vec<Group>,
    /// At least one.
    pub instances: Vec<Instance>,
}

impl Reservation {
    /// Writes what RunInstances answers, and what an item of DescribeInstances holds.
    pub(super) fn write(&self, w: &mut Writer) {
        w.text("reservationId", &self.reservation_id);
        w.text("ownerId", &self.owner_id);
        Group::write_set(&self.groups, w);
        w.set("instancesSet", &self.instances, |w, instance| instance.write(self, w));
    }
}

/// What is shown of one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    pub instance_id: String,
    pub image_id: String,
    pub state: InstanceState,
    /// Names; empty while unknown. Clients print them, so an address does when there is no name.
    pub private_dns_name: String,
    pub dns_name: String,
    /// Why the state last changed, for people; empty if there is nothing to say.
    pub reason: String,
    pub state_reason: Option<StateReason>,
    pub key_name: Option<String>,
    /// Its place in its reservation, from 0.
    pub launch_index: u32,
    pub instance_type: String,
    /// Virtual cores.
    pub cores: u32,
    pub launch_time: Timestamp,
    /// The cluster's name.
    pub availability_zone: String,
    /// Name of its placement group.
    pub placement_group: Option<String>,
    pub kernel_id: Option<String>,
    pub ramdisk_id: Option<String>,
    pub private_ip_address: Option<String>,
    pub ip_address: Option<String>,
    /// `x86_64`
    pub architecture: String,
    pub root_device_type: RootDevice,
    pub root_device_name: Option<String>,
    pub client_token: Option<String>,
    /// True if it is wished to be monitored.
    pub monitored: bool,
    pub tags: Vec<Tag>,
}

/// Where an instance's root disk lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RootDevice {
    /// On the node's own disk.
    InstanceStore,
}

impl RootDevice {
    /// EC2's name of it.
    pub fn name(self) -> &'static str {
        match self {
            RootDevice::InstanceStore => "instance-store",
        }
    }
}

impl Instance {
    fn write(&self, reservation: &Reservation, w: &mut Writer) {
        w.text("instanceId", &self.instance_id);
        w.text("imageId", &self.image_id);
        self.state.write("instanceState", w);
        w.text("privateDnsName", &self.private_dns_name);
        w.text("dnsName", &self.dns_name);
        w.text("reason", &self.reason);
        w.optional("keyName", self.key_name.as_deref());
        w.number("amiLaunchIndex", i64::from(self.launch_index));
        w.texts("productCodes", Vec::<String>::new());
        w.text("instanceType", &self.instance_type);
        w.time("launchTime", self.launch_time);
        w.element("placement", |w| {
            w.text("availabilityZone", &self.availability_zone);
            w.query_only(|w| {
                w.text("groupName", self.placement_group.as_deref().unwrap_or_default());
                w.text("tenancy", "default");
            });
        });
        w.optional("kernelId", self.kernel_id.as_deref());
        w.optional("ramdiskId", self.ramdisk_id.as_deref());
        w.element("monitoring", |w| w.text("state", monitoring::state(self.monitored)));
        w.optional("privateIpAddress", self.private_ip_address.as_deref());
        w.optional("ipAddress", self.ip_address.as_deref());
        w.query_only(|w| Group::write_set(&reservation.groups, w));
        if let Some(reason) = &self.state_reason {
            w.element("stateReason", |w| {
                w.text("code", &reason.code);
                w.text("message", &reason.message);
            });
        }
        self.write_machine(w);
    }

    fn write_machine(&self, w: &mut Writer) {
        w.text("architecture", &self.architecture);
        w.text("rootDeviceType", self.root_device_type.name());
        w.optional("rootDeviceName", self.root_device_name.as_deref());
        w.texts("blockDeviceMapping", Vec::<String>::new());
        w.since("2010-06-15", |w| w.text("virtualizationType", "hvm"));
        w.since("2010-08-31", |w| w.optional("clientToken", self.client_token.as_deref()));
        Tag::write_any(&self.tags, w);
        w.query_only(|w| self.write_later(w));
    }

    /// What versions of later than the SOAP contract's show. Clients read much of it without asking
    /// whether it is there.
    fn write_later(&self, w: &mut Writer) {
        w.text("hypervisor", "kvm");
        w.boolean("ebsOptimized", false);
        w.boolean("enaSupport", false);
        w.texts("networkInterfaceSet", Vec::<String>::new());
        w.element("cpuOptions", |w| {
            w.number("coreCount", i64::from(self.cores));
            w.number("threadsPerCore", 1);
        });
        w.element("capacityReservationSpecification", |w| w.text("capacityReservationPreference", "open"));
        w.element("hibernationOptions", |w| w.boolean("configured", false));
        w.element("enclaveOptions", |w| w.boolean("enabled", false));
        w.element("maintenanceOptions", |w| w.text("autoRecovery", "disabled"));
        // Guests get their key and user data on a disk; there is no metadata service.
        w.element("metadataOptions", |w| {
            w.text("state", "applied");
            w.text("httpTokens", "optional");
            w.number("httpPutResponseHopLimit", 1);
            for off in ["httpEndpoint", "httpProtocolIpv6", "instanceMetadataTags"] {
                w.text(off, "disabled");
            }
        });
        w.text("platformDetails", "Linux/UNIX");
        w.text("usageOperation", "RunInstances");
        w.text("currentInstanceBootMode", "legacy-bios");
    }
}

/// Which instances are there, and how they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DescribeInstances {
    /// Only these, each of which must exist; all if empty.
    pub instance_ids: Vec<String>,
    /// 2.0.1's `InstanceId.1=verbose`: administrators of the cloud see everybody's.
    pub verbose: bool,
    pub filters: Filters,
    pub page: Page,
}

impl Action for DescribeInstances {
    const NAME: &'static str = "DescribeInstances";
    type Response = DescribeInstancesResponse;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        let verbose = params.list("InstanceId") == ["verbose"];
        let instance_ids = if verbose { Vec::new() } else { ids::instance_ids(params)? };
        let page = Page::parse(params)?;
        page.refuse_with("InstanceId", instance_ids.is_empty())?;
        Ok(Self { instance_ids, verbose, filters: Filters::parse::<Placed>(params)?, page })
    }
}

impl DescribeInstances {
    /// The answer out of everything the caller may see: filtered, in a stable order, in pages.
    /// (That every id in `instance_ids` exists is for the action to check.)
    pub fn answer(&self, all: Vec<Reservation>) -> DescribeInstancesResponse {
        let kept = all.into_iter().filter_map(|reservation| self.part_of(reservation)).collect();
        let (reservations, next_token) =
            self.page.cut(kept, |reservation: &Reservation| reservation.reservation_id.clone());
        DescribeInstancesResponse { reservations, next_token }
    }

    /// A reservation with only the instances that were asked for; `None` if that leaves none.
    fn part_of(&self, reservation: Reservation) -> Option<Reservation> {
        let asked =
            |instance: &Instance| self.instance_ids.is_empty() || self.instance_ids.contains(&instance.instance_id);
        let keep: Vec<bool> = reservation
            .instances
            .iter()
            .map(|instance| asked(instance) && self.filters.pass(&Placed { reservation: &reservation, instance }))
            .collect();
        let mut keep = keep.into_iter();
        let mut reservation = reservation;
        reservation.instances.retain(|_| keep.next().unwrap_or(false));
        (!reservation.instances.is_empty()).then_some(reservation)
    }
}

/// The instances that were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeInstancesResponse {
    pub reservations: Vec<Reservation>,
    /// Leads to the next page, if there is one.
    pub next_token: Option<String>,
}

impl Reply for DescribeInstancesResponse {
    fn write(&self, w: &mut Writer) {
        w.set("reservationSet", &self.reservations, |w, reservation| reservation.write(w));
        w.query_only(|w| w.optional("nextToken", self.next_token.as_deref()));
    }

    fn is_long(&self) -> bool {
        self.reservations.iter().map(|reservation| reservation.instances.len()).sum::<usize>() > 500
    }
}

/// Restarts instances: all of them, or none if one of them cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RebootInstances {
    /// At least one.
    pub instance_ids: Vec<String>,
}

impl Action for RebootInstances {
    const NAME: &'static str = "RebootInstances";
    type Response = Done;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Ok(Self { instance_ids: ids::some_instance_ids(params)? })
    }
}

/// Ends instances for good. Repeating it is fine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TerminateInstances {
    /// At least one.
    pub instance_ids: Vec<String>,
}

impl Action for TerminateInstances {
    const NAME: &'static str = "TerminateInstances";
    type Response = StateChanges;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Ok(Self { instance_ids: ids::some_instance_ids(params)? })
    }
}

/// Shuts instances down and keeps their disks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopInstances {
    /// At least one.
    pub instance_ids: Vec<String>,
    /// Without asking the guest.
    pub force: bool,
}

impl Action for StopInstances {
    const NAME: &'static str = "StopInstances";
    type Response = StateChanges;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        if params.boolean("Hibernate")?.unwrap_or(false) {
            return Err(Ec2Error::new(
                Code::UnsupportedOperation,
                "Instances cannot hibernate here; stop them without Hibernate",
            ));
        }
        Ok(Self { instance_ids: ids::some_instance_ids(params)?, force: params.boolean("Force")?.unwrap_or(false) })
    }
}

/// Starts stopped instances again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartInstances {
    /// At least one.
    pub instance_ids: Vec<String>,
}

impl Action for StartInstances {
    const NAME: &'static str = "StartInstances";
    type Response = StateChanges;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Ok(Self { instance_ids: ids::some_instance_ids(params)? })
    }
}

/// How one instance's state changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateChange {
    pub instance_id: String,
    pub current: InstanceState,
    pub previous: InstanceState,
}

/// How the states of the instances changed, in the order of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateChanges(pub Vec<StateChange>);

impl Reply for StateChanges {
    fn write(&self, w: &mut Writer) {
        w.set("instancesSet", &self.0, |w, change| {
            w.text("instanceId", &change.instance_id);
            change.current.write("currentState", w);
            change.previous.write("previousState", w);
        });
    }
}
