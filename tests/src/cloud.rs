//! A cloud of three processes on loopback, made as OPERATIONS.md says: keys, three configuration
//! files, two registrations.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use ironbark_wsdl::wsse::Identity;
use serde_json::Value;
use tempfile::TempDir;

use crate::daemon::{Daemon, free_address, program};
use crate::test_daemon::TestDaemon;
use crate::tools::Guest;
use crate::wait::wait_for;

/// What runs the instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hypervisor {
    /// libvirt's own mock, which forgets everything when its process ends.
    Test,
    /// The mock in a daemon of its own, which outlives the node controller.
    TestDaemon,
    /// QEMU through libvirt's embedded driver: no daemon, no network outside the guest.
    Embed,
    /// QEMU through the machine's libvirtd.
    System,
}

/// How a cloud is made.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What runs the instances.
    pub hypervisor: Hypervisor,
    /// The CC's isolation.
    pub isolation: &'static str,
    /// Additional lines of nc.toml, for sections not otherwise written.
    pub nc_extra: String,
    /// The tiers have RSA-2048 keys, for peers that cannot do ECDSA; otherwise what they make themselves.
    pub rsa: bool,
    /// The tiers take each other for those of Eucalyptus 2.0.1: the profile `euca-2.0.1` on both hops,
    /// with keys as that made them, in `keys/`.
    pub old_wire: bool,
    /// The EC2 door speaks TLS, with a certificate that it makes itself.
    pub tls: bool,
    /// The tier (`clc`, `cc` or `nc`) whose state is elsewhere, and where.
    pub state_on: Option<(&'static str, PathBuf)>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            hypervisor: Hypervisor::Test,
            isolation: "fork",
            nc_extra: String::new(),
            rsa: false,
            old_wire: false,
            tls: false,
            state_on: None,
        }
    }
}

/// A running cloud; it ends with its value.
pub struct Cloud {
    /// The cloud controller.
    pub clc: Daemon,
    /// The cluster controller.
    pub cc: Daemon,
    /// The node controller.
    pub nc: Daemon,
    test_daemon: Option<TestDaemon>,
    directory: TempDir,
    guest: Option<Guest>,
    tls: bool,
}

impl Cloud {
    /// Makes keys and files, starts the three tiers, registers cluster and node, and waits until
    /// the cloud has room for an instance.
    ///
    /// # Panics
    /// If any of this fails.
    pub fn start(settings: &Settings, guest: Option<Guest>) -> Self {
        let directory = TempDir::with_prefix("ironbark-").expect("a temporary directory");
        let path = directory.path();
        // libvirt's daemon runs QEMU as another user, who must be able to go through.
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("our own directory");
        let addresses = [free_address(), free_address(), free_address()];
        let test_daemon =
            (settings.hypervisor == Hypervisor::TestDaemon).then(|| TestDaemon::start(&path.join("libvirtd")));
        let uri = match &test_daemon {
            Some(daemon) => daemon.uri().to_string(),
            None => uri(path, settings.hypervisor),
        };
        write_configuration(path, &addresses, settings, &uri, guest.as_ref());
        if let Some((tier, state)) = &settings.state_on {
            std::os::unix::fs::symlink(state, path.join(tier)).expect("our own directory");
        }
        let mut cloud = Self {
            clc: Daemon::new("clc", path, &addresses[0]),
            cc: Daemon::new("cc", path, &addresses[1]),
            nc: Daemon::new("nc", path, &addresses[2]),
            test_daemon,
            directory,
            guest,
            tls: settings.tls,
        };
        let keys: &[&str] = if settings.rsa { &["keys", "--rsa"] } else { &["keys"] };
        for tier in [&cloud.clc, &cloud.cc, &cloud.nc] {
            tier.command(keys);
        }
        cloud.clc.command(&["init", "--credentials", &cloud.path("credentials")]);
        cloud.nc.start();
        cloud.cc.start();
        cloud.clc.start();
        let cc = format!("http://{}/axis2/services/EucalyptusCC", addresses[1]);
        let nc = format!("http://{}/axis2/services/EucalyptusNC", addresses[2]);
        if settings.old_wire {
            // Its node is in cc.toml: registering one is no operation of 2.0.1.
            let cert = cloud.path("keys/cluster-cert.pem");
            let arguments = ["admin", "register-cluster", "cluster1", &cc, "--cert", &cert, "--profile", "euca-2.0.1"];
            cloud.euca(&arguments);
        } else {
            cloud.euca(&["admin", "register-cluster", "cluster1", &cc, "--cert", &cloud.path("cc/cert.pem")]);
            wait_for("the cluster to answer", Duration::from_secs(20), || {
                let cert = cloud.path("nc/cert.pem");
                cloud.try_euca(&["admin", "register-node", "cluster1", "n1", &nc, "--cert", &cert]).ok()
            });
        }
        wait_for("room for an instance", Duration::from_secs(60), || {
            let types = cloud.json(&["describe-instance-types", "m1.small"]);
            let free = types["instanceTypeDetails"][0]["availability"][0]["available"].as_str()?.parse::<u32>().ok()?;
            (free > 0).then_some(())
        });
        cloud
    }

