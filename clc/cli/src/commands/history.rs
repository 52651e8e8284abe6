//! `euca history`: what was done with an instance, by whom, and what came of it.

use clap::Args;

use super::Call;
use crate::output::table;
use crate::tree::Element;

#[derive(Args)]
pub struct History {
    /// The instance's id.
    instance: String,
}

impl History {
    pub fn call(self) -> Call {
        let parameters = vec![("InstanceId".to_string(), self.instance)];
        Call { action: "DescribeInstanceHistory", parameters, text: rows }
    }
}

/// One row an action, oldest first; times are UTC.
fn rows(answer: &Element) -> Vec<String> {
    let row = |entry: &Element| {
        let took = match entry.at("duration").parse::<f64>() {
            Ok(ms) => format!("{:.1} s", ms / 1000.0),
            Err(_) => "so far".to_string(),
        };
        let or = |field: &str, absent: &str| {
            let text = entry.at(field);
            if text.is_empty() { absent.to_string() } else { text.to_string() }
        };
        let action = format!("{} {}", entry.at("action"), entry.at("detail"));
        vec![
            entry.at("began").to_string(),
            action.trim_end().to_string(),
            entry.at("by").to_string(),
            or("requestId", "-"),
            took,
            or("result", "under way"),
        ]
    };
    let rows: Vec<Vec<String>> = answer.items("historySet").map(row).collect();
    table(&["WHEN", "ACTION", "BY", "REQUEST", "TOOK", "RESULT"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_under_way_has_no_end() {
        let text = "<R><historySet><item><action>StopInstances</action><detail>force</detail><by>a/b</by>\
                    <requestId>q</requestId><began>2026-11-20T12:00:00Z</began><duration>7040</duration>\
                    <result>forced after 7.0 s</result></item><item><action>RebootInstances</action><by>a/b</by>\
                    <began>2026-11-20T12:01:00Z</began></item></historySet></R>";
        let lines = rows(&Element::parse(text).unwrap());
        assert!(lines[1].contains("StopInstances force  a/b  q") && lines[1].ends_with("7.0 s   forced after 7.0 s"));
        assert!(lines[2].contains("so far") && lines[2].ends_with("under way"), "{}", lines[2]);
    }
}
