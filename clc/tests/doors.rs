//! Every action that is served, through both doors, over the real records: what is unsigned, expired,
//! changed on the way, wrapped, sent again, or signed by somebody who may not is refused, each time; rough parameters, too.
//! What is taken leaves a trace.

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_lc_rs::{digest, hmac};
use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt;
use ironbark_clc::actions::trace::describe_trace;
use ironbark_clc::ec2::admin::{DescribeTrace, Listing};
use ironbark_clc::error::Code;
use ironbark_clc::front::{Door, Front};
use ironbark_clc::store::{AccessKey, Certificate};
use ironbark_clc::{Cloud, routes, serve};
use ironbark_wsdl::RequestId;
use ironbark_wsdl::clock::Clock;
use ironbark_wsdl::envelope::{self, Outgoing};
use ironbark_wsdl::wsse::{Identity, Profile, Security};
use jiff::{SignedDuration, Timestamp};

use support::{ADMIN, EVE, IMAGE, Lab, caller};

const PATH: &str = "/services/Eucalyptus";
const HOST: &str = "cloud.example:8773";
const KEY: &str = "AKIBDOORS";
const WITHDRAWN: &str = "AKIBWITHDRAWN";
const SECRET: &str = "theSecretOfTheDoorsTest";

struct Stand {
    lab: Lab,
    front: Arc<Front<Cloud>>,
}

impl Stand {
    async fn new() -> Self {
        let lab = Lab::new().await;
        let front = serve::front(&lab.cloud, Arc::new(Identity::generate("clc").unwrap()));
        for (id, active) in [(KEY, true), (WITHDRAWN, false)] {
            let user = format!("AIDA{ADMIN}");
            let key = AccessKey { id: id.into(), user, secret: SECRET.into(), active, created: 1 };
            assert!(lab.cloud.store.add_access_key(key).await.unwrap());
        }
        Self { front: Arc::new(front), lab }
    }

    fn now(&self) -> Timestamp {
        self.lab.clock.now()
    }

    /// A certificate of the administrator.
    async fn certificate(&self, active: bool) -> Arc<Identity> {
        let identity = Arc::new(Identity::generate_rsa("admin").unwrap());
        let certificate = Certificate {
            fingerprint: identity.fingerprint(),
            user: format!("AIDA{ADMIN}"),
            pem: identity.cert_pem(),
            active,
            created: 1,
        };
        assert!(self.lab.cloud.store.add_certificate(certificate).await.unwrap());
        identity
    }

    /// Status and code of the answer; `ok` if there is none.
    async fn ask(&self, request: Request<Bytes>) -> (u16, String) {
        let response = self.front.handle(request).await;
        let status = response.status().as_u16();
        let text = String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap();
        let between = |begin: &str, end: &str| {
            let from = text.find(begin)? + begin.len();
            Some(text[from..from + text[from..].find(end)?].to_string())
        };
        let code = between("<Code>", "</Code>").or_else(|| between("<faultcode>soapenv:", "</faultcode>"));
        (status, code.unwrap_or_else(|| "ok".to_string()))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A POST signed by V4 in its header.
fn signed(key: &str, secret: &str, at: Timestamp, body: &str) -> Request<Bytes> {
    let date = at.strftime("%Y%m%dT%H%M%SZ").to_string();
    let canonical = format!(
        "POST\n{PATH}\n\nhost:{HOST}\nx-amz-date:{date}\n\nhost;x-amz-date\n{}",
        hex(digest::digest(&digest::SHA256, body.as_bytes()).as_ref())
    );
    let scope = format!("{}/ironbark/ec2/aws4_request", &date[..8]);
    let signature = signature(secret, &date, &scope, &canonical);
    let authorization =
        format!("AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders=host;x-amz-date, Signature={signature}");
    Request::post(PATH)
        .header("host", HOST)
        .header("x-amz-date", date)
        .header("authorization", authorization)
        .body(Bytes::from(body.to_string()))
        .unwrap()
}

/// A GET that is signed in its URL.
fn presigned(at: Timestamp, query: &str) -> Request<Bytes> {
    let date = at.strftime("%Y%m%dT%H%M%SZ").to_string();
    let scope = format!("{}/ironbark/ec2/aws4_request", &date[..8]);
    let query = format!(
        "{query}&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={KEY}%2F{}&X-Amz-Date={date}&X-Amz-Expires=60&X-Amz-SignedHeaders=host",
        scope.replace('/', "%2F")
    );
    let empty = hex(digest::digest(&digest::SHA256, b"").as_ref());
    let canonical = format!("GET\n{PATH}\n{query}\nhost:{HOST}\n\nhost\n{empty}");
    let signature = signature(SECRET, &date, &scope, &canonical);
    let uri = format!("{PATH}?{query}&X-Amz-Signature={signature}");
    Request::get(uri).header("host", HOST).body(Bytes::new()).unwrap()
}

fn signature(secret: &str, date: &str, scope: &str, canonical: &str) -> String {
    let digest = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
    let string = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{digest}");
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in scope.split('/').chain([string.as_str()]) {
        key = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), part.as_bytes()).as_ref().to_vec();
    }
    hex(&key)
}

