//! What goes wrong, and what the client is told.

use super::*;

const NOW: &str = "2026-11-20T09:00:00Z";

async fn query(pairs: &[(&str, &str)]) -> (u16, String) {
    let stand = stand(NOW, false);
    ask(&stand, signed(&stand.clock.now(), pairs)).await
}

fn code(text: &str) -> &str {
    let from = text.find("<Code>").map_or(0, |at| at + 6);
    &text[from..text.find("</Code>").unwrap_or(from)]
}

#[tokio::test]
async fn client_mistakes_have_their_codes_and_never_a_5xx() {
    type Case = (&'static [(&'static str, &'static str)], u16, &'static str);
    let cases: &[Case] = &[
        (&[], 400, "MissingAction"),
        (&[("Action", "Nonsense")], 400, "InvalidAction"),
        (&[("Action", "RebootInstances")], 400, "InvalidParameterCombination"),
        (&[("Action", "RebootInstances"), ("InstanceId.1", "x")], 400, "InvalidInstanceID.Malformed"),
        (&[("Action", "DescribeImages"), ("ImageId.1", "emi-1")], 400, "InvalidAMIID.Malformed"),
        (&[("Action", "DescribeInstances"), ("Filter.1.Name", "colour")], 400, "InvalidParameterValue"),
        (&[("Action", "DescribeInstances"), ("MaxResults", "1")], 400, "InvalidParameterValue"),
        (&[("Action", "RebootInstances"), ("InstanceId", "i-1A2B3C4D"), ("DryRun", "true")], 412, "DryRunOperation"),
        (&[("Action", "RebootInstances"), ("DryRun", "true")], 400, "InvalidParameterCombination"),
        (&[("Action", "DescribeClusters")], 403, "UnauthorizedOperation"),
    ];
    for (pairs, status, expected) in cases {
        let (got, text) = query(pairs).await;
        assert_eq!((got, code(&text)), (*status, *expected), "{pairs:?}: {text}");
        assert!(text.contains("<Response><Errors><Error><Code>") && text.contains("<RequestID>"), "{text}");
    }
}

#[tokio::test]
async fn what_is_not_authentic_gets_nothing() {
    let stand = stand(NOW, false);
    let plain = |line: &str| request(line, &[("host".into(), "cloud.example".into())], "");
    let cases = [
        ("GET /?Action=DescribeRegions HTTP/1.1", 403, "MissingAuthenticationToken"),
        ("GET / HTTP/1.1", 403, "MissingAuthenticationToken"),
        ("GET /?SignatureVersion=1&Action=X HTTP/1.1", 400, "IncompleteSignature"),
        ("GET /?A=1&A=2 HTTP/1.1", 400, "MalformedQueryString"),
        ("GET /?A=%zz HTTP/1.1", 400, "MalformedQueryString"),
        ("GET /elsewhere HTTP/1.1", 404, "NotFound"),
        ("PUT / HTTP/1.1", 405, "MethodNotAllowed"),
    ];
    for (line, status, expected) in cases {
        let (got, text) = ask(&stand, plain(line)).await;
        assert_eq!((got, code(&text)), (status, expected), "{line}: {text}");
    }
    let stranger = request(
        "GET /?AWSAccessKeyId=AKIAOTHER&SignatureVersion=2&SignatureMethod=HmacSHA256&Timestamp=2026-11-20T09:00:00Z&Signature=x&Action=DescribeRegions HTTP/1.1",
        &[("host".into(), "h".into())],
        "",
    );
    assert_eq!(ask(&stand, stranger).await.0, 401);
    let recorded = ask(&stand, signed(&stand.clock.now(), &[("Action", "DescribeRegions")])).await;
    assert_eq!(recorded.0, 200);
}

#[tokio::test]
async fn unknown_keys_and_wrong_secrets_look_alike() {
    let stand = stand(NOW, false);
    let spoil = |from: &str, to: &str| {
        let good = signed(&stand.clock.now(), &[("Action", "DescribeRegions")]);
        let line = format!("GET {} HTTP/1.1", good.uri().to_string().replace(from, to));
        request(&line, &[("host".into(), "cloud.example".into())], "")
    };
    let without_id = |text: String| text[..text.find("<RequestID>").unwrap()].to_string();
    let (_, unknown) = ask(&stand, spoil(KEY, "AKIAOTHER")).await;
    let (_, wrong) = ask(&stand, spoil("DescribeRegions", "DescribeImages")).await;
    assert_eq!(without_id(unknown), without_id(wrong));
}

