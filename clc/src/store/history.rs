//! What was done with each instance: by whom, in which request, when, and what came of it. A row is
//! written in the transaction of what it tells of. One whose end is still to be seen stays open,
//! and is closed by the report that shows it, or by whatever comes in between.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::instances::Instance;
use super::{Scope, Store, StoreError};
use crate::ec2::instances::InstanceState;
use crate::lifecycle::{AfterOff, Observed, Wish};

/// Rows kept and shown of one instance: the oldest go first.
const MOST: i64 = 1000;
/// What an instance does that went off and is started again.
const RESTARTED: &str = "InstanceRestarted";
/// After how many rows it is looked whether the instance of the last one has too many.
const FORGOTTEN_EVERY: i64 = 100;
/// A reboot of which no new boot was seen for so long, in microseconds, is not waited for: nodes
/// have reset a guest that does not obey by then.
const REBOOT_WAIT: i64 = 5 * 60 * 1_000_000;

/// A request that does something with instances, for their history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deed {
    /// The request.
    pub request_id: String,
    /// Who asked, `account/user`.
    pub by: String,
    /// `RebootInstances`.
    pub action: &'static str,
    /// When, microseconds since the epoch.
    pub at: i64,
}

/// One row of an instance's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Which instance.
    pub instance_id: String,
    /// The action, or what happened by itself: `InstanceInitiatedShutdown`, `InstanceFailed`,
    /// `InstanceRestarted`, `InstanceLost`, `InstanceFound`.
    pub action: String,
    /// What about it: `force`, `disableApiStop = true`.
    pub detail: Option<String>,
    /// `account/user`, or what did it without being asked: `instance`, `node n1`.
    pub by: String,
    /// The request, if somebody asked.
    pub request_id: Option<String>,
    /// When, microseconds since the epoch.
    pub began: i64,
    /// When its end was seen; absent while it is under way.
    pub ended: Option<i64>,
    /// What came of it, in words.
    pub result: Option<String>,
}

/// What a report showed to be the end of a request's doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Learnt {
    /// Which instance.
    pub instance_id: String,
    /// The request.
    pub request_id: String,
    /// The action.
    pub action: String,
    /// What came of it, in words.
    pub result: String,
}

/// What ends an open row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// It runs.
    Run,
    /// It is off.
    Stop,
    /// It is gone.
    Terminate,
    /// It has booted more often than it had.
    Reboot,
    /// The request's own answer.
    Answer,
}

impl Goal {
    const ALL: [Goal; 5] = [Goal::Run, Goal::Stop, Goal::Terminate, Goal::Reboot, Goal::Answer];

    fn name(self) -> &'static str {
        match self {
            Goal::Run => "run",
            Goal::Stop => "stop",
            Goal::Terminate => "terminate",
            Goal::Reboot => "reboot",
            Goal::Answer => "answer",
        }
    }

    pub(super) fn of(wish: Wish) -> Self {
        match wish {
            Wish::Run => Goal::Run,
            Wish::Stop => Goal::Stop,
            Wish::Terminate => Goal::Terminate,
        }
    }
}

/// A row that is open.
struct Open {
    number: i64,
    action: String,
    request_id: Option<String>,
    goal: Goal,
    began: i64,
    /// How often the instance had booted then.
    boots: Option<i32>,
}

/// Writes a row whose end is still to be seen.
pub(super) fn begin(
    tx: &Connection,
    instance: &Instance,
    deed: &Deed,
    goal: Goal,
    detail: Option<&str>,
) -> Result<(), StoreError> {
    let entry = entry(instance, deed, detail);
    insert(tx, instance, &entry, Some(goal))
}

/// Writes a row of what was done at once.
pub(super) fn done(
    tx: &Connection,
    instance: &Instance,
    deed: &Deed,
    detail: Option<&str>,
    result: &str,
) -> Result<(), StoreError> {
    let entry = Entry { ended: Some(deed.at), result: Some(result.to_string()), ..entry(instance, deed, detail) };
    insert(tx, instance, &entry, None)
}

fn entry(instance: &Instance, deed: &Deed, detail: Option<&str>) -> Entry {
    Entry {
        instance_id: instance.id.clone(),
        action: deed.action.to_string(),
        detail: detail.map(str::to_string),
        by: deed.by.clone(),
        request_id: Some(deed.request_id.clone()),
        began: deed.at,
        ended: None,
        result: None,
    }
}

/// Writes a row of what nobody asked for.
fn happened(
    tx: &Connection,
    instance: &Instance,
    (action, by): (&str, String),
    result: &str,
    now: i64,
) -> Result<(), StoreError> {
    let entry = Entry {
        instance_id: instance.id.clone(),
        action: action.to_string(),
        detail: None,
        by,
        request_id: None,
        began: now,
        ended: Some(now),
        result: Some(result.to_string()),
    };
    insert(tx, instance, &entry, None)
}

