//! Commands about security groups and their rules.

use anyhow::{Context, Result, bail};
use clap::Args;

use super::{Call, Deed, accepted, filters, numbered, optional, tags};
use crate::connection::{Cloud, Parameters};
use crate::output::{Form, columns, print};
use crate::tree::Element;

/// The addresses at the other end if none are given.
const EVERYBODY: &str = "0.0.0.0/0";

#[derive(Args)]
pub struct Create {
    /// Name of the group.
    name: String,
    /// What it is for.
    #[arg(short, long)]
    description: String,
}

impl Create {
    pub async fn run(self, cloud: &Cloud, form: Form) -> Result<()> {
        let parameters = vec![
            ("GroupName".to_string(), self.name.clone()),
            ("GroupDescription".to_string(), self.description.clone()),
        ];
        let answer = cloud.ask("CreateSecurityGroup", parameters).await?;
        // The answer has only the id; euca2ools prints what was asked beside it.
        print(form, &answer, |answer| vec![columns(["GROUP", answer.at("groupId"), &self.name, &self.description])]);
        Ok(())
    }
}

#[derive(Args)]
pub struct Delete {
    /// The group: its name, or its id (`sg-...`).
    group: String,
}

impl Delete {
    pub fn call(self) -> Call {
        Call { action: "DeleteSecurityGroup", parameters: vec![named("", self.group)], text: accepted }
    }
}

#[derive(Args)]
pub struct Describe {
    /// Only these groups: names, or ids (`sg-...`).
    groups: Vec<String>,
    /// Only what fits; several of one name are alternatives.
    #[arg(long = "filter", value_name = "NAME=VALUE")]
    filters: Vec<String>,
}

impl Describe {
    pub fn call(self) -> Result<Call> {
        let (ids, names): (Vec<_>, Vec<_>) = self.groups.into_iter().partition(|group| is_id(group));
        let mut parameters = numbered("GroupName", names);
        parameters.extend(numbered("GroupId", ids));
        parameters.extend(filters(&self.filters)?);
        let text = |answer: &Element| answer.items("securityGroupInfo").flat_map(group).collect();
        Ok(Call { action: "DescribeSecurityGroups", parameters, text })
    }
}

#[derive(Args)]
pub struct DescribeRules {
    /// Only these rules, `sgr-...`.
    rules: Vec<String>,
    /// Only what fits; several of one name are alternatives.
    #[arg(long = "filter", value_name = "NAME=VALUE")]
    filters: Vec<String>,
}

impl DescribeRules {
    pub fn call(self) -> Result<Call> {
        let mut parameters = numbered("SecurityGroupRuleId", self.rules);
        parameters.extend(filters(&self.filters)?);
        let text = |answer: &Element| answer.items("securityGroupRuleSet").flat_map(one_rule).collect();
        Ok(Call { action: "DescribeSecurityGroupRules", parameters, text })
    }
}

/// A SECURITYGROUPRULE line and its TAG lines. euca2ools knows no single rules, so these columns are
/// ours: the rule, its group, and then what a PERMISSION line has.
fn one_rule(rule: &Element) -> Vec<String> {
    let egress = rule.at("isEgress") == "true";
    let other = [("CIDR", "cidrIpv4"), ("CIDR", "cidrIpv6"), ("ID", "referencedGroupId")];
    let (kind, peer) = other.into_iter().find(|(_, name)| rule.child(name).is_some()).unwrap_or_default();
    let line = columns([
        "SECURITYGROUPRULE",
        rule.at("securityGroupRuleId"),
        rule.at("groupId"),
        "ALLOWS",
        rule.at("ipProtocol"),
        rule.at("fromPort"),
        rule.at("toPort"),
        if egress { "TO" } else { "FROM" },
        kind,
        rule.at(peer),
        if egress { "egress" } else { "ingress" },
        rule.at("description"),
    ]);
    let mut lines = vec![line.trim_end().to_string()];
    lines.extend(tags::lines("security-group-rule", rule.at("securityGroupRuleId"), rule));
    lines
}

