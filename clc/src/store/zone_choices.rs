//! Which zone each RunInstances was sent to, and what kept it from the others: for `euca schedule explain`,
//! and so that a launch that its zone declined goes to no zone twice.

use rusqlite::{Connection, params};

use super::instances::by_id;
use super::{Store, StoreError};
use crate::lifecycle::{Due, Observed};

/// One choice: a request has another when its zone declined it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneChoice {
    /// The request.
    pub request_id: String,
    /// The id of the account that asked.
    pub owner: String,
    /// Counts the choices of a request, from 1.
    pub attempt: u32,
    /// True if the client named the zone: no other will do.
    pub named: bool,
    /// When, microseconds since the epoch.
    pub at: i64,
    /// What the cluster of the chosen zone said when it declined.
    pub declined: Option<String>,
    /// One for each zone that was looked at.
    pub verdicts: Vec<ZoneVerdict>,
}

/// What a choice says of one zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneVerdict {
    /// The zone.
    pub zone: String,
    /// True of the one the request was sent to.
    pub chosen: bool,
    /// Why, to follow the zone's name.
    pub sentence: String,
}

/// A launch on its way from the zone that declined it to another.
#[derive(Clone, Debug)]
pub struct Move {
    /// The instances, each with the epoch of the wish that was declined.
    pub instances: Vec<(String, i64)>,
    /// Their reservation.
    pub reservation_id: String,
    /// The zone that declined it.
    pub from: String,
    /// The zone that is tried next.
    pub to: String,
    /// How that was chosen.
    pub choice: ZoneChoice,
}

impl ZoneChoice {
    /// The zone that the request was sent to.
    pub fn zone(&self) -> Option<&str> {
        self.verdicts.iter().find(|verdict| verdict.chosen).map(|verdict| verdict.zone.as_str())
    }
}

impl Store {
    /// Keeps a choice that led to no launch.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub async fn keep_zone_choice(&self, choice: ZoneChoice) -> Result<(), StoreError> {
        self.write(move |tx| insert_choice(tx, &choice)).await
    }

    /// The choices of a request, the first one first.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be read.
    pub async fn zone_choices(&self, request_id: String) -> Result<Vec<ZoneChoice>, StoreError> {
        self.read(move |tx| {
            let mut verdicts = tx.prepare_cached(
                "SELECT zone, chosen, sentence FROM zone_verdicts WHERE request_id = ?1 AND attempt = ?2 ORDER BY zone",
            )?;
            let mut choices = tx.prepare_cached(
                "SELECT attempt, owner, named, at, declined FROM zone_choices WHERE request_id = ?1 ORDER BY attempt",
            )?;
            let choice = |row: &rusqlite::Row<'_>| {
                let attempt = row.get(0)?;
                let verdict = |row: &rusqlite::Row<'_>| {
                    Ok(ZoneVerdict { zone: row.get(0)?, chosen: row.get(1)?, sentence: row.get(2)? })
                };
                Ok(ZoneChoice {
                    request_id: request_id.clone(),
                    attempt,
                    owner: row.get(1)?,
                    named: row.get(2)?,
                    at: row.get(3)?,
                    declined: row.get(4)?,
                    verdicts: verdicts.query_map(params![request_id, attempt], verdict)?.collect::<Result<_, _>>()?,
                })
            };
            Ok(choices.query_map([&request_id], choice)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// What the cluster said that declined the latest choice of a request.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub async fn zone_declined(&self, request_id: String, said: String) -> Result<(), StoreError> {
        self.write(move |tx| declined(tx, &request_id, &said)).await
    }

    /// Sends a declined launch to another zone. Compare-and-set: false, and nothing changed, unless every
    /// one of its instances is still wished as it was, and no cluster has spoken of it.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub async fn move_launch(&self, to: Move, said: String) -> Result<bool, StoreError> {
        self.write(move |tx| {
            for (id, epoch) in &to.instances {
                let unchanged = by_id(tx, id)?.is_some_and(|instance| {
                    instance.epoch == *epoch
                        && instance.cluster == to.from
                        && instance.observed == Observed::Unseen
                        && instance.due() == Due::Launch
                });
                if !unchanged {
                    return Ok(false);
                }
            }
            if !tx.prepare_cached("SELECT 1 FROM clusters WHERE name = ?1")?.exists([&to.to])? {
                return Ok(false);
            }
            for (id, _) in &to.instances {
                tx.prepare_cached("UPDATE instances SET cluster = ?2, epoch = epoch + 1 WHERE instance_id = ?1")?
                    .execute([id, &to.to])?;
            }
            tx.prepare_cached("UPDATE reservations SET cluster = ?2 WHERE reservation_id = ?1")?
                .execute([&to.reservation_id, &to.to])?;
            declined(tx, &to.choice.request_id, &said)?;
            insert_choice(tx, &to.choice)?;
            Ok(true)
        })
        .await
    }

    /// Forgets the choices made before `made_before`.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub async fn forget_zone_choices(&self, made_before: i64) -> Result<(), StoreError> {
        self.write(move |tx| {
            tx.prepare_cached("DELETE FROM zone_choices WHERE at < ?1")?.execute([made_before])?;
            Ok(())
        })
        .await
    }
}

pub(super) fn insert_choice(tx: &Connection, choice: &ZoneChoice) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT OR REPLACE INTO zone_choices (request_id, attempt, owner, named, at, declined) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![choice.request_id, choice.attempt, choice.owner, choice.named, choice.at, choice.declined])?;
    for verdict in &choice.verdicts {
        tx.prepare_cached(
            "INSERT INTO zone_verdicts (request_id, attempt, zone, chosen, sentence) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            choice.request_id,
            choice.attempt,
            verdict.zone,
            verdict.chosen,
            verdict.sentence
        ])?;
    }
    Ok(())
}

fn declined(tx: &Connection, request_id: &str, said: &str) -> Result<(), StoreError> {
    tx.prepare_cached(
        "UPDATE zone_choices SET declined = ?2 WHERE request_id = ?1
             AND attempt = (SELECT max(attempt) FROM zone_choices WHERE request_id = ?1)",
    )?
    .execute([request_id, said])?;
    Ok(())
}
