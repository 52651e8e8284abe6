//! Instances: what each one's owner wishes and what its cluster last said of it, as rows. How they
//! get on is in `progress`.

use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};

use super::progress::Refused;
use super::reservations::Reservation;
use super::tags::tags_of_each;
use super::{Cells, Scope, Store, StoreError};
use crate::deadlines;
use crate::ec2::Tag;
use crate::ec2::attributes::ShutdownBehavior;
use crate::ec2::instances::InstanceState;
use crate::lifecycle::{self, Due, Observed, Wish};

/// Why an instance is in its state, in EC2's form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// `Server.InsufficientInstanceCapacity`.
    pub code: String,
    /// A sentence.
    pub text: String,
}

impl Reason {
    /// A reason of that code.
    pub fn new(code: &str, text: impl Into<String>) -> Self {
        Self { code: code.to_string(), text: text.into() }
    }
}

/// What an owner sets of an instance without changing what runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// It cannot be terminated over the API.
    pub disable_api_termination: bool,
    /// It cannot be stopped over the API.
    pub disable_api_stop: bool,
    /// What becomes of it when its guest turns itself off.
    pub shutdown_behavior: ShutdownBehavior,
    /// It is wished to be monitored.
    pub monitored: bool,
}

impl Attributes {
    fn of(cells: &mut Cells<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            disable_api_termination: cells.next()?,
            disable_api_stop: cells.next()?,
            shutdown_behavior: {
                let word: String = cells.next()?;
                let unknown = || StoreError::Corrupt(format!("'{word}' is no shutdown behavior"));
                ShutdownBehavior::named(&word).ok_or_else(unknown)?
            },
            monitored: cells.next()?,
        })
    }
}

/// The type that an instance was given since its launch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Resized {
    /// `m1.large`.
    pub type_name: String,
    /// MB.
    pub memory_mb: u32,
    /// Virtual cores.
    pub cores: u32,
}

impl Resized {
    fn of(cells: &mut Cells<'_>) -> Result<Option<Self>, StoreError> {
        let type_name: Option<String> = cells.next()?;
        let (memory_mb, cores): (Option<u32>, Option<u32>) = (cells.next()?, cells.next()?);
        let whole = type_name.zip(memory_mb).zip(cores);
        Ok(whole.map(|((type_name, memory_mb), cores)| Self { type_name, memory_mb, cores }))
    }
}

/// What is read of an instance, in the order of [`Instance`]'s fields.
/// In which a stop can still be forced, though there is nothing else left to tell.
const BEING_STOPPED: (Wish, Observed) = (Wish::Stop, Observed::Stopping);

const COLUMNS: &str = "instance_id, reservation_id, launch_index, owner, cluster, wish, observed, force, epoch, \
    request_id, reason_code, reason_text, node, private_ip, public_ip, boot_count, last_reboot, launched, since, ended, \
    disable_api_termination, disable_api_stop, shutdown_behavior, monitored, type_name, memory_mb, cores";

/// The record of an instance. Times are microseconds since the epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// `i-1A2B3C4D`.
    pub id: String,
    /// What it is part of.
    pub reservation_id: String,
    /// Its place therein, from 0.
    pub launch_index: u32,
    /// Whose.
    pub owner: String,
    /// Where.
    pub cluster: String,
    /// What its owner wishes.
    pub wish: Wish,
    /// What its cluster last said.
    pub observed: Observed,
    /// A stop does not ask the guest.
    pub force: bool,
    /// Counts its operations: grows with each change of the wish, and with each reboot.
    pub epoch: i64,
    /// The request that made the present wish.
    pub request_id: String,
    /// Why it is in its state.
    pub reason: Option<Reason>,
    /// Its node, as its cluster names it.
    pub node: Option<String>,
    /// Its address within the cluster.
    pub private_ip: Option<String>,
    /// Its address from outside.
    pub public_ip: Option<String>,
    /// Boots since it was launched.
    pub boot_count: Option<i32>,
    /// How its last reboot went.
    pub last_reboot: Option<String>,
    /// When it was asked for.
    pub launched: i64,
    /// Since when its state is what it is.
    pub since: i64,
    /// When it was terminated.
    pub ended: Option<i64>,
    /// What its owner set of it.
    pub attributes: Attributes,
    /// The type it was given instead of its reservation's.
    pub resized: Option<Resized>,
    /// Its owner's labels.
    pub tags: Vec<Tag>,
}

