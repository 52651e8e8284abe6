//! The fuzz targets' corpus, and whatever the fuzzer ever found, through the same checks without a
//! fuzzer.

#[path = "../../fuzz/src/lib.rs"]
mod fuzz;

use std::path::Path;

fn run(target: &str, check: fn(&[u8])) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let mut count = 0;
    for entry in std::fs::read_dir(directory).expect("fuzz/corpus") {
        let path = entry.expect("a directory that can be read").path();
        let bytes = std::fs::read(&path).expect("a file");
        let checked = std::panic::catch_unwind(|| check(&bytes));
        assert!(checked.is_ok(), "{}", path.display());
        count += 1;
    }
    assert!(count > 50, "{count} files for {target}");
}

#[test]
fn envelopes() {
    run("envelope", fuzz::envelope);
}

#[test]
fn signed_messages() {
    run("verifier", fuzz::verifier);
}

#[test]
fn messages_of_nodes() {
    run("nc_messages", fuzz::nc_messages);
}

#[test]
fn messages_of_clusters() {
    run("cc_messages", fuzz::cc_messages);
}

#[test]
fn requests_at_the_door() {
    run("front", fuzz::front);
}
