//! The controller as a running whole: records locked and opened, links made, the API served until
//! somebody says stop.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::future::Future;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use ironbark_wsdl::Transport;
use ironbark_wsdl::clock::Clock;
use ironbark_wsdl::http::{Handler, ServerLimits, serve, serve_tls};
use ironbark_wsdl::peer::{Identities, Peer, SoapClient};
use ironbark_wsdl::wsse::{Certificate, Identity, UnknownProfile};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::cloud::Cloud;
use crate::clusters::Connect;
use crate::config::Config;
use crate::front::Front;
use crate::store::Store;
use crate::{launch, refresh, routes, tls, upkeep};

/// Twice what the front takes, so that what is a little too much gets an answer in EC2's form.
const MAX_BODY: usize = 2 << 20;
/// The common name in the cloud's certificate.
const COMMON_NAME: &str = "ironbark-clc";

/// Makes the state directory, mode 0700, if it is not there.
///
/// # Errors
/// Which directory, and why not.
pub fn prepare(config: &Config) -> Result<()> {
    let dir = &config.state_dir;
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .with_context(|| format!("cannot make the state directory {}", dir.display()))
}

/// The cloud's identity, made at first use.
///
/// # Errors
/// Why it cannot be read or made.
pub fn identity(config: &Config) -> Result<Identity> {
    prepare(config)?;
    Identity::load_or_generate(&config.state_dir, COMMON_NAME).context("cannot read or make the cloud's identity")
}

/// [`identity`], made with an RSA key if there is none yet.
///
/// # Errors
/// Why it cannot be read or made.
pub fn rsa_identity(config: &Config) -> Result<Identity> {
    prepare(config)?;
    Identity::load_or_generate_rsa(&config.state_dir, COMMON_NAME).context("cannot read or make the cloud's identity")
}

/// Takes the lock that keeps a second controller away from the records; it is held until dropped.
///
/// # Errors
/// That another one runs, or why the lock cannot be taken.
pub fn lock(config: &Config) -> Result<File> {
    let path = config.state_dir.join("lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            bail!(
                "another cloud controller runs with the state directory {}: stop it first",
                config.state_dir.display()
            )
        }
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock {}", path.display())),
    }
}

/// The way to a cluster over HTTP: signed as the cloud, answers believed from its certificate only.
pub fn connect_over_http(identities: Identities, clock: Clock) -> Connect {
    Arc::new(move |cluster| {
        let certificate = Certificate::from_pem(&cluster.certificate).map_err(|error| error.to_string())?;
        let profile = cluster.profile.parse().map_err(|error: UnknownProfile| error.to_string())?;
        let peer = Peer { url: cluster.url.clone(), certificate, profile };
        let client = SoapClient::new(&peer, &identities, clock.clone()).map_err(|error| error.to_string())?;
        Ok(Arc::new(client) as Arc<dyn Transport>)
    })
}

/// The EC2 API over a cloud, as a handler for the HTTP server or for a test.
pub fn front(cloud: &Arc<Cloud>, identity: Arc<Identity>) -> Front<Cloud> {
    let (recorder, clock) = (cloud.recorder.clone(), cloud.clock.clone());
    Front::new(cloud.clone(), routes::actions(), recorder, identity, clock, cloud.settings.url.clone())
}

/// Starts the work between requests: launching, polling, upkeep. It ends when the set is dropped;
/// at whatever point that is, the next start goes on from the records.
pub fn start(cloud: &Arc<Cloud>) -> JoinSet<()> {
    let mut work = JoinSet::new();
    work.spawn(launch::run(cloud.clone()));
    work.spawn(refresh::run(cloud.clone()));
    work.spawn(upkeep::run(cloud.clone()));
    work
}

/// Runs the controller until `stop` resolves.
///
/// # Errors
/// Why it cannot start.
pub async fn run(config: &Config, stop: impl Future<Output = ()>) -> Result<()> {
    let identity = Arc::new(identity(config)?);
    let _lock = lock(config)?;
    let store = Store::open(&config.database())?;
    let clock = Clock::system();
    let old = config.old_peers.identity().context("old_identity")?;
    let connect = connect_over_http(Identities { own: identity.clone(), old }, clock.clone());
    let cloud = Cloud::open(store, config.settings(), clock, connect).await?;
    let listener = TcpListener::bind(config.listen).await.map_err(|error| explained(config, error))?;
    if config.signature_version_1 {
        tracing::warn!(event = "clc.version1", "signatures of version 1 are accepted: who sees one can forge others");
    }
    let front = front(&cloud, identity).accepting_version_1(config.signature_version_1);
    let handler: Handler = front.into_handler();
    let limits = ServerLimits { body: MAX_BODY, ..ServerLimits::default() };
    let mut work = start(&cloud);
    tracing::info!(event = "clc.start", listen = %config.listen, clusters = cloud.clusters.names().len());
    let files = tls::files(config)?;
    if let Some(files) = &files {
        work.spawn(tls::remind(tls::end(files)?, cloud.clock.clone()));
    }
    let tls = files.map(|files| tls::server(&files, config)).transpose()?;
    let served = async {
        match tls {
            Some((tls, fingerprint)) => {
                tracing::info!(event = "clc.tls", sha256 = fingerprint, "the certificate that clients see");
                serve_tls(listener, tls, limits, handler, stop).await;
            }
            None => {
                if !config.listen.ip().is_loopback() {
                    tracing::warn!(event = "clc.plain", listen = %config.listen, "the door speaks plain HTTP");
                }
                serve(listener, limits, handler, stop).await;
            }
        }
    };
    tokio::select! {
        () = served => {}
        // Better no controller, which is started again, than one that answers and does nothing.
        ended = work.join_next() => bail!("the work between requests has died: {ended:?}"),
    }
    drop(work);
    // The last answers' rows: a crash loses them, an orderly end does not.
    cloud.write_answered().await?;
    tracing::info!(event = "clc.stop");
    Ok(())
}

fn explained(config: &Config, error: io::Error) -> anyhow::Error {
    let hint = match error.kind() {
        io::ErrorKind::AddrInUse => ": something else listens there; stop it, or change `listen`",
        io::ErrorKind::PermissionDenied => ": ports below 1024 need privileges; change `listen`",
        _ => "",
    };
    anyhow::Error::new(error).context(format!("cannot listen on {}{hint}", config.listen))
}
