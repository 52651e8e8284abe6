//! Key pairs: the SSH keys that are put into instances.

use jiff::Timestamp;

use super::filters::{Filtered, Filters, Values};
use super::{Done, ResourceType, Tag};
use crate::error::{Code, Ec2Error};
use crate::front::{Action, Params, Reply, Writer};

/// What a public key in the form of RFC 4716 begins with.
pub const RFC4716_BEGIN: &str = "---- BEGIN SSH2 PUBLIC KEY ----";

/// What is shown of one key pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPair {
    pub key_name: String,
    /// SHA-1 over the private key's PKCS#8 DER of a key made here (20 pairs), MD5 over the public
    /// key's DER of an imported one (16 pairs).
    pub key_fingerprint: String,
    /// `key-` and 17 digits.
    pub key_pair_id: String,
    pub key_type: KeyType,
    pub created: Timestamp,
    pub tags: Vec<Tag>,
}

/// The kind of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyType {
    Rsa,
    Ed25519,
}

impl KeyType {
    /// EC2's name of it.
    pub fn name(self) -> &'static str {
        match self {
            KeyType::Rsa => "rsa",
            KeyType::Ed25519 => "ed25519",
        }
    }
}

impl KeyPair {
    fn write(&self, w: &mut Writer) {
        w.text("keyName", &self.key_name);
        w.text("keyFingerprint", &self.key_fingerprint);
    }

    fn write_later(&self, w: &mut Writer) {
        w.query_only(|w| {
            w.text("keyPairId", &self.key_pair_id);
            w.text("keyType", self.key_type.name());
            Tag::write_set(&self.tags, w);
            w.time("createTime", self.created);
        });
    }
}

impl Filtered for KeyPair {
    const TAGGED: bool = true;

    fn field(name: &str) -> Option<Values<Self>> {
        let values: Values<Self> = match name {
            "key-name" => |key| vec![key.key_name.clone()],
            "fingerprint" => |key| vec![key.key_fingerprint.clone()],
            "key-pair-id" => |key| vec![key.key_pair_id.clone()],
            _ => return None,
        };
        Some(values)
    }

    fn tags(&self) -> &[Tag] {
        &self.tags
    }
}

/// The name of a new key pair: 1 to 255 printable ASCII characters (EC2's rule). It becomes part of
/// `authorized_keys` comments and of file names, so no slash at the beginning and no line break.
fn new_name(params: &Params) -> Result<String, Ec2Error> {
    let name = params.required("KeyName")?;
    let printable = name.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if name.len() <= 255 && printable && name.trim() == name {
        return Ok(name.to_string());
    }
    Err(params.invalid(
        "KeyName",
        name,
        "It must have at most 255 printable ASCII characters and no blank at either end.",
    ))
}

/// Makes a key pair here; its private half is answered once and not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateKeyPair {
    pub key_name: String,
    /// RSA if the client does not say.
    pub key_type: KeyType,
    pub tags: Vec<Tag>,
}

impl Action for CreateKeyPair {
    const NAME: &'static str = "CreateKeyPair";
    type Response = CreateKeyPairResponse;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        let key_type = match params.optional("KeyType") {
            None | Some("rsa") => KeyType::Rsa,
            Some("ed25519") => KeyType::Ed25519,
            Some(other) => return Err(params.invalid("KeyType", other, "It must be rsa or ed25519.")),
        };
        match params.optional("KeyFormat") {
            None | Some("pem") => {}
            Some(other) => return Err(params.invalid("KeyFormat", other, "It must be pem.")),
        }
        Ok(Self { key_name: new_name(params)?, key_type, tags: Tag::specified(params, ResourceType::KeyPair)? })
    }
}

/// The new key pair with its private half.
#[derive(Clone, PartialEq, Eq)]
pub struct CreateKeyPairResponse {
    pub key_pair: KeyPair,
    /// PEM with `\n` line ends.
    pub key_material: String,
}

/// Without the private key: what is debugged is logged.
impl std::fmt::Debug for CreateKeyPairResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CreateKeyPairResponse").field("key_pair", &self.key_pair).finish_non_exhaustive()
    }
}

impl Reply for CreateKeyPairResponse {
    fn write(&self, w: &mut Writer) {
        self.key_pair.write(w);
        w.text("keyMaterial", &self.key_material);
        self.key_pair.write_later(w);
    }
}

/// Makes a key pair known whose private half stays with the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportKeyPair {
    pub key_name: String,
    /// One line in OpenSSH's form, `ssh-rsa AAAA... comment`, or a text in that of RFC 4716; whether
    /// it is a good key is for the action to check.
    pub public_key: String,
    pub tags: Vec<Tag>,
}

/// Longer than an RSA key of 16384 bits in OpenSSH's form.
const MAX_PUBLIC_KEY: usize = 16 * 1024;

impl Action for ImportKeyPair {
    const NAME: &'static str = "ImportKeyPair";
    type Response = ImportKeyPairResponse;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        let material = params.required("PublicKeyMaterial")?;
        Ok(Self {
            key_name: new_name(params)?,
            public_key: public_key(material)?,
            tags: Tag::specified(params, ResourceType::KeyPair)?,
        })
    }
}

