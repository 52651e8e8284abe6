//! Commands about key pairs.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;

use super::{Call, Deed, filters, numbered, tags};
use crate::connection::Cloud;
use crate::output::{Form, columns, print};
use crate::tree::Element;

#[derive(Args)]
pub struct Create {
    /// Name of the key pair.
    name: String,
    /// Write the private key to this new file, readable to you alone, instead of showing it.
    #[arg(short, long, value_name = "FILE")]
    filename: Option<PathBuf>,
}

impl Create {
    pub async fn run(self, cloud: &Cloud, form: Form) -> Result<()> {
        // The file is made first: a key that cannot be kept must not be made.
        let file = match &self.filename {
            Some(path) => Some(
                OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(path)
                    .with_context(|| format!("{} cannot be made", path.display()))?,
            ),
            None => None,
        };
        let asked = cloud.ask("CreateKeyPair", vec![("KeyName".to_string(), self.name)]).await;
        if let (Err(_), Some(path)) = (&asked, &self.filename) {
            std::fs::remove_file(path).with_context(|| format!("{} cannot be removed", path.display()))?;
        }
        let mut answer = asked?;
        if let Some(mut file) = file {
            writeln!(file, "{}", answer.at("keyMaterial").trim_end()).context("the private key cannot be written")?;
            file.sync_all().context("the private key cannot be written")?;
            answer.children.retain(|child| child.name != "keyMaterial");
        }
        print(form, &answer, |answer| {
            let mut lines = vec![columns(["KEYPAIR", answer.at("keyName"), answer.at("keyFingerprint")])];
            lines.extend(answer.child("keyMaterial").map(|material| material.text.trim_end().to_string()));
            lines
        });
        Ok(())
    }
}

#[derive(Args)]
pub struct Import {
    /// Name of the key pair.
    name: String,
    /// File with the public key, as ssh-keygen writes it (`id_ed25519.pub`).
    #[arg(short = 'f', long, value_name = "FILE")]
    public_key_file: PathBuf,
}

impl Import {
    pub fn call(self) -> Result<Call> {
        let path = &self.public_key_file;
        let material = std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
        let parameters =
            vec![("KeyName".to_string(), self.name), ("PublicKeyMaterial".to_string(), STANDARD.encode(material))];
        Ok(Call { action: "ImportKeyPair", parameters, text: |answer| vec![keypair(answer)] })
    }
}

#[derive(Args)]
pub struct Describe {
    /// Only these key pairs.
    names: Vec<String>,
    /// Only what fits; several of one name are alternatives.
    #[arg(long = "filter", value_name = "NAME=VALUE")]
    filters: Vec<String>,
}

impl Describe {
    pub fn call(self) -> Result<Call> {
        let mut parameters = numbered("KeyName", self.names);
        parameters.extend(filters(&self.filters)?);
        Ok(Call {
            action: "DescribeKeyPairs",
            parameters,
            text: |answer| answer.items("keySet").flat_map(described).collect(),
        })
    }
}

#[derive(Args)]
pub struct Delete {
    /// Name of the key pair.
    name: String,
}

impl Delete {
    pub fn deed(self) -> Deed {
        let lines = vec![columns(["KEYPAIR", &self.name])];
        Deed { action: "DeleteKeyPair", parameters: vec![("KeyName".to_string(), self.name)], lines }
    }
}

/// A KEYPAIR line and its TAG lines.
fn described(key: &Element) -> Vec<String> {
    let mut lines = vec![keypair(key)];
    lines.extend(tags::lines("key-pair", key.at("keyPairId"), key));
    lines
}

fn keypair(answer: &Element) -> String {
    columns(["KEYPAIR", answer.at("keyName"), answer.at("keyFingerprint")])
}
