//! The registered clusters. What is known of each from minute to minute is not here: it is asked.

use rusqlite::{Row, params};

use super::reservations::forget_instances;
use super::{Store, StoreError};

/// A registered cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Its name, which is the availability zone.
    pub name: String,
    /// Its endpoint.
    pub url: String,
    /// Its certificate, PEM: the only one believed.
    pub certificate: String,
    /// How messages to it are secured: `strict` or `euca-2.0.1`.
    pub profile: String,
    /// When it was registered, microseconds since the epoch.
    pub created: i64,
}

impl Cluster {
    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            name: row.get("name")?,
            url: row.get("url")?,
            certificate: row.get("certificate")?,
            profile: row.get("profile")?,
            created: row.get("created")?,
        })
    }
}

impl Store {
    /// Registers a cluster, or gives a registered one another URL, certificate and profile.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub async fn register_cluster(&self, cluster: Cluster) -> Result<(), StoreError> {
        self.write(move |tx| {
            let sql = "INSERT INTO clusters (name, url, certificate, profile, created) VALUES (?1, ?2, ?3, ?4, ?5)
                       ON CONFLICT (name) DO UPDATE SET url = excluded.url, certificate = excluded.certificate,
                       profile = excluded.profile";
            let Cluster { name, url, certificate, profile, created } = cluster;
            tx.execute(sql, params![name, url, certificate, profile, created])?;
            Ok(())
        })
        .await
    }

    /// Every cluster, by name.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub async fn clusters(&self) -> Result<Vec<Cluster>, StoreError> {
        self.read(|tx| {
            let mut select = tx.prepare_cached("SELECT * FROM clusters ORDER BY name")?;
            Ok(select.query_map([], Cluster::of)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Takes a cluster off the list, with the records of what ended there. Refused, with the ids,
    /// while instances of it are not over. `Ok(None)` if there is no such cluster.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub async fn deregister_cluster(&self, name: String) -> Result<Option<Result<(), Vec<String>>>, StoreError> {
        self.write(move |tx| {
            let living: Vec<String> = tx
                .prepare_cached(
                    "SELECT instance_id FROM instances WHERE cluster = ?1 AND ended IS NULL ORDER BY instance_id",
                )?
                .query_map([&name], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            if !living.is_empty() {
                return Ok(Some(Err(living)));
            }
            forget_instances(tx, "cluster = ?1", &name)?;
            let deleted = tx.execute("DELETE FROM clusters WHERE name = ?1", [&name])?;
            Ok((deleted > 0).then_some(Ok(())))
        })
        .await
    }
}
