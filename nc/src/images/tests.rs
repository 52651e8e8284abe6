//! Staging as a whole: real files, a real (scripted) web server on loopback, real qemu-img.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ironbark_wsdl::command::Command;

use super::*;

struct Lab {
    dir: tempfile::TempDir,
    store: ImageStore,
}

impl Lab {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("images")).unwrap();
        let allow = AllowRules::parse(&["http".to_owned(), format!("file:{}/images", dir.path().display())]).unwrap();
        let limits = fetch::Limits {
            connect: Duration::from_secs(5),
            idle: Duration::from_millis(500),
            total: Duration::from_secs(20),
        };
        let store = ImageStore::new(&dir.path().join("cache"), 1 << 30, allow).unwrap().with_limits(limits);
        Self { dir, store }
    }

    fn image(&self, name: &str, content: &[u8]) -> String {
        let path = self.dir.path().join("images").join(name);
        std::fs::write(&path, content).unwrap();
        format!("file://{}", path.display())
    }

    fn target(&self) -> PathBuf {
        self.dir.path().join("disk")
    }

    async fn stage(&self, url: &str) -> Result<StagedImage, ImageError> {
        self.stage_to(url, &self.target(), None).await
    }

    async fn stage_to(&self, url: &str, target: &Path, grow_to: Option<u64>) -> Result<StagedImage, ImageError> {
        let order = Order { image_id: "emi-12345678", url, kind: Kind::Root, target, limit: 64 << 20, grow_to };
        self.store.stage(&order, |_| {}).await
    }

    fn cached(&self) -> usize {
        std::fs::read_dir(self.dir.path().join("cache")).unwrap().count()
    }
}

/// A web server that gives the same bytes to everyone, `answers` in all, and counts the requests.
fn serve(answer: Vec<u8>, hold_open: bool) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/image?Signature=secret", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            counted.fetch_add(1, Ordering::SeqCst);
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(&answer);
            if hold_open {
                open.push(stream);
            }
        }
    });
    (url, count)
}

fn ok(body: &[u8]) -> Vec<u8> {
    let mut answer =
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len()).into_bytes();
    answer.extend_from_slice(body);
    answer
}

fn sha256(bytes: &[u8]) -> String {
    sparse::hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref())
}

/// Whether qemu-img is here; says so loudly when a test has to do without.
fn qemu_img(test: &str) -> bool {
    let here = std::process::Command::new("qemu-img").arg("--version").output().is_ok();
    if !here {
        eprintln!("SKIPPED: {test}: qemu-img is not installed (package qemu-utils)");
    }
    here
}

#[tokio::test]
async fn a_file_becomes_a_grown_sparse_disk() {
    let lab = Lab::new();
    let mut content = vec![0; 2 << 20];
    content[1 << 20] = 7;
    let url = lab.image("raw", &content);
    let staged = lab.stage_to(&url, &lab.target(), Some(10 << 30)).await.unwrap();
    assert_eq!(
        staged,
        StagedImage { path: lab.target(), format: Format::Raw, virtual_size: 10 << 30, sha256: sha256(&content) }
    );
    let facts = std::fs::metadata(lab.target()).unwrap();
    assert_eq!(facts.len(), 10 << 30);
    assert!(facts.blocks() * 512 <= 128 * 1024, "{} blocks", facts.blocks());
    assert_eq!(facts.mode() & 0o777, 0o600);
    let mut begin = vec![0; content.len()];
    std::fs::File::open(lab.target()).unwrap().read_exact(&mut begin).unwrap();
    assert!(begin == content);
}

