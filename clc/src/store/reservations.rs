//! Reservations: what one RunInstances asked for, with everything a launch needs, so that it can
//! be sent, and sent again, from the record alone.

use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};

use super::history::{Deed, Goal, begin};
use super::instances::{Attributes, Instance, by_id, insert_instance, instances_of};
use super::placement_groups::{PlacementGroup, placement_group};
use super::quotas::{Excess, excess, of_instances};
use super::security_groups::{groups_of_reservation, join_groups};
use super::tags::add_tags;
use super::zone_choices::{ZoneChoice, ZoneVerdict, insert_choice};
use super::{Scope, Store, StoreError};
use crate::ec2::Tag;
use crate::ec2::instances::Group;

/// What one RunInstances made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// `r-1A2B3C4D`.
    pub id: String,
    /// Whose.
    pub owner: String,
    /// Where: the cluster, which is the zone.
    pub cluster: String,
    /// The RunInstances that made it: its launch bears the same request id.
    pub request_id: String,
    /// Fewer than these are as good as none.
    pub min_count: u32,
    /// The image, and where nodes fetch it.
    pub image_id: String,
    /// URL of the image, with its digest.
    pub image_url: String,
    /// The kernel, and where nodes fetch it.
    pub kernel: Option<(String, String)>,
    /// The ramdisk, and where nodes fetch it.
    pub ramdisk: Option<(String, String)>,
    /// `x86_64`.
    pub architecture: String,
    /// `/dev/sda1`.
    pub root_device_name: Option<String>,
    /// `m1.small`.
    pub type_name: String,
    /// MB.
    pub memory_mb: u32,
    /// Virtual cores.
    pub cores: u32,
    /// GB.
    pub disk_gb: u32,
    /// Name of the key pair.
    pub key_name: Option<String>,
    /// The OpenSSH line; empty = none.
    pub public_key: String,
    /// Its security groups; those that were deleted after its end are no more.
    pub groups: Vec<Group>,
    /// Its placement group; `None` too for one that was deleted after its end.
    pub placement_group: Option<PlacementGroup>,
    /// As the client gave it, decoded.
    pub user_data: Vec<u8>,
    /// The client's token.
    pub client_token: Option<String>,
    /// When it was made, microseconds since the epoch.
    pub created: i64,
}

/// A RunInstances ready to be kept.
#[derive(Clone, Debug)]
pub struct Launch {
    /// What is asked for.
    pub reservation: Reservation,
    /// Ids of the instances, in the order of their launch index.
    pub instance_ids: Vec<String>,
    /// What is set of each of them.
    pub attributes: Attributes,
    /// Labels for each of them.
    pub tags: Vec<Tag>,
    /// Who asked, `account/user`.
    pub by: String,
    /// SHA-256 of the request's parameters: tells a repeated request from another one.
    pub digest: String,
    /// True if the client named the zone.
    pub zone_named: bool,
    /// Why it is this zone.
    pub zone_verdicts: Vec<ZoneVerdict>,
}

/// What became of a [`Launch`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reserved {
    /// It is kept, and will be launched.
    Made,
    /// The client token answers it.
    Known(Idempotency),
    /// An id is taken: make others.
    IdTaken,
    /// The cluster was deregistered meanwhile.
    ClusterGone,
    /// The security group was deleted meanwhile.
    GroupGone(Group),
    /// The placement group was deleted meanwhile.
    PlacementGroupGone(String),
    /// It would be more than its owner may have.
    TooMuch(Excess),
}

/// What a client token says about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Idempotency {
    /// The same request made this reservation before.
    Same(String),
    /// The token was used with other parameters.
    Mismatch,
}

impl Reservation {
    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        let pair = |id: &str, url: &str| -> rusqlite::Result<Option<(String, String)>> {
            Ok(row.get::<_, Option<String>>(id)?.zip(row.get(url)?))
        };
        Ok(Self {
            id: row.get("reservation_id")?,
            owner: row.get("owner")?,
            cluster: row.get("cluster")?,
            request_id: row.get("request_id")?,
            min_count: row.get("min_count")?,
            image_id: row.get("image_id")?,
            image_url: row.get("image_url")?,
            kernel: pair("kernel_id", "kernel_url")?,
            ramdisk: pair("ramdisk_id", "ramdisk_url")?,
            architecture: row.get("architecture")?,
            root_device_name: row.get("root_device_name")?,
            type_name: row.get("type_name")?,
            memory_mb: row.get("memory_mb")?,
            cores: row.get("cores")?,
            disk_gb: row.get("disk_gb")?,
            key_name: row.get("key_name")?,
            public_key: row.get("public_key")?,
            groups: Vec::new(),
            placement_group: None,
            user_data: row.get("user_data")?,
            client_token: row.get("client_token")?,
            created: row.get("created")?,
        })
    }
}

