//! TLS at the door: the certificate that clients see. The administrator gives one, or one is made at
//! the first start, with an authority that signs it and nothing else: its key is forgotten at once.
//! Clients are given the authority's certificate to trust.

use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use aws_lc_rs::digest::{SHA256, digest};
use ironbark_wsdl::clock::Clock;
use ironbark_wsdl::http::TlsConfig;
use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::Deserialize;

use crate::config::Config;
use crate::files;

/// How long a certificate that is made here holds.
const VALID_YEARS: i32 = 10;
/// From how many days before its end on a certificate is talked about.
const SOON_DAYS: i64 = 30;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The certificate that the administrator gives.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Files {
    /// PEM: the certificate, and those between it and its authority.
    pub certificate: PathBuf,
    /// PEM: its private key, which nobody else may read.
    pub key: PathBuf,
    /// PEM: the authority, for clients that do not know it; it goes into their credentials.
    pub authority: Option<PathBuf>,
}

impl Files {
    /// Those that are made in the state directory if the administrator gives none.
    fn own(state_dir: &Path) -> Self {
        Self {
            certificate: state_dir.join("door-cert.pem"),
            key: state_dir.join("door-key.pem"),
            authority: Some(state_dir.join("door-ca.pem")),
        }
    }

    /// The same, relative to a directory.
    pub fn within(self, dir: &Path) -> Self {
        Self {
            certificate: dir.join(self.certificate),
            key: dir.join(self.key),
            authority: self.authority.map(|authority| dir.join(authority)),
        }
    }
}

/// The door's files, made if they are to be and are not there yet; `None` where it speaks plain HTTP.
///
/// # Errors
/// What cannot be made.
pub fn files(config: &Config) -> Result<Option<Files>> {
    if !config.speaks_tls() {
        return Ok(None);
    }
    if let Some(given) = &config.tls {
        return Ok(Some(given.clone()));
    }
    let own = Files::own(&config.state_dir);
    // The key is written last: where it is, the others are.
    if !own.key.exists() {
        let made = make(&config.url_host(), config.listen.ip()).context("cannot make the door's certificate")?;
        files::write(&config.state_dir.join("door-ca.pem"), &made.authority)?;
        files::write(&own.certificate, &made.certificate)?;
        files::write(&own.key, &made.key)?;
    }
    Ok(Some(own))
}

/// What the server needs, and the fingerprint of its certificate, which is written beside it.
///
/// # Errors
/// Which file cannot be used, and why.
pub fn server(files: &Files, config: &Config) -> Result<(Arc<TlsConfig>, String)> {
    let read = || format!("cannot read {}", files.certificate.display());
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&files.certificate)
        .with_context(read)?
        .collect::<Result<_, _>>()
        .with_context(read)?;
    ensure!(!chain.is_empty(), "{} has no certificate: it must be PEM", files.certificate.display());
    let mode = std::fs::metadata(&files.key).with_context(|| format!("cannot read {}", files.key.display()))?.mode();
    if mode & 0o077 != 0 {
        bail!("others can read the key {0}: run `chmod 600 {0}`", files.key.display());
    }
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .with_context(|| format!("{} is no private key in PEM", files.key.display()))?;
    let fingerprint = pairs(&chain[0]);
    let tls = TlsConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .context("TLS")?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .with_context(|| {
            format!("{} and {} do not belong together", files.certificate.display(), files.key.display())
        })?;
    files::write(&config.state_dir.join("door-fingerprint"), format!("{fingerprint}\n"))?;
    Ok((Arc::new(tls), fingerprint))
}

/// When the door's certificate ends, or one of those between it and its authority, whichever is first.
///
/// # Errors
/// Which file cannot be read.
pub fn end(files: &Files) -> Result<Timestamp> {
    let read = || format!("cannot read {}", files.certificate.display());
    let mut first: Option<i64> = None;
    for certificate in CertificateDer::pem_file_iter(&files.certificate).with_context(read)? {
        let der = certificate.with_context(read)?;
        let (_, certificate) = x509_parser::parse_x509_certificate(&der).with_context(read)?;
        let end = certificate.validity().not_after.timestamp();
        first = Some(first.map_or(end, |first| first.min(end)));
    }
    let first = first.with_context(|| format!("{} has no certificate", files.certificate.display()))?;
    Timestamp::from_second(first).with_context(read)
}

/// Tells of the end of the door's certificate in the log, every day from 30 days before it on; until
/// the task is dropped.
pub async fn remind(end: Timestamp, clock: Clock) {
    loop {
        if let Some(days) = days_left(end, clock.now()) {
            let what = if days < 0 { "has ended: clients refuse it" } else { "ends soon" };
            tracing::warn!(event = "clc.tls.end", %end, days, "the door's certificate {what}; replace it (OPERATIONS)");
        }
        tokio::time::sleep(DAY).await;
    }
}

/// Whole days until the end, if they are few; below zero if it is over.
fn days_left(end: Timestamp, now: Timestamp) -> Option<i64> {
    let days = end.duration_since(now).as_secs().div_euclid(24 * 60 * 60);
    (days < SOON_DAYS).then_some(days)
}

/// SHA-256 as people compare it: `A1:B2:...`.
fn pairs(der: &[u8]) -> String {
    let pairs: Vec<String> = digest(&SHA256, der).as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
    pairs.join(":")
}

/// Three PEM texts.
struct Made {
    authority: String,
    certificate: String,
    key: String,
}

