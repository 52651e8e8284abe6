//! The cache of fetched images: one data file and one fact file per image, kept within a size by forgetting what was
//! used longest ago. A data file is whole or absent: it is written under another name and renamed, its facts are
//! written after it, and both are compared before use. Knows nothing of URLs' meaning or of formats' insides.

use std::collections::{HashMap, HashSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use aws_lc_rs::digest;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

use super::sparse::hex;
use super::{Format, ImageError, Kind};

const DATA: &str = "data";
const FACTS: &str = "json";
const PART: &str = "part";

/// The cache directory. Nobody else may write there.
#[derive(Debug)]
pub struct Cache {
    dir: PathBuf,
    limit: u64,
    /// Held for reading while an entry is in use, for writing while it is made or removed.
    locks: Mutex<HashMap<String, Arc<RwLock<()>>>>,
}

/// What is known of a cached image.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Facts {
    /// SHA-256 of the content, lower-case hex.
    pub sha256: String,
    /// How to read it.
    pub format: Format,
    /// What a guest sees, in bytes.
    pub virtual_size: u64,
    /// The source when it was read.
    pub origin: Origin,
}

/// What tells one state of a source from another. A file's stamp; nothing for a web server, whose images are taken
/// at their word: an image does not change under its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Origin(pub Option<Stamp>);

/// What changes when a file changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Stamp {
    bytes: u64,
    inode: u64,
    /// Time of modification, seconds and nanoseconds.
    modified: (i64, i64),
}

impl Stamp {
    /// The stamp in a file's metadata.
    #[must_use]
    pub fn of(metadata: &std::fs::Metadata) -> Self {
        Self { bytes: metadata.len(), inode: metadata.ino(), modified: (metadata.mtime(), metadata.mtime_nsec()) }
    }
}

/// What a fact file holds.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Record {
    facts: Facts,
    /// The data file itself when it was complete.
    data: Stamp,
}

/// A cached image in use: it stays while this is held.
#[derive(Debug)]
pub struct Entry {
    data: PathBuf,
    facts: Facts,
    _in_use: OwnedRwLockReadGuard<()>,
}

impl Entry {
    /// The content.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }
}

impl std::ops::Deref for Entry {
    type Target = Facts;

    fn deref(&self) -> &Facts {
        &self.facts
    }
}

/// The right to make one entry. Others who want it wait.
#[derive(Debug)]
pub struct Writer {
    files: Files,
    lock: OwnedRwLockWriteGuard<()>,
}

/// A file that is removed unless it becomes an entry.
#[derive(Debug)]
pub struct Part(PathBuf);

impl Part {
    /// Where to write.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Gone already when it became an entry; else a leftover that `Cache::open` removes.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The name of an image's entry: readable, and distinct for each id, address and purpose.
#[must_use]
pub fn key(image_id: &str, address: &str, kind: Kind) -> String {
    let text = format!("{image_id}\n{address}\n{kind:?}");
    let hash = hex(&digest::digest(&digest::SHA256, text.as_bytes()).as_ref()[..8]);
    let id: String =
        image_id.chars().filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-').take(32).collect();
    format!("{id}-{hash}")
}

impl Cache {
    /// Opens the directory, making it (0700) if need be, and removes what is not a whole entry.
    ///
    /// # Errors
    /// [`ImageError::Disk`].
    pub fn open(dir: &Path, limit: u64) -> Result<Self, ImageError> {
        use std::os::unix::fs::DirBuilderExt;
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(ImageError::disk(dir, "make the directory"))?;
        let cache = Self { dir: dir.to_owned(), limit, locks: Mutex::default() };
        for found in std::fs::read_dir(dir).map_err(ImageError::disk(dir, "list"))? {
            let path = found.map_err(ImageError::disk(dir, "list"))?.path();
            if !cache.is_whole(&path) {
                std::fs::remove_file(&path).map_err(ImageError::disk(&path, "remove"))?;
            }
        }
        Ok(cache)
    }

    /// Whether a file found at start belongs to an entry that has both its files. Directories are left alone.
    fn is_whole(&self, path: &Path) -> bool {
        if path.is_dir() {
            return true;
        }
        let known = matches!(path.extension().and_then(|end| end.to_str()), Some(DATA | FACTS));
        known && path.with_extension(DATA).is_file() && path.with_extension(FACTS).is_file()
    }

    /// The entry, if there is a good one that was made from this state of the source. Waits for one that is being made.
    pub async fn lookup(&self, key: &str, origin: &Origin) -> Option<Entry> {
        let in_use = self.lock(key).read_owned().await;
        self.files(key).entry(origin, in_use)
    }

    /// The right to make the entry, once nobody else makes or uses it.
    pub async fn reserve(&self, key: &str) -> Writer {
        Writer { files: self.files(key), lock: self.lock(key).write_owned().await }
    }

