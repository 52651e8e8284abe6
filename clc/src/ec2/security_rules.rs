//! The rules of security groups: what traffic, from or to whom. Read in both of EC2's forms, the
//! nested one (`IpPermissions.N.*`) and the flat one of old clients, and shown one by one.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::filters::{Filtered, Filters, Values};
use super::security_groups::{GroupRef, plain_text};
use super::{Done, Page, ResourceType, Tag, ids};
use crate::error::{Code, Ec2Error};
use crate::front::{Action, Params, Reply, Writer};

/// What a rule lets through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// `tcp`, `udp`, `icmp`, `icmpv6`, another protocol's number, or `-1`: all.
    pub protocol: String,
    /// First and last port, or ICMP's type and code (-1: all). None: the protocol has none.
    pub ports: Option<(i32, i32)>,
}

impl Traffic {
    /// The ports, or -1 and -1 where there are none.
    pub fn ports_or_all(&self) -> (i32, i32) {
        self.ports.unwrap_or((-1, -1))
    }

    fn of(protocol: &str, from: i32, to: i32) -> Self {
        Self { protocol: protocol.to_string(), ports: Some((from, to)) }
    }

    /// `IpProtocol`, `FromPort`, `ToPort`.
    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        let given = params.required("IpProtocol")?;
        let lower = given.to_ascii_lowercase();
        let protocol = match lower.as_str() {
            "tcp" | "6" => "tcp",
            "udp" | "17" => "udp",
            "icmp" | "1" => "icmp",
            "icmpv6" | "58" => "icmpv6",
            "all" | "-1" => "-1",
            number if number.parse::<u8>().is_ok() => number,
            _ => {
                let problem = "It must be tcp, udp, icmp, icmpv6, the number of a protocol, or -1 for all.";
                return Err(params.invalid("IpProtocol", given, problem));
            }
        };
        let from = params.integer("FromPort", -1..=65535)?.map(to_port);
        let to = params.integer("ToPort", -1..=65535)?.map(to_port);
        let ports = match protocol {
            "tcp" | "udp" => Some(port_range(params, from, to)?),
            "icmp" | "icmpv6" => Some(icmp(params, from.unwrap_or(-1), to.unwrap_or(-1))?),
            // EC2's rule: of what has no ports, all is let through, whatever is said.
            _ => None,
        };
        Ok(Self { protocol: protocol.to_string(), ports })
    }
}

impl fmt::Display for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.protocol.as_str(), self.ports) {
            ("-1", _) => f.write_str("all traffic"),
            (protocol, Some((from, to))) => write!(f, "{protocol} {from} to {to}"),
            (protocol, None) => write!(f, "protocol {protocol}"),
        }
    }
}

fn to_port(number: i64) -> i32 {
    i32::try_from(number).expect("checked to be from -1 to 65535")
}

fn port_range(params: &Params, from: Option<i32>, to: Option<i32>) -> Result<(i32, i32), Ec2Error> {
    match (from, to) {
        (Some(from), Some(to)) if 0 <= from && from <= to => Ok((from, to)),
        (Some(from), Some(to)) => {
            let problem = "The ports of tcp and udp are from 0 to 65535, the first not above the last.";
            Err(params.invalid("FromPort-ToPort", &format!("{from}-{to}"), problem))
        }
        (None, _) => Err(params.invalid("FromPort", "null", "tcp and udp need both FromPort and ToPort.")),
        (Some(_), None) => Err(params.invalid("ToPort", "null", "tcp and udp need both FromPort and ToPort.")),
    }
}

fn icmp(params: &Params, kind: i32, code: i32) -> Result<(i32, i32), Ec2Error> {
    if kind <= 255 && code <= 255 && (kind >= 0 || code == -1) {
        return Ok((kind, code));
    }
    let problem =
        "The type (FromPort) and code (ToPort) of ICMP are from 0 to 255 or -1, and all types have all codes.";
    Err(params.invalid("FromPort-ToPort", &format!("{kind}-{code}"), problem))
}

