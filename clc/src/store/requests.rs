//! The requests that were answered: who asked what, when, and how it ended.

use rusqlite::{OptionalExtension, params};

use super::{Store, StoreError};

/// One answered request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnsweredRequest {
    /// Its id.
    pub id: String,
    /// The id that an administrator gave to what it is part of.
    pub global: Option<String>,
    /// The id of the account that asked.
    pub account: String,
    /// The name of its user.
    pub user: String,
    /// The action's name.
    pub action: String,
    /// `ok`, or the error code.
    pub outcome: String,
    /// When it came, microseconds since the epoch.
    pub received: i64,
    /// How long until the answer, microseconds.
    pub duration: i64,
}

impl Store {
    /// Keeps answered requests, and forgets those received before `keep_from`.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be written.
    pub async fn log_requests(&self, requests: Vec<AnsweredRequest>, keep_from: i64) -> Result<(), StoreError> {
        self.write(move |tx| {
            let mut insert = tx.prepare_cached(
                "INSERT INTO requests (request_id, account_id, user_name, action, outcome, received, duration_us, global)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (request_id) DO NOTHING",
            )?;
            for request in requests {
                insert.execute(params![
                    request.id,
                    request.account,
                    request.user,
                    request.action,
                    request.outcome,
                    request.received,
                    request.duration,
                    request.global
                ])?;
            }
            tx.prepare_cached("DELETE FROM requests WHERE received < ?1")?.execute([keep_from])?;
            Ok(())
        })
        .await
    }

    /// The account that made the request of that id.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub async fn requester(&self, id: String) -> Result<Option<String>, StoreError> {
        self.read(move |tx| {
            let sql = "SELECT account_id FROM requests WHERE request_id = ?1";
            Ok(tx.prepare_cached(sql)?.query_row([id], |row| row.get(0)).optional()?)
        })
        .await
    }

    /// The latest requests that are part of what an administrator gave that id, at most `most`.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be read.
    pub async fn requests_of(&self, global: String, most: u32) -> Result<Vec<String>, StoreError> {
        self.read(move |tx| {
            let sql = "SELECT request_id FROM requests WHERE global = ?1 ORDER BY received DESC LIMIT ?2";
            let mut select = tx.prepare_cached(sql)?;
            let ids = select.query_map(params![global, most], |row| row.get(0))?.collect::<Result<_, _>>()?;
            Ok(ids)
        })
        .await
    }
}
