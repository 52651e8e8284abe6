//! RunInstances: from the wire to an order, and the accepted instances back. Who launches is
//! `launch`.

use std::collections::BTreeSet;
use std::sync::Arc;

use ironbark_wsdl::cc::{RunInstances, RunInstancesResponse};
use ironbark_wsdl::{Context, Refusal, cc};
use tracing::Instrument;

use super::within_limit;
use crate::cluster::Cluster;
use crate::cluster::instance::Spec;
use crate::convert;
use crate::error::ClusterError;
use crate::ids::InstanceId;
use crate::launch;
use crate::placing::Order;

/// Starts the instances of a reservation and answers those that the cluster answers for from now
/// on: at least minCount of them, or none and return=false.
pub async fn run_instances(
    cluster: Arc<Cluster>,
    ctx: Context,
    request: RunInstances,
) -> Result<RunInstancesResponse, Refusal> {
    let order = order(&request, &ctx)?;
    // A task of its own: a caller that hangs up must not leave launches half counted.
    let run = tokio::spawn({
        let cluster = cluster.clone();
        async move { ctx.during(launch::run(&cluster, &ctx, order)).await }.instrument(tracing::Span::current())
    });
    let kept =
        run.await.map_err(|error| Refusal::new(format!("the launch broke off in this controller: {error}")))??;
    let instances = cluster.read(|beliefs| {
        let kept = kept.iter().filter_map(|id| beliefs.instances.get(id));
        kept.map(|instance| accepted(convert::instance(instance, beliefs))).collect()
    });
    Ok(RunInstancesResponse { instances, ..Default::default() })
}

/// 2.0.1 leaves these two out of this answer (wire/captures, recorded fact).
fn accepted(instance: cc::Instance) -> cc::Instance {
    cc::Instance { group_names: Vec::new(), bundle_task_state_name: None, ..instance }
}

/// Checks a run request (wire/cc.md 10.1, step 1).
fn order(request: &RunInstances, ctx: &Context) -> Result<Order, ClusterError> {
    within_limit(&request.instance_ids)?;
    let least = count("minCount", request.min_count)?;
    let most = count("maxCount", request.max_count)?;
    if least > most {
        return Err(ClusterError::bad("minCount", format!("{least} is more than maxCount {most}")));
    }
    let size = convert::size(&request.instance_type.clone().unwrap_or_default());
    if size.memory_mb <= 0 || size.disk_gb <= 0 || size.cores <= 0 {
        return Err(ClusterError::bad(
            "instanceType",
            format!("memory, disk and cores must each be 1 or more; it has {size}"),
        ));
    }
    if request.image_url.as_ref().is_none_or(String::is_empty) {
        return Err(ClusterError::bad("imageURL", "is missing or empty; a node needs it to get the image"));
    }
    if request.instance_ids.len() < most {
        let given = request.instance_ids.len();
        return Err(ClusterError::bad("instanceIds", format!("{given} ids for {most} instances; give one for each")));
    }
    let mut seen = BTreeSet::new();
    let mut wished = Vec::with_capacity(most);
    for (index, text) in request.instance_ids.iter().take(most).enumerate() {
        let id = InstanceId::parse(text)?;
        if !seen.insert(id.clone()) {
            return Err(ClusterError::bad("instanceIds", format!("{id} comes twice")));
        }
        let spec = convert::spec(request, &ctx.user, &id, index);
        let spec = Spec { request_id: Some(ctx.request.to_string()), ..spec };
        wished.push((id, spec));
    }
    Ok(Order { wished, least })
}

fn count(field: &'static str, number: i32) -> Result<usize, ClusterError> {
    usize::try_from(number)
        .ok()
        .filter(|count| *count > 0)
        .ok_or_else(|| ClusterError::bad(field, format!("{number} is no count; it must be 1 or more")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ctx() -> Context {
        let recorder = std::sync::Arc::new(ironbark_wsdl::Recorder::new("cc:c"));
        Context::new(ironbark_wsdl::RequestId::random(), "alice", std::time::Duration::from_secs(5), recorder)
    }

    fn request() -> RunInstances {
        RunInstances {
            image_url: Some("file:/image".into()),
            instance_type: Some(cc::VirtualMachine {
                memory: Some(128),
                cores: Some(1),
                disk: Some(2),
                ..Default::default()
            }),
            min_count: 1,
            max_count: 2,
            instance_ids: vec!["i-00000001".into(), "i-00000002".into(), "i-00000003".into()],
            ..Default::default()
        }
    }

    #[test]
    fn ids_beyond_max_count_are_spare() {
        let order = order(&request(), &ctx()).unwrap();
        assert_eq!(order.wished.len(), 2);
        assert_eq!((order.wished[0].1.owner.as_str(), order.wished[1].1.mac.as_str()), ("alice", "d0:0d:00:00:00:02"));
        assert_eq!(order.wished[0].1.platform, None);
    }

    #[test]
    fn what_is_wrong_is_named() {
        type Spoil = fn(&mut RunInstances);
        let cases: [(&str, Spoil); 8] = [
            ("minCount", |r| r.min_count = 0),
            ("maxCount", |r| r.max_count = -1),
            ("minCount", |r| r.min_count = 3),
            ("instanceType", |r| r.instance_type = None),
            ("imageURL", |r| r.image_url = None),
            ("instanceIds", |r| r.instance_ids.truncate(1)),
            ("instanceIds", |r| r.instance_ids[1] = r.instance_ids[0].clone()),
            ("hexadecimal", |r| r.instance_ids[1] = "i-../../etc".into()),
        ];
        for (expected, spoil) in cases {
            let mut request = request();
            spoil(&mut request);
            let error = order(&request, &ctx()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