/// Where a rule's traffic comes from, or goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Addresses: `10.0.0.0/8`, `2001:db8::/32`; no bit is set behind the prefix.
    Cidr(String),
    /// The instances of a group.
    Group { id: String, name: String, owner: String },
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cidr(cidr) => f.write_str(cidr),
            Self::Group { id, name, .. } => write!(f, "{id} ({name})"),
        }
    }
}

/// One rule of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// `sgr-` and 17 digits.
    pub rule_id: String,
    /// Its group, and whose that is.
    pub group_id: String,
    pub owner_id: String,
    /// True for what instances send; false for what they receive.
    pub egress: bool,
    pub traffic: Traffic,
    pub peer: Peer,
    pub description: Option<String>,
    pub tags: Vec<Tag>,
}

/// Values of a rule, as texts for filters.
impl Rule {
    pub(super) fn protocol(&self) -> Option<String> {
        Some(self.traffic.protocol.clone())
    }

    pub(super) fn first_port(&self) -> Option<String> {
        self.traffic.ports.map(|(from, _)| from.to_string())
    }

    pub(super) fn last_port(&self) -> Option<String> {
        self.traffic.ports.map(|(_, to)| to.to_string())
    }

    pub(super) fn ipv4(&self) -> Option<String> {
        self.cidr().filter(|cidr| !cidr.contains(':'))
    }

    pub(super) fn ipv6(&self) -> Option<String> {
        self.cidr().filter(|cidr| cidr.contains(':'))
    }

    fn cidr(&self) -> Option<String> {
        match &self.peer {
            Peer::Cidr(cidr) => Some(cidr.clone()),
            Peer::Group { .. } => None,
        }
    }

    pub(super) fn peer_id(&self) -> Option<String> {
        match &self.peer {
            Peer::Group { id, .. } => Some(id.clone()),
            Peer::Cidr(_) => None,
        }
    }

    pub(super) fn peer_name(&self) -> Option<String> {
        match &self.peer {
            Peer::Group { name, .. } => Some(name.clone()),
            Peer::Cidr(_) => None,
        }
    }

    pub(super) fn peer_owner(&self) -> Option<String> {
        match &self.peer {
            Peer::Group { owner, .. } => Some(owner.clone()),
            Peer::Cidr(_) => None,
        }
    }

    fn write(&self, w: &mut Writer) {
        let (from, to) = self.traffic.ports_or_all();
        w.text("securityGroupRuleId", &self.rule_id);
        w.text("groupId", &self.group_id);
        w.text("groupOwnerId", &self.owner_id);
        w.boolean("isEgress", self.egress);
        w.text("ipProtocol", &self.traffic.protocol);
        w.number("fromPort", from.into());
        w.number("toPort", to.into());
        w.optional("cidrIpv4", self.ipv4().as_deref());
        w.optional("cidrIpv6", self.ipv6().as_deref());
        if let Peer::Group { id, owner, .. } = &self.peer {
            w.text("referencedGroupId", id);
            w.element("referencedGroupInfo", |w| {
                w.text("groupId", id);
                w.text("userId", owner);
            });
        }
        w.optional("description", self.description.as_deref());
        Tag::write_set(&self.tags, w);
    }
}

impl Filtered for Rule {
    const TAGGED: bool = true;

    fn field(name: &str) -> Option<Values<Self>> {
        let values: Values<Self> = match name {
            "group-id" => |rule| vec![rule.group_id.clone()],
            "security-group-rule-id" => |rule| vec![rule.rule_id.clone()],
            _ => return None,
        };
        Some(values)
    }

    fn tags(&self) -> &[Tag] {
        &self.tags
    }
}

/// A rule as a request tells it: its peer group by name or id, perhaps another account's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpPermission {
    pub traffic: Traffic,
    pub peer: PeerRef,
    pub description: Option<String>,
}

/// How a client names a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerRef {
    Cidr(String),
    Group {
        group: GroupRef,
        /// Whose; the caller's own if absent.
        owner: Option<String>,
    },
}

