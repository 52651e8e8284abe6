//! Users and what they sign with.

use super::{Listing, Row, name};
use crate::ec2::Done;
use crate::error::Ec2Error;
use crate::front::{Access, Action, Params, Reply, Writer};

/// Makes a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateUser {
    pub user_name: String,
    pub admin: bool,
}

impl Action for CreateUser {
    const NAME: &'static str = "CreateUser";
    const ACCESS: Access = Access::Administrator;
    const SOAP: bool = false;
    type Response = Done;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Ok(Self { user_name: name(params, "UserName")?, admin: params.boolean("Admin")?.unwrap_or(false) })
    }
}

/// Removes a user and its credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteUser {
    pub user_name: String,
}

impl Action for DeleteUser {
    const NAME: &'static str = "DeleteUser";
    const ACCESS: Access = Access::Administrator;
    const SOAP: bool = false;
    type Response = Done;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Ok(Self { user_name: name(params, "UserName")? })
    }
}

/// Which users there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DescribeUsers;

impl Action for DescribeUsers {
    const NAME: &'static str = "DescribeUsers";
    const ACCESS: Access = Access::Administrator;
    const SOAP: bool = false;
    type Response = Listing<UserRow>;

    fn parse(_: &Params) -> Result<Self, Ec2Error> {
        Ok(Self)
    }
}

/// One user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRow {
    pub user_name: String,
    pub admin: bool,
    /// The ids of its access keys; never a secret.
    pub access_key_ids: Vec<String>,
    /// The fingerprints of its certificates.
    pub certificates: Vec<String>,
}

impl Row for UserRow {
    const SET: &'static str = "userSet";

    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![
            ("userName", self.user_name.clone()),
            ("admin", self.admin.to_string()),
            ("accessKeys", self.access_key_ids.join(" ")),
            ("certificates", self.certificates.join(" ")),
        ]
    }
}

/// Makes an access key for a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateAccessKey {
    pub user_name: String,
}

impl Action for CreateAccessKey {
    const NAME: &'static str = "CreateAccessKey";
    const ACCESS: Access = Access::Administrator;
    const SOAP: bool = false;
    type Response = NewAccessKey;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Ok(Self { user_name: name(params, "UserName")? })
    }
}

/// A new access key, whose secret is told this once.
#[derive(Clone, PartialEq, Eq)]
pub struct NewAccessKey {
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
            w.text("userName", &self.user_name);
            w.text("accessKeyId", &self.access_key_id);
            w.text("secretAccessKey", &self.secret_access_key);
        });
    }
}

/// Withdraws an access key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteAccessKey {
    pub access_key_id: String,
}

impl Action for DeleteAccessKey {
    const NAME: &'static str = "DeleteAccessKey";
    const ACCESS: Access = Access::Administrator;
    const SOAP: bool = false;
    type Response = Done;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Ok(Self { access_key_id: name(params, "AccessKeyId")? })
    }
}

/// Makes a certificate with its key for a user, for the SOAP door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateSigningCertificate {
    pub user_name: String,
}

impl Action for CreateSigningCertificate {
    const NAME: &'static str = "CreateSigningCertificate";
    const ACCESS: Access = Access::Administrator;
    const SOAP: bool = false;
    type Response = NewCertificate;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Ok(Self { user_name: name(params, "UserName")? })
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
