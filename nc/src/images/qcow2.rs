//! qcow2 files from strangers: what we accept of them, decided from the header before any program opens the file.
//! A qcow2 file can name other files of this node (backing file, data file), whose content the guest would then read: such
//! are refused. Knows the format's header (QEMU's docs/interop/qcow2.txt) and nothing of clusters.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use ironbark_wsdl::command::{Command, CommandError, Limits};

/// How much of a file's beginning is judged. The header and its extensions lie there.
const HEAD: u64 = 64 * 1024;
const MAGIC: &[u8] = b"QFI\xfb";
/// The largest disk that we take for meant seriously: 64 TiB.
const LARGEST: u64 = 64 << 40;
/// QEMU's own limit on the active L1 table, in bytes (QCOW_MAX_L1_SIZE).
const LARGEST_L1: u64 = 32 << 20;
/// qemu-img gets this long to look at a header.
const TOOL_TIME: Duration = Duration::from_secs(20);

/// What a good header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// 2 or 3.
    pub version: u32,
    /// What the guest sees, in bytes.
    pub virtual_size: u64,
}

/// Why a qcow2 file is not taken, with the way out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is cut off, or its numbers contradict each other.
    #[error("its qcow2 header is damaged ({0}); check it with `qemu-img check`, fetch or make it again")]
    Damaged(&'static str),
    /// A part of it is in another file.
    #[error(
        "it needs another file ({0}), and an image must be complete in itself; flatten it with `qemu-img convert -O qcow2`"
    )]
    NotComplete(&'static str),
    /// It is encrypted.
    #[error("it is encrypted; decrypt it with `qemu-img convert`")]
    Encrypted,
    /// It carries snapshots.
    #[error("it holds internal snapshots; drop them with `qemu-img convert -O qcow2`")]
    Snapshots,
    /// It was not closed properly.
    #[error("it was not closed properly or is marked corrupt; repair it with `qemu-img check -r all`")]
    Dirty,
    /// It needs something that we do not know.
    #[error(
        "it uses qcow2 features that are not known here (incompatible feature bits {0:#x}); convert it with `qemu-img convert -O qcow2`"
    )]
    Unknown(u64),
    /// Its version is not 2 or 3.
    #[error("it is qcow version {0}, and 2 and 3 are known; convert it with `qemu-img convert -O qcow2`")]
    Version(u32),
    /// A size beyond reason.
    #[error("its qcow2 header asks for {0}; make it anew with a sensible size")]
    Absurd(String),
}

/// The file's beginning, 64 KiB at most.
///
/// # Errors
/// What the system says.
pub fn read_head(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::new();
    std::fs::File::open(path)?.take(HEAD).read_to_end(&mut head)?;
    Ok(head)
}

/// Whether QEMU would take a file for qcow (any version).
#[must_use]
pub fn is_qcow2(head: &[u8]) -> bool {
    head.starts_with(MAGIC)
}

/// Judges a header: `head` is the file's beginning, `bytes` its length.
///
/// # Errors
/// [`Refusal`].
pub fn parse(head: &[u8], bytes: u64) -> Result<Header, Refusal> {
    if !is_qcow2(head) || head.len() < 72 {
        return Err(Refusal::Damaged("too short"));
    }
    let version = be32(head, 4)?;
    if !(2..=3).contains(&version) {
        return Err(Refusal::Version(version));
    }
    // Before anything else: what points out of the file.
    if be64(head, 8)? != 0 || be32(head, 16)? != 0 {
        return Err(Refusal::NotComplete("a backing file"));
    }
    if be32(head, 32)? != 0 {
        return Err(Refusal::Encrypted);
    }
    let cluster_bits = be32(head, 20)?;
    if !(9..=21).contains(&cluster_bits) {
        return Err(Refusal::Absurd(format!("clusters of 2^{cluster_bits} bytes")));
    }
    if be32(head, 60)? != 0 {
        return Err(Refusal::Snapshots);
    }
    let virtual_size = be64(head, 24)?;
    if virtual_size == 0 || virtual_size > LARGEST {
        return Err(Refusal::Absurd(format!("a disk of {virtual_size} bytes")));
    }
    check_tables(head, bytes, cluster_bits)?;
    let header_length = if version == 2 { 72 } else { check_version_3(head, cluster_bits)? };
    check_extensions(head, header_length)?;
    Ok(Header { version, virtual_size })
}

