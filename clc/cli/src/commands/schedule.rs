//! `euca schedule`: why instances were placed where they were, and where they would be placed now.

use anyhow::Result;
use clap::{Args, Subcommand};

use super::{Call, optional};
use crate::output::table;
use crate::tree::Element;

#[derive(Subcommand)]
pub enum Schedule {
    /// Show why the instances of a launch were placed where they were, or nowhere.
    Explain(Explain),
    /// Show where instances would be placed now; nothing is started.
    Plan(Plan),
}

#[derive(Args)]
pub struct Explain {
    /// The launch's request id: `requestId` of the answer, or the one an error named.
    request: String,
}

#[derive(Args)]
pub struct Plan {
    /// Instance type, such as m1.small.
    #[arg(short = 't', long, default_value = "m1.small")]
    instance_type: String,
    /// How many.
    #[arg(short = 'n', long = "instance-count", value_name = "COUNT", default_value_t = 1)]
    count: u32,
    /// Availability zone.
    #[arg(short = 'z', long)]
    availability_zone: Option<String>,
    /// The image: its architecture must be the node's, and where it is cached counts.
    #[arg(short = 'i', long)]
    image: Option<String>,
    /// Placement group, by name or id.
    #[arg(short = 'g', long)]
    placement_group: Option<String>,
}

impl Schedule {
    pub fn call(self) -> Result<Call> {
        match self {
            Schedule::Explain(Explain { request }) => {
                let bare = request.trim().trim_start_matches("req-").to_string();
                let parameters = vec![("RequestId".to_string(), bare)];
                Ok(Call { action: "DescribePlacements", parameters, text: story })
            }
            Schedule::Plan(plan) => {
                let mut parameters = vec![
                    ("InstanceType".to_string(), plan.instance_type),
                    ("Count".to_string(), plan.count.to_string()),
                ];
                parameters.extend(optional("AvailabilityZone", plan.availability_zone));
                parameters.extend(optional("ImageId", plan.image));
                parameters.extend(optional("GroupName", plan.placement_group));
                Ok(Call { action: "DescribePlacementPlan", parameters, text: story })
            }
        }
    }
}

/// The zones, then the nodes of each decision: by name for who may see them, else counted.
fn story(answer: &Element) -> Vec<String> {
    let mut lines = table(&["ZONE", "CHOSEN", "WHY"], &answer.items("zoneSet").map(zone).collect::<Vec<_>>());
    let mut decisions: Vec<Decision> = Vec::new();
    for next in answer.items("placementSet").map(Decision::of) {
        match decisions.last_mut().filter(|last| last.is_same_plan(&next)) {
            Some(last) => last.to = next.to,
            None => decisions.push(next),
        }
    }
    let rows: Vec<Vec<String>> = decisions.into_iter().flat_map(Decision::rows).collect();
    if !rows.is_empty() {
        lines.push(String::new());
        lines.extend(table(&["ZONE", "INSTANCE", "OUTCOME", "RANK", "NODE", "WHY"], &rows));
    }
    lines
}

fn zone(zone: &Element) -> Vec<String> {
    let chosen = if zone.at("chosen") == "true" { "yes" } else { "no" };
    let why = match zone.at("declined") {
        "" => zone.at("reason").to_string(),
        declined => format!("{}; it declined: {declined}", zone.at("reason")),
    };
    vec![zone.at("zone").to_string(), chosen.to_string(), why]
}

/// One decision; or several of a plan, one after the other, that came to the same.
struct Decision {
    zone: String,
    /// The instance; none in a plan.
    instance: String,
    /// In a plan, from which to which instance, counted from 1.
    from: u32,
    to: u32,
    outcome: String,
    /// Rank, name and reason of each node.
    nodes: Vec<[String; 3]>,
}

impl Decision {
    fn of(decision: &Element) -> Self {
        let mut nodes: Vec<[String; 3]> = match decision.child("nodeSet") {
            Some(_) => {
                let mut nodes: Vec<&Element> = decision.items("nodeSet").collect();
                nodes.sort_by_key(|node| node.at("rank").parse::<u32>().unwrap_or(u32::MAX));
                nodes.into_iter().map(|node| named(node, decision)).collect()
            }
            None => counted(decision),
        };
        if nodes.is_empty() {
            nodes.push(["-".to_string(), "-".to_string(), "no node is registered with this cluster".to_string()]);
        }
        let number = decision.at("number").parse::<u32>().map_or(0, |number| number.saturating_add(1));
        let text = |field: &str| decision.at(field).to_string();
        Self {
            zone: text("zone"),
            instance: text("instanceId"),
            from: number,
            to: number,
            outcome: text("outcome"),
            nodes,
        }
    }

    fn is_same_plan(&self, next: &Self) -> bool {
        let plans = self.instance.is_empty() && next.instance.is_empty();
        plans && (&self.zone, &self.outcome, &self.nodes) == (&next.zone, &next.outcome, &next.nodes)
    }

