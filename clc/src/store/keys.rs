//! Key pairs: the public half of what users log in with. The private half is never kept.

use rusqlite::{Row, params};

use super::tags::{add_tags, forget_tags, tags_of};
use super::{Store, StoreError, is_duplicate};
use crate::ec2::Tag;
use crate::ec2::keys::KeyType;

/// A key pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPair {
    /// Whose.
    pub owner: String,
    /// Its name, one of its owner's.
    pub name: String,
    /// `key-1A2B3C4D`.
    pub id: String,
    /// What kind of key.
    pub key_type: KeyType,
    /// As EC2 computes it: SHA-1 of a key made here, MD5 of an imported one.
    pub fingerprint: String,
    /// The OpenSSH line.
    pub public_key: String,
    /// When it was made, microseconds since the epoch.
    pub created: i64,
    /// Its owner's labels.
    pub tags: Vec<Tag>,
}

impl KeyPair {
    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        let key_type: String = row.get("key_type")?;
        Ok(Self {
            owner: row.get("owner")?,
            name: row.get("key_name")?,
            id: row.get("key_pair_id")?,
            // The program writes these two words only.
            key_type: key_type_named(&key_type).ok_or(rusqlite::Error::InvalidQuery)?,
            fingerprint: row.get("fingerprint")?,
            public_key: row.get("public_key")?,
            created: row.get("created")?,
            tags: Vec::new(),
        })
    }
}

fn key_type_named(name: &str) -> Option<KeyType> {
    [KeyType::Rsa, KeyType::Ed25519].into_iter().find(|kind| kind.name() == name)
}

impl Store {
    /// Keeps a key pair. False if its owner has one of that name.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub async fn add_key_pair(&self, key: KeyPair) -> Result<bool, StoreError> {
        self.write(move |tx| {
            let sql = "INSERT INTO key_pairs (owner, key_name, key_pair_id, key_type, fingerprint, public_key, created)
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
            let values =
                params![key.owner, key.name, key.id, key.key_type.name(), key.fingerprint, key.public_key, key.created];
            match tx.prepare_cached(sql)?.execute(values) {
                Ok(_) => {
                    add_tags(tx, &key.id, &key.tags)?;
                    Ok(true)
                }
                Err(error) if is_duplicate(&error) => Ok(false),
                Err(error) => Err(error.into()),
            }
        })
        .await
    }

    /// An account's key pairs, by name.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub async fn key_pairs(&self, owner: String) -> Result<Vec<KeyPair>, StoreError> {
        self.read(move |tx| {
            let mut select = tx.prepare_cached("SELECT * FROM key_pairs WHERE owner = ?1 ORDER BY key_name")?;
            let mut keys: Vec<KeyPair> = select.query_map([owner], KeyPair::of)?.collect::<Result<_, _>>()?;
            for key in &mut keys {
                key.tags = tags_of(tx, &key.id)?;
            }
            Ok(keys)
        })
        .await
    }

    /// Deletes a key pair by its name or its id, and gives its id. Running instances keep it.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub async fn delete_key_pair(&self, owner: String, name_or_id: String) -> Result<Option<String>, StoreError> {
        self.write(move |tx| {
            let sql =
                "DELETE FROM key_pairs WHERE owner = ?1 AND (key_name = ?2 OR key_pair_id = ?2) RETURNING key_pair_id";
            let mut delete = tx.prepare_cached(sql)?;
            let ids: Vec<String> =
                delete.query_map([owner, name_or_id], |row| row.get(0))?.collect::<Result<_, _>>()?;
            for id in &ids {
                forget_tags(tx, id)?;
            }
            Ok(ids.into_iter().next())
        })
        .await
    }
}
