//! Elastic addresses: out of the configured pool to accounts, and by clusters onto instances.
//!
//! An association is written down before its cluster is told, and forgotten after the cluster has
//! undone it; a cluster that cannot carry addresses is found out before anything is written.

use std::sync::Arc;

use ironbark_wsdl::{CallError, Context, cc};

use super::quotas::too_much;
use super::unanswered;
use crate::cloud::Cloud;
use crate::clusters::tell;
use crate::convert;
use crate::ec2::Done;
use crate::ec2::addresses::{
    AllocateAddress, AllocateAddressResponse, AssociateAddress, AssociateAddressResponse, DescribeAddresses,
    DescribeAddressesResponse, DisassociateAddress, ReleaseAddress,
};
use crate::ec2::instances::InstanceState;
use crate::error::{Code, Ec2Error};
use crate::front::{Action, Caller};
use crate::ids;
use crate::store::{Address, Allocated, Association, Deed, Instance};

/// Takes an address out of the pool.
///
/// # Errors
/// `AddressLimitExceeded`; `InsufficientAddressCapacity` if there is none left; `InvalidAddress.NotFound`,
/// `InvalidParameterValue` for one that was asked for and is not there, or not free.
pub async fn allocate_address(
    cloud: Arc<Cloud>,
    _: Context,
    caller: Caller,
    request: AllocateAddress,
) -> Result<AllocateAddressResponse, Ec2Error> {
    let taken = cloud.store.addresses(None).await?;
    let is_taken = |ip: &str| taken.iter().any(|address| address.public_ip == ip);
    let wanted = |ip: &String| request.address.as_ref().is_none_or(|wanted| wanted == ip);
    let candidates: Vec<String> = cloud.settings.addresses.iter().map(|ip| ip.to_string()).filter(wanted).collect();
    if let (Some(wanted), true) = (&request.address, candidates.is_empty()) {
        return Err(Ec2Error::no_address(wanted));
    }
    for public_ip in candidates.into_iter().filter(|ip| !is_taken(ip)) {
        let address = Address {
            public_ip,
            allocation_id: ids::allocation_id(),
            owner: caller.account.clone(),
            domain: request.domain,
            association: None,
            created: cloud.now(),
            tags: request.tags.clone(),
        };
        // Another request may be quicker: then the next one.
        match cloud.store.allocate_address(address.clone()).await? {
            Allocated::Made => {
                let Address { public_ip, allocation_id, domain, .. } = address;
                return Ok(AllocateAddressResponse { public_ip, allocation_id, domain });
            }
            Allocated::TooMuch(excess) => return Err(too_much(&excess)),
            Allocated::Taken => {}
        }
    }
    let text = match &request.address {
        Some(wanted) => return Err(Ec2Error::invalid("Address", wanted, "It is allocated already; take another.")),
        None if cloud.settings.addresses.is_empty() => {
            "The cloud has no elastic addresses: its administrator has not configured any (public_addresses)"
        }
        None => "Every elastic address of the cloud is allocated; release one first",
    };
    Err(Ec2Error::new(Code::InsufficientAddressCapacity, text))
}

/// Gives an address back to the pool.
///
/// # Errors
/// `InvalidAddress.NotFound`, `InvalidAllocationID.NotFound`; `InvalidIPAddress.InUse` while it is
/// on an instance.
pub async fn release_address(
    cloud: Arc<Cloud>,
    ctx: Context,
    caller: Caller,
    request: ReleaseAddress,
) -> Result<Done, Ec2Error> {
    let deed = cloud.deed(&ctx, &caller, ReleaseAddress::NAME);
    let address = cloud.store.address(caller.account, request.address.clone()).await?;
    let address = address.ok_or_else(|| request.address.not_found())?;
    match &address.association {
        Some(association) if association.ended => {
            take_off(&cloud, &ctx, &address.public_ip, association, &deed).await?
        }
        Some(_) | None => {}
    }
    if cloud.store.release_address(address.allocation_id).await? {
        return Ok(Done);
    }
    let text = format!("The address '{}' is in use; disassociate it first", address.public_ip);
    Err(Ec2Error::new(Code::InvalidIpAddressInUse, text))
}

