//! Commands about what an instance left for its owner alone: password data, sealed with the public
//! half of the key pair that it was started with, and opened here with the private half.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, Pkcs1PrivateDecryptingKey, PrivateDecryptingKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;

use super::Call;
use super::instances::escaped;
use crate::connection::Cloud;
use crate::output::{Form, print};
use crate::tree::Element;

#[derive(Args)]
pub struct Sealed {
    /// The instance, `i-...`.
    instance: String,
}

impl Sealed {
    pub fn call(self) -> Call {
        let text = |answer: &Element| vec![answer.at("passwordData").trim().to_string()];
        Call { action: "GetPasswordData", parameters: vec![("InstanceId".to_string(), self.instance)], text }
    }
}

#[derive(Args)]
pub struct Opened {
    /// The instance, `i-...`.
    instance: String,
    /// File with the private key of the key pair that the instance was started with; it never leaves this machine.
    #[arg(short = 'k', long = "priv-launch-key", value_name = "FILE")]
    key: PathBuf,
}

impl Opened {
    pub async fn run(self, cloud: &Cloud, form: Form) -> Result<()> {
        // The key first: without it there is no use in asking.
        let key = private_key(&self.key)?;
        let answer = cloud.ask("GetPasswordData", vec![("InstanceId".to_string(), self.instance.clone())]).await?;
        let sealed: String = answer.at("passwordData").split_whitespace().collect();
        if sealed.is_empty() {
            bail!("{} has left no password data yet", self.instance);
        }
        let sealed = STANDARD.decode(sealed).context("the password data is not base64")?;
        let password = open(&key, &sealed)?;
        print(form, &answer, |_| vec![escaped(&String::from_utf8_lossy(&password))]);
        Ok(())
    }
}

/// Reads an RSA key, in PKCS#1 (as the cloud gives it) or PKCS#8.
fn private_key(path: &Path) -> Result<Pkcs1PrivateDecryptingKey> {
    let named = || format!("{} holds no RSA key in PEM", path.display());
    let text = std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let pkcs8 = match PrivateKeyDer::from_pem_slice(&text).with_context(named)? {
        PrivateKeyDer::Pkcs8(key) => key.secret_pkcs8_der().to_vec(),
        PrivateKeyDer::Pkcs1(key) => {
            let key = KeyPair::from_der(key.secret_pkcs1_der()).map_err(|_| anyhow!(named()))?;
            let pkcs8: Pkcs8V1Der<'_> = key.as_der().map_err(|_| anyhow!(named()))?;
            pkcs8.as_ref().to_vec()
        }
        _ => bail!(named()),
    };
    let key = PrivateDecryptingKey::from_pkcs8(&pkcs8).map_err(|_| anyhow!(named()))?;
    Pkcs1PrivateDecryptingKey::new(key).map_err(|_| anyhow!(named()))
}

/// What was sealed for the key's owner, by PKCS#1 1.5 as EC2 has it.
fn open(key: &Pkcs1PrivateDecryptingKey, sealed: &[u8]) -> Result<Vec<u8>> {
    let mut room = vec![0; key.min_output_size()];
    let opened = key.decrypt(sealed, &mut room);
    let opened = opened.map_err(|_| anyhow!("the password data was not sealed for this key; is it the instance's?"))?;
    Ok(opened.to_vec())
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rsa::{KeySize, Pkcs1PublicEncryptingKey};

    use super::*;

    /// A key as the cloud gives it, and what was sealed for it.
    fn sealed(text: &[u8]) -> (tempfile::NamedTempFile, Vec<u8>) {
        let key = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
        let public = Pkcs1PublicEncryptingKey::new(key.public_key()).unwrap();
        let mut room = vec![0; public.ciphertext_size()];
        let sealed = public.encrypt(text, &mut room).unwrap().to_vec();
        let der: Pkcs8V1Der<'_> = key.as_der().unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        let body = STANDARD.encode(der.as_ref());
        std::fs::write(file.path(), format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n"))
            .unwrap();
        (file, sealed)
    }

    #[test]
    fn the_owner_of_the_key_opens_what_was_sealed_for_it() {
        let (file, sealed_text) = sealed(b"hunter2");
        let key = private_key(file.path()).unwrap();
        assert_eq!(open(&key, &sealed_text).unwrap(), b"hunter2");
        let (other, _) = sealed(b"x");
        // PKCS#1 1.5 may open what was not meant for it, by chance, and to rubbish: never to the text.
        let opened = open(&private_key(other.path()).unwrap(), &sealed_text);
        assert!(opened.map_or(true, |text| text != b"hunter2"));
        assert!(open(&key, b"short").is_err());
    }

    #[test]
    fn a_file_without_a_key_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "no key").unwrap();
        let error = format!("{:#}", private_key(file.path()).err().unwrap());
        assert!(error.contains(&file.path().display().to_string()), "{error}");
    }
}