fn changed(request: Request<Bytes>, body: &str) -> Request<Bytes> {
    request.map(|_| Bytes::from(body.to_string()))
}

fn is_about_who_asks(code: &str) -> bool {
    let words = ["AuthFailure", "RequestExpired", "MissingAuthenticationToken", "IncompleteSignature"];
    words.iter().any(|word| code.ends_with(word))
}

fn reads(action: &str) -> bool {
    action.starts_with("Describe") || action.starts_with("Get")
}

/// Parameters of every kind that actions have, each wrong in its own way.
const ROUGH: [&str; 12] = [
    "InstanceId=x&InstanceId.1=&InstanceId.one=i-1&ImageId=%F0%9F%98%80&ResourceId.1=i-",
    "InstanceId.4294967296=i-00000000&InstanceId.18446744073709551616=i-00000000&GroupId=sg-&GroupName=",
    "Filter.1.Name=&Filter.1.Value.1=%00&Filter.0.Name=tag%3A&Filter.2.Name=%2A",
    "Filter.1.Name=tag%3A%2A&Filter.1.Value.1=%5C&Filter.2.Name=instance-id&Filter.2.Value.1=%2A%2A%2A%3F%5C%5C",
    "MaxResults=-1&MinCount=0&MaxCount=99999999999999999999",
    "MaxResults=5&NextToken=%C3%A9%3D%3D%3D",
    "Tag.1.Key=aws%3Ax&Tag.1.Value=&Tag.2.Key=%0A&TagSpecification.1.ResourceType=moon&TagSpecification.1.Tag.1.Key=a",
    "IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort=70000&IpPermissions.1.ToPort=-9&IpPermissions.1.IpRanges.1.CidrIp=1%2F99",
    "KeyName=%0D%0A&PublicKeyMaterial=%3D%3D&UserData=%25&ClientToken=%C3%A9",
    "Attribute=colour&Value=red&DisableApiTermination.Value=maybe&LaunchPermission.Add.1.UserId=0x1",
    "Name=%00&Account=%00&UserName=..%2F..&Role=king&Certificate=-----BEGIN&Address=http%3A%2F%2F&Cluster=%2F",
    "PublicIp=999.1.1.1&AllocationId=eipalloc-&Domain=mars&LocationType=nowhere&ZoneName.1=&RegionName.1=%00",
];

#[tokio::test]
async fn every_action_tells_rough_parameters_from_good_ones_without_breaking() {
    let stand = Stand::new().await;
    for action in routes::actions().names(Door::Query) {
        for rough in ROUGH {
            // Read and checked, but not carried out.
            let body = format!("Action={action}&DryRun=true&{rough}&Version=2016-11-15");
            let (status, code) = stand.ask(signed(KEY, SECRET, stand.now(), &body)).await;
            assert!((400..500).contains(&status) && code != "ok", "{body}: {status} {code}");
        }
    }
}

/// Good parameters of many actions, and of none too few.
fn good(id: &str) -> String {
    format!(
        "InstanceId={id}&InstanceId.1={id}&ResourceId.1={id}&Tag.1.Key=a&ImageId={IMAGE}&MinCount=1&MaxCount=1&KeyName=k\
         &GroupName=g&GroupDescription=d&Strategy=spread&Attribute=instanceType&InstanceType=m1.small&Count=1"
    )
}

#[tokio::test]
async fn every_action_leaves_a_trace_in_which_no_time_is_nobodys() {
    let stand = Stand::new().await;
    let id = stand.lab.running(1).await.remove(0);
    for action in routes::actions().names(Door::Query) {
        let body = format!("Action={action}&{}&Version=2016-11-15", good(&id));
        let response = stand.front.handle(signed(KEY, SECRET, stand.now(), &body)).await;
        let request_id = response.headers()["x-amzn-requestid"].to_str().unwrap();
        let spans = stand.lab.cloud.recorder.of(request_id);
        let whole =
            spans.iter().find(|span| span.name == "clc.request").unwrap_or_else(|| panic!("{action}: {spans:?}"));
        let parts = spans.iter().filter(|span| span.parent.as_deref() == Some(whole.id.as_str()));
        let named: i64 = parts.filter(|part| part.name.starts_with("clc.")).map(|part| part.duration).sum();
        assert!(named * 100 >= whole.duration * 95, "{action}: {named} of {} microseconds", whole.duration);
    }
}

