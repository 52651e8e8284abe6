//! Quotas: how much an account may have. Looked at within the transaction that takes it, so that two
//! requests at once cannot both have the last of it.

use rusqlite::{Connection, OptionalExtension, params};

use super::{Store, StoreError};

/// Whose quotas hold for accounts without their own.
const DEFAULT: &str = "default";

/// What is counted of an account: its addresses, and its instances that have not ended, stopped ones
/// too, since they can be started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// Instances.
    Instances,
    /// Their virtual cores.
    Cores,
    /// Their memory, MB.
    MemoryMb,
    /// Elastic addresses.
    Addresses,
}

impl Quantity {
    /// Every one.
    pub const ALL: [Quantity; 4] = [Quantity::Instances, Quantity::Cores, Quantity::MemoryMb, Quantity::Addresses];

    /// The word in the records and in requests: `memoryMb`.
    pub fn name(self) -> &'static str {
        match self {
            Quantity::Instances => "instances",
            Quantity::Cores => "cores",
            Quantity::MemoryMb => "memoryMb",
            Quantity::Addresses => "addresses",
        }
    }

    /// How much of it the account has.
    fn used(self, tx: &Connection, account: &str) -> rusqlite::Result<i64> {
        let each = match self {
            Quantity::Addresses => {
                let mut count = tx.prepare_cached("SELECT count(*) FROM addresses WHERE owner = ?1")?;
                return count.query_row([account], |row| row.get(0));
            }
            Quantity::Instances => "1",
            Quantity::Cores => "coalesce(i.cores, r.cores)",
            Quantity::MemoryMb => "coalesce(i.memory_mb, r.memory_mb)",
        };
        let sql = format!(
            "SELECT coalesce(sum({each}), 0) FROM instances i JOIN reservations r USING (reservation_id)
             WHERE i.owner = ?1 AND i.ended IS NULL"
        );
        tx.prepare_cached(&sql)?.query_row([account], |row| row.get(0))
    }
}

/// What a quota is set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// To nothing of its own: the default holds.
    Default,
    /// As much as there is.
    Unlimited,
    /// At most so much.
    Most(u32),
}

/// A quota as it holds for an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Of what.
    pub quantity: Quantity,
    /// The most that the account may have; as much as there is if there is none.
    pub most: Option<u32>,
    /// True if it was set for this account.
    pub own: bool,
    /// What the account has.
    pub used: i64,
}

/// Why an account cannot have what it asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excess {
    /// Of what it would be too much.
    pub quantity: Quantity,
    /// What is asked for.
    pub asked: u32,
    /// What the account has.
    pub used: i64,
    /// The most that it may have.
    pub most: u32,
}

impl Store {
    /// The quotas of an account, with what it has.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be read.
    pub async fn quotas(&self, account: String) -> Result<Vec<Quota>, StoreError> {
        self.read(move |tx| {
            let quota = |quantity: Quantity| {
                let own = find(tx, &account, quantity)?.is_some();
                Ok(Quota { quantity, most: most(tx, &account, quantity)?, own, used: quantity.used(tx, &account)? })
            };
            Quantity::ALL.into_iter().map(quota).collect()
        })
        .await
    }

    /// The first of what is asked for that would be too much for the account, as things are now.
    ///
    /// # Errors
    /// [`StoreError`] if the quotas cannot be read.
    pub async fn excess(&self, account: String, asked: [(Quantity, u32); 3]) -> Result<Option<Excess>, StoreError> {
        self.read(move |tx| excess(tx, &account, &asked)).await
    }

    /// Sets quotas of an account, or, without one, those of all accounts that have not their own.
    /// What an account has beyond them it keeps.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be written.
    pub async fn set_quotas(
        &self,
        account: Option<String>,
        settings: Vec<(Quantity, Setting)>,
    ) -> Result<(), StoreError> {
        self.write(move |tx| {
            let account = account.as_deref().unwrap_or(DEFAULT);
            for (quantity, setting) in settings {
                let most = match setting {
                    Setting::Default => {
                        let sql = "DELETE FROM quotas WHERE account_id = ?1 AND quantity = ?2";
                        tx.execute(sql, [account, quantity.name()])?;
                        continue;
                    }
                    Setting::Unlimited => None,
                    Setting::Most(most) => Some(most),
                };
                tx.prepare_cached(
                    "INSERT INTO quotas (account_id, quantity, most) VALUES (?1, ?2, ?3)
                     ON CONFLICT (account_id, quantity) DO UPDATE SET most = excluded.most",
                )?
                .execute(params![account, quantity.name(), most])?;
            }
            Ok(())
        })
        .await
    }
}

/// What instances of one size take from their account.
pub fn of_instances(count: u32, cores: u32, memory_mb: u32) -> [(Quantity, u32); 3] {
    [
        (Quantity::Instances, count),
        (Quantity::Cores, count.saturating_mul(cores)),
        (Quantity::MemoryMb, count.saturating_mul(memory_mb)),
    ]
}

/// The first of what is asked for that would be too much for the account.
pub(super) fn excess(tx: &Connection, account: &str, asked: &[(Quantity, u32)]) -> Result<Option<Excess>, StoreError> {
    for (quantity, asked) in asked.iter().copied() {
        let Some(most) = most(tx, account, quantity)? else { continue };
        let used = quantity.used(tx, account)?;
        if used + i64::from(asked) > i64::from(most) {
            return Ok(Some(Excess { quantity, asked, used, most }));
        }
    }
    Ok(None)
}

/// The most that an account may have: its own quota, else the default, else as much as there is.
fn most(tx: &Connection, account: &str, quantity: Quantity) -> rusqlite::Result<Option<u32>> {
    match find(tx, account, quantity)? {
        Some(own) => Ok(own),
        None => Ok(find(tx, DEFAULT, quantity)?.flatten()),
    }
}

/// What is set: nothing, no limit, or the most.
fn find(tx: &Connection, account: &str, quantity: Quantity) -> rusqlite::Result<Option<Option<u32>>> {
    let mut select = tx.prepare_cached("SELECT most FROM quotas WHERE account_id = ?1 AND quantity = ?2")?;
    select.query_row([account, quantity.name()], |row| row.get(0)).optional()
}
