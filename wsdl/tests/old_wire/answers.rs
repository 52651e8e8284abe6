//! Every answer recorded from 2.0.1's servers, as our client judges and reads it; and what we write,
//! beside what they wrote.

use ironbark_wsdl::clock::Clock;
use ironbark_wsdl::envelope::{Limits, read};
use ironbark_wsdl::euca201::{Addressing, dialect, write};
use ironbark_wsdl::marshal::from_xml;
use ironbark_wsdl::wsse::{Expect, Identity, Profile, Security};
use ironbark_wsdl::{Response, Service, cc, nc};
use std::sync::Arc;

use crate::{Capture, body, captures, certificate, directory, find};

/// Our client's side of a conversation with the recorded server.
fn client(identity: &Arc<Identity>, service: Service) -> Security {
    let security = Security::new(identity.clone(), Profile::Euca201, Clock::system());
    security.trust(vec![certificate(if service == Service::Nc { "node-cert.pem" } else { "cluster-cert.pem" })]);
    security
}

fn signed(capture: &Capture) -> bool {
    find(&capture.response, b"SignatureValue").is_some()
}

#[test]
fn recorded_answers_are_believed_by_whom_they_answer_only() {
    let identity = Arc::new(Identity::generate_rsa("client").expect("a key"));
    let mut believed = 0;
    for capture in captures().iter().filter(|capture| signed(capture)) {
        let name = &capture.name;
        let answer =
            read(&body(&capture.response), &Limits::default()).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        let security = client(&identity, capture.service);
        let Some(id) = answer.relates_to.clone() else {
            // Requests without a MessageID have such answers; ours always have one.
            assert!(security.verify(&answer, Expect::Reply { to: "" }).is_err(), "{name}");
            continue;
        };
        let verified = security.verify(&answer, Expect::Reply { to: &id });
        assert!(verified.is_ok(), "{name}: {verified:?}");
        assert!(security.verify(&answer, Expect::Reply { to: "urn:uuid:other" }).is_err(), "{name}");
        assert!(security.verify(&answer, Expect::Request).is_err(), "{name}: an answer is no request");
        let other = if capture.service == Service::Nc { Service::Cc } else { Service::Nc };
        assert!(client(&identity, other).verify(&answer, Expect::Reply { to: &id }).is_err(), "{name}");
        let strict = Security::new(identity.clone(), Profile::Strict, Clock::system());
        strict.trust(vec![certificate("node-cert.pem"), certificate("cluster-cert.pem")]);
        assert!(strict.verify(&answer, Expect::Reply { to: &id }).is_err(), "{name}: strict is strict");
        believed += 1;
    }
    assert!(believed > 140, "{believed}");
}

/// Reads an answer's body and tells what its `return` says.
fn accepted(operation: &str, xml: &str) -> Option<bool> {
    macro_rules! read_as {
        ($($name:literal => $module:ident::$response:ident,)*) => {
            match operation {
                $($name => from_xml::<$module::$response>(xml)
                    .unwrap_or_else(|error| panic!("{operation}: {error}"))
                    .accepted(),)*
                other => panic!("{other} is no answer"),
            }
        };
    }
    read_as! {
        "ncDescribeResourceResponse" => nc::DescribeResourceResponse,
        "ncDescribeInstancesResponse" => nc::DescribeInstancesResponse,
        "ncRunInstanceResponse" => nc::RunInstanceResponse,
        "ncTerminateInstanceResponse" => nc::TerminateInstanceResponse,
        "ncRebootInstanceResponse" => nc::RebootInstanceResponse,
        "ncGetConsoleOutputResponse" => nc::GetConsoleOutputResponse,
        "ncAttachVolumeResponse" => nc::AttachVolumeResponse,
        "ncDetachVolumeResponse" => nc::DetachVolumeResponse,
        "ncStartNetworkResponse" => nc::StartNetworkResponse,
        "ncPowerDownResponse" => nc::PowerDownResponse,
        "ncBundleInstanceResponse" => nc::BundleInstanceResponse,
        "ncCancelBundleTaskResponse" => nc::CancelBundleTaskResponse,
        "ncDescribeBundleTasksResponse" => nc::DescribeBundleTasksResponse,
        "DescribeInstancesResponse" => cc::DescribeInstancesResponse,
        "DescribeResourcesResponse" => cc::DescribeResourcesResponse,
        "RunInstancesResponse" => cc::RunInstancesResponse,
        "TerminateInstancesResponse" => cc::TerminateInstancesResponse,
        "RebootInstancesResponse" => cc::RebootInstancesResponse,
        "GetConsoleOutputResponse" => cc::GetConsoleOutputResponse,
        "AttachVolumeResponse" => cc::AttachVolumeResponse,
        "DetachVolumeResponse" => cc::DetachVolumeResponse,
        "StartNetworkResponse" => cc::StartNetworkResponse,
        "StopNetworkResponse" => cc::StopNetworkResponse,
        "ConfigureNetworkResponse" => cc::ConfigureNetworkResponse,
        "AssignAddressResponse" => cc::AssignAddressResponse,
        "UnassignAddressResponse" => cc::UnassignAddressResponse,
        "DescribeNetworksResponse" => cc::DescribeNetworksResponse,
        "DescribePublicAddressesResponse" => cc::DescribePublicAddressesResponse,
        "BundleInstanceResponse" => cc::BundleInstanceResponse,
        "CancelBundleTaskResponse" => cc::CancelBundleTaskResponse,
        "DescribeBundleTasksResponse" => cc::DescribeBundleTasksResponse,
    }
}

