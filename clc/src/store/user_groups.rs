//! Groups of users: each gives its members a role. (The groups that guard instances are others.)

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::accounts::if_administrators_remain;
use super::{Store, StoreError, is_duplicate};
use crate::role::Role;

/// A group of an account's users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserGroup {
    /// The id of its account.
    pub account: String,
    /// Its name, one in its account.
    pub name: String,
    /// What its members may do.
    pub role: Role,
    /// When it was made, microseconds since the epoch.
    pub created: i64,
}

impl UserGroup {
    fn of(row: &Row<'_>) -> Result<Self, StoreError> {
        let role: String = row.get("role")?;
        Ok(Self {
            account: row.get("account_id")?,
            name: row.get("name")?,
            role: role.parse().map_err(|_| StoreError::Corrupt(format!("'{role}' is no role")))?,
            created: row.get("created")?,
        })
    }
}

impl Store {
    /// Makes a group. False if its account has one of that name.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub async fn create_group(&self, group: UserGroup) -> Result<bool, StoreError> {
        self.write(move |tx| insert_group(tx, &group)).await
    }

    /// Deletes a group; its members lose its role. The sentence says why not; `Ok(None)` if there
    /// is no such group.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub async fn delete_group(&self, account: String, name: String) -> Result<Option<Result<(), String>>, StoreError> {
        self.write(move |tx| {
            if group(tx, &account, &name)?.is_none() {
                return Ok(None);
            }
            let deleted = if_administrators_remain(tx, |tx| {
                tx.execute("DELETE FROM user_groups WHERE account_id = ?1 AND name = ?2", [&account, &name])?;
                Ok(())
            });
            deleted.map(Some)
        })
        .await
    }

    /// The group of that name in an account.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub async fn group(&self, account: String, name: String) -> Result<Option<UserGroup>, StoreError> {
        self.read(move |tx| group(tx, &account, &name)).await
    }

    /// An account's groups, by name, with the names of their members.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub async fn groups(&self, account: String) -> Result<Vec<(UserGroup, Vec<String>)>, StoreError> {
        self.read(move |tx| {
            let mut select = tx.prepare_cached("SELECT * FROM user_groups WHERE account_id = ?1 ORDER BY name")?;
            let mut rows = select.query([&account])?;
            let mut all = Vec::new();
            while let Some(row) = rows.next()? {
                let group = UserGroup::of(row)?;
                let mut members = tx.prepare_cached(
                    "SELECT name FROM group_members m JOIN users u ON u.user_id = m.user_id
                     WHERE m.account_id = ?1 AND group_name = ?2 ORDER BY name",
                )?;
                let members =
                    members.query_map([&account, &group.name], |row| row.get(0))?.collect::<Result<_, _>>()?;
                all.push((group, members));
            }
            Ok(all)
        })
        .await
    }

    /// Puts a user into a group of its account; one that is there already stays.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written, or one of the two is gone.
    pub async fn join_group(&self, account: String, group: String, user: String) -> Result<(), StoreError> {
        self.write(move |tx| insert_member(tx, &account, &group, &user)).await
    }

    /// Takes a user out of a group; one that is not there is no error. The sentence says why not.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub async fn leave_group(
        &self,
        account: String,
        group: String,
        user: String,
    ) -> Result<Result<(), String>, StoreError> {
        self.write(move |tx| {
            if_administrators_remain(tx, |tx| {
                let sql = "DELETE FROM group_members WHERE account_id = ?1 AND group_name = ?2 AND user_id = ?3";
                tx.execute(sql, [&account, &group, &user])?;
                Ok(())
            })
        })
        .await
    }
}

fn group(tx: &Connection, account: &str, name: &str) -> Result<Option<UserGroup>, StoreError> {
    let mut select = tx.prepare_cached("SELECT * FROM user_groups WHERE account_id = ?1 AND name = ?2")?;
    select.query_row([account, name], |row| Ok(UserGroup::of(row))).optional()?.transpose()
}

/// False if the account has a group of that name.
pub(super) fn insert_group(tx: &Connection, group: &UserGroup) -> Result<bool, StoreError> {
    let made = tx
        .prepare_cached("INSERT INTO user_groups (account_id, name, role, created) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![group.account, group.name, group.role.name(), group.created]);
    match made {
        Ok(_) => Ok(true),
        Err(error) if is_duplicate(&error) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn insert_member(tx: &Connection, account: &str, group: &str, user: &str) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO group_members (account_id, group_name, user_id) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
    )?
    .execute([account, group, user])?;
    Ok(())
}
