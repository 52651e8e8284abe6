//! Where the cloud is and who asks, from options, environment or an eucarc file; one signed
//! request there and its answer back.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use clap::Args;
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use crate::sigv4::{self, Signing, encode};
use crate::tls;
use crate::tree::Element;

/// The API version that is asked for; the newest that clients speak (botocore's).
const VERSION: &str = "2016-11-15";
/// The largest answer taken.
const ANSWER_LIMIT: usize = 256 * 1024 * 1024;

/// How to reach the cloud. The secret key has no option on purpose: arguments are seen by every
/// user of the machine.
#[derive(Args)]
pub struct Settings {
    /// The cloud's EC2 address (else EC2_URL, else AWS_ENDPOINT_URL_EC2).
    #[arg(short = 'U', long = "url", global = true, value_name = "URL")]
    url: Option<String>,
    /// A file of `export NAME=value` lines, such as the cloud gives; wins over the environment.
    #[arg(long, global = true, value_name = "FILE")]
    eucarc: Option<PathBuf>,
    /// Longest wait for an answer, in seconds.
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 90)]
    timeout: u64,
}

/// A cloud and credentials for it.
pub struct Cloud {
    url: http::Uri,
    access_key: String,
    secret_key: String,
    region: String,
    timeout: Duration,
    /// Whom to believe to be the cloud; those whom the machine trusts if it is not given.
    authority: Option<PathBuf>,
    /// True if the user is told that the cloud's certificate ends soon.
    telling: bool,
}

/// The parameters of a request, in order of insertion.
pub type Parameters = Vec<(String, String)>;

