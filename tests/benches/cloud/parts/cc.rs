//! The cluster controller as a part: all of it, put together as its `main` does, with signatures or without; and,
//! over many nodes, only its refreshing.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use ironbark_cc::cluster::node::{self, Entry, Source};
use ironbark_cc::config::Isolation;
use ironbark_cc::ids::NodeName;
use ironbark_cc::journal::Journal;
use ironbark_cc::place::Schedule;
use ironbark_cc::{Cluster, Connect, Settings, refresh as refreshing, router};
use ironbark_tests::talk::{say, told};
use ironbark_wsdl::Transport;
use ironbark_wsdl::child::ForkServer;
use ironbark_wsdl::clock::Clock;
use ironbark_wsdl::endpoint::Endpoint;
use ironbark_wsdl::http::{ServerLimits, serve};
use ironbark_wsdl::log;
use ironbark_wsdl::peer::{Identities, Isolated, Peer, SoapClient, isolated_work};
use ironbark_wsdl::trace::Recorder;
use ironbark_wsdl::wsse::{Certificate, Identity, Profile, Security};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use super::{allow_many_connections, runtime};

/// Where the service is.
pub const PATH: &str = "/axis2/services/EucalyptusCC";

/// Serves until the input ends; says `ready` when its node has answered.
pub fn run(directory: &Path, isolation: &str, signed: bool, listen: &str, node: &str) -> Result<()> {
    let (runtime, cluster, own) = cluster(directory, isolation, signed, &[node.to_string()])?;
    runtime.block_on(async {
        refreshing::start(&cluster).await;
        let security = signed.then(|| Security::new(own, Profile::Strict, Clock::system()));
        if let Some(security) = &security {
            security.trust(vec![Certificate::load(&directory.join("clc/cert.pem"))?]);
        }
        let door = Endpoint::new(router(cluster, Arc::new(Recorder::new("cc:cluster1"))), security, PATH, &[]);
        let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
        say("ready");
        serve(listener, ServerLimits::default(), door.into_handler(), told(|_| String::new())).await;
        Ok(())
    })
}

/// Refreshes so many nodes once for each line of the input, and answers with the seconds that took and the number of
/// nodes that are up.
pub fn refresh(directory: &Path, isolation: &str, nodes: &str, count: &str) -> Result<()> {
    allow_many_connections()?;
    let count: usize = count.parse().context("how many nodes")?;
    let urls: Vec<String> = (0..count).map(|number| format!("{nodes}/{number}")).collect();
    let (runtime, cluster, _) = cluster(directory, isolation, true, &urls)?;
    say("ready");
    let handle = runtime.handle().clone();
    runtime.block_on(told(move |_| {
        let began = Instant::now();
        handle.block_on(refreshing::reachable(&cluster));
        let took = began.elapsed().as_secs_f64();
        let up = cluster.read(|beliefs| beliefs.nodes.iter().filter(|node| node.health == node::Health::Up).count());
        format!("{took} {up}")
    }));
    Ok(())
}

/// A cluster over nodes with these URLs, and the runtime that it lives on.
fn cluster(
    directory: &Path,
    isolation: &str,
    signed: bool,
    nodes: &[String],
) -> Result<(Runtime, Arc<Cluster>, Arc<Identity>)> {
    log::init();
    let own = Arc::new(Identity::load_or_generate(&directory.join("cc"), "cluster1")?);
    let identities = Identities::from(own.clone());
    // The fork server before the runtime's threads.
    let (isolation, forks) = match isolation {
        "fork" => (Isolation::Fork, Some(ForkServer::start(isolated_work(identities.clone()))?)),
        "semaphore" => (Isolation::Semaphore, None),
        _ => bail!("there is no isolation {isolation}"),
    };
    let journal = Journal::open(&directory.join("cc"))?;
    let certificate = std::fs::read_to_string(directory.join("nc/cert.pem")).context("the node's certificate")?;
    let entry = |(number, url): (usize, &String)| {
        Ok(Entry {
            name: NodeName::parse(&format!("n{}", number + 1))?,
            url: url.clone(),
            profile: node::Profile::Strict,
            certificate: certificate.clone(),
            source: Source::Configured,
        })
    };
    let entries = nodes.iter().enumerate().map(entry).collect::<Result<Vec<_>>>()?;
    let settings = Settings {
        name: "cluster1".to_string(),
        schedule: Schedule::RoundRobin,
        isolation,
        poll: Duration::from_secs(2),
        dhcp_leases: None,
    };
    let runtime = runtime()?;
    let cluster = runtime.block_on(async {
        let connect = connect(identities, forks, signed)?;
        Ok::<_, anyhow::Error>(Cluster::open(settings, entries, journal, connect, Clock::system())?)
    })?;
    Ok((runtime, cluster, own))
}

fn connect(identities: Identities, forks: Option<ForkServer>, signed: bool) -> Result<Connect> {
    let isolation = forks.map(ForkServer::into_async).transpose()?.map(Arc::new);
    Ok(Box::new(move |entry: &Entry| {
        let certificate = Certificate::from_pem(&entry.certificate).map_err(|error| error.to_string())?;
        let peer = Peer { url: entry.url.clone(), certificate, profile: Profile::Strict };
        let transport: Arc<dyn Transport> = match &isolation {
            Some(isolation) if signed => {
                Arc::new(Isolated::new(peer, &identities, isolation.clone()).map_err(|error| error.to_string())?)
            }
            Some(isolation) => Arc::new(Isolated::unsigned(&peer.url, isolation.clone())),
            None if signed => {
                Arc::new(SoapClient::new(&peer, &identities, Clock::system()).map_err(|error| error.to_string())?)
            }
            None => Arc::new(SoapClient::unsigned(&peer.url)),
        };
        Ok(transport)
    }))
}
