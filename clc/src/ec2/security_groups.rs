//! Security groups: named sets of rules that instances are run in. The rules themselves, and what
//! changes them, are in [`super::security_rules`]. They are kept and shown; no tier enforces them.

use super::filters::{Filtered, Filters, Values};
use super::security_rules::{Peer, Rule, Traffic};
use super::{Done, Page, ResourceType, Tag, ids};
use crate::error::{Code, Ec2Error};
use crate::front::{Action, Door, Params, Reply, Writer};

/// The group that every account has, and that instances are in if their request names none.
pub const DEFAULT_GROUP: &str = "default";

/// What is shown of one security group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityGroup {
    /// `sg-` and 17 digits.
    pub group_id: String,
    pub owner_id: String,
    /// One of its owner's.
    pub name: String,
    pub description: String,
    /// In the order in which they were made.
    pub rules: Vec<Rule>,
    pub tags: Vec<Tag>,
}

impl SecurityGroup {
    fn write(&self, w: &mut Writer) {
        w.text("ownerId", &self.owner_id);
        w.query_only(|w| w.text("groupId", &self.group_id));
        w.text("groupName", &self.name);
        w.text("groupDescription", &self.description);
        self.write_permissions("ipPermissions", false, w);
        w.query_only(|w| {
            self.write_permissions("ipPermissionsEgress", true, w);
            Tag::write_set(&self.tags, w);
        });
    }

    /// The rules of one direction as EC2 shows them: an item for each kind of traffic, with all its
    /// peers.
    fn write_permissions(&self, name: &str, egress: bool, w: &mut Writer) {
        let mut permissions: Vec<(&Traffic, Vec<&Rule>)> = Vec::new();
        for rule in self.rules.iter().filter(|rule| rule.egress == egress) {
            match permissions.iter_mut().find(|(traffic, _)| **traffic == rule.traffic) {
                Some((_, rules)) => rules.push(rule),
                None => permissions.push((&rule.traffic, vec![rule])),
            }
        }
        w.set(name, &permissions, |w, (traffic, rules)| write_permission(traffic, rules, w));
    }

    fn each(&self, egress: bool, value: fn(&Rule) -> Option<String>) -> Vec<String> {
        self.rules.iter().filter(|rule| rule.egress == egress).filter_map(value).collect()
    }
}

fn write_permission(traffic: &Traffic, rules: &[&Rule], w: &mut Writer) {
    w.text("ipProtocol", &traffic.protocol);
    // The contract wants ports of what has none; EC2 leaves them out since.
    if traffic.ports.is_some() || w.door() == Door::Soap {
        let (from, to) = traffic.ports_or_all();
        w.number("fromPort", from.into());
        w.number("toPort", to.into());
    }
    let description =
        |rule: &Rule, w: &mut Writer| w.query_only(|w| w.optional("description", rule.description.as_deref()));
    let groups = rules.iter().filter(|rule| matches!(rule.peer, Peer::Group { .. }));
    w.set("groups", groups, |w, rule| {
        let Peer::Group { id, name, owner } = &rule.peer else { return };
        w.text("userId", owner);
        w.query_only(|w| w.text("groupId", id));
        w.text("groupName", name);
        description(rule, w);
    });
    let ranges = |name: &str, item: &str, cidr: fn(&Rule) -> Option<String>, w: &mut Writer| {
        let of_kind = rules.iter().filter_map(|rule| Some((rule, cidr(rule)?)));
        w.set(name, of_kind, |w, (rule, cidr)| {
            w.text(item, &cidr);
            description(rule, w);
        });
    };
    ranges("ipRanges", "cidrIp", Rule::ipv4, w);
    w.query_only(|w| {
        ranges("ipv6Ranges", "cidrIpv6", Rule::ipv6, w);
        w.texts("prefixListIds", Vec::<String>::new());
    });
}

impl Filtered for SecurityGroup {
    const TAGGED: bool = true;

    fn field(name: &str) -> Option<Values<Self>> {
        let values: Values<Self> = match name {
            "group-id" => |group| vec![group.group_id.clone()],
            "group-name" => |group| vec![group.name.clone()],
            "description" => |group| vec![group.description.clone()],
            "owner-id" => |group| vec![group.owner_id.clone()],
            "ip-permission.protocol" => |group| group.each(false, Rule::protocol),
            "ip-permission.from-port" => |group| group.each(false, Rule::first_port),
            "ip-permission.to-port" => |group| group.each(false, Rule::last_port),
            "ip-permission.cidr" => |group| group.each(false, Rule::ipv4),
            "ip-permission.ipv6-cidr" => |group| group.each(false, Rule::ipv6),
            "ip-permission.group-id" => |group| group.each(false, Rule::peer_id),
            "ip-permission.group-name" => |group| group.each(false, Rule::peer_name),
            "ip-permission.user-id" => |group| group.each(false, Rule::peer_owner),
            "egress.ip-permission.protocol" => |group| group.each(true, Rule::protocol),
            "egress.ip-permission.from-port" => |group| group.each(true, Rule::first_port),
            "egress.ip-permission.to-port" => |group| group.each(true, Rule::last_port),
            "egress.ip-permission.cidr" => |group| group.each(true, Rule::ipv4),
            "egress.ip-permission.ipv6-cidr" => |group| group.each(true, Rule::ipv6),
            "egress.ip-permission.group-id" => |group| group.each(true, Rule::peer_id),
            "egress.ip-permission.group-name" => |group| group.each(true, Rule::peer_name),
            "egress.ip-permission.user-id" => |group| group.each(true, Rule::peer_owner),
            // A cloud without networks of the users' own matches none.
            "vpc-id" | "ip-permission.prefix-list-id" | "egress.ip-permission.prefix-list-id" => |_| Vec::new(),
            _ => return None,
        };
        Some(values)
    }

