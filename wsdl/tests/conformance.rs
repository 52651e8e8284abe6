//! The WSDL files are the judges of the structs: same operations, same elements in the same order
//! with the same occurrences and types, and what the structs write is valid.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use common::{Entry, Fill, SERVICES, leaves, sample, table};
use ironbark_wsdl::marshal::{Contract, Field, Kind};
use ironbark_wsdl::{Service, cc, ironbark, nc};

fn contract_of(entry: &Entry) -> &'static Contract {
    Contract::of(entry.service)
}

#[test]
fn operations_are_those_of_the_contract() {
    let declared =
        [(Service::Nc, nc::OPERATIONS), (Service::Cc, cc::OPERATIONS), (Service::Ironbark, ironbark::OPERATIONS)];
    for (service, operations) in declared {
        let file = &Contract::of(service).operations;
        for operation in file {
            assert_eq!(operation.action, service.action(&operation.name), "soapAction in the file");
        }
        let in_file: BTreeSet<&str> = file.iter().map(|operation| operation.name.as_str()).collect();
        let in_code: BTreeSet<&str> = operations.iter().copied().collect();
        assert_eq!(in_code, in_file, "{service:?}");
        assert_eq!(in_code.len(), operations.len(), "{service:?}: an operation is listed twice");
        assert_eq!(Contract::of(service).namespace, service.namespace());
    }
    assert_eq!((nc::OPERATIONS.len(), cc::OPERATIONS.len()), (13, 18));
}

#[test]
fn messages_are_all_here() {
    for service in SERVICES {
        let in_file: BTreeSet<&str> = Contract::of(service).messages().collect();
        let in_table: BTreeSet<&str> =
            table().iter().filter(|entry| entry.service == service).map(|entry| entry.element).collect();
        assert_eq!(in_table, in_file, "{service:?}");
        for operation in &Contract::of(service).operations {
            assert!(
                in_file.contains(operation.name.as_str())
                    && in_file.contains(format!("{}Response", operation.name).as_str())
            );
        }
    }
}

/// Each struct, filled from the fullest message, has exactly the contract's fields: names, order,
/// occurrences and types, down to the shared types. `Debug` is what tells a struct's fields.
#[test]
fn structs_have_the_fields_of_the_contract() {
    for entry in table() {
        let shown = (entry.debug)(&sample(entry.service, entry.element, Fill::Fullest))
            .unwrap_or_else(|error| panic!("{}: {error}", entry.element));
        let shape = Shape::parse(&shown);
        let fields = contract_of(&entry).message(entry.element).expect("a message");
        compare(entry.element, &shape, contract_of(&entry), &fields);
    }
}

#[test]
fn fullest_and_emptiest_go_round() {
    for entry in table() {
        for fill in [Fill::Fullest, Fill::Emptiest] {
            let xml = sample(entry.service, entry.element, fill);
            let back = (entry.round)(&xml).unwrap_or_else(|error| panic!("{}, {fill:?}: {error}", entry.element));
            assert_eq!(leaves(&back), leaves(&xml), "{}, {fill:?}", entry.element);
        }
    }
}

