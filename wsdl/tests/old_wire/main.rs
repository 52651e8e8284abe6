//! The wire of Eucalyptus 2.0.1, against what was recorded from its servers and clients
//! (`tests/captures`), and between our own two ends.

mod answers;
mod attacks;
mod door;
mod profile;
mod requests;

use std::fs;
use std::path::{Path, PathBuf};

use ironbark_wsdl::Service;
use ironbark_wsdl::wsse::Certificate;

/// One recorded exchange.
pub struct Capture {
    pub name: String,
    pub service: Service,
    /// Status as recorded, `200`, `500`, `200 200`, `closed, 0 bytes`.
    pub status: String,
    /// `return=true`, `fault CODE | TEXT`.
    pub outcome: String,
    pub request: Vec<u8>,
    pub response: Vec<u8>,
}

pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/captures")
}

pub fn certificate(name: &str) -> Certificate {
    Certificate::load(&directory().join("certs").join(name)).expect("a recorded certificate")
}

/// Everything that was recorded: the exchanges that the conformance test has too, and the edges.
pub fn captures() -> Vec<Capture> {
    let mut captures = Vec::new();
    for (folder, columns) in [(directory(), 4), (directory().join("edges"), 6)] {
        let index = fs::read_to_string(folder.join("INDEX.tsv")).expect("the index");
        for line in index.lines().skip(1) {
            let fields: Vec<&str> = line.split('\t').collect();
            let read = |half: &str| fs::read(folder.join(format!("{}.{half}.http", fields[0]))).unwrap_or_default();
            captures.push(Capture {
                name: fields[0].to_string(),
                service: if fields[1] == "NC" { Service::Nc } else { Service::Cc },
                status: if columns == 4 { "200".to_string() } else { fields[3].to_string() },
                outcome: fields.get(columns - 1).unwrap_or(&"").to_string(),
                request: read("request"),
                response: read("response"),
            });
        }
    }
    captures
}

/// The body of the first recorded message, whole: without its chunks, and without a `100 Continue`
/// before it.
pub fn body(message: &[u8]) -> Vec<u8> {
    let end = find(message, b"\r\n\r\n").expect("the end of the HTTP header") + 4;
    let (header, rest) = message.split_at(end);
    let header = String::from_utf8_lossy(header).to_ascii_lowercase();
    if header.starts_with("http/1.1 100") {
        return body(rest);
    }
    if header.contains("transfer-encoding: chunked") {
        return unchunked(rest);
    }
    let length = header.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    rest[..length.unwrap_or(rest.len())].to_vec()
}

fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let line = find(rest, b"\r\n").expect("a chunk's size");
        let size = std::str::from_utf8(&rest[..line]).expect("digits").split(';').next().unwrap_or_default();
        let size = usize::from_str_radix(size.trim(), 16).expect("a size");
        if size == 0 {
            return body;
        }
        body.extend_from_slice(&rest[line + 2..line + 2 + size]);
        rest = &rest[line + size + 4..];
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|found| found == wanted)
}
