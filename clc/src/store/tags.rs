//! Labels on things of any kind. Whose a label is, is whose the thing is.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, ToSql, params};

use super::{Scope, Store, StoreError};
use crate::ec2::Tag;
use crate::ec2::tags::{Doomed, MAX_TAGS, Resource, ResourceType, TaggedResource};

/// Everything that can have labels: its id, its kind (EC2's name), whose it is, whether others see
/// it, and when it ended, if it did.
const RESOURCES: &str = "
    SELECT instance_id AS resource_id, 'instance' AS kind, owner, 0 AS public, ended FROM instances
    UNION ALL SELECT image_id, 'image', owner, public, NULL FROM images
    UNION ALL SELECT key_pair_id, 'key-pair', owner, 0, NULL FROM key_pairs
    UNION ALL SELECT group_id, 'security-group', owner, 0, NULL FROM security_groups
    UNION ALL SELECT rule_id, 'security-group-rule', owner, 0, NULL
        FROM security_group_rules JOIN security_groups USING (group_id)
    UNION ALL SELECT allocation_id, 'elastic-ip', owner, 0, NULL FROM addresses
    UNION ALL SELECT group_id, 'placement-group', owner, 0, NULL FROM placement_groups";

/// Why no label was hung on, or taken from, anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Untaggable {
    /// There is no such thing, as far as the caller may know.
    NotFound(Resource),
    /// It is there for everybody to see, and another's.
    Foreign(Resource),
    /// It would have more labels than a thing can have.
    TooMany(Resource),
}

impl Store {
    /// Hangs labels on things in the scope, in place of those of the same key: on all, or on none.
    /// What ended before `ended_since` is not there any more.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub async fn create_tags(
        &self,
        scope: Scope,
        ended_since: i64,
        resources: Vec<Resource>,
        tags: Vec<Tag>,
    ) -> Result<Result<(), Untaggable>, StoreError> {
        self.write(move |tx| {
            for resource in &resources {
                if let Err(reason) = owned(tx, &scope, ended_since, resource)? {
                    return Ok(Err(reason));
                }
                let replaced = |there: &Tag| tags.iter().any(|tag| tag.key == there.key);
                let kept = tags_of(tx, &resource.id)?.iter().filter(|there| !replaced(there)).count();
                if kept + tags.len() > MAX_TAGS {
                    return Ok(Err(Untaggable::TooMany(resource.clone())));
                }
            }
            for resource in &resources {
                add_tags(tx, &resource.id, &tags)?;
            }
            Ok(Ok(()))
        })
        .await
    }

    /// Takes labels from things in the scope: from all, or from none. Without `doomed`, every label.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub async fn delete_tags(
        &self,
        scope: Scope,
        ended_since: i64,
        resources: Vec<Resource>,
        doomed: Vec<Doomed>,
    ) -> Result<Result<(), Untaggable>, StoreError> {
        self.write(move |tx| {
            for resource in &resources {
                if let Err(reason) = owned(tx, &scope, ended_since, resource)? {
                    return Ok(Err(reason));
                }
            }
            let mut delete = tx.prepare_cached(
                "DELETE FROM tags WHERE resource_id = ?1 AND key = ?2 AND (?3 IS NULL OR value = ?3)",
            )?;
            for resource in &resources {
                if doomed.is_empty() {
                    forget_tags(tx, &resource.id)?;
                }
                for tag in &doomed {
                    delete.execute(params![resource.id, tag.key, tag.value])?;
                }
            }
            Ok(Ok(()))
        })
        .await
    }

    /// The labels of everything an owner has, by thing and key.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub async fn tags(&self, owner: String, ended_since: i64) -> Result<Vec<TaggedResource>, StoreError> {
        self.read(move |tx| {
            let mut select = tx.prepare_cached(&format!(
                "SELECT resource_id, kind, key, value FROM ({RESOURCES}) JOIN tags USING (resource_id)
                 WHERE owner = ?1 AND (ended IS NULL OR ended >= ?2) ORDER BY resource_id, key"
            ))?;
            let mut rows = select.query(params![owner, ended_since])?;
            let mut tags = Vec::new();
            while let Some(row) = rows.next()? {
                let resource = Resource { kind: kind_named(&row.get::<_, String>(1)?)?, id: row.get(0)? };
                tags.push(TaggedResource { resource, tag: [Tag { key: row.get(2)?, value: row.get(3)? }] });
            }
            Ok(tags)
        })
        .await
    }
}

/// Says whether a thing is there and in the scope.
fn owned(
    tx: &Connection,
    scope: &Scope,
    ended_since: i64,
    resource: &Resource,
) -> Result<Result<(), Untaggable>, StoreError> {
    let mut select = tx.prepare_cached(&format!(
        "SELECT owner, public FROM ({RESOURCES})
         WHERE resource_id = ?1 AND kind = ?2 AND (ended IS NULL OR ended >= ?3)"
    ))?;
    let found: Option<(String, bool)> = select
        .query_row(params![resource.id, resource.kind.name(), ended_since], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(match found {
        Some((owner, _)) if scope.covers(&owner) => Ok(()),
        Some((_, true)) => Err(Untaggable::Foreign(resource.clone())),
        Some((_, false)) | None => Err(Untaggable::NotFound(resource.clone())),
    })
}

fn kind_named(name: &str) -> Result<ResourceType, StoreError> {
    let found = ResourceType::ALL.into_iter().find(|kind| kind.name() == name);
    found.ok_or_else(|| StoreError::Corrupt(format!("'{name}' is no kind of thing")))
}

/// Hangs labels on a thing.
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

/// The labels of all things whose ids a query selects.
pub(super) fn tags_of_each(
    tx: &Connection,
    ids: &str,
    params: &[&dyn ToSql],
) -> rusqlite::Result<HashMap<String, Vec<Tag>>> {
    let text = format!("SELECT resource_id, key, value FROM tags WHERE resource_id IN ({ids}) ORDER BY key");
    let mut select = tx.prepare_cached(&text)?;
    let mut rows = select.query(params)?;
    let mut tags: HashMap<String, Vec<Tag>> = HashMap::new();
    while let Some(row) = rows.next()? {
        tags.entry(row.get(0)?).or_default().push(Tag { key: row.get(1)?, value: row.get(2)? });
    }
    Ok(tags)
}

/// Takes every label from a thing, because it goes or because that was asked for.
pub(super) fn forget_tags(tx: &Connection, resource_id: &str) -> rusqlite::Result<()> {
    tx.prepare_cached("DELETE FROM tags WHERE resource_id = ?1")?.execute([resource_id]).map(drop)
}
