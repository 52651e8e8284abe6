//! `ironbark-cc`: the cluster controller as a program. Puts the pieces together in the one order
//! that works: the fork server first, while this process has a single thread; then the state, the
//! runtime, the nodes, and the door last.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand};
use ironbark_cc::cluster::node::Entry;
use ironbark_cc::config::{Config, Isolation};
use ironbark_cc::journal::Journal;
use ironbark_cc::{Cluster, Connect, Settings, refresh, router};
use ironbark_wsdl::Transport;
use ironbark_wsdl::child::{self, ForkServer};
use ironbark_wsdl::clock::Clock;
use ironbark_wsdl::endpoint::{Contract, Endpoint};
use ironbark_wsdl::http::{ServerLimits, serve};
use ironbark_wsdl::peer::{Identities, Isolated, Peer, SoapClient, isolated_work};
use ironbark_wsdl::trace::Recorder;
use ironbark_wsdl::wsse::{Certificate, Identity, KeyError, Profile, Security};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// Where the service is, as in 2.0.1.
const PATH: &str = "/axis2/services/EucalyptusCC";

/// The contracts that the door shows.
const CONTRACTS: &[Contract] = &[
    Contract { query: "wsdl", text: include_str!("../../wsdl/contract/eucalyptus_cc.wsdl") },
    Contract { query: "wsdl=ironbark", text: include_str!("../../wsdl/contract/ironbark.wsdl") },
];

/// Ironbark's cluster controller: the nodes, placement and network of one cluster.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The configuration file, cc.toml.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve until SIGTERM or SIGINT; what happens without a command, too.
    Run,
    /// Make the cluster's key and certificate if they are absent, and print the certificate's path.
    Keys {
        /// Make an RSA key instead of ECDSA, for callers whose SOAP stack needs one (gSOAP).
        #[arg(long)]
        rsa: bool,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.command {
        None | Some(Command::Run) => run(&arguments.config),
        Some(Command::Keys { rsa }) => keys(&arguments.config, rsa),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ironbark-cc: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn keys(file: &std::path::Path, rsa: bool) -> anyhow::Result<()> {
    let config = Config::load(file)?;
    let make = if rsa { Identity::load_or_generate_rsa } else { Identity::load_or_generate };
    make(&config.state_dir, &config.name)?;
    println!("{}", config.state_dir.join("cert.pem").display());
    Ok(())
}

fn run(file: &std::path::Path) -> anyhow::Result<()> {
    let config = Config::load(file)?;
    ironbark_wsdl::log::init();
    let own = Arc::new(Identity::load_or_generate(&config.state_dir, &config.name)?);
    let identities = Identities { own, old: config.old_peers.identity().context("old_identity")? };
    let nodes = config.entries()?;
    let cloud = Certificate::load(&config.cloud_cert).context("cloud_cert: the cloud controller's certificate")?;
    // Before the journal's thread and the runtime's: see wsdl/src/child.rs.
    let forks = match config.isolation {
        Isolation::Fork => Some(ForkServer::start(isolated_work(identities.clone())).context("the fork server")?),
        Isolation::Semaphore => None,
    };
    let journal = Journal::open(&config.state_dir)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("the runtime")?;
    runtime.block_on(work(config, nodes, identities, cloud, forks, journal))
}

async fn work(
    config: Config,
    nodes: Vec<Entry>,
    identities: Identities,
    cloud: Certificate,
    forks: Option<ForkServer>,
    journal: Journal,
) -> anyhow::Result<()> {
    let isolation = match forks {
        Some(server) => Some(Arc::new(server.into_async().context("the fork server")?)),
        None => None,
    };
    let listener = TcpListener::bind(config.listen).await.with_context(|| format!("listen: {}", config.listen))?;
    let settings = Settings {
        name: config.name.clone(),
        schedule: config.schedule,
        isolation: config.isolation,
        poll: config.poll,
        dhcp_leases: config.dhcp_leases,
    };
    let connect = connect(identities.clone(), isolation.clone());
    let cluster = Cluster::open(settings, nodes, journal, connect, Clock::system())?;
    refresh::start(&cluster).await;

    let mut security = Security::new(identities.own, Profile::Strict, Clock::system());
    if let Some(url) = config.url {
        security = security.addressed(url);
    }
    security.trust(vec![cloud]);
    let security = config.old_peers.let_into(security).context("old_callers")?;
    let recorder = Arc::new(Recorder::new(format!("cc:{}", config.name)));
    let door = Endpoint::new(router(cluster, recorder), Some(security), PATH, CONTRACTS);
    let handler = config.old_peers.show_keys(door.into_handler(), config.old_node_cert.as_deref());
    let handler = handler.context("old_node_cert")?;
    let mut fork_server_died = false;
    let stop = async {
        tokio::select! {
            () = signalled() => tracing::info!(event = "cc.stop", "asked to end"),
            () = died(isolation.as_deref()) => fork_server_died = true,
        }
    };
    tracing::info!(event = "cc.start", listen = %config.listen, isolation = config.isolation.name(), schedule = config.schedule.name(), "serving");
    serve(listener, ServerLimits::default(), handler, stop).await;
    if fork_server_died {
        bail!("the fork server has died; this controller must be started anew, for it can no longer fork safely");
    }
    Ok(())
}

/// How nodes are reached: signed HTTP, in a child or in this process.
fn connect(identities: Identities, isolation: Option<Arc<child::Isolation>>) -> Connect {
    Box::new(move |entry: &Entry| {
        let certificate =
            Certificate::from_pem(&entry.certificate).map_err(|error| format!("its certificate: {error}"))?;
        let peer = Peer { url: entry.url.clone(), certificate, profile: entry.profile.rules() };
        let unusable = |error: KeyError| error.to_string();
        let transport: Arc<dyn Transport> = match &isolation {
            Some(isolation) => Arc::new(Isolated::new(peer, &identities, isolation.clone()).map_err(unusable)?),
            None => Arc::new(SoapClient::new(&peer, &identities, Clock::system()).map_err(unusable)?),
        };
        Ok(transport)
    })
}

/// Resolves when the fork server dies; never where there is none.
async fn died(isolation: Option<&child::Isolation>) {
    match isolation {
        Some(isolation) => isolation.died().await,
        None => std::future::pending().await,
    }
}

/// Resolves on SIGTERM or SIGINT.
async fn signalled() {
    let wait = async |kind| -> io::Result<()> {
        signal(kind)?.recv().await;
        Ok(())
    };
    let outcome = tokio::select! {
        outcome = wait(SignalKind::terminate()) => outcome,
        outcome = wait(SignalKind::interrupt()) => outcome,
    };
    if let Err(error) = outcome {
        tracing::error!(event = "cc.signals", %error, "signals cannot be waited for; end this controller by SIGKILL");
        std::future::pending::<()>().await;
    }
}
