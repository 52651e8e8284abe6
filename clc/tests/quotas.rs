//! Quotas: refused with the numbers, and never exceeded, however many ask at once.

mod support;

use ironbark_clc::actions::{addresses, quotas, run};
use ironbark_clc::ec2::addresses::{AddressRef, AllocateAddress, ReleaseAddress};
use ironbark_clc::ec2::admin::{DescribeQuotas, ModifyQuotas, QuotaRow};
use ironbark_clc::ec2::instances::TerminateInstances;
use ironbark_clc::error::{Code, Ec2Error};
use ironbark_clc::front::{Action, Params};
use tokio::task::JoinSet;

use support::{Lab, caller};

async fn set(lab: &Lab, pairs: &[(&str, &str)]) -> Result<(), Ec2Error> {
    let request = ModifyQuotas::parse(&Params::try_from(pairs)?)?;
    quotas::modify_quotas(lab.cloud.clone(), lab.ctx(), caller("admin"), request).await.map(drop)
}

async fn show(lab: &Lab, account: &str) -> Vec<QuotaRow> {
    let request = DescribeQuotas { account: None };
    quotas::describe_quotas(lab.cloud.clone(), lab.ctx(), caller(account), request).await.unwrap().0
}

#[tokio::test]
async fn what_is_too_much_is_refused_with_the_numbers() {
    let lab = Lab::new().await;
    set(&lab, &[("Instances", "3")]).await.unwrap();
    set(&lab, &[("AccountName", "admin"), ("Cores", "2"), ("Instances", "4")]).await.unwrap();
    let error = lab.run_instances(Lab::run(5)).await.unwrap_err();
    assert_eq!(error.code, Code::InstanceLimitExceeded);
    assert!(error.message.contains("5 more instances") && error.message.contains("limit is 4"), "{error}");
    let error = lab.run_instances(Lab::run(3)).await.unwrap_err();
    assert_eq!(error.code, Code::VcpuLimitExceeded);
    let ids = lab.run_instances(Lab::run(2)).await.unwrap();
    assert_eq!(lab.run_instances(Lab::run(1)).await.unwrap_err().code, Code::VcpuLimitExceeded);
    let own: Vec<(String, Option<u32>, i64, bool)> =
        show(&lab, "admin").await.into_iter().map(|row| (row.quantity, row.most, row.used, row.own)).collect();
    assert_eq!(own[0], ("instances".into(), Some(4), 2, true));
    assert_eq!(own[1], ("cores".into(), Some(2), 2, true));
    assert_eq!(own[2], ("memoryMb".into(), None, 256, false));
    assert_eq!(show(&lab, "eve").await[0].most, Some(3), "the default");

    // What is over counts no more.
    let request = TerminateInstances { instance_ids: ids };
    let ended = ironbark_clc::actions::instances::terminate_instances;
    ended(lab.cloud.clone(), lab.ctx(), caller("admin"), request).await.unwrap();
    assert_eq!(lab.run_instances(Lab::run(1)).await.unwrap_err().code, Code::VcpuLimitExceeded, "not over yet");
    lab.pass().await;
    lab.advance(1);
    lab.poll().await;
    lab.run_instances(Lab::run(2)).await.unwrap();
    set(&lab, &[("AccountName", "admin"), ("Cores", "unlimited"), ("Instances", "default")]).await.unwrap();
    assert_eq!(lab.run_instances(Lab::run(2)).await.unwrap_err().code, Code::InstanceLimitExceeded);
    lab.run_instances(Lab::run(1)).await.unwrap();
}

#[tokio::test]
async fn many_at_once_never_get_more_than_the_quota() {
    let lab = Lab::new().await;
    set(&lab, &[("MemoryMb", "1280")]).await.unwrap();
    let mut runs = JoinSet::new();
    for _ in 0..20 {
        runs.spawn(run::run_instances(lab.cloud.clone(), lab.ctx(), caller("admin"), Lab::run(1)));
    }
    let answers = runs.join_all().await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 10);
    assert_eq!(show(&lab, "admin").await[2].used, 1280);
}

#[tokio::test]
async fn addresses_have_their_quota_too() {
    let lab = Lab::new().await;
    set(&lab, &[("Addresses", "1")]).await.unwrap();
    let allocate = async || {
        let request = AllocateAddress::default();
        addresses::allocate_address(lab.cloud.clone(), lab.ctx(), caller("admin"), request).await
    };
    let first = allocate().await.unwrap().public_ip;
    let error = allocate().await.unwrap_err();
    assert_eq!(error.code, Code::AddressLimitExceeded);
    assert!(error.message.contains("have 1") && error.message.contains("limit is 1"), "{error}");
    let release = ReleaseAddress { address: AddressRef::Ip(first) };
    addresses::release_address(lab.cloud.clone(), lab.ctx(), caller("admin"), release).await.unwrap();
    allocate().await.unwrap();
}

#[tokio::test]
async fn settings_are_checked() {
    let lab = Lab::new().await;
    for bad in ["-1", "many", "", "4294967296"] {
        let error = set(&lab, &[("Instances", bad)]).await.unwrap_err();
        assert!(matches!(error.code, Code::InvalidParameterValue | Code::MissingParameter), "{bad}: {error}");
    }
    assert_eq!(set(&lab, &[]).await.unwrap_err().code, Code::MissingParameter);
    assert_eq!(set(&lab, &[("AccountName", "nobody"), ("Cores", "1")]).await.unwrap_err().code, Code::NoSuchEntity);
}
