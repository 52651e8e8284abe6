//! libvirt's mock in a daemon of its own, so that its domains outlive a killed node controller. It needs no rights and
//! touches nothing of the machine's own libvirt: an unprivileged libvirtd with all its files in one directory.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::unistd::{Gid, Uid, User, chown};

use crate::wait::wait_for;

/// The daemon; it ends with its value.
pub struct TestDaemon {
    uri: String,
    daemon: Child,
    /// A connection that is held: with the last one the mock would forget its domains.
    holder: Child,
}

impl TestDaemon {
    /// Starts one with its files in a new `directory`, and waits until it answers.
    ///
    /// # Panics
    /// If that fails.
    pub fn start(directory: &Path) -> Self {
        let runtime = directory.join("run");
        let user = Uid::effective().is_root().then(nobody);
        for made in [directory, &runtime] {
            fs::create_dir(made).expect("the test's own directory");
            if let Some((uid, gid)) = user {
                chown(made, Some(uid), Some(gid)).expect("root may give files away");
            }
        }
        let log = fs::File::create(directory.join("libvirtd.log")).expect("the test's own directory");
        let mut command = Command::new(libvirtd());
        command.env("HOME", directory).env("XDG_RUNTIME_DIR", &runtime);
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a log file can be shared")).stderr(log);
        if let Some((uid, gid)) = user {
            use std::os::unix::process::CommandExt;
            command.uid(uid.as_raw()).gid(gid.as_raw());
        }
        let daemon = command.spawn().expect("libvirtd can be started");
        let uri = format!("test+unix:///default?socket={}", runtime.join("libvirt/libvirt-sock").display());
        wait_for("libvirtd to answer", Duration::from_secs(20), || {
            virsh(&uri).arg("uri").output().expect("virsh is here").status.success().then_some(())
        });
        let mut holder = virsh(&uri);
        holder.args(["event", "--all", "--loop"]).stdin(Stdio::null()).stdout(Stdio::null());
        Self { daemon, holder: holder.spawn().expect("virsh is here"), uri }
    }

    /// How it is reached.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// Its domains but for the mock's own, and whether each is on.
    pub fn domains(&self) -> BTreeMap<String, bool> {
        let names = |which: &str| {
            let output = virsh(&self.uri).args(["list", "--name", which]).output().expect("virsh is here");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8_lossy(&output.stdout).split_whitespace().map(str::to_string).collect::<Vec<_>>()
        };
        let on = names("--state-running");
        let all = names("--all").into_iter().filter(|name| name != "test");
        all.map(|name| (name.clone(), on.contains(&name))).collect()
    }
}

impl Drop for TestDaemon {
    fn drop(&mut self) {
        for process in [&mut self.holder, &mut self.daemon] {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// True if the machine has what a [`TestDaemon`] needs; otherwise says so.
pub fn possible() -> bool {
    let there = libvirtd().is_file() && Command::new("virsh").arg("--version").output().is_ok();
    if !there {
        eprintln!("SKIPPED: no libvirtd and virsh; ./check installs libvirt-daemon-system and libvirt-clients");
    }
    there
}

fn libvirtd() -> PathBuf {
    PathBuf::from("/usr/sbin/libvirtd")
}

fn virsh(uri: &str) -> Command {
    let mut command = Command::new("virsh");
    command.args(["--quiet", "--connect", uri]);
    command
}

/// As root libvirtd would serve the whole machine.
fn nobody() -> (Uid, Gid) {
    let user = User::from_name("nobody").ok().flatten().expect("every system has nobody");
    (user.uid, user.gid)
}
