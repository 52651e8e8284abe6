//! Access keys and signing certificates: make, show, switch, withdraw. Everybody their own, and
//! administrators those of the users they manage.

use std::sync::Arc;

use ironbark_wsdl::Context;

use super::accounts::{manages, user_named};
use crate::cloud::Cloud;
use crate::convert;
use crate::credentials::{new_access_key, new_signing_certificate};
use crate::ec2::Done;
use crate::ec2::admin::{
    AccessKeyRow, CertificateRow, CreateAccessKey, CreateSigningCertificate, DeleteAccessKey, DeleteSigningCertificate,
    DescribeAccessKeys, DescribeSigningCertificates, Listing, NewAccessKey, NewCertificate, UpdateAccessKey,
    UpdateSigningCertificate, Whose,
};
use crate::error::{Code, Ec2Error};
use crate::front::Caller;
use crate::store::{self, Member};

/// Makes an access key; its secret is in the answer.
///
/// # Errors
/// `NoSuchEntity`, `UnauthorizedOperation`.
pub async fn create_access_key(
    cloud: Arc<Cloud>,
    _: Context,
    caller: Caller,
    request: CreateAccessKey,
) -> Result<NewAccessKey, Ec2Error> {
    let member = whose(&cloud, &caller, &request.0).await?;
    let key = new_access_key(&member.user.id, cloud.now())?;
    if !cloud.store.add_access_key(key.clone()).await? {
        return Err(gone(&member));
    }
    Ok(NewAccessKey {
        account_id: member.user.account,
        user_name: member.user.name,
        access_key_id: key.id,
        secret_access_key: key.secret,
    })
}

/// A user's access keys.
///
/// # Errors
/// `NoSuchEntity`, `UnauthorizedOperation`.
pub async fn describe_access_keys(
    cloud: Arc<Cloud>,
    _: Context,
    caller: Caller,
    request: DescribeAccessKeys,
) -> Result<Listing<AccessKeyRow>, Ec2Error> {
    let Member { user, .. } = whose(&cloud, &caller, &request.0).await?;
    let row = |key: store::AccessKey| AccessKeyRow {
        user_name: user.name.clone(),
        access_key_id: key.id,
        active: key.active,
        created: convert::timestamp(key.created).to_string(),
    };
    Ok(Listing(cloud.store.access_keys(user.id).await?.into_iter().map(row).collect()))
}

/// Lets an access key sign, or not.
///
/// # Errors
/// `NoSuchEntity`.
pub async fn update_access_key(
    cloud: Arc<Cloud>,
    _: Context,
    caller: Caller,
    request: UpdateAccessKey,
) -> Result<Done, Ec2Error> {
    check_key(&cloud, &caller, &request.access_key_id).await?;
    cloud.store.activate_access_key(request.access_key_id, request.active).await?;
    Ok(Done)
}

/// Withdraws an access key.
///
/// # Errors
/// `NoSuchEntity`.
pub async fn delete_access_key(
    cloud: Arc<Cloud>,
    _: Context,
    caller: Caller,
    request: DeleteAccessKey,
) -> Result<Done, Ec2Error> {
    check_key(&cloud, &caller, &request.access_key_id).await?;
    cloud.store.delete_access_key(request.access_key_id).await?;
    Ok(Done)
}

/// Makes a certificate with its key; the key is in the answer and nowhere else.
///
/// # Errors
/// `NoSuchEntity`, `UnauthorizedOperation`.
pub async fn create_signing_certificate(
    cloud: Arc<Cloud>,
    _: Context,
    caller: Caller,
    request: CreateSigningCertificate,
) -> Result<NewCertificate, Ec2Error> {
    let member = whose(&cloud, &caller, &request.0).await?;
    let name = member.user.name.clone();
    let made = tokio::task::spawn_blocking(move || new_signing_certificate(&name)).await;
    let made = made.map_err(Ec2Error::internal)??;
    let certificate = store::Certificate {
        fingerprint: made.fingerprint(),
        user: member.user.id.clone(),
        pem: made.cert_pem(),
        active: true,
        created: cloud.now(),
    };
    if !cloud.store.add_certificate(certificate.clone()).await? {
        return Err(gone(&member));
    }
    Ok(NewCertificate {
        user_name: member.user.name,
        fingerprint: certificate.fingerprint,
        certificate: certificate.pem,
        private_key: made.key_pem(),
    })
}

