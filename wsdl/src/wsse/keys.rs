//! Certificates and the keys behind them: what a tier is known by. Makes, keeps and reads them, and
//! does the two or three primitive operations on them. Knows nothing of XML.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest;
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{self, EcdsaKeyPair, KeyPair as _, UnparsedPublicKey, VerificationAlgorithm};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::civil::Date;
use jiff::{ToSpan, Zoned, tz::TimeZone};
use thiserror::Error;
use x509_parser::pem::Pem;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey as X509Key;

use super::files;
use super::rsa_sha1::RsaSha1;

/// How long a generated certificate is valid. Peers pin certificates and do not look at dates;
/// other tools may.
const VALID_YEARS: i16 = 10;

/// Why a key or certificate cannot be had.
#[derive(Debug, Error)]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The content is not what it should be.
    #[error("{what}: {problem}")]
    Content {
        /// Which file or certificate.
        what: String,
        /// What is wrong, and the way out.
        problem: String,
    },
    /// The cryptographic library could not make a key or certificate.
    #[error("could not make a key: {0}")]
    Generate(String),
}

impl KeyError {
    pub(super) fn content(what: impl Into<String>, problem: impl Into<String>) -> Self {
        KeyError::Content { what: what.into(), problem: problem.into() }
    }
}

/// How a signature over octets is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    /// Accepted from EC2 users' tools and from peers of 2.0.1; made for the latter.
    RsaSha1,
    RsaSha256,
    EcdsaSha256,
}

#[derive(Clone, PartialEq, Eq)]
enum PublicKey {
    /// RSAPublicKey, DER.
    Rsa(Vec<u8>),
    /// An uncompressed point of the curve P-256.
    P256(Vec<u8>),
}

/// The public side: an X.509 certificate with a key that we can use. Two are equal if their DER is.
#[derive(Clone)]
pub struct Certificate {
    der: Vec<u8>,
    key: PublicKey,
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for Certificate {}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({})", self.fingerprint())
    }
}

impl Certificate {
    /// Reads a DER certificate. No chain, date or name is checked: whom to trust is decided by
    /// comparing whole certificates.
    ///
    /// # Errors
    /// [`KeyError::Content`] if it is not exactly one certificate with an RSA key of 2048 to 8192
    /// bits or an ECDSA P-256 key.
    pub fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        let what = "certificate";
        let (rest, parsed) = X509Certificate::from_der(der)
            .map_err(|error| KeyError::content(what, format!("not an X.509 certificate: {error}")))?;
        if !rest.is_empty() {
            return Err(KeyError::content(what, "bytes after the end of the certificate"));
        }
        let info = parsed.public_key();
        let raw = info.subject_public_key.data.to_vec();
        let key = match info.parsed() {
            Ok(X509Key::RSA(_)) => PublicKey::Rsa(raw),
            Ok(X509Key::EC(_)) if raw.len() == 65 && raw[0] == 4 && is_p256(&parsed) => PublicKey::P256(raw),
            Ok(_) => return Err(KeyError::content(what, "its key is neither RSA nor ECDSA on the curve P-256")),
            Err(error) => return Err(KeyError::content(what, format!("its key cannot be read: {error}"))),
        };
        Ok(Self { der: der.to_vec(), key })
    }

    /// Reads the first certificate of a PEM text.
    ///
    /// # Errors
    /// As [`Certificate::from_der`], and if there is no PEM certificate.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        for block in Pem::iter_from_buffer(pem.as_bytes()) {
            let block = block.map_err(|error| KeyError::content("certificate", format!("not PEM: {error}")))?;
            if block.label == "CERTIFICATE" {
                return Self::from_der(&block.contents);
            }
        }
        Err(KeyError::content("certificate", "no '-----BEGIN CERTIFICATE-----' found"))
    }

    /// Reads the first certificate of a PEM file.
    ///
    /// # Errors
    /// As [`Certificate::from_pem`], and if the file cannot be read; the file is named.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let pem = files::read_text(path).map_err(|source| KeyError::File { path: path.into(), source })?;
        Self::from_pem(&pem).map_err(|error| match error {
            KeyError::Content { problem, .. } => KeyError::content(path.display().to_string(), problem),
            KeyError::File { .. } | KeyError::Generate(_) => error,
        })
    }

    /// The certificate itself.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The certificate as PEM.
    pub fn pem(&self) -> String {
        pem("CERTIFICATE", &self.der)
    }

    /// SHA-256 of the DER, 64 lower-case hexadecimal digits.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.der)
    }

    /// True if its key is RSA, the only kind that 2.0.1 knows.
    pub fn is_rsa(&self) -> bool {
        match self.key {
            PublicKey::Rsa(_) => true,
            PublicKey::P256(_) => false,
        }
    }

    /// True if `signature` over `octets` was made with this certificate's key by `algorithm`.
    pub(crate) fn verifies(&self, algorithm: Algorithm, octets: &[u8], signature: &[u8]) -> bool {
        let (scheme, key): (&'static dyn VerificationAlgorithm, &[u8]) = match (algorithm, &self.key) {
            (Algorithm::RsaSha1, PublicKey::Rsa(key)) => {
                (&signature::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, key)
            }
            (Algorithm::RsaSha256, PublicKey::Rsa(key)) => (&signature::RSA_PKCS1_2048_8192_SHA256, key),
            (Algorithm::EcdsaSha256, PublicKey::P256(key)) => (&signature::ECDSA_P256_SHA256_FIXED, key),
            (Algorithm::RsaSha1 | Algorithm::RsaSha256, PublicKey::P256(_))
            | (Algorithm::EcdsaSha256, PublicKey::Rsa(_)) => return false,
        };
        UnparsedPublicKey::new(scheme, key).verify(octets, signature).is_ok()
    }
}

