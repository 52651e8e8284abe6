//! `ironbark-nc`: the node controller as a program. Puts the pieces together: state directory,
//! hypervisor, node, door. Ending it ends no instance.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use ironbark_nc::config::Config;
use ironbark_nc::hypervisor::Hypervisor;
use ironbark_nc::hypervisor::libvirt::{self, Libvirt};
use ironbark_nc::identity::{self, Lock};
use ironbark_nc::images::ImageStore;
use ironbark_nc::{GivenLimits, Node, Parts, Times, router};
use ironbark_wsdl::clock::Clock;
use ironbark_wsdl::endpoint::{Contract, Endpoint};
use ironbark_wsdl::http::{ServerLimits, serve};
use ironbark_wsdl::trace::Recorder;
use ironbark_wsdl::wsse::{Certificate, Identity, Profile, Security};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// Where the service is, as in 2.0.1.
const PATH: &str = "/axis2/services/EucalyptusNC";

/// The contracts that the door shows.
const CONTRACTS: &[Contract] = &[
    Contract { query: "wsdl", text: include_str!("../../wsdl/contract/eucalyptus_nc.wsdl") },
    Contract { query: "wsdl=ironbark", text: include_str!("../../wsdl/contract/ironbark.wsdl") },
];

/// The cache's size unless `[limits] cache_gb` says otherwise, GiB.
const CACHE_GB: u64 = 10;

/// Ironbark's node controller: the instances of one machine.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The configuration file, nc.toml.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve until SIGTERM or SIGINT; what happens without a command, too.
    Run,
    /// Make the node's key and certificate if they are absent, and print the certificate's path.
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
            eprintln!("ironbark-nc: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn keys(file: &Path, rsa: bool) -> anyhow::Result<()> {
    let config = Config::read(file)?;
    identity::make_state_dir(&config.state_dir)?;
    let make = if rsa { Identity::load_or_generate_rsa } else { Identity::load_or_generate };
    make(&config.state_dir, &config.name)?;
    println!("{}", config.state_dir.join("cert.pem").display());
    Ok(())
}

fn run(file: &Path) -> anyhow::Result<()> {
    let config = Config::read(file)?;
    ironbark_wsdl::log::init();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("the runtime cannot be started")?;
    let served = runtime.block_on(serve_node(config));
    // A call to a hypervisor that hangs must not keep us.
    runtime.shutdown_timeout(Duration::from_secs(2));
    served
}

async fn serve_node(config: Config) -> anyhow::Result<()> {
    identity::make_state_dir(&config.state_dir)?;
    let _lock = Lock::take(&config.state_dir)?;
    let security = security(&config)?;
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("listen = \"{}\" cannot be had", config.listen))?;
    let recorder = Arc::new(Recorder::new(format!("nc:{}", config.name)));
    let node = start_node(&config, recorder.clone())?;
    let endpoint = Endpoint::new(router(node.clone(), recorder), Some(security), PATH, CONTRACTS);
    let stop = stopped()?;
    tracing::info!(event = "nc.ready", name = node.name, id = %node.id, listen = %config.listen, path = PATH);
    serve(listener, ServerLimits::default(), endpoint.into_handler(), stop).await;
    node.stop();
    tracing::info!(event = "nc.end", "instances go on running");
    Ok(())
}

/// Who we are, and whom we accept: our cluster, and what callers of 2.0.1 the file names.
fn security(config: &Config) -> anyhow::Result<Security> {
    let identity = Identity::load_or_generate(&config.state_dir, &config.name)?;
    let cluster = Certificate::load(&config.cluster_cert).context(
        "cluster_cert is needed to know the cluster controller; `ironbark-cc --config cc.toml keys` makes it",
    )?;
    tracing::info!(event = "nc.keys", own = identity.fingerprint(), cluster = cluster.fingerprint());
    let security = Security::new(Arc::new(identity), Profile::Strict, Clock::system());
    security.trust(vec![cluster]);
    config.old_peers.let_into(security).context("old_callers")
}

fn start_node(config: &Config, recorder: Arc<Recorder>) -> anyhow::Result<Arc<Node>> {
    let id = identity::node_id(&config.state_dir)?;
    let kind = config.kind().map_err(anyhow::Error::msg)?;
    let uri = config.hypervisor.uri.clone();
    let hypervisor = Libvirt::open(libvirt::Config { uri, kind, owner: id.to_string() })?;
    tracing::info!(event = "nc.hypervisor.choice", uri = config.hypervisor.uri, why = hypervisor.choice().why);
    let cache_limit = config.limits.cache_gb.unwrap_or(CACHE_GB).saturating_mul(1 << 30);
    let allow = config.allow().map_err(anyhow::Error::msg)?;
    let images = ImageStore::new(&config.state_dir.join("cache"), cache_limit, allow)?;
    let parts = Parts {
        name: config.name.clone(),
        id,
        state_dir: config.state_dir.clone(),
        images,
        bridge: config.hypervisor.bridge.clone(),
        limits: GivenLimits {
            memory_mb: config.limits.memory_mb,
            cores: config.limits.cores,
            disk_gb: config.limits.disk_gb,
            overcommit: config.overcommit,
        },
        tags: config.tags.clone(),
        power_down: config.power_down.clone(),
        times: Times {
            reboot_grace: Duration::from_secs(config.reboot.grace_seconds),
            stop_grace: Duration::from_secs(config.stop.grace_seconds),
            ..Times::default()
        },
        recorder,
    };
    let hypervisor: Arc<dyn Hypervisor> = Arc::new(hypervisor);
    Ok(Node::start(parts, hypervisor)?)
}

/// Resolves when the program is told to end.
fn stopped() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be waited for")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be waited for")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
