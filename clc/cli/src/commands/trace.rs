//! `euca trace`: what happened to a request, as one tree over the three tiers.

use std::collections::BTreeSet;

use anyhow::Result;
use clap::Args;

use super::{Call, request_parameter};
use crate::output::table;
use crate::tree::Element;

#[derive(Args)]
pub struct Trace {
    /// The request's id: `requestId` of the answer, or the one an error named.
    request: String,
}

impl Trace {
    pub fn call(self) -> Result<Call> {
        Ok(Call { action: "DescribeTrace", parameters: request_parameter(&self.request), text: tree })
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
    let mut lines = table(&["AT ms", "TOOK ms", "TIER", "STEP", "WHAT", "OUTCOME"], &rows);
    lines.extend(summary(&spans));
    lines
}

/// What took longest: the steps by the time that was theirs alone and not that of a step within them.
fn summary(spans: &[Span]) -> Option<String> {
    let begin = spans.iter().map(|span| span.start).min()?;
    let end = spans.iter().map(|span| span.start + span.duration).max()?;
    let mut own: Vec<(i64, &Element)> = spans.iter().map(|span| (own_time(span, spans), span.element)).collect();
    own.sort_by_key(|(time, _)| -time);
    let longest = own
        .iter()
        .take(3)
        .filter(|(time, _)| *time > 0)
        .map(|(time, element)| format!("{} in {} {} ms", element.at("name"), element.at("tier"), millis(*time)));
    let answered = spans.iter().find(|span| span.element.at("name") == "clc.request");
    let answered = answered.map(|root| format!("answered after {} ms, ", millis(root.duration)));
    let longest: Vec<String> = longest.collect();
    Some(format!(
        "{}all steps ended after {} ms; longest by themselves: {}",
        answered.unwrap_or_default(),
        millis(end - begin),
        longest.join(", ")
    ))
}

/// A step's time without that of the steps within it, which may overlap.
fn own_time(span: &Span, spans: &[Span]) -> i64 {
    let end = span.start + span.duration;
    let within = spans.iter().filter(|child| child.element.at("parent") == span.element.at("id"));
    let mut parts: Vec<(i64, i64)> = within
        .map(|child| (child.start.clamp(span.start, end), (child.start + child.duration).clamp(span.start, end)))
        .collect();
    parts.sort_unstable();
    let (mut covered, mut reached) = (0, span.start);
    for (from, to) in parts {
        covered += (to - from.max(reached)).max(0);
        reached = reached.max(to);
    }
    span.duration - covered
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
        let mut lines = tree(&answer);
        let summary = lines.pop().unwrap();
        assert!(summary.starts_with("all steps ended after 9.500 ms; longest"), "{summary}");
        assert!(summary.contains("late in clc 1.500 ms") && summary.contains("top in clc 1.000 ms"), "{summary}");
        let names: Vec<&str> = lines[1..].iter().map(|line| line.split_whitespace().nth(3).unwrap()).collect();
        assert_eq!(names, ["top", "early", "late"]);
        assert!(lines[2].contains("1.000"), "{}", lines[2]);
    }
}
