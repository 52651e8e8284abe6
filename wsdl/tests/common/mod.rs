//! What the conformance tests share: every message of the three contracts as one table, sample
//! messages made from a contract file, and XML as a flat list of leaves.

#![allow(dead_code, reason = "each test program uses its part")]

use std::fmt::Debug;

use ironbark_wsdl::marshal::{self, Contract, Field, Kind, MarshalError, Wire};
use ironbark_wsdl::{Response, Service, cc, ironbark, nc};
use quick_xml::Reader;
use quick_xml::events::Event;

/// All contracts.
pub const SERVICES: [Service; 3] = [Service::Nc, Service::Cc, Service::Ironbark];

/// Something done with a message, given as XML.
type Act = fn(&str) -> Result<String, MarshalError>;

/// One message struct, with its type forgotten.
pub struct Entry {
    pub service: Service,
    pub element: &'static str,
    /// XML into the struct and out again.
    pub round: Act,
    /// XML into the struct, shown by `Debug`.
    pub debug: Act,
    /// What a refusal for a reason looks like; responses only.
    pub refused: Option<Act>,
}

impl Entry {
    fn of<T: Wire + Debug>() -> Self {
        Self {
            service: T::CONTRACT,
            element: T::ELEMENT,
            round: |xml| marshal::to_xml(&marshal::from_xml::<T>(xml)?),
            debug: |xml| Ok(format!("{:?}", marshal::from_xml::<T>(xml)?)),
            refused: None,
        }
    }

    fn response<T: Wire + Debug + Response>() -> Self {
        Self { refused: Some(|reason| marshal::to_xml(&T::refused(reason))), ..Self::of::<T>() }
    }
}

macro_rules! table {
    ($($module:ident { $($request:ident $response:ident,)* })*) => {
        vec![$($(
            Entry::of::<$module::$request>(),
            Entry::response::<$module::$response>(),
        )*)*]
    };
}

/// Every message. The test `messages_are_all_here` holds it against the contract files.
pub fn table() -> Vec<Entry> {
    table! {
        nc {
            DescribeResource DescribeResourceResponse,
            DescribeInstances DescribeInstancesResponse,
            RunInstance RunInstanceResponse,
            TerminateInstance TerminateInstanceResponse,
            RebootInstance RebootInstanceResponse,
            GetConsoleOutput GetConsoleOutputResponse,
            AttachVolume AttachVolumeResponse,
            DetachVolume DetachVolumeResponse,
            StartNetwork StartNetworkResponse,
            PowerDown PowerDownResponse,
            BundleInstance BundleInstanceResponse,
            CancelBundleTask CancelBundleTaskResponse,
            DescribeBundleTasks DescribeBundleTasksResponse,
        }
        cc {
            DescribeInstances DescribeInstancesResponse,
            DescribeResources DescribeResourcesResponse,
            RunInstances RunInstancesResponse,
            TerminateInstances TerminateInstancesResponse,
            RebootInstances RebootInstancesResponse,
            GetConsoleOutput GetConsoleOutputResponse,
            AttachVolume AttachVolumeResponse,
            DetachVolume DetachVolumeResponse,
            StartNetwork StartNetworkResponse,
            StopNetwork StopNetworkResponse,
            ConfigureNetwork ConfigureNetworkResponse,
            AssignAddress AssignAddressResponse,
            UnassignAddress UnassignAddressResponse,
            DescribeNetworks DescribeNetworksResponse,
            DescribePublicAddresses DescribePublicAddressesResponse,
            BundleInstance BundleInstanceResponse,
            CancelBundleTask CancelBundleTaskResponse,
            DescribeBundleTasks DescribeBundleTasksResponse,
        }
        ironbark {
            DescribeNode DescribeNodeResponse,
            StopInstance StopInstanceResponse,
            StartInstance StartInstanceResponse,
            DescribeCluster DescribeClusterResponse,
            StopInstances StopInstancesResponse,
            StartInstances StartInstancesResponse,
            RegisterNode RegisterNodeResponse,
            DeregisterNode DeregisterNodeResponse,
            ModifyNode ModifyNodeResponse,
            DescribePlacements DescribePlacementsResponse,
            PlanInstances PlanInstancesResponse,
            JoinPlacementGroup JoinPlacementGroupResponse,
            RestrictPlacement RestrictPlacementResponse,
            DescribeTrace DescribeTraceResponse,
            DescribeLogs DescribeLogsResponse,
            DescribeInventory DescribeInventoryResponse,
        }
    }
}

/// How much of a message a sample has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// Every element; twice what may repeat.
    Fullest,
    /// Mandatory elements only, with the emptiest text.
    Emptiest,
}

/// A sample of a message, made from its contract file.
pub fn sample(service: Service, element: &str, fill: Fill) -> String {
    let contract = Contract::of(service);
    let fields = contract.message(element).expect("a message of this contract");
    let body: String = fields.into_iter().map(|field| sample_field(contract, field, fill)).collect();
    format!("<n:{element} xmlns:n=\"{}\">{body}</n:{element}>", contract.namespace)
}

fn sample_field(contract: &Contract, field: &Field, fill: Fill) -> String {
    let count = match (fill, field.mandatory, field.max) {
        (Fill::Emptiest, false, _) => 0,
        (Fill::Emptiest, true, _) | (Fill::Fullest, _, Some(1)) => 1,
        (Fill::Fullest, _, _) => 2,
    };
    let text = |full: String| if fill == Fill::Fullest { full } else { String::new() };
    let value = match &field.kind {
        Kind::Text => text(format!(" {} &amp; &lt;more&gt;\n", field.name)),
        Kind::Int => i32::MAX.to_string(),
        Kind::Long => i64::MIN.to_string(),
        Kind::Boolean => "true".to_string(),
        Kind::DateTime => "2026-11-20T10:21:23.756Z".to_string(),
        Kind::Complex(name) => {
            contract.fields(name).into_iter().map(|child| sample_field(contract, child, fill)).collect()
        }
    };
    format!("<n:{0}>{value}</n:{0}>", field.name).repeat(count)
}

/// The leaves of a document in their order, as (path, text).
pub fn leaves(xml: &str) -> Vec<(String, String)> {
    let mut reader = Reader::from_str(xml);
    reader.config_mut().expand_empty_elements = true;
    let (mut path, mut leaves, mut text, mut leaf) = (Vec::<String>::new(), Vec::new(), String::new(), false);
    loop {
        match reader.read_event().expect("well-formed XML") {
            Event::Start(start) => {
                path.push(start.local_name().as_ref().to_string());
                text.clear();
                leaf = true;
            }
            Event::Text(part) => text.push_str(part.as_ref()),
            Event::CData(part) => text.push_str(&quick_xml::escape::partial_escape(part.into_inner())),
            Event::GeneralRef(name) => text.push_str(&format!("&{};", name.as_ref())),
            Event::End(_) => {
                if leaf {
                    let plain = quick_xml::escape::unescape(&text).expect("known entities").into_owned();
                    leaves.push((path.join("/"), plain));
                }
                path.pop();
                leaf = false;
            }
            Event::Eof => return leaves,
            other => panic!("{other:?} in a message"),
        }
    }
}