/// Named curve prime256v1, the only one allowed.
fn is_p256(certificate: &X509Certificate<'_>) -> bool {
    let parameters = certificate.public_key().algorithm.parameters.as_ref();
    let curve = parameters.and_then(|parameters| parameters.as_oid().ok());
    curve.is_some_and(|curve| curve.to_id_string() == "1.2.840.10045.3.1.7")
}

enum PrivateKey {
    P256(EcdsaKeyPair),
    Rsa { key: rsa::KeyPair, sha1: RsaSha1 },
}

/// A certificate together with its private key. `Debug` shows the certificate's fingerprint only.
pub struct Identity {
    certificate: Certificate,
    key: PrivateKey,
    pkcs8: Vec<u8>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.certificate.fingerprint())
    }
}

impl Identity {
    /// The identity kept in `dir` as `key.pem` (mode 0600) and `cert.pem`; made at first use, with
    /// an ECDSA P-256 key and a self-signed certificate for ten years. Both files are written
    /// atomically and durably; two programs that start at once end up with the same identity.
    ///
    /// # Errors
    /// [`KeyError`]; a certificate without its key is an error, never replaced.
    pub fn load_or_generate(dir: &Path, common_name: &str) -> Result<Self, KeyError> {
        Self::load_or_make(dir, || Self::generate(common_name))
    }

    /// [`Identity::load_or_generate`] with an RSA key, which some SOAP stacks need: gSOAP 2.8
    /// writes ECDSA signatures in another form than XML Signature has them.
    ///
    /// # Errors
    /// As [`Identity::load_or_generate`].
    pub fn load_or_generate_rsa(dir: &Path, common_name: &str) -> Result<Self, KeyError> {
        Self::load_or_make(dir, || Self::generate_rsa(common_name))
    }

    fn load_or_make(dir: &Path, make: impl FnOnce() -> Result<Self, KeyError>) -> Result<Self, KeyError> {
        let at = |source| KeyError::File { path: dir.into(), source };
        let _lock = files::lock_dir(dir).map_err(at)?;
        let (cert_path, key_path) = (dir.join("cert.pem"), dir.join("key.pem"));
        match (cert_path.exists(), key_path.exists()) {
            (true, true) => return Self::load(&cert_path, &key_path),
            (true, false) => {
                return Err(KeyError::content(
                    key_path.display().to_string(),
                    format!(
                        "missing, but {} is there; restore the key, or remove the certificate to get a new identity, which peers must then be told",
                        cert_path.display()
                    ),
                ));
            }
            (false, true) | (false, false) => {}
        }
        // A key without certificate is what a crash between the two leaves; no peer has seen it.
        let identity = make()?;
        identity.write_key(&key_path)?;
        files::write(&cert_path, identity.cert_pem().as_bytes(), 0o644)
            .map_err(|source| KeyError::File { path: cert_path, source })?;
        Ok(identity)
    }

