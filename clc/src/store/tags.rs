//! Labels on things of any kind.

use rusqlite::{Connection, params};

use super::StoreError;
use crate::ec2::Tag;

/// Hangs labels on a new thing.
pub(super) fn add_tags(tx: &Connection, resource_id: &str, tags: &[Tag]) -> Result<(), StoreError> {
    let mut insert = tx.prepare_cached(
        "INSERT INTO tags (resource_id, key, value) VALUES (?1, ?2, ?3)
         ON CONFLICT (resource_id, key) DO UPDATE SET value = excluded.value",
    )?;
    for tag in tags {
        insert.execute(params![resource_id, tag.key, tag.value])?;
    }
    Ok(())
}

/// The labels of a thing, by key.
pub(super) fn tags_of(tx: &Connection, resource_id: &str) -> rusqlite::Result<Vec<Tag>> {
    let mut select = tx.prepare_cached("SELECT key, value FROM tags WHERE resource_id = ?1 ORDER BY key")?;
    select.query_map([resource_id], |row| Ok(Tag { key: row.get(0)?, value: row.get(1)? }))?.collect()
}
