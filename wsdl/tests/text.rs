//! Text goes through the wire whole, and nothing that comes from it brings a tier down.

use ironbark_wsdl::marshal::{MarshalError, bytes_carried, carry_bytes, from_xml, to_xml};
use ironbark_wsdl::{cc, envelope, nc};
use proptest::prelude::*;

/// Any text that XML 1.0 can carry, with much of what gets lost on the way elsewhere.
fn carried() -> impl Strategy<Value = String> {
    let awkward = prop::sample::select(vec![
        " ",
        "  ",
        "\t",
        "\n",
        "\r",
        "\r\n",
        "\n\r",
        "&",
        "<",
        ">",
        "]]>",
        "&#xD;",
        "&amp;",
        "<![CDATA[",
        "<!--",
        "\"",
        "'",
        "\u{85}",
        "\u{2028}",
        "\u{fffd}",
        "\u{feff}",
        "\u{10ffff}",
        "\u{7f}",
        "e\u{301}",
        "東",
        "😀",
        "#!/bin/sh",
    ]);
    let any = any::<char>().prop_filter(
        "XML 1.0",
        |c| matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..),
    );
    let part =
        prop_oneof![3 => awkward.prop_map(str::to_string), 2 => any.prop_map(|c| c.to_string()), 1 => "[a-z]{1,8}"];
    prop::collection::vec(part, 0..24).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn text_comes_back_as_it_went(user_data in carried(), key in carried(), groups in prop::collection::vec(carried(), 0..4)) {
        let request = nc::RunInstance {
            key_name: key,
            user_data: Some(user_data),
            group_names: groups,
            ..nc::RunInstance::default()
        };
        let xml = to_xml(&request).expect("text that XML can carry");
        prop_assert!(!xml.contains('\r'), "a raw carriage return would be read as a line feed");
        prop_assert_eq!(from_xml::<nc::RunInstance>(&xml).expect("our own message"), request);
    }

    #[test]
    fn forbidden_characters_are_refused(before in carried(), c in prop::sample::select(vec!['\0', '\u{1}', '\u{8}', '\u{b}', '\u{c}', '\u{1b}', '\u{1f}', '\u{fffe}', '\u{ffff}'])) {
        let request = cc::RunInstances { user_data: format!("{before}{c}"), ..cc::RunInstances::default() };
        let path = "RunInstances/userData".to_string();
        prop_assert_eq!(to_xml(&request), Err(MarshalError::Character { path, code: c.into() }));
    }

    /// Through an envelope and its canonical form, which is what a tier reads.
    #[test]
    fn text_survives_the_envelope(user_data in carried(), key in carried()) {
        let request = nc::RunInstance { key_name: key, user_data: Some(user_data), ..nc::RunInstance::default() };
        let body = to_xml(&request).expect("text that XML can carry");
        let soap = "http://schemas.xmlsoap.org/soap/envelope/";
        let message = format!("<s:Envelope xmlns:s=\"{soap}\"><s:Header/><s:Body>{body}</s:Body></s:Envelope>");
        let envelope = envelope::read(message.as_bytes(), &envelope::Limits::default()).expect("an envelope");
        prop_assert_eq!(from_xml::<nc::RunInstance>(&envelope.body).expect("our own message"), request);
    }

    #[test]
    fn bytes_are_carried(text in carried(), bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let request = |user_data| nc::RunInstance { user_data: Some(user_data), ..nc::RunInstance::default() };
        let marked = carry_bytes(text.as_bytes()).into_bytes();
        for data in [text.into_bytes(), bytes, marked] {
            let xml = to_xml(&request(carry_bytes(&data))).expect("bytes that XML can carry");
            let back = from_xml::<nc::RunInstance>(&xml).expect("our own message").user_data.expect("sent");
            prop_assert_eq!(bytes_carried(&back), data);
        }
    }

    /// Bytes of a good message with some of them changed: an answer or an error, never a panic.
    #[test]
    fn broken_messages_never_panic(at in any::<prop::sample::Index>(), length in 0usize..12, put in "[<>/&;n:a-z\" =!\\[\\]\\-?]{0,12}") {
        let request = nc::RunInstance { net_params: nc::NetConfig::default(), ..nc::RunInstance::default() };
        let good = to_xml(&request).expect("a message");
        let at = at.index(good.len());
        let broken = format!("{}{put}{}", &good[..at], &good[(at + length).min(good.len())..]);
        let _ = from_xml::<nc::RunInstance>(&broken);
    }
}

const NS: &str = "xmlns:n=\"http://eucalyptus.ucsb.edu/\"";

fn reboot(content: &str) -> Result<nc::RebootInstance, MarshalError> {
    from_xml(&format!("<n:ncRebootInstance {NS}>{content}</n:ncRebootInstance>"))
}

const ID: &str = "<n:instanceId>i-1</n:instanceId>";

#[test]
fn another_root_is_refused() {
    let other = format!("<n:ncTerminateInstance {NS}>{ID}</n:ncTerminateInstance>");
    let error = from_xml::<nc::RebootInstance>(&other).expect_err("another operation");
    assert_eq!(
        error.to_string(),
        "the message is {http://eucalyptus.ucsb.edu/}ncTerminateInstance, expected {http://eucalyptus.ucsb.edu/}ncRebootInstance"
    );
    for root in ["<ncRebootInstance/>", "<n:ncRebootInstance xmlns:n=\"urn:other\"/>"] {
        let error = from_xml::<nc::RebootInstance>(root).expect_err("no message of ours");
        assert!(matches!(error, MarshalError::WrongRoot { .. }), "{root}: {error}");
    }
}

