//! Whatever a stranger or a user sends: an answer, never a panic, never "try again".

use proptest::prelude::*;

use super::*;
use crate::front::flatten::flatten;

/// Text out of what parsers stumble over.
fn rough() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[ -~]{0,6}",
        Just("%".to_string()),
        Just("&".to_string()),
        Just("=".to_string()),
        Just("%C3%A9".to_string()),
        Just(".1.".to_string()),
        Just("Filter.1.Name".to_string()),
        Just("SignatureVersion=2&".to_string()),
        Just("X-Amz-Algorithm=AWS4-HMAC-SHA256&".to_string()),
        Just("4294967296".to_string()),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn strangers_get_an_error_of_theirs(query in rough(), body in rough(), authorization in rough(), post: bool, xml: bool) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let stand = stand("2026-11-20T09:00:00Z", false);
        let safe: String = query.chars().filter(|c| c.is_ascii_graphic() && !"<>\"#{}|\\^`".contains(*c)).collect();
        let method = if post { "POST" } else { "GET" };
        let kind = if xml { "text/xml" } else { "application/x-www-form-urlencoded" };
        let mut headers = vec![("content-type".to_string(), kind.to_string()), ("host".to_string(), "h".to_string())];
        if !authorization.is_empty() {
            headers.push(("authorization".to_string(), format!("AWS4-HMAC-SHA256 {authorization}")));
        }
        let (status, text) = runtime.block_on(ask(&stand, request(&format!("{method} /?{safe} HTTP/1.1"), &headers, &body)));
        let fault = post && xml && text.contains("<faultcode>soapenv:Client");
        let error = (400..500).contains(&status) && text.contains("<Errors><Error><Code>");
        prop_assert!(fault || error || text.contains("<definitions"), "{status} {text}");
    }

    #[test]
    fn users_get_an_answer(number in 0_usize..1000, names in proptest::collection::vec((0_usize..14, rough()), 0..8)) {
        const NAMES: [&str; 14] = [
            "InstanceId.1", "InstanceId", "ImageId", "MinCount", "MaxCount", "KeyName", "UserData", "MaxResults",
            "NextToken", "Filter.1.Name", "Filter.1.Value.1", "PublicKeyMaterial", "ImageLocation", "DryRun",
        ];
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let stand = stand("2026-11-20T09:00:00Z", false);
        let action = actions().names(Door::Query);
        let action = action[number % action.len()];
        let mut pairs = vec![("Action", action)];
        for (name, value) in &names {
            if pairs.iter().all(|(other, _)| other != &NAMES[*name]) {
                pairs.push((NAMES[*name], value));
            }
        }
        let (status, text) = runtime.block_on(ask(&stand, signed(&stand.clock.now(), &pairs)));
        prop_assert!(status < 500 && status != 401, "{pairs:?}: {status} {text}");
    }

    #[test]
    fn flattening_never_panics(body in "(<[a-z]{1,3}( [a-z]=\"x\")?/?>|</[a-z]{1,3}>|&amp;|&#[0-9x]{1,4};|[a-z <&]){0,40}") {
        let _ = flatten(&body);
    }
}
