//! Every command that `euca` shares with euca2ools, once, under the name that scripts call it by,
//! against a cloud over libvirt's mock: it does what it says, and prints euca2ools' columns.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use ironbark_tests::tools::Guest;
use ironbark_tests::{Cloud, Settings};
use tempfile::TempDir;

/// What the names of EC2's own commands begin with. Others (`trace`, `history`, ...) are ours, and
/// tested with what they show.
const VERBS: [&str; 24] = [
    "add",
    "allocate",
    "associate",
    "authorize",
    "create",
    "delete",
    "deregister",
    "describe",
    "disassociate",
    "get",
    "import",
    "modify",
    "monitor",
    "reboot",
    "register",
    "release",
    "reset",
    "revoke",
    "run",
    "start",
    "stop",
    "terminate",
    "unmonitor",
    "attach",
];

/// The links of `euca`, and which were called.
struct Euca<'a> {
    cloud: &'a Cloud,
    links: PathBuf,
    called: BTreeSet<String>,
}

impl<'a> Euca<'a> {
    fn new(cloud: &'a Cloud) -> Self {
        let links = PathBuf::from(cloud.path("links"));
        fs::create_dir(&links).expect("a directory of the test's own");
        cloud.euca(&["links", &cloud.path("links")]);
        Self { cloud, links, called: BTreeSet::new() }
    }

    /// Calls `euca-NAME` with the words of `line`; gives the cells of each line, or the complaint.
    fn call(&mut self, line: &str) -> Result<Vec<Vec<String>>, String> {
        let mut words = line.split_whitespace();
        let name = words.next().expect("a command");
        self.called.insert(name.to_string());
        let link = self.links.join(format!("euca-{name}"));
        let output = self.cloud.client(&link).args(words).output();
        let output = output.unwrap_or_else(|error| panic!("{} cannot be started: {error}", link.display()));
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let text = String::from_utf8(output.stdout).expect("euca prints UTF-8");
        Ok(text.lines().map(|line| line.split('\t').map(str::to_string).collect()).collect())
    }

    /// What it prints, which must be good.
    fn prints(&mut self, line: &str) -> Vec<Vec<String>> {
        self.call(line).unwrap_or_else(|error| panic!("euca-{line}: {error}"))
    }

    /// It prints exactly these lines; a cell `*` may be anything but empty.
    fn expect(&mut self, line: &str, lines: &[&[&str]]) {
        let printed = self.prints(line);
        let fits =
            printed.len() == lines.len() && printed.iter().zip(lines).all(|(cells, expected)| fit(cells, expected));
        assert!(fits, "euca-{line} printed {printed:#?}, not {lines:#?}");
    }

    /// It is refused with that code.
    fn refused(&mut self, line: &str, code: &str) {
        let error = self.call(line).expect_err("it must be refused");
        assert!(error.contains(code), "euca-{line}: {error}");
    }

    /// The commands of EC2's own, of which there are links, that were not called.
    fn forgotten(&self) -> Vec<String> {
        let links = fs::read_dir(&self.links).expect("the links are there");
        let names = links.map(|link| link.expect("a link").file_name().to_string_lossy().replacen("euca-", "", 1));
        let of_ec2 = |name: &String| VERBS.iter().any(|verb| name.split('-').next() == Some(verb));
        names.filter(of_ec2).filter(|name| !self.called.contains(name)).collect()
    }
}

fn fit(cells: &[String], expected: &[&str]) -> bool {
    let cell = |(cell, expected): (&String, &&str)| cell == expected || (*expected == "*" && !cell.is_empty());
    cells.len() == expected.len() && cells.iter().zip(expected).all(cell)
}

