//! Writing a file while hashing it, leaving holes where the bytes are zero. Knows nothing of where bytes come from.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

use aws_lc_rs::digest;

/// Zero bytes in runs of this length, aligned, become holes: file systems' block sizes divide it.
const HOLE: usize = 64 * 1024;

/// A new file being written.
pub struct SparseWriter {
    file: File,
    hash: digest::Context,
    /// What does not fill a block yet.
    pending: Vec<u8>,
    written: u64,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256, lower-case hex.
    pub sha256: String,
}

impl SparseWriter {
    /// Makes the file (mode 0600), emptying one that is there.
    ///
    /// # Errors
    /// What the system says.
    pub fn create(path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::OpenOptionsExt;
        let file = File::options().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        Ok(Self { file, hash: digest::Context::new(&digest::SHA256), pending: Vec::with_capacity(HOLE), written: 0 })
    }

    /// How many bytes came so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.written
    }

    /// Adds bytes at the end.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        self.written += bytes.len() as u64;
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(HOLE - self.pending.len()));
            self.pending.extend_from_slice(now);
            bytes = later;
            if self.pending.len() == HOLE {
                self.flush_block()?;
            }
        }
        Ok(())
    }

    /// Ends the file and makes it durable.
    ///
    /// # Errors
    /// What the system says.
    pub fn finish(mut self) -> io::Result<Written> {
        self.flush_block()?;
        // A hole at the end exists only by the file's length.
        self.file.set_len(self.written)?;
        self.file.sync_all()?;
        let sha256 = hex(self.hash.finish().as_ref());
        Ok(Written { bytes: self.written, sha256 })
    }

    fn flush_block(&mut self) -> io::Result<()> {
        if self.pending.iter().all(|byte| *byte == 0) {
            self.file.seek(SeekFrom::Current(self.pending.len() as i64))?;
        } else {
            self.file.write_all(&self.pending)?;
        }
        self.pending.clear();
        Ok(())
    }
}

/// Lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    fn written(dir: &Path, content: &[u8], chunk: usize) -> (Written, std::path::PathBuf) {
        let path = dir.join("file");
        let mut writer = SparseWriter::create(&path).unwrap();
        for part in content.chunks(chunk) {
            writer.write(part).unwrap();
        }
        (writer.finish().unwrap(), path)
    }

    #[test]
    fn content_is_kept_however_it_is_cut() {
        let dir = tempfile::tempdir().unwrap();
        let mut content = vec![0_u8; 5 * HOLE + 17];
        content[HOLE + 3] = 1;
        content[4 * HOLE] = 2;
        for chunk in [1000, HOLE, HOLE + 1, content.len()] {
            let (written, path) = written(dir.path(), &content, chunk);
            assert_eq!(std::fs::read(&path).unwrap(), content);
            assert_eq!(written.bytes, content.len() as u64);
            assert_eq!(written.sha256, hex(digest::digest(&digest::SHA256, &content).as_ref()));
        }
    }

    #[test]
    fn zeros_take_no_space() {
        let dir = tempfile::tempdir().unwrap();
        let (_, path) = written(dir.path(), &vec![0; 4 << 20], 8192);
        let facts = std::fs::metadata(&path).unwrap();
        assert_eq!(facts.len(), 4 << 20);
        assert_eq!(facts.blocks(), 0);
        assert_eq!(facts.mode() & 0o777, 0o600);
    }
}
