//! SYSTEM mode: guests get their addresses from the site's own DHCP, and the cluster only learns
//! them: from the node's report (see `cluster::merge`), else from dnsmasq's lease file where one is
//! configured, else from this host's neighbour table. Nothing on this host is changed.

mod arp;
mod leases;

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use ironbark_wsdl::blocking;
use ironbark_wsdl::clock::Clock;

use crate::cluster::Cluster;

/// The kernel's neighbour table.
const NEIGHBOURS: &str = "/proc/net/arp";

/// Gives addresses to the instances that still lack one.
///
/// # Errors
/// A sentence when the table cannot be read or what was learned cannot be recorded.
pub async fn learn(cluster: &Cluster) -> Result<(), String> {
    if !cluster.read(|beliefs| beliefs.addresses_wanted()) {
        return Ok(());
    }
    let table = table(cluster.settings.dhcp_leases.clone(), &cluster.clock).await?;
    cluster.change(|beliefs, _| beliefs.learn_addresses(&table)).await.map_err(|error| error.to_string())
}

/// Addresses by MAC.
async fn table(dhcp_leases: Option<PathBuf>, clock: &Clock) -> Result<BTreeMap<String, Ipv4Addr>, String> {
    let path = dhcp_leases.clone().unwrap_or_else(|| PathBuf::from(NEIGHBOURS));
    let read = blocking::spawn({
        let path = path.clone();
        move || std::fs::read_to_string(path)
    });
    let text = read
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
        .map_err(|error| format!("addresses cannot be learned from {}: {error}", path.display()))?;
    Ok(match dhcp_leases {
        Some(_) => leases::parse(&text, clock.now().as_second()),
        None => arp::parse(&text),
    })
}