#[test]
fn recorded_answers_say_what_they_said() {
    for capture in captures().iter().filter(|capture| signed(capture)) {
        let name = &capture.name;
        let answer = read(&body(&capture.response), &Limits::default()).expect("an envelope");
        let found = accepted(&answer.body_name.local, &answer.body);
        let recorded = capture.outcome.split(' ').find_map(|part| part.strip_prefix("return=")?.parse().ok());
        assert_eq!(found, recorded, "{name}");
    }
}

#[test]
fn a_hundred_instances_are_read() {
    let folder = directory().join("100-instances");
    let answer = std::fs::read(folder.join("nc-04-ncDescribeInstances.response.http")).expect("recorded");
    let answer = read(&body(&answer), &Limits::default()).expect("an envelope");
    let node: nc::DescribeInstancesResponse = from_xml(&answer.body).expect("a node's answer");
    let answer = std::fs::read(folder.join("cc-03-DescribeInstances.response.http")).expect("recorded");
    let answer = read(&body(&answer), &Limits::default()).expect("an envelope");
    let cluster: cc::DescribeInstancesResponse = from_xml(&answer.body).expect("a cluster's answer");
    assert_eq!((node.instances.len(), cluster.instances.len()), (100, 100));
    assert!(node.instances.iter().all(|instance| instance.launch_time.is_some()));
}

/// An envelope with everything that differs from message to message taken out.
fn shape(envelope: &str) -> String {
    let mut shape = String::new();
    for tag in envelope.split_inclusive('>') {
        let (text, tag) = tag.rsplit_once('<').unwrap_or(("", tag));
        let varies = ["SignatureValue", "DigestValue", "BinarySecurityToken", "wsa:MessageID"];
        if !varies.iter().any(|name| tag.starts_with('/') && tag.contains(name)) {
            shape.push_str(text);
        }
        shape.push('<');
        for attribute in tag.split(' ') {
            let id = ["Id=\"", "wsu:Id=\"", "URI=\"#"].iter().find(|name| attribute.starts_with(**name));
            let end = attribute.rfind('"').map_or("", |end| &attribute[end..]);
            shape.push_str(&id.map_or_else(|| attribute.to_string(), |name| format!("{name}{end}")));
            shape.push(' ');
        }
    }
    shape
}

#[test]
fn what_we_write_looks_like_what_they_wrote() {
    let identity = Identity::generate_rsa("client").expect("a key");
    let captures = captures();
    let named = |name: &str| captures.iter().find(|capture| capture.name == name).expect("a capture of this name");
    for (name, operation) in
        [("nc-07-ncRebootInstance", "ncRebootInstance"), ("nc-01-ncDescribeResource", "ncDescribeResource")]
    {
        let capture = named(name);
        let action = format!("EucalyptusNC#{operation}");
        for recorded in [body(&capture.request), body(&capture.response)] {
            let text = std::str::from_utf8(&recorded).expect("text");
            let read = read(&recorded, &Limits::default()).expect("an envelope");
            let message_id = "urn:uuid:1";
            let addressing = match &read.relates_to {
                None => Addressing::Request { to: read.to.as_deref().expect("To"), action: &action, message_id },
                Some(relates_to) => Addressing::Answer {
                    action: &action,
                    from: "http://127.0.0.1:8775/axis2/services/EucalyptusNC",
                    message_id,
                    relates_to: Some(relates_to),
                },
            };
            let body = dialect::request(Service::Nc, &read.body).expect("an old message");
            let ours = write(addressing, &body, &identity).expect("an RSA key");
            assert_eq!(shape(&ours), shape(text), "{name}");
        }
    }
}
