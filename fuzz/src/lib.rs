//! What must be true of any bytes that a stranger sends: one function a fuzz target, which panics
//! where it is not. `tests/tests/corpus.rs` includes this file and runs the corpus through it.

mod front;

use std::fmt::Debug;
use std::sync::{Arc, OnceLock};

use ironbark_wsdl::clock::Clock;
use ironbark_wsdl::envelope::{self, Envelope, Limits, Outgoing};
use ironbark_wsdl::euca201::dialect;
use ironbark_wsdl::marshal::{Wire, from_xml, to_xml};
use ironbark_wsdl::wsse::{Certificate, Expect, Identity, Profile, Security};
use ironbark_wsdl::{cc, ironbark, nc};

pub use front::front;

/// Any bytes as an envelope: refused with a sentence, or read so that every other reader of what was
/// read sees the same.
pub fn envelope(data: &[u8]) {
    let envelope = match envelope::read(data, &Limits::request()) {
        Ok(envelope) => envelope,
        Err(fault) => {
            assert!(!fault.reason.is_empty());
            return;
        }
    };
    // Limits refuse; they do not change what is read.
    let unhurried = envelope::read(data, &Limits::default()).expect("wider limits");
    assert_eq!(said(&unhurried), said(&envelope));
    parses_elsewhere(&envelope);
    // What was read can be sent on, and is read again as it was, even by the smaller limits unless it
    // has grown.
    let epochs = Some(envelope.epochs.to_string()).filter(|epochs| !epochs.is_empty());
    let outgoing = Outgoing {
        to: envelope.to.as_deref(),
        action: envelope.action.as_deref(),
        message_id: envelope.message_id.as_deref(),
        relates_to: envelope.relates_to.as_deref(),
        reason: envelope.reason.as_deref(),
        epochs: epochs.as_deref(),
        body: &envelope.body,
    };
    let written = envelope::write(&outgoing, None).expect("what was read can be written");
    let again = envelope::read(written.as_bytes(), &Limits { bytes: usize::MAX, ..Limits::default() });
    assert_eq!(said(&again.expect("our own envelope")), said(&envelope));
}

/// All that a handler can learn from an envelope.
type Said = [Option<String>; 9];

fn said(envelope: &Envelope) -> Said {
    [
        Some(envelope.body.clone()),
        Some(envelope.body_name.namespace.clone()),
        Some(envelope.body_name.local.clone()),
        envelope.to.clone(),
        envelope.action.clone(),
        envelope.message_id.clone(),
        envelope.relates_to.clone(),
        envelope.reason.clone(),
        Some(envelope.epochs.to_string()),
    ]
}

/// The parser under yaserde is another one than that of the envelope: it must find the canonical body
/// to be one document with the root that was dispatched on.
fn parses_elsewhere(envelope: &Envelope) {
    use xml::reader::{EventReader, XmlEvent};
    let mut root = None;
    for event in EventReader::new(envelope.body.as_bytes()) {
        match event.unwrap_or_else(|error| panic!("{error}: {}", envelope.body)) {
            XmlEvent::StartElement { name, .. } if root.is_none() => root = Some(name),
            XmlEvent::ProcessingInstruction { .. } | XmlEvent::Doctype { .. } => panic!("{}", envelope.body),
            _ => {}
        }
    }
    let root = root.expect("a body has a root");
    assert_eq!(root.local_name, envelope.body_name.local);
    assert_eq!(root.namespace.unwrap_or_default(), envelope.body_name.namespace);
}

/// The messages that were signed with keys nobody has any more, by whom, and what they are.
const ORIGINALS: [(&[u8], &str); 5] = [
    (include_bytes!("../originals/request-ecdsa.xml"), "urn:uuid:1"),
    (include_bytes!("../originals/request-rsa.xml"), "urn:uuid:2"),
    (include_bytes!("../originals/reply.xml"), "urn:uuid:3"),
    (include_bytes!("../originals/refusal.xml"), "urn:uuid:4"),
    (include_bytes!("../originals/old-request.xml"), "urn:uuid:5"),
];
const ECDSA: &str = include_str!("../originals/ecdsa.pem");
const RSA: &str = include_str!("../originals/rsa.pem");
const OLD: &str = include_str!("../originals/old.pem");
/// When the originals were signed, and a minute.
const THEN: &str = "2026-11-20T12:01:00Z";

struct Doors {
    strict: Security,
    user: Security,
    originals: Vec<Said>,
}

fn doors() -> &'static Doors {
    static DOORS: OnceLock<Doors> = OnceLock::new();
    DOORS.get_or_init(|| {
        let clock = Clock::manual(THEN.parse().expect("a time"));
        let identity = Arc::new(Identity::generate_rsa("fuzz").expect("a key"));
        let certificate = |pem| Certificate::from_pem(pem).expect("a certificate");
        let strict = Security::new(identity.clone(), Profile::Strict, clock.clone());
        strict.trust(vec![certificate(ECDSA), certificate(RSA)]);
        let strict = strict.with_old_callers(identity.clone(), vec![certificate(OLD)]).expect("RSA keys");
        let user = Security::new(identity, Profile::User, clock);
        let originals = ORIGINALS.map(|(bytes, _)| said(&envelope::read(bytes, &Limits::default()).expect("ours")));
        Doors { strict, user, originals: originals.to_vec() }
    })
}

