//! What users sign with. Everybody manages their own: `UserName` is for administrators, who manage
//! that of the users they administer.

use super::{Listing, Row, name, optional_name};
use crate::ec2::Done;
use crate::error::Ec2Error;
use crate::front::{Access, Action, Params, Reply, Writer};

/// Whose credentials: the caller's own if nothing is named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whose {
    pub account: Option<String>,
    pub user_name: Option<String>,
}

impl Whose {
    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Ok(Self { account: optional_name(params, "AccountName")?, user_name: optional_name(params, "UserName")? })
    }
}

/// `Status`: whether a credential is to sign.
fn status(params: &Params) -> Result<bool, Ec2Error> {
    match params.required("Status")? {
        "Active" => Ok(true),
        "Inactive" => Ok(false),
        other => Err(params.invalid("Status", other, "It must be Active or Inactive.")),
    }
}

/// `Active` or `Inactive`.
fn shown(active: bool) -> String {
    if active { "Active" } else { "Inactive" }.to_string()
}

/// Makes an access key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CreateAccessKey(pub Whose);

impl Action for CreateAccessKey {
    const NAME: &'static str = "CreateAccessKey";
    const ACCESS: Access = Access::Anyone;
    const SOAP: bool = false;
    type Response = NewAccessKey;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Ok(Self(Whose::parse(params)?))
    }
}

/// A new access key, whose secret is told this once.
#[derive(Clone, PartialEq, Eq)]
pub struct NewAccessKey {
    /// The id of the user's account.
    pub account_id: String,
    pub user_name: String,
    pub access_key_id: String,
    pub secret_access_key: String,
}

impl std::fmt::Debug for NewAccessKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewAccessKey").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

impl Reply for NewAccessKey {
    fn write(&self, w: &mut Writer) {
        w.element("accessKey", |w| {
            w.text("accountId", &self.account_id);
            w.text("userName", &self.user_name);
            w.text("accessKeyId", &self.access_key_id);
            w.text("secretAccessKey", &self.secret_access_key);
        });
    }
}

/// Which access keys a user has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DescribeAccessKeys(pub Whose);

impl Action for DescribeAccessKeys {
    const NAME: &'static str = "DescribeAccessKeys";
    const ACCESS: Access = Access::Anyone;
    const SOAP: bool = false;
    type Response = Listing<AccessKeyRow>;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Ok(Self(Whose::parse(params)?))
    }
}

/// One access key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessKeyRow {
    pub user_name: String,
    pub access_key_id: String,
    pub active: bool,
    /// RFC 3339.
    pub created: String,
}

impl Row for AccessKeyRow {
    const SET: &'static str = "accessKeySet";

    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![
            ("userName", self.user_name.clone()),
            ("accessKeyId", self.access_key_id.clone()),
            ("status", shown(self.active)),
            ("createDate", self.created.clone()),
        ]
    }
}

/// Lets an access key sign, or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateAccessKey {
    pub access_key_id: String,
    pub active: bool,
}

impl Action for UpdateAccessKey {
    const NAME: &'static str = "UpdateAccessKey";
    const ACCESS: Access = Access::Anyone;
    const SOAP: bool = false;
    type Response = Done;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Ok(Self { access_key_id: name(params, "AccessKeyId")?, active: status(params)? })
    }
}

/// Withdraws an access key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteAccessKey {
    pub access_key_id: String,
}

impl Action for DeleteAccessKey {
    const NAME: &'static str = "DeleteAccessKey";
    const ACCESS: Access = Access::Anyone;
    const SOAP: bool = false;
    type Response = Done;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Ok(Self { access_key_id: name(params, "AccessKeyId")? })
    }
}

/// Makes a certificate with its key, for the SOAP door.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CreateSigningCertificate(pub Whose);

impl Action for CreateSigningCertificate {
    const NAME: &'static str = "CreateSigningCertificate";
    const ACCESS: Access = Access::Anyone;
    const SOAP: bool = false;
    type Response = NewCertificate;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Ok(Self(Whose::parse(params)?))
    }
}

/// A new certificate, whose key is told this once.
#[derive(Clone, PartialEq, Eq)]
pub struct NewCertificate {
    pub user_name: String,
    /// SHA-256 of its DER, hex.
    pub fingerprint: String,
    /// PEM.
    pub certificate: String,
    /// PEM.
    pub private_key: String,
}

impl std::fmt::Debug for NewCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewCertificate").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

impl Reply for NewCertificate {
    fn write(&self, w: &mut Writer) {
        w.element("certificate", |w| {
            w.text("userName", &self.user_name);
            w.text("certificateId", &self.fingerprint);
            w.text("certificateBody", &self.certificate);
            w.text("privateKey", &self.private_key);
        });
    }
}

/// Which certificates a user has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DescribeSigningCertificates(pub Whose);

impl Action for DescribeSigningCertificates {
    const NAME: &'static str = "DescribeSigningCertificates";
    const ACCESS: Access = Access::Anyone;
    const SOAP: bool = false;
    type Response = Listing<CertificateRow>;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Ok(Self(Whose::parse(params)?))
    }
}

/// One certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRow {
    pub user_name: String,
    /// SHA-256 of its DER, hex.
    pub fingerprint: String,
    pub active: bool,
    /// RFC 3339.
    pub created: String,
}

impl Row for CertificateRow {
    const SET: &'static str = "certificateSet";

    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![
            ("userName", self.user_name.clone()),
            ("certificateId", self.fingerprint.clone()),
            ("status", shown(self.active)),
            ("createDate", self.created.clone()),
        ]
    }
}

/// Lets a certificate sign, or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateSigningCertificate {
    pub fingerprint: String,
    pub active: bool,
}

impl Action for UpdateSigningCertificate {
    const NAME: &'static str = "UpdateSigningCertificate";
    const ACCESS: Access = Access::Anyone;
    const SOAP: bool = false;
    type Response = Done;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Ok(Self { fingerprint: name(params, "CertificateId")?, active: status(params)? })
    }
}

/// Withdraws a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteSigningCertificate {
    pub fingerprint: String,
}

impl Action for DeleteSigningCertificate {
    const NAME: &'static str = "DeleteSigningCertificate";
    const ACCESS: Access = Access::Anyone;
    const SOAP: bool = false;
    type Response = Done;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Ok(Self { fingerprint: name(params, "CertificateId")? })
    }
}