#[test]
fn a_scalar_twice_is_refused_and_a_list_is_not() {
    let error = reboot(&format!("{ID}{ID}")).expect_err("two ids");
    assert_eq!(error, MarshalError::Repeated { path: "ncRebootInstance/instanceId".to_string() });
    let ids = "<n:instanceIds>i-1</n:instanceIds>".repeat(200);
    let list: cc::RebootInstances =
        from_xml(&format!("<n:RebootInstances {NS}>{ids}</n:RebootInstances>")).expect("a list");
    assert_eq!(list.instance_ids.len(), 200);
}

#[test]
fn order_and_unknown_elements_do_not_matter() {
    let content =
        format!("<n:new><n:instanceId>i-9</n:instanceId>text</n:new>{ID}<x>y</x><n:userId>alice</n:userId>\n");
    let request = reboot(&content).expect("a message with more in it");
    assert_eq!((request.instance_id.as_str(), request.user_id.as_deref()), ("i-1", Some("alice")));
    let default_prefix =
        "<ncRebootInstance xmlns=\"http://eucalyptus.ucsb.edu/\"><instanceId>i-1</instanceId></ncRebootInstance>";
    assert_eq!(from_xml::<nc::RebootInstance>(default_prefix).expect("no prefix").instance_id, "i-1");
}

#[test]
fn errors_name_the_field() {
    for (content, problem) in [
        ("<n:instanceId>i-1<b/></n:instanceId>", "ncRebootInstance/instanceId has elements in it; it holds text only"),
        ("", "ncRebootInstance/instanceId is missing; it is mandatory"),
        ("loose", "ncRebootInstance has text in it; it holds elements only"),
        (
            "<n:statusMessage>ten</n:statusMessage>",
            "ncRebootInstance/statusMessage: `ten` is not a whole number of 32 bits",
        ),
        (
            "<n:statusMessage>2147483648</n:statusMessage>",
            "ncRebootInstance/statusMessage: `2147483648` is not a whole number of 32 bits",
        ),
        ("<n:return>TRUE</n:return>", "ncRebootInstance/return: `TRUE` is not true or false"),
    ] {
        assert_eq!(reboot(content).expect_err(content).to_string(), problem);
    }
    let nested = format!(
        "<n:DescribeResources {NS}><n:instanceTypes><n:disk>x</n:disk></n:instanceTypes></n:DescribeResources>"
    );
    let error = from_xml::<cc::DescribeResources>(&nested).expect_err("no number");
    assert_eq!(error.to_string(), "DescribeResources/instanceTypes/disk: `x` is not a whole number of 32 bits");
}

#[test]
fn blanks_around_numbers_do_not_count() {
    let request =
        reboot(&format!("{ID}<n:statusMessage> +7\n</n:statusMessage><n:return> 1 </n:return>")).expect("padded");
    assert_eq!((request.status_message, request.accepted), (Some(7), Some(true)));
}

/// 2.0.1 leaves the mandatory elements of a refusal out.
#[test]
fn a_refusal_may_lack_everything() {
    let refusal =
        format!("<n:ncDescribeResourceResponse {NS}><n:return>false</n:return></n:ncDescribeResourceResponse>");
    let response: nc::DescribeResourceResponse = from_xml(&refusal).expect("a refusal");
    assert_eq!((response.accepted, response.memory_size_max), (Some(false), 0));
    let claim = refusal.replace("false", "true");
    assert!(from_xml::<nc::DescribeResourceResponse>(&claim).is_err());
}

#[test]
fn doctypes_and_instructions_are_refused() {
    let message = format!("<n:ncRebootInstance {NS}>{ID}</n:ncRebootInstance>");
    for before in ["<!DOCTYPE n>", "<?php x?>", "<!DOCTYPE a [<!ENTITY b \"c\">]>"] {
        let error = from_xml::<nc::RebootInstance>(&format!("{before}{message}")).expect_err(before);
        assert!(matches!(error, MarshalError::Malformed(_)), "{error}");
    }
    assert!(reboot("<n:instanceId>&file;</n:instanceId>").is_err(), "an unknown entity");
    assert!(reboot("<n:instanceId>&#1;</n:instanceId>").is_err(), "a character that XML cannot carry");
}

#[test]
fn a_message_is_one_whole_document() {
    let message = format!("<n:ncRebootInstance {NS}>{ID}</n:ncRebootInstance>");
    for at in 0..message.len() {
        let error = from_xml::<nc::RebootInstance>(&message[..at]).expect_err(&message[..at]);
        assert!(matches!(error, MarshalError::Malformed(_)), "{}: {error}", &message[..at]);
    }
    for after in ["<a/>", "text", "<![CDATA[x]]>", message.as_str()] {
        let error = from_xml::<nc::RebootInstance>(&format!("{message}{after}")).expect_err(after);
        assert!(matches!(error, MarshalError::Malformed(_)), "{error}");
    }
    assert!(from_xml::<nc::RebootInstance>(&format!("\n{message} <!-- the end -->\n")).is_ok());
}

#[test]
fn deep_nesting_in_an_unknown_element_costs_nothing() {
    let deep = format!("{}{}", "<n:a>".repeat(100_000), "</n:a>".repeat(100_000));
    let began = std::time::Instant::now();
    reboot(&format!("{deep}{ID}")).expect("an unknown element is passed over");
    assert!(began.elapsed().as_secs() < 5, "took {:?}", began.elapsed());
}