/// Base64 of the key (as EC2 has it); the bare key is let pass, which some clients send.
fn public_key(material: &str) -> Result<String, Ec2Error> {
    use base64::Engine as _;
    let refused = || {
        let text = "Key is not in valid OpenSSH public key format: PublicKeyMaterial must be the base64 of a line such as 'ssh-rsa AAAA...', or of a key in the form of RFC 4716";
        Ec2Error::new(Code::InvalidKeyFormat, text)
    };
    if material.len() > MAX_PUBLIC_KEY {
        return Err(refused());
    }
    let bare = ["ssh-", "ecdsa-", RFC4716_BEGIN];
    let key = if bare.iter().any(|begin| material.trim_start().starts_with(begin)) {
        material.to_string()
    } else {
        let compact: String = material.chars().filter(|c| !c.is_whitespace()).collect();
        let bytes = base64::engine::general_purpose::STANDARD.decode(compact).map_err(|_| refused())?;
        String::from_utf8(bytes).map_err(|_| refused())?
    };
    let key = key.trim();
    let is_line = !key.is_empty() && !key.chars().any(char::is_control);
    if is_line || key.starts_with(RFC4716_BEGIN) { Ok(key.to_string()) } else { Err(refused()) }
}

/// The imported key pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportKeyPairResponse {
    pub key_pair: KeyPair,
}

impl Reply for ImportKeyPairResponse {
    fn write(&self, w: &mut Writer) {
        self.key_pair.write(w);
        self.key_pair.write_later(w);
    }
}

/// Which key pairs the caller has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DescribeKeyPairs {
    /// Only these, each of which must exist; all if both are empty.
    pub key_names: Vec<String>,
    pub key_pair_ids: Vec<String>,
    pub filters: Filters,
}

impl Action for DescribeKeyPairs {
    const NAME: &'static str = "DescribeKeyPairs";
    type Response = DescribeKeyPairsResponse;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Ok(Self {
            key_names: params.list("KeyName"),
            key_pair_ids: params.list("KeyPairId"),
            filters: Filters::parse::<KeyPair>(params)?,
        })
    }
}

impl DescribeKeyPairs {
    /// The answer out of all key pairs of the caller.
    ///
    /// # Errors
    /// `InvalidKeyPair.NotFound` if one that was named is not there.
    pub fn answer(&self, mut all: Vec<KeyPair>) -> Result<DescribeKeyPairsResponse, Ec2Error> {
        for name in &self.key_names {
            if !all.iter().any(|key| key.key_name == *name) {
                return Err(Ec2Error::no_key_pair(name));
            }
        }
        for id in &self.key_pair_ids {
            if !all.iter().any(|key| key.key_pair_id == *id) {
                return Err(Ec2Error::no_key_pair(id));
            }
        }
        let everything = self.key_names.is_empty() && self.key_pair_ids.is_empty();
        all.retain(|key| {
            let named = self.key_names.contains(&key.key_name) || self.key_pair_ids.contains(&key.key_pair_id);
            (everything || named) && self.filters.pass(key)
        });
        Ok(DescribeKeyPairsResponse { key_pairs: all })
    }
}

/// The key pairs that were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeKeyPairsResponse {
    pub key_pairs: Vec<KeyPair>,
}

impl Reply for DescribeKeyPairsResponse {
    fn write(&self, w: &mut Writer) {
        w.set("keySet", &self.key_pairs, |w, key| {
            key.write(w);
            key.write_later(w);
        });
    }
}

/// Forgets a key pair. One that is not there is no error (EC2's rule).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteKeyPair {
    pub key: KeyRef,
}

/// How a client names a key pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyRef {
    Name(String),
    Id(String),
}

impl Action for DeleteKeyPair {
    const NAME: &'static str = "DeleteKeyPair";
    type Response = Done;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        match (params.text("KeyName"), params.text("KeyPairId")) {
            (Some(name), None) => Ok(Self { key: KeyRef::Name(name) }),
            (None, Some(id)) => Ok(Self { key: KeyRef::Id(id) }),
            (None, None) => Err(Ec2Error::missing("KeyName")),
            (Some(_), Some(_)) => {
                let text = "The parameters KeyName and KeyPairId cannot be used together";
                Err(Ec2Error::new(Code::InvalidParameterCombination, text))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_key_comes_in_base64_or_bare() {
        let line = "ssh-rsa AAAAB3NzaC1yc2E= me@home";
        assert_eq!(public_key(line).unwrap(), line);
        assert_eq!(public_key("c3NoLXJzYSBBQUFB\nQjNOemFDMXljMkU9IG1lQGhvbWU=").unwrap(), line);
        for bad in ["%%%", "AAEC", "c3NoLXJzYSBBQUFBCnNzaC1yc2EgQkJCQg=="] {
            assert_eq!(public_key(bad).unwrap_err().code, Code::InvalidKeyFormat, "{bad}");
        }
    }

    #[test]
    fn names_are_checked() {
        let name = |name: &str| new_name(&Params::try_from(&[("KeyName", name)][..]).unwrap());
        assert!(name("my key").is_ok());
        assert!(name("a\nb").is_err() && name(" a").is_err() && name("é").is_err());
        assert_eq!(name("").unwrap_err().code, Code::MissingParameter);
    }

    #[test]
    fn the_private_key_is_not_debugged() {
        let key_pair = KeyPair {
            key_name: "k".into(),
            key_fingerprint: "00".into(),
            key_pair_id: "key-1".into(),
            key_type: KeyType::Rsa,
            created: Timestamp::UNIX_EPOCH,
            tags: Vec::new(),
        };
        let response = CreateKeyPairResponse { key_pair, key_material: "PRIVATE".into() };
        assert!(!format!("{response:?}").contains("PRIVATE"));
    }
}
