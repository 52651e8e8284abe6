//! Users: who signs requests. A user belongs to one account and has the highest role of its groups.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::accounts::if_administrators_remain;
use super::user_groups::insert_member;
use super::{Store, StoreError, is_duplicate};
use crate::role::Role;

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// `AIDA...`, never used again for another.
    pub id: String,
    /// The id of its account.
    pub account: String,
    /// Its name, one in its account.
    pub name: String,
    /// When it was made, microseconds since the epoch.
    pub created: i64,
}

/// A user with what makes it somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The user.
    pub user: User,
    /// The name of its account.
    pub account_name: String,
    /// The highest role of its groups; none without a group.
    pub role: Option<Role>,
}

/// A user and what it signs with, without secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserCredentials {
    /// The user.
    pub member: Member,
    /// The names of its groups.
    pub groups: Vec<String>,
    /// Ids of its access keys, oldest first.
    pub access_keys: Vec<String>,
    /// Fingerprints of its certificates, oldest first.
    pub certificates: Vec<String>,
}

/// What became of a new user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewUser {
    /// It is there.
    Made,
    /// Its account has one of that name.
    NameTaken,
    /// A group that it was to be in is not there.
    NoGroup(String),
}

/// The columns of a [`Member`], from `users u`.
pub(super) const MEMBER: &str = "u.user_id, u.account_id, u.name AS user_name, u.created AS user_created,
    (SELECT name FROM accounts a WHERE a.account_id = u.account_id) AS account_name,
    (SELECT group_concat(g.role) FROM group_members m
         JOIN user_groups g ON g.account_id = m.account_id AND g.name = m.group_name
         WHERE m.user_id = u.user_id) AS roles";

impl Member {
    pub(super) fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        let user = User {
            id: row.get("user_id")?,
            account: row.get("account_id")?,
            name: row.get("user_name")?,
            created: row.get("user_created")?,
        };
        let roles: Option<String> = row.get("roles")?;
        // A word that this program does not know gives no right.
        let role = roles.and_then(|roles| roles.split(',').filter_map(|role| role.parse().ok()).max());
        Ok(Self { user, account_name: row.get("account_name")?, role })
    }
}

impl Store {
    /// Makes a user, in these groups of its account.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub async fn create_user(&self, user: User, groups: Vec<String>) -> Result<NewUser, StoreError> {
        self.write(move |tx| {
            for group in &groups {
                let sql = "SELECT 1 FROM user_groups WHERE account_id = ?1 AND name = ?2";
                if !tx.prepare_cached(sql)?.exists([&user.account, group])? {
                    return Ok(NewUser::NoGroup(group.clone()));
                }
            }
            if !insert_user(tx, &user)? {
                return Ok(NewUser::NameTaken);
            }
            for group in &groups {
                insert_member(tx, &user.account, group, &user.id)?;
            }
            Ok(NewUser::Made)
        })
        .await
    }

    /// Deletes a user with its keys and certificates; the sentence says why not. `Ok(None)` if there
    /// is no such user.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub async fn delete_user(&self, id: String) -> Result<Option<Result<(), String>>, StoreError> {
        self.write(move |tx| {
            if !tx.prepare_cached("SELECT 1 FROM users WHERE user_id = ?1")?.exists([&id])? {
                return Ok(None);
            }
            let deleted = if_administrators_remain(tx, |tx| {
                tx.execute("DELETE FROM users WHERE user_id = ?1", [&id])?;
                Ok(())
            });
            deleted.map(Some)
        })
        .await
    }

    /// The users of an account, or of all, by account and name, with what they sign with.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub async fn users(&self, account: Option<String>) -> Result<Vec<UserCredentials>, StoreError> {
        self.read(move |tx| {
            let sql = format!(
                "SELECT {MEMBER} FROM users u WHERE ?1 IS NULL OR u.account_id = ?1 ORDER BY account_name, u.name"
            );
            let members: Vec<Member> =
                tx.prepare_cached(&sql)?.query_map([account], Member::of)?.collect::<Result<_, _>>()?;
            let texts = |sql: &str, id: &str| -> rusqlite::Result<Vec<String>> {
                tx.prepare_cached(sql)?.query_map([id], |row| row.get(0))?.collect()
            };
            let mut all = Vec::with_capacity(members.len());
            for member in members {
                let id = &member.user.id;
                let groups = texts("SELECT group_name FROM group_members WHERE user_id = ?1 ORDER BY group_name", id)?;
                let access_keys =
                    texts("SELECT access_key_id FROM access_keys WHERE user_id = ?1 ORDER BY created", id)?;
                let certificates =
                    texts("SELECT fingerprint FROM certificates WHERE user_id = ?1 ORDER BY created", id)?;
                all.push(UserCredentials { member, groups, access_keys, certificates });
            }
            Ok(all)
        })
        .await
    }

    /// The user of that name in an account.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub async fn user(&self, account: String, name: String) -> Result<Option<Member>, StoreError> {
        self.read(move |tx| {
            let sql = format!("SELECT {MEMBER} FROM users u WHERE u.account_id = ?1 AND u.name = ?2");
            Ok(tx.prepare_cached(&sql)?.query_row([account, name], Member::of).optional()?)
        })
        .await
    }
}

/// False if the account has a user of that name.
pub(super) fn insert_user(tx: &Connection, user: &User) -> Result<bool, StoreError> {
    let made = tx
        .prepare_cached("INSERT INTO users (user_id, account_id, name, created) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![user.id, user.account, user.name, user.created]);
    match made {
        Ok(_) => Ok(true),
        Err(error) if is_duplicate(&error) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
