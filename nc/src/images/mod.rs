//! Images: from a URL to an instance's own disk, kernel or ramdisk. Owns the order of the steps (allowed? cached?
//! fetch, inspect, copy, grow) and the errors; [`fetch`] brings bytes, [`cache`] keeps them, [`qcow2`] judges them.
//! Must not know instances, their states, or libvirt.

pub mod cache;
mod copy;
pub mod fetch;
pub mod qcow2;
pub mod rules;
pub mod sparse;

use std::path::{Path, PathBuf};

use ironbark_wsdl::command::CommandError;

use cache::{Cache, Entry};
pub use rules::AllowRules;
use rules::Source;

/// What an image is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The disk that the guest boots or mounts as its root (EMI).
    Root,
    /// A kernel (EKI).
    Kernel,
    /// A ramdisk (ERI).
    Ramdisk,
}

/// How a disk's bytes are to be read. Always passed on explicitly: a guest can write another format's header into a
/// raw disk, so nobody may guess it from the bytes later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// The bytes are the disk (or kernel, or ramdisk).
    Raw,
    /// QEMU's copy-on-write format, version 2 or 3, complete in one file.
    Qcow2,
}

impl Format {
    /// The format's name as QEMU and libvirt write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
        }
    }
}

/// One image that an instance needs.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    /// The cloud's id of the image: `emi-`, `eki-`, `eri-` and 8 digits. Images never change under their id.
    pub image_id: &'a str,
    /// Where it is: `file:///path` or `http://host/path`, with `#sha256=HEX` to have the content checked.
    pub url: &'a str,
    /// What it is for.
    pub kind: Kind,
    /// Where the instance's own copy goes; replaced if there.
    pub target: &'a Path,
    /// The most the image may be, in bytes; of a root disk its virtual size.
    pub limit: u64,
    /// The size in bytes that a root disk is grown to (never shrunk): the instance type's disk. The file grows sparsely;
    /// a file system in it stays as it is.
    pub grow_to: Option<u64>,
}

/// An instance's own copy of an image, ready to be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagedImage {
    /// Where it is: the order's target.
    pub path: PathBuf,
    /// How to read it.
    pub format: Format,
    /// What the guest sees, in bytes, after growing.
    pub virtual_size: u64,
    /// SHA-256 of the image as it was fetched, lower-case hex.
    pub sha256: String,
}

/// How far a download is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes received so far.
    pub received: u64,
    /// Bytes expected, when the source says.
    pub total: Option<u64>,
}

/// Why an image is not there. Each text names the URL (without its query, which may hold a signature), what is
/// wrong, and the way out.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The URL cannot be used at all.
    #[error("image URL {url}: {problem}")]
    BadUrl {
        /// The URL, as given but for its query.
        url: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// The node's configuration does not allow this URL.
    #[error(
        "image {url}: this node does not fetch from there; it allows {allowed}: put the image there, or add a rule to [images] allow in nc.toml"
    )]
    NotAllowed {
        /// The URL.
        url: String,
        /// The rules, as configured.
        allowed: String,
    },
    /// The source did not give the bytes.
    #[error("image {url}: {problem}")]
    Source {
        /// The URL.
        url: String,
        /// What happened, and the way out.
        problem: String,
    },
    /// Larger than the order allows.
    #[error(
        "image {url} has {actual} bytes or more, but at most {limit} fit: choose an instance type with a larger disk, or a smaller image"
    )]
    TooLarge {
        /// The URL.
        url: String,
        /// What was found.
        actual: u64,
        /// What is allowed.
        limit: u64,
    },
    /// The content is not what the URL's digest says.
    #[error(
        "image {url}: its SHA-256 is {actual}, but {expected} is required by the URL: the file changed or the URL is wrong; register the right one"
    )]
    Digest {
        /// The URL.
        url: String,
        /// From the URL.
        expected: String,
        /// Of the bytes received.
        actual: String,
    },
    /// No bytes for too long, or too slow overall.
    #[error("image {url}: {problem}")]
    Stalled {
        /// The URL.
        url: String,
        /// Which limit was passed.
        problem: String,
    },
    /// The content is of a format that is not accepted, or hostile.
    #[error("image {url}: {problem}")]
    Refused {
        /// The URL.
        url: String,
        /// What was found, and the way out.
        problem: String,
    },
    /// This node's own disk failed.
    #[error("{path}: cannot {what}; check the space and the rights there")]
    Disk {
        /// Which file.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A program that we need failed.
    #[error("image {url}: a program failed")]
    Tool {
        /// The URL.
        url: String,
        /// Which, and how.
        #[source]
        source: CommandError,
    },
}

