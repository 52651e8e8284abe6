//! Elastic addresses: out of the pool, onto instances, and what becomes of them when calls fail.

mod support;

use ironbark_clc::actions::{addresses, admin, instances};
use ironbark_clc::ec2::addresses::{
    Address, AddressRef, AllocateAddress, AssociateAddress, DescribeAddresses, DisassociateAddress, ReleaseAddress,
};
use ironbark_clc::ec2::admin::DeregisterCluster;
use ironbark_clc::ec2::instances::TerminateInstances;
use ironbark_clc::error::{Code, Ec2Error};

use support::{Lab, Trouble, ZONE, caller};

/// What instances of the scripted cluster have.
const OWN: &str = "10.0.0.7";

/// A lab whose cluster carries elastic addresses, as one in mode MANAGED does.
async fn managed() -> Lab {
    let lab = Lab::new().await;
    *lab.cc.assigned.lock().unwrap() = Some(Default::default());
    lab
}

fn assigned(lab: &Lab) -> Vec<(String, String)> {
    lab.cc.assigned.lock().unwrap().clone().unwrap().into_iter().collect()
}

async fn allocate(lab: &Lab, account: &str) -> Result<String, Code> {
    let request = AllocateAddress::default();
    let made = addresses::allocate_address(lab.cloud.clone(), lab.ctx(), caller(account), request).await;
    made.map(|made| made.public_ip).map_err(|error| error.code)
}

async fn all(lab: &Lab, account: &str) -> Vec<Address> {
    let request = DescribeAddresses::default();
    addresses::describe_addresses(lab.cloud.clone(), lab.ctx(), caller(account), request).await.unwrap().addresses
}

/// The instance that an address of the administrator's is on.
async fn place(lab: &Lab, ip: &str) -> Option<String> {
    let found = all(lab, "admin").await.into_iter().find(|address| address.public_ip == ip).unwrap();
    found.association.map(|association| association.instance_id)
}

async fn associate(lab: &Lab, address: AddressRef, instance_id: &str, again: bool) -> Result<String, Ec2Error> {
    let request = AssociateAddress { address, instance_id: instance_id.into(), allow_reassociation: again };
    let done = addresses::associate_address(lab.cloud.clone(), lab.ctx(), caller("admin"), request).await;
    done.map(|done| done.association_id)
}

async fn disassociate(lab: &Lab, address: AddressRef) -> Result<(), Code> {
    let request = DisassociateAddress { address };
    let done = addresses::disassociate_address(lab.cloud.clone(), lab.ctx(), caller("admin"), request).await;
    done.map(drop).map_err(|error| error.code)
}

async fn release(lab: &Lab, account: &str, ip: &str) -> Result<(), Code> {
    let request = ReleaseAddress { address: by(ip) };
    let done = addresses::release_address(lab.cloud.clone(), lab.ctx(), caller(account), request).await;
    done.map(drop).map_err(|error| error.code)
}

fn by(ip: &str) -> AddressRef {
    AddressRef::Ip(ip.into())
}

#[tokio::test]
async fn the_pool_is_given_out_once() {
    let lab = Lab::new().await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (cloud, ctx) = (lab.cloud.clone(), lab.ctx());
        tasks.spawn(addresses::allocate_address(cloud, ctx, caller("admin"), AllocateAddress::default()));
    }
    let answers = tasks.join_all().await;
    let refused: Vec<Code> = answers.into_iter().filter_map(|answer| answer.err().map(|error| error.code)).collect();
    assert_eq!(refused, [Code::InsufficientAddressCapacity]);
    assert!(!Code::InsufficientAddressCapacity.is_server(), "clients would try again and again");
    assert_eq!(all(&lab, "admin").await.len(), 3);
    assert_eq!(all(&lab, "eve").await, []);
    assert_eq!(release(&lab, "eve", "192.0.2.11").await, Err(Code::InvalidAddressNotFound));
    release(&lab, "admin", "192.0.2.11").await.unwrap();
    assert_eq!(allocate(&lab, "eve").await.as_deref(), Ok("192.0.2.11"));
}

#[tokio::test]
async fn a_cluster_without_elastic_addresses_is_told_nothing() {
    let lab = Lab::new().await;
    let ids = lab.running(1).await;
    let ip = allocate(&lab, "admin").await.unwrap();
    let refused = associate(&lab, by(&ip), &ids[0], true).await.unwrap_err();
    assert_eq!(refused.code, Code::UnsupportedOperation);
    assert!(refused.message.contains("SYSTEM") && refused.message.contains(ZONE), "{refused}");
    assert_eq!(lab.wire.count("AssignAddress"), 0);
    assert_eq!(place(&lab, &ip).await, None);
}

