//! Users and what they sign with: access keys (HMAC) and certificates (WS-Security).

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::reservations::forget_instances;
use super::{Store, StoreError, is_duplicate};

/// A user; the name is also the owner id of what it owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its name.
    pub name: String,
    /// True for an administrator of the cloud.
    pub admin: bool,
    /// When it was made, microseconds since the epoch.
    pub created: i64,
}

/// An access key. Not `Debug`: it bears a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKey {
    /// Its id, `AKI...`.
    pub id: String,
    /// Whose.
    pub user: String,
    /// The secret.
    pub secret: String,
    /// When it was made, microseconds since the epoch.
    pub created: i64,
}

/// A certificate that a user signs with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// SHA-256 of its DER, lower-case hex.
    pub fingerprint: String,
    /// Whose.
    pub user: String,
    /// The certificate.
    pub pem: String,
    /// When it was made, microseconds since the epoch.
    pub created: i64,
}

/// A user and the public names of what it signs with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserCredentials {
    /// The user.
    pub user: User,
    /// Ids of its access keys, oldest first.
    pub access_keys: Vec<String>,
    /// Fingerprints of its certificates, oldest first.
    pub certificates: Vec<String>,
}

impl User {
    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { name: row.get("name")?, admin: row.get("admin")?, created: row.get("created")? })
    }
}

impl AccessKey {
    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get("access_key_id")?,
            user: row.get("user_name")?,
            secret: row.get("secret")?,
            created: row.get("created")?,
        })
    }
}

