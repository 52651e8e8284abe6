//! The network operations as the contract has them in SYSTEM mode (wire/cc.md 11, and recorded):
//! the site's own network does everything, so there is nothing to start, and nothing of this
//! host's network is touched.

use std::net::Ipv4Addr;
use std::sync::Arc;

use ironbark_wsdl::cc::{
    AssignAddress, AssignAddressResponse, ConfigureNetwork, ConfigureNetworkResponse, DescribeNetworks,
    DescribeNetworksResponse, DescribePublicAddresses, DescribePublicAddressesResponse, StartNetwork,
    StartNetworkResponse, StopNetwork, StopNetworkResponse, UnassignAddress, UnassignAddressResponse,
};
use ironbark_wsdl::{Context, Refusal};

use crate::cluster::Cluster;
use crate::convert::address;
use crate::error::ClusterError;

/// What 2.0.1 answers where a mode has no such thing.
const NOT_SUPPORTED: &str = "NOTSUPPORTED";

/// True: nothing needs to be done.
pub async fn start_network(_: Arc<Cluster>, _: Context, _: StartNetwork) -> Result<StartNetworkResponse, Refusal> {
    Ok(StartNetworkResponse::default())
}

/// True: nothing needs to be done.
pub async fn stop_network(_: Arc<Cluster>, _: Context, _: StopNetwork) -> Result<StopNetworkResponse, Refusal> {
    Ok(StopNetworkResponse::default())
}

/// True: the site's network has no security groups. No rules are fine, too (2.0.1 answered that
/// with a malformed message).
pub async fn configure_network(
    _: Arc<Cluster>,
    _: Context,
    _: ConfigureNetwork,
) -> Result<ConfigureNetworkResponse, Refusal> {
    Ok(ConfigureNetworkResponse::default())
}

/// Shows `source` as the public address of the instance with the private address `dest`; that it
/// is routed there is the site's business.
pub async fn assign_address(
    cluster: Arc<Cluster>,
    _: Context,
    request: AssignAddress,
) -> Result<AssignAddressResponse, Refusal> {
    let source = known("source", &request.source)?;
    let dest = known("dest", &request.dest)?;
    let show = cluster.change(|beliefs, _| beliefs.show_public_address(|instance| instance.private_ip == dest, source));
    show.await.map_err(ClusterError::from)?;
    Ok(AssignAddressResponse::default())
}

/// Stops showing `source`.
pub async fn unassign_address(
    cluster: Arc<Cluster>,
    _: Context,
    request: UnassignAddress,
) -> Result<UnassignAddressResponse, Refusal> {
    let source = known("source", &request.source)?;
    let hide = cluster.change(|beliefs, _| {
        beliefs.show_public_address(|instance| instance.public_ip == source, Ipv4Addr::UNSPECIFIED);
    });
    hide.await.map_err(ClusterError::from)?;
    Ok(UnassignAddressResponse::default())
}

/// Mode 0, no addresses per network, no networks.
pub async fn describe_networks(
    _: Arc<Cluster>,
    _: Context,
    _: DescribeNetworks,
) -> Result<DescribeNetworksResponse, Refusal> {
    Ok(DescribeNetworksResponse { mode: Some(0), addrs_per_net: Some(0), ..Default::default() })
}

/// False and NOTSUPPORTED.
pub async fn describe_public_addresses(
    _: Arc<Cluster>,
    _: Context,
    _: DescribePublicAddresses,
) -> Result<DescribePublicAddressesResponse, Refusal> {
    Err(Refusal::new(NOT_SUPPORTED))
}

/// An address that is one, and not 0.0.0.0.
fn known(field: &'static str, text: &str) -> Result<Ipv4Addr, ClusterError> {
    let found = address(text);
    if found.is_unspecified() {
        return Err(ClusterError::bad(field, format!("'{text}' is no address; send one as in 10.0.0.5")));
    }
    Ok(found)
}
