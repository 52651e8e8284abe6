//! What the cluster does for each operation, a file for each noun. A handler unpacks the request,
//! asks the modules that decide and act, and packs the answer; its name is the operation's.

pub mod bundles;
pub mod instances;
pub mod inventory;
pub mod network;
pub mod nodes;
pub mod placements;
pub mod resources;
pub mod run;
pub mod trace;
pub mod volumes;

use ironbark_wsdl::Refusal;

use crate::error::ClusterError;
use crate::ids::InstanceId;

/// Most instances that one request may name: as many as a 2.0.1 cluster could have
/// (MAXINSTANCES, wire/cc.md 1.3).
const MOST_IDS: usize = 2048;

/// Refuses a request that names too many instances.
fn within_limit(ids: &[String]) -> Result<(), ClusterError> {
    if ids.len() > MOST_IDS {
        return Err(ClusterError::bad("instanceIds", format!("{} ids; send at most {MOST_IDS} at once", ids.len())));
    }
    Ok(())
}

/// The instance id of a request that must have one.
fn required_id(text: Option<&String>) -> Result<InstanceId, Refusal> {
    let text = required("instanceId", text)?;
    InstanceId::parse(text).map_err(|error| ClusterError::from(error).into())
}

/// A field that the schema leaves optional and the operation needs.
fn required<'a>(field: &'static str, text: Option<&'a String>) -> Result<&'a String, Refusal> {
    text.filter(|text| !text.is_empty()).ok_or_else(|| ClusterError::bad(field, "is missing or empty; send it").into())
}
