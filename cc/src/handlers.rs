//! What the cluster does for each operation, a file for each noun. A handler unpacks the request,
//! asks the modules that decide and act, and packs the answer; its name is the operation's.

pub mod bundles;
pub mod instances;
pub mod network;
pub mod nodes;
pub mod resources;
pub mod run;
pub mod trace;
pub mod volumes;

use ironbark_wsdl::Refusal;

use crate::error::ClusterError;
use crate::ids::InstanceId;

/// The instance id of a request that must have one.
fn required_id(text: Option<&String>) -> Result<InstanceId, Refusal> {
    let text = required("instanceId", text)?;
    InstanceId::parse(text).map_err(|error| ClusterError::from(error).into())
}

/// A field that the schema leaves optional and the operation needs.
fn required<'a>(field: &'static str, text: Option<&'a String>) -> Result<&'a String, Refusal> {
    text.filter(|text| !text.is_empty()).ok_or_else(|| ClusterError::bad(field, "is missing or empty; send it").into())
}
