//! Whose state directory this is: the node's identity, made at first start and kept for ever, and
//! the lock that keeps a second node controller out.

use std::fs::{DirBuilder, File};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use uuid::Uuid;

use crate::error::Error;

/// Makes the state directory if it is absent. It can be entered but not listed by others, because QEMU runs as another user.
///
/// # Errors
/// When it cannot be made.
pub fn make_state_dir(dir: &Path) -> Result<(), Error> {
    let made = DirBuilder::new().recursive(true).mode(0o711).create(dir);
    made.map_err(|source| file_error(dir, "make this directory", source))
}

/// The lock on a state directory; held until it is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    _file: Flock<File>,
}

impl Lock {
    /// Takes the lock, or says that another process has it.
    ///
    /// # Errors
    /// [`Error::InUse`], or that the file cannot be made.
    pub fn take(state_dir: &Path) -> Result<Self, Error> {
        let path = state_dir.join("lock");
        let opened = File::options().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = opened.map_err(|source| file_error(&path, "open this file", source))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(file) => Ok(Self { _file: file }),
            Err((_, Errno::EWOULDBLOCK)) => Err(Error::InUse { path }),
            Err((_, errno)) => Err(file_error(&path, "lock this file", errno.into())),
        }
    }
}

/// The node's id: random, made at first start. It marks the node's domains, so it must never be another one for the same
/// state directory; hold the [`Lock`].
///
/// # Errors
/// When the file cannot be made or read, or holds no id.
pub fn node_id(state_dir: &Path) -> Result<Uuid, Error> {
    let path = state_dir.join("node-id");
    match std::fs::read_to_string(&path) {
        Ok(text) => text.trim().parse().map_err(|error| {
            let source = std::io::Error::new(std::io::ErrorKind::InvalidData, error);
            file_error(
                &path,
                "find a UUID in this file; restore it from a backup, since it marks this node's domains",
                source,
            )
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let id = Uuid::new_v4();
            crate::state::replace(&path, format!("{id}\n").as_bytes())
                .map_err(|source| file_error(&path, "write this file", source))?;
            Ok(id)
        }
        Err(source) => Err(file_error(&path, "read this file", source)),
    }
}

fn file_error(path: &Path, what: &'static str, source: std::io::Error) -> Error {
    Error::File { path: path.to_path_buf(), what, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let lock = Lock::take(dir.path()).unwrap();
        let second = Lock::take(dir.path()).unwrap_err();
        assert!(matches!(second, Error::InUse { .. }), "{second}");
        drop(lock);
        Lock::take(dir.path()).unwrap();
    }

    #[test]
    fn the_id_stays_and_nonsense_is_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let id = node_id(dir.path()).unwrap();
        assert_eq!(node_id(dir.path()).unwrap(), id);
        std::fs::write(dir.path().join("node-id"), "nonsense").unwrap();
        assert!(node_id(dir.path()).is_err());
    }
}
