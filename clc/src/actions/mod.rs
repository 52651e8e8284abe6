//! What each EC2 action does: a file per noun, a function per action, named as the action is in
//! snake_case. An action checks everything, then writes a wish or asks a cluster, then answers in
//! EC2's types. It knows no door and no SQL.

pub mod account;
pub mod accounts;
pub mod addresses;
pub mod admin;
pub mod attributes;
pub mod console;
pub mod credentials;
pub mod doctor;
pub mod history;
pub mod image_attributes;
pub mod images;
pub mod instances;
pub mod keys;
pub mod placement_groups;
pub mod placements;
pub mod quotas;
pub mod run;
pub mod security_groups;
pub mod status;
pub mod tags;
pub mod trace;
pub mod users;
pub mod zones;

use ironbark_wsdl::CallError;

use crate::credentials::CredentialError;
use crate::error::{Code, Ec2Error};
use crate::store::StoreError;

impl From<StoreError> for Ec2Error {
    fn from(error: StoreError) -> Self {
        Ec2Error::internal(error)
    }
}

impl From<CredentialError> for Ec2Error {
    fn from(error: CredentialError) -> Self {
        match error {
            CredentialError::NotAKey(text) => Ec2Error::new(Code::InvalidKeyFormat, text),
            CredentialError::Random
            | CredentialError::Generate(_)
            | CredentialError::Certificate(_)
            | CredentialError::Form(_) => Ec2Error::internal(error),
        }
    }
}

/// A cluster gave no good answer; what a client can do is to try later. `Declined` is for the
/// action to tell: only it knows whose fault that is.
fn unanswered(cluster: &str, error: CallError) -> Ec2Error {
    let text = match &error {
        CallError::Unreachable { .. } => {
            format!("Zone {cluster} cannot be reached, so nothing was done; try again later")
        }
        CallError::TimedOut { .. } => {
            format!("Zone {cluster} has not answered, so it is not known whether it was done; look, then try again")
        }
        CallError::Fault { .. } | CallError::Declined { .. } => format!(
            "Zone {cluster} has answered with an error, so it is not known whether it was done; the request id leads to the cause in the cloud's log"
        ),
    };
    Ec2Error::new(Code::Unavailable, text).because(error)
}
