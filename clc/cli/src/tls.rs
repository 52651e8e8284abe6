//! Whom `euca` believes to be the cloud when it speaks TLS: those in the file that AWS_CA_BUNDLE
//! names, else those whom the machine trusts.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use hyper_rustls::ConfigBuilderExt;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};

/// The TLS of a client.
///
/// # Errors
/// Which file cannot be used.
pub fn config(authority: Option<&Path>) -> Result<ClientConfig> {
    let trusting = match authority {
        Some(path) => builder()?.with_root_certificates(roots(path)?),
        None => builder()?.with_native_roots().context("the machine's trusted certificates cannot be read")?,
    };
    Ok(trusting.with_no_client_auth())
}

/// The TLS of a client that believes nobody.
///
/// # Errors
/// None that are known.
pub fn nobody() -> Result<ClientConfig> {
    Ok(builder()?.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>> {
    let provider = Arc::new(default_provider());
    ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().context("TLS")
}

fn roots(path: &Path) -> Result<RootCertStore> {
    let read = || format!("{}, named by AWS_CA_BUNDLE, cannot be read", path.display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).with_context(read)? {
        roots.add(certificate.with_context(read)?).with_context(read)?;
    }
    ensure!(!roots.is_empty(), "{}, named by AWS_CA_BUNDLE, has no certificate", path.display());
    Ok(roots)
}
