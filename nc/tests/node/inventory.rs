//! What a node says is really there.

use ironbark_nc::hypervisor::{Hypervisor, OffReason};
use ironbark_wsdl::ironbark;

use crate::lab::{Lab, PATIENCE, Running};

const ID: &str = "i-00000001";

async fn inventory(node: &Running) -> ironbark::Inventory {
    let answer = node.call(ironbark::DescribeInventory::default()).await.unwrap();
    assert_eq!(answer.inventories.len(), 1);
    answer.inventories.into_iter().next().unwrap()
}

#[tokio::test]
async fn a_node_tells_what_is_there_and_what_it_cannot_explain() {
    let lab = Lab::new();
    let node = lab.start().await;
    node.launched(&lab, ID).await;
    let found = inventory(&node).await;
    assert_eq!(
        (found.node_name.as_str(), found.trouble.as_ref(), found.hypervisor_trouble.as_ref()),
        ("n1", None, None)
    );
    let instance = &found.instances[0];
    assert_eq!(
        (instance.instance_id.as_str(), instance.owner_id.as_str(), instance.state.as_str()),
        (ID, "alice", "running")
    );
    assert_eq!((instance.domain.as_deref(), instance.files), (Some("running"), true));
    assert!(found.disk_free > 0);
    assert!(found.strange_domains.is_empty() && found.strange_files.is_empty() && found.unreadable.is_empty());

    let mut stranger = lab.hypervisor.spec(ID).unwrap();
    stranger.key.name = "i-0000AAAA".to_string();
    stranger.key.uuid = uuid::Uuid::new_v4();
    lab.hypervisor.start(stranger, PATIENCE).await.unwrap();
    std::fs::create_dir(lab.files("i-0000BBBB")).unwrap();
    lab.hypervisor.guest_stops(ID, OffReason::Crashed);
    std::fs::remove_dir_all(lab.files(ID)).unwrap();
    let found = inventory(&node).await;
    assert_eq!(
        (found.strange_domains, found.strange_files),
        (vec!["i-0000AAAA".to_string()], vec!["i-0000BBBB".to_string()])
    );
    assert_eq!((found.instances[0].domain.as_deref(), found.instances[0].files), (Some("off"), false));
    assert!(lab.files("i-0000BBBB").exists() && lab.hypervisor.boots("i-0000AAAA") == 1, "it only looks");
}

#[tokio::test]
async fn what_the_hypervisor_does_not_say_is_not_guessed() {
    let lab = Lab::new();
    let node = lab.start().await;
    node.launched(&lab, ID).await;
    lab.hypervisor.set_unavailable(Some("no libvirtd"));
    let found = inventory(&node).await;
    assert!(found.hypervisor_trouble.unwrap().contains("no libvirtd"));
    assert_eq!((found.instances[0].domain.as_ref(), found.instances[0].state.as_str()), (None, "running"));
}