impl IpPermission {
    /// All rules of a request, each once.
    fn list(params: &Params) -> Result<Vec<Self>, Ec2Error> {
        let nested = params.groups("IpPermissions");
        let mut all: Vec<Self> = Vec::new();
        for group in &nested {
            let traffic = Traffic::parse(group)?;
            let peers = peers(group)?;
            if peers.is_empty() {
                return Err(group.missing("IpRanges"));
            }
            all.extend(peers.into_iter().map(|(peer, description)| Self {
                traffic: traffic.clone(),
                peer,
                description,
            }));
        }
        let flat = Self::flat(params)?;
        if !nested.is_empty() && !flat.is_empty() {
            let text = "IpPermissions cannot be used together with CidrIp and SourceSecurityGroupName";
            return Err(Ec2Error::new(Code::InvalidParameterCombination, text));
        }
        all.extend(flat);
        for (at, permission) in all.iter().enumerate() {
            if all[..at].iter().any(|other| (&other.traffic, &other.peer) == (&permission.traffic, &permission.peer)) {
                let text = "The same permission must not appear multiple times in a request";
                return Err(Ec2Error::new(Code::InvalidParameterValue, text));
            }
        }
        Ok(all)
    }

    /// The form of old clients: one range of addresses, or one group. A group without a protocol
    /// means all of TCP, UDP and ICMP (EC2's rule).
    fn flat(params: &Params) -> Result<Vec<Self>, Ec2Error> {
        let with = |traffic: Traffic, peer: PeerRef| Self { traffic, peer, description: None };
        let cidr = params.optional("CidrIp").map(|text| cidr(params, "CidrIp", text)).transpose()?;
        let group = params.text("SourceSecurityGroupName").map(|name| PeerRef::Group {
            group: GroupRef::Name(name),
            owner: params.text("SourceSecurityGroupOwnerId"),
        });
        match (cidr, group) {
            (Some(_), Some(_)) => {
                let text = "CidrIp and SourceSecurityGroupName cannot be used together";
                Err(Ec2Error::new(Code::InvalidParameterCombination, text))
            }
            (Some(cidr), None) => Ok(vec![with(Traffic::parse(params)?, PeerRef::Cidr(cidr))]),
            (None, Some(group)) if params.optional("IpProtocol").is_none() => {
                let all = [Traffic::of("tcp", 0, 65535), Traffic::of("udp", 0, 65535), Traffic::of("icmp", -1, -1)];
                Ok(all.into_iter().map(|traffic| with(traffic, group.clone())).collect())
            }
            (None, Some(group)) => Ok(vec![with(Traffic::parse(params)?, group)]),
            (None, None) if params.optional("IpProtocol").is_some() => Err(params.missing("CidrIp")),
            (None, None) => Ok(Vec::new()),
        }
    }
}

/// The peers of one `IpPermissions.N`, with their descriptions.
fn peers(params: &Params) -> Result<Vec<(PeerRef, Option<String>)>, Ec2Error> {
    let mut all = Vec::new();
    for (list, name) in [("IpRanges", "CidrIp"), ("Ipv6Ranges", "CidrIpv6")] {
        for range in params.groups(list) {
            let cidr = cidr(&range, name, range.required(name)?)?;
            all.push((PeerRef::Cidr(cidr), plain_text(&range, "Description")?));
        }
    }
    for pair in params.groups("Groups") {
        // Clients repeat a group as it was shown to them, with id and name: the id says more.
        let group = match pair.optional("GroupId") {
            Some(id) => GroupRef::Id(ids::group_id(id)?),
            None => GroupRef::Name(pair.required("GroupName")?.to_string()),
        };
        let peer = PeerRef::Group { group, owner: pair.text("UserId") };
        all.push((peer, plain_text(&pair, "Description")?));
    }
    if !params.groups("PrefixListIds").is_empty() {
        let text = "Prefix lists are not supported by this cloud; write their ranges out";
        return Err(Ec2Error::new(Code::Unsupported, text));
    }
    Ok(all)
}

