//! What the cluster believes of one node, and since when. Plain data and the rule by which a node
//! that does not answer becomes suspect and then down. Knows no message and makes no call.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ironbark_wsdl::wsse;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::ids::NodeName;
use crate::place::{Facts, Room};

/// A node is down when this many refreshes in a row went unanswered ...
pub const DOWN_AFTER_MISSES: u32 = 3;
/// ... and its last answer is older than this many polls (the ping time-out of
/// operations-spec.md (a), "2.5 x for polled").
pub const DOWN_AFTER_POLLS: f64 = 2.5;
/// How long after a fault on DescribeNode it is not tried again.
const ASK_AGAIN: SignedDuration = SignedDuration::from_secs(60);
/// For how long a launch that failed on a node speaks against it.
const LATELY: SignedDuration = SignedDuration::from_mins(10);

/// One node.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// How it is reached and where that is written.
    pub entry: Entry,
    /// How it is.
    pub health: Health,
    /// Since when.
    pub since: Timestamp,
    /// Why, for people; `None` when it is up.
    pub reason: Option<String>,
    /// When it last answered.
    pub last_seen: Option<Timestamp>,
    /// Refreshes in a row that it did not answer.
    pub misses: u32,
    /// What it offers in all; `None` until it has told.
    pub offered: Option<Room>,
    /// What it last said is free.
    pub free: Option<Room>,
    /// Who it says it is.
    pub identity: Identity,
    /// When launches failed on it, as far back as that counts.
    pub failures: Vec<Timestamp>,
    /// If it is to get no new instances.
    pub drain: Option<Drain>,
}

/// That an administrator lets a node get no new instances.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drain {
    /// The node.
    pub node: NodeName,
    /// Since when.
    pub since: Timestamp,
    /// Why, as the administrator said.
    pub reason: Option<String>,
}

/// How a node is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its name in this cluster.
    pub name: NodeName,
    /// Its endpoint, `http://host:8775/axis2/services/EucalyptusNC`.
    pub url: String,
    /// How messages to it are secured.
    pub profile: Profile,
    /// Its certificate, PEM: the only one accepted from it.
    pub certificate: String,
    /// Where it is written down.
    #[serde(skip, default)]
    pub source: Source,
}

/// How messages to a node are secured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// Ironbark's own: body, timestamp and addressing signed, both ways.
    #[default]
    Strict,
    /// Eucalyptus 2.0.1's: the body is not covered. For nodes that speak no other.
    #[serde(rename = "euca-2.0.1")]
    Euca201,
}

/// Where a node is written down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// In our own state, by RegisterNode.
    #[default]
    Registered,
    /// In the configuration file.
    Configured,
}

/// How a node is, as far as we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Not asked yet since we started.
    Unknown,
    /// It answered the last time.
    Up,
    /// It did not answer the last time.
    Suspect,
    /// It has not answered for long enough.
    Down,
}

/// Who a node says it is, and what it knows beyond the 2.0.1 wire.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Its own random identity, UUID text.
    pub node_id: Option<String>,
    /// Version of its program.
    pub version: Option<String>,
    /// Changes with each start of its program.
    pub boot_id: Option<String>,
    /// What it drives and why.
    pub hypervisor: Option<String>,
    /// The Ironbark operations it knows.
    pub operations: Vec<String>,
    /// What of it matters to placement.
    pub facts: Option<Arc<Facts>>,
    /// When it last faulted on DescribeNode: it seems to speak the 2.0.1 wire only.
    pub old_wire: Option<Timestamp>,
}

impl Profile {
    /// The name in configuration and contract.
    pub fn name(self) -> &'static str {
        self.rules().name()
    }

    /// The rules that messages are held to.
    pub fn rules(self) -> wsse::Profile {
        match self {
            Profile::Strict => wsse::Profile::Strict,
            Profile::Euca201 => wsse::Profile::Euca201,
        }
    }

    /// Reads a name; `None` for one that we do not know.
    pub fn from_name(name: &str) -> Option<Self> {
        [Profile::Strict, Profile::Euca201].into_iter().find(|profile| profile.name() == name)
    }
}

impl Health {
    /// The name in the Ironbark contract.
    pub fn name(self) -> &'static str {
        match self {
            Health::Unknown => "unknown",
            Health::Up => "up",
            Health::Suspect => "suspect",
            Health::Down => "down",
        }
    }
}

/// To follow "is draining": `since 2026-11-20T10:21:23Z: its disk is replaced`.
impl fmt::Display for Drain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "since {:.0}", self.since)?;
        match &self.reason {
            Some(reason) => write!(f, ": {reason}"),
            None => Ok(()),
        }
    }
}

impl Node {
    /// A node of which nothing is known yet.
    pub fn new(entry: Entry, now: Timestamp) -> Self {
        Self {
            entry,
            health: Health::Unknown,
            since: now,
            reason: Some("not asked yet".to_string()),
            last_seen: None,
            misses: 0,
            offered: None,
            free: None,
            identity: Identity::default(),
            failures: Vec::new(),
            drain: None,
        }
    }

    /// A launch failed on it: it comes after other nodes for a while.
    pub fn launch_failed(&mut self, now: Timestamp) {
        self.failures.retain(|failed| now.duration_since(*failed) < LATELY);
        self.failures.push(now);
    }