/// Any bytes as a message that somebody signed: not believed, or one of those that were.
pub fn verifier(data: &[u8]) {
    let Ok(envelope) = envelope::read(data, &Limits::request()) else { return };
    let doors = doors();
    let said = said(&envelope);
    let old = doors.strict.profile_of(&envelope) == Profile::Euca201;
    let replies = ORIGINALS.iter().map(|(_, to)| Expect::Reply { to });
    for expect in replies.chain([Expect::Reading, Expect::Request]) {
        if doors.strict.verify(&envelope, expect).is_err() {
            continue;
        }
        if old {
            // 2.0.1's signature covers the addressing only.
            let addressing = |said: &Said| said[3..7].to_vec();
            assert!(doors.originals.iter().any(|original| addressing(original) == addressing(&said)), "{said:?}");
        } else {
            assert!(doors.originals.contains(&said), "believed, and never signed: {said:?}");
        }
    }
    drop(doors.user.verify(&envelope, Expect::Reading));
}

/// A message is refused with a sentence, or survives being written and read, and being told to an
/// old peer.
fn goes_round<T: Wire + PartialEq + Debug>(xml: &str) {
    match from_xml::<T>(xml) {
        Ok(message) => {
            let written = to_xml(&message).expect("what was read can be written");
            let again = from_xml::<T>(&written).unwrap_or_else(|error| panic!("{error}: {written}"));
            assert_eq!(again, message, "{written}");
            drop(dialect::request(T::CONTRACT, &written));
            drop(dialect::answer(&written));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// The body of an envelope, or the bytes as they are: then by no means canonical.
fn body(data: &[u8]) -> Option<String> {
    match envelope::read(data, &Limits::request()) {
        Ok(envelope) => Some(envelope.body),
        Err(_) => std::str::from_utf8(data).ok().map(str::to_string),
    }
}

macro_rules! each {
    ($body:expr, $($message:ty,)*) => {
        // Names that begin alike are tried alike: a wrong root is one of the things that are refused.
        $(if $body.contains(<$message as Wire>::ELEMENT) { goes_round::<$message>($body) })*
    };
}

/// Any bytes as a message of a node's contracts.
pub fn nc_messages(data: &[u8]) {
    let Some(body) = body(data) else { return };
    let body = body.as_str();
    each!(
        body,
        nc::DescribeResource,
        nc::DescribeResourceResponse,
        nc::DescribeInstances,
        nc::DescribeInstancesResponse,
        nc::RunInstance,
        nc::RunInstanceResponse,
        nc::TerminateInstance,
        nc::TerminateInstanceResponse,
        nc::RebootInstance,
        nc::RebootInstanceResponse,
        nc::GetConsoleOutput,
        nc::GetConsoleOutputResponse,
        nc::AttachVolume,
        nc::AttachVolumeResponse,
        nc::DetachVolume,
        nc::DetachVolumeResponse,
        nc::StartNetwork,
        nc::StartNetworkResponse,
        nc::PowerDown,
        nc::PowerDownResponse,
        nc::BundleInstance,
        nc::BundleInstanceResponse,
        nc::CancelBundleTask,
        nc::CancelBundleTaskResponse,
        nc::DescribeBundleTasks,
        nc::DescribeBundleTasksResponse,
        ironbark::DescribeNode,
        ironbark::DescribeNodeResponse,
        ironbark::StopInstance,
        ironbark::StopInstanceResponse,
        ironbark::StartInstance,
        ironbark::StartInstanceResponse,
        ironbark::DescribeTrace,
        ironbark::DescribeTraceResponse,
        ironbark::DescribeLogs,
        ironbark::DescribeLogsResponse,
        ironbark::DescribeInventory,
        ironbark::DescribeInventoryResponse,
    );
}

/// Any bytes as a message of a cluster's contracts.
pub fn cc_messages(data: &[u8]) {
    let Some(body) = body(data) else { return };
    let body = body.as_str();
    each!(
        body,
        cc::DescribeInstances,
        cc::DescribeInstancesResponse,
        cc::DescribeResources,
        cc::DescribeResourcesResponse,
        cc::RunInstances,
        cc::RunInstancesResponse,
        cc::TerminateInstances,
        cc::TerminateInstancesResponse,
        cc::RebootInstances,
        cc::RebootInstancesResponse,
        cc::GetConsoleOutput,
        cc::GetConsoleOutputResponse,
        cc::AttachVolume,
        cc::AttachVolumeResponse,
        cc::DetachVolume,
        cc::DetachVolumeResponse,
        cc::StartNetwork,
        cc::StartNetworkResponse,
        cc::StopNetwork,
        cc::StopNetworkResponse,
        cc::ConfigureNetwork,
        cc::ConfigureNetworkResponse,
        cc::AssignAddress,
        cc::AssignAddressResponse,
        cc::UnassignAddress,
        cc::UnassignAddressResponse,
        cc::DescribeNetworks,
        cc::DescribeNetworksResponse,
        cc::DescribePublicAddresses,
        cc::DescribePublicAddressesResponse,
        cc::BundleInstance,
        cc::BundleInstanceResponse,
        cc::CancelBundleTask,
        cc::CancelBundleTaskResponse,
        cc::DescribeBundleTasks,
        cc::DescribeBundleTasksResponse,
        ironbark::DescribeCluster,
        ironbark::DescribeClusterResponse,
        ironbark::StopInstances,
        ironbark::StopInstancesResponse,
        ironbark::StartInstances,
        ironbark::StartInstancesResponse,
        ironbark::RegisterNode,
        ironbark::RegisterNodeResponse,
        ironbark::DeregisterNode,
        ironbark::DeregisterNodeResponse,
        ironbark::ModifyNode,
        ironbark::ModifyNodeResponse,
        ironbark::RestrictPlacement,
        ironbark::RestrictPlacementResponse,
    );
}
