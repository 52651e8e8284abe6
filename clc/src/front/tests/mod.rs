//! The doors as clients see them: whole HTTP requests in, whole answers out, over actions that only
//! answer samples.

mod contract;
mod errors;
mod random;
mod recorded;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt;
use ironbark_wsdl::clock::Clock;
use ironbark_wsdl::http::Answer;
use ironbark_wsdl::wsse::{Certificate, Identity};
use ironbark_wsdl::{Context, Recorder};
use jiff::Timestamp;
use serde_json::Value;

use super::*;
use crate::ec2::absent::*;
use crate::ec2::addresses::{
    AllocateAddress, AssociateAddress, DescribeAddresses, DisassociateAddress, ReleaseAddress,
};
use crate::ec2::admin::DescribeClusters;
use crate::ec2::attributes::{DescribeInstanceAttribute, ModifyInstanceAttribute, ResetInstanceAttribute};
use crate::ec2::console::{GetConsoleOutput, GetPasswordData};
use crate::ec2::image_attributes::{DescribeImageAttribute, ModifyImageAttribute, ResetImageAttribute};
use crate::ec2::images::{DeregisterImage, DescribeImages, RegisterImage};
use crate::ec2::instances::{DescribeInstances, RebootInstances, StartInstances, StopInstances, TerminateInstances};
use crate::ec2::keys::{CreateKeyPair, DeleteKeyPair, DescribeKeyPairs, ImportKeyPair};
use crate::ec2::monitoring::{MonitorInstances, UnmonitorInstances};
use crate::ec2::placement_groups::{CreatePlacementGroup, DeletePlacementGroup, DescribePlacementGroups};
use crate::ec2::run::RunInstances;
use crate::ec2::samples::Sampled;
use crate::ec2::security_groups::{CreateSecurityGroup, DeleteSecurityGroup, DescribeSecurityGroups};
use crate::ec2::security_rules::{
    AuthorizeSecurityGroupEgress, AuthorizeSecurityGroupIngress, DescribeSecurityGroupRules, RevokeSecurityGroupEgress,
    RevokeSecurityGroupIngress,
};
use crate::ec2::tags::{CreateTags, DeleteTags, DescribeTags};
use crate::ec2::types::DescribeInstanceTypes;
use crate::ec2::zones::{DescribeAvailabilityZones, DescribeRegions};
use crate::error::{Code, Ec2Error};
use crate::role::Role;

/// What the recorded clients signed with; it was never anybody's.
const KEY: &str = "AKIAFAKEFAKEFAKE0001";
const SECRET: &str = "fakeSecretKeyFAKEfakeSecretKeyFAKE01";
const WSSEC: &str = include_str!("../../../../tests/vectors/wssec/wssec.json");

/// A cloud with one user, whose credentials are those of the recordings.
struct Cloud {
    certificate: String,
    admin: bool,
}

impl Cloud {
    fn caller(&self, credential: Credential) -> Caller {
        let role = if self.admin { Role::CloudAdministrator } else { Role::Operator };
        Caller {
            account: "111122223333".into(),
            account_name: "testers".into(),
            user: "tester".into(),
            user_id: "AIDATESTER".into(),
            role: Some(role),
            credential,
        }
    }
}

impl Directory for Cloud {
    async fn access_key(&self, id: &str) -> Result<Option<AccessKey>, Ec2Error> {
        Ok((id == KEY)
            .then(|| AccessKey { secret: SECRET.into(), caller: self.caller(Credential::AccessKey(id.into())) }))
    }

    async fn certificate(&self, fingerprint: &str) -> Result<Option<Caller>, Ec2Error> {
        Ok((fingerprint == self.certificate).then(|| self.caller(Credential::Certificate(fingerprint.into()))))
    }
}

async fn sample<R: Sampled>(_: Arc<Cloud>, _: Context, caller: Caller, _: R) -> Result<R::Response, Ec2Error> {
    assert_eq!(caller.user, "tester");
    Ok(R::fullest())
}

/// RunInstances looks at DryRun itself.
async fn rehearsal(
    cloud: Arc<Cloud>,
    ctx: Context,
    caller: Caller,
    request: RunInstances,
) -> Result<<RunInstances as Action>::Response, Ec2Error> {
    if request.dry_run {
        return Err(Ec2Error::new(Code::DryRunOperation, "there is room"));
    }
    sample(cloud, ctx, caller, request).await
}

async fn broken(
    _: Arc<Cloud>,
    _: Context,
    _: Caller,
    _: DescribeClusters,
) -> Result<<DescribeClusters as Action>::Response, Ec2Error> {
    panic!("an action that panics");
}

