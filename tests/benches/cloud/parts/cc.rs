//! The cluster controller as a part: all of it, put together as its `main` does, with signatures or without.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use ironbark_cc::cluster::node::{self, Entry, Source};
use ironbark_cc::config::Isolation;
use ironbark_cc::ids::NodeName;
use ironbark_cc::journal::Journal;
use ironbark_cc::place::Schedule;
use ironbark_cc::{Cluster, Connect, Settings, refresh, router};
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

use super::{runtime, say, told};

/// Where the service is.
pub const PATH: &str = "/axis2/services/EucalyptusCC";

/// Serves until the input ends; says `ready` when its node has answered.
pub fn run(directory: &Path, isolation: &str, signed: bool, listen: &str, node: &str) -> Result<()> {
    log::init();
    let identities = Identities::from(Arc::new(Identity::load_or_generate(&directory.join("cc"), "cluster1")?));
    let (isolation, forks) = match (isolation, signed) {
        ("fork", true) => (Isolation::Fork, Some(ForkServer::start(isolated_work(identities.clone()))?)),
        ("semaphore", _) => (Isolation::Semaphore, None),
        _ => bail!("isolation {isolation} is not measured without signatures"),
    };
    let journal = Journal::open(&directory.join("cc"))?;
    let entry = Entry {
        name: NodeName::parse("n1")?,
        url: node.to_string(),
        profile: node::Profile::Strict,
        certificate: std::fs::read_to_string(directory.join("nc/cert.pem")).context("the node's certificate")?,
        source: Source::Configured,
    };
    runtime()?.block_on(async {
        let connect = connect(identities.clone(), forks, signed)?;
        let settings = Settings {
            name: "cluster1".to_string(),
            schedule: Schedule::RoundRobin,
            isolation,
            poll: Duration::from_secs(2),
            dhcp_leases: None,
        };
        let cluster = Cluster::open(settings, vec![entry], journal, connect, Clock::system())?;
        refresh::start(&cluster).await;
        let security = signed.then(|| Security::new(identities.own, Profile::Strict, Clock::system()));
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

fn connect(identities: Identities, forks: Option<ForkServer>, signed: bool) -> Result<Connect> {
    let isolation = forks.map(ForkServer::into_async).transpose()?.map(Arc::new);
    Ok(Box::new(move |entry: &Entry| {
        let certificate = Certificate::from_pem(&entry.certificate).map_err(|error| error.to_string())?;
        let peer = Peer { url: entry.url.clone(), certificate, profile: Profile::Strict };
        let transport: Arc<dyn Transport> = match &isolation {
            Some(isolation) => {
                Arc::new(Isolated::new(peer, &identities, isolation.clone()).map_err(|error| error.to_string())?)
            }
            None if signed => {
                Arc::new(SoapClient::new(&peer, &identities, Clock::system()).map_err(|error| error.to_string())?)
            }
            None => Arc::new(SoapClient::unsigned(&peer.url)),
        };
        Ok(transport)
    }))
}
