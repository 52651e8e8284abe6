//! Messages that attach and detach disks.

use yaserde::{YaDeserialize, YaSerialize};

/// Attaches a disk to a running instance. `ncAttachVolume` of `eucalyptus_nc.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "ncAttachVolume")]
pub struct AttachVolume {
    /// Request id; echoed.
    #[yaserde(prefix = "n", rename = "correlationId")]
    pub correlation_id: Option<String>,
    /// User on whose behalf; echoed.
    #[yaserde(prefix = "n", rename = "userId")]
    pub user_id: Option<String>,
    /// Responses only: `true` = done, `false` = refused.
    #[yaserde(prefix = "n", rename = "return")]
    pub accepted: Option<bool>,
    /// Requests only: host part of the URL that was dialled.
    #[yaserde(prefix = "n", rename = "nodeName")]
    pub node_name: Option<String>,
    /// PowerDown and StartNetwork responses only: 0 = ok, 2 = failure.
    #[yaserde(prefix = "n", rename = "statusMessage")]
    pub status_message: Option<i32>,
    /// The instance; needed.
    #[yaserde(prefix = "n", rename = "instanceId")]
    pub instance_id: Option<String>,
    /// The volume; needed.
    #[yaserde(prefix = "n", rename = "volumeId")]
    pub volume_id: Option<String>,
    /// Path of a block device on the node, or `ip,iqn,password` of an iSCSI target; needed.
    #[yaserde(prefix = "n", rename = "remoteDev")]
    pub remote_dev: Option<String>,
    /// Wished device in the guest, `/dev/sdb` or `sdb`; needed.
    #[yaserde(prefix = "n", rename = "localDev")]
    pub local_dev: Option<String>,
}

/// Answer to [`AttachVolume`].
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "ncAttachVolumeResponse")]
pub struct AttachVolumeResponse {
    /// Request id; echoed.
    #[yaserde(prefix = "n", rename = "correlationId")]
    pub correlation_id: Option<String>,
    /// User on whose behalf; echoed.
    #[yaserde(prefix = "n", rename = "userId")]
    pub user_id: Option<String>,
    /// Responses only: `true` = done, `false` = refused.
    #[yaserde(prefix = "n", rename = "return")]
    pub accepted: Option<bool>,
    /// Requests only: host part of the URL that was dialled.
    #[yaserde(prefix = "n", rename = "nodeName")]
    pub node_name: Option<String>,
    /// PowerDown and StartNetwork responses only: 0 = ok, 2 = failure.
    #[yaserde(prefix = "n", rename = "statusMessage")]
    pub status_message: Option<i32>,
}

/// Takes a disk away from a running instance. `ncDetachVolume` of `eucalyptus_nc.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "ncDetachVolume")]
pub struct DetachVolume {
    /// Request id; echoed.
    #[yaserde(prefix = "n", rename = "correlationId")]
    pub correlation_id: Option<String>,
    /// User on whose behalf; echoed.
    #[yaserde(prefix = "n", rename = "userId")]
    pub user_id: Option<String>,
    /// Responses only: `true` = done, `false` = refused.
    #[yaserde(prefix = "n", rename = "return")]
    pub accepted: Option<bool>,
    /// Requests only: host part of the URL that was dialled.
    #[yaserde(prefix = "n", rename = "nodeName")]
    pub node_name: Option<String>,
    /// PowerDown and StartNetwork responses only: 0 = ok, 2 = failure.
    #[yaserde(prefix = "n", rename = "statusMessage")]
    pub status_message: Option<i32>,
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
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "ncDetachVolumeResponse")]
pub struct DetachVolumeResponse {
    /// Request id; echoed.
    #[yaserde(prefix = "n", rename = "correlationId")]
    pub correlation_id: Option<String>,
    /// User on whose behalf; echoed.
    #[yaserde(prefix = "n", rename = "userId")]
    pub user_id: Option<String>,
    /// Responses only: `true` = done, `false` = refused.
    #[yaserde(prefix = "n", rename = "return")]
    pub accepted: Option<bool>,
    /// Requests only: host part of the URL that was dialled.
    #[yaserde(prefix = "n", rename = "nodeName")]
    pub node_name: Option<String>,
    /// PowerDown and StartNetwork responses only: 0 = ok, 2 = failure.
    #[yaserde(prefix = "n", rename = "statusMessage")]
    pub status_message: Option<i32>,
}
