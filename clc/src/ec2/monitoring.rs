//! Monitoring: a wish that is kept with each instance and shown; the cloud itself measures nothing.

use super::ids;
use crate::error::Ec2Error;
use crate::front::{Action, Params, Reply, Writer};

/// EC2's word for whether an instance is to be monitored.
pub fn state(monitored: bool) -> &'static str {
    if monitored { "enabled" } else { "disabled" }
}

/// Wishes instances to be monitored: all of them, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonitorInstances {
    /// At least one.
    pub instance_ids: Vec<String>,
}

impl Action for MonitorInstances {
    const NAME: &'static str = "MonitorInstances";
    type Response = Monitorings;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Ok(Self { instance_ids: ids::some_instance_ids(params)? })
    }
}

/// Takes the wish of [`MonitorInstances`] back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnmonitorInstances {
    /// At least one.
    pub instance_ids: Vec<String>,
}

impl Action for UnmonitorInstances {
    const NAME: &'static str = "UnmonitorInstances";
    type Response = Monitorings;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Ok(Self { instance_ids: ids::some_instance_ids(params)? })
    }
}

/// Whether each instance is to be monitored, in the order of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Monitorings(pub Vec<(String, bool)>);

impl Reply for Monitorings {
    fn write(&self, w: &mut Writer) {
        w.set("instancesSet", &self.0, |w, (instance_id, monitored)| {
            w.text("instanceId", instance_id);
            w.element("monitoring", |w| w.text("state", state(*monitored)));
        });
    }
}