impl Store {
    /// What a client token says about a request, before anything is checked that may have changed
    /// since the first one.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub async fn idempotency(
        &self,
        owner: String,
        token: String,
        digest: String,
    ) -> Result<Option<Idempotency>, StoreError> {
        self.read(move |tx| idempotency(tx, &owner, &token, &digest)).await
    }

    /// Keeps a reservation, its instances (wished to run, seen by nobody) and its client token: all
    /// or nothing.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub async fn reserve(&self, launch: Launch) -> Result<Reserved, StoreError> {
        self.write(move |tx| {
            let reservation = &launch.reservation;
            if let Some(token) = &reservation.client_token
                && let Some(known) = idempotency(tx, &reservation.owner, token, &launch.digest)?
            {
                return Ok(Reserved::Known(known));
            }
            let there = |sql: &str, id: &str| tx.prepare_cached(sql)?.exists([id]);
            if !there("SELECT 1 FROM clusters WHERE name = ?1", &reservation.cluster)? {
                return Ok(Reserved::ClusterGone);
            }
            for group in &reservation.groups {
                if !there("SELECT 1 FROM security_groups WHERE group_id = ?1", &group.id)? {
                    return Ok(Reserved::GroupGone(group.clone()));
                }
            }
            if let Some(group) = &reservation.placement_group
                && placement_group(tx, &group.id)?.is_none()
            {
                return Ok(Reserved::PlacementGroupGone(group.name.clone()));
            }
            let count = u32::try_from(launch.instance_ids.len()).unwrap_or(u32::MAX);
            let asked = of_instances(count, reservation.cores, reservation.memory_mb);
            if let Some(excess) = excess(tx, &reservation.owner, &asked)? {
                return Ok(Reserved::TooMuch(excess));
            }
            let mut taken = there("SELECT 1 FROM reservations WHERE reservation_id = ?1", &reservation.id)?;
            for id in &launch.instance_ids {
                taken |= there("SELECT 1 FROM instances WHERE instance_id = ?1", id)?;
            }
            if taken {
                return Ok(Reserved::IdTaken);
            }
            insert_reservation(tx, reservation)?;
            join_groups(tx, &reservation.id, &reservation.groups)?;
            let choice = ZoneChoice {
                request_id: reservation.request_id.clone(),
                owner: reservation.owner.clone(),
                attempt: 1,
                named: launch.zone_named,
                at: reservation.created,
                declined: None,
                verdicts: launch.zone_verdicts.clone(),
            };
            insert_choice(tx, &choice)?;
            let deed = Deed {
                request_id: reservation.request_id.clone(),
                by: launch.by.clone(),
                action: "RunInstances",
                at: reservation.created,
            };
            for (index, id) in (0..).zip(&launch.instance_ids) {
                insert_instance(tx, reservation, id, index, launch.attributes)?;
                add_tags(tx, id, &launch.tags)?;
                if let Some(instance) = by_id(tx, id)? {
                    begin(tx, &instance, &deed, Goal::Run, None)?;
                }
            }
            if let Some(token) = &reservation.client_token {
                tx.prepare_cached(
                    "INSERT INTO client_tokens (owner, token, digest, reservation_id, created) VALUES (?1, ?2, ?3, ?4, ?5)",
                )?
                .execute(params![reservation.owner, token, launch.digest, reservation.id, reservation.created])?;
            }
            Ok(Reserved::Made)
        })
        .await
    }

    /// A reservation with all its instances.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub async fn reservation(&self, id: String) -> Result<Option<(Reservation, Vec<Instance>)>, StoreError> {
        self.read(move |tx| {
            let Some(reservation) = reservation(tx, &id)? else { return Ok(None) };
            let instances = instances_of(tx, "WHERE reservation_id = ?1 ORDER BY launch_index", params![id])?;
            Ok(Some((reservation, instances)))
        })
        .await
    }

    /// The reservations in the scope, oldest first, with their instances: those that have not ended, and
    /// those that ended since `ended_since`. Only the instances that are `named`, if any are.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub async fn reservations(
        &self,
        scope: Scope,
        ended_since: i64,
        named: Vec<String>,
    ) -> Result<Vec<(Reservation, Vec<Instance>)>, StoreError> {
        self.read(move |tx| {
            let named = (!named.is_empty()).then(|| serde_json::Value::from(named).to_string());
            let owner = match &scope {
                Scope::Account(owner) => Some(owner),
                Scope::Everybody => None,
            };
            let mut condition = "WHERE (ended IS NULL OR ended >= ?1)".to_string();
            condition += if owner.is_some() { " AND owner = ?2" } else { " AND ?2 IS NULL" };
            condition += match named {
                Some(_) => " AND instance_id IN (SELECT value FROM json_each(?3))",
                None => " AND ?3 IS NULL",
            };
            condition += " ORDER BY launched, reservation_id, launch_index";
            let instances = instances_of(tx, &condition, params![ended_since, owner, named])?;
            let mut all: Vec<(Reservation, Vec<Instance>)> = Vec::new();
            for instance in instances {
                match all.last_mut() {
                    Some((last, instances)) if last.id == instance.reservation_id => instances.push(instance),
                    _ => {
                        let found = reservation(tx, &instance.reservation_id)?;
                        let found =
                            found.ok_or_else(|| StoreError::Corrupt(format!("{} has no reservation", instance.id)))?;
                        all.push((found, vec![instance]));
                    }
                }
            }
            Ok(all)
        })
        .await
    }

    /// Forgets what ended before `ended_before`: instances, reservations left without any, and
    /// their client tokens.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub async fn forget_ended(&self, ended_before: i64) -> Result<usize, StoreError> {
        self.write(move |tx| forget_instances(tx, "ended < ?1", &ended_before)).await
    }
}

