//! Many nodes in one process, for a cluster controller that refreshes them: each has a door of its own that asks for
//! signatures, and so many instances, of which nothing changes.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use ironbark_tests::talk::{say, told};
use ironbark_wsdl::clock::Clock;
use ironbark_wsdl::endpoint::Endpoint;
use ironbark_wsdl::http::{Body, Handler, ServerLimits, serve};
use ironbark_wsdl::ironbark::{DescribeNode, DescribeNodeResponse, NodeInstance};
use ironbark_wsdl::marshal::DateTime;
use ironbark_wsdl::wsse::{Certificate, Identity, Profile, Security};
use ironbark_wsdl::{Context, Recorder, Refusal, Router, nc};
use tokio::net::TcpListener;

use super::{allow_many_connections, runtime};

/// Instances of each node.
const INSTANCES: usize = 20;

/// One node: its number.
struct Node(usize);

/// Serves `count` nodes at `URL/0`, `URL/1` ...; says the URL.
pub fn run(directory: &Path, count: &str) -> Result<()> {
    let count: usize = count.parse().context("how many nodes")?;
    allow_many_connections()?;
    let own = Arc::new(Identity::load_or_generate(&directory.join("nc"), "n1")?);
    let cluster = Certificate::load(&directory.join("cc/cert.pem"))?;
    let mut doors = BTreeMap::new();
    for number in 0..count {
        let security = Security::new(own.clone(), Profile::Strict, Clock::system());
        security.trust(vec![cluster.clone()]);
        // As long as the process: an endpoint's path is written down in its program elsewhere.
        let path: &'static str = format!("/{number}").leak();
        doors.insert(path, Endpoint::new(router(number), Some(security), path, &[]).into_handler());
    }
    let doors = Arc::new(doors);
    let handler: Handler = Arc::new(move |request: Request<_>| match doors.get(request.uri().path()) {
        Some(door) => door(request),
        None => Box::pin(async {
            let mut nowhere = Response::new(Body::from(Bytes::new()));
            *nowhere.status_mut() = StatusCode::NOT_FOUND;
            nowhere
        }),
    });
    runtime()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        say(&format!("http://{}", listener.local_addr()?));
        let limits = ServerLimits { connections: 2 * count + 16, ..ServerLimits::default() };
        serve(listener, limits, handler, told(|_| String::new())).await;
        Ok(())
    })
}

fn router(number: usize) -> Router<Node> {
    Router::new(Arc::new(Node(number)), Arc::new(Recorder::silent("nc")), Duration::from_secs(5))
        .on::<nc::DescribeInstances, _, _>(describe_instances)
        .on::<nc::DescribeResource, _, _>(describe_resource)
        .on::<DescribeNode, _, _>(describe_node)
}

impl Node {
    fn ids(&self) -> impl Iterator<Item = String> {
        let first = self.0 * INSTANCES;
        (first..first + INSTANCES).map(|number| format!("i-{number:08X}"))
    }
}

async fn describe_instances(
    node: Arc<Node>,
    _: Context,
    _: nc::DescribeInstances,
) -> Result<nc::DescribeInstancesResponse, Refusal> {
    let instance = |id: String| nc::Instance {
        instance_id: id,
        user_id: "admin".to_string(),
        reservation_id: "r-00000001".to_string(),
        image_id: "emi-00000001".to_string(),
        state_name: "Extant".to_string(),
        instance_type: nc::VirtualMachine {
            name: Some("m1.small".to_string()),
            memory: Some(128),
            cores: Some(1),
            disk: Some(10),
            device_mapping: Vec::new(),
        },
        ..Default::default()
    };
    Ok(nc::DescribeInstancesResponse { instances: node.ids().map(instance).collect(), ..Default::default() })
}

async fn describe_resource(
    _: Arc<Node>,
    _: Context,
    _: nc::DescribeResource,
) -> Result<nc::DescribeResourceResponse, Refusal> {
    Ok(nc::DescribeResourceResponse {
        node_status: "OK".to_string(),
        memory_size_max: 64 * 1024,
        memory_size_available: 32 * 1024,
        disk_size_max: 1000,
        disk_size_available: 500,
        number_of_cores_max: 64,
        number_of_cores_available: 44,
        public_subnets: "none".to_string(),
        ..Default::default()
    })
}

async fn describe_node(node: Arc<Node>, _: Context, _: DescribeNode) -> Result<DescribeNodeResponse, Refusal> {
    let instance = |id: String| NodeInstance {
        instance_id: id,
        state: "running".to_string(),
        since: DateTime::default(),
        boot_count: 1,
        epoch: None,
        by_guest: None,
        ..Default::default()
    };
    Ok(DescribeNodeResponse {
        node_id: format!("00000000-0000-0000-0000-{:012}", node.0),
        operations: vec!["DescribeNode".to_string()],
        instances: node.ids().map(instance).collect(),
        ..Default::default()
    })
}