/// The two tables that the header points to lie in the file.
fn check_tables(head: &[u8], bytes: u64, cluster_bits: u32) -> Result<(), Refusal> {
    let l1_bytes = u64::from(be32(head, 36)?) * 8;
    if l1_bytes > LARGEST_L1 {
        return Err(Refusal::Absurd(format!("a table of {l1_bytes} bytes")));
    }
    let refcount_bytes = u64::from(be32(head, 56)?) << cluster_bits;
    for (offset, length) in [(be64(head, 40)?, l1_bytes), (be64(head, 48)?, refcount_bytes)] {
        // An end in the middle of the last cluster is allowed, so the beginning counts.
        if offset % (1 << cluster_bits) != 0 || offset.checked_add(length).is_none() || offset >= bytes {
            return Err(Refusal::Damaged("a table lies outside the file"));
        }
    }
    Ok(())
}

/// Version 3's feature bits; gives the header's length.
fn check_version_3(head: &[u8], cluster_bits: u32) -> Result<usize, Refusal> {
    const DIRTY_OR_CORRUPT: u64 = 0b11;
    const DATA_FILE: u64 = 1 << 2;
    /// Compression type (then told by the byte at 104) and extended L2 entries: harmless, and QEMU reads them.
    const HARMLESS: u64 = 1 << 3 | 1 << 4;
    let features = be64(head, 72)?;
    if features & DATA_FILE != 0 {
        return Err(Refusal::NotComplete("an external data file"));
    }
    let unknown = features & !(DIRTY_OR_CORRUPT | HARMLESS);
    if unknown != 0 {
        return Err(Refusal::Unknown(unknown));
    }
    if features & DIRTY_OR_CORRUPT != 0 {
        return Err(Refusal::Dirty);
    }
    if be32(head, 96)? > 6 {
        return Err(Refusal::Absurd("reference counts wider than 64 bits".to_owned()));
    }
    let length = be32(head, 100)?;
    if length < 104 || length % 8 != 0 || u64::from(length) > 1 << cluster_bits {
        return Err(Refusal::Damaged("header length"));
    }
    usize::try_from(length).map_err(|_| Refusal::Damaged("header length"))
}

/// Header extensions: type, length, data padded to 8 bytes; type 0 ends them. Version 2 may have them too.
fn check_extensions(head: &[u8], mut at: usize) -> Result<(), Refusal> {
    const END: u32 = 0;
    const DATA_FILE_NAME: u32 = 0x4441_5441;
    const ENCRYPTION: u32 = 0x0537_be77;
    loop {
        let kind = be32(head, at)?;
        let length = usize::try_from(be32(head, at + 4)?).map_err(|_| Refusal::Damaged("header extension"))?;
        match kind {
            END => return Ok(()),
            DATA_FILE_NAME => return Err(Refusal::NotComplete("an external data file")),
            ENCRYPTION => return Err(Refusal::Encrypted),
            // The rest (feature names, bitmaps, a backing format without a backing file) names no file.
            _other => {}
        }
        let padded = length.checked_next_multiple_of(8).ok_or(Refusal::Damaged("header extension"))?;
        at = at
            .checked_add(8)
            .and_then(|at| at.checked_add(padded))
            .filter(|at| *at <= head.len())
            .ok_or(Refusal::Damaged("header extension"))?;
    }
}