    /// Reads a certificate and its key, PEM files both; the key unencrypted, as PKCS#8 or, if it is
    /// RSA, as the PKCS#1 of Eucalyptus' own `cloud-pk.pem`, `cluster-pk.pem` and `node-pk.pem`.
    ///
    /// # Errors
    /// [`KeyError`], also when the key is readable by everybody or not the certificate's.
    pub fn load(cert_path: &Path, key_path: &Path) -> Result<Self, KeyError> {
        let certificate = Certificate::load(cert_path)?;
        let file = |source| KeyError::File { path: key_path.into(), source };
        if files::world_readable(key_path).map_err(file)? {
            let what = key_path.display().to_string();
            return Err(KeyError::content(what, "a private key that everybody can read; run chmod 600 on it"));
        }
        let text = files::read_text(key_path).map_err(file)?;
        Self::from_pem(certificate, &text).map_err(|problem| KeyError::content(key_path.display().to_string(), problem))
    }

    /// A new ECDSA P-256 key with a self-signed certificate.
    ///
    /// # Errors
    /// [`KeyError::Generate`].
    pub fn generate(common_name: &str) -> Result<Self, KeyError> {
        Self::made(common_name, rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256))
    }

    /// A new RSA-2048 key with a self-signed certificate: what EC2 users' tools expect. Takes
    /// about a tenth of a second.
    ///
    /// # Errors
    /// [`KeyError::Generate`].
    pub fn generate_rsa(common_name: &str) -> Result<Self, KeyError> {
        Self::made(common_name, rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048))
    }

    fn made(common_name: &str, key: Result<rcgen::KeyPair, rcgen::Error>) -> Result<Self, KeyError> {
        let failed = |error: rcgen::Error| KeyError::Generate(error.to_string());
        let key = key.map_err(failed)?;
        let mut parameters = rcgen::CertificateParams::default();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        parameters.distinguished_name.push(rcgen::DnType::CommonName, common_name);
        let today = Zoned::now().with_time_zone(TimeZone::UTC).date();
        let midnight = |date: Date| {
            rcgen::date_time_ymd(i32::from(date.year()), date.month().unsigned_abs(), date.day().unsigned_abs())
        };
        // Yesterday, so that a peer whose clock is behind does not see a date in the future.
        parameters.not_before = midnight(today.saturating_sub(1.day()));
        parameters.not_after = midnight(today.saturating_add(VALID_YEARS.years()));
        let certificate = parameters.self_signed(&key).map_err(failed)?;
        let certificate = Certificate::from_der(certificate.der())?;
        let pkcs8 = key.serialize_der();
        let key = private_key(&certificate, &pkcs8).map_err(KeyError::Generate)?;
        Ok(Self { certificate, key, pkcs8 })
    }

    fn from_pem(certificate: Certificate, text: &str) -> Result<Self, String> {
        let mut other = None;
        for block in Pem::iter_from_buffer(text.as_bytes()) {
            let block = block.map_err(|error| format!("not PEM: {error}"))?;
            let pkcs8 = match block.label.as_str() {
                "PRIVATE KEY" => block.contents,
                "RSA PRIVATE KEY" => pkcs8_of(&block.contents)?,
                _ => {
                    other = other.or(Some(block.label));
                    continue;
                }
            };
            let key = private_key(&certificate, &pkcs8)?;
            return Ok(Self { certificate, key, pkcs8 });
        }
        let found = other.map_or_else(|| "no key".to_string(), |label| format!("'{label}'"));
        Err(format!("{found} found; an unencrypted PKCS#8 'PRIVATE KEY' is needed (openssl pkcs8 -topk8 -nocrypt)"))
    }

    /// Writes the private key to `path`, mode 0600, atomically and durably.
    ///
    /// # Errors
    /// [`KeyError::File`].
    pub fn write_key(&self, path: &Path) -> Result<(), KeyError> {
        files::write(path, self.key_pem().as_bytes(), 0o600)
            .map_err(|source| KeyError::File { path: path.into(), source })
    }

    /// The public side.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The certificate as DER.
    pub fn cert_der(&self) -> &[u8] {
        self.certificate.der()
    }

    /// The certificate as PEM.
    pub fn cert_pem(&self) -> String {
        self.certificate.pem()
    }

    /// **The private key** as PKCS#8 PEM: for a file of mode 0600 or its owner's reply, nothing else.
    pub fn key_pem(&self) -> String {
        pem("PRIVATE KEY", &self.pkcs8)
    }

    /// SHA-256 of the certificate, 64 lower-case hexadecimal digits.
    pub fn fingerprint(&self) -> String {
        self.certificate.fingerprint()
    }

    /// The algorithm that [`Identity::sign`] uses.
    pub(crate) fn algorithm(&self) -> Algorithm {
        match self.key {
            PrivateKey::P256(_) => Algorithm::EcdsaSha256,
            PrivateKey::Rsa { .. } => Algorithm::RsaSha256,
        }
    }

    /// Signs octets with RSA and SHA-1, for peers of 2.0.1; `None` if the key is not RSA.
    pub(crate) fn sign_rsa_sha1(&self, octets: &[u8]) -> Option<Vec<u8>> {
        match &self.key {
            PrivateKey::P256(_) => None,
            PrivateKey::Rsa { sha1, .. } => Some(sha1.sign(octets)),
        }
    }

    /// Signs octets; an ECDSA value is r and s, 32 bytes each.
    pub(crate) fn sign(&self, octets: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.key {
            PrivateKey::P256(key) => {
                let made = key.sign(&random, octets).expect("a checked P-256 key signs octets of any length");
                made.as_ref().to_vec()
            }
            PrivateKey::Rsa { key, .. } => {
                let mut made = vec![0; key.public_modulus_len()];
                key.sign(&signature::RSA_PKCS1_SHA256, &random, octets, &mut made)
                    .expect("a checked RSA key of 2048 bits or more has room for a SHA-256 signature");
                made
            }
        }
    }
}

