//! The cloud that is measured: keys, files, a node, a cluster controller in the mode that a row asks for, a cloud
//! controller, and instances that run.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use ironbark_clc::config::Config;
use ironbark_clc::init;
use ironbark_tests::daemon::free_address;
use ironbark_wsdl::wsse::Identity;
use tempfile::TempDir;

use crate::client::{Ec2, Soap, encode};
use crate::part::Part;
use crate::parts::CC_PATH;

/// How long is waited for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// How the cluster controller calls its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode {
    /// Each call in a child of its own, and not in the controller's process.
    pub fork: bool,
    /// Messages are signed: the node's, and those from and to the controller's own caller.
    pub signed: bool,
}

impl Mode {
    /// As a cluster controller is without configuration.
    pub const FORK: Mode = Mode { fork: true, signed: true };
    /// As it is with `isolation = "semaphore"`.
    pub const SEMAPHORE: Mode = Mode { fork: false, signed: true };

    /// Its name in the tables.
    pub fn name(self) -> String {
        let [isolation, signatures] = self.words();
        if self.signed { isolation.to_string() } else { format!("{isolation}, {signatures}") }
    }

    fn words(self) -> [&'static str; 2] {
        [if self.fork { "fork" } else { "semaphore" }, if self.signed { "signed" } else { "unsigned" }]
    }
}

/// A cloud under measurement. It ends with its value.
pub struct Bed {
    /// Its cloud controller.
    pub clc: Part,
    /// Its node controller.
    pub nc: Part,
    /// Its user.
    pub ec2: Arc<Ec2>,
    /// The image of every instance, a mebibyte of nothing.
    pub image: String,
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
        keys(path)?;
        std::fs::create_dir(path.join("images"))?;
        std::fs::write(path.join("images/root"), vec![0u8; 1 << 20])?;
        let cc_address = free_address();
        let mut nc = Part::node("nc", path, &["nc", &text(path)?])?;
        let urls = nc.line()?;
        let (signed, unsigned) = urls.split_once(' ').context("the node says two URLs")?;
        let node_urls = [signed.to_string(), unsigned.to_string()];
        let (clc, ec2) = clc(path, &format!("http://{cc_address}{CC_PATH}")).await?;
        let location = format!("file://{}", path.join("images/root").display());
        let image = ec2.ask("RegisterImage", &format!("&Name=nothing&ImageLocation={}", encode(&location))).await?;
        let image = between(&image, "<imageId>").next().context("an image id")?.to_string();
        Ok(Self { clc, nc, ec2, image, node_urls, cc_address, directory })
    }

    /// Starts the cluster controller in that mode, and a caller of it.
    ///
    /// # Errors
    /// Why it does not start.
    pub fn cc(&self, mode: Mode) -> Result<(Part, Soap)> {
        let [isolation, signatures] = mode.words();
        let node = &self.node_urls[usize::from(!mode.signed)];
        let path = self.directory.path();
        let mut cc = Part::start("cc", path, &["cc", &text(path)?, isolation, signatures, &self.cc_address, node])?;
        cc.line()?;
        let url = format!("http://{}{CC_PATH}", self.cc_address);
        let caller = if mode.signed { Soap::signed(path, &url)? } else { Soap::unsigned(&url) };
        Ok((cc, caller))
    }

    /// Runs so many instances, and gives the ids of all once they run. The cluster must be there.
    ///
    /// # Errors
    /// That they do not.
    pub async fn run_instances(&self, count: usize) -> Result<Vec<String>> {
        let image = &self.image;
        let run = format!("&ImageId={image}&InstanceType=m1.small&MinCount={count}&MaxCount={count}");
        // Refused until the cloud has heard of the cluster's room.
        let answer = until(&self.ec2, "room for instances", "RunInstances", &run, |_| true).await?;
        let ids: Vec<String> = between(&answer, "<instanceId>").map(str::to_string).collect();
        ensure!(ids.len() == count, "{} of {count} instances were accepted", ids.len());
        self.all_run(count).await?;
        Ok(ids)
    }

    /// Waits until so many instances run.
    ///
    /// # Errors
    /// That they do not.
    pub async fn all_run(&self, count: usize) -> Result<()> {
        let run = |text: &str| text.matches("<name>running</name>").count() == count;
        until(&self.ec2, "the instances to run", "DescribeInstances", "", run).await.map(drop)
    }
}

/// Asks again and again until there is a good answer.
///
/// # Errors
/// The last answer, when there is none for long.
pub async fn until(ec2: &Ec2, what: &str, action: &str, more: &str, good: impl Fn(&str) -> bool) -> Result<String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match ec2.ask(action, more).await {
            Ok(text) if good(&text) => return Ok(text),
            answer => {
                let answer = answer.unwrap_or_else(|error| error.to_string());
                let answer: String = answer.chars().take(1000).collect();
                ensure!(Instant::now() < deadline, "waited in vain for {what}; the last answer: {answer}");
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The texts of all elements of that name.
fn between<'a>(text: &'a str, tag: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(tag).skip(1).filter_map(|rest| rest.split('<').next())
}

/// A directory on the disk that the build is on, for a file system in memory would flatter us.
///
/// # Errors
/// If it cannot be made.
pub fn scratch() -> Result<TempDir> {
    TempDir::with_prefix_in("cloud-", env!("CARGO_TARGET_TMPDIR")).context("a directory for the cloud")
}

/// Makes the three tiers' identities.
///
/// # Errors
/// If they cannot be made.
pub fn keys(path: &Path) -> Result<()> {
    for (tier, name) in [("clc", "clc"), ("cc", "cluster1"), ("nc", "n1")] {
        Identity::load_or_generate(&path.join(tier), name)?;
    }
    Ok(())
}

/// Starts a cloud controller that knows one cluster, and gives it with its first user. `keys` are made.
///
/// # Errors
/// Why it does not start.
pub async fn clc(path: &Path, cluster_url: &str) -> Result<(Part, Arc<Ec2>)> {
    let address = free_address();
    let text = format!("listen = \"{address}\"\nstate_dir = \"clc\"\nurl = \"http://{address}/services/Eucalyptus\"\n");
    std::fs::write(path.join("clc.toml"), text)?;
    init::init(&Config::load(&path.join("clc.toml"))?, &path.join("credentials")).await?;
    let part = Part::start("clc", path, &["clc", &self::text(path)?])?;
    let user = Arc::new(Ec2::new(&address, &path.join("credentials/eucarc"))?);
    let certificate = std::fs::read_to_string(path.join("cc/cert.pem"))?;
    let cluster = format!("&Name=cluster1&Url={}&Certificate={}", encode(cluster_url), encode(&certificate));
    until(&user, "the cloud to answer", "RegisterCluster", &cluster, |_| true).await?;
    Ok((part, user))
}

/// A path as an argument.
///
/// # Errors
/// If it is no text.
pub fn text(path: &Path) -> Result<String> {
    path.to_str().map(str::to_string).context("a path that is text")
}
