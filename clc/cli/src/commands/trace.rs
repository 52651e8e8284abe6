//! `euca trace`: what happened to a request, as one tree over the three tiers.

use std::collections::BTreeSet;

use anyhow::Result;
use clap::Args;

use super::Call;
use crate::output::table;
use crate::tree::Element;

#[derive(Args)]
pub struct Trace {
    /// The request's id: `requestId` of the answer, or the one an error named.
    request: String,
}

impl Trace {
    pub fn call(self) -> Result<Call> {
        let bare = self.request.trim().trim_start_matches("req-").to_string();
        Ok(Call { action: "DescribeTrace", parameters: vec![("RequestId".to_string(), bare)], text: tree })
    }
}

struct Span<'a> {
    element: &'a Element,
    start: i64,
    duration: i64,
}

/// The tree, parents before children and both by time; offsets and durations in milliseconds.
fn tree(answer: &Element) -> Vec<String> {
    let mut spans: Vec<Span> = answer
        .items("spanSet")
        .map(|element| Span {
            element,
            start: element.at("start").parse().unwrap_or(0),
            duration: element.at("duration").parse().unwrap_or(0),
        })
        .collect();
    spans.sort_by_key(|span| (span.start, -span.duration));
    let known: BTreeSet<&str> = spans.iter().map(|span| span.element.at("id")).collect();
    let zero = spans.first().map_or(0, |span| span.start);
    let mut rows = Vec::new();
    for root in spans.iter().filter(|span| !known.contains(span.element.at("parent"))) {
        branch(root, &spans, zero, 0, &mut rows);
    }
    table(&["AT ms", "TOOK ms", "TIER", "STEP", "WHAT", "OUTCOME"], &rows)
}

fn branch(span: &Span, spans: &[Span], zero: i64, depth: usize, rows: &mut Vec<Vec<String>>) {
    let element = span.element;
    rows.push(vec![
        format!("{:>9}", millis(span.start - zero)),
        format!("{:>9}", millis(span.duration)),
        element.at("tier").to_string(),
        format!("{}{}", "  ".repeat(depth), element.at("name")),
        element.at("detail").to_string(),
        element.at("outcome").to_string(),
    ]);
    // A span that names itself as its parent would never end.
    let children = spans
        .iter()
        .filter(|child| child.element.at("parent") == element.at("id") && child.element.at("id") != element.at("id"));
    for child in children.filter(|_| depth < 32) {
        branch(child, spans, zero, depth + 1, rows);
    }
}

fn millis(micros: i64) -> String {
    format!("{}.{:03}", micros / 1000, (micros % 1000).abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_stand_under_their_parents() {
        let span = |id: &str, parent: &str, start: i64| {
            format!(
                "<item><id>{id}</id><parent>{parent}</parent><tier>clc</tier><name>{id}</name><start>{start}</start>\
                 <duration>1500</duration><outcome>ok</outcome></item>"
            )
        };
        let spans = [span("late", "top", 9_000), span("top", "gone", 1_000), span("early", "top", 2_000)].concat();
        let answer = Element::parse(&format!("<R><spanSet>{spans}</spanSet></R>")).unwrap();
        let lines = tree(&answer);
        let names: Vec<&str> = lines[1..].iter().map(|line| line.split_whitespace().nth(3).unwrap()).collect();
        assert_eq!(names, ["top", "early", "late"]);
        assert!(lines[2].contains("1.000"), "{}", lines[2]);
    }
}