/// Reads a PKCS#8 key and checks that it is the certificate's.
fn private_key(certificate: &Certificate, pkcs8: &[u8]) -> Result<PrivateKey, String> {
    let (key, public) = match &certificate.key {
        PublicKey::P256(_) => {
            let key = EcdsaKeyPair::from_pkcs8(&signature::ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8)
                .map_err(|error| format!("not an ECDSA P-256 key, which the certificate has: {error}"))?;
            let public = PublicKey::P256(key.public_key().as_ref().to_vec());
            (PrivateKey::P256(key), public)
        }
        PublicKey::Rsa(_) => {
            let key = rsa::KeyPair::from_pkcs8(pkcs8)
                .map_err(|error| format!("not an RSA key, which the certificate has: {error}"))?;
            let public = PublicKey::Rsa(key.public_key().as_ref().to_vec());
            let sha1 = RsaSha1::from_pkcs8(pkcs8).ok_or("not an RSA key, which the certificate has")?;
            (PrivateKey::Rsa { key, sha1 }, public)
        }
    };
    if public == certificate.key { Ok(key) } else { Err("the key of another certificate".to_string()) }
}

/// PKCS#8 of an RSA key that came as PKCS#1.
fn pkcs8_of(pkcs1: &[u8]) -> Result<Vec<u8>, String> {
    let key = rsa::KeyPair::from_der(pkcs1).map_err(|error| format!("not an RSA key: {error}"))?;
    let pkcs8: Result<aws_lc_rs::encoding::Pkcs8V1Der<'_>, _> = key.as_der();
    Ok(pkcs8.map_err(|_| "an RSA key that cannot be written as PKCS#8")?.as_ref().to_vec())
}