    fn tags(&self) -> &[Tag] {
        &self.tags
    }
}

/// How a client names a security group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupRef {
    Name(String),
    Id(String),
}

impl GroupRef {
    /// `GroupName` or `GroupId`.
    ///
    /// # Errors
    /// `MissingParameter`, `InvalidParameterCombination`, `InvalidGroupId.Malformed`.
    pub fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Self::optional(params)?.ok_or_else(|| params.missing("GroupName"))
    }

    /// [`GroupRef::parse`] if there is one.
    ///
    /// # Errors
    /// `InvalidParameterCombination`, `InvalidGroupId.Malformed`.
    pub(super) fn optional(params: &Params) -> Result<Option<Self>, Ec2Error> {
        match (params.text("GroupName"), params.optional("GroupId")) {
            (Some(name), None) => Ok(Some(Self::Name(name))),
            (None, Some(id)) => Ok(Some(Self::Id(ids::group_id(id)?))),
            (None, None) => Ok(None),
            (Some(_), Some(_)) => {
                let text = "The parameters GroupName and GroupId cannot be used together";
                Err(Ec2Error::new(Code::InvalidParameterCombination, text))
            }
        }
    }

    /// The name or the id.
    pub fn text(&self) -> &str {
        match self {
            Self::Name(text) | Self::Id(text) => text,
        }
    }

    /// True if it names that group.
    pub fn is(&self, group: &SecurityGroup) -> bool {
        match self {
            Self::Name(name) => *name == group.name,
            Self::Id(id) => *id == group.group_id,
        }
    }
}

/// Letters, digits, blanks and EC2's signs: what names and descriptions consist of.
pub(super) fn plain_text(params: &Params, name: &str) -> Result<Option<String>, Ec2Error> {
    let Some(text) = params.optional(name) else { return Ok(None) };
    let fits = |c: char| c.is_ascii_alphanumeric() || " ._-:/()#,@[]+=&;{}!$*".contains(c);
    if text.len() <= 255 && text.chars().all(fits) {
        return Ok(Some(text.to_string()));
    }
    let problem = "It must have at most 255 characters out of a-z, A-Z, 0-9, spaces and ._-:/()#,@[]+=&;{}!$*.";
    Err(params.invalid(name, text, problem))
}

/// Makes a security group without ingress rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateSecurityGroup {
    pub name: String,
    pub description: String,
    pub tags: Vec<Tag>,
}

impl Action for CreateSecurityGroup {
    const NAME: &'static str = "CreateSecurityGroup";
    type Response = CreateSecurityGroupResponse;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        if let Some(vpc) = params.optional("VpcId") {
            return Err(Ec2Error::no_vpc(vpc));
        }
        let text = |name: &str| {
            let text = plain_text(params, name)?.map(|text| text.trim_end().to_string());
            text.filter(|text| !text.is_empty()).ok_or_else(|| params.missing(name))
        };
        let name = text("GroupName")?;
        if name.starts_with("sg-") {
            return Err(params.invalid("GroupName", &name, "It must not begin with sg-, as ids do."));
        }
        let tags = Tag::specified(params, ResourceType::SecurityGroup)?;
        Ok(Self { name, description: text("GroupDescription")?, tags })
    }
}

/// The new group's id and tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateSecurityGroupResponse {
    pub group_id: String,
    pub tags: Vec<Tag>,
}

impl Reply for CreateSecurityGroupResponse {
    fn write(&self, w: &mut Writer) {
        Done.write(w);
        w.query_only(|w| {
            w.text("groupId", &self.group_id);
            Tag::write_set(&self.tags, w);
        });
    }
}

/// Deletes a security group that nothing uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteSecurityGroup {
    pub group: GroupRef,
}

impl Action for DeleteSecurityGroup {
    const NAME: &'static str = "DeleteSecurityGroup";
    type Response = DeleteSecurityGroupResponse;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Ok(Self { group: GroupRef::parse(params)? })
    }
}

/// The deleted group's id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteSecurityGroupResponse {
    pub group_id: String,
}

