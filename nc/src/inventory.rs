//! What is really there on this machine: each record beside its domain and its files, and what has no record. It looks,
//! changes nothing and concludes nothing: whoever compares it with other records does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::effects::blocking;
use crate::hypervisor::{DomainKey, DomainState};
use crate::lifecycle::Sighting;
use crate::node::Node;
use crate::runner::sighting;
use crate::stage;
use crate::state::{Record, Store};

/// What is there.
#[derive(Clone, Debug)]
pub struct Inventory {
    /// Every instance with a record.
    pub instances: Vec<Found>,
    /// Why the hypervisor could not be asked; then nothing is known of domains.
    pub hypervisor_trouble: Option<String>,
    /// Domains with this node's mark and without a record.
    pub strange_domains: Vec<String>,
    /// Entries of the directory of instances without a record.
    pub strange_files: Vec<String>,
    /// Records that cannot be read, by their names.
    pub unreadable: Vec<String>,
    /// Bytes free where the instances' files are.
    pub disk_free: u64,
    /// Bytes of cached images.
    pub cache_size: u64,
}

/// An instance, and what of it is there.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its record, from before the hypervisor was asked.
    pub record: Arc<Record>,
    /// Its domain; none when the hypervisor could not be asked.
    pub domain: Option<Sighting>,
    /// Whether the directory of its files is there.
    pub files: bool,
}

impl Node {
    /// Looks at everything there is, within that time.
    pub async fn inventory(&self, within: Duration) -> Inventory {
        let records = self.records();
        let asked = self.shop().hypervisor.inventory(within).await;
        let (domains, hypervisor_trouble) = match asked {
            Ok(inventory) => {
                let domains: BTreeMap<DomainKey, DomainState> =
                    inventory.domains.into_iter().map(|domain| (domain.key, domain.state)).collect();
                (Some(domains), None)
            }
            Err(error) => (None, Some(error.to_string())),
        };
        // What was launched while the hypervisor was asked is no stranger.
        let known: BTreeSet<DomainKey> =
            records.iter().chain(&self.records()).map(|record| stage::key(record)).collect();
        let strangers = domains.iter().flatten().map(|(key, _)| key).filter(|key| !known.contains(key));
        let strange_domains = strangers.map(|key| key.name.clone()).collect();
        let domain_of = |record: &Record| {
            let domains = domains.as_ref()?;
            Some(domains.get(&stage::key(record)).map_or(Sighting::Absent, |state| sighting(*state)))
        };
        let sightings: Vec<_> = records.iter().map(|record| domain_of(record)).collect();
        let shop = self.shop().clone();
        let known: BTreeSet<String> = known.into_iter().map(|key| key.name).collect();
        blocking(move || Inventory {
            instances: records
                .into_iter()
                .zip(sightings)
                .map(|(record, domain)| Found { files: shop.store.files(&record.id).dir.exists(), record, domain })
                .collect(),
            hypervisor_trouble,
            strange_domains,
            strange_files: strange_files(&shop.store, &known),
            unreadable: shop.store.unreadable(),
            disk_free: shop.store.free_bytes().unwrap_or_default(),
            cache_size: shop.images.cached_bytes(),
        })
        .await
    }
}

/// Entries without a record; those of unreadable records have one.
fn strange_files(store: &Store, known: &BTreeSet<String>) -> Vec<String> {
    let unreadable = store.unreadable();
    let names = store.strangers(|name| known.contains(name) || unreadable.iter().any(|known| known == name));
    names.iter().filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect()
}
