//! The node controller as a program, over signed HTTP, with a real guest under libvirtd: launch, disk, reboot,
//! kill -9 and adoption, stop, start, terminate; and in SYSTEM mode, on a bridge with somebody else's DHCP server,
//! the learning of the guest's address.
//!
//! Needs IRONBARK_GUEST (a directory with vmlinuz, initrd.img and root.img as tests/guest builds them) and a
//! libvirtd, the second test also root and dnsmasq; without them they say so and pass.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ironbark_wsdl::clock::Clock;
use ironbark_wsdl::peer::{Identities, Peer, SoapClient};
use ironbark_wsdl::wsse::{Certificate, Identity, Profile};
use ironbark_wsdl::{CallError, Context, Recorder, Request, RequestId, call, ironbark, nc};
use tempfile::TempDir;

/// A guest boots in some 5 s on an idle machine; this one may be busy.
const PATIENCE: Duration = Duration::from_secs(180);

/// A node controller's process; killed with its value.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Lab {
    dir: TempDir,
    guest: PathBuf,
    port: u16,
    /// The instance: another one for each test, since all share one libvirtd.
    id: String,
    cluster: Arc<Identity>,
    recorder: Arc<Recorder>,
}

impl Lab {
    /// Keys and configuration, or why there can be none. `hypervisor` is more of that table.
    fn new(hypervisor: &str) -> Result<Self, String> {
        let guest = std::env::var_os("IRONBARK_GUEST").map(PathBuf::from).ok_or("IRONBARK_GUEST names no guest")?;
        if !Path::new("/run/libvirt/libvirt-sock").exists() {
            return Err("no libvirtd runs here".to_string());
        }
        // Below a directory that QEMU's user can enter, which /tmp's private ones are not.
        let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(dir.path(), open).map_err(|error| error.to_string())?;
        let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        let port = free.map_err(|error| error.to_string())?.port();
        std::fs::create_dir(dir.path().join("cc")).map_err(|error| error.to_string())?;
        let cluster =
            Identity::load_or_generate(&dir.path().join("cc"), "cluster1").map_err(|error| error.to_string())?;
        let config = format!(
            "name = 'n1'\nlisten = '127.0.0.1:{port}'\nstate_dir = 'nc'\ncluster_cert = 'cc/cert.pem'\n\
             [hypervisor]\nuri = 'qemu:///system'\n{hypervisor}\n[images]\nallow = ['file:{}']\n[limits]\nmemory_mb = 512\n",
            guest.display()
        );
        std::fs::write(dir.path().join("nc.toml"), config).map_err(|error| error.to_string())?;
        let id = format!("i-{}", &uuid::Uuid::new_v4().simple().to_string()[..8].to_ascii_uppercase());
        let recorder = Arc::new(Recorder::new("cc:test"));
        Ok(Self { dir, guest, port, id, cluster: Arc::new(cluster), recorder })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ironbark-nc"));
        let log = std::env::var("RUST_LOG").unwrap_or_else(|_| "ironbark_nc=info".to_string());
        command.env("RUST_LOG", log).arg("--config").arg(self.dir.path().join("nc.toml"));
        command
    }

    fn start(&self) -> (Program, SoapClient) {
        let program = Program(self.command().arg("run").spawn().expect("the program starts"));
        let certificate = Certificate::load(&self.dir.path().join("nc/cert.pem")).expect("`keys` has made it");
        let url = format!("http://127.0.0.1:{}/axis2/services/EucalyptusNC", self.port);
        let peer = Peer { url, certificate, profile: Profile::Strict };
        let client = SoapClient::new(&peer, &Identities::from(self.cluster.clone()), Clock::system());
        (program, client.expect("a strict peer"))
    }

    async fn ask<R: Request>(&self, client: &SoapClient, user: &str, request: R) -> Result<R::Response, CallError> {
        let ctx = Context::new(RequestId::random(), user, Duration::from_secs(30), self.recorder.clone());
        call(client, &ctx, request).await
    }

    async fn tell<R: Request>(&self, client: &SoapClient, request: R) -> R::Response {
        self.ask(client, "eucalyptus", request).await.unwrap_or_else(|error| panic!("{}: {error}", R::NAME))
    }