#[tokio::test]
async fn no_action_is_had_by_query_without_a_good_fresh_signature() {
    let stand = Stand::new().await;
    let names = routes::actions().names(Door::Query);
    assert!(names.len() > 50, "only {}", names.len());
    for action in names {
        let now = stand.now();
        let body = format!("Action={action}&Version=2016-11-15");
        let good = || signed(KEY, SECRET, now, &body);
        let minutes = SignedDuration::from_mins;
        let mut unsigned = good();
        unsigned.headers_mut().remove("authorization");
        let refusals = [
            ("unsigned", unsigned, (403, "MissingAuthenticationToken")),
            ("expired", signed(KEY, SECRET, now - minutes(16), &body), (400, "RequestExpired")),
            ("of tomorrow", signed(KEY, SECRET, now + minutes(16), &body), (401, "AuthFailure")),
            ("changed", changed(good(), &format!("{body}&DryRun=false")), (401, "AuthFailure")),
            ("another action", changed(good(), &body.replace(action, "Whatever")), (401, "AuthFailure")),
            ("unknown key", signed("AKIBNOBODY", SECRET, now, &body), (401, "AuthFailure")),
            ("wrong secret", signed(KEY, "guessed", now, &body), (401, "AuthFailure")),
            ("withdrawn key", signed(WITHDRAWN, SECRET, now, &body), (401, "AuthFailure")),
            ("twice named", signed(KEY, SECRET, now, &format!("{body}&Action=X")), (400, "MalformedQueryString")),
        ];
        for (what, request, expected) in refusals {
            let (status, code) = stand.ask(request).await;
            assert_eq!((status, code.as_str()), expected, "{action}, {what}");
        }
        let (status, code) = stand.ask(presigned(now, &format!("Action={action}&Version=2016-11-15"))).await;
        if reads(action) {
            assert!(!is_about_who_asks(&code), "{action} by URL: {code}");
        } else {
            assert_eq!((status, code.as_str()), (403, "UnauthorizedOperation"), "{action} by URL");
        }

        let (status, code) = stand.ask(good()).await;
        assert!(status < 500 && !is_about_who_asks(&code), "{action}: {status} {code}");
        // Beyond the seconds in which libraries repeat what broke.
        stand.lab.clock.advance(SignedDuration::from_secs(6));
        let (_, code) = stand.ask(good()).await;
        assert_eq!(code == "AuthFailure", !reads(action), "{action}, sent again: {code}");
    }
}

#[tokio::test]
async fn a_parameter_may_not_be_both_in_the_url_and_in_the_form() {
    let stand = Stand::new().await;
    let mut request = signed(KEY, SECRET, stand.now(), "Action=DescribeRegions&Version=2016-11-15");
    *request.uri_mut() = format!("{PATH}?Action=TerminateInstances").parse().unwrap();
    assert_eq!(stand.ask(request).await, (400, "MalformedQueryString".to_string()));
}

/// C-13: `X-Request-Id` of an administrator, and of nobody else, nor in any form.
#[tokio::test]
async fn an_id_that_an_administrator_gives_to_several_requests_finds_them_all() {
    let stand = Stand::new().await;
    let eves =
        AccessKey { id: "AKIBEVE".into(), user: format!("AIDA{EVE}"), secret: SECRET.into(), active: true, created: 1 };
    assert!(stand.lab.cloud.store.add_access_key(eves).await.unwrap());
    let uuid = RequestId::random();
    let global = format!("req-{uuid}");
    let mut expected = BTreeSet::new();
    for (key, action, given, counts) in [
        (KEY, "DescribeRegions", global.as_str(), true),
        (KEY, "DescribeImages", global.as_str(), true),
        (KEY, "DescribeInstances", uuid.as_str(), false),
        (KEY, "DescribeKeyPairs", "req-nonsense", false),
        ("AKIBEVE", "DescribeRegions", global.as_str(), false),
    ] {
        let body = format!("Action={action}&Version=2016-11-15");
        let mut request = signed(key, SECRET, stand.now(), &body);
        request.headers_mut().insert("x-request-id", given.parse().unwrap());
        let response = stand.front.handle(request).await;
        assert_eq!(response.status(), 200, "{action} with {given}");
        let own = response.headers()["x-amzn-requestid"].to_str().unwrap().to_string();
        assert_ne!(own, uuid.as_str(), "each request has an id of its own");
        expected.extend(counts.then_some(own));
    }
    let trace = |account: &'static str, request_id: &RequestId| {
        let request = DescribeTrace { request_id: request_id.clone() };
        describe_trace(stand.lab.cloud.clone(), stand.lab.ctx(), caller(account), request)
    };
    for _ in 0..2 {
        let Listing(spans) = trace("admin", &uuid).await.unwrap();
        let found: BTreeSet<String> = spans.into_iter().map(|span| span.request_id).collect();
        assert_eq!(found, expected);
        // First from memory, then from the records.
        stand.lab.cloud.write_answered().await.unwrap();
    }
    assert_eq!(trace("eve", &uuid).await.unwrap_err().code, Code::NoSuchEntity);
    let one = expected.first().unwrap().parse().unwrap();
    assert!(trace("admin", &one).await.unwrap().0.iter().all(|span| span.request_id == one.as_str()));
}