impl Instance {
    /// The state EC2 clients see.
    pub fn state(&self) -> InstanceState {
        lifecycle::state(self.wish, self.observed)
    }

    /// Whether it is known to have run.
    pub fn has_booted(&self) -> bool {
        self.boot_count.is_some_and(|boots| boots > 0)
    }

    /// What its cluster must still be told. A guest that is being asked to go off is switched off once that is forced.
    pub fn due(&self) -> Due {
        match lifecycle::due(self.wish, self.observed) {
            Due::Nothing if self.force && (self.wish, self.observed) == BEING_STOPPED => Due::Stop,
            due => due,
        }
    }

    /// Reads a row of [`COLUMNS`].
    fn of(row: &Row<'_>) -> Result<Self, StoreError> {
        let mut cells = Cells::of(row);
        let unknown = |word: &str| StoreError::Corrupt(format!("'{word}' is no word of the lifecycle"));
        Ok(Self {
            id: cells.next()?,
            reservation_id: cells.next()?,
            launch_index: cells.next()?,
            owner: cells.next()?,
            cluster: cells.next()?,
            wish: {
                let word: String = cells.next()?;
                Wish::named(&word).ok_or_else(|| unknown(&word))?
            },
            observed: {
                let word: String = cells.next()?;
                Observed::named(&word).ok_or_else(|| unknown(&word))?
            },
            force: cells.next()?,
            epoch: cells.next()?,
            request_id: cells.next()?,
            reason: {
                let (code, text): (Option<String>, Option<String>) = (cells.next()?, cells.next()?);
                code.zip(text).map(|(code, text)| Reason { code, text })
            },
            node: cells.next()?,
            private_ip: cells.next()?,
            public_ip: cells.next()?,
            boot_count: cells.next()?,
            last_reboot: cells.next()?,
            launched: cells.next()?,
            since: cells.next()?,
            ended: cells.next()?,
            attributes: Attributes::of(&mut cells)?,
            resized: Resized::of(&mut cells)?,
            tags: Vec::new(),
        })
    }
}

impl Store {
    /// The instance of that id, if it is in the scope.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub async fn instance(&self, scope: Scope, id: String) -> Result<Option<Instance>, StoreError> {
        self.read(move |tx| owned(tx, &scope, &id)).await
    }

    /// The instances whose clusters must still be told something, oldest first.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub async fn due(&self) -> Result<Vec<Instance>, StoreError> {
        self.read(|tx| {
            let due = pairs(|wish, observed| {
                lifecycle::due(wish, observed) != Due::Nothing || (wish, observed) == BEING_STOPPED
            });
            let condition = format!("WHERE (wish, observed) IN (VALUES {due}) ORDER BY launched, launch_index");
            let mut found = instances_of(tx, &condition, &[])?;
            found.retain(|instance| instance.due() != Due::Nothing);
            Ok(found)
        })
        .await
    }

    /// The instances that are on their way to somewhere, and have a deadline.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub async fn passing(&self) -> Result<Vec<Instance>, StoreError> {
        self.read(|tx| {
            let passing = |wish, observed| deadlines::deadline(wish, observed, false).is_some();
            instances_of(tx, &format!("WHERE (wish, observed) IN (VALUES {})", pairs(passing)), &[])
        })
        .await
    }

    /// Every instance that is kept, ended ones too.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub async fn kept(&self) -> Result<Vec<Instance>, StoreError> {
        self.read(|tx| instances_of(tx, "ORDER BY launched, launch_index", &[])).await
    }

    /// The instances of a cluster that have not ended.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub async fn living(&self, cluster: String) -> Result<Vec<Instance>, StoreError> {
        self.read(move |tx| instances_of(tx, "WHERE cluster = ?1 AND ended IS NULL", params![cluster])).await
    }
}

/// The pairs of wish and observation of which a rule holds, as SQL values: the rule itself stays in `lifecycle` or
/// `deadlines`.
fn pairs(holds: impl Fn(Wish, Observed) -> bool) -> String {
    let mut pairs = Vec::new();
    for wish in Wish::ALL {
        for observed in Observed::ALL {
            if holds(wish, observed) {
                pairs.push(format!("('{}', '{}')", wish.name(), observed.name()));
            }
        }
    }
    pairs.join(", ")
}