fn actions() -> Actions<Cloud> {
    Actions::new()
        .on(rehearsal)
        .on(sample::<DescribeInstances>)
        .on(sample::<RebootInstances>)
        .on(sample::<TerminateInstances>)
        .on(sample::<StopInstances>)
        .on(sample::<StartInstances>)
        .on(sample::<GetConsoleOutput>)
        .on(sample::<DescribeInstanceAttribute>)
        .on(sample::<ModifyInstanceAttribute>)
        .on(sample::<ResetInstanceAttribute>)
        .on(sample::<MonitorInstances>)
        .on(sample::<UnmonitorInstances>)
        .on(sample::<GetPasswordData>)
        .on(sample::<DescribeVpcs>)
        .on(sample::<DescribeSubnets>)
        .on(sample::<DescribeVolumes>)
        .on(sample::<DescribeSnapshots>)
        .on(sample::<DescribeSpotInstanceRequests>)
        .on(sample::<DescribeReservedInstances>)
        .on(sample::<DescribeReservedInstancesOfferings>)
        .on(sample::<CreatePlacementGroup>)
        .on(sample::<DeletePlacementGroup>)
        .on(sample::<DescribePlacementGroups>)
        .on(sample::<DescribeBundleTasks>)
        .on(sample::<RegisterImage>)
        .on(sample::<DescribeImages>)
        .on(sample::<DeregisterImage>)
        .on(sample::<DescribeImageAttribute>)
        .on(sample::<ModifyImageAttribute>)
        .on(sample::<ResetImageAttribute>)
        .on(sample::<CreateKeyPair>)
        .on(sample::<ImportKeyPair>)
        .on(sample::<DescribeKeyPairs>)
        .on(sample::<DeleteKeyPair>)
        .on(sample::<AllocateAddress>)
        .on(sample::<ReleaseAddress>)
        .on(sample::<DescribeAddresses>)
        .on(sample::<AssociateAddress>)
        .on(sample::<DisassociateAddress>)
        .on(sample::<CreateSecurityGroup>)
        .on(sample::<DeleteSecurityGroup>)
        .on(sample::<DescribeSecurityGroups>)
        .on(sample::<AuthorizeSecurityGroupIngress>)
        .on(sample::<AuthorizeSecurityGroupEgress>)
        .on(sample::<RevokeSecurityGroupIngress>)
        .on(sample::<RevokeSecurityGroupEgress>)
        .on(sample::<DescribeSecurityGroupRules>)
        .on(sample::<CreateTags>)
        .on(sample::<DeleteTags>)
        .on(sample::<DescribeTags>)
        .on(sample::<DescribeAvailabilityZones>)
        .on(sample::<DescribeRegions>)
        .on(sample::<DescribeInstanceTypes>)
        .on(broken)
}

/// A front at a given time.
struct Stand {
    front: Arc<Front<Cloud>>,
    clock: Clock,
    recorder: Arc<Recorder>,
}

fn stand(now: &str, admin: bool) -> Stand {
    let wssec: Value = serde_json::from_str(WSSEC).unwrap();
    let certificate = Certificate::from_pem(wssec["cert_pem"].as_str().unwrap()).unwrap().fingerprint();
    let recorder = Arc::new(Recorder::new("clc"));
    let clock = Clock::manual(now.parse().unwrap());
    let front = Front::new(
        Arc::new(Cloud { certificate, admin }),
        actions(),
        recorder.clone(),
        Arc::new(Identity::generate("clc").unwrap()),
        clock.clone(),
        "http://cloud.example:8773/services/Eucalyptus",
    );
    Stand { front: Arc::new(front), clock, recorder }
}

/// A request as it was recorded.
fn request(line: &str, headers: &[(String, String)], body: &str) -> Request<Bytes> {
    let mut words = line.split(' ');
    let mut builder = Request::builder().method(words.next().unwrap()).uri(words.next().unwrap());
    for (name, value) in headers {
        builder = builder.header(name, value);
    }
    builder.body(Bytes::copy_from_slice(body.as_bytes())).unwrap()
}

fn recorded(value: &Value) -> Request<Bytes> {
    let text = |value: &Value| value.as_str().unwrap().to_string();
    let headers: Vec<(String, String)> =
        value["headers"].as_array().unwrap().iter().map(|pair| (text(&pair[0]), text(&pair[1]))).collect();
    request(value["request_line"].as_str().unwrap(), &headers, value["body"].as_str().unwrap())
}

fn soap(body: &str) -> Request<Bytes> {
    let kind = [("content-type".to_string(), "text/xml; charset=utf-8".to_string())];
    request("POST /services/Eucalyptus HTTP/1.1", &kind, body)
}

/// Status, request id header and text of an answer.
async fn read(response: Answer) -> (u16, String, String) {
    let (parts, body) = response.into_parts();
    let id = parts.headers.get("x-amzn-requestid").map(|id| id.to_str().unwrap().to_string());
    let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    (parts.status.as_u16(), id.unwrap_or_default(), text)
}

async fn ask(stand: &Stand, request: Request<Bytes>) -> (u16, String) {
    let answer = tokio::time::timeout(Duration::from_secs(10), stand.front.handle(request)).await.unwrap();
    let (status, id, text) = read(answer).await;
    assert!(text.contains(&id) || text.contains("<definitions"), "the answer does not bear its id: {text}");
    (status, text)
}

/// A Query request signed by V2 for `now`, as `GET /?...`.
fn signed(now: &Timestamp, pairs: &[(&str, &str)]) -> Request<Bytes> {
    let time = now.to_string();
    let mut all = vec![
        ("AWSAccessKeyId", KEY),
        ("SignatureVersion", "2"),
        ("SignatureMethod", "HmacSHA256"),
        ("Timestamp", &time),
        ("Version", "2010-08-31"),
    ];
    all.extend(pairs);
    all.sort_unstable();
    let query: Vec<String> = all.iter().map(|(n, v)| format!("{}={}", form::encode(n), form::encode(v))).collect();
    let query = query.join("&");
    let signature = hmac(&format!("GET\ncloud.example\n/\n{query}"));
    let target = format!("GET /?{query}&Signature={} HTTP/1.1", form::encode(&signature));
    request(&target, &[("host".to_string(), "cloud.example".to_string())], "")
}

fn hmac(string: &str) -> String {
    use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(sign(&Key::new(HMAC_SHA256, SECRET.as_bytes()), string.as_bytes()))
}