#[derive(Args)]
pub struct Rule {
    /// The group: its name, or its id (`sg-...`).
    group: String,
    /// A rule for what leaves the instances instead of what reaches them; the group must be given by its id.
    #[arg(long)]
    egress: bool,
    /// `tcp`, `udp`, `icmp`, a protocol's number, or -1 for all.
    #[arg(short = 'P', long, default_value = "tcp", allow_hyphen_values = true)]
    protocol: String,
    /// Ports, of tcp and udp.
    #[arg(short, long, value_name = "FROM[-TO]", conflicts_with = "icmp_type_code")]
    port_range: Option<String>,
    /// Type and code, of icmp; -1 for all.
    #[arg(short = 't', long, value_name = "TYPE:CODE", allow_hyphen_values = true)]
    icmp_type_code: Option<String>,
    /// The addresses at the other end, as ADDRESS/BITS; everybody's (0.0.0.0/0) if neither this nor a group is given.
    #[arg(short = 's', long, value_name = "CIDR", conflicts_with = "source_group")]
    cidr: Option<String>,
    /// The group at the other end: its name, or its id (`sg-...`).
    #[arg(short = 'o', long, value_name = "GROUP")]
    source_group: Option<String>,
    /// The account that has the group at the other end.
    #[arg(short = 'u', long, value_name = "ACCOUNT", requires = "source_group")]
    source_group_user: Option<String>,
}

impl Rule {
    pub fn authorize(self) -> Result<Deed> {
        let action = if self.egress { "AuthorizeSecurityGroupEgress" } else { "AuthorizeSecurityGroupIngress" };
        Ok(Deed { action, lines: self.lines()?, parameters: self.parameters()? })
    }

    pub fn revoke(self) -> Result<Deed> {
        let action = if self.egress { "RevokeSecurityGroupEgress" } else { "RevokeSecurityGroupIngress" };
        Ok(Deed { action, lines: self.lines()?, parameters: self.parameters()? })
    }

    /// A GROUP line and a PERMISSION line, as the rule was given.
    fn lines(&self) -> Result<Vec<String>> {
        let (from, to) = self.ports()?.unwrap_or_default();
        let mut cells = vec!["PERMISSION", &self.group, "ALLOWS", &self.protocol, &from, &to];
        cells.push(if self.egress { "TO" } else { "FROM" });
        match &self.source_group {
            Some(group) => {
                cells.extend(["USER", self.source_group_user.as_deref().unwrap_or_default()]);
                cells.extend([if is_id(group) { "ID" } else { "NAME" }, group]);
            }
            None => cells.extend(["CIDR", self.cidr.as_deref().unwrap_or(EVERYBODY)]),
        }
        Ok(vec![columns(["GROUP", &self.group]), columns(cells)])
    }

    fn parameters(self) -> Result<Parameters> {
        const PERMISSION: &str = "IpPermissions.1.";
        let ports = self.ports()?;
        let mut parameters = vec![named("", self.group), (format!("{PERMISSION}IpProtocol"), self.protocol)];
        if let Some((from, to)) = ports {
            parameters.push((format!("{PERMISSION}FromPort"), from));
            parameters.push((format!("{PERMISSION}ToPort"), to));
        }
        match self.source_group {
            Some(group) => {
                parameters.push(named(&format!("{PERMISSION}Groups.1."), group));
                parameters.extend(optional(&format!("{PERMISSION}Groups.1.UserId"), self.source_group_user));
            }
            None => {
                let cidr = self.cidr.unwrap_or_else(|| EVERYBODY.to_string());
                parameters.push((format!("{PERMISSION}IpRanges.1.CidrIp"), cidr));
            }
        }
        Ok(parameters)
    }

    /// The rule's first and last port, or icmp's type and code.
    fn ports(&self) -> Result<Option<(String, String)>> {
        let (from, to) = match (&self.port_range, &self.icmp_type_code) {
            (Some(range), _) => range.split_once('-').unwrap_or((range, range)),
            (None, Some(pair)) => {
                pair.split_once(':').with_context(|| format!("-t {pair}: write TYPE:CODE, such as 8:0"))?
            }
            (None, None) if matches!(self.protocol.as_str(), "tcp" | "udp" | "6" | "17") => {
                bail!("-P {} needs ports: add -p FROM-TO", self.protocol)
            }
            (None, None) if matches!(self.protocol.as_str(), "icmp" | "1") => {
                bail!("-P {} needs a type and a code: add -t TYPE:CODE, or -t -1:-1 for all", self.protocol)
            }
            (None, None) => return Ok(None),
        };
        Ok(Some((from.to_string(), to.to_string())))
    }
}