fn be32(bytes: &[u8], at: usize) -> Result<u32, Refusal> {
    let field = bytes.get(at..).and_then(|rest| rest.first_chunk()).ok_or(Refusal::Damaged("too short"))?;
    Ok(u32::from_be_bytes(*field))
}

fn be64(bytes: &[u8], at: usize) -> Result<u64, Refusal> {
    let field = bytes.get(at..).and_then(|rest| rest.first_chunk()).ok_or(Refusal::Damaged("too short"))?;
    Ok(u64::from_be_bytes(*field))
}

/// Why the second opinion is not the first.
#[derive(Debug, thiserror::Error)]
pub enum ConfirmError {
    /// qemu-img could not tell.
    #[error(transparent)]
    Tool(#[from] CommandError),
    /// qemu-img sees something else than we do.
    #[error("{0}")]
    Differs(String),
}

/// The part of `qemu-img info --output=json` that matters.
#[derive(serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Info {
    format: String,
    virtual_size: u64,
    #[serde(default)]
    encrypted: bool,
    backing_filename: Option<String>,
    format_specific: Option<Specific>,
}

#[derive(serde::Deserialize)]
struct Specific {
    data: Option<SpecificData>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
struct SpecificData {
    data_file: Option<String>,
    encrypt: Option<serde_json::Value>,
}

/// Asks qemu-img, under resource limits, whether it sees the same as [`parse`] did.
///
/// # Errors
/// [`ConfirmError`].
pub async fn confirm(path: &Path, header: &Header) -> Result<(), ConfirmError> {
    let output = tool("info").args(["--output=json", "-f", "qcow2", "--"]).arg(path).limits(limits(0)).run().await?;
    let differs = |problem: &str| {
        ConfirmError::Differs(format!("qemu-img {problem}; convert it with `qemu-img convert -O qcow2`"))
    };
    let info: Info =
        serde_json::from_slice(&output.stdout).map_err(|error| differs(&format!("gives no sense ({error})")))?;
    let data = info.format_specific.and_then(|specific| specific.data);
    if info.backing_filename.is_some() || data.as_ref().is_some_and(|data| data.data_file.is_some()) {
        return Err(differs("sees a second file"));
    }
    if info.encrypted || data.is_some_and(|data| data.encrypt.is_some()) {
        return Err(differs("sees encryption"));
    }
    if info.format != "qcow2" || info.virtual_size != header.virtual_size {
        return Err(differs("sees another disk than its header tells"));
    }
    Ok(())
}

/// Makes an instance's own qcow2 disk larger.
///
/// # Errors
/// What qemu-img says.
pub async fn grow(path: &Path, bytes: u64) -> Result<(), CommandError> {
    tool("resize")
        .args(["-q", "-f", "qcow2", "--"])
        .arg(path)
        .arg(bytes.to_string())
        .limits(limits(u64::MAX))
        .run()
        .await?;
    Ok(())
}

fn tool(what: &str) -> Command {
    Command::new("qemu-img").arg(what).timeout(TOOL_TIME)
}

/// qemu-img 7.2 maps some 250 MiB to look at a header; the tables of a 64 TiB disk fit in the rest.
fn limits(file_size: u64) -> Limits {
    Limits { memory: 1 << 30, cpu_seconds: 10, file_size }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LENGTH: u64 = 5 * 65536;

    /// A good header, version 3, and its end mark.
    fn good() -> Vec<u8> {
        let mut head = vec![0; 512];
        head[..4].copy_from_slice(MAGIC);
        put(&mut head, 4, &3_u32.to_be_bytes());
        put(&mut head, 20, &16_u32.to_be_bytes());
        put(&mut head, 24, &(10_u64 << 30).to_be_bytes());
        put(&mut head, 36, &20_u32.to_be_bytes());
        put(&mut head, 40, &(3_u64 * 65536).to_be_bytes());
        put(&mut head, 48, &65536_u64.to_be_bytes());
        put(&mut head, 56, &1_u32.to_be_bytes());
        put(&mut head, 96, &4_u32.to_be_bytes());
        put(&mut head, 100, &112_u32.to_be_bytes());
        head
    }

    fn put(head: &mut [u8], at: usize, bytes: &[u8]) {
        head[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn with(at: usize, bytes: &[u8]) -> Result<Header, Refusal> {
        let mut head = good();
        put(&mut head, at, bytes);
        parse(&head, LENGTH)
    }

    #[test]
    fn a_good_header_is_taken() {
        assert_eq!(parse(&good(), LENGTH), Ok(Header { version: 3, virtual_size: 10 << 30 }));
        // Compressed with zstd, extended L2 entries.
        assert!(with(79, &[0b11000]).is_ok());
    }

    #[test]
    fn other_files_are_never_opened() {
        assert_eq!(with(15, &[1]), Err(Refusal::NotComplete("a backing file")));
        assert_eq!(with(19, &[9]), Err(Refusal::NotComplete("a backing file")));
        assert_eq!(with(79, &[0b100]), Err(Refusal::NotComplete("an external data file")));
        assert_eq!(with(112, b"DATA\0\0\0\x08/etc/xyz"), Err(Refusal::NotComplete("an external data file")));
        // Behind another extension.
        let hidden = b"\x68\x03\xf8\x57\0\0\0\x01x\0\0\0\0\0\0\0DATA\0\0\0\x01";
        assert_eq!(with(112, hidden), Err(Refusal::NotComplete("an external data file")));
    }

    #[test]
    fn the_rest_is_told_apart() {
        assert_eq!(with(7, &[1]), Err(Refusal::Version(1)));
        assert_eq!(with(7, &[4]), Err(Refusal::Version(4)));
        assert_eq!(with(35, &[2]), Err(Refusal::Encrypted));
        assert_eq!(with(112, b"\x05\x37\xbe\x77\0\0\0\x10"), Err(Refusal::Encrypted));
        assert_eq!(with(63, &[1]), Err(Refusal::Snapshots));
        assert_eq!(with(79, &[1]), Err(Refusal::Dirty));
        assert_eq!(with(79, &[2]), Err(Refusal::Dirty));
        assert_eq!(with(72, &[0x80]), Err(Refusal::Unknown(1 << 63)));
        assert!(matches!(with(20, &[0xff]), Err(Refusal::Absurd(_))));
        assert!(matches!(with(24, &[0x7f]), Err(Refusal::Absurd(_))));
        assert!(matches!(with(36, &[0x7f]), Err(Refusal::Absurd(_))));
        assert!(matches!(with(40, &[0xff]), Err(Refusal::Damaged(_))));
        assert!(matches!(with(100, &[0xff]), Err(Refusal::Damaged(_))));
        assert!(matches!(with(112, b"\x68\x03\xf8\x57\xff\xff\xff\xff"), Err(Refusal::Damaged(_))));
        assert!(matches!(parse(b"QFI\xfb", 4), Err(Refusal::Damaged(_))));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(mut noise in prop::collection::vec(any::<u8>(), 0..600), length in any::<u64>()) {
            let _ = parse(&noise, length);
            if noise.len() >= 8 {
                put(&mut noise, 0, b"QFI\xfb\0\0\0\x03");
                let _ = parse(&noise, length);
            }
        }

        /// However a good header is damaged, nothing that points out of the file gets through.
        #[test]
        fn damage_never_opens_a_door(changes in prop::collection::vec((4_usize..512, any::<u8>()), 1..12)) {
            let mut head = good();
            for (at, byte) in changes {
                head[at] = byte;
            }
            if parse(&head, LENGTH).is_ok() {
                prop_assert_eq!(&head[8..20], &[0; 12]);
                prop_assert_eq!(&head[32..36], &[0; 4]);
                if head[7] == 3 {
                    prop_assert_eq!(head[79] & 0b100, 0);
                }
            }
        }
    }
}
