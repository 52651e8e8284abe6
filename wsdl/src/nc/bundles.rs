//! Messages about bundling the disk of an instance.

use yaserde::{YaDeserialize, YaSerialize};

use super::types::BundleTask;

/// Bundles the disk of an instance and uploads it. `ncBundleInstance` of `eucalyptus_nc.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "ncBundleInstance")]
pub struct BundleInstance {
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
    /// The instance.
    #[yaserde(prefix = "n", rename = "instanceId")]
    pub instance_id: Option<String>,
    /// Bucket for the bundle.
    #[yaserde(prefix = "n", rename = "bucketName")]
    pub bucket_name: Option<String>,
    /// Prefix of its files.
    #[yaserde(prefix = "n", rename = "filePrefix")]
    pub file_prefix: Option<String>,
    /// The object store.
    #[yaserde(prefix = "n", rename = "walrusURL")]
    pub walrus_url: Option<String>,
    /// In fact the user's query access key id.
    #[yaserde(prefix = "n", rename = "userPublicKey")]
    pub user_public_key: Option<String>,
    /// Neither sent nor read.
    #[yaserde(prefix = "n", rename = "cloudPublicKey")]
    pub cloud_public_key: Option<String>,
    /// Upload policy, base64.
    #[yaserde(prefix = "n", rename = "S3Policy")]
    pub s3_policy: Option<String>,
    /// Its signature, base64.
    #[yaserde(prefix = "n", rename = "S3PolicySig")]
    pub s3_policy_sig: Option<String>,
}

/// Answer to [`BundleInstance`].
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "ncBundleInstanceResponse")]
pub struct BundleInstanceResponse {
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

/// Gives up a bundling. `ncCancelBundleTask` of `eucalyptus_nc.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "ncCancelBundleTask")]
pub struct CancelBundleTask {
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
    /// The instance.
    #[yaserde(prefix = "n", rename = "instanceId")]
    pub instance_id: Option<String>,
}

/// Answer to [`CancelBundleTask`].
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "ncCancelBundleTaskResponse")]
pub struct CancelBundleTaskResponse {
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

/// Asks for the states of bundlings. `ncDescribeBundleTasks` of `eucalyptus_nc.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "ncDescribeBundleTasks")]
pub struct DescribeBundleTasks {
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
    /// Which; at least one.
    #[yaserde(prefix = "n", rename = "instanceIds")]
    pub instance_ids: Vec<String>,
}

/// Answer to [`DescribeBundleTasks`].
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "ncDescribeBundleTasksResponse")]
pub struct DescribeBundleTasksResponse {
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
    /// Their states.
    #[yaserde(prefix = "n", rename = "bundleTasks")]
    pub bundle_tasks: Vec<BundleTask>,
}
