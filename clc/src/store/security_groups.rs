//! Security groups and their rules. Every account has the group `default`, from its making on.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::tags::{add_tags, forget_tags, tags_of};
use super::{Store, StoreError};
use crate::ec2::Tag;
use crate::ec2::instances::Group;
use crate::ec2::security_groups::{DEFAULT_GROUP, GroupRef, SecurityGroup};
use crate::ec2::security_rules::{IpPermission, Peer, PeerRef, Rule, Traffic};
use crate::ids;

/// Groups of an account, and rules of a group in each direction (EC2's limits of a cloud without
/// networks of the users' own).
pub const MAX_GROUPS: usize = 500;
pub const MAX_RULES: usize = 100;

/// Why a group, or its rules, stayed as they were.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupRefused {
    /// There is no such group.
    NotFound(String),
    /// Its owner has one of that name.
    NameTaken(String),
    /// Its owner has as many as one can have.
    TooMany,
    /// It is the group that every account has.
    Default,
    /// It, told by its id, is needed by an instance that has not ended or by another group's rule.
    InUse(String, String),
    /// The group has this rule, told by what it says.
    HasRule(String),
    /// The group does not have this rule, told by what it says or by its id.
    NoRule(String),
    /// The group has as many rules as one can have.
    TooManyRules,
}

impl Store {
    /// Makes a group with the rule that lets out everything, and gives its id.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub async fn create_security_group(
        &self,
        owner: String,
        name: String,
        description: String,
        tags: Vec<Tag>,
        now: i64,
    ) -> Result<Result<String, GroupRefused>, StoreError> {
        self.write(move |tx| {
            if find(tx, &owner, &GroupRef::Name(name.clone()))?.is_some() {
                return Ok(Err(GroupRefused::NameTaken(name)));
            }
            let there: i64 = tx
                .prepare_cached("SELECT count(*) FROM security_groups WHERE owner = ?1")?
                .query_row([&owner], |row| row.get(0))?;
            if usize::try_from(there).is_ok_and(|there| there >= MAX_GROUPS) {
                return Ok(Err(GroupRefused::TooMany));
            }
            let id = insert_group(tx, &owner, &name, &description, now)?;
            add_tags(tx, &id, &tags)?;
            Ok(Ok(id))
        })
        .await
    }

    /// Deletes a group that nothing needs, and gives its id.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub async fn delete_security_group(
        &self,
        owner: String,
        group: GroupRef,
    ) -> Result<Result<String, GroupRefused>, StoreError> {
        self.write(move |tx| {
            let Some(group) = find(tx, &owner, &group)? else { return Ok(Err(not_found(&group))) };
            if group.name == DEFAULT_GROUP {
                return Ok(Err(GroupRefused::Default));
            }
            if let Some(user) = user_of(tx, &group.group_id)? {
                return Ok(Err(GroupRefused::InUse(group.group_id, user)));
            }
            delete_group(tx, &group.group_id)?;
            Ok(Ok(group.group_id))
        })
        .await
    }

    /// An owner's groups, by name, with their rules.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub async fn security_groups(&self, owner: String) -> Result<Vec<SecurityGroup>, StoreError> {
        self.read(move |tx| {
            let mut select = tx.prepare_cached("SELECT * FROM security_groups WHERE owner = ?1 ORDER BY name")?;
            let mut groups: Vec<SecurityGroup> = select.query_map([owner], group_of)?.collect::<Result<_, _>>()?;
            for group in &mut groups {
                complete(tx, group)?;
            }
            Ok(groups)
        })
        .await
    }

    /// Adds rules to a group: all of them, or none. Each gets `tags`.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub async fn authorize(
        &self,
        owner: String,
        group: GroupRef,
        egress: bool,
        permissions: Vec<IpPermission>,
        tags: Vec<Tag>,
    ) -> Result<Result<Vec<Rule>, GroupRefused>, StoreError> {
        self.write(move |tx| {
            let Some(group) = find(tx, &owner, &group)? else { return Ok(Err(not_found(&group))) };
            let mut rules: Vec<Rule> = Vec::with_capacity(permissions.len());
            for permission in permissions {
                let Some(peer) = peer(tx, &owner, &permission.peer)? else { return Ok(Err(no_peer(&permission.peer))) };
                let rule = Rule {
                    rule_id: ids::security_group_rule_id(),
                    group_id: group.group_id.clone(),
                    owner_id: owner.clone(),
                    egress,
                    traffic: permission.traffic,
                    peer,
                    description: permission.description,
                    tags: tags.clone(),
                };
                let same = |other: &&Rule| {
                    other.egress == egress && (&other.traffic, &other.peer) == (&rule.traffic, &rule.peer)
                };
                if group.rules.iter().chain(&rules).any(|other| same(&other)) {
                    return Ok(Err(GroupRefused::HasRule(format!("{}, {}", rule.traffic, rule.peer))));
                }
                rules.push(rule);
            }
            let there = group.rules.iter().filter(|rule| rule.egress == egress).count();
            if there + rules.len() > MAX_RULES {
                return Ok(Err(GroupRefused::TooManyRules));
            }
            for rule in &rules {
                insert_rule(tx, rule)?;
            }
            Ok(Ok(rules))
        })
        .await
    }

    /// Takes rules from a group, told by what they say or by their ids: all of them, or none. Gives
    /// those that are gone.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub async fn revoke(
        &self,
        owner: String,
        group: GroupRef,
        egress: bool,
        permissions: Vec<IpPermission>,
        rule_ids: Vec<String>,
    ) -> Result<Result<Vec<Rule>, GroupRefused>, StoreError> {
        self.write(move |tx| {
            let Some(group) = find(tx, &owner, &group)? else { return Ok(Err(not_found(&group))) };
            let mut gone: Vec<Rule> = Vec::new();
            let mut doom = |told: String, is: &dyn Fn(&Rule) -> bool| {
                let found = group.rules.iter().find(|rule| rule.egress == egress && is(rule));
                let rule = found.ok_or(GroupRefused::NoRule(told))?;
                if !gone.contains(rule) {
                    gone.push(rule.clone());
                }
                Ok(())
            };
            for permission in &permissions {
                let Some(peer) = peer(tx, &owner, &permission.peer)? else { return Ok(Err(no_peer(&permission.peer))) };
                let told = format!("{}, {peer}", permission.traffic);
                if let Err(refused) = doom(told, &|rule| (&rule.traffic, &rule.peer) == (&permission.traffic, &peer)) {
                    return Ok(Err(refused));
                }
            }
            for id in &rule_ids {
                if let Err(refused) = doom(id.clone(), &|rule| rule.rule_id == *id) {
                    return Ok(Err(refused));
                }
            }
            for rule in &gone {
                forget_tags(tx, &rule.rule_id)?;
                tx.prepare_cached("DELETE FROM security_group_rules WHERE rule_id = ?1")?.execute([&rule.rule_id])?;
            }
            Ok(Ok(gone))
        })
        .await
    }
}

