//! The few file operations that keys need: written whole or not at all, and not for every eye.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// Certificates and keys have a few kilobytes; what is longer is something else.
const LONGEST: u64 = 256 << 10;

/// Reads a short text file.
pub fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(LONGEST).read_to_string(&mut text)?;
    Ok(text)
}

/// True if others than owner and group may read the file.
pub fn world_readable(path: &Path) -> io::Result<bool> {
    Ok(fs::metadata(path)?.permissions().mode() & 0o004 != 0)
}

/// Makes `dir` (0700 if it is new) and holds it for this process until the lock is dropped.
pub fn lock_dir(dir: &Path) -> io::Result<File> {
    if !dir.is_dir() {
        fs::create_dir_all(dir)?;
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
    }
    let lock = File::open(dir)?;
    lock.lock()?;
    Ok(lock)
}

/// Writes a file with this mode: either the old content stands afterwards or all of the new, also
/// after a power failure.
pub fn write(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let name = path.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        Some(_) | None => Path::new("."),
    };
    let draft = dir.join(format!(".{}.{}", name.to_string_lossy(), std::process::id()));
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let result = write_draft(&draft, content, mode).and_then(|()| fs::rename(&draft, path));
    if result.is_err() {
        let _ = fs::remove_file(&draft);
        return result;
    }
    File::open(dir)?.sync_all()
}

fn write_draft(draft: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(draft)?;
    file.write_all(content)?;
    file.sync_all()
}
