//! What users sign with: access keys (HMAC) and certificates (WS-Security). Only active ones count.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::users::{MEMBER, Member};
use super::vault::Vault;
use super::{Store, StoreError};

/// An access key. Not `Debug`: it bears a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKey {
    /// Its id, `AKI...`.
    pub id: String,
    /// The id of its user.
    pub user: String,
    /// The secret, which is sealed in the records.
    pub secret: String,
    /// False: it is kept, but signs nothing.
    pub active: bool,
    /// When it was made, microseconds since the epoch.
    pub created: i64,
}

/// A certificate that a user signs with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// SHA-256 of its DER, lower-case hex.
    pub fingerprint: String,
    /// The id of its user.
    pub user: String,
    /// The certificate.
    pub pem: String,
    /// False: it is kept, but signs nothing.
    pub active: bool,
    /// When it was made, microseconds since the epoch.
    pub created: i64,
}

impl AccessKey {
    fn of(row: &Row<'_>, vault: &Vault) -> Result<Self, StoreError> {
        let (id, sealed): (String, Vec<u8>) = (row.get("access_key_id")?, row.get("sealed")?);
        Ok(Self {
            secret: vault.unseal(&id, &sealed)?,
            id,
            user: row.get("user_id")?,
            active: row.get("active")?,
            created: row.get("created")?,
        })
    }
}

impl Certificate {
    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            fingerprint: row.get("fingerprint")?,
            user: row.get("user_id")?,
            pem: row.get("pem")?,
            active: row.get("active")?,
            created: row.get("created")?,
        })
    }
}

impl Store {
    /// Keeps a new access key. False if its user does not exist.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub async fn add_access_key(&self, key: AccessKey) -> Result<bool, StoreError> {
        let sealed = self.vault.seal(&key.id, &key.secret)?;
        self.write(move |tx| {
            if !has_user(tx, &key.user)? {
                return Ok(false);
            }
            tx.prepare_cached(
                "INSERT INTO access_keys (access_key_id, user_id, sealed, active, created) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![key.id, key.user, sealed, key.active, key.created])?;
            Ok(true)
        })
        .await
    }

    /// Lets an access key sign, or not. False if there is no such key.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub async fn activate_access_key(&self, id: String, active: bool) -> Result<bool, StoreError> {
        let sql = "UPDATE access_keys SET active = ?2 WHERE access_key_id = ?1";
        self.write(move |tx| Ok(tx.execute(sql, params![id, active])? > 0)).await
    }

    /// Deletes an access key. False if there is no such key.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub async fn delete_access_key(&self, id: String) -> Result<bool, StoreError> {
        self.write(move |tx| Ok(tx.execute("DELETE FROM access_keys WHERE access_key_id = ?1", [id])? > 0)).await
    }

    /// The access key of that id, active or not, with its user.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub async fn access_key(&self, id: String) -> Result<Option<(AccessKey, Member)>, StoreError> {
        let vault = self.vault.clone();
        self.read(move |tx| {
            let sql = format!(
                "SELECT k.*, {MEMBER} FROM access_keys k JOIN users u ON u.user_id = k.user_id WHERE access_key_id = ?1"
            );
            let mut select = tx.prepare_cached(&sql)?;
            let found = select.query_row([id], |row| {
                let member = Member::of(row)?;
                Ok(AccessKey::of(row, &vault).map(|key| (key, member)))
            });
            found.optional()?.transpose()
        })
        .await
    }

    /// A user's access keys, oldest first.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub async fn access_keys(&self, user: String) -> Result<Vec<AccessKey>, StoreError> {
        let vault = self.vault.clone();
        self.read(move |tx| {
            let sql = "SELECT * FROM access_keys WHERE user_id = ?1 ORDER BY created, access_key_id";
            let mut select = tx.prepare_cached(sql)?;
            let mut rows = select.query([user])?;
            let mut keys = Vec::new();
            while let Some(row) = rows.next()? {
                keys.push(AccessKey::of(row, &vault)?);
            }
            Ok(keys)
        })
        .await
    }

    /// Keeps a certificate. False if its user does not exist; one that is there already stays.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub async fn add_certificate(&self, certificate: Certificate) -> Result<bool, StoreError> {
        self.write(move |tx| {
            if !has_user(tx, &certificate.user)? {
                return Ok(false);
            }
            tx.prepare_cached(
                "INSERT INTO certificates (fingerprint, user_id, pem, active, created) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (fingerprint) DO NOTHING",
            )?
            .execute(params![
                certificate.fingerprint,
                certificate.user,
                certificate.pem,
                certificate.active,
                certificate.created
            ])?;
            Ok(true)
        })
        .await
    }

    /// Lets a certificate sign, or not. False if there is no such certificate.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub async fn activate_certificate(&self, fingerprint: String, active: bool) -> Result<bool, StoreError> {
        let sql = "UPDATE certificates SET active = ?2 WHERE fingerprint = ?1";
        self.write(move |tx| Ok(tx.execute(sql, params![fingerprint, active])? > 0)).await
    }

    /// Deletes a certificate. False if there is no such certificate.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub async fn delete_certificate(&self, fingerprint: String) -> Result<bool, StoreError> {
        self.write(move |tx| Ok(tx.execute("DELETE FROM certificates WHERE fingerprint = ?1", [fingerprint])? > 0))
            .await
    }

    /// The certificate of that fingerprint, active or not, with its user.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub async fn certificate(&self, fingerprint: String) -> Result<Option<(Certificate, Member)>, StoreError> {
        self.read(move |tx| {
            let sql = format!(
                "SELECT c.*, {MEMBER} FROM certificates c JOIN users u ON u.user_id = c.user_id WHERE fingerprint = ?1"
            );
            let mut select = tx.prepare_cached(&sql)?;
            Ok(select.query_row([fingerprint], |row| Ok((Certificate::of(row)?, Member::of(row)?))).optional()?)
        })
        .await
    }

    /// A user's certificates, oldest first.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub async fn certificates(&self, user: String) -> Result<Vec<Certificate>, StoreError> {
        self.read(move |tx| {
            let sql = "SELECT * FROM certificates WHERE user_id = ?1 ORDER BY created, fingerprint";
            Ok(tx.prepare_cached(sql)?.query_map([user], Certificate::of)?.collect::<Result<_, _>>()?)
        })
        .await
    }
}

fn has_user(tx: &Connection, id: &str) -> rusqlite::Result<bool> {
    tx.prepare_cached("SELECT 1 FROM users WHERE user_id = ?1")?.exists([id])
}