/// Addresses in CIDR notation, with the bits behind the prefix cleared, as EC2 keeps them.
fn cidr(params: &Params, name: &str, text: &str) -> Result<String, Ec2Error> {
    let canonical = if name == "CidrIpv6" { ipv6(text) } else { ipv4(text) };
    canonical.ok_or_else(|| {
        let example = if name == "CidrIpv6" { "2001:db8::/32" } else { "192.0.2.0/24" };
        params.invalid(name, text, &format!("It must be addresses in CIDR notation, such as {example}."))
    })
}

fn ipv4(text: &str) -> Option<String> {
    let (address, bits) = text.split_once('/')?;
    let (address, bits) = (address.parse::<Ipv4Addr>().ok()?, bits.parse::<u32>().ok()?);
    let host = 32_u32.checked_sub(bits)?;
    let network = address.to_bits().checked_shr(host).unwrap_or(0).checked_shl(host).unwrap_or(0);
    Some(format!("{}/{bits}", Ipv4Addr::from_bits(network)))
}

fn ipv6(text: &str) -> Option<String> {
    let (address, bits) = text.split_once('/')?;
    let (address, bits) = (address.parse::<Ipv6Addr>().ok()?, bits.parse::<u32>().ok()?);
    let host = 128_u32.checked_sub(bits)?;
    let network = address.to_bits().checked_shr(host).unwrap_or(0).checked_shl(host).unwrap_or(0);
    Some(format!("{}/{bits}", Ipv6Addr::from_bits(network)))
}

/// Adds rules to a group: all of them, or none. `EGRESS`: for what its instances send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorize<const EGRESS: bool> {
    pub group: GroupRef,
    /// At least one.
    pub permissions: Vec<IpPermission>,
    /// For each rule.
    pub tags: Vec<Tag>,
}

/// For what instances receive.
pub type AuthorizeSecurityGroupIngress = Authorize<false>;
/// For what instances send.
pub type AuthorizeSecurityGroupEgress = Authorize<true>;

impl<const EGRESS: bool> Action for Authorize<EGRESS> {
    const NAME: &'static str = if EGRESS { "AuthorizeSecurityGroupEgress" } else { "AuthorizeSecurityGroupIngress" };
    const SOAP: bool = !EGRESS;
    type Response = AuthorizeResponse;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        let group = GroupRef::parse(params)?;
        let permissions = IpPermission::list(params)?;
        if permissions.is_empty() {
            return Err(params.missing("IpPermissions"));
        }
        Ok(Self { group, permissions, tags: Tag::specified(params, ResourceType::SecurityGroupRule)? })
    }
}

/// The new rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizeResponse {
    pub rules: Vec<Rule>,
}

impl Reply for AuthorizeResponse {
    fn write(&self, w: &mut Writer) {
        Done.write(w);
        w.query_only(|w| w.set("securityGroupRuleSet", &self.rules, |w, rule| rule.write(w)));
    }
}

/// Takes rules from a group: all of them, or none. `EGRESS`: of what its instances send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoke<const EGRESS: bool> {
    pub group: GroupRef,
    pub permissions: Vec<IpPermission>,
    /// Rules named by their ids (`SecurityGroupRuleId.N`).
    pub rule_ids: Vec<String>,
}

/// Of what instances receive.
pub type RevokeSecurityGroupIngress = Revoke<false>;
/// Of what instances send.
pub type RevokeSecurityGroupEgress = Revoke<true>;

impl<const EGRESS: bool> Action for Revoke<EGRESS> {
    const NAME: &'static str = if EGRESS { "RevokeSecurityGroupEgress" } else { "RevokeSecurityGroupIngress" };
    const SOAP: bool = !EGRESS;
    type Response = RevokeResponse;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        let group = GroupRef::parse(params)?;
        let permissions = IpPermission::list(params)?;
        let rule_ids = rule_ids(params)?;
        if permissions.is_empty() && rule_ids.is_empty() {
            return Err(params.missing("IpPermissions"));
        }
        Ok(Self { group, permissions, rule_ids })
    }
}

