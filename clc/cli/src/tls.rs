//! Whom `euca` believes to be the cloud when it speaks TLS: those in the file that AWS_CA_BUNDLE
//! names, else those whom the machine trusts. To administrators it tells that the cloud's certificate
//! ends soon.

use std::path::Path;
use std::sync::{Arc, Once};

use anyhow::{Context, Result, ensure};
use hyper_rustls::ConfigBuilderExt;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ConfigBuilder, DigitallySignedStruct, RootCertStore, SignatureScheme, WantsVerifier};

/// From how many days before its end on a certificate is talked about.
const SOON_DAYS: i64 = 30;

/// The TLS of a client. With `telling`, the end of a certificate by an authority of one's own is told
/// from 30 days before it on; those that the machine trusts anyway have other keepers.
///
/// # Errors
/// Which file cannot be used.
pub fn config(authority: Option<&Path>, telling: bool) -> Result<ClientConfig> {
    let trusting = match authority {
        Some(path) if telling => {
            let provider = Arc::new(default_provider());
            let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots(path)?), provider).build();
            let verifier = Telling { inner: inner.context("TLS")?, told: Once::new() };
            builder()?.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
        }
        Some(path) => builder()?.with_root_certificates(roots(path)?),
        None => builder()?.with_native_roots().context("the machine's trusted certificates cannot be read")?,
    };
    Ok(trusting.with_no_client_auth())
}

/// Believes whom `inner` believes, and nobody else.
#[derive(Debug)]
struct Telling {
    inner: Arc<WebPkiServerVerifier>,
    /// Commands may ask twice, and tell once.
    told: Once,
}

impl ServerCertVerifier for Telling {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)?;
        if let Some(days) = days_left(end_entity, now) {
            self.told.call_once(|| {
                eprintln!("euca: warning: the cloud's certificate ends in {days} days; replace it (OPERATIONS, TLS)");
            });
        }
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// Whole days until a certificate ends, if they are few.
fn days_left(certificate: &[u8], now: UnixTime) -> Option<i64> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let now = i64::try_from(now.as_secs()).ok()?;
    let days = (certificate.validity().not_after.timestamp() - now).div_euclid(24 * 60 * 60);
    (days < SOON_DAYS).then_some(days)
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