fn insert(tx: &Connection, of: &Instance, entry: &Entry, goal: Option<Goal>) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO history (instance_id, owner, action, detail, actor, request_id, goal, boots, began, ended, result)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?
    .execute(params![
        entry.instance_id,
        of.owner,
        entry.action,
        entry.detail,
        entry.by,
        entry.request_id,
        goal.map(Goal::name),
        of.boot_count,
        entry.began,
        entry.ended,
        entry.result,
    ])?;
    // Not with every row: it takes longer than to write one.
    if tx.last_insert_rowid() % FORGOTTEN_EVERY == 0 {
        tx.prepare_cached(
            "DELETE FROM history WHERE instance_id = ?1 AND number <=
                 (SELECT number FROM history WHERE instance_id = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)",
        )?
        .execute(params![entry.instance_id, MOST])?;
    }
    Ok(())
}

/// Closes every open row of an instance with the same words; says how many.
pub(super) fn close_all(tx: &Connection, instance_id: &str, result: &str, now: i64) -> Result<usize, StoreError> {
    let sql = "UPDATE history SET ended = ?2, result = ?3 WHERE instance_id = ?1 AND ended IS NULL";
    Ok(tx.prepare_cached(sql)?.execute(params![instance_id, now, result])?)
}

/// What a change of an instance, which no request made, means for its history: open rows are closed
/// that it ends, and what came by itself gets a row. `told` is the node's reason. Gives the rows of
/// requests that were closed.
pub(super) fn follow(
    tx: &Connection,
    before: &Instance,
    after: &Instance,
    told: Option<&str>,
    now: i64,
) -> Result<Vec<Learnt>, StoreError> {
    let (was_over, is_over) = (is_over(before), is_over(after));
    let mut learnt = Vec::new();
    for open in open_rows(tx, &after.id)? {
        let Some(result) = end(&open, after, told, now) else { continue };
        tx.prepare_cached("UPDATE history SET ended = ?2, result = ?3 WHERE number = ?1")?.execute(params![
            open.number,
            now,
            result
        ])?;
        let Open { action, request_id, .. } = open;
        let instance_id = after.id.clone();
        learnt.extend(request_id.map(|request_id| Learnt { instance_id, request_id, action, result }));
    }
    match (was_over, is_over) {
        (false, true) if learnt.is_empty() => {
            let result = after.reason.as_ref().map_or("it is gone", |reason| &reason.text);
            happened(tx, after, ("InstanceLost", place(after)), result, now)?;
        }
        (true, false) => happened(tx, after, ("InstanceFound", place(after)), "it is there again", now)?,
        (false, _) | (true, true) => {}
    }
    Ok(learnt)
}

fn place(of: &Instance) -> String {
    of.node.as_ref().map_or_else(|| format!("cluster {}", of.cluster), |node| format!("node {node}"))
}

/// What is written of an instance that went off although it was wished to run; `told` is the node's reason. That it is
/// started again is a row with an end of its own.
pub(super) fn note_off(
    tx: &Connection,
    instance: &Instance,
    after_off: AfterOff,
    (by_guest, told): (bool, Option<&str>),
    now: i64,
) -> Result<(), StoreError> {
    let told = told.unwrap_or(if by_guest { "the guest shut itself down" } else { "it went off" });
    close_all(tx, &instance.id, &format!("overtaken: {told}"), now)?;
    match after_off {
        AfterOff::Stop | AfterOff::Terminate if by_guest => {
            happened(tx, instance, ("InstanceInitiatedShutdown", "instance".to_string()), told, now)
        }
        AfterOff::Stop | AfterOff::Terminate => {
            happened(tx, instance, ("InstanceFailed", place(instance)), &format!("{told}; it stays off"), now)
        }
        AfterOff::Restart => {
            let entry = Entry {
                instance_id: instance.id.clone(),
                action: RESTARTED.to_string(),
                detail: Some(told.to_string()),
                by: place(instance),
                request_id: None,
                began: now,
                ended: None,
                result: None,
            };
            insert(tx, instance, &entry, Some(Goal::Run))
        }
    }
}

/// How often an instance that went off was started again since that moment.
pub(super) fn restarts_since(tx: &Connection, instance_id: &str, moment: i64) -> Result<u32, StoreError> {
    let sql = "SELECT count(*) FROM history WHERE instance_id = ?1 AND action = ?2 AND began > ?3";
    Ok(tx.prepare_cached(sql)?.query_row(params![instance_id, RESTARTED, moment], |row| row.get(0))?)
}

fn is_over(instance: &Instance) -> bool {
    instance.state() == InstanceState::Terminated
}