fn rule_ids(params: &Params) -> Result<Vec<String>, Ec2Error> {
    params.list("SecurityGroupRuleId").iter().map(|id| ids::rule_id(id)).collect()
}

/// The rules that are no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokeResponse {
    pub rules: Vec<Rule>,
}

impl Reply for RevokeResponse {
    fn write(&self, w: &mut Writer) {
        Done.write(w);
        w.query_only(|w| {
            w.texts("unknownIpPermissionSet", Vec::<String>::new());
            w.set("revokedSecurityGroupRuleSet", &self.rules, |w, rule| rule.write(w));
        });
    }
}

/// The rules of the caller's groups, one by one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DescribeSecurityGroupRules {
    /// Only these, each of which must exist; all if empty.
    pub rule_ids: Vec<String>,
    pub filters: Filters,
    pub page: Page,
}

impl Action for DescribeSecurityGroupRules {
    const NAME: &'static str = "DescribeSecurityGroupRules";
    const SOAP: bool = false;
    type Response = DescribeSecurityGroupRulesResponse;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        let rule_ids = rule_ids(params)?;
        let page = Page::parse(params)?;
        page.refuse_with("SecurityGroupRuleId", rule_ids.is_empty())?;
        Ok(Self { rule_ids, filters: Filters::parse::<Rule>(params)?, page })
    }
}

impl DescribeSecurityGroupRules {
    /// The answer out of all rules of the caller's groups.
    ///
    /// # Errors
    /// `InvalidSecurityGroupRuleId.NotFound` if one that was named is not there.
    pub fn answer(&self, mut all: Vec<Rule>) -> Result<DescribeSecurityGroupRulesResponse, Ec2Error> {
        if let Some(missing) = self.rule_ids.iter().find(|id| !all.iter().any(|rule| rule.rule_id == **id)) {
            return Err(Ec2Error::no_rule(missing));
        }
        let asked = |rule: &Rule| self.rule_ids.is_empty() || self.rule_ids.contains(&rule.rule_id);
        all.retain(|rule| asked(rule) && self.filters.pass(rule));
        let (rules, next_token) = self.page.cut(all, |rule| rule.rule_id.clone());
        Ok(DescribeSecurityGroupRulesResponse { rules, next_token })
    }
}

/// The rules that were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeSecurityGroupRulesResponse {
    pub rules: Vec<Rule>,
    /// Leads to the next page, if there is one.
    pub next_token: Option<String>,
}