#[tokio::test]
async fn a_change_is_taken_once_and_a_look_as_often_as_wanted() {
    let stand = stand(NOW, false);
    let again = async |pairs: &[(&str, &str)]| {
        let first = ask(&stand, signed(&stand.clock.now(), pairs)).await;
        assert_eq!(first.0, 200, "{}", first.1);
        let second = ask(&stand, signed(&stand.clock.now(), pairs)).await;
        (second.0, code(&second.1).to_string())
    };
    assert_eq!(again(&[("Action", "DescribeInstances")]).await.0, 200);
    let named = [("Action", "CreateKeyPair"), ("KeyName", "k")];
    assert_eq!(again(&named).await.0, 200, "the action itself will say that the name is taken");
    let run = [("Action", "RunInstances"), ("ImageId", "emi-11111111"), ("MinCount", "1"), ("MaxCount", "1")];
    assert_eq!(again(&run).await, (401, "AuthFailure".into()));
    let reboot = [("Action", "RebootInstances"), ("InstanceId.1", "i-1A2B3C4D")];
    assert_eq!(again(&reboot).await.0, 200, "libraries send a request again when its connection breaks");
    let old = signed(&stand.clock.now(), &reboot);
    stand.clock.advance(jiff::SignedDuration::from_secs(10));
    assert_eq!(ask(&stand, old).await.0, 401, "nobody else may, later");
    let token = [&run[..], &[("ClientToken", "t")]].concat();
    assert_eq!(again(&token).await.0, 200);
}

#[tokio::test]
async fn a_panic_is_one_failed_request() {
    let stand = stand(NOW, true);
    let (status, text) = ask(&stand, signed(&stand.clock.now(), &[("Action", "DescribeClusters")])).await;
    assert_eq!((status, code(&text)), (500, "InternalError"));
    assert!(!text.contains("panic"));
    assert_eq!(ask(&stand, signed(&stand.clock.now(), &[("Action", "DescribeRegions")])).await.0, 200);
}

#[tokio::test]
async fn the_trace_has_the_way_of_the_request_and_nothing_of_strangers() {
    let stand = stand(NOW, false);
    let answer = stand.front.handle(signed(&stand.clock.now(), &[("Action", "DescribeRegions")])).await;
    let (_, id, _) = read(answer).await;
    let spans = stand.recorder.of(&id);
    let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["clc.front.verify", "clc.action", "clc.front.answer", "clc.request"]);
    let root = spans.iter().find(|span| span.name == "clc.request").unwrap();
    assert!(root.parent.is_none());
    assert!(spans.iter().filter(|span| span.name != "clc.request").all(|span| span.parent.as_ref() == Some(&root.id)));
    assert_eq!(root.id, id, "what goes on after the answer finds it by the request's id");
    let steps: i64 = spans.iter().filter(|span| span.name != "clc.request").map(|span| span.duration).sum();
    assert!(steps * 100 >= root.duration * 95, "no time of a request is nobody's: {spans:?}");
    let stranger = request("GET /?Action=DescribeRegions HTTP/1.1", &[("host".into(), "h".into())], "");
    let (_, id, _) = read(stand.front.handle(stranger).await).await;
    assert!(stand.recorder.of(&id).is_empty());
}

#[tokio::test]
async fn administrators_tools_speak_their_own_version() {
    let stand = stand(NOW, false);
    let mut good = signed(&stand.clock.now(), &[("Action", "DescribeRegions")]);
    let line = good.uri().to_string();
    // Signed again with another Version: the signature covers it.
    let query = line.trim_start_matches("/?").split("&Signature=").next().unwrap().replace("2010-08-31", "eucalyptus");
    let signature = form::encode(&hmac(&format!("GET\ncloud.example\n/\n{query}")));
    *good.uri_mut() = format!("/?{query}&Signature={signature}").parse().unwrap();
    let (status, text) = ask(&stand, good).await;
    assert!(status == 200 && text.contains("xmlns=\"http://msgs.eucalyptus.com\""), "{status} {text}");
}

#[tokio::test]
async fn the_contract_is_served_with_the_clouds_own_address() {
    let stand = stand(NOW, false);
    let (status, text) = ask(&stand, request("GET /services/Eucalyptus/?wsdl HTTP/1.1", &[], "")).await;
    assert_eq!(status, 200);
    assert!(text.contains("location=\"http://cloud.example:8773/services/Eucalyptus\"") && !text.contains("localhost"));
}

#[tokio::test]
async fn bodies_that_are_neither_form_nor_soap_are_refused() {
    let stand = stand(NOW, false);
    let kind = |kind: &str| [("content-type".to_string(), kind.to_string())];
    let (status, text) = ask(&stand, request("POST / HTTP/1.1", &kind("application/json"), "{}")).await;
    assert_eq!((status, code(&text)), (400, "InvalidRequest"));
    let (status, text) = ask(&stand, request("POST / HTTP/1.1", &kind("text/xml"), "<a/>")).await;
    assert!(status == 500 && text.contains("<faultcode>soapenv:"), "{text}");
    let big = "a".repeat(2 << 20);
    let (status, text) =
        ask(&stand, request("POST / HTTP/1.1", &kind("application/x-www-form-urlencoded"), &big)).await;
    assert_eq!((status, code(&text)), (413, "RequestTooLarge"));
}

#[test]
fn codes_are_as_ec2_writes_them() {
    assert_eq!(Code::InvalidInstanceIdNotFound.as_str(), "InvalidInstanceID.NotFound");
    assert_eq!(Code::InvalidImageIdMalformed.as_str(), "InvalidAMIID.Malformed");
}