fn places(euca: &mut Euca) {
    euca.expect("describe-availability-zones", &[&["AVAILABILITYZONE", "cluster1", "available", "ironbark"]]);
    euca.expect("describe-regions", &[&["REGION", "ironbark", "*"]]);
    euca.expect("describe-regions --filter region-name=elsewhere", &[]);
    let types = euca.prints("describe-instance-types --filter instance-type=m1.s*");
    assert!(types.len() == 2 && types[1][0].contains("m1.small"), "a head and one type: {types:?}");
    let offered = ["INSTANCETYPEOFFERING", "m1.small", "availability-zone", "cluster1"];
    let line = "describe-instance-type-offerings --location-type availability-zone --filter instance-type=m1.small";
    euca.expect(line, &[&offered]);
    let platforms: [&[&str]; 2] = [&["ACCOUNTATTRIBUTE", "supported-platforms"], &["VALUE", "EC2"]];
    euca.expect("describe-account-attributes supported-platforms", &platforms);
}

/// Leaves a key pair `k`, whose private key is in the file that is given back.
fn keys(euca: &mut Euca) -> String {
    let private = euca.cloud.path("k.pem");
    euca.expect(&format!("create-keypair k -f {private}"), &[&["KEYPAIR", "k", "*"]]);
    assert!(fs::read_to_string(&private).expect("it was written").starts_with("-----BEGIN RSA PRIVATE KEY-----"));
    assert_eq!(euca.prints("add-keypair other")[1][0], "-----BEGIN RSA PRIVATE KEY-----");
    euca.expect("delete-keypair other", &[&["KEYPAIR", "other"]]);
    let public = euca.cloud.path("mine.pub");
    let line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBGfYbJFKdMSAYYOSHnCI4xIwKpvVSPQSUjfJIMj3Ua8 me@home";
    fs::write(&public, line).expect("a file of the test's own");
    euca.expect(&format!("import-keypair mine -f {public}"), &[&["KEYPAIR", "mine", "*"]]);
    let listed = euca.cloud.json(&["describe-keypairs", "mine"]);
    let id = listed["keySet"][0]["keyPairId"].as_str().expect("an id").to_string();
    euca.expect(&format!("create-tags {id} --tag use=login"), &[&["TAG", "key-pair", &id, "use", "login"]]);
    let tagged: [&[&str]; 2] = [&["KEYPAIR", "mine", "*"], &["TAG", "key-pair", &id, "use", "login"]];
    euca.expect("describe-keypairs --filter key-name=mi*", &tagged);
    private
}

fn images(euca: &mut Euca, guest: &Path) {
    let url = format!("file://{}", guest.join("root.img").display());
    let id = euca.prints(&format!("register {url} -n spare --description old"))[0][1].clone();
    let owner = euca.cloud.eucarc("EC2_USER_ID");
    let name = format!("{owner}/spare");
    let shown = ["IMAGE", &id, &name, &owner, "available", "public", "x86_64", "machine"];
    euca.prints(&format!("create-tags {id} --tag stage=test"));
    let lines = euca.prints(&format!("describe-images {id}"));
    assert!(fit(&lines[0][..8], &shown), "{lines:?}");
    assert!(fit(&lines[1], &["TAG", "image", &id, "stage", "test"]), "{lines:?}");
    assert_eq!(euca.prints("describe-images -o self --filter name=spare").len(), 2);
    assert_eq!(euca.prints("describe-images -x all --filter name=spare").len(), 2);

    let everybody = ["launchPermission", &id, "group", "all"];
    euca.expect(&format!("describe-image-attribute {id} -l"), &[&everybody]);
    let removed = ["launchPermission", &id, "REMOVE", "group", "all"];
    euca.expect(&format!("modify-image-attribute {id} -l -r all"), &[&removed]);
    euca.expect(&format!("describe-image-attribute {id} --launch-permission"), &[]);
    euca.expect(&format!("modify-image-attribute {id} --description new"), &[&["description", &id, "", "new"]]);
    euca.expect(&format!("describe-image-attribute {id} --description"), &[&["description", &id, "", "new"]]);
    euca.expect(&format!("describe-image-attribute {id} --kernel"), &[]);
    euca.prints(&format!("modify-image-attribute {id} -l -a all"));
    euca.expect(&format!("reset-image-attribute {id} -l"), &[&["launchPermission", &id, "RESET"]]);
    euca.expect(&format!("describe-image-attribute {id} -l"), &[]);
    euca.refused(&format!("modify-image-attribute {id} -l -a nobody"), "InvalidAMIAttributeItemValue");
    euca.expect(&format!("deregister {id}"), &[&["IMAGE", &id]]);
}