    /// Forgets entries, those used longest ago first and none that is in use, until `bytes` more fit.
    pub fn make_room(&self, bytes: u64) {
        let mut entries = self.entries();
        entries.sort_by_key(|entry| entry.used);
        let mut taken: u64 = entries.iter().map(|entry| entry.bytes).sum();
        for entry in entries {
            if taken.saturating_add(bytes) <= self.limit {
                break;
            }
            let Ok(_unused) = self.lock(&entry.key).try_write_owned() else { continue };
            tracing::info!(
                event = "nc.cache.forgotten",
                entry = entry.key,
                bytes = entry.bytes,
                "image cache: forgotten to make room"
            );
            self.files(&entry.key).remove();
            taken -= entry.bytes;
        }
        self.locks.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, lock| Arc::strong_count(lock) > 1);
    }

    /// What the entries take on disk, in bytes.
    pub fn bytes(&self) -> u64 {
        self.entries().iter().map(|entry| entry.bytes).sum()
    }

    /// The ids of the images that are here: those used last, `most` at most.
    pub fn image_ids(&self, most: usize) -> Vec<String> {
        let mut entries = self.entries();
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.used));
        let mut seen = HashSet::new();
        // A key is the id and a hash of what else tells images apart.
        let ids = entries.iter().filter_map(|entry| Some(entry.key.rsplit_once('-')?.0));
        ids.filter(|id| seen.insert(*id)).take(most).map(str::to_owned).collect()
    }

    fn entries(&self) -> Vec<Kept> {
        let Ok(found) = std::fs::read_dir(&self.dir) else { return Vec::new() };
        found.filter_map(|found| Kept::of(&found.ok()?.path())).collect()
    }

    fn lock(&self, key: &str) -> Arc<RwLock<()>> {
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(locks.entry(key.to_owned()).or_default())
    }

    fn files(&self, key: &str) -> Files {
        Files { data: self.dir.join(format!("{key}.{DATA}")), facts: self.dir.join(format!("{key}.{FACTS}")) }
    }
}

/// An entry as the directory shows it.
struct Kept {
    key: String,
    /// Space on disk, holes not counted.
    bytes: u64,
    /// When it was last used: the fact file's time of modification.
    used: SystemTime,
}

impl Kept {
    fn of(path: &Path) -> Option<Self> {
        if path.extension()? != DATA {
            return None;
        }
        let used = std::fs::metadata(path.with_extension(FACTS)).ok()?.modified().ok()?;
        // stat(2): blocks of 512 bytes, whatever the file system's are.
        let bytes = std::fs::metadata(path).ok()?.blocks() * 512;
        Some(Self { key: path.file_stem()?.to_str()?.to_owned(), bytes, used })
    }
}

/// The two files of an entry.
#[derive(Debug)]
struct Files {
    data: PathBuf,
    facts: PathBuf,
}

impl Files {
    fn entry(&self, origin: &Origin, in_use: OwnedRwLockReadGuard<()>) -> Option<Entry> {
        let facts = self.good(origin)?;
        Some(Entry { data: self.data.clone(), facts, _in_use: in_use })
    }

    /// The facts, if the data is what was written and the source is as it was. Marks the entry as used now.
    fn good(&self, origin: &Origin) -> Option<Facts> {
        let record: Record = serde_json::from_slice(&std::fs::read(&self.facts).ok()?).ok()?;
        let data = Stamp::of(&std::fs::metadata(&self.data).ok()?);
        if data != record.data || record.facts.origin != *origin {
            return None;
        }
        if let Ok(file) = std::fs::File::options().write(true).open(&self.facts) {
            // Without it the entry only looks older than it is.
            let _ = file.set_modified(SystemTime::now());
        }
        Some(record.facts)
    }

    /// The facts go first: data without facts is no entry.
    fn remove(&self) {
        for path in [&self.facts, &self.data] {
            match std::fs::remove_file(path) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => {
                    tracing::warn!(event = "nc.cache.stuck", path = %path.display(), %error, "image cache: cannot remove")
                }
            }
        }
    }
}

impl Writer {
    /// The entry, if someone else made it while this writer waited; else the writer back.
    ///
    /// # Errors
    /// The writer itself: there is no good entry, make it.
    pub fn filled(self, origin: &Origin) -> Result<Entry, Self> {
        match self.files.good(origin) {
            Some(facts) => Ok(Entry { data: self.files.data, facts, _in_use: self.lock.downgrade() }),
            None => Err(self),
        }
    }

    /// Where to write the content. Each call gives another name: a fetch that was given up may still be
    /// ending when the next one begins.
    #[must_use]
    pub fn part(&self) -> Part {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Part(self.files.data.with_extension(format!("{number}.{PART}")))
    }

