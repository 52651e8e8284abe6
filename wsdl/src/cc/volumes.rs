//! Messages that attach and detach disks. Mind the order: attach names the volume first.

use yaserde::{YaDeserialize, YaSerialize};

/// Attaches a disk to a running instance. `AttachVolume` of `eucalyptus_cc.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "AttachVolume")]
pub struct AttachVolume {
    /// Request id; echoed.
    #[yaserde(prefix = "n", rename = "correlationId")]
    pub correlation_id: Option<String>,
    /// User on whose behalf, owner of what is made; echoed.
    #[yaserde(prefix = "n", rename = "userId")]
    pub user_id: Option<String>,
    /// Responses that refuse: the reason (2.0.1 wrote `ERROR`).
    #[yaserde(prefix = "n", rename = "statusMessage")]
    pub status_message: Option<String>,
    /// Responses only: `true` = done, `false` = refused.
    #[yaserde(prefix = "n", rename = "return")]
    pub accepted: Option<bool>,
    /// The volume; needed. It precedes the instance here and follows it in DetachVolume.
    #[yaserde(prefix = "n", rename = "volumeId")]
    pub volume_id: Option<String>,
    /// The instance; needed.
    #[yaserde(prefix = "n", rename = "instanceId")]
    pub instance_id: Option<String>,
    /// Where the node finds the volume.
    #[yaserde(prefix = "n", rename = "remoteDev")]
    pub remote_dev: Option<String>,
    /// Wished device in the guest.
    #[yaserde(prefix = "n", rename = "localDev")]
    pub local_dev: Option<String>,
}

/// Answer to [`AttachVolume`].
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "AttachVolumeResponse")]
pub struct AttachVolumeResponse {
    /// Request id; echoed.
    #[yaserde(prefix = "n", rename = "correlationId")]
    pub correlation_id: Option<String>,
    /// User on whose behalf, owner of what is made; echoed.
    #[yaserde(prefix = "n", rename = "userId")]
    pub user_id: Option<String>,
    /// Responses that refuse: the reason (2.0.1 wrote `ERROR`).
    #[yaserde(prefix = "n", rename = "statusMessage")]
    pub status_message: Option<String>,
    /// Responses only: `true` = done, `false` = refused.
    #[yaserde(prefix = "n", rename = "return")]
    pub accepted: Option<bool>,
}

/// Takes a disk away from a running instance. `DetachVolume` of `eucalyptus_cc.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "DetachVolume")]
pub struct DetachVolume {
    /// Request id; echoed.
    #[yaserde(prefix = "n", rename = "correlationId")]
    pub correlation_id: Option<String>,
    /// User on whose behalf, owner of what is made; echoed.
    #[yaserde(prefix = "n", rename = "userId")]
    pub user_id: Option<String>,
    /// Responses that refuse: the reason (2.0.1 wrote `ERROR`).
    #[yaserde(prefix = "n", rename = "statusMessage")]
    pub status_message: Option<String>,
    /// Responses only: `true` = done, `false` = refused.
    #[yaserde(prefix = "n", rename = "return")]
    pub accepted: Option<bool>,
    /// The instance; needed.
    #[yaserde(prefix = "n", rename = "instanceId")]
    pub instance_id: Option<String>,
    /// The volume; needed.
    #[yaserde(prefix = "n", rename = "volumeId")]
    pub volume_id: Option<String>,
    /// As attached.
    #[yaserde(prefix = "n", rename = "remoteDev")]
    pub remote_dev: Option<String>,
    /// As attached.
    #[yaserde(prefix = "n", rename = "localDev")]
    pub local_dev: Option<String>,
    /// Do not wait for the guest.
    #[yaserde(prefix = "n")]
    pub force: Option<bool>,
}

/// Answer to [`DetachVolume`].
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "DetachVolumeResponse")]
pub struct DetachVolumeResponse {
    /// Request id; echoed.
    #[yaserde(prefix = "n", rename = "correlationId")]
    pub correlation_id: Option<String>,
    /// User on whose behalf, owner of what is made; echoed.
    #[yaserde(prefix = "n", rename = "userId")]
    pub user_id: Option<String>,
    /// Responses that refuse: the reason (2.0.1 wrote `ERROR`).
    #[yaserde(prefix = "n", rename = "statusMessage")]
    pub status_message: Option<String>,
    /// Responses only: `true` = done, `false` = refused.
    #[yaserde(prefix = "n", rename = "return")]
    pub accepted: Option<bool>,
}