/// Makes the group that every account has. Its instances may talk to each other.
pub(super) fn insert_default_group(tx: &Connection, owner: &str, now: i64) -> Result<(), StoreError> {
    let id = insert_group(tx, owner, DEFAULT_GROUP, "default group", now)?;
    let peer = Peer::Group { id: id.clone(), name: DEFAULT_GROUP.to_string(), owner: owner.to_string() };
    insert_rule(tx, &everything(id, owner, false, peer))
}

/// Deletes all groups of an owner, and others' rules about them.
pub(super) fn forget_groups(tx: &Connection, owner: &str) -> Result<(), StoreError> {
    let ids: Vec<String> = tx
        .prepare_cached("SELECT group_id FROM security_groups WHERE owner = ?1")?
        .query_map([owner], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    ids.iter().try_for_each(|id| delete_group(tx, id))
}

/// The groups of a reservation that are still there, by name.
pub(super) fn groups_of_reservation(tx: &Connection, reservation_id: &str) -> rusqlite::Result<Vec<Group>> {
    let mut select = tx.prepare_cached(
        "SELECT group_id, name FROM reservation_groups JOIN security_groups USING (group_id)
         WHERE reservation_id = ?1 ORDER BY name",
    )?;
    select.query_map([reservation_id], |row| Ok(Group { id: row.get(0)?, name: row.get(1)? }))?.collect()
}

/// Puts a new reservation into groups.
pub(super) fn join_groups(tx: &Connection, reservation_id: &str, groups: &[Group]) -> rusqlite::Result<()> {
    let mut insert = tx.prepare_cached("INSERT INTO reservation_groups (reservation_id, group_id) VALUES (?1, ?2)")?;
    for group in groups {
        insert.execute([reservation_id, &group.id])?;
    }
    Ok(())
}

fn insert_group(tx: &Connection, owner: &str, name: &str, description: &str, now: i64) -> Result<String, StoreError> {
    let id = ids::security_group_id();
    tx.prepare_cached(
        "INSERT INTO security_groups (group_id, owner, name, description, created) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![id, owner, name, description, now])?;
    insert_rule(tx, &everything(id.clone(), owner, true, Peer::Cidr("0.0.0.0/0".to_string())))?;
    Ok(id)
}

/// The rule that lets all traffic pass.
fn everything(group_id: String, owner: &str, egress: bool, peer: Peer) -> Rule {
    Rule {
        rule_id: ids::security_group_rule_id(),
        group_id,
        owner_id: owner.to_string(),
        egress,
        traffic: Traffic { protocol: "-1".to_string(), ports: None },
        peer,
        description: None,
        tags: Vec::new(),
    }
}

fn insert_rule(tx: &Connection, rule: &Rule) -> Result<(), StoreError> {
    let (cidr, peer_group) = match &rule.peer {
        Peer::Cidr(cidr) => (Some(cidr), None),
        Peer::Group { id, .. } => (None, Some(id)),
    };
    let (from_port, to_port) = rule.traffic.ports.unzip();
    tx.prepare_cached(
        "INSERT INTO security_group_rules (rule_id, group_id, egress, protocol, from_port, to_port, cidr, peer_group,
             description)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        rule.rule_id,
        rule.group_id,
        rule.egress,
        rule.traffic.protocol,
        from_port,
        to_port,
        cidr,
        peer_group,
        rule.description
    ])?;
    add_tags(tx, &rule.rule_id, &rule.tags)
}