/// The caller's addresses.
///
/// # Errors
/// `InvalidAddress.NotFound`, `InvalidAllocationID.NotFound` if one that was named is not there.
pub async fn describe_addresses(
    cloud: Arc<Cloud>,
    _: Context,
    caller: Caller,
    request: DescribeAddresses,
) -> Result<DescribeAddressesResponse, Ec2Error> {
    let all = cloud.store.addresses(Some(caller.account)).await?;
    request.answer(all.into_iter().map(convert::address).collect())
}

/// Puts an address on an instance.
///
/// # Errors
/// What is named and not there; `UnsupportedOperation` if the instance's cluster carries no elastic
/// addresses; `IncorrectInstanceState` while the instance has no address of its own;
/// `Resource.AlreadyAssociated`; `Unavailable`.
pub async fn associate_address(
    cloud: Arc<Cloud>,
    ctx: Context,
    caller: Caller,
    request: AssociateAddress,
) -> Result<AssociateAddressResponse, Ec2Error> {
    let address = cloud.store.address(caller.account.clone(), request.address.clone()).await?;
    let address = address.ok_or_else(|| request.address.not_found())?;
    let id = ids::canonical(&request.instance_id);
    let instance = cloud.store.instance(caller.account.clone().into(), id.clone()).await?;
    let instance = instance.ok_or_else(|| Ec2Error::no_instance(&id))?;
    check_ability(&cloud, &ctx, &instance.cluster).await?;
    let private_ip = own_address(&instance)?;
    let deed = cloud.deed(&ctx, &caller, AssociateAddress::NAME);
    let association = match address.association.clone().filter(|there| !there.ended) {
        // Told again: the answer to the first may have been lost.
        Some(there) if there.instance_id == id => there,
        Some(there) if !request.allow_reassociation => {
            let text = format!(
                "The address '{}' is associated with '{}' ({}); disassociate it first, or set AllowReassociation",
                address.public_ip, there.instance_id, there.id
            );
            return Err(Ec2Error::new(Code::AlreadyAssociated, text));
        }
        Some(_) | None => {
            make_room(&cloud, &ctx, &address, &id, &deed).await?;
            let association = Association {
                id: ids::association_id(),
                instance_id: id,
                cluster: instance.cluster.clone(),
                private_ip,
                ended: false,
            };
            if !cloud.store.associate(address.public_ip.clone(), association.clone(), deed.clone()).await? {
                let text = format!(
                    "The address '{}' was changed by another request meanwhile; look, then try again",
                    address.public_ip
                );
                return Err(Ec2Error::new(Code::AlreadyAssociated, text));
            }
            association
        }
    };
    let result = put_on(&cloud, &ctx, &address.public_ip, &association).await;
    let words = result.as_ref().map_or_else(|error| format!("failed: {}", error.message), |()| "done".to_string());
    cloud.store.request_ended(deed.request_id, vec![association.instance_id], words, cloud.now()).await?;
    result?;
    Ok(AssociateAddressResponse { association_id: association.id })
}

/// Takes an address off its instance.
///
/// # Errors
/// `InvalidAddress.NotFound`, `InvalidAssociationID.NotFound`; `Unavailable`.
pub async fn disassociate_address(
    cloud: Arc<Cloud>,
    ctx: Context,
    caller: Caller,
    request: DisassociateAddress,
) -> Result<Done, Ec2Error> {
    let deed = cloud.deed(&ctx, &caller, DisassociateAddress::NAME);
    let address = cloud.store.address(caller.account, request.address.clone()).await?;
    let address = address.ok_or_else(|| request.address.not_found())?;
    if let Some(association) = &address.association {
        take_off(&cloud, &ctx, &address.public_ip, association, &deed).await?;
    }
    Ok(Done)
}

/// Takes an address off an instance that has ended; false if it is on none such (any more).
///
/// # Errors
/// `Unavailable`.
pub(crate) async fn take_off_ended(
    cloud: &Cloud,
    ctx: &Context,
    public_ip: &str,
    deed: &Deed,
) -> Result<bool, Ec2Error> {
    let addresses = cloud.store.addresses(None).await?;
    let association = addresses.into_iter().find(|address| address.public_ip == public_ip);
    let association = association.and_then(|address| address.association).filter(|association| association.ended);
    match association {
        Some(association) => take_off(cloud, ctx, public_ip, &association, deed).await.map(|()| true),
        None => Ok(false),
    }
}

