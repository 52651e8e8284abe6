//! Who may see and run an image, over a scripted cluster: what its owner says, and nothing else.

mod support;

use ironbark_clc::actions::{image_attributes, images, run};
use ironbark_clc::ec2::image_attributes::{
    DescribeImageAttribute, ImageAttribute, ImageAttributeValue, ImageChange, ModifyImageAttribute, Permission,
    ResetImageAttribute,
};
use ironbark_clc::ec2::images::{DeregisterImage, DescribeImages};
use ironbark_clc::error::{Code, Ec2Error};

use support::{EVE, IMAGE, Lab, caller};

async fn seen_by(lab: &Lab, account: &str, request: DescribeImages) -> usize {
    let answer = images::describe_images(lab.cloud.clone(), lab.ctx(), caller(account), request).await;
    answer.unwrap().images.len()
}

async fn run_by(lab: &Lab, account: &str) -> Result<(), Ec2Error> {
    run::run_instances(lab.cloud.clone(), lab.ctx(), caller(account), Lab::run(1)).await.map(drop)
}

async fn modify(lab: &Lab, account: &str, change: ImageChange) -> Result<(), Ec2Error> {
    let request = ModifyImageAttribute { image_id: IMAGE.into(), change };
    image_attributes::modify_image_attribute(lab.cloud.clone(), lab.ctx(), caller(account), request).await.map(drop)
}

async fn attribute(lab: &Lab, account: &str, attribute: ImageAttribute) -> Result<ImageAttributeValue, Ec2Error> {
    let request = DescribeImageAttribute { image_id: IMAGE.to_lowercase(), attribute };
    let answer =
        image_attributes::describe_image_attribute(lab.cloud.clone(), lab.ctx(), caller(account), request).await;
    answer.map(|answer| answer.value)
}

fn let_in(account: &str) -> ImageChange {
    ImageChange::LaunchPermission { add: vec![Permission::Account(account.into())], remove: Vec::new() }
}

#[tokio::test]
async fn launch_permissions_decide_who_sees_and_runs() {
    let mut lab = Lab::new().await;
    assert_eq!(seen_by(&lab, "eve", DescribeImages::default()).await, 1, "it is public");
    let nobody = ImageChange::LaunchPermission { add: Vec::new(), remove: vec![Permission::All] };
    modify(&lab, "admin", nobody).await.unwrap();
    assert_eq!(seen_by(&lab, "eve", DescribeImages::default()).await, 0);
    assert_eq!(run_by(&lab, "eve").await.unwrap_err().code, Code::InvalidImageIdNotFound);
    assert_eq!(seen_by(&lab, "admin", DescribeImages::default()).await, 1);

    modify(&lab, "admin", let_in(EVE)).await.unwrap();
    lab.restart().await;
    assert_eq!(seen_by(&lab, "eve", DescribeImages::default()).await, 1);
    let by = |who: &str| DescribeImages { executable_by: vec![who.to_string()], ..DescribeImages::default() };
    assert_eq!(seen_by(&lab, "eve", by("self")).await, 1);
    assert_eq!(seen_by(&lab, "eve", by("all")).await, 0);
    assert_eq!(seen_by(&lab, "admin", by(EVE)).await, 1, "its owner knows whom it let in");
    run_by(&lab, "eve").await.unwrap();
    let permissions = attribute(&lab, "admin", ImageAttribute::LaunchPermission).await.unwrap();
    assert_eq!(permissions, ImageAttributeValue::Permissions(vec![Permission::Account(EVE.into())]));

    let reset = ResetImageAttribute { image_id: IMAGE.into() };
    image_attributes::reset_image_attribute(lab.cloud.clone(), lab.ctx(), caller("admin"), reset).await.unwrap();
    assert_eq!(seen_by(&lab, "eve", DescribeImages::default()).await, 0);
    assert_eq!(run_by(&lab, "eve").await.unwrap_err().code, Code::InvalidImageIdNotFound);
}

#[tokio::test]
async fn an_image_is_its_owners_to_change() {
    let lab = Lab::new().await;
    let code = |result: Result<(), Ec2Error>| result.unwrap_err().code;
    assert_eq!(code(modify(&lab, "eve", let_in(EVE)).await), Code::AuthFailure);
    let permissions = attribute(&lab, "eve", ImageAttribute::LaunchPermission).await;
    assert_eq!(permissions.unwrap_err().code, Code::AuthFailure, "whom it let in is its own affair");
    assert_eq!(
        attribute(&lab, "eve", ImageAttribute::Kernel).await.unwrap(),
        ImageAttributeValue::Text(None),
        "what it is may be known to who may run it"
    );
    modify(&lab, "admin", ImageChange::Description("a guest".into())).await.unwrap();
    let description = attribute(&lab, "eve", ImageAttribute::Description).await.unwrap();
    assert_eq!(description, ImageAttributeValue::Text(Some("a guest".into())));
    modify(&lab, "admin", ImageChange::Description(String::new())).await.unwrap();
    assert_eq!(attribute(&lab, "eve", ImageAttribute::Description).await.unwrap(), ImageAttributeValue::Text(None));
    assert_eq!(code(modify(&lab, "admin", let_in("999999999999")).await), Code::InvalidImageAttributeItemValue);
    let both = vec![Permission::Account(EVE.into()), Permission::Account("999999999999".into())];
    let change = ImageChange::LaunchPermission { add: both, remove: vec![Permission::All] };
    assert_eq!(code(modify(&lab, "admin", change).await), Code::InvalidImageAttributeItemValue);
    assert_eq!(seen_by(&lab, "eve", DescribeImages::default()).await, 1, "all or nothing");
}

#[tokio::test]
async fn an_image_goes_with_its_permissions() {
    let lab = Lab::new().await;
    modify(&lab, "admin", let_in(EVE)).await.unwrap();
    let deregister = DeregisterImage { image_id: IMAGE.into() };
    let refused = images::deregister_image(lab.cloud.clone(), lab.ctx(), caller("eve"), deregister.clone()).await;
    assert_eq!(refused.unwrap_err().code, Code::AuthFailure);
    images::deregister_image(lab.cloud.clone(), lab.ctx(), caller("admin"), deregister).await.unwrap();
    assert_eq!(seen_by(&lab, "eve", DescribeImages::default()).await, 0);
}