    /// How many launches failed on it lately.
    pub fn failures_lately(&self, now: Timestamp) -> usize {
        self.failures.iter().filter(|failed| now.duration_since(**failed) < LATELY).count()
    }

    /// It answered.
    pub fn answered(&mut self, now: Timestamp) {
        self.enter(Health::Up, now);
        self.reason = None;
        self.last_seen = Some(now);
        self.misses = 0;
    }

    /// It did not answer a refresh, for `reason`. Suspect at once; down by the two numbers above.
    /// Its last numbers and its instances stay.
    pub fn missed(&mut self, reason: String, poll: Duration, now: Timestamp) {
        self.misses = self.misses.saturating_add(1);
        let silent_since = self.last_seen.unwrap_or(self.since);
        let patience = SignedDuration::try_from(poll.mul_f64(DOWN_AFTER_POLLS)).unwrap_or(SignedDuration::MAX);
        let long_silent = now.duration_since(silent_since) > patience;
        let down = self.health == Health::Down || (self.misses >= DOWN_AFTER_MISSES && long_silent);
        self.enter(if down { Health::Down } else { Health::Suspect }, now);
        self.reason = Some(reason);
        // It may come back as another program.
        self.identity.old_wire = None;
    }

    fn enter(&mut self, health: Health, now: Timestamp) {
        if self.health != health {
            self.health = health;
            self.since = now;
        }
    }

    /// Whether to ask it for what the 2.0.1 wire lacks. After a fault it is asked again now and
    /// then, for the fault may have been a crash of the call.
    pub fn may_know_more(&self, now: Timestamp) -> bool {
        self.entry.profile == Profile::Strict
            && self.identity.old_wire.is_none_or(|fault| now.duration_since(fault) > ASK_AGAIN)
    }

    /// Why it should not be asked for anything, `None` unless it is down.
    pub fn down(&self) -> Option<String> {
        match self.health {
            Health::Down => Some(format!("node {} is {}", self.entry.name, self.condition())),
            Health::Unknown | Health::Up | Health::Suspect => None,
        }
    }

    /// Its health in words: `suspect since 2026-11-20T10:21:23Z: it did not answer within 5 s`.
    pub fn condition(&self) -> String {
        let since = format!("{:.0}", self.since);
        match &self.reason {
            Some(reason) => format!("{} since {since}: {reason}", self.health.name()),
            None => format!("{} since {since}", self.health.name()),
        }
    }
}

/// A node's URL, without spaces around it.
///
/// # Errors
/// A sentence with what it should look like.
pub fn node_url(text: &str) -> Result<String, String> {
    let url = text.trim();
    let host = url.strip_prefix("http://").map(|rest| rest.split('/').next().unwrap_or_default());
    let readable = url.bytes().all(|b| b.is_ascii_graphic());
    match host {
        Some(host) if !host.is_empty() && !host.starts_with(':') && readable => Ok(url.to_string()),
        _ => Err(format!("'{url}' is no node's URL; it should look like http://HOST:8775/axis2/services/EucalyptusNC")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(now: Timestamp) -> Node {
        let entry = Entry {
            name: NodeName::parse("n1").unwrap(),
            url: "http://n1:8775/".into(),
            profile: Profile::Strict,
            certificate: String::new(),
            source: Source::Registered,
        };
        Node::new(entry, now)
    }

    #[test]
    fn suspect_at_once_and_down_by_both_numbers() {
        let start: Timestamp = "2026-11-20T10:00:00Z".parse().unwrap();
        let at = |seconds| start + SignedDuration::from_secs(seconds);
        let poll = Duration::from_secs(2);
        let mut node = node(start);
        node.answered(at(0));
        // Three quick misses are not enough: five seconds of silence are asked for as well.
        for second in 1..=3 {
            node.missed("no route".into(), poll, at(second));
            assert_eq!((node.health, node.since), (Health::Suspect, at(1)));
        }
        node.missed("no route".into(), poll, at(6));
        assert_eq!((node.health, node.since), (Health::Down, at(6)));
        assert_eq!(node.last_seen, Some(at(0)));
        assert!(node.down().unwrap().contains("down since 2026-11-20T10:00:06Z: no route"));
        node.answered(at(9));
        assert_eq!((node.health, node.since, node.misses, node.reason), (Health::Up, at(9), 0, None));
    }

    #[test]
    fn a_long_silence_needs_three_misses_too() {
        let start: Timestamp = "2026-11-20T10:00:00Z".parse().unwrap();
        let mut node = node(start);
        node.answered(start);
        let later = start + SignedDuration::from_hours(1);
        node.missed("asleep".into(), Duration::from_secs(2), later);
        node.missed("asleep".into(), Duration::from_secs(2), later);
        assert_eq!(node.health, Health::Suspect);
        node.missed("asleep".into(), Duration::from_secs(2), later);
        assert_eq!(node.health, Health::Down);
    }

    #[test]
    fn urls_are_checked() {
        assert_eq!(
            node_url(" http://n1:8775/axis2/services/EucalyptusNC ").unwrap(),
            "http://n1:8775/axis2/services/EucalyptusNC"
        );
        for bad in
            ["", "n1", "https://n1/", "http://", "http:///x", "http://:8775/", "http://n1/a b", "http://n\u{e9}/"]
        {
            assert!(node_url(bad).unwrap_err().contains("http://HOST:8775"), "{bad}");
        }
    }
}