/// How an open row ends by what its instance now is; `None` while it does not.
fn end(open: &Open, instance: &Instance, told: Option<&str>, now: i64) -> Option<String> {
    let running = instance.observed == Observed::Running;
    let over = is_over(instance);
    match open.goal {
        Goal::Answer => None,
        Goal::Terminate => over.then(|| "terminated".to_string()),
        Goal::Run | Goal::Stop | Goal::Reboot if over => {
            let why = instance.reason.as_ref().map_or("the instance is gone", |reason| &reason.text);
            Some(format!("failed: {why}"))
        }
        Goal::Run if running => {
            Some(instance.node.as_ref().map_or("running".to_string(), |node| format!("running on {node}")))
        }
        Goal::Stop if instance.observed == Observed::Stopped => Some(told.unwrap_or("stopped").to_string()),
        Goal::Reboot if running && instance.boot_count != open.boots => {
            Some(instance.last_reboot.clone().unwrap_or_else(|| "it has booted anew".to_string()))
        }
        Goal::Reboot if now - open.began >= REBOOT_WAIT => {
            let seconds = REBOOT_WAIT / 1_000_000;
            let last = instance.last_reboot.as_ref().map(|last| format!("; its node's last word on reboots: {last}"));
            Some(format!("no new boot was seen within {seconds} s{}", last.unwrap_or_default()))
        }
        Goal::Run | Goal::Stop | Goal::Reboot => None,
    }
}

fn open_rows(tx: &Connection, instance_id: &str) -> Result<Vec<Open>, StoreError> {
    let sql =
        "SELECT number, goal, began, boots, action, request_id FROM history WHERE instance_id = ?1 AND ended IS NULL";
    let mut select = tx.prepare_cached(sql)?;
    let mut rows = select.query([instance_id])?;
    let mut open = Vec::new();
    while let Some(row) = rows.next()? {
        let word: String = row.get(1)?;
        let goal = Goal::ALL.into_iter().find(|goal| goal.name() == word);
        let goal = goal.ok_or_else(|| StoreError::Corrupt(format!("'{word}' is no goal of an action")))?;
        let (number, began, boots) = (row.get(0)?, row.get(2)?, row.get(3)?);
        open.push(Open { number, goal, began, boots, action: row.get(4)?, request_id: row.get(5)? });
    }
    Ok(open)
}

/// Whether something is still to be seen of an instance.
pub(super) fn is_open(tx: &Connection, instance_id: &str) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM history WHERE instance_id = ?1 AND ended IS NULL";
    Ok(tx.prepare_cached(sql)?.exists([instance_id])?)
}

impl Store {
    /// The history of an instance, oldest first; `None` if there is none of that id in the scope.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub async fn history(&self, scope: Scope, instance_id: String) -> Result<Option<Vec<Entry>>, StoreError> {
        self.read(move |tx| {
            let sql = "SELECT owner FROM history WHERE instance_id = ?1
                       UNION SELECT owner FROM instances WHERE instance_id = ?1";
            let owner: Option<String> =
                tx.prepare_cached(sql)?.query_row([&instance_id], |row| row.get(0)).optional()?;
            if !owner.is_some_and(|owner| scope.covers(&owner)) {
                return Ok(None);
            }
            let sql = "SELECT * FROM (SELECT * FROM history WHERE instance_id = ?1 ORDER BY number DESC LIMIT ?2)
                       ORDER BY number";
            let mut select = tx.prepare_cached(sql)?;
            let entries = select.query_map(params![instance_id, MOST], Entry::of)?.collect::<rusqlite::Result<_>>()?;
            Ok(Some(entries))
        })
        .await
    }

    /// How a request ended for these instances, where it is not a report that tells.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub async fn request_ended(
        &self,
        request_id: String,
        instance_ids: Vec<String>,
        result: String,
        now: i64,
    ) -> Result<(), StoreError> {
        self.write(move |tx| {
            let mut update = tx.prepare_cached(
                "UPDATE history SET ended = ?3, result = ?4
                 WHERE instance_id = ?1 AND request_id = ?2 AND ended IS NULL",
            )?;
            for id in instance_ids {
                update.execute(params![id, request_id, now, result])?;
            }
            Ok(())
        })
        .await
    }

    /// Closes what only an answer would have closed that no running request gives any more: at start.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub async fn requests_interrupted(&self, now: i64) -> Result<(), StoreError> {
        self.write(move |tx| {
            let sql =
                "UPDATE history SET ended = ?1, result = 'unknown: the cloud controller was started again meanwhile'
                       WHERE ended IS NULL AND goal = ?2";
            tx.prepare_cached(sql)?.execute(params![now, Goal::Answer.name()])?;
            Ok(())
        })
        .await
    }

    /// Forgets the history of instances that are forgotten themselves and of which nothing is told
    /// since `last_before`.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub async fn forget_history(&self, last_before: i64) -> Result<(), StoreError> {
        self.write(move |tx| {
            let sql = "DELETE FROM history WHERE began < ?1
                 AND NOT EXISTS (SELECT 1 FROM instances i WHERE i.instance_id = history.instance_id)
                 AND NOT EXISTS
                     (SELECT 1 FROM history later WHERE later.instance_id = history.instance_id AND later.began >= ?1)";
            tx.prepare_cached(sql)?.execute([last_before])?;
            Ok(())
        })
        .await
    }
}

impl Entry {
    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            instance_id: row.get("instance_id")?,
            action: row.get("action")?,
            detail: row.get("detail")?,
            by: row.get("actor")?,
            request_id: row.get("request_id")?,
            began: row.get("began")?,
            ended: row.get("ended")?,
            result: row.get("result")?,
        })
    }
}
