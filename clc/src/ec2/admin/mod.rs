//! What the cloud itself is asked for: clusters, nodes, accounts, quotas, users, credentials, traces, histories.
//! Query only, in any version (`eucalyptus` by custom). Lists of plain fields; no action here is EC2's.

mod accounts;
mod clusters;
mod credentials;
mod doctor;
mod history;
mod placements;
mod quotas;
mod trace;
mod users;

pub use accounts::*;
pub use clusters::*;
pub use credentials::*;
pub use doctor::*;
pub use history::*;
pub use placements::*;
pub use quotas::*;
pub use trace::*;
pub use users::*;

use ironbark_wsdl::wsse::Profile;

use crate::error::Ec2Error;
use crate::front::{Params, Reply, Writer};

/// A thing shown as a row of named fields.
pub trait Row {
    /// The element around the list, `clusterSet`.
    const SET: &'static str;
    /// The fields in their order; those without a value are left out.
    fn fields(&self) -> Vec<(&'static str, String)>;
}

/// An answer that is a list of rows: `<SET><item><field>...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing<T>(pub Vec<T>);

impl<T: Row> Reply for Listing<T> {
    fn write(&self, w: &mut Writer) {
        w.set(T::SET, &self.0, |w, row| {
            for (name, value) in row.fields() {
                w.text(name, &value);
            }
        });
    }
}

/// The fields that have a value.
fn given(fields: Vec<(&'static str, Option<String>)>) -> Vec<(&'static str, String)> {
    fields.into_iter().filter_map(|(name, value)| value.map(|value| (name, value))).collect()
}

/// A name that administrators give: it becomes part of file names, of zone names and of logs.
fn name(params: &Params, parameter: &str) -> Result<String, Ec2Error> {
    let text = params.required(parameter)?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    // euca2ools' word for "show me more" can never be a zone.
    if begins && text.len() <= 64 && text.chars().all(fits) && text != "verbose" {
        return Ok(text.to_string());
    }
    Err(params.invalid(
        parameter,
        text,
        "It must be at most 64 letters, digits, '-', '_' and '.', and begin with a letter or digit.",
    ))
}

/// [`name`], if the parameter is there.
fn optional_name(params: &Params, parameter: &str) -> Result<Option<String>, Ec2Error> {
    params.optional(parameter).map(|_| name(params, parameter)).transpose()
}

/// Where a peer listens: `http://host:port/path`.
fn url(params: &Params) -> Result<String, Ec2Error> {
    let text = params.required("Url")?;
    let parsed = text.parse::<http::Uri>().ok().filter(|_| text.len() <= 1024);
    match parsed {
        Some(url) if url.scheme_str() == Some("http") && url.host().is_some() => Ok(text.to_string()),
        _ => Err(params.invalid(
            "Url",
            text,
            "It must be where the controller listens, such as http://host:8774/axis2/services/EucalyptusCC.",
        )),
    }
}

/// A peer's certificate in PEM; that it can be read is for the action to check.
fn certificate(params: &Params) -> Result<String, Ec2Error> {
    let text = params.required("Certificate")?;
    if text.len() <= 64 * 1024 && text.contains("-----BEGIN CERTIFICATE-----") {
        return Ok(text.to_string());
    }
    Err(params.invalid(
        "Certificate",
        "...",
        "It must be the controller's certificate in PEM, beginning with -----BEGIN CERTIFICATE-----.",
    ))
}

/// How messages to a peer are secured: `strict` unless it says otherwise.
fn profile(params: &Params) -> Result<Profile, Ec2Error> {
    let Some(text) = params.optional("Profile") else { return Ok(Profile::Strict) };
    text.parse().map_err(|_| params.invalid("Profile", text, "It must be strict or euca-2.0.1."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;
    use crate::front::Action;

    fn register(name: &str, url: &str, certificate: &str) -> Result<RegisterCluster, Ec2Error> {
        RegisterCluster::parse(&Params::try_from(&[("Name", name), ("Url", url), ("Certificate", certificate)][..])?)
    }

    #[test]
    fn names_urls_and_certificates_are_checked() {
        let (url, pem) = ("http://10.0.0.1:8774/axis2/services/EucalyptusCC", "-----BEGIN CERTIFICATE-----\n");
        assert!(register("cluster1", url, pem).is_ok());
        for (name, url, pem) in [
            ("../x", url, pem),
            ("verbose", url, pem),
            ("c", "10.0.0.1:8774", pem),
            ("c", "ftp://h/", pem),
            ("c", url, "key"),
        ] {
            assert_eq!(register(name, url, pem).unwrap_err().code, Code::InvalidParameterValue);
        }
    }

    #[test]
    fn peers_are_strict_unless_they_are_named_otherwise() {
        let url = "http://10.0.0.1:8774/axis2/services/EucalyptusCC";
        let given = [("Name", "c"), ("Url", url), ("Certificate", "-----BEGIN CERTIFICATE-----\n")];
        let parse =
            |more: &[(&str, &str)]| RegisterCluster::parse(&Params::try_from(&[&given[..], more].concat()[..])?);
        assert_eq!(parse(&[]).unwrap().profile, Profile::Strict);
        assert_eq!(parse(&[("Profile", "euca-2.0.1")]).unwrap().profile, Profile::Euca201);
        assert_eq!(parse(&[("Profile", "user")]).unwrap_err().code, Code::InvalidParameterValue);
    }

    #[test]
    fn secrets_are_not_debugged() {
        let key = NewAccessKey {
            account_id: "1".into(),
            user_name: "u".into(),
            access_key_id: "A".into(),
            secret_access_key: "SECRET".into(),
        };
        assert!(!format!("{key:?}").contains("SECRET"));
    }
}
