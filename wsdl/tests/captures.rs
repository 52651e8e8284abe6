//! Envelopes recorded from a real Eucalyptus 2.0.1 (`tests/captures`) go through our structs and
//! come out with the same elements.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use common::{Entry, leaves, table};
use ironbark_wsdl::Service;

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/captures")
}

/// The body's child of a recorded message.
fn body_of(file: &PathBuf) -> String {
    let bytes = fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let text = String::from_utf8(bytes).expect("recorded messages are UTF-8");
    let (_, after) = text.split_once("<soapenv:Body>").expect("a body");
    let (body, _) = after.split_once("</soapenv:Body>").expect("its end");
    body.to_string()
}

fn entry_of(service: Service, body: &str) -> Entry {
    let tag = body.trim_start_matches('<').split([' ', '>', '/']).next().unwrap_or_default();
    let name = tag.rsplit(':').next().unwrap_or_default();
    let found = table().into_iter().find(|entry| entry.service == service && entry.element == name);
    found.unwrap_or_else(|| panic!("{service:?} has no message {name}"))
}

#[test]
fn recorded_messages_go_round() {
    let index = fs::read_to_string(directory().join("INDEX.tsv")).expect("the index");
    let mut seen = BTreeSet::new();
    for line in index.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let service = if columns[1] == "NC" { Service::Nc } else { Service::Cc };
        for half in ["request", "response"] {
            let body = body_of(&directory().join(format!("{}.{half}.http", columns[0])));
            let entry = entry_of(service, &body);
            let back = (entry.round)(&body).unwrap_or_else(|error| panic!("{}, {half}: {error}", columns[0]));
            let (recorded, mut ours) = (leaves(&body), leaves(&back));
            if recorded.contains(&(format!("{}/return", entry.element), "false".to_string())) {
                // Their refusals lack mandatory elements, which we read as empty ones.
                ours.retain(|leaf| recorded.contains(leaf));
            }
            assert_eq!(ours, recorded, "{}, {half}", columns[0]);
            seen.insert((service, entry.element));
        }
    }
    for entry in table().iter().filter(|entry| entry.service != Service::Ironbark) {
        assert!(seen.contains(&(entry.service, entry.element)), "{} is in no recorded envelope", entry.element);
    }
}
