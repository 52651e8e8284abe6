//! The first credentials of a cloud: an administrator, an access key, a certificate, in a directory
//! that a shell can use at once. Doing it again writes the same ones.

use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use ironbark_wsdl::trace::now_micros;
use ironbark_wsdl::wsse::Identity;

use crate::actions::accounts::{FIRST_USER, new_account};
use crate::config::Config;
use crate::credentials::{access_key_id_in, eucarc, new_access_key, new_signing_certificate};
use crate::files::write;
use crate::role::Role;
use crate::serve;
use crate::store::{AccessKey, Certificate, Member, Store};
use crate::tls;

/// The account that `init` makes: its user `admin` administers the cloud.
pub const ADMIN: &str = "admin";

/// Makes records and an administrator if they are not there, and writes `eucarc`, `cert.pem` and
/// `key.pem` into `dir` (0700, files 0600), with `ca.pem` where the door speaks TLS. What `dir` holds of an earlier time stays, as far as the
/// records know it. May be run beside a running controller.
///
/// # Errors
/// What cannot be read or written.
pub async fn init(config: &Config, dir: &Path) -> Result<()> {
    serve::prepare(config)?;
    let store = Store::open(&config.database())?;
    new_account(&store, ADMIN, Role::CloudAdministrator, now_micros()).await?;
    let account = store.account(ADMIN.to_string()).await?.context("the account admin was deleted meanwhile")?;
    let member = store.user(account.id, FIRST_USER.to_string()).await?;
    let member =
        member.context("the account admin has no user admin any more: ask another administrator of the cloud")?;
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .with_context(|| format!("cannot make the directory {}", dir.display()))?;
    fs::set_permissions(dir, Permissions::from_mode(0o700))
        .with_context(|| format!("cannot make {} yours alone (mode 0700)", dir.display()))?;
    let key = access_key(&store, &member, dir).await?;
    certificate(&store, &member, dir).await?;
    let place = dir.canonicalize().with_context(|| format!("cannot find {}", dir.display()))?;
    let authority = tls::files(config)?.and_then(|files| files.authority);
    if let Some(authority) = &authority {
        let text = fs::read(authority).with_context(|| format!("cannot read {}", authority.display()))?;
        write(&dir.join("ca.pem"), text)?;
    }
    let trust = authority.is_some().then_some("ca.pem");
    write(
        &dir.join("eucarc"),
        eucarc(&config.url, &config.region, &member.user.account, &key, &place.to_string_lossy(), trust),
    )
}

/// The key that the directory's `eucarc` names, the administrator's first one, or a new one.
async fn access_key(store: &Store, member: &Member, dir: &Path) -> Result<AccessKey> {
    let named = fs::read_to_string(dir.join("eucarc")).ok().and_then(|text| access_key_id_in(&text));
    let mut keys = store.access_keys(member.user.id.clone()).await?;
    keys.retain(|key| key.active);
    keys.sort_by_key(|key| Some(&key.id) != named.as_ref());
    if let Some(key) = keys.into_iter().next() {
        return Ok(key);
    }
    let key = new_access_key(&member.user.id, now_micros())?;
    ensure!(store.add_access_key(key.clone()).await?, "the user {FIRST_USER} was deleted meanwhile");
    Ok(key)
}

/// The directory's own certificate if the records know it, or a new one.
async fn certificate(store: &Store, member: &Member, dir: &Path) -> Result<()> {
    let (cert_path, key_path) = (dir.join("cert.pem"), dir.join("key.pem"));
    if let Ok(identity) = Identity::load(&cert_path, &key_path)
        && store.certificate(identity.fingerprint()).await?.is_some_and(|(found, _)| found.active)
    {
        return Ok(());
    }
    let identity = new_signing_certificate(ADMIN)?;
    let certificate = Certificate {
        fingerprint: identity.fingerprint(),
        user: member.user.id.clone(),
        pem: identity.cert_pem(),
        active: true,
        created: now_micros(),
    };
    write(&key_path, identity.key_pem())?;
    write(&cert_path, identity.cert_pem())?;
    ensure!(store.add_certificate(certificate).await?, "the user {FIRST_USER} was deleted meanwhile");
    Ok(())
}
