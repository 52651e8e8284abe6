//! The names of events and steps: every log line has one, and the tables of OPERATIONS.md have all
//! of them and no others, because operators search and alarm by them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are a directory of the workspace")
}

fn rust_files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).expect("a directory of sources") {
        let path = entry.expect("an entry").path();
        let is_test = path.file_stem().is_some_and(|stem| stem == "tests");
        if path.is_dir() && !is_test {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !is_test {
            found.push(path);
        }
    }
}

/// The sources of the programs without their tests, each with its path.
fn sources() -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    for package in ["wsdl", "nc", "cc", "clc"] {
        rust_files(&root().join(package).join("src"), &mut files);
    }
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).expect("a source");
        let program = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_string();
        (path, program)
    };
    files.into_iter().map(read).collect()
}

/// What stands between `begin` and the next quotation mark, everywhere.
fn quoted_after<'a>(text: &'a str, begin: &str) -> impl Iterator<Item = &'a str> {
    text.split(begin).skip(1).filter_map(|rest| rest.split('"').next())
}

/// The names in backquotes in the first column of the table with that head.
fn table(head: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(root().join("docs/OPERATIONS.md")).expect("the manual");
    let rows = text.lines().skip_while(|line| !line.starts_with(head)).skip(2).take_while(|line| line.starts_with('|'));
    let first = rows.filter_map(|row| row.split('|').nth(1));
    let names = first.flat_map(|cell| cell.split('`').skip(1).step_by(2).map(str::to_string).collect::<Vec<_>>());
    let names: BTreeSet<String> = names.collect();
    assert!(!names.is_empty(), "OPERATIONS.md has no table that begins with {head}");
    names
}

fn events() -> BTreeSet<String> {
    let all = sources();
    all.iter().flat_map(|(_, text)| quoted_after(text, "event = \"").map(str::to_string)).collect()
}

#[test]
fn every_event_is_in_the_manual_and_the_manual_names_no_other() {
    let (used, told) = (events(), table("| events |"));
    let untold: Vec<&String> = used.difference(&told).collect();
    let unused: Vec<&String> = told.difference(&used).collect();
    assert!(untold.is_empty(), "not in the table of events of OPERATIONS.md: {untold:?}");
    assert!(unused.is_empty(), "in the table of events of OPERATIONS.md, and in no source: {unused:?}");
}

/// Names with capitals stand for those that are made of the operation's or the tier's name.
#[test]
fn every_step_of_a_trace_is_in_the_manual_and_the_manual_names_no_other() {
    let is_step = |name: &&str| {
        let tier = name.split('.').next().unwrap_or_default();
        let named = name.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'.' | b'_'));
        matches!(tier, "clc" | "cc" | "nc") && name.contains('.') && named && !name.ends_with(".toml")
    };
    let all = sources();
    let literals: BTreeSet<String> =
        all.iter().flat_map(|(_, text)| text.split('"').filter(is_step).map(str::to_string)).collect();
    let told = table("| steps |");
    let events = events();
    let untold: Vec<&String> = literals.difference(&told).filter(|name| !events.contains(*name)).collect();
    assert!(untold.is_empty(), "not in the table of steps of OPERATIONS.md: {untold:?}");
    let fixed = told.iter().filter(|name| !name.bytes().any(|byte| byte.is_ascii_uppercase()));
    let unused: Vec<&String> = fixed.filter(|name| !literals.contains(*name)).collect();
    assert!(unused.is_empty(), "in the table of steps of OPERATIONS.md, and in no source: {unused:?}");
}

#[test]
fn every_line_of_the_log_names_its_event() {
    let mut nameless = Vec::new();
    for (path, text) in sources() {
        for level in ["error", "warn", "info", "debug"] {
            for call in text.split(&format!("tracing::{level}!(")).skip(1) {
                let mut open = 1;
                let end = call.find(|c| {
                    open += i32::from(c == '(') - i32::from(c == ')');
                    open == 0
                });
                let arguments = &call[..end.expect("a macro that ends")];
                if !arguments.contains("event = \"") {
                    nameless.push(format!("{}: {arguments}", path.display()));
                }
            }
        }
    }
    assert!(nameless.is_empty(), "lines of the log without `event = \"...\"`:\n{}", nameless.join("\n"));
}
