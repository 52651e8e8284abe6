//! What the machine has for tests: a guest, a Python with clients, libvirt. What is missing is
//! said loudly, on a line that begins with `SKIPPED:`.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The tiny guest that `tests/guest/build-guest.sh` builds.
#[derive(Clone, Debug)]
pub struct Guest(PathBuf);

impl Guest {
    /// The guest in the directory that `IRONBARK_GUEST` names.
    pub fn find() -> Option<Self> {
        let directory = std::env::var_os("IRONBARK_GUEST").map(PathBuf::from);
        match directory {
            Some(directory) if directory.join("root.img").is_file() => Some(Self(directory)),
            Some(directory) => {
                eprintln!("SKIPPED: no guest in {}; tests/guest/build-guest.sh builds it there", directory.display());
                None
            }
            None => {
                eprintln!("SKIPPED: no guest; ./check builds one and sets IRONBARK_GUEST");
                None
            }
        }
    }

    /// A guest of empty files, for hypervisors that start nothing.
    ///
    /// # Panics
    /// If the files cannot be written.
    pub fn pretended(directory: &Path) -> Self {
        for name in ["vmlinuz", "initrd.img", "root.img"] {
            std::fs::write(directory.join(name), vec![0u8; 1 << 20]).expect("a directory of the test's own");
        }
        Self(directory.to_path_buf())
    }

    /// Where its files are.
    pub fn directory(&self) -> &Path {
        &self.0
    }

    /// One of its files.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

/// The Python that has the packages of `tests/requirements.txt`.
pub fn python() -> Option<PathBuf> {
    let python = std::env::var_os("IRONBARK_PYTHON").map(PathBuf::from);
    if python.is_none() {
        eprintln!("SKIPPED: no Python with EC2 clients; ./check makes one and sets IRONBARK_PYTHON");
    }
    python
}

/// True if clients can be made with gSOAP; otherwise says what is missing.
pub fn gsoap() -> bool {
    let needed = ["wsdl2h -V", "soapcpp2 -V", "g++ --version", "pkg-config --exists gsoapssl++ openssl"];
    let works = |command: &str| {
        let mut words = command.split(' ');
        let program = words.next().unwrap_or_default();
        Command::new(program).args(words).output().is_ok_and(|output| output.status.success())
    };
    let missing = needed.into_iter().find(|command| !works(command));
    if let Some(command) = missing {
        eprintln!(
            "SKIPPED: '{command}' fails, so no gSOAP clients; ./check installs gsoap, libgsoap-dev, g++, libssl-dev"
        );
    }
    missing.is_none()
}

/// True if PHP has what a SOAP client needs; otherwise says what is missing.
pub fn php() -> bool {
    let modules = Command::new("php").arg("-m").output().map(|output| output.stdout).unwrap_or_default();
    let modules = String::from_utf8_lossy(&modules).into_owned();
    let missing =
        ["soap", "dom", "openssl"].into_iter().find(|needed| !modules.lines().any(|module| module == *needed));
    if let Some(module) = missing {
        eprintln!("SKIPPED: no PHP with {module}; ./check installs php-cli, php-soap, php-xml");
    }
    missing.is_none()
}

/// True if the machine's libvirtd answers; otherwise says so.
pub fn libvirtd() -> bool {
    let answers =
        Command::new("virsh").args(["-c", "qemu:///system", "version"]).output().is_ok_and(|o| o.status.success());
    if !answers {
        eprintln!("SKIPPED: no libvirtd answers at qemu:///system");
    }
    answers
}

/// A script of `tests/clients`.
pub fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(name)
}
