//! What guests write to their serial ports: the end of it for the reader, and a bound on all of it
//! for the disk. Knows files only.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// How much of the console's end is read: 64 KiB, as EC2 and (but for a byte) Eucalyptus 2.0.1.
pub const TAIL: u64 = 64 * 1024;
/// How large a console may grow before all but its end is dropped. libvirt's virtlogd turns files over at 2 MiB
/// by itself; QEMU, writing without virtlogd, never does, and a guest could fill the node's disk.
const BOUND: u64 = 8 << 20;

/// The last [`TAIL`] bytes of a console, from the file and the one before it; none of one that is not there.
///
/// # Errors
/// When a file is there and cannot be read.
pub fn tail(path: &Path) -> io::Result<Vec<u8>> {
    let end = file_tail(path, TAIL)?;
    let missing = TAIL - end.len() as u64;
    let mut whole = if missing > 0 { file_tail(&before(path), missing)? } else { Vec::new() };
    whole.extend(end);
    Ok(whole)
}

/// Where the turned-over part is: virtlogd's name for it.
fn before(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".0");
    PathBuf::from(name)
}

fn file_tail(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(limit)))?;
    let mut bytes = Vec::new();
    // The guest may go on writing while we read.
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Drops all but the end of a console that has grown beyond its bound. Who writes it appends, so it goes on at the
/// file's new end; what is written in this very moment may be lost. True if it was cut.
///
/// # Errors
/// When it cannot be cut.
pub fn bound(path: &Path) -> io::Result<bool> {
    match fs::metadata(path) {
        Ok(meta) if meta.len() > BOUND => {}
        Ok(_) => return Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    }
    fs::write(before(path), file_tail(path, TAIL)?)?;
    File::options().write(true).open(path)?.set_len(0)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn the_tail_is_the_end_and_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("console.log");
        assert_eq!(tail(&path).unwrap(), b"");
        fs::write(&path, "new").unwrap();
        assert_eq!(tail(&path).unwrap(), b"new");
        fs::write(before(&path), "old ").unwrap();
        assert_eq!(tail(&path).unwrap(), b"old new");
        fs::write(&path, vec![b'x'; 70_000]).unwrap();
        assert_eq!(tail(&path).unwrap(), vec![b'x'; 65_536]);
    }

    #[test]
    fn a_guest_that_never_stops_writing_keeps_its_last_words_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("console.log");
        assert!(!bound(&path).unwrap());
        let mut guest = File::options().create(true).append(true).open(&path).unwrap();
        guest.write_all(&vec![b'x'; BOUND as usize]).unwrap();
        assert!(!bound(&path).unwrap());
        guest.write_all(b"last words").unwrap();
        assert!(bound(&path).unwrap());
        guest.write_all(b" and more").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), 9);
        assert!(tail(&path).unwrap().ends_with(b"last words and more"));
    }
}
