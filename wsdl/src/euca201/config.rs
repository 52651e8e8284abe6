//! The keys of a controller's configuration that concern peers of Eucalyptus 2.0.1, alike in all
//! tiers: who we are to them (`old_identity`) and which of them may call (`[[old_callers]]`).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use super::gatherlog;
use crate::http::Handler;
use crate::wsse::{Certificate, Identity, KeyError, Security};

/// `old_identity = { certificate = "keys/node-cert.pem", key = "keys/node-pk.pem" }`: a pair that
/// Eucalyptus made, for its peers know that one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OldIdentity {
    certificate: PathBuf,
    key: PathBuf,
}

/// `[[old_callers]]`: one caller of Eucalyptus 2.0.1.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OldCaller {
    certificate: PathBuf,
}

/// Both, with the paths resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OldPeers {
    identity: Option<OldIdentity>,
    callers: Vec<OldCaller>,
}

impl OldPeers {
    /// The two keys of a configuration file in the directory `base`.
    ///
    /// # Errors
    /// A sentence for the administrator when there are callers and no identity to answer them with.
    pub fn new(identity: Option<OldIdentity>, callers: Vec<OldCaller>, base: &Path) -> Result<Self, String> {
        if identity.is_none() && !callers.is_empty() {
            return Err("old_callers needs old_identity = { certificate = ..., key = ... } to answer them".to_string());
        }
        let at = |path: PathBuf| base.join(path);
        Ok(Self {
            identity: identity.map(|pair| OldIdentity { certificate: at(pair.certificate), key: at(pair.key) }),
            callers: callers.into_iter().map(|caller| OldCaller { certificate: at(caller.certificate) }).collect(),
        })
    }

    /// Who we are to old peers, where that is configured.
    ///
    /// # Errors
    /// [`KeyError`] names the file.
    pub fn identity(&self) -> Result<Option<Arc<Identity>>, KeyError> {
        let Some(pair) = &self.identity else { return Ok(None) };
        let identity = Identity::load(&pair.certificate, &pair.key)?;
        if !identity.certificate().is_rsa() {
            let what = pair.certificate.display().to_string();
            return Err(KeyError::Content { what, problem: "old_identity needs an RSA key".to_string() });
        }
        Ok(Some(Arc::new(identity)))
    }

    /// Answers `GetKeys` beside the cluster's own service, if an old cloud may call and the file with
    /// the certificate of its nodes is given: it asks for both certificates first.
    ///
    /// # Errors
    /// [`KeyError`] for a file that is no certificate.
    pub fn show_keys(&self, handler: Handler, nodes: Option<&Path>) -> Result<Handler, KeyError> {
        match (&self.identity, nodes) {
            (Some(own), Some(nodes)) if !self.callers.is_empty() => gatherlog::beside(handler, &own.certificate, nodes),
            (None | Some(_), _) => Ok(handler),
        }
    }

    /// Lets the old callers in, beside those that `security` trusts.
    ///
    /// # Errors
    /// [`KeyError`] for a file that cannot be used, and for a caller that is trusted already.
    pub fn let_into(&self, security: Security) -> Result<Security, KeyError> {
        if self.callers.is_empty() {
            return Ok(security);
        }
        let Some(identity) = self.identity()? else { return Ok(security) };
        let certificates: Result<Vec<_>, _> =
            self.callers.iter().map(|caller| Certificate::load(&caller.certificate)).collect();
        let certificates = certificates?;
        for certificate in &certificates {
            let fingerprint = certificate.fingerprint();
            tracing::warn!(event = "keys.old_caller", fingerprint, "accepted by the weak profile euca-2.0.1");
        }
        security.with_old_callers(identity, certificates)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::wsse::Profile;

    #[derive(Deserialize)]
    struct File {
        old_identity: Option<OldIdentity>,
        #[serde(default)]
        old_callers: Vec<OldCaller>,
    }

    fn peers(text: &str, base: &Path) -> Result<OldPeers, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        OldPeers::new(file.old_identity, file.old_callers, base)
    }

    fn security() -> Security {
        Security::new(Arc::new(Identity::generate("n1").expect("a key")), Profile::Strict, Clock::system())
    }

    #[test]
    fn old_callers_are_let_in_with_an_identity_to_answer_them() {
        let dir = tempfile::tempdir().expect("a directory");
        let node = Identity::generate_rsa("node").expect("a key");
        std::fs::write(dir.path().join("node-cert.pem"), node.cert_pem()).expect("written");
        node.write_key(&dir.path().join("node-pk.pem")).expect("written");
        let identity = "old_identity = { certificate = \"node-cert.pem\", key = \"node-pk.pem\" }\n";
        let caller = "[[old_callers]]\ncertificate = \"node-cert.pem\"\n";

        let none = peers("", dir.path()).expect("nothing configured");
        assert!(!none.let_into(security()).expect("no keys needed").has_old_peers());
        let only_calls = peers(identity, dir.path()).expect("an identity");
        assert!(only_calls.identity().expect("its files").is_some());
        assert!(!only_calls.let_into(security()).expect("its files").has_old_peers());
        let both = peers(&format!("{identity}{caller}"), dir.path()).expect("both");
        assert!(both.let_into(security()).expect("their files").has_old_peers());
        assert!(peers(caller, dir.path()).expect_err("no identity").contains("old_identity"));
        assert!(peers("[[old_callers]]\ncert = \"x\"\n", dir.path()).is_err());
        let missing = peers(&identity.replace("node-pk", "other"), dir.path()).expect("a configuration");
        assert!(missing.identity().expect_err("no such file").to_string().contains("other.pem"));
    }
}
