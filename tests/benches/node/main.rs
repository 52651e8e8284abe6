//! The node as a part of the benchmark: all of it but libvirt, in whose place stands a hypervisor in memory whose
//! guests reboot at once. Two doors, one that asks for signatures and one that does not. `libvirt` as argument
//! measures libvirt instead.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Error, Result, bail};
use ironbark_nc::hypervisor::HostInfo;
use ironbark_nc::hypervisor::scripted::Scripted;
use ironbark_nc::images::{AllowRules, ImageStore};
use ironbark_nc::{GivenLimits, Node, Parts, Times, router};
use ironbark_tests::talk::{repeat, say, told};
use ironbark_wsdl::clock::Clock;
use ironbark_wsdl::endpoint::Endpoint;
use ironbark_wsdl::http::{ServerLimits, serve};
use ironbark_wsdl::log;
use ironbark_wsdl::trace::Recorder;
use ironbark_wsdl::wsse::{Certificate, Identity, Profile, Security};
use tokio::net::TcpListener;
use uuid::Uuid;
use virt::connect::Connect;
use virt::domain::Domain;

const PATH: &str = "/axis2/services/EucalyptusNC";

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["nc", directory] => {
            log::init();
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("the runtime")?;
            runtime.block_on(serve_node(Path::new(directory)))
        }
        ["libvirt"] => reboot_domain(),
        _ => bail!("this is a part of the benchmark, which starts it: cargo bench -p ironbark-tests"),
    }
}

/// Serves until the input ends. The first line says the two URLs; a line is answered with the guests' boots so far.
async fn serve_node(directory: &Path) -> Result<()> {
    let recorder = Arc::new(Recorder::new("nc:n1"));
    let host =
        HostInfo { cores: 64, memory_mb: 64 * 1024, architecture: "x86_64".into(), hypervisor: "in memory".into() };
    let hypervisor = Scripted::forgetful(host);
    let node = Node::start(parts(directory, recorder.clone())?, Arc::new(hypervisor.clone()))?;
    let security = Security::new(
        Arc::new(Identity::load_or_generate(&directory.join("nc"), "n1")?),
        Profile::Strict,
        Clock::system(),
    );
    security.trust(vec![Certificate::load(&directory.join("cc/cert.pem"))?]);
    let mut urls = Vec::new();
    for security in [Some(security), None] {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        urls.push(format!("http://{}{PATH}", listener.local_addr()?));
        let door = Endpoint::new(router(node.clone(), recorder.clone()), security, PATH, &[]);
        tokio::spawn(serve(listener, ServerLimits::default(), door.into_handler(), std::future::pending()));
    }
    say(&urls.join(" "));
    let guests = node.clone();
    told(move |_| {
        let boots = guests.records().iter().map(|record| u64::from(hypervisor.boots(record.id.as_str()))).sum::<u64>();
        boots.to_string()
    })
    .await;
    node.stop();
    Ok(())
}

/// A node with room for everything that is measured.
fn parts(directory: &Path, recorder: Arc<Recorder>) -> Result<Parts> {
    let state_dir = directory.join("nc");
    let allow = AllowRules::parse(&[format!("file:{}", directory.join("images").display())]).map_err(Error::msg)?;
    Ok(Parts {
        name: "n1".to_string(),
        id: Uuid::new_v4(),
        images: ImageStore::new(&state_dir.join("cache"), 1 << 30, allow)?,
        state_dir,
        bridge: None,
        limits: GivenLimits {
            memory_mb: Some(100_000_000),
            cores: Some(100_000),
            disk_gb: Some(100_000_000),
            ..GivenLimits::default()
        },
        tags: Vec::new(),
        power_down: Vec::new(),
        times: Times::default(),
        recorder,
    })
}

/// libvirt's reboot, in its driver that starts nothing, as often as each line of the input says.
fn reboot_domain() -> Result<()> {
    let connection = Connect::open(Some("test:///default")).context("libvirt's test driver")?;
    let domain = Domain::lookup_by_name(&connection, "test").context("its domain")?;
    repeat(|| domain.reboot(0).context("reboot"))
}
