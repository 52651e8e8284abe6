//! Placement groups, and which reservations are in them.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::tags::{add_tags, forget_tags, tags_of};
use super::{Store, StoreError, is_duplicate};
use crate::ec2::Tag;
use crate::ec2::placement_groups::Strategy;

/// A placement group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacementGroup {
    /// `pg-...`, one in the whole cloud.
    pub id: String,
    /// Whose.
    pub owner: String,
    /// Its name, one of its owner's.
    pub name: String,
    /// What it wants of its instances.
    pub strategy: Strategy,
    /// When it was made, microseconds since the epoch.
    pub created: i64,
    /// Its owner's labels.
    pub tags: Vec<Tag>,
}

/// Why a group was not deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undeletable {
    /// There is none of that name.
    Unknown,
    /// It has instances that have not ended.
    InUse,
}

impl PlacementGroup {
    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        let strategy: String = row.get("strategy")?;
        Ok(Self {
            id: row.get("group_id")?,
            owner: row.get("owner")?,
            name: row.get("name")?,
            // The program writes these two words only.
            strategy: Strategy::named(&strategy).ok_or(rusqlite::Error::InvalidQuery)?,
            created: row.get("created")?,
            tags: Vec::new(),
        })
    }
}

impl Store {
    /// Keeps a group. False if its owner has one of that name.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub async fn add_placement_group(&self, group: PlacementGroup) -> Result<bool, StoreError> {
        self.write(move |tx| {
            let sql =
                "INSERT INTO placement_groups (group_id, owner, name, strategy, created) VALUES (?1, ?2, ?3, ?4, ?5)";
            let values = params![group.id, group.owner, group.name, group.strategy.name(), group.created];
            match tx.prepare_cached(sql)?.execute(values) {
                Ok(_) => {
                    add_tags(tx, &group.id, &group.tags)?;
                    Ok(true)
                }
                Err(error) if is_duplicate(&error) => Ok(false),
                Err(error) => Err(error.into()),
            }
        })
        .await
    }

    /// An account's groups, by name.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be read.
    pub async fn placement_groups(&self, owner: String) -> Result<Vec<PlacementGroup>, StoreError> {
        self.read(move |tx| {
            let mut select = tx.prepare_cached("SELECT * FROM placement_groups WHERE owner = ?1 ORDER BY name")?;
            let mut groups: Vec<PlacementGroup> =
                select.query_map([owner], PlacementGroup::of)?.collect::<Result<_, _>>()?;
            for group in &mut groups {
                group.tags = tags_of(tx, &group.id)?;
            }
            Ok(groups)
        })
        .await
    }

    /// The zone of the instances of a group that have not ended, if it has any.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub async fn placement_group_zone(&self, id: String) -> Result<Option<String>, StoreError> {
        self.read(move |tx| {
            let sql = "SELECT instances.cluster FROM instances JOIN reservations USING (reservation_id)
                       WHERE placement_group = ?1 AND ended IS NULL ORDER BY launched LIMIT 1";
            Ok(tx.prepare_cached(sql)?.query_row([id], |row| row.get(0)).optional()?)
        })
        .await
    }

    /// Deletes a group that no instance is in any more.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub async fn delete_placement_group(
        &self,
        owner: String,
        name: String,
    ) -> Result<Result<(), Undeletable>, StoreError> {
        self.write(move |tx| {
            let sql = "SELECT group_id FROM placement_groups WHERE owner = ?1 AND name = ?2";
            let id: Option<String> = tx.prepare_cached(sql)?.query_row([owner, name], |row| row.get(0)).optional()?;
            let Some(id) = id else { return Ok(Err(Undeletable::Unknown)) };
            let sql = "SELECT 1 FROM instances JOIN reservations USING (reservation_id)
                       WHERE placement_group = ?1 AND ended IS NULL";
            if tx.prepare_cached(sql)?.exists([&id])? {
                return Ok(Err(Undeletable::InUse));
            }
            forget_tags(tx, &id)?;
            tx.prepare_cached("DELETE FROM placement_groups WHERE group_id = ?1")?.execute([id])?;
            Ok(Ok(()))
        })
        .await
    }
}

/// The group of that id; `None` if it was deleted since.
pub(super) fn placement_group(tx: &Connection, id: &str) -> Result<Option<PlacementGroup>, StoreError> {
    let mut select = tx.prepare_cached("SELECT * FROM placement_groups WHERE group_id = ?1")?;
    Ok(select.query_row([id], PlacementGroup::of).optional()?)
}