impl Settings {
    /// Resolves options, file and environment.
    ///
    /// # Errors
    /// Names what is missing and where it may come from.
    pub fn cloud(&self) -> Result<Cloud> {
        let file = match &self.eucarc {
            Some(path) => parse_eucarc(
                &std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?,
            ),
            None => BTreeMap::new(),
        };
        let find = |names: &[&str]| {
            let set = |name: &&str| file.get(*name).cloned().or_else(|| std::env::var(name).ok());
            names.iter().find_map(set).filter(|value| !value.is_empty())
        };
        let missing =
            |what: &str, names: &str| anyhow!("no {what}: set {names}, or source your eucarc, or give --eucarc FILE");
        let url = self
            .url
            .clone()
            .or_else(|| find(&["EC2_URL", "AWS_ENDPOINT_URL_EC2"]))
            .ok_or_else(|| missing("address of the cloud", "EC2_URL or -U URL"))?;
        let uri: http::Uri = url.parse().with_context(|| format!("'{url}' is no address of a cloud"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.authority().is_none() {
            bail!("'{url}' is no address of a cloud: it should look like https://HOST:8773/services/Eucalyptus");
        }
        let secure = uri.scheme_str() == Some("https");
        Ok(Cloud {
            url: uri,
            access_key: find(&["EC2_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY"])
                .ok_or_else(|| missing("access key", "EC2_ACCESS_KEY or AWS_ACCESS_KEY_ID"))?,
            secret_key: find(&["EC2_SECRET_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY"])
                .ok_or_else(|| missing("secret key", "EC2_SECRET_KEY or AWS_SECRET_ACCESS_KEY"))?,
            region: find(&["AWS_DEFAULT_REGION"]).unwrap_or_else(|| "ironbark".to_string()),
            timeout: Duration::from_secs(self.timeout),
            // Of no use, and perhaps not there, without TLS.
            authority: find(&["AWS_CA_BUNDLE"]).map(PathBuf::from).filter(|_| secure),
            telling: false,
        })
    }
}

/// Reads the `export NAME=value` lines of an eucarc; other lines are not ours to run.
fn parse_eucarc(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for line in text.lines() {
        let line = line.trim().trim_start_matches("export ").trim();
        if let Some((name, value)) = line.split_once('=')
            && !line.starts_with('#')
        {
            found.insert(name.trim().to_string(), value.trim().trim_matches(['"', '\'']).to_string());
        }
    }
    found
}

impl Cloud {
    /// For one who keeps the cloud: told that its certificate ends soon.
    pub fn telling(self) -> Self {
        Self { telling: true, ..self }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        self.url.to_string()
    }

    /// The file of those who are believed to be the cloud, if it is not the machine's own.
    pub fn authority(&self) -> Option<&Path> {
        self.authority.as_deref()
    }

    /// The region that requests name.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The TLS to it; over plain HTTP nobody is believed, and nothing looked for.
    fn tls(&self) -> Result<rustls::ClientConfig> {
        match self.url.scheme_str() {
            Some("https") => tls::config(self.authority.as_deref(), self.telling),
            Some(_) | None => tls::nobody(),
        }
    }

    /// Performs one action and brings back its answer.
    ///
    /// # Errors
    /// The cloud's own code, sentence and request id; or why it could not be asked.
    pub async fn ask(&self, action: &str, parameters: Parameters) -> Result<Element> {
        let mut form = vec![format!("Action={}", encode(action)), format!("Version={VERSION}")];
        form.extend(parameters.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))));
        let body = form.join("&");
        let host = self.url.authority().map(http::uri::Authority::as_str).unwrap_or_default();
        let path = if self.url.path().is_empty() { "/" } else { self.url.path() };
        let date = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
        let authorization = sigv4::authorization(&Signing {
            access_key: &self.access_key,
            secret_key: &self.secret_key,
            region: &self.region,
            host,
            path,
            body: &body,
            date: &date,
        });
        let request = http::Request::post(self.url.clone())
            .header(http::header::HOST, host)
            .header(http::header::CONTENT_TYPE, sigv4::CONTENT_TYPE)
            .header("x-amz-date", &date)
            .header(http::header::AUTHORIZATION, authorization)
            .body(Full::new(Bytes::from(body)))
            .context("the request cannot be made")?;
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(self.tls()?).https_or_http().enable_http1().build();
        let client = Client::builder(TokioExecutor::new()).build(connector);
        let exchange = async {
            let response = client
                .request(request)
                .await
                .with_context(|| format!("the cloud at {} cannot be reached", self.url))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), ANSWER_LIMIT).collect().await;
            let body = body.map_err(|error| anyhow!("the answer broke off: {error}"))?.to_bytes();
            Ok::<_, anyhow::Error>((status, body))
        };
        let (status, body) = tokio::time::timeout(self.timeout, exchange).await.map_err(|_| {
            anyhow!("no answer from {} within {} s; whether it was done is not known", self.url, self.timeout.as_secs())
        })??;
        let text = String::from_utf8(body.to_vec()).context("the answer is not UTF-8")?;
        let answer = Element::parse(&text)
            .with_context(|| format!("{} answered {status} with what is no EC2 answer", self.url))?;
        if status.is_success() {
            return Ok(answer);
        }
        let error = answer.child("Errors").and_then(|errors| errors.child("Error")).cloned().unwrap_or_default();
        if answer.at("RequestID").is_empty() {
            bail!("{} answered {status}, but not as an EC2 cloud does", self.url);
        }
        Err(anyhow!(
            "({}) {} [request id {}]",
            if error.at("Code").is_empty() { status.as_str() } else { error.at("Code") },
            error.at("Message"),
            answer.at("RequestID")
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_eucarc_is_read_not_run() {
        let found = parse_eucarc("# a comment=1\nexport EC2_URL=\"http://h:1/x\"\nEC2_ACCESS_KEY='A'\n$(rm x)\n");
        assert_eq!(found.get("EC2_URL").map(String::as_str), Some("http://h:1/x"));
        assert_eq!(found.get("EC2_ACCESS_KEY").map(String::as_str), Some("A"));
        assert_eq!(found.len(), 2);
    }
}