impl ImageError {
    /// For `map_err` on what touches this node's disk.
    pub(crate) fn disk(path: &Path, what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Disk { path, what, source }
    }
}

/// A node's images: its cache, and the making of instances' own copies.
#[derive(Debug)]
pub struct ImageStore {
    cache: Cache,
    allow: AllowRules,
    limits: fetch::Limits,
}

impl ImageStore {
    /// Opens (and makes) the cache in `dir` and cleans up what a crash left there. The cache is kept within
    /// `cache_limit` bytes on disk as long as no image in use needs more.
    ///
    /// # Errors
    /// [`ImageError::Disk`] when the directory cannot be made or read.
    pub fn new(dir: &Path, cache_limit: u64, allow: AllowRules) -> Result<Self, ImageError> {
        Ok(Self { cache: Cache::open(dir, cache_limit)?, allow, limits: fetch::Limits::default() })
    }

    /// The same store with other time limits for fetching.
    #[must_use]
    pub fn with_limits(self, limits: fetch::Limits) -> Self {
        Self { limits, ..self }
    }

    /// What the cache takes on disk, in bytes.
    pub fn cached_bytes(&self) -> u64 {
        self.cache.bytes()
    }

    /// The ids of cached images: those used last, `most` at most.
    pub fn cached_ids(&self, most: usize) -> Vec<String> {
        self.cache.image_ids(most)
    }

    /// Brings one image to its target: from the cache, or fetched into it first. Several at once for the same image
    /// share one fetch. `progress` is called once for each mebibyte fetched and at the end; whoever waits for
    /// another's fetch hears nothing. To cancel, drop the future: the fetch and the copy stop, and
    /// partial files are removed (by the next [`ImageStore::new`] at the latest).
    ///
    /// # Errors
    /// See [`ImageError`]; after one there is no file at the target.
    pub async fn stage(
        &self,
        order: &Order<'_>,
        progress: impl Fn(Progress) + Send + Sync,
    ) -> Result<StagedImage, ImageError> {
        let source = Source::parse(order.url)?;
        self.allow.check(&source)?;
        let entry = self.cached(order, &source, &progress).await?;
        check_size(&source, &entry, order.limit)?;
        let copied = copy::copy(&source, &entry, order, self.limits.idle).await;
        if copied.is_err() {
            // Best effort: what matters is told by the error itself.
            let _ = std::fs::remove_file(order.target);
        }
        copied
    }

    /// The image's cache entry, fetched now unless a good one is there. It cannot be evicted while it is held.
    async fn cached(
        &self,
        order: &Order<'_>,
        source: &Source,
        progress: &(impl Fn(Progress) + Send + Sync),
    ) -> Result<Entry, ImageError> {
        let origin = fetch::origin(source, &self.allow)?;
        let key = cache::key(order.image_id, &source.identity(), order.kind);
        if let Some(entry) = self.cache.lookup(&key, &origin).await {
            source.check_digest(&entry.sha256)?;
            return Ok(entry);
        }
        // One writer; whoever waited for it looks again.
        let writer = match self.cache.reserve(&key).await.filled(&origin) {
            Ok(entry) => {
                source.check_digest(&entry.sha256)?;
                return Ok(entry);
            }
            Err(writer) => writer,
        };
        let part = writer.part();
        let most = download_limit(order);
        let make_room = |bytes| self.cache.make_room(bytes);
        let fetched = fetch::fetch(source, &self.allow, part.path(), most, &self.limits, &make_room, progress).await?;
        source.check_digest(&fetched.sha256)?;
        let (format, virtual_size) = inspect(source, order.kind, part.path(), fetched.bytes).await?;
        let entry = writer.fill(part, cache::Facts { sha256: fetched.sha256, format, virtual_size, origin })?;
        self.cache.make_room(0);
        Ok(entry)
    }
}

