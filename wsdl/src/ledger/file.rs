//! A ledger's form on disk. Lines, so that a person can read it:
//!
//! ```text
//! ironbark-ledger 1
//! +i-3C5A0732 {"state":...}     a key and its text
//! -i-11111111                   a key that is forgotten
//! =5f3a0b1c 42                  a batch ends: CRC-32 of its lines, and how many bytes they are
//! ```
//!
//! A batch without its last line, or with a wrong sum, is what a crash leaves at the end of the file;
//! anywhere else it is damage. When most of the file is history, it is written anew beside it and
//! takes its name.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::{LedgerError, Texts};

const HEAD: &[u8] = b"ironbark-ledger 1\n";
/// A file smaller than this is not worth writing anew.
const SMALL: u64 = 1 << 20;
/// So many times what it holds may a file grow by its history.
const HISTORY: u64 = 4;

/// Where a live entry's line is.
#[derive(Clone, Copy, Debug)]
struct Place {
    at: u64,
    length: usize,
}

/// An open file.
#[derive(Debug)]
pub(super) struct LedgerFile {
    path: PathBuf,
    file: File,
    /// Bytes that are durable.
    length: u64,
    live: BTreeMap<String, Place>,
    /// Bytes of the live lines.
    live_bytes: u64,
    /// The last write failed, so what is on disk behind `length` is not known.
    torn: bool,
}

impl LedgerFile {
    pub(super) fn open(path: &Path) -> Result<(Self, BTreeMap<String, String>), LedgerError> {
        let failed = |doing| move |error: io::Error| LedgerError::io(doing, path, &error);
        match fs::remove_file(beside(path)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("clear up beside")(error)),
            Ok(()) | Err(_) => {}
        }
        let bytes = match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            read => read.map_err(failed("read"))?,
        };
        if bytes.is_empty() {
            return Ok((Self::create(path, &[]).map_err(failed("make"))?, BTreeMap::new()));
        }
        let read = read(&bytes).map_err(|(at, why)| LedgerError::Damaged { path: path.to_path_buf(), at, why })?;
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(failed("open"))?;
        let length = to_u64(read.length);
        if read.length < bytes.len() {
            tracing::warn!(event = "ledger.torn", file = %path.display(), bytes = bytes.len() - read.length, "the last write was never acknowledged, and is cut off");
            file.set_len(length).and_then(|()| file.sync_all()).map_err(failed("cut"))?;
        }
        let text = |place: &Place| {
            let line = &bytes[to_usize(place.at)..to_usize(place.at) + place.length];
            let (_, text) = split(line).expect("a live line was read before");
            text.to_string()
        };
        let texts = read.live.iter().map(|(key, place)| (key.clone(), text(place))).collect();
        let live_bytes = read.live.values().map(|place| to_u64(place.length)).sum();
        Ok((Self { path: path.to_path_buf(), file, length, live: read.live, live_bytes, torn: false }, texts))
    }

    /// Appends a batch, durably.
    pub(super) fn append(&mut self, texts: &Texts) -> Result<(), LedgerError> {
        if self.torn || (self.length > SMALL && self.length > HISTORY * self.live_bytes) {
            self.renew().map_err(|error| LedgerError::io("write", &self.path, &error))?;
        }
        let (mut lines, mut places) = (Vec::new(), Vec::new());
        for (key, text) in texts {
            let at = lines.len();
            match text {
                Some(text) => lines.extend_from_slice(format!("+{key} {text}\n").as_bytes()),
                None => lines.extend_from_slice(format!("-{key}\n").as_bytes()),
            }
            let place = Place { at: self.length + to_u64(at), length: lines.len() - at };
            places.push((key, text.is_some().then_some(place)));
        }
        seal(&mut lines, 0);
        let written = self.file.write_all_at(&lines, self.length).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            self.torn = true;
            // Best undone at once: what was refused is not to be found if the process ends now.
            let _ = self.file.set_len(self.length);
            return Err(LedgerError::io("write", &self.path, &error));
        }
        self.length += to_u64(lines.len());
        for (key, place) in places {
            let before = match place {
                Some(place) => {
                    self.live_bytes += to_u64(place.length);
                    self.live.insert(key.clone(), place)
                }
                None => self.live.remove(key),
            };
            self.live_bytes -= before.map_or(0, |before| to_u64(before.length));
        }
        Ok(())
    }

    /// Writes the file anew with what is live only.
    fn renew(&mut self) -> io::Result<()> {
        let mut lines = Vec::new();
        for place in self.live.values() {
            let begin = lines.len();
            lines.resize(begin + place.length, 0);
            self.file.read_exact_at(&mut lines[begin..], place.at)?;
        }
        *self = Self::create(&self.path, &lines)?;
        Ok(())
    }

    /// A file with these lines of texts, durable under its name.
    fn create(path: &Path, lines: &[u8]) -> io::Result<Self> {
        let new = beside(path);
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        let mut bytes = [HEAD, lines].concat();
        if !lines.is_empty() {
            seal(&mut bytes, HEAD.len());
        }
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()?;
        let read = read(&bytes).map_err(|(_, why)| io::Error::other(why))?;
        let live_bytes = read.live.values().map(|place| to_u64(place.length)).sum();
        let length = to_u64(bytes.len());
        Ok(Self { path: path.to_path_buf(), file, length, live: read.live, live_bytes, torn: false })
    }

    /// Makes the next write fail.
    #[cfg(test)]
    pub(super) fn break_for_test(&mut self) {
        self.file = File::open(&self.path).expect("it is there, and now for reading only");
    }
}

/// What a file holds.
#[derive(Debug, Default)]
struct Read {
    live: BTreeMap<String, Place>,
    /// Bytes up to the end of the last whole batch.
    length: usize,
}