/// Leaves a group `web`.
fn groups(euca: &mut Euca) {
    let owner = euca.cloud.eucarc("EC2_USER_ID");
    let web = euca.prints("create-group web -d served")[0][1].clone();
    euca.expect("add-group spare -d spare", &[&["GROUP", "*", "spare", "spare"]]);
    let rule = ["PERMISSION", "web", "ALLOWS", "tcp", "80", "81", "FROM", "CIDR", "10.0.0.0/8"];
    euca.expect("authorize web -p 80-81 -s 10.0.0.0/8", &[&["GROUP", "web"], &rule]);
    let group = ["GROUP", &web, &owner, "web", "served"];
    let lines = euca.prints(&format!("describe-groups {web}"));
    assert!(fit(&lines[0], &group), "{lines:?}");
    let shown = ["PERMISSION", &owner, "web", "ALLOWS", "tcp", "80", "81", "FROM", "CIDR", "10.0.0.0/8", "ingress"];
    assert!(fit(&lines[1], &shown), "{lines:?}");
    let one = ["SECURITYGROUPRULE", "*", &web, "ALLOWS", "tcp", "80", "81", "FROM", "CIDR", "10.0.0.0/8", "ingress"];
    let rules = euca.prints(&format!("describe-security-group-rules --filter group-id={web}"));
    assert!(rules.iter().any(|cells| fit(cells, &one)), "{rules:?}");
    euca.expect("revoke web -p 80-81 -s 10.0.0.0/8", &[&["GROUP", "web"], &rule]);
    let lines = euca.prints("describe-group web");
    assert!(!lines.iter().any(|cells| cells.contains(&"81".to_string())), "{lines:?}");
    euca.expect("delete-group spare", &[&["RETURN", "true"]]);
}

fn placement_groups(euca: &mut Euca) {
    let apart = ["PLACEMENTGROUP", "apart", "spread", "available"];
    euca.expect("create-placement-group apart -s spread", &[&apart]);
    euca.expect("describe-placement-groups --filter strategy=spread", &[&apart]);
    euca.expect("delete-placement-group apart", &[&["RETURN", "true"]]);
    euca.expect("describe-placement-groups", &[]);
}

fn addresses(euca: &mut Euca, instance: &str) {
    let allocated = euca.prints("allocate-address")[0].clone();
    let (ip, id) = (&allocated[1], &allocated[3]);
    assert!(fit(&allocated, &["ADDRESS", "192.0.2.10", "standard", "*"]), "{allocated:?}");
    euca.expect("describe-addresses", &[&["ADDRESS", ip, "", "standard", id]]);
    // This cluster's guests have their addresses from the site's network.
    euca.refused(&format!("associate-address {ip} -i {instance}"), "UnsupportedOperation");
    euca.expect(&format!("disassociate-address {ip}"), &[&["ADDRESS", ip]]);
    euca.expect(&format!("release-address -a {id}"), &[&["ADDRESS", id]]);
    euca.expect("describe-addresses", &[]);
}

/// Runs an instance with everything that can be said of it; gives its id.
fn run(euca: &mut Euca, image: &str) -> String {
    let line = format!(
        "run-instances {image} -n 1 -k k -t m1.small -g web -z cluster1 -d hello -m --disable-api-termination \
         --instance-initiated-shutdown-behavior terminate --tag Name=one --tag empty --client-token once"
    );
    let lines = euca.prints(&line);
    assert!(fit(&lines[0], &["RESERVATION", "*", &euca.cloud.eucarc("EC2_USER_ID"), "web"]), "{lines:?}");
    let id = lines[1][1].clone();
    assert!(fit(&lines[2], &["TAG", "instance", &id, "Name", "one"]), "{lines:?}");
    euca.cloud.await_state(&id, "running");
    let lines = euca.prints(&format!("describe-instances {id} --filter tag:Name=one"));
    let (state, key) = (&lines[1][5], &lines[1][6]);
    assert!(state == "running" && key == "k" && lines[1][15] == "monitoring-enabled", "{lines:?}");
    let status = euca.prints(&format!("describe-instance-status {id}"));
    assert!(fit(&status[0][..5], &["INSTANCE", &id, "cluster1", "running", "16"]), "{status:?}");
    assert_eq!(euca.prints(&line)[1][1], id, "the same token, the same instance");
    id
}