/// The most bytes a fetch may bring: the limit, and for a root disk (which may be qcow2) what its tables add: at the smallest
/// cluster size (512 bytes) about a thirtieth, plus a mebibyte for a small image's header.
fn download_limit(order: &Order<'_>) -> u64 {
    match order.kind {
        Kind::Root => order.limit.saturating_add(order.limit / 30).saturating_add(1 << 20),
        Kind::Kernel | Kind::Ramdisk => order.limit,
    }
}

fn check_size(source: &Source, entry: &Entry, limit: u64) -> Result<(), ImageError> {
    if entry.virtual_size > limit {
        return Err(ImageError::TooLarge { url: source.shown(), actual: entry.virtual_size, limit });
    }
    Ok(())
}

/// What the fetched file is: format and virtual size. Hostile and unusable files are refused here.
async fn inspect(source: &Source, kind: Kind, path: &Path, bytes: u64) -> Result<(Format, u64), ImageError> {
    let refused = |problem: String| ImageError::Refused { url: source.shown(), problem };
    if bytes == 0 {
        return Err(refused("the file is empty".to_owned()));
    }
    match kind {
        Kind::Kernel | Kind::Ramdisk => Ok((Format::Raw, bytes)),
        Kind::Root => {
            let head = qcow2::read_head(path).map_err(ImageError::disk(path, "read"))?;
            if let Some(problem) = other_format(&head) {
                return Err(refused(problem));
            }
            if !qcow2::is_qcow2(&head) {
                return Ok((Format::Raw, bytes));
            }
            let header = qcow2::parse(&head, bytes).map_err(|problem| refused(problem.to_string()))?;
            qcow2::confirm(path, &header).await.map_err(|error| match error {
                qcow2::ConfirmError::Tool(source_error) => {
                    ImageError::Tool { url: source.shown(), source: source_error }
                }
                qcow2::ConfirmError::Differs(problem) => refused(problem),
            })?;
            Ok((Format::Qcow2, header.virtual_size))
        }
    }
}

/// What a file is that would otherwise be taken for a raw disk and boot to nothing. Magic numbers from the formats'
/// specifications.
fn other_format(head: &[u8]) -> Option<String> {
    let starts = |magic: &[u8]| head.starts_with(magic);
    let convert = |name: &str| {
        Some(format!("it is a {name} file; convert it with `qemu-img convert -O qcow2` and register the result"))
    };
    let unpack = |name: &str| Some(format!("it is compressed with {name}; unpack it and register the result"));
    if starts(b"\x1f\x8b") {
        return unpack("gzip");
    }
    if starts(b"\xfd7zXZ\0") {
        return unpack("xz");
    }
    if starts(b"\x28\xb5\x2f\xfd") {
        return unpack("zstd");
    }
    if starts(b"BZh") {
        return unpack("bzip2");
    }
    if starts(b"KDMV") || starts(b"# Disk DescriptorFile") {
        return convert("VMDK");
    }
    if starts(b"vhdxfile") || starts(b"conectix") {
        return convert("VHD");
    }
    if starts(b"QED\0") {
        return convert("QED");
    }
    if head.get(64..68) == Some(&[0x7f, 0x10, 0xda, 0xbe]) {
        return convert("VDI");
    }
    None
}

#[cfg(test)]
mod tests;
