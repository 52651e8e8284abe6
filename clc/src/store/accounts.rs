//! Accounts: what owns everything in the cloud. An account's id is EC2's owner id.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::images::Registered;
use super::reservations::forget_instances;
use super::security_groups::{forget_groups, insert_default_group};
use super::user_groups::{UserGroup, insert_group, insert_member};
use super::users::{User, insert_user};
use super::{Store, StoreError, is_duplicate};
use crate::role::Role;

/// An account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// 12 digits.
    pub id: String,
    /// Its name, one in the cloud.
    pub name: String,
    /// When it was made, microseconds since the epoch.
    pub created: i64,
}

/// Whose resources a request may touch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Those of the account of that id.
    Account(String),
    /// Everybody's: for administrators of the cloud.
    Everybody,
}

impl Scope {
    /// True if it may touch what that account owns.
    pub fn covers(&self, owner: &str) -> bool {
        match self {
            Scope::Account(account) => account == owner,
            Scope::Everybody => true,
        }
    }
}

impl From<String> for Scope {
    fn from(account: String) -> Self {
        Scope::Account(account)
    }
}

impl Account {
    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { id: row.get("account_id")?, name: row.get("name")?, created: row.get("created")? })
    }
}

impl Store {
    /// Makes an account with its first user, who is in its first group: nobody else could make one.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub async fn create_account(
        &self,
        account: Account,
        user: User,
        group: UserGroup,
    ) -> Result<Registered, StoreError> {
        self.write(move |tx| {
            if find(tx, &account.name)?.is_some() {
                return Ok(Registered::NameTaken);
            }
            let made = tx
                .prepare_cached("INSERT INTO accounts (account_id, name, created) VALUES (?1, ?2, ?3)")?
                .execute(params![account.id, account.name, account.created]);
            match made {
                Ok(_) => {}
                Err(error) if is_duplicate(&error) => return Ok(Registered::IdTaken),
                Err(error) => return Err(error.into()),
            }
            insert_default_group(tx, &account.id, account.created)?;
            insert_user(tx, &user)?;
            insert_group(tx, &group)?;
            insert_member(tx, &group.account, &group.name, &user.id)?;
            Ok(Registered::Made)
        })
        .await
    }

    /// Deletes an account with its users and their credentials. What it owns must be gone: the
    /// sentence says what is not. `Ok(None)` if there is no such account.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub async fn delete_account(&self, id: String) -> Result<Option<Result<(), String>>, StoreError> {
        self.write(move |tx| {
            let Some(account) = find(tx, &id)? else { return Ok(None) };
            let count = |sql: &str| tx.query_row(sql, [&account.id], |row| row.get::<_, i64>(0));
            let instances = count("SELECT count(*) FROM instances WHERE owner = ?1 AND ended IS NULL")?;
            let images = count("SELECT count(*) FROM images WHERE owner = ?1")?;
            let addresses = count("SELECT count(*) FROM addresses WHERE owner = ?1")?;
            if instances > 0 || images > 0 || addresses > 0 {
                let text = format!(
                    "the account {} still owns {instances} instances, {images} images and {addresses} addresses: terminate, deregister and release them first",
                    account.name
                );
                return Ok(Some(Err(text)));
            }
            let deleted = if_administrators_remain(tx, |tx| {
                forget_instances(tx, "owner = ?1", &account.id)?;
                forget_groups(tx, &account.id)?;
                let keys = "SELECT key_pair_id FROM key_pairs WHERE owner = ?1";
                tx.execute(&format!("DELETE FROM tags WHERE resource_id IN ({keys})"), [&account.id])?;
                tx.execute("DELETE FROM accounts WHERE account_id = ?1", [&account.id])?;
                Ok(())
            })?;
            Ok(Some(deleted))
        })
        .await
    }

    /// Every account, by name.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub async fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        self.read(|tx| {
            let mut select = tx.prepare_cached("SELECT * FROM accounts ORDER BY name")?;
            Ok(select.query_map([], Account::of)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// The account of that name or id.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub async fn account(&self, name_or_id: String) -> Result<Option<Account>, StoreError> {
        self.read(move |tx| find(tx, &name_or_id)).await
    }
}

fn find(tx: &Connection, name_or_id: &str) -> Result<Option<Account>, StoreError> {
    let mut select = tx.prepare_cached("SELECT * FROM accounts WHERE name = ?1 OR account_id = ?1")?;
    Ok(select.query_row([name_or_id], Account::of).optional()?)
}

/// Makes a change, unless it would leave the cloud without anybody to administer it; then nothing
/// is changed, and the sentence says so.
pub(super) fn if_administrators_remain(
    tx: &Connection,
    change: impl FnOnce(&Connection) -> Result<(), StoreError>,
) -> Result<Result<(), String>, StoreError> {
    tx.execute_batch("SAVEPOINT administrators")?;
    change(tx)?;
    let sql = "SELECT EXISTS (SELECT 1 FROM group_members m
                   JOIN user_groups g ON g.account_id = m.account_id AND g.name = m.group_name WHERE g.role = ?1)";
    let remain: bool = tx.prepare_cached(sql)?.query_row([Role::CloudAdministrator.name()], |row| row.get(0))?;
    if remain {
        tx.execute_batch("RELEASE administrators")?;
        return Ok(Ok(()));
    }
    tx.execute_batch("ROLLBACK TO administrators; RELEASE administrators")?;
    Ok(Err("the cloud would be left without an administrator: make another one first".to_string()))
}