#[tokio::test]
async fn an_address_moves_and_an_instance_has_one() {
    let lab = managed().await;
    let ids = lab.running(2).await;
    let (first, second) = (allocate(&lab, "admin").await.unwrap(), allocate(&lab, "admin").await.unwrap());
    let association = associate(&lab, by(&first), &ids[0], true).await.unwrap();
    assert_eq!(assigned(&lab), [(first.clone(), OWN.to_string())]);
    assert_eq!(associate(&lab, by(&first), &ids[0], false).await.unwrap(), association, "told again");

    assert_eq!(associate(&lab, by(&first), &ids[1], false).await.unwrap_err().code, Code::AlreadyAssociated);
    associate(&lab, by(&first), &ids[1], true).await.unwrap();
    assert_eq!(place(&lab, &first).await.as_ref(), Some(&ids[1]));
    assert_eq!(disassociate(&lab, AddressRef::Association(association)).await, Err(Code::InvalidAssociationIdNotFound));

    associate(&lab, by(&second), &ids[1], true).await.unwrap();
    assert_eq!(place(&lab, &first).await, None, "an instance has one elastic address");
    assert_eq!(assigned(&lab), [(second.clone(), OWN.to_string())]);
    assert_eq!(release(&lab, "admin", &second).await, Err(Code::InvalidIpAddressInUse));
    disassociate(&lab, by(&second)).await.unwrap();
    disassociate(&lab, by(&second)).await.unwrap();
    assert_eq!(assigned(&lab), []);
    release(&lab, "admin", &second).await.unwrap();
}

#[tokio::test]
async fn what_a_cluster_did_not_do_is_not_written_down_and_what_is_unknown_is() {
    let lab = managed().await;
    let ids = lab.running(1).await;
    let ip = allocate(&lab, "admin").await.unwrap();
    lab.wire.trouble("AssignAddress", Trouble::NotSent);
    assert_eq!(associate(&lab, by(&ip), &ids[0], true).await.unwrap_err().code, Code::Unavailable);
    assert_eq!(place(&lab, &ip).await, None);

    lab.wire.trouble("AssignAddress", Trouble::AnswerLost);
    assert_eq!(associate(&lab, by(&ip), &ids[0], true).await.unwrap_err().code, Code::Unavailable);
    assert_eq!(place(&lab, &ip).await.as_ref(), Some(&ids[0]), "it may well be there: it can be told again, or undone");
    disassociate(&lab, by(&ip)).await.unwrap();
    assert_eq!(assigned(&lab), []);

    lab.cc.refuse("AssignAddress", "no such public address");
    let refused = associate(&lab, by(&ip), &ids[0], true).await.unwrap_err();
    assert!(refused.code == Code::UnsupportedOperation && refused.message.contains("no such public"), "{refused}");
    assert_eq!(place(&lab, &ip).await, None);
}

#[tokio::test]
async fn an_address_outlives_its_instance_and_its_cluster_forgets_it_first() {
    let lab = managed().await;
    let ids = lab.running(1).await;
    let ip = allocate(&lab, "admin").await.unwrap();
    let unseen = lab.run_instances(Lab::run(1)).await.unwrap();
    assert_eq!(associate(&lab, by(&ip), &unseen[0], true).await.unwrap_err().code, Code::IncorrectInstanceState);
    associate(&lab, by(&ip), &ids[0], true).await.unwrap();
    let both = [ids[0].clone(), unseen[0].clone()].to_vec();
    let end = TerminateInstances { instance_ids: both };
    instances::terminate_instances(lab.cloud.clone(), lab.ctx(), caller("admin"), end).await.unwrap();
    lab.pass().await;
    lab.advance(1);
    lab.poll().await;
    assert_eq!(place(&lab, &ip).await, None, "it is on nothing that is shown");
    assert_eq!(associate(&lab, by(&ip), &ids[0], true).await.unwrap_err().code, Code::IncorrectInstanceState);
    lab.wire.trouble("UnassignAddress", Trouble::NotSent);
    assert_eq!(release(&lab, "admin", &ip).await, Err(Code::Unavailable), "or another would get what leads there");
    release(&lab, "admin", &ip).await.unwrap();
    assert_eq!(assigned(&lab), []);
    let gone = DeregisterCluster { name: ZONE.into() };
    admin::deregister_cluster(lab.cloud.clone(), lab.ctx(), caller("admin"), gone).await.unwrap();
}
