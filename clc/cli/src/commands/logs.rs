//! `euca logs`: the lines of a request in the logs of all tiers, by time.

use anyhow::Result;
use clap::Args;
use jiff::Timestamp;

use super::{Call, request_parameter};
use crate::output::table;
use crate::tree::Element;

#[derive(Args)]
pub struct Logs {
    /// The request's id: `requestId` of the answer, or the one an error named.
    request: String,
}

impl Logs {
    pub fn call(self) -> Result<Call> {
        Ok(Call { action: "DescribeLogs", parameters: request_parameter(&self.request), text: lines })
    }
}

/// One row a line; times are UTC.
fn lines(answer: &Element) -> Vec<String> {
    let row = |line: &Element| {
        let time = line.at("time").parse().ok().and_then(|micros| Timestamp::from_microsecond(micros).ok());
        vec![
            time.map_or_else(|| line.at("time").to_string(), |time| format!("{time:.6}")),
            line.at("level").to_string(),
            line.at("tier").to_string(),
            line.at("event").to_string(),
            line.at("text").to_string(),
        ]
    };
    let rows: Vec<Vec<String>> = answer.items("lineSet").map(row).collect();
    table(&["WHEN", "LEVEL", "TIER", "EVENT", "WHAT"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_its_time_in_words() {
        let text = "<R><lineSet><item><time>1763726400000001</time><tier>nc:n1</tier><level>INFO</level>\
                    <event>request.end</event><text>op=ncRebootInstance ms=3</text></item></lineSet></R>";
        let lines = lines(&Element::parse(text).unwrap());
        assert_eq!(lines[1], "2025-11-21T12:00:00.000001Z  INFO   nc:n1  request.end  op=ncRebootInstance ms=3");
    }
}
