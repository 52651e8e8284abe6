//! What an instance has said on its serial console, and the password of Windows that is said there.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

use super::ids;
use crate::error::Ec2Error;
use crate::front::{Action, Params, Reply, Writer};

/// The latest console output of one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetConsoleOutput {
    pub instance_id: String,
}

impl Action for GetConsoleOutput {
    const NAME: &'static str = "GetConsoleOutput";
    type Response = GetConsoleOutputResponse;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Ok(Self { instance_id: ids::instance_id(params.required("InstanceId")?)? })
    }
}

/// The console output, whatever bytes the guest wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetConsoleOutputResponse {
    pub instance_id: String,
    /// When the output was read.
    pub timestamp: Timestamp,
    /// As the guest wrote it; it is sent in base64.
    pub output: Vec<u8>,
}

impl Reply for GetConsoleOutputResponse {
    fn write(&self, w: &mut Writer) {
        w.text("instanceId", &self.instance_id);
        w.time("timestamp", self.timestamp);
        w.text("output", &STANDARD.encode(&self.output));
    }
}

/// The administrator's password of a Windows instance, encrypted to its key pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetPasswordData {
    pub instance_id: String,
}

impl Action for GetPasswordData {
    const NAME: &'static str = "GetPasswordData";
    type Response = GetPasswordDataResponse;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Ok(Self { instance_id: ids::instance_id(params.required("InstanceId")?)? })
    }
}

/// The password, as the guest encrypted it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetPasswordDataResponse {
    pub instance_id: String,
    /// When the console was read.
    pub timestamp: Timestamp,
    /// Base64; empty while the guest has said none.
    pub password_data: String,
}

impl Reply for GetPasswordDataResponse {
    fn write(&self, w: &mut Writer) {
        w.text("instanceId", &self.instance_id);
        w.time("timestamp", self.timestamp);
        w.text("passwordData", &self.password_data);
    }
}