    /// A path in the cloud's directory.
    pub fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    /// The hypervisor of [`Hypervisor::TestDaemon`].
    pub fn test_daemon(&self) -> &TestDaemon {
        self.test_daemon.as_ref().expect("this cloud was started with a test daemon")
    }

    /// The guest whose images [`Cloud::register_guest`] registers.
    pub fn guest(&self) -> &Guest {
        self.guest.as_ref().expect("this cloud was started with a guest")
    }

    /// The value of an `export NAME=value` line of the administrator's eucarc.
    pub fn eucarc(&self, name: &str) -> String {
        let text = std::fs::read_to_string(self.path("credentials/eucarc")).expect("init wrote it");
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("export {name}=")));
        let value = line.unwrap_or_else(|| panic!("no {name} in eucarc")).trim_matches(['"', '\'']);
        value.replace("$EUCA_KEY_DIR", &self.path("credentials")).replace("${EUCA_KEY_DIR}", &self.path("credentials"))
    }

    /// A command with the administrator's credentials in its environment.
    pub fn client(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        let names = [
            "EC2_URL",
            "EC2_ACCESS_KEY",
            "EC2_SECRET_KEY",
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_ENDPOINT_URL_EC2",
            "AWS_ENDPOINT_URL_STS",
            "AWS_DEFAULT_REGION",
            "EC2_CERT",
            "EC2_PRIVATE_KEY",
        ];
        for name in names {
            command.env(name, self.eucarc(name));
        }
        if self.tls {
            command.env("AWS_CA_BUNDLE", self.eucarc("AWS_CA_BUNDLE"));
        }
        command.env("AWS_EC2_METADATA_DISABLED", "true");
        command
    }

    /// Runs `euca` and gives its output.
    ///
    /// # Errors
    /// What it wrote to standard error, if it failed.
    pub fn try_euca(&self, arguments: &[&str]) -> Result<String, String> {
        let Output { status, stdout, stderr } =
            self.client(program("euca")).args(arguments).output().expect("euca can be started");
        match status.success() {
            true => Ok(String::from_utf8_lossy(&stdout).into_owned()),
            false => Err(String::from_utf8_lossy(&stderr).into_owned()),
        }
    }

    /// Runs `euca` and gives its output.
    ///
    /// # Panics
    /// If it fails.
    pub fn euca(&self, arguments: &[&str]) -> String {
        self.try_euca(arguments).unwrap_or_else(|error| panic!("euca {arguments:?}: {error}"))
    }

    /// Runs `euca --output json`.
    ///
    /// # Panics
    /// If it fails.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let text = self.euca(&[&["--output", "json"], arguments].concat());
        serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("euca {arguments:?} printed no JSON: {error}: {text}"))
    }

    /// Registers kernel, ramdisk and root disk of the guest; gives the image's id.
    pub fn register_guest(&self) -> String {
        let register = |kind: &str, file: &str, more: &[&str]| {
            let url = format!("file://{}", self.guest().file(file).display());
            let arguments = [&["register", "-n", file, "--image-type", kind, &url], more].concat();
            self.json(&arguments)["imageId"].as_str().expect("an image id").to_string()
        };
        let kernel = register("kernel", "vmlinuz", &[]);
        let ramdisk = register("ramdisk", "initrd.img", &[]);
        register("machine", "root.img", &["--kernel", &kernel, "--ramdisk", &ramdisk])
    }

    /// Runs one instance and gives its id.
    pub fn run(&self, image: &str, more: &[&str]) -> String {
        let answer = self.json(&[&["run-instances", image], more].concat());
        answer["instancesSet"][0]["instanceId"].as_str().expect("an instance id").to_string()
    }

    /// The instance as DescribeInstances shows it, if it does.
    pub fn instance(&self, id: &str) -> Option<Value> {
        let answer: Value =
            serde_json::from_str(&self.try_euca(&["--output", "json", "describe-instances", id]).ok()?).ok()?;
        answer["reservationSet"][0]["instancesSet"].get(0).cloned()
    }

    /// The instance's state by name.
    pub fn state(&self, id: &str) -> Option<String> {
        self.instance(id)?["instanceState"]["name"].as_str().map(str::to_string)
    }

    /// Waits until the instance is in `state`.
    ///
    /// # Panics
    /// After two minutes, with its last description.
    pub fn await_state(&self, id: &str, state: &str) {
        let mut last = None;
        wait_for(&format!("{id} to be {state}"), Duration::from_secs(120), || {
            let now = self.state(id);
            if now != last {
                eprintln!("{id}: {}", now.as_deref().unwrap_or("not shown"));
                last.clone_from(&now);
            }
            (now.as_deref() == Some(state)).then_some(())
        });
    }

    /// The instance's console so far.
    pub fn console(&self, id: &str) -> String {
        self.try_euca(&["get-console-output", "-r", id]).unwrap_or_default()
    }

    /// Waits until the console has `text`.
    ///
    /// # Panics
    /// After three minutes, with the console.
    pub fn await_console(&self, id: &str, text: &str) {
        let mut last = String::new();
        let deadline = std::time::Instant::now() + Duration::from_secs(180);
        while !last.contains(text) {
            assert!(std::time::Instant::now() < deadline, "no '{text}' on the console of {id}:\n{last}");
            last = self.console(id);
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

fn write_configuration(path: &Path, addresses: &[String; 3], settings: &Settings, uri: &str, guest: Option<&Guest>) {
    let [clc, cc, nc] = addresses;
    let old = if settings.old_wire { OldLines::written(path, nc) } else { OldLines::default() };
    let write = |name: &str, text: String| std::fs::write(path.join(name), text).expect("our own directory");
    write(
        "clc.toml",
        format!(
            "listen = \"{clc}\"\nstate_dir = \"clc\"\nurl = \"{}://{clc}/services/Eucalyptus\"\nregion = \"ironbark\"\n\
             poll_seconds = 1\npublic_addresses = [\"192.0.2.10-192.0.2.12\"]\n{}",
            if settings.tls { "https" } else { "http" },
            old.clc
        ),
    );
    write(
        "cc.toml",
        format!(
            "name = \"cluster1\"\nlisten = \"{cc}\"\nstate_dir = \"cc\"\ncloud_cert = \"clc/cert.pem\"\n\
             isolation = \"{}\"\nschedule = \"ROUNDROBIN\"\npoll_seconds = 1\n{}[network]\nmode = \"SYSTEM\"\n{}",
            settings.isolation, old.cc.0, old.cc.1
        ),
    );
    let images = images(guest);
    // 2.0.1's nodes tell MB where ours tell GB, so a cluster that takes ours for one of those divides.
    let disk = if settings.old_wire { 100 * 1024 } else { 100 };
    write(
        "nc.toml",
        format!(
            "name = \"n1\"\nlisten = \"{nc}\"\nstate_dir = \"nc\"\ncluster_cert = \"cc/cert.pem\"\n\
             {}[hypervisor]\nuri = \"{uri}\"\n[limits]\ndisk_gb = {disk}\n[images]\nallow = [\"http\"{images}]\n{}\n{}",
            old.nc.0, settings.nc_extra, old.nc.1
        ),
    );
}

/// What makes each tier take the others for those of Eucalyptus 2.0.1: lines for the top and the end of
/// its file.
#[derive(Default)]
struct OldLines {
    clc: String,
    cc: (String, String),
    nc: (String, String),
}

impl OldLines {
    /// Makes the three pairs of keys in `keys/`, and the lines that name them.
    fn written(path: &Path, nc: &str) -> Self {
        let keys = path.join("keys");
        std::fs::create_dir(&keys).expect("our own directory");
        for name in ["cloud", "cluster", "node"] {
            let identity = Identity::generate_rsa(name).expect("a key");
            identity.write_key(&keys.join(format!("{name}-pk.pem"))).expect("our own directory");
            std::fs::write(keys.join(format!("{name}-cert.pem")), identity.cert_pem()).expect("our own directory");
        }
        let who = |name: &str| {
            format!("old_identity = {{ certificate = \"keys/{name}-cert.pem\", key = \"keys/{name}-pk.pem\" }}\n")
        };
        let caller = |name: &str| format!("[[old_callers]]\ncertificate = \"keys/{name}-cert.pem\"\n");
        let node = format!(
            "[[nodes]]\nname = \"n1\"\nurl = \"http://{nc}/axis2/services/EucalyptusNC\"\n\
             certificate = \"keys/node-cert.pem\"\nprofile = \"euca-2.0.1\"\n"
        );
        let nodes_keys = "old_node_cert = \"keys/node-cert.pem\"\n";
        Self {
            clc: who("cloud"),
            cc: (who("cluster") + nodes_keys, caller("cloud") + &node),
            nc: (who("node"), caller("cluster")),
        }
    }
}

fn uri(path: &Path, hypervisor: Hypervisor) -> String {
    match hypervisor {
        Hypervisor::Test | Hypervisor::TestDaemon => "test:///default".to_string(),
        Hypervisor::System => "qemu:///system".to_string(),
        Hypervisor::Embed => {
            let root: PathBuf = path.join("embed");
            std::fs::create_dir_all(&root).expect("our own directory");
            format!("qemu:///embed?root={}", root.display())
        }
    }
}

fn images(guest: Option<&Guest>) -> String {
    guest.map(|guest| format!(", \"file:{}\"", guest.directory().display())).unwrap_or_default()
}