fn is_id(group: &str) -> bool {
    group.starts_with("sg-")
}

/// The parameter that names a group, whichever way it was given.
fn named(prefix: &str, group: String) -> (String, String) {
    let field = if is_id(&group) { "GroupId" } else { "GroupName" };
    (format!("{prefix}{field}"), group)
}

/// A GROUP line, its PERMISSION lines and its TAG lines.
fn group(group: &Element) -> Vec<String> {
    let names = ["groupId", "ownerId", "groupName", "groupDescription", "vpcId"];
    let line = columns(std::iter::once("GROUP").chain(names.map(|name| group.at(name))));
    let mut lines = vec![line.trim_end().to_string()];
    for (set, peer, direction) in [("ipPermissions", "FROM", "ingress"), ("ipPermissionsEgress", "TO", "egress")] {
        for permission in group.items(set) {
            let rule = [
                "PERMISSION",
                group.at("ownerId"),
                group.at("groupName"),
                "ALLOWS",
                permission.at("ipProtocol"),
                permission.at("fromPort"),
                permission.at("toPort"),
                peer,
            ];
            let line = |other: &[&str]| columns(rule.iter().chain(other).copied().chain([direction]));
            lines.extend(permission.items("ipRanges").map(|range| line(&["CIDR", range.at("cidrIp")])));
            lines.extend(permission.items("ipv6Ranges").map(|range| line(&["CIDR", range.at("cidrIpv6")])));
            lines.extend(permission.items("groups").map(|other| {
                line(&["USER", other.at("userId"), "NAME", other.at("groupName"), "ID", other.at("groupId")])
            }));
        }
    }
    lines.extend(tags::lines("security-group", group.at("groupId"), group));
    lines
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        rule: Rule,
    }

    fn sent(line: &str) -> Result<String> {
        let rule = Line::try_parse_from(format!("euca-authorize {line}").split(' '))?.rule;
        let deed = rule.authorize()?;
        let pairs =
            deed.parameters.iter().map(|(name, value)| format!("{}={value}", name.replace("IpPermissions.1.", "")));
        Ok(pairs.collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn rules_are_written_as_in_euca2ools() {
        let cases = [
            ("web -p 80", "GroupName=web IpProtocol=tcp FromPort=80 ToPort=80 IpRanges.1.CidrIp=0.0.0.0/0"),
            (
                "sg-1 -P udp -p 5000-5010 -s 10.0.0.0/8",
                "GroupId=sg-1 IpProtocol=udp FromPort=5000 ToPort=5010 IpRanges.1.CidrIp=10.0.0.0/8",
            ),
            ("web -P icmp -t -1:-1", "GroupName=web IpProtocol=icmp FromPort=-1 ToPort=-1 IpRanges.1.CidrIp=0.0.0.0/0"),
            ("web -P -1 -o db -u 7", "GroupName=web IpProtocol=-1 Groups.1.GroupName=db Groups.1.UserId=7"),
        ];
        for (line, expected) in cases {
            assert_eq!(sent(line).unwrap(), expected, "{line}");
        }
    }

    #[test]
    fn a_rule_that_is_not_whole_is_refused_before_it_is_sent() {
        for line in ["web", "web -P icmp", "web -P icmp -t 8", "web -p 80 -u 7", "web -p 80 -s 10.0.0.0/8 -o db"] {
            assert!(sent(line).is_err(), "{line}");
        }
    }

    #[test]
    fn permissions_are_printed_one_a_line() {
        let xml = "<item><ownerId>7</ownerId><groupId>sg-1</groupId><groupName>web</groupName><groupDescription>d</groupDescription>\
                   <ipPermissions><item><ipProtocol>tcp</ipProtocol><fromPort>80</fromPort><toPort>81</toPort>\
                   <ipRanges><item><cidrIp>10.0.0.0/8</cidrIp></item></ipRanges></item></ipPermissions>\
                   <tagSet><item><key>k</key><value>v</value></item></tagSet></item>";
        assert_eq!(
            group(&Element::parse(xml).unwrap()),
            [
                "GROUP\tsg-1\t7\tweb\td",
                "PERMISSION\t7\tweb\tALLOWS\ttcp\t80\t81\tFROM\tCIDR\t10.0.0.0/8\tingress",
                "TAG\tsecurity-group\tsg-1\tk\tv",
            ]
        );
    }
}