    /// Asks until the answer is as wanted.
    async fn until(
        &self,
        client: &SoapClient,
        what: &str,
        wanted: impl Fn(&ironbark::NodeInstance) -> bool,
    ) -> ironbark::NodeInstance {
        let begun = Instant::now();
        let mut last = None;
        while begun.elapsed() < PATIENCE {
            // The program may not listen yet.
            if let Ok(node) = self.ask(client, "eucalyptus", ironbark::DescribeNode::default()).await {
                last = node.instances.into_iter().find(|instance| instance.instance_id == self.id);
                if let Some(instance) = last.clone().filter(|instance| wanted(instance)) {
                    eprintln!("{what} after {:.1} s", begun.elapsed().as_secs_f64());
                    return instance;
                }
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        panic!("never {what}; last seen: {last:?}");
    }

    /// Waits until the console has said a text so many times.
    async fn console(&self, client: &SoapClient, text: &str, times: usize) {
        let begun = Instant::now();
        let mut console = String::new();
        while begun.elapsed() < PATIENCE {
            let request = nc::GetConsoleOutput { instance_id: self.id.clone(), ..Default::default() };
            let answer = self.tell(client, request).await;
            console = String::from_utf8_lossy(&STANDARD.decode(answer.console_output).expect("base64")).into_owned();
            if console.matches(text).count() >= times {
                eprintln!("console says '{text}' {times} times after {:.1} s", begun.elapsed().as_secs_f64());
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        panic!("the console never said '{text}' {times} times:\n{console}");
    }

    fn launch(&self) -> nc::RunInstance {
        let url = |name: &str| format!("file://{}/{name}", self.guest.display());
        nc::RunInstance {
            image_id: "emi-7E570001".to_string(),
            kernel_id: Some("eki-7E570001".to_string()),
            ramdisk_id: Some("eri-7E570001".to_string()),
            image_url: url("root.img"),
            kernel_url: Some(url("vmlinuz")),
            ramdisk_url: Some(url("initrd.img")),
            reservation_id: "r-7E570001".to_string(),
            instance_id: self.id.clone(),
            instance_type: nc::VirtualMachine {
                name: Some("m1.tiny".to_string()),
                memory: Some(128),
                cores: Some(1),
                disk: Some(1),
                device_mapping: Vec::new(),
            },
            key_name: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAM alice".to_string(),
            net_params: nc::NetConfig {
                private_ip: "0.0.0.0".to_string(),
                public_ip: "0.0.0.0".to_string(),
                vlan: -1,
                network_index: -1,
                ..Default::default()
            },
            user_data: Some("#!/bin/sh\necho user data was run > /dev/console\n".to_string()),
            ..Default::default()
        }
    }
}

impl Drop for Lab {
    /// Takes away what a failed test leaves.
    fn drop(&mut self) {
        for verb in ["destroy", "undefine"] {
            let _ = Command::new("virsh").args(["-q", "-c", "qemu:///system", verb, &self.id]).output();
        }
    }
}

/// What the guest says when it is up.
const UP: &str = "guest: ready";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_lives_its_whole_life() {
    let lab = match Lab::new("") {
        Ok(lab) => lab,
        Err(why) => {
            eprintln!("SKIPPED a_guest_lives_its_whole_life: {why}");
            return;
        }
    };
    let printed = lab.command().arg("keys").output().unwrap();
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    assert!(String::from_utf8_lossy(&printed.stdout).trim().ends_with("nc/cert.pem"));

    let (program, client) = lab.start();
    run_until_up(&lab, &client).await;
    second_of_the_name_is_refused(&lab);
    plug(&lab, &client).await;
    reboot(&lab, &client).await;

    // kill -9: the guest goes on, and the next process finds it.
    drop(program);
    let (mut program, client) = lab.start();
    let adopted = lab.until(&client, "adopted", |instance| instance.state == "running").await;
    assert_eq!(adopted.boot_count, 2, "{adopted:?}");
    stop_and_start(&lab, &client).await;
    terminate(&lab, &client).await;
    assert!(lab.dir.path().join("vol").exists(), "a volume is the user's");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(program.0.id() as i32), nix::sys::signal::Signal::SIGTERM)
        .unwrap();
    assert!(program.0.wait().unwrap().success(), "SIGTERM is an orderly end");
}

/// A bridge with a DHCP server that the node controller knows nothing of; both end with their value.
struct Network {
    dnsmasq: Child,
}

const BRIDGE: &str = "ibtest0";

impl Network {
    fn new(dir: &Path) -> Result<Self, String> {
        if !nix::unistd::geteuid().is_root() {
            return Err("a bridge needs root".to_string());
        }
        ip(&["link", "add", BRIDGE, "type", "bridge"])?;
        let set =
            ip(&["addr", "add", "10.213.77.1/24", "dev", BRIDGE]).and_then(|()| ip(&["link", "set", BRIDGE, "up"]));
        let leases = dir.join("leases");
        let dnsmasq = set.and_then(|()| {
            Command::new("dnsmasq")
                .args([
                    "--keep-in-foreground",
                    "--conf-file=/dev/null",
                    "--port=0",
                    "--bind-interfaces",
                    "--user=root",
                    "--pid-file=",
                ])
                .arg(format!("--interface={BRIDGE}"))
                .arg("--dhcp-range=10.213.77.50,10.213.77.99,255.255.255.0")
                .arg(format!("--dhcp-leasefile={}", leases.display()))
                .spawn()
                .map_err(|error| format!("dnsmasq: {error}"))
        });
        dnsmasq.map(|dnsmasq| Self { dnsmasq }).inspect_err(|_| drop(ip(&["link", "del", BRIDGE])))
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = self.dnsmasq.kill();
        let _ = self.dnsmasq.wait();
        let _ = ip(&["link", "del", BRIDGE]);
    }
}

fn ip(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(arguments).output().map_err(|error| format!("ip: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("ip {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim())),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guests_address_is_learnt_from_anothers_dhcp_server() {
    let made = Lab::new(&format!("bridge = '{BRIDGE}'")).and_then(|lab| Ok((Network::new(lab.dir.path())?, lab)));
    let (_network, lab) = match made {
        Ok(made) => made,
        Err(why) => {
            eprintln!("SKIPPED a_guests_address_is_learnt_from_anothers_dhcp_server: {why}");
            return;
        }
    };
    assert!(lab.command().arg("keys").status().unwrap().success());
    let (_program, client) = lab.start();
    run_until_up(&lab, &client).await;
    let told = lab.until(&client, "its address is told", |instance| instance.private_ip.is_some()).await;
    let address = told.private_ip.unwrap();
    assert!(address.starts_with("10.213.77."), "{address}");
    let described = lab.tell(&client, nc::DescribeInstances::default()).await;
    let net = described.instances[0].net_params.clone().unwrap();
    assert_eq!((net.private_ip, net.public_ip), (address.clone(), address));
    terminate(&lab, &client).await;
}

async fn run_until_up(lab: &Lab, client: &SoapClient) {
    let begun = Instant::now();
    loop {
        match lab.ask(client, "alice", lab.launch()).await {
            Ok(answer) => {
                assert_eq!(answer.instance.unwrap().state_name, "Pending");
                break;
            }
            Err(error) if begun.elapsed() > PATIENCE => panic!("never accepted: {error}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
    lab.until(client, "running", |instance| instance.state == "running").await;
    lab.console(client, UP, 1).await;
    lab.console(client, "user data was run", 1).await;
}

fn second_of_the_name_is_refused(lab: &Lab) {
    let second = lab.command().arg("run").output().unwrap();
    let complaint = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(!second.status.success() && complaint.contains("another node controller"), "{complaint}");
}

async fn plug(lab: &Lab, client: &SoapClient) {
    let path = lab.dir.path().join("vol");
    std::fs::write(&path, vec![0u8; 4 << 20]).unwrap();
    let attach = nc::AttachVolume {
        instance_id: Some(lab.id.clone()),
        volume_id: Some("vol-7E570001".to_string()),
        remote_dev: Some(path.display().to_string()),
        local_dev: Some("/dev/sdb".to_string()),
        ..Default::default()
    };
    lab.tell(client, attach).await;
    let described = lab.tell(client, nc::DescribeInstances::default()).await;
    assert_eq!(described.instances[0].volumes.len(), 1);
}

async fn reboot(lab: &Lab, client: &SoapClient) {
    let answer = lab.tell(client, nc::RebootInstance { instance_id: lab.id.clone(), ..Default::default() }).await;
    let rebooted = lab.until(client, "rebooted", |instance| instance.last_reboot.is_some()).await;
    eprintln!("reboot: {:?}", rebooted.last_reboot);
    assert_eq!(rebooted.boot_count, 2, "{rebooted:?}");
    lab.console(client, UP, 2).await;
    let trace = ironbark::DescribeTrace { request_id: answer.correlation_id.unwrap(), ..Default::default() };
    for span in lab.tell(client, trace).await.spans {
        eprintln!("  {:<28} {:>9} us  {}", span.name, span.duration, span.outcome);
    }
}

async fn stop_and_start(lab: &Lab, client: &SoapClient) {
    lab.tell(client, ironbark::StopInstance { instance_id: lab.id.clone(), ..Default::default() }).await;
    let stopped = lab.until(client, "stopped", |instance| instance.state == "stopped").await;
    eprintln!("stop: {:?}", stopped.reason);
    assert!(stopped.reason.unwrap().contains("the guest shut down"), "the guest did not obey");
    lab.tell(client, ironbark::StartInstance { instance_id: lab.id.clone(), ..Default::default() }).await;
    let started = lab.until(client, "started", |instance| instance.state == "running").await;
    assert_eq!(started.boot_count, 3, "{started:?}");
    lab.console(client, UP, 3).await;
    let described = lab.tell(client, nc::DescribeInstances::default()).await;
    assert_eq!(described.instances[0].volumes.len(), 1, "the volume came along");
}

async fn terminate(lab: &Lab, client: &SoapClient) {
    lab.tell(client, nc::TerminateInstance { instance_id: lab.id.clone(), ..Default::default() }).await;
    lab.until(client, "terminated", |instance| instance.state == "terminated").await;
    let left: Vec<_> = std::fs::read_dir(lab.dir.path().join("nc/instances")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}
