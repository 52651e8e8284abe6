//! DescribeInstances by a user who signs: from the CLC's records alone, as always, so no cluster is needed.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use ironbark_clc::config::Config;
use ironbark_clc::lifecycle::Observed;
use ironbark_clc::store::{Attributes, Launch, OnFailure, Report, Reservation, Reserved, Store};

use crate::Plan;
use crate::bed::{clc, keys, scratch};
use crate::client::{Ec2, USER};
use crate::load;
use crate::part::Part;
use crate::report::Goal::Least;
use crate::report::{Row, Table};

/// Nobody listens there, so what is in the records stays as it is.
pub const NO_CLUSTER: &str = "http://127.0.0.1:9/axis2/services/EucalyptusCC";
/// Instances of one reservation.
const TOGETHER: usize = 20;

/// The table.
///
/// # Errors
/// The first call that fails.
pub async fn table(plan: &Plan) -> Result<Table> {
    let columns = &["calls/s", "p50 ms", "p99 ms", "clc ms", "load ms", "kB"];
    let mut table = Table::new("describe: SigV4 DescribeInstances", columns, "calls/s");
    for count in [1, 100, 10_000] {
        let directory = scratch()?;
        let path = directory.path();
        keys(path)?;
        let (clc, user) = clc(path, NO_CLUSTER).await?;
        fill(path, count).await?;
        for clients in [1, 8] {
            let row = measure(plan, &clc, &user, &format!("all of {count}"), "", clients).await?;
            table.add(if (count, clients) == (100, 8) { row.goal("calls/s", Least(3000.0)) } else { row });
        }
        if count > TOGETHER {
            let one = format!("&InstanceId.1={}", id(count / 2));
            table.add(measure(plan, &clc, &user, &format!("one of {count}"), &one, 8).await?);
        }
    }
    Ok(table)
}

async fn measure(plan: &Plan, clc: &Part, user: &Arc<Ec2>, what: &str, form: &str, clients: usize) -> Result<Row> {
    let name = format!("{what}, {clients} client{}", if clients == 1 { "" } else { "s" });
    let bytes = user.ask("DescribeInstances", form).await?.len();
    let (user, form) = (user.clone(), form.to_string());
    let parts = [clc];
    let figures = load::measure(clients, plan.window(), &parts, move |_| {
        let (user, form) = (user.clone(), form.clone());
        async move {
            let answer = user.ask("DescribeInstances", &form).await?;
            ensure!(answer.len() == bytes, "an answer of {} bytes instead of {bytes}", answer.len());
            Ok(())
        }
    });
    let figures = figures.await.with_context(|| name.clone())?;
    let row = vec![figures.rate, figures.p50, figures.p99, figures.cpu[0], figures.own, bytes as f64 / 1000.0];
    Ok(Row::new(name, row))
}

/// The id of the instance of that number, from 1.
pub fn id(number: usize) -> String {
    format!("i-{number:08X}")
}

/// Running instances in the records, as RunInstances and its cluster's reports would have made them.
///
/// # Errors
/// Whatever the store says.
pub async fn fill(path: &Path, count: usize) -> Result<()> {
    let store = Store::open(&Config::load(&path.join("clc.toml"))?.database())?;
    let account = store.account(USER.to_string()).await?.context("init makes an account")?.id;
    let ids: Vec<String> = (1..=count).map(id).collect();
    let now = jiff::Timestamp::now().as_microsecond();
    for (number, ids) in ids.chunks(TOGETHER).enumerate() {
        let launch = Launch {
            reservation: reservation(number, &account, now),
            instance_ids: ids.to_vec(),
            tags: Vec::new(),
            by: "admin/admin".to_string(),
            digest: String::new(),
            zone_named: false,
            zone_verdicts: Vec::new(),
            attributes: Attributes::default(),
        };
        ensure!(store.reserve(launch).await? == Reserved::Made, "a reservation was not made");
    }
    let report = |id: &String| Report {
        id: id.clone(),
        observed: Observed::Running,
        reason: None,
        node: Some("n1".to_string()),
        private_ip: Some("10.0.0.7".to_string()),
        public_ip: Some("10.0.0.7".to_string()),
        boot_count: Some(1),
        epoch: None,
        by_guest: None,
        last_reboot: None,
    };
    let told = store
        .report("cluster1".to_string(), ids.iter().map(report).collect(), Vec::new(), OnFailure::Restart, now)
        .await?;
    ensure!(told.strangers.is_empty(), "reports about instances that are not there");
    Ok(())
}

fn reservation(number: usize, owner: &str, created: i64) -> Reservation {
    Reservation {
        id: format!("r-{number:08X}"),
        owner: owner.to_string(),
        cluster: "cluster1".to_string(),
        request_id: "6f0c4711-0000-4000-8000-000000000001".to_string(),
        min_count: 1,
        image_id: "emi-00000001".to_string(),
        image_url: "file:///nothing".to_string(),
        kernel: None,
        ramdisk: None,
        architecture: "x86_64".to_string(),
        root_device_name: None,
        type_name: "m1.small".to_string(),
        memory_mb: 128,
        cores: 1,
        disk_gb: 10,
        key_name: None,
        public_key: String::new(),
        groups: Vec::new(),
        placement_group: None,
        user_data: Vec::new(),
        client_token: None,
        created,
    }
}