/// Deletes the instances of a condition on one value, with their labels, the reservations left
/// without any, and the client tokens of those.
pub(super) fn forget_instances(tx: &Connection, condition: &str, value: &dyn ToSql) -> Result<usize, StoreError> {
    let these = format!("SELECT instance_id FROM instances WHERE {condition}");
    tx.execute(&format!("DELETE FROM tags WHERE resource_id IN ({these})"), [value])?;
    let forgotten = tx.execute(&format!("DELETE FROM instances WHERE {condition}"), [value])?;
    if forgotten > 0 {
        let empty = "reservation_id NOT IN (SELECT reservation_id FROM instances)";
        tx.execute(&format!("DELETE FROM client_tokens WHERE {empty}"), [])?;
        tx.execute(&format!("DELETE FROM reservations WHERE {empty}"), [])?;
    }
    Ok(forgotten)
}

pub(super) fn reservation(tx: &Connection, id: &str) -> Result<Option<Reservation>, StoreError> {
    let mut select = tx.prepare_cached("SELECT * FROM reservations WHERE reservation_id = ?1")?;
    let read = |row: &Row<'_>| Ok((Reservation::of(row)?, row.get("placement_group")?));
    let found: Option<(Reservation, Option<String>)> = select.query_row([id], read).optional()?;
    let Some((mut reservation, group)) = found else { return Ok(None) };
    reservation.groups = groups_of_reservation(tx, id)?;
    if let Some(group) = group {
        reservation.placement_group = placement_group(tx, &group)?;
    }
    Ok(Some(reservation))
}

fn idempotency(tx: &Connection, owner: &str, token: &str, digest: &str) -> Result<Option<Idempotency>, StoreError> {
    let mut select =
        tx.prepare_cached("SELECT digest, reservation_id FROM client_tokens WHERE owner = ?1 AND token = ?2")?;
    let known: Option<(String, String)> =
        select.query_row([owner, token], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    Ok(known.map(|(first, id)| if first == digest { Idempotency::Same(id) } else { Idempotency::Mismatch }))
}

fn insert_reservation(tx: &Connection, r: &Reservation) -> Result<(), StoreError> {
    let (kernel_id, kernel_url) = r.kernel.clone().unzip();
    let (ramdisk_id, ramdisk_url) = r.ramdisk.clone().unzip();
    tx.prepare_cached(
        "INSERT INTO reservations (reservation_id, owner, cluster, request_id, min_count, image_id, image_url, kernel_id,
             kernel_url, ramdisk_id, ramdisk_url, architecture, root_device_name, type_name, memory_mb, cores, disk_gb,
             key_name, public_key, user_data, client_token, created, placement_group)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22,
             ?23)",
    )?
    .execute(params![
        r.id,
        r.owner,
        r.cluster,
        r.request_id,
        r.min_count,
        r.image_id,
        r.image_url,
        kernel_id,
        kernel_url,
        ramdisk_id,
        ramdisk_url,
        r.architecture,
        r.root_device_name,
        r.type_name,
        r.memory_mb,
        r.cores,
        r.disk_gb,
        r.key_name,
        r.public_key,
        r.user_data,
        r.client_token,
        r.created,
        r.placement_group.as_ref().map(|group| &group.id),
    ])?;
    Ok(())
}