    /// Makes the written part the entry.
    ///
    /// # Errors
    /// [`ImageError::Disk`]; then there is no entry.
    pub fn fill(self, part: Part, facts: Facts) -> Result<Entry, ImageError> {
        self.files.remove();
        std::fs::rename(part.path(), &self.files.data).map_err(ImageError::disk(&self.files.data, "rename"))?;
        let metadata = std::fs::metadata(&self.files.data).map_err(ImageError::disk(&self.files.data, "read"))?;
        let record = Record { facts, data: Stamp::of(&metadata) };
        let text = serde_json::to_vec(&record).expect("a record of plain fields is always JSON");
        let new = self.files.facts.with_extension(PART);
        std::fs::write(&new, text).map_err(ImageError::disk(&new, "write"))?;
        std::fs::rename(&new, &self.files.facts).map_err(ImageError::disk(&self.files.facts, "rename"))?;
        Ok(Entry { data: self.files.data, facts: record.facts, _in_use: self.lock.downgrade() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOWHERE: Origin = Origin(None);

    fn facts() -> Facts {
        Facts { sha256: "00".into(), format: Format::Raw, virtual_size: 1, origin: NOWHERE }
    }

    async fn fill(cache: &Cache, key: &str, bytes: usize) -> Entry {
        let writer = cache.reserve(key).await;
        let part = writer.part();
        std::fs::write(part.path(), vec![1; bytes]).unwrap();
        writer.fill(part, facts()).unwrap()
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            std::fs::read_dir(dir).unwrap().map(|found| found.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn keys_differ_and_are_file_names() {
        let one = key("emi-12345678", "http://a/x", Kind::Root);
        assert_ne!(one, key("emi-12345678", "http://a/y", Kind::Root));
        assert_ne!(one, key("emi-12345678", "http://a/x", Kind::Kernel));
        assert!(one.starts_with("emi-12345678-"));
        assert!(!key("../../etc", "x", Kind::Root).contains('/'));
    }

    #[tokio::test]
    async fn the_images_used_last_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path(), 1 << 20).unwrap();
        for (id, address, age) in [("emi-1", "http://a/x", 3), ("emi-2", "http://a/x", 2), ("emi-1", "http://a/y", 1)] {
            let key = key(id, address, Kind::Root);
            drop(fill(&cache, &key, 10).await);
            let facts = std::fs::File::options().write(true).open(cache.files(&key).facts).unwrap();
            facts.set_modified(SystemTime::now() - std::time::Duration::from_secs(60 * age)).unwrap();
        }
        assert_eq!(cache.image_ids(9), ["emi-1", "emi-2"]);
        assert_eq!(cache.image_ids(1), ["emi-1"]);
    }

    #[tokio::test]
    async fn an_entry_survives_a_restart_and_leftovers_do_not() {
        let dir = tempfile::tempdir().unwrap();
        drop(fill(&Cache::open(dir.path(), 1 << 20).unwrap(), "a", 10).await);
        for leftover in ["b.part", "c.data", "d.json"] {
            std::fs::write(dir.path().join(leftover), "x").unwrap();
        }
        let cache = Cache::open(dir.path(), 1 << 20).unwrap();
        assert_eq!(names(dir.path()), ["a.data", "a.json"]);
        assert_eq!(*cache.lookup("a", &NOWHERE).await.unwrap(), facts());
    }

    #[tokio::test]
    async fn changed_data_and_a_changed_source_are_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path(), 1 << 20).unwrap();
        drop(fill(&cache, "a", 10).await);
        let elsewhere = Origin(Some(Stamp::of(&std::fs::metadata(dir.path()).unwrap())));
        assert!(cache.lookup("a", &elsewhere).await.is_none());
        assert!(cache.lookup("a", &NOWHERE).await.is_some());
        std::fs::write(dir.path().join("a.data"), "something else").unwrap();
        assert!(cache.lookup("a", &NOWHERE).await.is_none());
    }

    #[tokio::test]
    async fn the_one_used_longest_ago_goes_first_and_none_in_use() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path(), 100_000).unwrap();
        let minutes = |count: u64| SystemTime::now() - std::time::Duration::from_secs(60 * count);
        for (name, age) in [("old", 3), ("older", 4), ("oldest", 5)] {
            drop(fill(&cache, name, 40_000).await);
            std::fs::File::options()
                .write(true)
                .open(dir.path().join(format!("{name}.json")))
                .unwrap()
                .set_modified(minutes(age))
                .unwrap();
        }
        let in_use = cache.lock("oldest").read_owned().await;
        cache.make_room(0);
        assert_eq!(names(dir.path()), ["old.data", "old.json", "oldest.data", "oldest.json"]);
        drop(in_use);
        cache.make_room(50_000);
        assert_eq!(names(dir.path()), ["old.data", "old.json"]);
        assert!(cache.locks.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_part_that_is_given_up_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path(), 1 << 20).unwrap();
        let writer = cache.reserve("a").await;
        let part = writer.part();
        std::fs::write(part.path(), "x").unwrap();
        drop(part);
        assert!(names(dir.path()).is_empty());
    }
}
