//! Messages about bundling the disk of an instance.

use yaserde::{YaDeserialize, YaSerialize};

use super::types::BundleTask;

/// Bundles the disk of an instance and uploads it. `BundleInstance` of `eucalyptus_cc.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "BundleInstance")]
pub struct BundleInstance {
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
    /// Upload policy, base64.
    #[yaserde(prefix = "n", rename = "S3Policy")]
    pub s3_policy: Option<String>,
    /// Its signature, base64.
    #[yaserde(prefix = "n", rename = "S3PolicySig")]
    pub s3_policy_sig: Option<String>,
}

/// Answer to [`BundleInstance`].
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "BundleInstanceResponse")]
pub struct BundleInstanceResponse {
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

/// Gives up a bundling. `CancelBundleTask` of `eucalyptus_cc.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "CancelBundleTask")]
pub struct CancelBundleTask {
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
    /// The instance.
    #[yaserde(prefix = "n", rename = "instanceId")]
    pub instance_id: Option<String>,
}

/// Answer to [`CancelBundleTask`].
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "CancelBundleTaskResponse")]
pub struct CancelBundleTaskResponse {
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

/// Asks for the states of bundlings. `DescribeBundleTasks` of `eucalyptus_cc.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "DescribeBundleTasks")]
pub struct DescribeBundleTasks {
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
    /// Which; 2.0.1 ignores them.
    #[yaserde(prefix = "n", rename = "instanceIds")]
    pub instance_ids: Vec<String>,
}

/// Answer to [`DescribeBundleTasks`].
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "DescribeBundleTasksResponse")]
pub struct DescribeBundleTasksResponse {
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
    /// Their states.
    #[yaserde(prefix = "n", rename = "bundleTasks")]
    pub bundle_tasks: Vec<BundleTask>,
}
