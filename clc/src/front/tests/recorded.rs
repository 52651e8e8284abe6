//! Every recorded request of every client, through the door it came to, at its own time.

use super::*;

const CLIENTS: &str = include_str!("../../../../tests/vectors/ec2-clients.jsonl");

/// When a recorded request was made: the first time stamp in it; any time if it has none.
fn made_at(value: &Value) -> Timestamp {
    let text = value.to_string();
    let Some(at) = text.find("2026-11-20T").or_else(|| text.find("20261120T")) else { return Timestamp::UNIX_EPOCH };
    let digits: String = text[at..].replace("%3A", ":").chars().filter(char::is_ascii_digit).take(14).collect();
    let d = |range: std::ops::Range<usize>| &digits[range];
    format!("{}-{}-{}T{}:{}:{}Z", d(0..4), d(4..6), d(6..8), d(8..10), d(10..12), d(12..14)).parse().unwrap()
}

#[tokio::test]
async fn every_recorded_client_is_served_in_its_own_namespace() {
    let (mut served, mut refused) = (0, Vec::new());
    for line in CLIENTS.lines() {
        let value: Value = serde_json::from_str(line).unwrap();
        let (label, action) = (value["label"].as_str().unwrap(), value["action"].as_str().unwrap());
        let stand = stand(&made_at(&value).to_string(), false);
        let (status, text) = ask(&stand, recorded(&value)).await;
        let unsigned = label == "perl-soaplite";
        if unsigned {
            assert!(status == 500 && text.contains("Client.AuthFailure"), "{label} {action}: {status} {text}");
        } else if status == 401 {
            refused.push(label.to_string());
        } else if value.to_string().contains("DryRun=true") {
            assert!(
                status == 412 && text.contains("<Code>DryRunOperation</Code>"),
                "{label} {action}: {status} {text}"
            );
        } else {
            let version = value["version"].as_str().unwrap();
            let root = format!("<{action}Response xmlns=\"http://ec2.amazonaws.com/doc/{version}/\"><requestId>");
            assert!(status == 200 && text.contains(&root), "{label} {action}: {status} {text}");
            served += 1;
        }
    }
    assert!(served > 110, "only {served} were served");
    // A URL that was presigned for POST and fetched with GET.
    assert_eq!(refused, ["boto3"]);
}

#[tokio::test]
async fn hostile_envelopes_are_refused_and_good_ones_served() {
    let wssec: Value = serde_json::from_str(WSSEC).unwrap();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/wssec");
    for case in wssec["cases"].as_array().unwrap() {
        let file = case["file"].as_str().unwrap();
        let body = std::fs::read_to_string(format!("{folder}/{file}")).unwrap();
        let stand = stand(case["server_clock"].as_str().unwrap(), false);
        let (status, text) = ask(&stand, soap(&body)).await;
        if case["accept"].as_bool().unwrap() {
            assert!(status == 200 && text.contains("<DescribeInstancesResponse"), "{file}: {status} {text}");
        } else {
            assert!(status == 500 && text.contains("<faultcode>soapenv:Client"), "{file}: {status} {text}");
        }
    }
}

#[tokio::test]
async fn soap_answers_in_the_namespace_of_the_request() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/wssec");
    let body = std::fs::read_to_string(format!("{folder}/ok-2009-11-30.xml")).unwrap();
    let (status, text) = ask(&stand("2026-11-20T09:02:00Z", false), soap(&body)).await;
    assert_eq!(status, 200, "{text}");
    assert!(text.contains("xmlns=\"http://ec2.amazonaws.com/doc/2009-11-30/\""), "{text}");
    // What that version did not have yet.
    assert!(!text.contains("tagSet") && !text.contains("virtualizationType") && !text.contains("groupName"));
    assert!(text.contains("<groupSet><item><groupId>default</groupId></item></groupSet>"));
}