/// A user's certificates.
///
/// # Errors
/// `NoSuchEntity`, `UnauthorizedOperation`.
pub async fn describe_signing_certificates(
    cloud: Arc<Cloud>,
    _: Context,
    caller: Caller,
    request: DescribeSigningCertificates,
) -> Result<Listing<CertificateRow>, Ec2Error> {
    let Member { user, .. } = whose(&cloud, &caller, &request.0).await?;
    let row = |certificate: store::Certificate| CertificateRow {
        user_name: user.name.clone(),
        fingerprint: certificate.fingerprint,
        active: certificate.active,
        created: convert::timestamp(certificate.created).to_string(),
    };
    Ok(Listing(cloud.store.certificates(user.id).await?.into_iter().map(row).collect()))
}

/// Lets a certificate sign, or not.
///
/// # Errors
/// `NoSuchEntity`.
pub async fn update_signing_certificate(
    cloud: Arc<Cloud>,
    _: Context,
    caller: Caller,
    request: UpdateSigningCertificate,
) -> Result<Done, Ec2Error> {
    check_certificate(&cloud, &caller, &request.fingerprint).await?;
    cloud.store.activate_certificate(request.fingerprint, request.active).await?;
    Ok(Done)
}

/// Withdraws a certificate.
///
/// # Errors
/// `NoSuchEntity`.
pub async fn delete_signing_certificate(
    cloud: Arc<Cloud>,
    _: Context,
    caller: Caller,
    request: DeleteSigningCertificate,
) -> Result<Done, Ec2Error> {
    check_certificate(&cloud, &caller, &request.fingerprint).await?;
    cloud.store.delete_certificate(request.fingerprint).await?;
    Ok(Done)
}

/// The user whose credentials a request is about.
async fn whose(cloud: &Cloud, caller: &Caller, whose: &Whose) -> Result<Member, Ec2Error> {
    // Whoever names another account means somebody there, not a namesake of their own.
    let user = match (&whose.user_name, &whose.account) {
        (Some(user), _) => user,
        (None, None) => &caller.user,
        (None, Some(_)) => return Err(Ec2Error::missing("UserName")),
    };
    user_named(cloud, caller, whose.account.as_deref(), user).await
}

/// That there is such a key, of a user whom the caller manages: others' are not there at all.
async fn check_key(cloud: &Cloud, caller: &Caller, id: &str) -> Result<(), Ec2Error> {
    let found = cloud.store.access_key(id.to_string()).await?;
    match found {
        Some((_, member)) if manages(caller, &member) => Ok(()),
        Some(_) | None => {
            let text = format!("There is no access key {id} that you manage; describe-access-keys lists them");
            Err(Ec2Error::new(Code::NoSuchEntity, text))
        }
    }
}

/// The same of a certificate.
async fn check_certificate(cloud: &Cloud, caller: &Caller, fingerprint: &str) -> Result<(), Ec2Error> {
    let found = cloud.store.certificate(fingerprint.to_string()).await?;
    match found {
        Some((_, member)) if manages(caller, &member) => Ok(()),
        Some(_) | None => {
            let text = format!("There is no certificate {fingerprint} that you manage; describe-users lists them");
            Err(Ec2Error::new(Code::NoSuchEntity, text))
        }
    }
}

fn gone(member: &Member) -> Ec2Error {
    Ec2Error::new(Code::NoSuchEntity, format!("The user {} was deleted meanwhile", member.user.name))
}
