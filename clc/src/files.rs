//! Files that are their owner's alone, written whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context as _, Result};

/// Writes a file of mode 0600: afterwards there is either what was there or all of the new, also
/// after a power failure.
///
/// # Errors
/// Which file, and why not.
pub fn write(path: &Path, content: impl AsRef<[u8]>) -> Result<()> {
    let failed = || format!("cannot write {}", path.display());
    let next = path.with_extension("new");
    // A file left by a crash may have other permissions: begin with none.
    match fs::remove_file(&next) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error).with_context(failed),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&next).with_context(failed)?;
    file.write_all(content.as_ref()).with_context(failed)?;
    file.sync_all().with_context(failed)?;
    fs::rename(&next, path).with_context(failed)?;
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(dir).and_then(|dir| dir.sync_all()).with_context(failed)
}