#[tokio::test]
async fn who_one_is_is_told_in_the_envelope_of_sts() {
    let stand = Stand::new().await;
    let request = signed(KEY, SECRET, stand.now(), "Action=GetCallerIdentity&Version=2011-06-15");
    let response = stand.front.handle(request).await;
    let id = response.headers()["x-amzn-requestid"].to_str().unwrap().to_string();
    let text = String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap();
    let expected = format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
         <Arn>arn:aws:iam::{ADMIN}:user/admin</Arn><UserId>AIDA{ADMIN}</UserId><Account>{ADMIN}</Account>\
         </GetCallerIdentityResult><ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata>\
         </GetCallerIdentityResponse>"
    );
    assert!(text.ends_with(&expected), "{text}");
}

/// An envelope with that body, signed at a time, or not at all.
fn envelope(body: &str, by: Option<(&Arc<Identity>, Timestamp)>) -> String {
    let outgoing = Outgoing { body, ..Outgoing::default() };
    let security = by.map(|(identity, at)| Security::new(identity.clone(), Profile::User, Clock::manual(at)));
    envelope::write(&outgoing, security.as_ref().map(Security::signer).as_ref()).unwrap()
}

fn posted(text: &str) -> Request<Bytes> {
    Request::post(PATH)
        .header("host", HOST)
        .header("content-type", "text/xml")
        .body(Bytes::from(text.to_string()))
        .unwrap()
}

/// The signed Body as a child of the Header, and another one in its place.
fn wrapped(text: &str, body: &str) -> String {
    let begin = text.find(":Body").map(|at| text[..at].rfind('<').unwrap()).unwrap();
    let end = text[begin..].find(":Body>").map(|at| begin + at + ":Body>".len()).unwrap();
    let prefix = text[begin + 1..].split(':').next().unwrap();
    let signed = &text[begin..end];
    let header = format!("</{prefix}:Header>");
    let head = text[..begin].replace(&header, &format!("<w xmlns=\"urn:w\">{signed}</w>{header}"));
    format!("{head}<{prefix}:Body>{body}</{prefix}:Body>{}", &text[end..])
}

#[tokio::test]
async fn no_action_is_had_by_soap_without_a_good_fresh_signature() {
    let stand = Stand::new().await;
    let user = stand.certificate(true).await;
    let withdrawn = stand.certificate(false).await;
    let stranger = Arc::new(Identity::generate_rsa("stranger").unwrap());
    let names = routes::actions().names(Door::Soap);
    assert!(names.len() > 10, "only {}", names.len());
    for action in names {
        let now = stand.now();
        let body = format!("<{action} xmlns=\"http://ec2.amazonaws.com/doc/2010-08-31/\"></{action}>");
        let good = envelope(&body, Some((&user, now)));
        let other = "<DescribeRegions xmlns=\"http://ec2.amazonaws.com/doc/2010-08-31/\"></DescribeRegions>";
        let minutes = SignedDuration::from_mins;
        let refusals = [
            ("unsigned", envelope(&body, None), "Client.AuthFailure"),
            ("expired", envelope(&body, Some((&user, now - minutes(16)))), "Client.RequestExpired"),
            ("of tomorrow", envelope(&body, Some((&user, now + minutes(16)))), "Client.RequestExpired"),
            ("changed", good.replace("doc/2010-08-31", "doc/2009-11-30"), "Client.AuthFailure"),
            ("wrapped", wrapped(&good, other), "Client.AuthFailure"),
            ("of a stranger", envelope(&body, Some((&stranger, now))), "Client.AuthFailure"),
            ("of a withdrawn certificate", envelope(&body, Some((&withdrawn, now))), "Client.AuthFailure"),
        ];
        for (what, text, expected) in refusals {
            assert_ne!(text, good, "{action}, {what}: nothing was changed");
            assert_eq!(stand.ask(posted(&text)).await, (500, expected.to_string()), "{action}, {what}");
        }
        let (_, code) = stand.ask(posted(&good)).await;
        assert!(!is_about_who_asks(&code), "{action}: {code}");
        let (_, code) = stand.ask(posted(&good)).await;
        assert_eq!(code == "Client.AuthFailure", !reads(action), "{action}, sent again: {code}");
        stand.lab.clock.advance(SignedDuration::from_secs(1));
    }
}
