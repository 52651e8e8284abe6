//! The seed disk: how an instance's public key and user data reach its guest, in every network mode and without root.
//! A small read-only disk in cloud-init's NoCloud form (label `cidata`, ISO 9660, files `meta-data` and `user-data`),
//! which stock cloud images read too. Why: docs/decisions/0003-seed-disk.md. Knows nothing of images or libvirt.

use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ironbark_wsdl::command::{Command, CommandError};

/// How long making the disk may take; it takes about 20 ms.
const TOOL_TIME: Duration = Duration::from_secs(30);

/// What a guest is told about itself.
#[derive(Clone, Copy)]
pub struct Seed<'a> {
    /// The instance's id. Guests run user data once for each id.
    pub instance_id: &'a str,
    /// The guest's host name.
    pub hostname: &'a str,
    /// The public key for its first user, one line in OpenSSH's form; none if the instance was run without one.
    pub public_key: Option<&'a str>,
    /// User data, byte for byte as the user gave it; may be empty.
    pub user_data: &'a [u8],
}

impl std::fmt::Debug for Seed<'_> {
    /// Without the user data, which may hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seed")
            .field("instance_id", &self.instance_id)
            .field("user_data_bytes", &self.user_data.len())
            .finish_non_exhaustive()
    }
}

/// Why there is no seed disk.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// This node's own disk failed.
    #[error("{path}: cannot write the seed disk; check the space and the rights there")]
    Disk {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// genisoimage failed or is missing.
    #[error("the seed disk could not be made (package genisoimage)")]
    Tool(#[from] CommandError),
}

impl Seed<'_> {
    /// Writes the disk to `target` (mode 0600), replacing what is there, whole or not at all.
    ///
    /// # Errors
    /// [`SeedError`].
    pub async fn write(&self, target: &Path) -> Result<(), SeedError> {
        // Beside the target, so that the rename stays within one file system; gone when this ends or is dropped.
        let work = WorkDir::make(target)?;
        let tree = work.0.join("tree");
        private_dir(&tree)?;
        private_file(&tree.join("meta-data"), self.meta_data().as_bytes())?;
        private_file(&tree.join("user-data"), self.user_data)?;
        let disk = work.0.join("disk");
        // Made first, because genisoimage would make it readable for everybody.
        private_file(&disk, b"")?;
        Command::new("genisoimage")
            .args(["-quiet", "-volid", "cidata", "-joliet", "-rational-rock", "-output"])
            .args([&disk, &tree])
            .timeout(TOOL_TIME)
            .run()
            .await?;
        std::fs::rename(&disk, target).map_err(disk_error(target))
    }

    /// The text of `meta-data`: YAML whose strings are written as JSON's, which YAML includes.
    fn meta_data(&self) -> String {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let mut text =
            format!("instance-id: {}\nlocal-hostname: {}\n", quoted(self.instance_id), quoted(self.hostname));
        if let Some(key) = self.public_key.map(str::trim).filter(|key| !key.is_empty()) {
            let _ = write!(text, "public-keys:\n  - {}\n", quoted(key));
        }
        text
    }
}

/// A directory (0700) that is removed with all that is in it.
struct WorkDir(PathBuf);

impl WorkDir {
    fn make(target: &Path) -> Result<Self, SeedError> {
        let mut name = target.as_os_str().to_owned();
        name.push(".work");
        let dir = PathBuf::from(name);
        // Left by a crash.
        if dir.exists() {
            std::fs::remove_dir_all(&dir).map_err(disk_error(&dir))?;
        }
        private_dir(&dir)?;
        Ok(Self(dir))
    }
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        // A leftover is removed by the next `make`, or with the instance's directory.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn private_dir(path: &Path) -> Result<(), SeedError> {
    std::fs::DirBuilder::new().mode(0o700).create(path).map_err(disk_error(path))
}

fn private_file(path: &Path, content: &[u8]) -> Result<(), SeedError> {
    let mut file =
        std::fs::File::options().write(true).create_new(true).mode(0o600).open(path).map_err(disk_error(path))?;
    file.write_all(content).map_err(disk_error(path))
}

fn disk_error(path: &Path) -> impl FnOnce(std::io::Error) -> SeedError {
    let path = path.to_owned();
    move |source| SeedError::Disk { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    const SEED: Seed<'_> = Seed {
        instance_id: "i-0000ABCD",
        hostname: "euca-10-0-0-2.internal",
        public_key: Some("ssh-rsa AAAA me@home\n"),
        user_data: b"",
    };

    /// A file's content on the disk; genisoimage's own package has the reader.
    async fn read_back(disk: &Path, name: &str) -> Vec<u8> {
        Command::new("isoinfo").args(["-R", "-x", name, "-i"]).arg(disk).run().await.unwrap().stdout
    }

    fn genisoimage(test: &str) -> bool {
        let here = std::process::Command::new("genisoimage").arg("--version").output().is_ok();
        if !here {
            eprintln!("SKIPPED: {test}: genisoimage is not installed");
        }
        here
    }

    #[test]
    fn meta_data_is_yaml_that_nobody_can_break_out_of() {
        assert_eq!(
            SEED.meta_data(),
            "instance-id: \"i-0000ABCD\"\nlocal-hostname: \"euca-10-0-0-2.internal\"\npublic-keys:\n  - \"ssh-rsa AAAA me@home\"\n"
        );
        let hostile = Seed { public_key: Some("k\"\ninstance-id: other"), ..SEED };
        assert!(hostile.meta_data().ends_with("  - \"k\\\"\\ninstance-id: other\"\n"));
        assert!(!Seed { public_key: None, ..SEED }.meta_data().contains("public-keys"));
    }

    #[test]
    fn user_data_is_not_logged() {
        assert!(!format!("{:?}", Seed { user_data: b"secret", ..SEED }).contains("secret"));
    }

    #[tokio::test]
    async fn the_disk_holds_every_byte() {
        if !genisoimage("the_disk_holds_every_byte") {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("seed.iso");
        let noise: Vec<u8> = (0..=255).cycle().take(16 * 1024).chain(*b"\r\n\0 end ").collect();
        for data in [&noise[..], b"", b"#!/bin/sh\necho hi\n"] {
            Seed { user_data: data, ..SEED }.write(&target).await.unwrap();
            assert!(read_back(&target, "/user-data").await == data);
            assert_eq!(read_back(&target, "/meta-data").await, SEED.meta_data().into_bytes());
            assert_eq!(std::fs::metadata(&target).unwrap().mode() & 0o777, 0o600);
        }
        let label = &std::fs::read(&target).unwrap()[0x8028..0x8048];
        assert_eq!(label, b"cidata                          ");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside the disk");
    }
}
