//! The cloud that is measured: keys, files, a node, a cluster controller in the mode that a row asks for, a cloud
//! controller, and instances that run.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use ironbark_clc::config::Config;
use ironbark_clc::ec2::images::ImageType;
use ironbark_clc::init;
use ironbark_clc::store::{AccessKey, Cluster, Image, Store};
use ironbark_tests::daemon::free_address;
use ironbark_wsdl::wsse::Identity;
use tempfile::TempDir;

use crate::client::{Ec2, Soap, USER};
use crate::part::Part;
use crate::parts::CC_PATH;

/// How long is waited for anything.
const PATIENCE: Duration = Duration::from_secs(60);
/// The image of every instance, a mebibyte of nothing.
const IMAGE: &str = "emi-00000001";

/// How the cluster controller calls its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In a child per call.
    Fork,
    /// In its own process.
    Semaphore,
    /// In its own process, and nobody signs.
    Unsigned,
}

impl Mode {
    /// Its name in the tables.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Fork => "fork",
            Mode::Semaphore => "semaphore",
            Mode::Unsigned => "semaphore, unsigned",
        }
    }

    fn words(self) -> [&'static str; 2] {
        match self {
            Mode::Fork => ["fork", "signed"],
            Mode::Semaphore => ["semaphore", "signed"],
            Mode::Unsigned => ["semaphore", "unsigned"],
        }
    }
}

/// A cloud under measurement. It ends with its value.
pub struct Bed {
    /// Its cloud controller.
    pub clc: Part,
    /// Its node controller.
    pub nc: Part,
    /// Its user.
    pub ec2: std::sync::Arc<Ec2>,
    node_urls: [String; 2],
    cc_address: String,
    directory: TempDir,
}

impl Bed {
    /// Makes keys, records and files, and starts node and cloud; the cluster controller comes with [`Bed::cc`].
    ///
    /// # Errors
    /// Whatever fails of it.
    pub async fn new() -> Result<Self> {
        let directory = scratch()?;
        let path = directory.path();
        for (tier, name) in [("clc", "clc"), ("cc", "cluster1"), ("nc", "n1")] {
            Identity::load_or_generate(&path.join(tier), name)?;
        }
        std::fs::create_dir(path.join("images"))?;
        std::fs::write(path.join("images/root"), vec![0u8; 1 << 20])?;
        let cc_address = free_address();
        let (clc_address, key) = records(path, &format!("http://{cc_address}{CC_PATH}")).await?;
        let mut nc = Part::start("nc", path, &["nc", &text(path)?])?;
        let urls = nc.line()?;
        let (signed, unsigned) = urls.split_once(' ').context("the node says two URLs")?;
        let node_urls = [signed.to_string(), unsigned.to_string()];
        let clc = Part::start("clc", path, &["clc", &text(path)?])?;
        let ec2 = std::sync::Arc::new(Ec2::new(&clc_address, key));
        let bed = Self { clc, nc, ec2, node_urls, cc_address, directory };
        bed.until("the cloud to answer", "DescribeRegions", "", |_| true).await?;
        Ok(bed)
    }

    /// Starts the cluster controller in that mode, and a caller of it.
    ///
    /// # Errors
    /// Why it does not start.
    pub fn cc(&self, mode: Mode) -> Result<(Part, Soap)> {
        let [isolation, signatures] = mode.words();
        let node = &self.node_urls[usize::from(mode == Mode::Unsigned)];
        let path = self.directory.path();
        let mut cc = Part::start("cc", path, &["cc", &text(path)?, isolation, signatures, &self.cc_address, node])?;
        cc.line()?;
        let url = format!("http://{}{CC_PATH}", self.cc_address);
        let caller = match mode {
            Mode::Fork | Mode::Semaphore => Soap::signed(path, &url)?,
            Mode::Unsigned => Soap::unsigned(&url),
        };
        Ok((cc, caller))
    }

    /// Runs so many instances, and gives the ids of all once they run. The cluster must be there.
    ///
    /// # Errors
    /// That they do not.
    pub async fn run_instances(&self, count: usize) -> Result<Vec<String>> {
        let run = format!("&ImageId={IMAGE}&InstanceType=m1.small&MinCount={count}&MaxCount={count}");
        // Refused until the cloud has heard of the cluster's room.
        let answer = self.until("room for instances", "RunInstances", &run, |_| true).await?;
        let ids: Vec<String> = answer
            .split("<instanceId>")
            .skip(1)
            .filter_map(|rest| rest.split('<').next())
            .map(str::to_string)
            .collect();
        ensure!(ids.len() == count, "{} of {count} instances were accepted", ids.len());
        self.until("the instances to run", "DescribeInstances", "", |text| {
            text.matches("<name>running</name>").count() == count
        })
        .await?;
        Ok(ids)
    }

    /// Asks again and again until there is a good answer.
    async fn until(&self, what: &str, action: &str, more: &str, good: impl Fn(&str) -> bool) -> Result<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.ec2.ask(action, more).await {
                Ok(text) if good(&text) => return Ok(text),
                answer => ensure!(Instant::now() < deadline, "waited in vain for {what}; the last answer: {answer:?}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// A directory on the disk that the build is on, for a file system in memory would flatter us.
///
/// # Errors
/// If it cannot be made.
pub fn scratch() -> Result<TempDir> {
    TempDir::with_prefix_in("cloud-", env!("CARGO_TARGET_TMPDIR")).context("a directory for the cloud")
}

/// Configuration and records of a cloud with one cluster, one user and one image; gives the cloud's address and the
/// user's key.
async fn records(path: &Path, cluster_url: &str) -> Result<(String, AccessKey)> {
    let address = free_address();
    let text = format!("listen = \"{address}\"\nstate_dir = \"clc\"\nurl = \"http://{address}/services/Eucalyptus\"\n");
    std::fs::write(path.join("clc.toml"), text)?;
    let config = Config::load(&path.join("clc.toml"))?;
    init::init(&config, &path.join("credentials")).await?;
    let store = Store::open(&config.database())?;
    let created = jiff::Timestamp::now().as_microsecond();
    let cluster = Cluster {
        name: "cluster1".to_string(),
        url: cluster_url.to_string(),
        certificate: std::fs::read_to_string(path.join("cc/cert.pem"))?,
        profile: "strict".to_string(),
        created,
    };
    store.register_cluster(cluster).await?;
    let account = store.account(USER.to_string()).await?.context("init makes an account")?.id;
    let user = store.user(account.clone(), USER.to_string()).await?.context("init makes a user")?.user;
    let image = Image {
        id: IMAGE.to_string(),
        owner: account.clone(),
        kind: ImageType::Machine,
        name: "nothing".to_string(),
        description: None,
        location: format!("file://{}", path.join("images/root").display()),
        sha256: None,
        architecture: "x86_64".to_string(),
        kernel_id: None,
        ramdisk_id: None,
        root_device_name: None,
        public: true,
        created,
        tags: Vec::new(),
    };
    store.register_image(image).await?;
    let keys = store.access_keys(user.id).await?;
    let key = keys.into_iter().next().context("init makes a key")?;
    Ok((address, key))
}

fn text(path: &Path) -> Result<String> {
    path.to_str().map(str::to_string).context("a path that is text")
}