/// A certificate for the names by which clients may call: the URL's host, where it listens, and this
/// machine to itself.
fn make(host: &str, listen: IpAddr) -> Result<Made> {
    let mut names = vec![host.to_string()];
    for name in [listen.to_string(), "localhost".to_string(), "127.0.0.1".to_string(), "::1".to_string()] {
        if !listen_everywhere(&name) && !names.contains(&name) {
            names.push(name);
        }
    }
    let authority_key = KeyPair::generate()?;
    let mut authority = parameters(Vec::new(), &format!("Ironbark cloud at {host}"))?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let authority_cert = authority.self_signed(&authority_key)?;
    let key = KeyPair::generate()?;
    let mut door = parameters(names, host)?;
    door.use_authority_key_identifier_extension = true;
    door.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    door.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let door = door.signed_by(&key, &Issuer::new(authority, authority_key))?;
    Ok(Made { authority: authority_cert.pem(), certificate: door.pem(), key: key.serialize_pem() })
}

fn parameters(names: Vec<String>, common_name: &str) -> Result<CertificateParams> {
    let mut parameters = CertificateParams::new(names)?;
    let year = i32::from(jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).year());
    // A clock that is a little behind must not find it in the future.
    parameters.not_before = rcgen::date_time_ymd(year - 1, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(year + VALID_YEARS, 1, 1);
    parameters.distinguished_name.push(DnType::CommonName, common_name);
    Ok(parameters)
}

/// `0.0.0.0` and `::` are no names to call.
fn listen_everywhere(name: &str) -> bool {
    name.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(dir: &Path, more: &str) -> Result<Config> {
        let path = dir.join("clc.toml");
        let text = format!(
            "listen = \"0.0.0.0:8773\"\nstate_dir = \".\"\nurl = \"https://cloud.example:8773/services/Eucalyptus\"\n{more}"
        );
        std::fs::write(&path, text).unwrap();
        Config::load(&path)
    }

    #[test]
    fn a_certificate_is_made_once_and_its_key_is_nobodys_else() {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path(), "").unwrap();
        let made = files(&config).unwrap().unwrap();
        let (_, fingerprint) = server(&made, &config).unwrap();
        assert_eq!(std::fs::metadata(&made.key).unwrap().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_to_string(dir.path().join("door-fingerprint")).unwrap().trim(), fingerprint);
        let again = server(&files(&config).unwrap().unwrap(), &config).unwrap().1;
        assert_eq!((again.as_str(), fingerprint.len()), (fingerprint.as_str(), 95));
        let (_, pem) = x509_parser::pem::parse_x509_pem(&std::fs::read(&made.certificate).unwrap()).unwrap();
        let names = pem.parse_x509().unwrap().subject_alternative_name().unwrap().unwrap().value.general_names.len();
        assert_eq!(names, 4, "the URL's host, localhost and two loopback addresses; 0.0.0.0 is no name");
    }

    #[test]
    fn an_end_is_talked_about_from_thirty_days_before_it() {
        let dir = tempfile::tempdir().unwrap();
        let made = files(&config(dir.path(), "").unwrap()).unwrap().unwrap();
        let end = end(&made).unwrap();
        let years =
            end.to_zoned(jiff::tz::TimeZone::UTC).year() - Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).year();
        assert_eq!(i32::from(years), VALID_YEARS);
        let days = |days: i64| days_left(end, end - jiff::SignedDuration::from_hours(24 * days));
        assert_eq!((days(31), days(30), days(29)), (None, None, Some(29)));
        assert_eq!((days(0), days(-1)), (Some(0), Some(-1)));
    }

    #[test]
    fn the_first_certificate_to_end_counts() {
        let dir = tempfile::tempdir().unwrap();
        let given =
            files(&config(dir.path(), "[tls]\ncertificate = \"a.pem\"\nkey = \"b.pem\"\n").unwrap()).unwrap().unwrap();
        let until = |year: i32| {
            let mut parameters = parameters(vec!["cloud.example".into()], "cloud.example").unwrap();
            parameters.not_after = rcgen::date_time_ymd(year, 1, 1);
            parameters.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
        };
        std::fs::write(&given.certificate, until(2050) + &until(2040)).unwrap();
        assert_eq!(end(&given).unwrap(), "2040-01-01T00:00:00Z".parse().unwrap());
        std::fs::write(&given.certificate, "nothing").unwrap();
        assert!(end(&given).is_err());
    }

    #[test]
    fn keys_that_others_read_and_files_that_do_not_fit_are_refused() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path(), "[tls]\ncertificate = \"a.pem\"\nkey = \"b.pem\"\n").unwrap();
        let given = files(&config).unwrap().unwrap();
        let refusal = || format!("{:#}", server(&given, &config).unwrap_err());
        assert!(refusal().contains("a.pem"), "{}", refusal());
        let made = make("cloud.example", IpAddr::from([10, 0, 0, 1])).unwrap();
        std::fs::write(&given.certificate, &made.certificate).unwrap();
        std::fs::write(&given.key, &made.key).unwrap();
        std::fs::set_permissions(&given.key, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(refusal().contains("chmod 600"), "{}", refusal());
        std::fs::set_permissions(&given.key, std::fs::Permissions::from_mode(0o600)).unwrap();
        server(&given, &config).unwrap();
        std::fs::write(&given.key, make("other", IpAddr::from([10, 0, 0, 1])).unwrap().key).unwrap();
        assert!(refusal().contains("do not belong together"), "{}", refusal());
    }
}
