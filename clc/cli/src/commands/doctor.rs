//! `euca doctor` and `euca admin unstick`: what does not fit together in the cloud, and its repair.

use anyhow::Result;
use clap::Args;

use super::Call;
use crate::connection::{Cloud, Parameters};
use crate::output::{Form, line, print};
use crate::tree::Element;

#[derive(Args)]
pub struct Doctor {
    /// Do what the plans say, as far as that is a program's to do.
    #[arg(long)]
    repair: bool,
}

#[derive(Args)]
pub struct Unstick {
    /// The instance.
    instance: String,
    /// Do what the plan says; without it, it is only shown.
    #[arg(long)]
    yes: bool,
}

impl Doctor {
    pub fn call(self) -> Call {
        call(self.repair, Parameters::new(), everything)
    }
}

impl Unstick {
    pub async fn run(self, cloud: &Cloud, form: Form) -> Result<()> {
        let parameters = vec![("InstanceId".to_string(), self.instance.clone())];
        let Call { action, parameters, text } = call(self.yes, parameters, one);
        let answer = cloud.ask(action, parameters).await?;
        print(form, &answer, text);
        if form == Form::Text && !self.yes && answer.items("findingSet").any(is_repairable) {
            line(&format!("to do it: euca admin unstick {} --yes", self.instance));
        }
        Ok(())
    }
}

fn call(repair: bool, parameters: Parameters, text: fn(&Element) -> Vec<String>) -> Call {
    Call { action: if repair { "RepairFindings" } else { "DescribeFindings" }, parameters, text }
}

fn is_repairable(finding: &Element) -> bool {
    finding.at("repairable") == "true"
}

/// All findings, and a last line that sums up.
fn everything(answer: &Element) -> Vec<String> {
    let mut lines = one(answer);
    let counted = |name: &str| count(answer.at(&format!("{name}s")), name);
    let looked = format!("looked at {}, {} and {}", counted("cluster"), counted("node"), counted("instance"));
    let findings: Vec<&Element> = answer.items("findingSet").collect();
    let found = count(&findings.len().to_string(), "finding");
    let repairable = findings.iter().filter(|finding| is_repairable(finding)).count();
    let done = findings.iter().any(|finding| !finding.at("outcome").is_empty());
    lines.push(match (findings.len(), repairable) {
        (0, _) => format!("{looked}: everything fits together"),
        _ if done => format!("{looked}: {found}; look again to see what is gone"),
        (_, 0) => format!("{looked}: {found}, for you to see to"),
        _ => format!("{looked}: {found}; `euca doctor --repair` sees to {repairable} of them"),
    });
    lines
}

/// `1 node`, `2 nodes`.
fn count(number: &str, noun: &str) -> String {
    if number == "1" { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// One paragraph a finding.
fn one(answer: &Element) -> Vec<String> {
    let mut lines = Vec::new();
    for finding in answer.items("findingSet") {
        lines.push(format!("{}  {}", finding.at("subject"), finding.at("kind")));
        for (name, field) in [("is", "sentence"), ("plan", "plan"), ("done", "outcome")] {
            let text = finding.at(field);
            if !text.is_empty() {
                lines.push(format!("  {name:<5} {text}"));
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(findings: &str) -> Element {
        let counts = "<clusters>1</clusters><nodes>2</nodes><instances>3</instances>";
        Element::parse(&format!("<R>{counts}<findingSet>{findings}</findingSet></R>")).unwrap()
    }

    #[test]
    fn a_finding_is_a_paragraph_and_the_last_line_sums_up() {
        assert!(everything(&answer(""))[0].ends_with("1 cluster, 2 nodes and 3 instances: everything fits together"));
        let finding = "<item><kind>late</kind><subject>i-1</subject><sentence>i-1 is slow</sentence><plan>wait</plan>\
                       <repairable>true</repairable></item>";
        let lines = everything(&answer(finding));
        assert_eq!(lines[..3], ["i-1  late", "  is    i-1 is slow", "  plan  wait"]);
        assert!(lines[3].contains("`euca doctor --repair` sees to 1 of them"), "{}", lines[3]);
    }
}
