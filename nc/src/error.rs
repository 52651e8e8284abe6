//! Why a node controller cannot start or go on, by what its operator can do. What a request is
//! refused for is a sentence (`Refusal`), made where it is refused.

use std::path::PathBuf;

use thiserror::Error;

use crate::images::ImageError;
use crate::state::StoreError;

/// Why the node controller does not run.
#[derive(Debug, Error)]
pub enum Error {
    /// The configuration file cannot be read.
    #[error("{path}: cannot be read")]
    ConfigFile {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The configuration does not make sense.
    #[error("{path}: {problem}")]
    Config {
        /// Which file.
        path: PathBuf,
        /// Line and key where known, what is wrong, what is right.
        problem: String,
    },
    /// The state directory is somebody else's.
    #[error(
        "{path}: another node controller uses this state directory; end it first, or give this one a state_dir of its own"
    )]
    InUse {
        /// The lock file.
        path: PathBuf,
    },
    /// A file of the state directory failed.
    #[error("{path}: cannot {what}")]
    File {
        /// Which.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The records cannot be read or written.
    #[error("the records of the instances cannot be kept")]
    Store(#[from] StoreError),
    /// The images' cache cannot be opened.
    #[error("the image cache cannot be opened")]
    Images(#[from] ImageError),
}