/// The address that its cluster knows an instance by.
fn own_address(instance: &Instance) -> Result<String, Ec2Error> {
    let state = instance.state();
    let lives = matches!(state, InstanceState::Pending | InstanceState::Running);
    instance.private_ip.clone().filter(|_| lives).ok_or_else(|| {
        let why = if lives { "has no address of its own yet".to_string() } else { format!("is {}", state.name()) };
        let text = format!("The instance '{}' {why}, so no elastic address can be put on it now", instance.id);
        Ec2Error::new(Code::IncorrectInstanceState, text)
    })
}

/// A cluster whose network mode has no elastic addresses says so when it is asked for its own: it
/// would take an association and do nothing about it.
async fn check_ability(cloud: &Cloud, ctx: &Context, cluster: &str) -> Result<(), Ec2Error> {
    let message = cc::DescribePublicAddresses::default();
    match tell(&cloud.clusters, ctx, cluster, message, cluster).await {
        Ok(_) => Ok(()),
        Err(CallError::Declined { .. }) => {
            let text = format!(
                "Zone {cluster} cannot put elastic addresses on instances: its guests take their addresses from the site's network (mode SYSTEM)"
            );
            Err(Ec2Error::new(Code::UnsupportedOperation, text))
        }
        Err(error) => Err(unanswered(cluster, error)),
    }
}

/// Takes the address from where it is, and from the instance what is on it.
async fn make_room(
    cloud: &Cloud,
    ctx: &Context,
    address: &Address,
    instance_id: &str,
    deed: &Deed,
) -> Result<(), Ec2Error> {
    for other in cloud.store.addresses(Some(address.owner.clone())).await? {
        let Some(there) = &other.association else { continue };
        if other.public_ip == address.public_ip || there.instance_id == instance_id {
            take_off(cloud, ctx, &other.public_ip, there, deed).await?;
        }
    }
    Ok(())
}

/// Tells the cluster. What it certainly did not do is forgotten; what is not known stays written
/// down, to be told again or undone.
async fn put_on(cloud: &Cloud, ctx: &Context, public_ip: &str, association: &Association) -> Result<(), Ec2Error> {
    let Association { id, cluster, private_ip, .. } = association;
    let message =
        cc::AssignAddress { source: public_ip.to_string(), dest: private_ip.clone(), ..cc::AssignAddress::default() };
    match tell(&cloud.clusters, ctx, cluster, message, public_ip).await {
        Ok(_) => Ok(()),
        Err(CallError::Declined { reason }) => {
            cloud.store.disassociate(id.clone(), None).await?;
            let text = format!("Zone {cluster} refused the address '{public_ip}': {reason}");
            Err(Ec2Error::new(Code::UnsupportedOperation, text))
        }
        Err(error) => {
            if matches!(error, CallError::Unreachable { .. }) {
                cloud.store.disassociate(id.clone(), None).await?;
            }
            Err(unanswered(cluster, error))
        }
    }
}

/// Tells the cluster, then forgets the association. A cluster that has no such thing any more (its
/// refusal), or that is not there any more, has nothing to undo.
async fn take_off(
    cloud: &Cloud,
    ctx: &Context,
    public_ip: &str,
    association: &Association,
    deed: &Deed,
) -> Result<(), Ec2Error> {
    let Association { id, cluster, private_ip, .. } = association;
    if cloud.clusters.known(cluster).is_some() {
        let message = cc::UnassignAddress {
            source: public_ip.to_string(),
            dest: private_ip.clone(),
            ..cc::UnassignAddress::default()
        };
        match tell(&cloud.clusters, ctx, cluster, message, public_ip).await {
            Ok(_) | Err(CallError::Declined { .. }) => {}
            Err(error) => return Err(unanswered(cluster, error)),
        }
    }
    Ok(cloud.store.disassociate(id.clone(), Some(deed.clone())).await?)
}