#[test]
fn written_messages_are_valid() {
    if Command::new("xmllint").arg("--version").output().is_err() {
        eprintln!("SKIPPED written_messages_are_valid: xmllint is missing; install the package libxml2-utils");
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    for service in SERVICES {
        let schema = dir.path().join(format!("{service:?}.xsd"));
        fs::write(&schema, schema_of(service)).expect("a written schema");
        let mut files = Vec::new();
        let mut add = |name: String, xml: String| {
            let file = dir.path().join(name);
            fs::write(&file, xml).expect("a written message");
            files.push(file);
        };
        for entry in table().into_iter().filter(|entry| entry.service == service) {
            for fill in [Fill::Fullest, Fill::Emptiest] {
                let xml = (entry.round)(&sample(service, entry.element, fill)).expect("a message that goes round");
                add(format!("{service:?}-{}-{fill:?}.xml", entry.element), xml);
            }
            if let Some(refused) = entry.refused {
                let xml = refused("node n1 did not answer within 20 s").expect("a refusal");
                add(format!("{service:?}-{}-refused.xml", entry.element), xml);
            }
        }
        let output = Command::new("xmllint").arg("--noout").arg("--schema").arg(&schema).args(&files).output();
        let output = output.expect("xmllint, which ran a moment ago");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// The schema inside a WSDL file, as a document of its own.
fn schema_of(service: Service) -> String {
    let text = Contract::text(service);
    let start = text.find("<xs:schema").expect("a schema");
    let end = text.find("</xs:schema>").expect("its end") + "</xs:schema>".len();
    let declarations =
        format!("<xs:schema xmlns:xs=\"http://www.w3.org/2001/XMLSchema\" xmlns:tns=\"{}\"", service.namespace());
    text[start..end].replacen("<xs:schema", &declarations, 1)
}

#[test]
fn refusals_say_so() {
    for entry in table() {
        let Some(refused) = entry.refused else { continue };
        let written = leaves(&refused("bell \u{7} rang").expect("a refusal"));
        let value = |name: &str| {
            let path = format!("{}/{name}", entry.element);
            written.iter().find(|(at, _)| *at == path).map(|(_, text)| text.as_str())
        };
        assert_eq!(value("return"), Some("false"), "{}", entry.element);
        let reason = (entry.service != Service::Nc).then_some("bell \u{fffd} rang");
        assert_eq!(value("statusMessage"), reason, "{}", entry.element);
    }
}

/// What `Debug` shows of a value.
#[derive(Debug)]
enum Shape {
    Struct(Vec<(String, Shape)>),
    List(Vec<Shape>),
    Some(Box<Shape>),
    None,
    Text,
    Number,
    Boolean,
    DateTime,
}

impl Shape {
    fn parse(shown: &str) -> Shape {
        let mut rest = shown;
        let shape = Self::value(&mut rest);
        assert_eq!(rest, "", "left over of {shown}");
        shape
    }

    fn value(rest: &mut &str) -> Shape {
        if eat(rest, "[") {
            let mut items = Vec::new();
            while !eat(rest, "]") {
                items.push(Self::value(rest));
                eat(rest, ", ");
            }
            return Shape::List(items);
        }
        if rest.starts_with('"') {
            let mut escaped = false;
            let end = rest[1..].find(|c| {
                let closes = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                closes
            });
            *rest = &rest[end.expect("a closing quote") + 2..];
            return Shape::Text;
        }
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '-').unwrap_or(rest.len());
        let word = &rest[..end];
        *rest = &rest[end..];
        match word {
            "None" => Shape::None,
            "true" | "false" => Shape::Boolean,
            "Some" => {
                assert!(eat(rest, "("));
                let inner = Self::value(rest);
                assert!(eat(rest, ")"));
                Shape::Some(Box::new(inner))
            }
            "DateTime" => {
                *rest = &rest[rest.find(')').expect("DateTime(...)") + 1..];
                Shape::DateTime
            }
            number if number.parse::<i64>().is_ok() => Shape::Number,
            _name => {
                assert!(eat(rest, " { "), "a struct at {rest}");
                let mut fields = Vec::new();
                while !eat(rest, " }") {
                    let (name, after) = rest.split_once(": ").expect("a field");
                    *rest = after;
                    fields.push((name.to_string(), Self::value(rest)));
                    eat(rest, ", ");
                }
                Shape::Struct(fields)
            }
        }
    }
}

fn eat(rest: &mut &str, token: &str) -> bool {
    let found = rest.strip_prefix(token);
    *rest = found.unwrap_or(rest);
    found.is_some()
}

fn compare(path: &str, shape: &Shape, contract: &Contract, fields: &[&Field]) {
    let Shape::Struct(shown) = shape else { panic!("{path}: a struct, not {shape:?}") };
    let in_code: Vec<&str> = shown.iter().map(|(name, _)| name.as_str()).collect();
    let in_file: Vec<String> = fields.iter().map(|field| rust_name(&field.name)).collect();
    assert_eq!(in_code, in_file, "{path}");
    for ((_, shape), field) in shown.iter().zip(fields) {
        let path = format!("{path}/{}", field.name);
        match (shape, field.mandatory, field.max) {
            (Shape::List(items), _, max) if max != Some(1) => {
                assert_eq!(items.len(), 2, "{path}");
                items.iter().for_each(|item| compare_kind(&path, item, contract, &field.kind));
            }
            (Shape::Some(inner), false, Some(1)) => compare_kind(&path, inner, contract, &field.kind),
            (Shape::List(_) | Shape::Some(_), _, _) => panic!("{path}: {shape:?} for {field:?}"),
            (plain, true, Some(1)) => compare_kind(&path, plain, contract, &field.kind),
            (plain, _, _) => panic!("{path}: {plain:?} for {field:?}"),
        }
    }
}

fn compare_kind(path: &str, shape: &Shape, contract: &Contract, kind: &Kind) {
    match (kind, shape) {
        (Kind::Text, Shape::Text) | (Kind::Boolean, Shape::Boolean) | (Kind::DateTime, Shape::DateTime) => {}
        (Kind::Int | Kind::Long, Shape::Number) => {}
        (Kind::Complex(name), shape) => compare(path, shape, contract, &contract.fields(name)),
        (kind, shape) => panic!("{path}: {shape:?} for {kind:?}"),
    }
}

/// The field that stands for an element: snake case, and another word for Rust's keywords.
fn rust_name(element: &str) -> String {
    match element {
        "return" => return "accepted".to_string(),
        "type" => return "kind".to_string(),
        _ => {}
    }
    let mut name = String::new();
    let mut after_small = false;
    for c in element.replace("URL", "Url").chars() {
        if c.is_uppercase() && after_small {
            name.push('_');
        }
        after_small = !c.is_uppercase();
        name.extend(c.to_lowercase());
    }
    name
}