pub(super) fn instances_of(
    tx: &Connection,
    condition: &str,
    params: &[&dyn ToSql],
) -> Result<Vec<Instance>, StoreError> {
    let mut tags = tags_of_each(tx, &format!("SELECT instance_id FROM instances {condition}"), params)?;
    let mut select = tx.prepare_cached(&format!("SELECT {COLUMNS} FROM instances {condition}"))?;
    let mut rows = select.query(params)?;
    let mut instances = Vec::new();
    while let Some(row) = rows.next()? {
        let mut instance = Instance::of(row)?;
        instance.tags = tags.remove(&instance.id).unwrap_or_default();
        instances.push(instance);
    }
    Ok(instances)
}

pub(super) fn by_id(tx: &Connection, id: &str) -> Result<Option<Instance>, StoreError> {
    let mut select = tx.prepare_cached(&format!("SELECT {COLUMNS} FROM instances WHERE instance_id = ?1"))?;
    select.query_row([id], |row| Ok(Instance::of(row))).optional()?.transpose()
}

pub(super) fn owned(tx: &Connection, scope: &Scope, id: &str) -> Result<Option<Instance>, StoreError> {
    Ok(by_id(tx, id)?.filter(|instance| scope.covers(&instance.owner)))
}

/// Every one of these, or which of them are not there.
pub(super) fn all_owned(
    tx: &Connection,
    scope: &Scope,
    ids: Vec<String>,
) -> Result<Result<Vec<Instance>, Refused>, StoreError> {
    let (mut found, mut missing) = (Vec::with_capacity(ids.len()), Vec::new());
    for id in ids {
        match owned(tx, scope, &id)? {
            Some(instance) => found.push(instance),
            None => missing.push(id),
        }
    }
    Ok(if missing.is_empty() { Ok(found) } else { Err(Refused::NotFound(missing)) })
}

pub(super) fn insert_instance(
    tx: &Connection,
    of: &Reservation,
    id: &str,
    launch_index: u32,
    attributes: Attributes,
) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO instances (instance_id, reservation_id, launch_index, owner, cluster, wish, observed, request_id,
             launched, since, disable_api_termination, disable_api_stop, shutdown_behavior, monitored)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9, ?10, ?11, ?12, ?13)",
    )?
    .execute(params![
        id,
        of.id,
        launch_index,
        of.owner,
        of.cluster,
        Wish::Run.name(),
        Observed::Unseen.name(),
        of.request_id,
        of.created,
        attributes.disable_api_termination,
        attributes.disable_api_stop,
        attributes.shutdown_behavior.name(),
        attributes.monitored,
    ])?;
    Ok(())
}

pub(super) fn save(tx: &Connection, instance: &Instance) -> Result<(), StoreError> {
    let reason = instance.reason.as_ref();
    tx.prepare_cached(
        "UPDATE instances SET wish = ?2, observed = ?3, force = ?4, epoch = ?5, request_id = ?6, reason_code = ?7,
             reason_text = ?8, node = ?9, private_ip = ?10, public_ip = ?11, boot_count = ?12, last_reboot = ?13,
             since = ?14, ended = ?15, disable_api_termination = ?16, disable_api_stop = ?17, shutdown_behavior = ?18,
             monitored = ?19, type_name = ?20, memory_mb = ?21, cores = ?22
         WHERE instance_id = ?1",
    )?
    .execute(params![
        instance.id,
        instance.wish.name(),
        instance.observed.name(),
        instance.force,
        instance.epoch,
        instance.request_id,
        reason.map(|reason| &reason.code),
        reason.map(|reason| &reason.text),
        instance.node,
        instance.private_ip,
        instance.public_ip,
        instance.boot_count,
        instance.last_reboot,
        instance.since,
        instance.ended,
        instance.attributes.disable_api_termination,
        instance.attributes.disable_api_stop,
        instance.attributes.shutdown_behavior.name(),
        instance.attributes.monitored,
        instance.resized.as_ref().map(|resized| &resized.type_name),
        instance.resized.as_ref().map(|resized| resized.memory_mb),
        instance.resized.as_ref().map(|resized| resized.cores),
    ])?;
    Ok(())
}