#[tokio::test]
async fn a_second_instance_is_served_from_the_cache() {
    let lab = Lab::new();
    let (url, requests) = serve(ok(b"some disk"), false);
    lab.stage(&url).await.unwrap();
    std::fs::write(lab.target(), "written to by the guest").unwrap();
    let again = lab.stage(&url).await.unwrap();
    assert_eq!(std::fs::read(&again.path).unwrap(), b"some disk");
    assert_eq!(requests.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_changed_file_is_read_again() {
    let lab = Lab::new();
    let url = lab.image("raw", b"one");
    assert_eq!(lab.stage(&url).await.unwrap().sha256, sha256(b"one"));
    lab.image("raw", b"three");
    assert_eq!(lab.stage(&url).await.unwrap().sha256, sha256(b"three"));
}

#[tokio::test]
async fn many_at_once_share_one_download() {
    let lab = Lab::new();
    let content = vec![9; 3 << 20];
    let (url, requests) = serve(ok(&content), false);
    let targets: Vec<_> = (0..8).map(|number| lab.dir.path().join(format!("disk{number}"))).collect();
    let stages = targets.iter().map(|target| lab.stage_to(&url, target, None));
    let mut pending: Vec<_> = stages.map(Box::pin).collect();
    // Polled together on this task, so all eight are under way at once.
    std::future::poll_fn(|context| {
        pending.retain_mut(|stage| match stage.as_mut().poll(context) {
            std::task::Poll::Ready(result) => {
                assert_eq!(result.unwrap().virtual_size, 3 << 20);
                false
            }
            std::task::Poll::Pending => true,
        });
        if pending.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    assert_eq!(requests.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn progress_ends_at_the_total() {
    let lab = Lab::new();
    let (url, _) = serve(ok(&vec![1; 5 << 20]), false);
    let seen = Mutex::new(Vec::new());
    let target = lab.target();
    let order = Order {
        image_id: "eki-12345678",
        url: &url,
        kind: Kind::Kernel,
        target: &target,
        limit: 64 << 20,
        grow_to: None,
    };
    lab.store.stage(&order, |progress| seen.lock().unwrap().push(progress)).await.unwrap();
    let seen = seen.into_inner().unwrap();
    assert!(seen.len() >= 3 && seen.is_sorted_by_key(|progress| progress.received), "{seen:?}");
    assert_eq!(seen.last(), Some(&Progress { received: 5 << 20, total: Some(5 << 20) }));
}

#[tokio::test]
async fn the_digest_of_the_url_is_demanded() {
    let lab = Lab::new();
    let url = lab.image("raw", b"content");
    lab.stage(&format!("{url}#sha256={}", sha256(b"content").to_uppercase())).await.unwrap();
    let url = lab.image("other", b"content");
    for _ in 0..2 {
        let error = lab.stage(&format!("{url}#sha256={}", sha256(b"wish"))).await.unwrap_err();
        assert!(matches!(error, ImageError::Digest { .. }), "{error}");
    }
}

#[tokio::test]
async fn what_a_server_does_wrong_is_told_and_leaves_nothing() {
    let cases: [(&[u8], bool, &str); 8] = [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", false, "404"),
        (
            b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere/x?key=secret\r\nContent-Length: 0\r\n\r\n",
            false,
            "register that URL",
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", false, "broke off"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", true, "nothing came"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", false, "at most"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx", false, "packs"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false, "empty"),
        (b"", true, "no answer"),
    ];
    for (answer, hold_open, told) in cases {
        let lab = Lab::new();
        let (url, _) = serve(answer.to_vec(), hold_open);
        let text = lab.stage(&url).await.unwrap_err().to_string();
        assert!(text.contains(told) && text.contains("/image") && !text.contains("secret"), "{told}: {text}");
        assert!(!lab.target().exists());
        assert_eq!(lab.cached(), 0, "{told}");
    }
}

#[tokio::test]
async fn a_server_that_never_stops_is_stopped() {
    let lab = Lab::new();
    let mut answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..70 {
        answer.extend_from_slice(b"100000\r\n");
        answer.resize(answer.len() + (1 << 20), 0);
        answer.extend_from_slice(b"\r\n");
    }
    let (url, _) = serve(answer, false);
    let error = lab.stage(&url).await.unwrap_err();
    assert!(matches!(error, ImageError::TooLarge { .. }), "{error}");
    assert_eq!(lab.cached(), 0);
}

#[tokio::test]
async fn giving_up_leaves_nothing_and_the_next_begins_anew() {
    let lab = Lab::new();
    let (stuck, _) = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfour".to_vec(), true);
    let received = tokio::time::timeout(Duration::from_millis(200), lab.stage(&stuck)).await;
    assert!(received.is_err(), "the stage was given up");
    assert_eq!(lab.cached(), 0);
    let error = lab.stage(&stuck).await.unwrap_err();
    assert!(matches!(error, ImageError::Stalled { .. }), "{error}");
}

#[tokio::test]
async fn only_allowed_files_are_read_whatever_leads_to_them() {
    let lab = Lab::new();
    let outside = lab.dir.path().join("outside");
    std::fs::write(&outside, "secret").unwrap();
    std::os::unix::fs::symlink(&outside, lab.dir.path().join("images/link")).unwrap();
    let images = lab.dir.path().join("images").display().to_string();
    for url in [
        format!("file://{}", outside.display()),
        format!("file://{images}/link"),
        format!("file://{images}/../outside"),
        "file:///etc/no-such-file".to_owned(),
    ] {
        let error = lab.stage(&url).await.unwrap_err();
        assert!(matches!(error, ImageError::NotAllowed { .. }), "{url}: {error}");
    }
    let missing = lab.stage(&format!("file://{images}/missing")).await.unwrap_err();
    assert!(missing.to_string().contains("check the path"), "{missing}");
    assert!(lab.stage(&format!("file://{images}")).await.unwrap_err().to_string().contains("regular file"));
}

#[tokio::test]
async fn packed_and_foreign_formats_are_named() {
    let lab = Lab::new();
    for (content, told) in [
        (&b"\x1f\x8b\x08 etc"[..], "gzip"),
        (b"KDMV etc", "VMDK"),
        (b"vhdxfile", "VHD"),
        (b"QFI\xfb\0\0\0\x01", "damaged"),
    ] {
        let url = lab.image("odd", content);
        let error = lab.stage(&url).await.unwrap_err();
        assert!(matches!(error, ImageError::Refused { .. }), "{error}");
        assert!(error.to_string().contains(told), "{error}");
    }
}

#[tokio::test]
async fn a_qcow2_disk_is_taken_and_grown() {
    if !qemu_img("a_qcow2_disk_is_taken_and_grown") {
        return;
    }
    let lab = Lab::new();
    let path = lab.dir.path().join("images/disk.qcow2");
    Command::new("qemu-img").args(["create", "-q", "-f", "qcow2"]).arg(&path).arg("32M").run().await.unwrap();
    let url = format!("file://{}", path.display());
    let staged = lab.stage_to(&url, &lab.target(), Some(1 << 30)).await.unwrap();
    assert_eq!((staged.format, staged.virtual_size), (Format::Qcow2, 1 << 30));
    let info = Command::new("qemu-img").args(["info", "--output=json"]).arg(lab.target()).run().await.unwrap();
    let info: serde_json::Value = serde_json::from_slice(&info.stdout).unwrap();
    assert_eq!(info["virtual-size"], 1 << 30);

    Command::new("qemu-img").args(["create", "-q", "-f", "qcow2"]).arg(&path).arg("1G").run().await.unwrap();
    let error = lab.stage(&url).await.unwrap_err();
    assert!(matches!(error, ImageError::TooLarge { actual: 0x4000_0000, .. }), "{error}");
    assert!(!lab.target().with_extension("part").exists());
}

#[tokio::test]
async fn qcow2_files_that_qemu_makes_to_reach_out_are_refused() {
    if !qemu_img("qcow2_files_that_qemu_makes_to_reach_out_are_refused") {
        return;
    }
    let lab = Lab::new();
    let images = lab.dir.path().join("images");
    let secret = images.join("secret");
    std::fs::write(&secret, vec![1; 1 << 20]).unwrap();
    let backing = format!("backing_file={},backing_fmt=raw", secret.display());
    let data = format!("data_file={}", images.join("data").display());
    for (options, told) in [(backing.as_str(), "a backing file"), (data.as_str(), "an external data file")] {
        let path = images.join("evil.qcow2");
        Command::new("qemu-img")
            .args(["create", "-q", "-f", "qcow2", "-o", options])
            .arg(&path)
            .arg("1M")
            .run()
            .await
            .unwrap();
        let error = lab.stage(&format!("file://{}", path.display())).await.unwrap_err();
        assert!(error.to_string().contains(told), "{error}");
    }
}