    /// A line a node; what they have in common stands in the first.
    fn rows(self) -> Vec<Vec<String>> {
        let instance = match self.instance.as_str() {
            "" if self.from == self.to => format!("#{}", self.from),
            "" => format!("#{} to #{}", self.from, self.to),
            _ => self.instance,
        };
        let first = [self.zone, instance, self.outcome];
        let common = std::iter::once(first).chain(std::iter::repeat(["", "", ""].map(str::to_string)));
        common.zip(self.nodes).map(|(common, node)| common.into_iter().chain(node).collect()).collect()
    }
}

/// Rank, name and reason of a node.
fn named(node: &Element, decision: &Element) -> [String; 3] {
    let why = match node.at("reason") {
        "" => {
            let weight = |weight: &Element| format!("{} {}", weight.at("name"), weight.at("value"));
            let mut weights = node.items("weightSet").map(weight).collect::<Vec<_>>().join(", ");
            if !node.at("assumed").is_empty() {
                weights = format!("{weights}; {}", node.at("assumed"));
            }
            match decision.at("said") {
                said if !said.is_empty() && node.at("rank") == "1" => format!("{said} ({weights})"),
                _ => weights,
            }
        }
        reason => reason.to_string(),
    };
    let rank = if node.at("rank").is_empty() { "-" } else { node.at("rank") };
    [rank.to_string(), node.at("name").to_string(), why]
}

/// The same without names: those that could take it, and those that could not by their reasons.
fn counted(decision: &Element) -> Vec<[String; 3]> {
    let number = |text: &str| text.parse::<i64>().unwrap_or(0);
    let nodes = |count: i64| if count == 1 { "1 node".to_string() } else { format!("{count} nodes") };
    let refused: i64 = decision.items("reasonSet").map(|reason| number(reason.at("nodes"))).sum();
    let fit = number(decision.at("nodeCount")) - refused;
    let mut lines = Vec::new();
    if fit > 0 {
        let said = Some(decision.at("said")).filter(|said| !said.is_empty());
        let why = said.map_or("can take it".to_string(), |said| format!("can take it; the first {said}"));
        lines.push(["1".to_string(), nodes(fit), why]);
    }
    let reason =
        |reason: &Element| ["-".to_string(), nodes(number(reason.at("nodes"))), reason.at("words").to_string()];
    lines.extend(decision.items("reasonSet").map(reason));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZONES: &str = "<zoneSet><item><attempt>1</attempt><zone>cluster1</zone><chosen>true</chosen>\
                         <reason>has room for 3</reason><declined>2 nodes are down</declined></item></zoneSet>";

    fn shown(decision: &str) -> Vec<String> {
        let text = format!("<R>{ZONES}<placementSet><item>{decision}</item></placementSet></R>");
        let lines = story(&Element::parse(&text).unwrap());
        lines.iter().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }

    #[test]
    fn administrators_see_nodes_by_rank() {
        let lines = shown(
            "<zone>cluster1</zone><number>0</number><instanceId>i-1</instanceId><outcome>taken</outcome>\
             <nodeCount>2</nodeCount><nodeSet><item><name>n1</name><reason>is down</reason></item><item><name>n2</name>\
             <rank>1</rank><weightSet><item><name>memory</name><value>384</value></item></weightSet>\
             <assumed>does not tell its tags</assumed></item></nodeSet>",
        );
        assert_eq!(
            lines,
            [
                "ZONE CHOSEN WHY",
                "cluster1 yes has room for 3; it declined: 2 nodes are down",
                "",
                "ZONE INSTANCE OUTCOME RANK NODE WHY",
                "cluster1 i-1 taken 1 n2 memory 384; does not tell its tags",
                "- n1 is down",
            ]
        );
    }

    #[test]
    fn others_see_counts() {
        let lines = shown(
            "<zone>cluster1</zone><number>0</number><outcome>planned</outcome><nodeCount>3</nodeCount><reasonSet><item>\
             <filter>memory</filter><nodes>2</nodes><words>have too little memory</words></item></reasonSet>",
        );
        assert_eq!(lines[4], "cluster1 #1 planned 1 1 node can take it");
        assert_eq!(lines[5], "- 2 nodes have too little memory");
    }

    #[test]
    fn equal_decisions_of_a_plan_are_one_line() {
        let item = |number: u32| {
            format!(
                "<item><zone>c</zone><number>{number}</number><outcome>nowhere</outcome><nodeCount>1</nodeCount><reasonSet>\
                 <item><nodes>1</nodes><words>has too few cores</words></item></reasonSet></item>"
            )
        };
        let text = format!("<R><placementSet>{}</placementSet></R>", (0..50).map(item).collect::<String>());
        let lines = story(&Element::parse(&text).unwrap());
        assert_eq!(lines.len(), 4, "{lines:?}");
        assert!(lines[3].contains("#1 to #50"), "{lines:?}");
    }
}