/// Reads a file; where and why it is damaged, if it is.
fn read(bytes: &[u8]) -> Result<Read, (u64, &'static str)> {
    if !bytes.starts_with(HEAD) {
        return Err((0, "it is no ledger of this version"));
    }
    let mut whole = Read { live: BTreeMap::new(), length: HEAD.len() };
    let mut at = HEAD.len();
    for line in bytes[HEAD.len()..].split_inclusive(|byte| *byte == b'\n') {
        let end = at;
        at += line.len();
        let Some(begin) = sealed(bytes, end, line) else { continue };
        // A whole batch behind what is none: that was not the last write before a crash.
        if begin != whole.length {
            return Err((to_u64(whole.length), "its sum is wrong, and what follows is whole"));
        }
        apply(&mut whole.live, &bytes[begin..end], begin).map_err(|at| (to_u64(at), "a line in it cannot be read"))?;
        whole.length = at;
    }
    Ok(whole)
}

/// Where the batch begins that `line`, at `end`, ends; `None` if it ends none.
fn sealed(bytes: &[u8], end: usize, line: &[u8]) -> Option<usize> {
    let size = std::str::from_utf8(line.strip_prefix(b"=")?).ok()?.strip_suffix('\n')?.split_once(' ')?.1;
    let begin = end.checked_sub(size.parse().ok()?)?;
    (line == sum(&bytes[begin..end]).as_bytes()).then_some(begin)
}

/// Enters a batch's lines.
fn apply(live: &mut BTreeMap<String, Place>, batch: &[u8], begin: usize) -> Result<(), usize> {
    let mut at = begin;
    for line in batch.split_inclusive(|byte| *byte == b'\n') {
        match (line.first(), split(line)) {
            (Some(b'+'), Some((key, _))) => {
                live.insert(key.to_string(), Place { at: to_u64(at), length: line.len() });
            }
            (Some(b'-'), Some((key, _))) => {
                live.remove(key);
            }
            _ => return Err(at),
        }
        at += line.len();
    }
    Ok(())
}

/// A line's key and text.
fn split(line: &[u8]) -> Option<(&str, &str)> {
    let line = std::str::from_utf8(line.get(1..)?).ok()?.strip_suffix('\n')?;
    Some(line.split_once(' ').unwrap_or((line, "")))
}

/// Ends the batch that begins at `begin`.
fn seal(lines: &mut Vec<u8>, begin: usize) {
    let sum = sum(&lines[begin..]);
    lines.extend_from_slice(sum.as_bytes());
}

/// The line that ends a batch.
fn sum(batch: &[u8]) -> String {
    format!("={:08x} {}\n", crc32fast::hash(batch), batch.len())
}

/// Where a file is made that is to replace `path`.
fn beside(path: &Path) -> PathBuf {
    path.with_extension("new")
}

fn to_u64(size: usize) -> u64 {
    u64::try_from(size).expect("no more than 64 bits")
}

fn to_usize(size: u64) -> usize {
    usize::try_from(size).expect("it was a usize")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(pairs: &[(&str, Option<&str>)]) -> Texts {
        pairs.iter().map(|(key, text)| (key.to_string(), text.map(str::to_string))).collect()
    }

    /// A file with three batches, and its bytes.
    fn three(path: &Path) -> Vec<u8> {
        let (mut file, _) = LedgerFile::open(path).unwrap();
        file.append(&texts(&[("a", Some("1")), ("b", Some("1"))])).unwrap();
        file.append(&texts(&[("a", Some("2"))])).unwrap();
        file.append(&texts(&[("b", None), ("c", Some("3"))])).unwrap();
        fs::read(path).unwrap()
    }

    #[test]
    fn a_file_cut_anywhere_holds_what_was_whole_before_the_cut() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("l");
        let whole = three(&path);
        let mut seen = Vec::new();
        for cut in HEAD.len()..=whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            let (mut file, found) = LedgerFile::open(&path).unwrap();
            let found: Vec<String> = found.into_iter().map(|(key, text)| key + &text).collect();
            if seen.last() != Some(&found) {
                seen.push(found);
            }
            // And it can be written to.
            file.append(&texts(&[("d", Some("4"))])).unwrap();
            assert_eq!(LedgerFile::open(&path).unwrap().1["d"], "4");
        }
        assert_eq!(seen, [vec![], vec!["a1", "b1"], vec!["a2", "b1"], vec!["a2", "c3"]]);
    }

    #[test]
    fn damage_before_whole_batches_is_named_and_not_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("l");
        let whole = three(&path);
        let last = whole.windows(2).rposition(|pair| pair == b"\n-").unwrap();
        for at in HEAD.len()..last {
            let mut bytes = whole.clone();
            bytes[at] ^= 4;
            fs::write(&path, bytes).unwrap();
            let opened = LedgerFile::open(&path);
            assert!(matches!(opened, Err(LedgerError::Damaged { .. })), "byte {at}: {opened:?}");
        }
        fs::write(&path, "something else\n").unwrap();
        assert!(matches!(LedgerFile::open(&path), Err(LedgerError::Damaged { at: 0, .. })));
    }

    #[test]
    fn history_is_dropped_when_it_outgrows_what_is_live() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("l");
        let (mut file, _) = LedgerFile::open(&path).unwrap();
        let long = "x".repeat(200_000);
        file.append(&texts(&[("keep", Some("1"))])).unwrap();
        for _ in 0..50 {
            file.append(&texts(&[("i-1", Some(&long))])).unwrap();
            assert!(fs::metadata(&path).unwrap().len() < SMALL + 500_000);
        }
        drop(file);
        let (_, found) = LedgerFile::open(&path).unwrap();
        assert_eq!((found["keep"].as_str(), found["i-1"].len()), ("1", 200_000));
    }
}
