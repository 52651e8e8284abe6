//! A small file system that a test fills up and frees again, in a mount namespace of the test's own thread and the
//! programs that it starts.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use tempfile::TempDir;

/// Its size: a program's state fits well, a test's patience too.
const OPTIONS: &str = "size=16m,mode=0700";

/// A mounted file system; it goes with its value.
pub struct SmallDisk(TempDir);

impl SmallDisk {
    /// Mounts one. None where this is not allowed, which is said.
    ///
    /// # Panics
    /// If there is no temporary directory.
    pub fn mount() -> Option<Self> {
        let directory = TempDir::with_prefix("ironbark-disk-").expect("a temporary directory");
        let none = None::<&str>;
        let mounted = unshare(CloneFlags::CLONE_NEWNS)
            // What is mounted here is not to be seen outside.
            .and_then(|()| mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none))
            .and_then(|()| mount(Some("none"), directory.path(), Some("tmpfs"), MsFlags::empty(), Some(OPTIONS)));
        match mounted {
            Ok(()) => Some(Self(directory)),
            Err(error) => {
                eprintln!("SKIPPED: a small file system cannot be mounted ({error}); run this test as root");
                None
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Leaves no byte free.
    ///
    /// # Panics
    /// If it cannot be filled.
    pub fn fill(&self) {
        let mut ballast = File::options().create(true).append(true).open(self.ballast()).expect("a file of our own");
        let full = loop {
            if let Err(error) = ballast.write_all(&[7; 4096]) {
                break error;
            }
        };
        assert_eq!(full.kind(), ErrorKind::StorageFull, "{full}");
    }

    /// Frees what was filled.
    ///
    /// # Panics
    /// If it was not filled.
    pub fn free(&self) {
        std::fs::remove_file(self.ballast()).expect("it was filled");
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // At the latest it goes with its namespace.
        let _ = umount2(self.path(), MntFlags::MNT_DETACH);
    }
}
