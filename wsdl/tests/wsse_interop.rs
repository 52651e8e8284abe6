//! Another implementation (xmlsec, through Python) verifies what we sign. Which Python:
//! `IRONBARK_PYTHON`, else `python3`; without its module xmlsec the test says so and does nothing.

mod python;

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;

use ironbark_wsdl::clock::Clock;
use ironbark_wsdl::envelope::{Outgoing, write};
use ironbark_wsdl::euca201::{self, Addressing};
use ironbark_wsdl::wsse::{Identity, Profile, Security};
use serde_json::json;

/// Verifies one message per line of input, then again with a letter of the Body changed.
const VERIFIER: &str = r#"
import json, sys, xmlsec
from lxml import etree
DS = "{http://www.w3.org/2000/09/xmldsig#}"
WSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
def holds(document, certificate):
    root = etree.fromstring(document.encode())
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(certificate, xmlsec.constants.KeyDataFormatCertPem)
    for element in root.iter():
        if element.get("{%s}Id" % WSU):
            context.register_id(element, "Id", WSU)
    try:
        context.verify(root.find(".//" + DS + "Signature"))
        return True
    except xmlsec.Error:
        return False
for line in sys.stdin:
    case = json.loads(line)
    changed = case["document"].replace("i-1A2B3C4D", "i-1A2B3C4E")
    print(holds(case["document"], case["certificate"]), holds(changed, case["certificate"]))
"#;

#[test]
fn xmlsec_verifies_what_we_sign() {
    let Some(python) = python::with_module("xmlsec") else { return };
    let mut input = String::new();
    for identity in [Identity::generate("ecdsa"), Identity::generate_rsa("rsa")] {
        let identity = Arc::new(identity.expect("a key"));
        let security = Security::new(identity.clone(), Profile::Strict, Clock::system());
        let outgoing = Outgoing {
            to: Some("http://127.0.0.1:8775/axis2/services/EucalyptusNC"),
            action: Some("EucalyptusNC#ncRebootInstance"),
            message_id: Some("urn:uuid:0d2f7f3e-57b5-4f0e-8d29-94ae3d6f6d10"),
            relates_to: Some("urn:uuid:other"),
            reason: Some("a < b & \"c\"\r\n"),
            epochs: None,
            body: "<n:ncRebootInstance xmlns:n='http://eucalyptus.ucsb.edu/' z='1' a='2'>\r\n<n:instanceId>i-1A2B3C4D</n:instanceId><n:e/></n:ncRebootInstance>",
        };
        let document = write(&outgoing, Some(&security.signer())).expect("well formed");
        input.push_str(&json!({ "document": document, "certificate": identity.cert_pem() }).to_string());
        input.push('\n');
    }
    // The profile euca-2.0.1 does not cover the Body, so a changed one verifies, too.
    let identity = Identity::generate_rsa("cluster").expect("a key");
    let (action, id) = ("EucalyptusNC#ncRebootInstance", "urn:uuid:1");
    let body = "<n:ncRebootInstance xmlns:n=\"http://eucalyptus.ucsb.edu/\"><n:instanceId>i-1A2B3C4D</n:instanceId></n:ncRebootInstance>";
    let to = "http://127.0.0.1:8775/axis2/services/EucalyptusNC";
    for addressing in [
        Addressing::Request { to, action, message_id: id },
        Addressing::Answer { action, from: to, message_id: id, relates_to: Some("urn:uuid:0 < 1 & \"2\"") },
    ] {
        let document = euca201::write(addressing, body, &identity).expect("an RSA key");
        input.push_str(&json!({ "document": document, "certificate": identity.cert_pem() }).to_string());
        input.push('\n');
    }
    let mut child = Command::new(python)
        .args(["-c", VERIFIER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python starts");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("python reads");
    let output = child.wait_with_output().expect("python ends");
    assert!(output.status.success(), "the verifier failed");
    let expected = "True False\nTrue False\nTrue True\nTrue True\n";
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "ECDSA, RSA, then as 2.0.1's client and server");
    eprintln!("xmlsec verifies our ECDSA and RSA signatures, and refuses a changed Body where it is signed");
}