/// RFC 7468.
fn pem(label: &str, der: &[u8]) -> String {
    let encoded = STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in encoded.as_bytes().chunks(64) {
        text.extend(line.iter().map(|byte| char::from(*byte)));
        text.push('\n');
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

/// Refuses a certificate whose key a peer of 2.0.1 cannot use.
pub(super) fn for_old_peers(certificate: &Certificate) -> Result<(), KeyError> {
    if certificate.is_rsa() {
        return Ok(());
    }
    let problem =
        "the profile euca-2.0.1 knows RSA keys only; use the certificates that Eucalyptus made (keys/*-cert.pem)";
    Err(KeyError::content(format!("certificate {}", certificate.fingerprint()), problem))
}

/// SHA-256, in hexadecimal digits.
pub(super) fn fingerprint(der: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, der).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn an_identity_is_made_once_and_kept_secret() {
        let dir = tempfile::tempdir().expect("a directory");
        let home = dir.path().join("nc");
        let made = Identity::load_or_generate(&home, "n1").expect("made");
        let again = Identity::load_or_generate(&home, "other").expect("loaded");
        assert_eq!(made.fingerprint(), again.fingerprint());
        assert_eq!(made.fingerprint().len(), 64);
        let mode = |name: &str| fs::metadata(home.join(name)).expect(name).permissions().mode() & 0o777;
        assert_eq!((mode("key.pem"), mode("cert.pem")), (0o600, 0o644));
        let names: Vec<_> =
            fs::read_dir(&home).expect("a directory").map(|entry| entry.expect("an entry").file_name()).collect();
        assert_eq!(names.len(), 2, "drafts are left: {names:?}");
        assert_eq!(Certificate::load(&home.join("cert.pem")).expect("a certificate"), *made.certificate());
        assert_eq!(format!("{made:?}"), format!("Identity({})", made.fingerprint()));
    }

    #[test]
    fn what_a_crash_or_an_administrator_leaves_is_handled() {
        let dir = tempfile::tempdir().expect("a directory");
        let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
        let first = Identity::load_or_generate(dir.path(), "n1").expect("made");
        fs::remove_file(&cert).expect("removed");
        let second = Identity::load_or_generate(dir.path(), "n1").expect("made anew");
        assert_ne!(first.fingerprint(), second.fingerprint());

        let says = |expected: &str| {
            let error = Identity::load_or_generate(dir.path(), "n1").expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
            assert!(error.contains(&dir.path().display().to_string()), "{error}");
        };
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("chmod");
        says("chmod 600");
        first.write_key(&key).expect("written");
        says("another certificate");
        fs::write(&key, "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n").expect("written");
        says("PKCS#8");
        fs::remove_file(&key).expect("removed");
        says("missing");
        fs::write(&cert, "no certificate").expect("written");
        first.write_key(&key).expect("written");
        says("BEGIN CERTIFICATE");
    }

    #[test]
    fn rsa_and_ecdsa_sign_and_verify_and_do_not_mix() {
        let ecdsa = Identity::generate("a").expect("a key");
        let rsa = Identity::generate_rsa("b").expect("a key");
        for identity in [&ecdsa, &rsa] {
            let signature = identity.sign(b"octets");
            assert!(identity.certificate().verifies(identity.algorithm(), b"octets", &signature));
            assert!(!identity.certificate().verifies(identity.algorithm(), b"other", &signature));
            assert!(!ecdsa.certificate().verifies(rsa.algorithm(), b"octets", &signature));
            assert!(!rsa.certificate().verifies(ecdsa.algorithm(), b"octets", &signature));
        }
        assert_eq!(ecdsa.sign(b"octets").len(), 64);
        let again = Certificate::from_pem(&rsa.cert_pem()).expect("a certificate");
        assert_eq!(again.der(), rsa.cert_der());
        assert!(Certificate::from_der(&rsa.cert_der()[1..]).is_err());
    }

    #[test]
    fn rsa_signs_with_sha1_for_old_peers_and_ecdsa_does_not() {
        let rsa = Identity::generate_rsa("cluster").expect("a key");
        let signature = rsa.sign_rsa_sha1(b"octets").expect("an RSA key");
        assert!(rsa.certificate().verifies(Algorithm::RsaSha1, b"octets", &signature));
        assert!(!rsa.certificate().verifies(Algorithm::RsaSha1, b"other", &signature));
        assert!(!rsa.certificate().verifies(Algorithm::RsaSha256, b"octets", &signature));
        assert!(rsa.certificate().is_rsa());
        let ecdsa = Identity::generate("n1").expect("a key");
        assert!(ecdsa.sign_rsa_sha1(b"octets").is_none() && !ecdsa.certificate().is_rsa());
    }

    #[test]
    fn keys_as_eucalyptus_writes_them_are_read() {
        let dir = tempfile::tempdir().expect("a directory");
        let (cert, key) = (dir.path().join("cluster-cert.pem"), dir.path().join("cluster-pk.pem"));
        let made = Identity::generate_rsa("cluster").expect("a key");
        fs::write(&cert, made.cert_pem()).expect("written");
        // What stands in PKCS#8 after the 26 bytes that say "RSA" is PKCS#1.
        fs::write(&key, pem("RSA PRIVATE KEY", &made.pkcs8[26..])).expect("written");
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("chmod");
        let loaded = Identity::load(&cert, &key).expect("loaded");
        assert_eq!(loaded.pkcs8, made.pkcs8);
        fs::write(&key, pem("RSA PRIVATE KEY", &made.pkcs8[27..])).expect("written");
        let error = Identity::load(&cert, &key).expect_err("damaged").to_string();
        assert!(error.contains("not an RSA key"), "{error}");
    }
}