impl Reply for DescribeSecurityGroupRulesResponse {
    fn write(&self, w: &mut Writer) {
        w.set("securityGroupRuleSet", &self.rules, |w, rule| rule.write(w));
        w.optional("nextToken", self.next_token.as_deref());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(pairs: &[(&str, &str)]) -> Result<Vec<IpPermission>, Code> {
        IpPermission::list(&Params::try_from(pairs).unwrap()).map_err(|error| error.code)
    }

    /// One nested rule of that traffic, from everywhere.
    fn traffic(protocol: &str, from: &str, to: &str) -> Result<Traffic, Code> {
        let pairs = [
            ("IpPermissions.1.IpProtocol", protocol),
            ("IpPermissions.1.FromPort", from),
            ("IpPermissions.1.ToPort", to),
            ("IpPermissions.1.IpRanges.1.CidrIp", "0.0.0.0/0"),
        ];
        Ok(list(&pairs)?.remove(0).traffic)
    }

    #[test]
    fn traffic_is_checked_by_its_protocol() {
        assert_eq!(traffic("6", "22", "22"), Ok(Traffic::of("tcp", 22, 22)));
        assert_eq!(traffic("UDP", "0", "65535"), Ok(Traffic::of("udp", 0, 65535)));
        assert_eq!(traffic("icmp", "-1", "-1"), Ok(Traffic::of("icmp", -1, -1)));
        assert_eq!(traffic("icmp", "8", ""), Ok(Traffic::of("icmp", 8, -1)));
        assert_eq!(traffic("-1", "22", "22"), Ok(Traffic { protocol: "-1".into(), ports: None }));
        assert_eq!(traffic("47", "", ""), Ok(Traffic { protocol: "47".into(), ports: None }));
        for (protocol, from, to) in [
            ("tcp", "80", "22"),
            ("tcp", "-1", "-1"),
            ("tcp", "22", ""),
            ("udp", "1", "65536"),
            ("icmp", "-1", "3"),
            ("icmp", "256", "0"),
            ("256", "", ""),
            ("gopher", "70", "70"),
        ] {
            assert_eq!(traffic(protocol, from, to), Err(Code::InvalidParameterValue), "{protocol} {from} {to}");
        }
        assert_eq!(traffic("", "22", "22"), Err(Code::MissingParameter));
    }

    #[test]
    fn addresses_lose_the_bits_behind_their_prefix() {
        assert_eq!(ipv4("10.1.2.3/8").as_deref(), Some("10.0.0.0/8"));
        assert_eq!(ipv4("10.1.2.3/32").as_deref(), Some("10.1.2.3/32"));
        assert_eq!(ipv4("10.1.2.3/0").as_deref(), Some("0.0.0.0/0"));
        assert_eq!(ipv6("2001:db8::1/32").as_deref(), Some("2001:db8::/32"));
        assert_eq!(ipv6("::1/0").as_deref(), Some("::/0"));
        for bad in ["10.0.0.0", "10.0.0.0/33", "10.0.0/8", "300.0.0.0/8", "::/0", "x/8", "10.0.0.0/-1"] {
            assert_eq!(ipv4(bad), None, "{bad}");
        }
        assert_eq!((ipv6("::/129"), ipv6("10.0.0.0/8")), (None, None));
    }

    #[test]
    fn both_forms_say_the_same() {
        let flat = [("IpProtocol", "tcp"), ("FromPort", "22"), ("ToPort", "22"), ("CidrIp", "0.0.0.0/0")];
        let nested: Vec<(String, &str)> = flat[..3]
            .iter()
            .map(|(name, value)| (format!("IpPermissions.1.{name}"), *value))
            .chain([("IpPermissions.1.IpRanges.1.CidrIp".to_string(), "0.0.0.0/0")])
            .collect();
        let nested: Vec<(&str, &str)> = nested.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        assert_eq!(list(&flat), list(&nested));
        let both: Vec<(&str, &str)> = flat.iter().chain(&nested).copied().collect();
        assert_eq!(list(&both), Err(Code::InvalidParameterCombination));
        assert_eq!(list(&flat[..3]), Err(Code::MissingParameter), "nobody to let in");
        assert_eq!(list(&nested[..3]), Err(Code::MissingParameter));
    }

    #[test]
    fn a_group_without_a_protocol_is_let_in_by_three_rules() {
        let rules = list(&[("SourceSecurityGroupName", "web"), ("SourceSecurityGroupOwnerId", "o")]).unwrap();
        let protocols: Vec<&str> = rules.iter().map(|rule| rule.traffic.protocol.as_str()).collect();
        assert_eq!(protocols, ["tcp", "udp", "icmp"]);
        let peer = PeerRef::Group { group: GroupRef::Name("web".into()), owner: Some("o".into()) };
        assert!(rules.iter().all(|rule| rule.peer == peer));
    }

    #[test]
    fn the_same_rule_twice_is_a_slip() {
        let pairs = [
            ("IpPermissions.1.IpProtocol", "tcp"),
            ("IpPermissions.1.FromPort", "22"),
            ("IpPermissions.1.ToPort", "22"),
            ("IpPermissions.1.IpRanges.1.CidrIp", "10.0.0.0/8"),
            ("IpPermissions.1.IpRanges.2.CidrIp", "10.9.9.9/8"),
        ];
        assert_eq!(list(&pairs), Err(Code::InvalidParameterValue));
        assert_eq!(list(&pairs[..4]).unwrap().len(), 1);
    }
}