impl Reply for DeleteSecurityGroupResponse {
    fn write(&self, w: &mut Writer) {
        Done.write(w);
        w.query_only(|w| w.text("groupId", &self.group_id));
    }
}

/// Which security groups the caller has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DescribeSecurityGroups {
    /// Only these, each of which must exist; all if empty.
    pub groups: Vec<GroupRef>,
    pub filters: Filters,
    pub page: Page,
}

impl Action for DescribeSecurityGroups {
    const NAME: &'static str = "DescribeSecurityGroups";
    type Response = DescribeSecurityGroupsResponse;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        let mut groups: Vec<GroupRef> = params.list("GroupName").into_iter().map(GroupRef::Name).collect();
        for id in params.list("GroupId") {
            groups.push(GroupRef::Id(ids::group_id(&id)?));
        }
        let page = Page::parse(params)?;
        page.refuse_with("GroupId", groups.is_empty())?;
        Ok(Self { groups, filters: Filters::parse::<SecurityGroup>(params)?, page })
    }
}

impl DescribeSecurityGroups {
    /// The answer out of all groups of the caller.
    ///
    /// # Errors
    /// `InvalidGroup.NotFound` if one that was named is not there.
    pub fn answer(&self, mut all: Vec<SecurityGroup>) -> Result<DescribeSecurityGroupsResponse, Ec2Error> {
        if let Some(missing) = self.groups.iter().find(|named| !all.iter().any(|group| named.is(group))) {
            return Err(Ec2Error::no_group(missing.text()));
        }
        let asked = |group: &SecurityGroup| self.groups.is_empty() || self.groups.iter().any(|named| named.is(group));
        all.retain(|group| asked(group) && self.filters.pass(group));
        let (groups, next_token) = self.page.cut(all, |group| group.name.clone());
        Ok(DescribeSecurityGroupsResponse { groups, next_token })
    }
}

/// The groups that were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeSecurityGroupsResponse {
    pub groups: Vec<SecurityGroup>,
    /// Leads to the next page, if there is one.
    pub next_token: Option<String>,
}

impl Reply for DescribeSecurityGroupsResponse {
    fn write(&self, w: &mut Writer) {
        w.set("securityGroupInfo", &self.groups, |w, group| group.write(w));
        w.query_only(|w| w.optional("nextToken", self.next_token.as_deref()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(name: &str, description: &str) -> Result<CreateSecurityGroup, Code> {
        let pairs = [("GroupName", name), ("GroupDescription", description)];
        CreateSecurityGroup::parse(&Params::try_from(&pairs[..]).unwrap()).map_err(|error| error.code)
    }

    #[test]
    fn names_and_descriptions_have_ec2s_characters() {
        assert_eq!(create("web servers ", "port 80/tcp; $5").unwrap().name, "web servers");
        assert_eq!(create("name%\"", "x"), Err(Code::InvalidParameterValue));
        assert_eq!(create("web", "é"), Err(Code::InvalidParameterValue));
        assert_eq!(create(&"x".repeat(256), "x"), Err(Code::InvalidParameterValue));
        assert_eq!(create("sg-web", "x"), Err(Code::InvalidParameterValue));
        assert_eq!(create("web", ""), Err(Code::MissingParameter));
        assert_eq!(create("  ", "x"), Err(Code::MissingParameter));
    }

    #[test]
    fn rules_of_the_same_traffic_are_shown_as_one() {
        let traffic = |port: i32| Traffic { protocol: "tcp".into(), ports: Some((port, port)) };
        let rule = |port: i32, cidr: &str, egress: bool| Rule {
            rule_id: "sgr-1".into(),
            group_id: "sg-1".into(),
            owner_id: "o".into(),
            egress,
            traffic: traffic(port),
            peer: Peer::Cidr(cidr.into()),
            description: None,
            tags: Vec::new(),
        };
        let group = SecurityGroup {
            group_id: "sg-1".into(),
            owner_id: "o".into(),
            name: "g".into(),
            description: "d".into(),
            rules: vec![
                rule(22, "10.0.0.0/8", false),
                rule(80, "0.0.0.0/0", false),
                rule(22, "::/0", false),
                rule(22, "0.0.0.0/0", true),
            ],
            tags: Vec::new(),
        };
        let mut w = Writer::new(Door::Query, "2016-11-15".parse().unwrap());
        group.write_permissions("ipPermissions", false, &mut w);
        let text = w.into_string();
        assert_eq!(text.matches("<ipProtocol>").count(), 2, "{text}");
        let ranges = "<ipRanges><item><cidrIp>10.0.0.0/8</cidrIp></item></ipRanges>\
                      <ipv6Ranges><item><cidrIpv6>::/0</cidrIpv6></item></ipv6Ranges>";
        assert!(text.contains(ranges), "{text}");
        assert_eq!(group.each(false, Rule::first_port), ["22", "80", "22"]);
    }
}
