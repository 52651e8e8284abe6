//! What users sign with and log in with: access keys, signing certificates, key pairs, and the
//! `eucarc` that tells a shell about them. It makes and reads them; the records keep the public
//! halves (and access keys' secrets, sealed).

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ironbark_wsdl::wsse::{Identity, KeyError};
use md5::Digest as _;
use rcgen::{KeyPair, PKCS_ED25519, PKCS_RSA_SHA256, RsaKeySize};
use ssh_key::private::{Ed25519Keypair, Ed25519PrivateKey, KeypairData};
use ssh_key::public::{Ed25519PublicKey, KeyData, RsaPublicKey};
use ssh_key::{LineEnding, PrivateKey, PublicKey};
use thiserror::Error;

use crate::ec2::keys::{KeyType, RFC4716_BEGIN};
use crate::store::AccessKey;

/// Why a credential cannot be made or read.
#[derive(Debug, Error)]
pub enum CredentialError {
    /// The system gives no random numbers.
    #[error("no random numbers")]
    Random,
    /// A key cannot be made.
    #[error("cannot make the key")]
    Generate(#[from] rcgen::Error),
    /// A key or certificate cannot be made.
    #[error("cannot make the certificate")]
    Certificate(#[from] KeyError),
    /// A new key cannot be written in OpenSSH's form.
    #[error("cannot write the key in OpenSSH's form")]
    Form(#[from] ssh_key::Error),
    /// What a user gave is no public key that instances could use.
    #[error("{0}")]
    NotAKey(String),
}

/// A new key pair, with its private half.
pub struct NewKeyPair {
    /// The private key with `\n` line ends, in the form that EC2 gives it and every SSH client reads:
    /// PKCS#1 of RSA, OpenSSH's own of Ed25519.
    pub private_pem: String,
    /// The OpenSSH line.
    pub public_key: String,
    /// SHA-1 over the private key's PKCS#8 DER, 20 pairs: EC2's fingerprint of keys it makes.
    pub fingerprint: String,
}

/// A public key that a user gave.
#[derive(Debug)]
pub struct ImportedKey {
    /// What kind of key.
    pub key_type: KeyType,
    /// The OpenSSH line, in its canonical form.
    pub public_key: String,
    /// MD5 over the SubjectPublicKeyInfo DER, 16 pairs: EC2's fingerprint of imported keys.
    pub fingerprint: String,
}

/// Makes a key pair for logging in; `comment` ends its public line. RSA has 2048 bits and takes
/// about a tenth of a second: call it off the runtime's threads.
///
/// # Errors
/// [`CredentialError`] if the system cannot make one.
pub fn new_key_pair(key_type: KeyType, comment: &str) -> Result<NewKeyPair, CredentialError> {
    let key = match key_type {
        KeyType::Rsa => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)?,
        KeyType::Ed25519 => KeyPair::generate_for(&PKCS_ED25519)?,
    };
    let data = match key_type {
        KeyType::Rsa => rsa_public(key.public_key_raw())?,
        KeyType::Ed25519 => KeyData::Ed25519(Ed25519PublicKey::try_from(key.public_key_raw())?),
    };
    Ok(NewKeyPair {
        private_pem: private_pem(key_type, key.serialized_der(), comment)?,
        public_key: PublicKey::new(data, comment).to_openssh()?,
        fingerprint: pairs(digest(&SHA1_FOR_LEGACY_USE_ONLY, key.serialized_der()).as_ref()),
    })
}

/// The private key that a PKCS#8 text holds, as SSH clients want it: Debian 12's OpenSSH reads no
/// Ed25519 key out of PKCS#8, and paramiko no key at all.
fn private_pem(key_type: KeyType, pkcs8: &[u8], comment: &str) -> Result<String, CredentialError> {
    let inner =
        pkcs8_content(pkcs8).ok_or_else(|| CredentialError::NotAKey("the new key is not PKCS#8".to_string()))?;
    match key_type {
        KeyType::Rsa => {
            let form = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
            Ok(pem::encode_config(&pem::Pem::new("RSA PRIVATE KEY", inner), form))
        }
        KeyType::Ed25519 => {
            // RFC 8410, section 7: an octet string within the octet string.
            let seed = der_read(inner).map_or(inner, |(_, seed, _)| seed);
            let pair = Ed25519Keypair::from(Ed25519PrivateKey::try_from(seed)?);
            Ok(PrivateKey::new(KeypairData::Ed25519(pair), comment)?.to_openssh(LineEnding::LF)?.to_string())
        }
    }
}

/// Reads a public key in OpenSSH's form or that of RFC 4716: RSA of 1024 to 16384 bits, or Ed25519.
///
/// # Errors
/// [`CredentialError::NotAKey`] with a sentence for the user.
pub fn import_key(text: &str) -> Result<ImportedKey, CredentialError> {
    let refused = |problem: String| CredentialError::NotAKey(problem);
    let key = if text.starts_with(RFC4716_BEGIN) {
        rfc4716(text).ok_or_else(|| refused("The key is not in the form of RFC 4716".to_string()))?
    } else {
        PublicKey::from_openssh(text).map_err(|error| refused(format!("The key is not in OpenSSH's form: {error}")))?
    };
    let (key_type, der) = match key.key_data() {
        KeyData::Rsa(rsa) => (KeyType::Rsa, rsa_spki(rsa)?),
        KeyData::Ed25519(ed25519) => (KeyType::Ed25519, ed25519_spki(&ed25519.0)),
        other => {
            return Err(refused(format!(
                "Keys of type {} are not supported; use ssh-rsa or ssh-ed25519",
                other.algorithm()
            )));
        }
    };
    Ok(ImportedKey { key_type, public_key: key.to_openssh()?, fingerprint: pairs(&md5::Md5::digest(der)) })
}

/// What a public key in the form of RFC 4716 ends with.
const RFC4716_END: &str = "---- END SSH2 PUBLIC KEY ----";

/// The key in that form (RFC 4716, section 3): headers, which a backslash at the end of a line
/// continues on the next, then base64.
fn rfc4716(text: &str) -> Option<PublicKey> {
    let (body, _) = text.strip_prefix(RFC4716_BEGIN)?.split_once(RFC4716_END)?;
    let mut encoded = String::new();
    let mut continued = false;
    for line in body.lines().map(str::trim) {
        if !continued && !line.contains(':') {
            encoded.push_str(line);
        }
        continued = line.ends_with('\\');
    }
    PublicKey::from_bytes(&STANDARD.decode(encoded).ok()?).ok()
}

/// A new access key for the user of that id: an id of 20 characters, a secret of 40.
///
/// # Errors
/// [`CredentialError::Random`].
pub fn new_access_key(user: &str, now: i64) -> Result<AccessKey, CredentialError> {
    // The alphabets of Amazon's own keys, less what a shell or a URL would have to quote. A byte
    // modulo 62 favours some letters a little: 40 of them still hold more than 230 bits.
    const ID: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    const SECRET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut random = [0_u8; 56];
    rand::fill(&mut random).map_err(|_| CredentialError::Random)?;
    let (id, secret) = random.split_at(16);
    let text = |bytes: &[u8], alphabet: &[u8]| -> String {
        bytes.iter().map(|byte| char::from(alphabet[usize::from(*byte) % alphabet.len()])).collect()
    };
    Ok(AccessKey {
        id: format!("AKIB{}", text(id, ID)),
        user: user.to_string(),
        secret: text(secret, SECRET),
        active: true,
        created: now,
    })
}

/// A new certificate with its RSA key for a user to sign SOAP requests with.
///
/// # Errors
/// [`CredentialError::Certificate`].
pub fn new_signing_certificate(user: &str) -> Result<Identity, CredentialError> {
    Ok(Identity::generate_rsa(user)?)
}

/// The `eucarc` of a user of that account: a shell script that exports where the cloud is and what to sign with,
/// under the names of euca2ools, of ec2-api-tools and of the AWS tools. `dir` is where `cert.pem` and
/// `key.pem` lie: a whole path, for no way to ask where a sourced file lies works in every shell.
/// `authority` is the file there that says whom to believe to be the cloud.
pub fn eucarc(url: &str, region: &str, account: &str, key: &AccessKey, dir: &str, authority: Option<&str>) -> String {
    let (cert, private_key) = (format!("{dir}/cert.pem"), format!("{dir}/key.pem"));
    let lines = [
        ("EC2_URL", url),
        ("EC2_ACCESS_KEY", &key.id),
        ("EC2_SECRET_KEY", &key.secret),
        ("EC2_USER_ID", account),
        ("AWS_ACCESS_KEY_ID", &key.id),
        ("AWS_SECRET_ACCESS_KEY", &key.secret),
        ("AWS_ENDPOINT_URL_EC2", url),
        ("AWS_ENDPOINT_URL_STS", url),
        ("AWS_DEFAULT_REGION", region),
        ("EC2_CERT", &cert),
        ("EC2_PRIVATE_KEY", &private_key),
    ];
    let mut text = format!("# Credentials of account {account}: source this file. It holds a secret; keep it yours.\n");
    // The name that the AWS tools go by, and we.
    let authority = authority.map(|file| format!("{dir}/{file}"));
    let trusted = authority.iter().map(|path| ("AWS_CA_BUNDLE", path.as_str()));
    for (name, value) in lines.into_iter().chain(trusted) {
        text.push_str(&format!("export {name}={}\n", quoted(value)));
    }
    text
}

/// The access key id that an `eucarc` of ours names.
pub fn access_key_id_in(eucarc: &str) -> Option<String> {
    let value = eucarc.lines().find_map(|line| line.strip_prefix("export EC2_ACCESS_KEY="))?;
    Some(value.trim_matches('\'').to_string())
}

/// A value for a shell, in single quotes.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

/// Bytes as `a1:b2:...`.
fn pairs(bytes: &[u8]) -> String {
    let pairs: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    pairs.join(":")
}

/// The OpenSSH form of an RSA key given as PKCS#1 DER (RFC 8017, A.1.1): a sequence of modulus and
/// exponent.
fn rsa_public(pkcs1: &[u8]) -> Result<KeyData, CredentialError> {
    let not_der = || CredentialError::NotAKey("the new key is not PKCS#1".to_string());
    let (tag, body, _) = der_read(pkcs1).ok_or_else(not_der)?;
    let (_, modulus, rest) = der_read(body).filter(|_| tag == SEQUENCE).ok_or_else(not_der)?;
    let (_, exponent, _) = der_read(rest).ok_or_else(not_der)?;
    let integer = |bytes: &[u8]| ssh_key::Mpint::from_bytes(bytes);
    Ok(KeyData::Rsa(RsaPublicKey { e: integer(exponent)?, n: integer(modulus)? }))
}

/// The private key within PKCS#8 (RFC 5208, section 5): a sequence of version, algorithm and an octet
/// string, whose content this is.
fn pkcs8_content(pkcs8: &[u8]) -> Option<&[u8]> {
    let (_, body, _) = der_read(pkcs8)?;
    let (_, _version, rest) = der_read(body)?;
    let (_, _algorithm, rest) = der_read(rest)?;
    der_read(rest).map(|(_, content, _)| content)
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
/// `rsaEncryption` with its NULL parameters (RFC 3279, 2.3.1).
const RSA_ALGORITHM: &[u8] =
    &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
/// `id-Ed25519` (RFC 8410, section 3).
const ED25519_ALGORITHM: &[u8] = &[0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70];

fn rsa_spki(key: &RsaPublicKey) -> Result<Vec<u8>, CredentialError> {
    let bits = key.n.as_positive_bytes().map_or(0, |bytes| bytes.len() * 8);
    if !(1024..=16384).contains(&bits) {
        return Err(CredentialError::NotAKey(format!("An RSA key must have 1024 to 16384 bits; this one has {bits}")));
    }
    let integers = [der_write(INTEGER, key.n.as_bytes()), der_write(INTEGER, key.e.as_bytes())].concat();
    let bits = [&[0][..], &der_write(SEQUENCE, &integers)].concat();
    Ok(der_write(SEQUENCE, &[RSA_ALGORITHM, &der_write(BIT_STRING, &bits)].concat()))
}

fn ed25519_spki(key: &[u8]) -> Vec<u8> {
    let bits = [&[0][..], key].concat();
    der_write(SEQUENCE, &[ED25519_ALGORITHM, &der_write(BIT_STRING, &bits)].concat())
}

/// The first element of a DER text: its tag, its content, and what follows.
fn der_read(text: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = text.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        _ => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().try_fold(0_usize, |sum, byte| sum.checked_mul(256)?.checked_add(usize::from(*byte)))?, rest)
        }
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// An element of a DER text.
fn der_write(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut text = vec![tag];
    if let Ok(short @ 0..=0x7f) = u8::try_from(length) {
        text.push(short);
    } else {
        let bytes: Vec<u8> = length.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
        text.push(0x80 | u8::try_from(bytes.len()).expect("a length has at most eight bytes"));
        text.extend(bytes);
    }
    text.extend_from_slice(content);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    // Made with ssh-keygen; the fingerprints are the MD5 of the SubjectPublicKeyInfo as OpenSSL
    // writes it (RSA) and as RFC 8410 has it (Ed25519).
    const RSA: &str = include_str!("../tests/data/rsa.pub");
    const RSA_MD5: &str = include_str!("../tests/data/rsa.md5");
    const ED25519: &str = include_str!("../tests/data/ed25519.pub");
    const ED25519_MD5: &str = include_str!("../tests/data/ed25519.md5");

    #[test]
    fn imported_keys_have_ec2s_fingerprint() {
        assert_eq!(import_key(RSA.trim()).unwrap().fingerprint, RSA_MD5.trim());
        assert_eq!(import_key(ED25519.trim()).unwrap().fingerprint, ED25519_MD5.trim());
        assert!(matches!(import_key("ssh-rsa AAAA me"), Err(CredentialError::NotAKey(_))));
    }

    #[test]
    fn a_key_may_come_in_the_form_of_rfc_4716() {
        let line = ED25519.trim();
        let encoded = line.split(' ').nth(1).unwrap();
        let (first, second) = encoded.split_at(30);
        let text = |inner: &str| format!("{RFC4716_BEGIN}\n{inner}\n{RFC4716_END}");
        let headers = "Comment: \"me: on two \\\r\nlines\"\r\nx-other: y";
        let key = import_key(&text(&format!("{headers}\r\n{first}\r\n{second}"))).unwrap();
        assert_eq!(key.fingerprint, ED25519_MD5.trim());
        assert_eq!(key.public_key, format!("ssh-ed25519 {encoded}"));
        assert!(import_key(&text(first)).is_err(), "half a key");
        assert!(import_key(&format!("{RFC4716_BEGIN}\n{encoded}")).is_err(), "no end");
    }

    #[test]
    fn new_keys_can_be_imported() {
        let kinds = [
            (KeyType::Rsa, "ssh-rsa ", "-----BEGIN RSA PRIVATE KEY-----\n"),
            (KeyType::Ed25519, "ssh-ed25519 ", "-----BEGIN OPENSSH PRIVATE KEY-----\n"),
        ];
        for (key_type, name, begin) in kinds {
            let key = new_key_pair(key_type, "me").unwrap();
            assert!(key.public_key.starts_with(name) && key.public_key.ends_with(" me"), "{}", key.public_key);
            assert_eq!(key.fingerprint.len(), 59);
            assert!(key.private_pem.starts_with(begin) && !key.private_pem.contains('\r'));
            assert_eq!(import_key(&key.public_key).unwrap().key_type, key_type);
        }
    }

    #[test]
    fn access_keys_need_no_quoting_and_eucarc_goes_round() {
        let key = new_access_key("AIDA", 0).unwrap();
        assert_eq!((key.id.len(), key.secret.len()), (20, 40));
        assert!(key.id.chars().chain(key.secret.chars()).all(|c| c.is_ascii_alphanumeric()));
        let text =
            eucarc("http://h:8773/services/Eucalyptus", "ironbark", "111122223333", &key, "/home/me", Some("ca.pem"));
        assert_eq!(access_key_id_in(&text).as_deref(), Some(key.id.as_str()));
        assert!(text.contains("export AWS_CA_BUNDLE='/home/me/ca.pem'\n"), "{text}");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