fn delete_group(tx: &Connection, id: &str) -> Result<(), StoreError> {
    let rules: Vec<String> = tx
        .prepare_cached("SELECT rule_id FROM security_group_rules WHERE group_id = ?1 OR peer_group = ?1")?
        .query_map([id], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for rule in rules.iter().map(String::as_str).chain([id]) {
        forget_tags(tx, rule)?;
    }
    for sql in [
        "DELETE FROM security_group_rules WHERE group_id = ?1 OR peer_group = ?1",
        "DELETE FROM reservation_groups WHERE group_id = ?1",
        "DELETE FROM security_groups WHERE group_id = ?1",
    ] {
        tx.prepare_cached(sql)?.execute([id])?;
    }
    Ok(())
}

/// What needs a group: an instance in it, or another group whose rule names it.
fn user_of(tx: &Connection, group_id: &str) -> rusqlite::Result<Option<String>> {
    tx.prepare_cached(
        "SELECT instance_id FROM reservation_groups JOIN instances USING (reservation_id)
             WHERE group_id = ?1 AND ended IS NULL
         UNION ALL
         SELECT group_id FROM security_group_rules WHERE peer_group = ?1 AND group_id <> ?1
         LIMIT 1",
    )?
    .query_row([group_id], |row| row.get(0))
    .optional()
}

fn find(tx: &Connection, owner: &str, group: &GroupRef) -> Result<Option<SecurityGroup>, StoreError> {
    let column = match group {
        GroupRef::Name(_) => "name",
        GroupRef::Id(_) => "group_id",
    };
    let mut select = tx.prepare_cached(&format!("SELECT * FROM security_groups WHERE owner = ?1 AND {column} = ?2"))?;
    let Some(mut group) = select.query_row([owner, group.text()], group_of).optional()? else { return Ok(None) };
    complete(tx, &mut group)?;
    Ok(Some(group))
}

fn group_of(row: &Row<'_>) -> rusqlite::Result<SecurityGroup> {
    Ok(SecurityGroup {
        group_id: row.get("group_id")?,
        owner_id: row.get("owner")?,
        name: row.get("name")?,
        description: row.get("description")?,
        rules: Vec::new(),
        tags: Vec::new(),
    })
}

/// Reads the rules and labels of a group.
fn complete(tx: &Connection, group: &mut SecurityGroup) -> Result<(), StoreError> {
    group.tags = tags_of(tx, &group.group_id)?;
    let mut select = tx.prepare_cached(
        "SELECT rules.*, peers.name AS peer_name, peers.owner AS peer_owner
         FROM security_group_rules rules LEFT JOIN security_groups peers ON peers.group_id = peer_group
         WHERE rules.group_id = ?1 ORDER BY number",
    )?;
    let mut rows = select.query([&group.group_id])?;
    while let Some(row) = rows.next()? {
        let mut rule = rule_of(row, &group.owner_id)?;
        rule.tags = tags_of(tx, &rule.rule_id)?;
        group.rules.push(rule);
    }
    Ok(())
}

fn rule_of(row: &Row<'_>, owner: &str) -> rusqlite::Result<Rule> {
    let from_port: Option<i32> = row.get("from_port")?;
    let cidr: Option<String> = row.get("cidr")?;
    let peer = match cidr {
        Some(cidr) => Peer::Cidr(cidr),
        None => Peer::Group { id: row.get("peer_group")?, name: row.get("peer_name")?, owner: row.get("peer_owner")? },
    };
    Ok(Rule {
        rule_id: row.get("rule_id")?,
        group_id: row.get("group_id")?,
        owner_id: owner.to_string(),
        egress: row.get("egress")?,
        traffic: Traffic { protocol: row.get("protocol")?, ports: from_port.zip(row.get("to_port")?) },
        peer,
        description: row.get("description")?,
        tags: Vec::new(),
    })
}

/// The peer that a request means; none if there is no such group.
fn peer(tx: &Connection, owner: &str, told: &PeerRef) -> Result<Option<Peer>, StoreError> {
    match told {
        PeerRef::Cidr(cidr) => Ok(Some(Peer::Cidr(cidr.clone()))),
        PeerRef::Group { group, owner: other } => {
            let found = find(tx, other.as_deref().unwrap_or(owner), group)?;
            Ok(found.map(|group| Peer::Group { id: group.group_id, name: group.name, owner: group.owner_id }))
        }
    }
}

fn not_found(group: &GroupRef) -> GroupRefused {
    GroupRefused::NotFound(group.text().to_string())
}

fn no_peer(peer: &PeerRef) -> GroupRefused {
    match peer {
        PeerRef::Group { group, .. } => not_found(group),
        PeerRef::Cidr(cidr) => GroupRefused::NotFound(cidr.clone()),
    }
}
