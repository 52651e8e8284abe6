//! Elastic addresses: who has which, and which instance each is wished to be on. A row is there
//! while an account has the address; the pool is the configuration's.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::history::{Deed, Goal, begin, done};
use super::instances::by_id;
use super::quotas::{Excess, Quantity, excess};
use super::tags::{add_tags, forget_tags, tags_of};
use super::{Store, StoreError, is_duplicate};
use crate::ec2::Tag;
use crate::ec2::addresses::{AddressRef, Domain};

/// An address that an account has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// `192.0.2.10`.
    pub public_ip: String,
    /// `eipalloc-` and 17 digits.
    pub allocation_id: String,
    /// Whose.
    pub owner: String,
    /// As it was asked for.
    pub domain: Domain,
    /// Where it is wished to be.
    pub association: Option<Association>,
    /// When it was allocated, microseconds since the epoch.
    pub created: i64,
    /// Its owner's labels.
    pub tags: Vec<Tag>,
}

impl Address {
    fn is_named(&self, by: &AddressRef) -> bool {
        match by {
            AddressRef::Ip(ip) => *ip == self.public_ip,
            AddressRef::Allocation(id) => *id == self.allocation_id,
            AddressRef::Association(id) => self.association.as_ref().is_some_and(|there| there.id == *id),
        }
    }
}

/// That an address is on an instance: what its cluster must be told to undo it, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Association {
    /// `eipassoc-` and 17 digits.
    pub id: String,
    /// Which instance.
    pub instance_id: String,
    /// Its cluster.
    pub cluster: String,
    /// Its own address, which the cluster knows it by.
    pub private_ip: String,
    /// The instance has ended: only the cluster may still remember it. Not kept, but computed.
    pub ended: bool,
}

/// What became of a wish for an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allocated {
    /// It is there.
    Made,
    /// Somebody has it.
    Taken,
    /// It would be more than the account may have.
    TooMuch(Excess),
}

impl Store {
    /// Gives an address to an account.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub async fn allocate_address(&self, address: Address) -> Result<Allocated, StoreError> {
        self.write(move |tx| {
            if let Some(excess) = excess(tx, &address.owner, &[(Quantity::Addresses, 1)])? {
                return Ok(Allocated::TooMuch(excess));
            }
            let sql =
                "INSERT INTO addresses (public_ip, allocation_id, owner, domain, created) VALUES (?1, ?2, ?3, ?4, ?5)";
            let Address { public_ip, allocation_id, owner, domain, created, tags, .. } = address;
            match tx.prepare_cached(sql)?.execute(params![public_ip, allocation_id, owner, domain.name(), created]) {
                Ok(_) => {
                    add_tags(tx, &allocation_id, &tags)?;
                    Ok(Allocated::Made)
                }
                Err(error) if is_duplicate(&error) => Ok(Allocated::Taken),
                Err(error) => Err(error.into()),
            }
        })
        .await
    }

    /// The addresses of an account, or of all, in the order in which they were allocated.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub async fn addresses(&self, owner: Option<String>) -> Result<Vec<Address>, StoreError> {
        self.read(move |tx| addresses(tx, "WHERE ?1 IS NULL OR a.owner = ?1 ORDER BY a.created, public_ip", owner))
            .await
    }

    /// An account's address.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub async fn address(&self, owner: String, address: AddressRef) -> Result<Option<Address>, StoreError> {
        self.read(move |tx| {
            let found = addresses(tx, "WHERE a.owner = ?1", Some(owner))?;
            Ok(found.into_iter().find(|found| found.is_named(&address)))
        })
        .await
    }

    /// Writes down where an address is wished to be. False, and nothing changed, if it is wished to be
    /// somewhere already, or is nobody's any more.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub async fn associate(&self, public_ip: String, association: Association, deed: Deed) -> Result<bool, StoreError> {
        self.write(move |tx| {
            let sql = "UPDATE addresses SET association_id = ?2, instance_id = ?3, cluster = ?4, private_ip = ?5
                       WHERE public_ip = ?1 AND association_id IS NULL";
            let Association { id, instance_id, cluster, private_ip, ended: _ } = association;
            let changed = [&public_ip, &id, &instance_id, &cluster, &private_ip];
            if tx.prepare_cached(sql)?.execute(changed)? == 0 {
                return Ok(false);
            }
            if let Some(instance) = by_id(tx, &instance_id)? {
                begin(tx, &instance, &deed, Goal::Answer, Some(&public_ip))?;
            }
            Ok(true)
        })
        .await
    }

    /// Forgets an association; one that is forgotten already is no error. `deed` is what took it off its
    /// instance, if it ever was on it.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub async fn disassociate(&self, association_id: String, deed: Option<Deed>) -> Result<(), StoreError> {
        self.write(move |tx| {
            let sql = "SELECT public_ip, instance_id FROM addresses WHERE association_id = ?1";
            let found: Option<(String, String)> = tx
                .prepare_cached(sql)?
                .query_row([&association_id], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            if let (Some(deed), Some((public_ip, instance_id))) = (deed, found)
                && let Some(instance) = by_id(tx, &instance_id)?
            {
                done(tx, &instance, &deed, Some(&public_ip), "taken off")?;
            }
            let sql =
                "UPDATE addresses SET association_id = NULL, instance_id = NULL, cluster = NULL, private_ip = NULL
                       WHERE association_id = ?1";
            tx.prepare_cached(sql)?.execute([association_id])?;
            Ok(())
        })
        .await
    }

    /// Takes an address that is nowhere from its account. False if it is somewhere, or gone.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub async fn release_address(&self, allocation_id: String) -> Result<bool, StoreError> {
        self.write(move |tx| {
            let sql = "DELETE FROM addresses WHERE allocation_id = ?1 AND association_id IS NULL";
            let released = tx.prepare_cached(sql)?.execute([&allocation_id])? > 0;
            if released {
                forget_tags(tx, &allocation_id)?;
            }
            Ok(released)
        })
        .await
    }
}

fn addresses(tx: &Connection, condition: &str, owner: Option<String>) -> Result<Vec<Address>, StoreError> {
    let mut select = tx.prepare_cached(&format!(
        "SELECT a.*, i.instance_id IS NULL OR i.ended IS NOT NULL AS over
         FROM addresses a LEFT JOIN instances i ON i.instance_id = a.instance_id {condition}"
    ))?;
    let mut rows = select.query([owner])?;
    let mut addresses = Vec::new();
    while let Some(row) = rows.next()? {
        let mut address = address_of(row)?;
        address.tags = tags_of(tx, &address.allocation_id)?;
        addresses.push(address);
    }
    Ok(addresses)
}

fn address_of(row: &Row<'_>) -> Result<Address, StoreError> {
    let domain: String = row.get("domain")?;
    let id: Option<String> = row.get("association_id")?;
    let association = match id {
        None => None,
        Some(id) => Some(Association {
            id,
            instance_id: row.get("instance_id")?,
            cluster: row.get("cluster")?,
            private_ip: row.get("private_ip")?,
            ended: row.get("over")?,
        }),
    };
    Ok(Address {
        public_ip: row.get("public_ip")?,
        allocation_id: row.get("allocation_id")?,
        owner: row.get("owner")?,
        domain: Domain::named(&domain).ok_or_else(|| StoreError::Corrupt(format!("'{domain}' is no domain")))?,
        association,
        created: row.get("created")?,
        tags: Vec::new(),
    })
}
