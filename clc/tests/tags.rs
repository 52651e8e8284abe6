//! Tags over the records: what hangs where, whose, and for how long.

mod support;

use ironbark_clc::actions::{instances, tags};
use ironbark_clc::ec2::Tag;
use ironbark_clc::ec2::instances::TerminateInstances;
use ironbark_clc::ec2::tags::{CreateTags, DeleteTags, DescribeTags, Doomed, Resource, ResourceType, TaggedResource};
use ironbark_clc::error::Code;

use support::{Lab, caller};

async fn tag(lab: &Lab, user: &str, ids: &[&str], key: &str, value: &str) -> Result<(), Code> {
    let resources = ids.iter().map(|id| Resource { kind: ResourceType::of_id(id).unwrap(), id: id.to_string() });
    let tags = vec![Tag { key: key.into(), value: value.into() }];
    let request = CreateTags { resources: resources.collect(), tags };
    tags::create_tags(lab.cloud.clone(), lab.ctx(), caller(user), request).await.map(drop).map_err(|error| error.code)
}

async fn untag(lab: &Lab, id: &str, doomed: Vec<Doomed>) {
    let resources = vec![Resource { kind: ResourceType::of_id(id).unwrap(), id: id.to_string() }];
    tags::delete_tags(lab.cloud.clone(), lab.ctx(), caller("admin"), DeleteTags { resources, tags: doomed })
        .await
        .unwrap();
}

/// Every tag of a user's things: id, key, value.
async fn tags_of(lab: &Lab, user: &str) -> Vec<(String, String, String)> {
    let answer =
        tags::describe_tags(lab.cloud.clone(), lab.ctx(), caller(user), DescribeTags::default()).await.unwrap();
    let row = |tagged: TaggedResource| {
        let [Tag { key, value }] = tagged.tag;
        (tagged.resource.id, key, value)
    };
    answer.tags.into_iter().map(row).collect()
}

#[tokio::test]
async fn tags_hang_on_all_that_is_named_or_on_none() {
    let lab = Lab::new().await;
    let ids = lab.run_instances(Lab::run(1)).await.unwrap();
    let id = ids[0].as_str();
    assert_eq!(tag(&lab, "admin", &[id, "i-0BADBEEF"], "a", "1").await, Err(Code::InvalidInstanceIdNotFound));
    assert_eq!(tag(&lab, "admin", &[id, "emi-0BADBEEF"], "a", "1").await, Err(Code::InvalidImageIdNotFound));
    assert_eq!(tag(&lab, "admin", &[id, "key-0badbeef"], "a", "1").await, Err(Code::InvalidKeyPairNotFound));
    assert_eq!(tag(&lab, "eve", &[id], "a", "1").await, Err(Code::InvalidInstanceIdNotFound), "another's is nobody's");
    assert_eq!(tag(&lab, "eve", &[support::IMAGE], "a", "1").await, Err(Code::UnauthorizedOperation));
    assert_eq!(tags_of(&lab, "admin").await, []);

    tag(&lab, "admin", &[&id.to_lowercase(), support::IMAGE], "a", "1").await.unwrap();
    tag(&lab, "admin", &[id], "a", "2").await.unwrap();
    let row = |id: &str, value: &str| (id.to_string(), "a".to_string(), value.to_string());
    assert_eq!(tags_of(&lab, "admin").await, [row(support::IMAGE, "1"), row(id, "2")]);
    assert_eq!(lab.describe(id).await.unwrap().tags, [Tag { key: "a".into(), value: "2".into() }]);
    assert_eq!(tags_of(&lab, "eve").await, []);
}

#[tokio::test]
async fn a_tag_is_deleted_by_its_key_by_its_value_or_with_all_others() {
    let lab = Lab::new().await;
    let left = async || tags_of(&lab, "admin").await.into_iter().map(|(_, key, _)| key).collect::<Vec<_>>();
    for (key, value) in [("a", "1"), ("b", ""), ("c", "3"), ("d", "4")] {
        tag(&lab, "admin", &[support::IMAGE], key, value).await.unwrap();
    }
    let doomed = |key: &str, value: Option<&str>| Doomed { key: key.into(), value: value.map(str::to_string) };
    untag(&lab, support::IMAGE, vec![doomed("a", Some("")), doomed("b", Some("")), doomed("nothing", None)]).await;
    assert_eq!(left().await, ["a", "c", "d"]);
    untag(&lab, support::IMAGE, vec![doomed("a", None), doomed("c", Some("3"))]).await;
    assert_eq!(left().await, ["d"]);
    untag(&lab, support::IMAGE, Vec::new()).await;
    assert_eq!(left().await, [""; 0]);
}

#[tokio::test]
async fn a_thing_has_fifty_tags_and_no_more() {
    let lab = Lab::new().await;
    for number in 0..50 {
        tag(&lab, "admin", &[support::IMAGE], &number.to_string(), "").await.unwrap();
    }
    assert_eq!(tag(&lab, "admin", &[support::IMAGE], "one more", "").await, Err(Code::TagLimitExceeded));
    tag(&lab, "admin", &[support::IMAGE], "7", "changed").await.unwrap();
    assert_eq!(tags_of(&lab, "admin").await.len(), 50);
}

#[tokio::test]
async fn tags_go_with_their_thing() {
    let lab = Lab::new().await;
    let ids = lab.running(1).await;
    tag(&lab, "admin", &[&ids[0], support::IMAGE], "a", "1").await.unwrap();
    lab.cloud.store.deregister_image(support::IMAGE.to_string()).await.unwrap();
    let terminate = TerminateInstances { instance_ids: ids.clone() };
    instances::terminate_instances(lab.cloud.clone(), lab.ctx(), caller("admin"), terminate).await.unwrap();
    lab.pass().await;
    lab.advance(1);
    lab.poll().await;
    assert_eq!(tags_of(&lab, "admin").await.len(), 1, "it is shown for an hour, with its tags");
    lab.advance(3601);
    assert_eq!(tags_of(&lab, "admin").await, []);
    assert_eq!(tag(&lab, "admin", &[&ids[0]], "a", "1").await, Err(Code::InvalidInstanceIdNotFound));
}