fn attributes(euca: &mut Euca, id: &str) {
    let described = [
        ("--disable-api-termination", "disableApiTermination", "true"),
        ("--disable-api-stop", "disableApiStop", "false"),
        ("--instance-initiated-shutdown-behavior", "instanceInitiatedShutdownBehavior", "terminate"),
        ("--instance-type", "instanceType", "m1.small"),
        ("--kernel", "kernel", "*"),
        ("--ebs-optimized", "ebsOptimized", "false"),
    ];
    for (option, name, value) in described {
        euca.expect(&format!("describe-instance-attribute {id} {option}"), &[&[name, id, value]]);
    }
    euca.expect(&format!("describe-instance-attribute {id} --user-data"), &[&["userData", id], &["hello"]]);
    euca.refused(&format!("terminate-instances {id}"), "OperationNotPermitted");
    let accepted: [&[&str]; 1] = [&["RETURN", "true"]];
    euca.expect(&format!("modify-instance-attribute {id} --disable-api-termination false"), &accepted);
    euca.expect(&format!("unmonitor-instances {id}"), &[&[id, "disabled"]]);
    euca.expect(&format!("monitor-instances {id}"), &[&[id, "enabled"]]);
}

fn life(euca: &mut Euca, id: &str, private_key: &str) {
    let console = euca.prints(&format!("get-console-output {id}"));
    assert_eq!(console[0][0], id, "{console:?}");
    euca.expect(&format!("get-password-data {id}"), &[&[""]]);
    euca.refused(&format!("get-password {id} -k {private_key}"), "has left no password data");
    euca.expect(&format!("reboot-instances {id}"), &[]);
    euca.expect(&format!("stop-instances -f {id}"), &[&["INSTANCE", id, "running", "stopping"]]);
    euca.cloud.await_state(id, "stopped");
    euca.expect(&format!("modify-instance-attribute {id} -t c1.medium"), &[&["RETURN", "true"]]);
    euca.expect(&format!("describe-instance-attribute {id} -t"), &[&["instanceType", id, "c1.medium"]]);
    euca.expect(&format!("reset-instance-attribute {id} --kernel"), &[]);
    euca.expect(&format!("start-instances {id}"), &[&["INSTANCE", id, "stopped", "pending"]]);
    euca.cloud.await_state(id, "running");
    let tags = euca.prints(&format!("describe-tags --filter resource-id={id}"));
    assert!(fit(&tags[0], &["TAG", id, "instance", "Name", "one"]), "{tags:?}");
    euca.expect(&format!("delete-tags {id} --tag Name"), &[&["TAG", "instance", id, "Name"]]);
    euca.expect(&format!("describe-tags --filter resource-id={id} --filter key=Name"), &[]);
    euca.expect(&format!("terminate-instances {id}"), &[&["INSTANCE", id, "running", "shutting-down"]]);
    euca.cloud.await_state(id, "terminated");
}

#[test]
fn every_command_does_what_it_says_and_prints_euca2ools_columns() {
    let files = TempDir::with_prefix("ironbark-guest-").expect("a temporary directory");
    let guest = Guest::pretended(files.path());
    let settings = Settings { isolation: "semaphore", ..Settings::default() };
    let cloud = Cloud::start(&settings, Some(guest));
    let image = cloud.register_guest();
    let mut euca = Euca::new(&cloud);
    places(&mut euca);
    let private_key = keys(&mut euca);
    images(&mut euca, files.path());
    groups(&mut euca);
    placement_groups(&mut euca);
    let id = run(&mut euca, &image);
    attributes(&mut euca, &id);
    addresses(&mut euca, &id);
    life(&mut euca, &id, &private_key);
    assert_eq!(euca.forgotten(), [""; 0], "commands that no test calls");
}