impl Store {
    /// Makes a user. False if there is one of that name.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub async fn create_user(&self, user: User) -> Result<bool, StoreError> {
        self.write(move |tx| {
            let made = tx
                .prepare_cached("INSERT INTO users (name, admin, created) VALUES (?1, ?2, ?3)")?
                .execute(params![user.name, user.admin, user.created]);
            match made {
                Ok(_) => Ok(true),
                Err(error) if is_duplicate(&error) => Ok(false),
                Err(error) => Err(error.into()),
            }
        })
        .await
    }

    /// Deletes a user with its keys and certificates. What it owns must be gone: the sentence says
    /// what is not. `Ok(None)` if there is no such user.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub async fn delete_user(&self, name: String) -> Result<Option<Result<(), String>>, StoreError> {
        self.write(move |tx| {
            if user(tx, &name)?.is_none() {
                return Ok(None);
            }
            let count = |sql: &str| tx.query_row(sql, [&name], |row| row.get::<_, i64>(0));
            let instances = count("SELECT count(*) FROM instances WHERE owner = ?1 AND ended IS NULL")?;
            let images = count("SELECT count(*) FROM images WHERE owner = ?1")?;
            if instances > 0 || images > 0 {
                let text = format!("the user {name} still owns {instances} instances and {images} images: terminate and deregister them first");
                return Ok(Some(Err(text)));
            }
            let admins: i64 =
                tx.query_row("SELECT count(*) FROM users WHERE admin = 1 AND name <> ?1", [&name], |row| row.get(0))?;
            if admins == 0 {
                return Ok(Some(Err(format!("{name} is the last administrator"))));
            }
            forget_instances(tx, "owner = ?1", &name)?;
            tx.execute("DELETE FROM users WHERE name = ?1", [&name])?;
            Ok(Some(Ok(())))
        })
        .await
    }

    /// Every user, by name, with the ids of its access keys and the fingerprints of its certificates.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub async fn users(&self) -> Result<Vec<UserCredentials>, StoreError> {
        self.read(|tx| {
            let users: Vec<User> = tx
                .prepare_cached("SELECT * FROM users ORDER BY name")?
                .query_map([], User::of)?
                .collect::<Result<_, _>>()?;
            let texts = |sql: &str, name: &str| -> rusqlite::Result<Vec<String>> {
                tx.prepare_cached(sql)?.query_map([name], |row| row.get(0))?.collect()
            };
            let mut all = Vec::with_capacity(users.len());
            for user in users {
                let access_keys =
                    texts("SELECT access_key_id FROM access_keys WHERE user_name = ?1 ORDER BY created", &user.name)?;
                let certificates =
                    texts("SELECT fingerprint FROM certificates WHERE user_name = ?1 ORDER BY created", &user.name)?;
                all.push(UserCredentials { user, access_keys, certificates });
            }
            Ok(all)
        })
        .await
    }

    /// The user of that name.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub async fn user(&self, name: String) -> Result<Option<User>, StoreError> {
        self.read(move |tx| user(tx, &name)).await
    }

    /// Keeps a new access key. False if its user does not exist.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub async fn add_access_key(&self, key: AccessKey) -> Result<bool, StoreError> {
        self.write(move |tx| {
            if user(tx, &key.user)?.is_none() {
                return Ok(false);
            }
            tx.prepare_cached(
                "INSERT INTO access_keys (access_key_id, user_name, secret, created) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![key.id, key.user, key.secret, key.created])?;
            Ok(true)
        })
        .await
    }

    /// Deletes an access key. False if there is no such key.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub async fn delete_access_key(&self, id: String) -> Result<bool, StoreError> {
        self.write(move |tx| Ok(tx.execute("DELETE FROM access_keys WHERE access_key_id = ?1", [id])? > 0)).await
    }

    /// The access key of that id, with its user.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub async fn access_key(&self, id: String) -> Result<Option<(AccessKey, User)>, StoreError> {
        self.read(move |tx| {
            let sql = "SELECT k.*, u.name, u.admin FROM access_keys k JOIN users u ON u.name = k.user_name WHERE access_key_id = ?1";
            Ok(tx.prepare_cached(sql)?.query_row([id], |row| Ok((AccessKey::of(row)?, User::of(row)?))).optional()?)
        })
        .await
    }

    /// The oldest access key of a user.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub async fn first_access_key(&self, user: String) -> Result<Option<AccessKey>, StoreError> {
        self.read(move |tx| {
            let sql = "SELECT * FROM access_keys WHERE user_name = ?1 ORDER BY created, access_key_id LIMIT 1";
            Ok(tx.prepare_cached(sql)?.query_row([user], AccessKey::of).optional()?)
        })
        .await
    }

    /// Keeps a certificate. False if its user does not exist; one that is there already stays.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub async fn add_certificate(&self, certificate: Certificate) -> Result<bool, StoreError> {
        self.write(move |tx| {
            if user(tx, &certificate.user)?.is_none() {
                return Ok(false);
            }
            tx.prepare_cached(
                "INSERT INTO certificates (fingerprint, user_name, pem, created) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (fingerprint) DO NOTHING",
            )?
            .execute(params![
                certificate.fingerprint,
                certificate.user,
                certificate.pem,
                certificate.created
            ])?;
            Ok(true)
        })
        .await
    }

    /// The certificate of that fingerprint, with its user.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub async fn certificate(&self, fingerprint: String) -> Result<Option<(Certificate, User)>, StoreError> {
        self.read(move |tx| {
            let sql = "SELECT c.*, u.name, u.admin FROM certificates c JOIN users u ON u.name = c.user_name WHERE fingerprint = ?1";
            let found = tx.prepare_cached(sql)?.query_row([fingerprint], |row| {
                let certificate = Certificate {
                    fingerprint: row.get("fingerprint")?,
                    user: row.get("user_name")?,
                    pem: row.get("pem")?,
                    created: row.get("created")?,
                };
                Ok((certificate, User::of(row)?))
            });
            Ok(found.optional()?)
        })
        .await
    }
}

fn user(tx: &Connection, name: &str) -> Result<Option<User>, StoreError> {
    Ok(tx.prepare_cached("SELECT * FROM users WHERE name = ?1")?.query_row([name], User::of).optional()?)
}
