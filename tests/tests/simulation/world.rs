//! The whole cloud: its hosts, its network, its owner, and the time that they share. What must hold at every moment is
//! checked here after every tick.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::PoisonError;
use std::time::Duration;

use ironbark_clc::ec2::instances::InstanceState;
use ironbark_nc::hypervisor::DomainState;
use ironbark_nc::hypervisor::scripted::Scripted;
use tokio::runtime::Handle;

use crate::chance::{self, Dice};
use crate::disk;
use crate::host::Host;
use crate::log::{self, note};
use crate::network::Weather;
use crate::tiers::{CLOUD, CLUSTER, Door, Site};
use crate::user::{Request, User, Wish};

/// How long each host runs before the next one does. Messages take longer.
pub const TICK: Duration = Duration::from_millis(20);
/// How long anything may take when nothing goes wrong any more: a launch that its cluster had no answer to is given up
/// after ten minutes.
const SETTLED_WITHIN: Duration = Duration::from_secs(20 * 60);
/// What is younger than that a doctor takes for work under way.
const DOCTORS_GRACE: Duration = Duration::from_secs(31);

thread_local! {
    static PANICKED: Cell<bool> = const { Cell::new(false) };
}

/// The cloud and its owner.
pub struct World {
    pub now: Duration,
    pub site: Site,
    pub nodes: Vec<String>,
    pub hypervisors: BTreeMap<String, Scripted>,
    pub user: User,
    pub deaths: usize,
    /// Hosts that are down, and when they start again.
    starts: Vec<(Duration, String)>,
    dice: Dice,
    hosts: BTreeMap<String, Host>,
    door: Door,
}

impl World {
    /// Everything starts; nothing has run yet.
    pub fn new(seed: u64, site: Site, nodes: Vec<String>) -> Self {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANICKED.set(true);
            previous(panic);
        }));
        let door = Door::default();
        let user = User::new(seed, site.network.clone(), door.clone());
        let hypervisors = nodes.iter().map(|name| (name.clone(), Scripted::default())).collect();
        let names = [CLOUD, CLUSTER].into_iter().chain(nodes.iter().map(String::as_str));
        let hosts = names.map(|name| (name.to_string(), Host::new(name))).collect();
        let mut world = Self {
            now: Duration::ZERO,
            site,
            nodes,
            hypervisors,
            user,
            deaths: 0,
            starts: Vec::new(),
            dice: Dice::of(seed, "restarts"),
            hosts,
            door,
        };
        for name in world.host_names() {
            world.start(&name);
        }
        world
    }

    pub fn host_names(&self) -> Vec<String> {
        self.hosts.keys().cloned().collect()
    }

    pub fn is_up(&self, host: &str) -> bool {
        self.cloud_of(host).is_some()
    }

    fn cloud_of(&self, host: &str) -> Option<Handle> {
        self.hosts.get(host).and_then(Host::runtime)
    }

    /// Where the cloud controller runs, if it does.
    pub fn cloud(&self) -> Option<Handle> {
        self.cloud_of(CLOUD)
    }

    /// Starts a host's program.
    pub fn start(&mut self, name: &str) {
        if self.is_up(name) {
            return;
        }
        note!("{name} starts");
        let program = match name {
            CLOUD => self.site.cloud(&self.door),
            CLUSTER => self.site.cluster(&self.nodes),
            node => self.site.node(node, &self.hypervisors[node]),
        };
        self.hosts.get_mut(name).expect("one of our hosts").start(program);
    }

    /// Ends a host's program where it stands; some seconds later it starts again.
    pub fn kill(&mut self, name: &str) {
        if !self.is_up(name) {
            return;
        }
        note!("{name} dies");
        self.deaths += 1;
        self.site.network.close(name);
        if name == CLOUD {
            self.door.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
        self.hosts.get_mut(name).expect("one of our hosts").die();
        self.starts.push((self.now + self.dice.ms(100..20_000), name.to_string()));
    }

    /// One tick.
    pub fn step(&mut self) {
        for name in self.host_names() {
            self.hosts.get_mut(&name).expect("one of our hosts").run(TICK);
            assert!(!PANICKED.get(), "{name} has panicked");
            if let Some(why) = disk::struck() {
                note!("{name}: {why}");
                self.kill(&name);
            }
        }
        self.now += TICK;
        chance::set_time(self.now);
        log::set_time(self.now);
        self.site.network.deliver(self.now);
        let cloud = self.cloud();
        self.user.hear(cloud.as_ref(), self.now);
        self.start_again();
        self.check();
    }

    /// Starts the hosts whose time has come.
    fn start_again(&mut self) {
        let now = self.now;
        let (due, later) = std::mem::take(&mut self.starts).into_iter().partition::<Vec<_>, _>(|(at, _)| *at <= now);
        self.starts = later;
        due.iter().for_each(|(_, name)| self.start(name));
    }

    /// What must hold at every moment: an instance has one domain, on one node; those to be kept apart are.
    fn check(&self) {
        let mut on = BTreeMap::new();
        let mut apart = BTreeMap::new();
        for (node, hypervisor) in &self.hypervisors {
            for domain in hypervisor.domains() {
                let name = domain.key.name.clone();
                let other = on.insert(name.clone(), node);
                assert!(other.is_none(), "{name} is on {node} and on {other:?}");
                if self.user.instances.get(&name).is_some_and(|owned| owned.apart) {
                    let other = apart.insert(node, name.clone());
                    assert!(other.is_none(), "{name} and {other:?} are on {node}, and to be kept apart");
                }
            }
        }
    }

    /// Makes the owner look.
    pub fn look(&mut self) {
        let cloud = self.cloud();
        self.user.look(Request::Describe, cloud.as_ref(), self.now);
    }

    /// Runs on until a doctor finds nothing that is not as it should be.
    fn examine(&mut self) {
        self.run_for(DOCTORS_GRACE);
        let begun = self.now;
        self.until("health", |world| {
            let cloud = world.cloud();
            world.user.look(Request::Examine, cloud.as_ref(), world.now);
            match &world.user.found {
                Some((asked, found)) if *asked >= begun => found.first().map(|one| one.sentence.clone()),
                _ => Some("no doctor was there".to_string()),
            }
        });
    }

    /// An instance's guest has done something that nobody wished.
    pub fn disturbed(&mut self, id: &str) {
        if let Some(owned) = self.user.instances.get_mut(id) {
            owned.disturbed = true;
        }
    }

    /// Nothing goes wrong from now on, what was broken is mended, and what is still on its way arrives.
    pub fn heal(&mut self) {
        note!("all is well from now on");
        disk::doom(None);
        disk::mend_all();
        self.site.network.set_weather(Weather::default());
        self.site.network.join_all();
        for hypervisor in self.hypervisors.values() {
            hypervisor.forget_faults();
            hypervisor.set_unavailable(None);
        }
        self.host_names().iter().for_each(|name| self.start(name));
        self.until("late messages", |world| {
            (!world.site.network.is_quiet()).then(|| "some are on their way".to_string())
        });
    }

    /// Runs on until something holds; tells what does not, when it takes too long.
    pub fn until(&mut self, what: &str, mut missing: impl FnMut(&mut Self) -> Option<String>) {
        let deadline = self.now + SETTLED_WITHIN;
        while let Some(reason) = missing(self) {
            assert!(self.now < deadline, "{what}: never, for {reason}");
            self.run_for(Duration::from_secs(1));
        }
    }

    pub fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.step();
        }
    }

    /// Runs on until the owner has every answer, and every instance is as he wishes or has ended with a reason.
    pub fn settle(&mut self) {
        self.until("answers", |world| (!world.user.is_answered()).then(|| "some are missing".to_string()));
        let begun = self.now;
        self.until("rest", |world| {
            world.look();
            world.run_for(Duration::from_secs(1));
            match &world.user.seen {
                Some((asked, _)) if *asked >= begun => world.unsettled(),
                _ => Some("no DescribeInstances was answered".to_string()),
            }
        });
        note!("settled");
    }

    /// The first instance that is not at rest as it should be.
    fn unsettled(&self) -> Option<String> {
        let (_, seen) = self.user.seen.as_ref()?;
        let on: BTreeSet<String> = self.domains().into_iter().filter(|(_, on)| *on).map(|(name, _)| name).collect();
        seen.iter().find_map(|seen| {
            let owned = self.user.instances.get(&seen.id)?;
            let runs = on.contains(&seen.id);
            let wished = |wish: Wish| owned.wishes.contains(&wish);
            // A stop or start that could not be carried out for ten minutes is taken back, and says so.
            let taken_back = seen.reason.as_ref().is_some_and(|reason| reason.code.starts_with("Server."));
            let rests = match seen.state {
                InstanceState::Running => runs && (wished(Wish::Run) || taken_back),
                InstanceState::Stopped => !runs && (wished(Wish::Stop) || owned.disturbed || taken_back),
                InstanceState::Terminated => !runs && (wished(Wish::End) || seen.reason.is_some()),
                InstanceState::Pending | InstanceState::ShuttingDown | InstanceState::Stopping => false,
            };
            let state = seen.state.name();
            (!rests).then(|| format!("{} is {state}, its domain runs: {runs}; {:?}; {owned:?}", seen.id, seen.reason))
        })
    }

    /// All domains, and whether they run.
    fn domains(&self) -> Vec<(String, bool)> {
        let all = self.hypervisors.values().flat_map(Scripted::domains);
        all.map(|domain| (domain.key.name.clone(), !matches!(domain.state, DomainState::Off(_)))).collect()
    }

    /// Ends everything, and runs on until nothing of it is left anywhere. A doctor agrees before and after.
    pub fn end_everything(&mut self) {
        self.examine();
        let cloud = self.cloud();
        let ids: Vec<String> = self.user.instances.iter().filter(|(_, o)| !o.ended).map(|(id, _)| id.clone()).collect();
        for id in ids {
            self.user.ask_of(Request::Terminate(id), cloud.as_ref(), self.now);
        }
        self.settle();
        self.until("nothing left", |world| world.left());
        self.examine();
        note!("nothing is left");
    }

    /// Something that is left although every instance has ended.
    fn left(&self) -> Option<String> {
        if let Some((domain, _)) = self.domains().first() {
            return Some(format!("the domain {domain}"));
        }
        for node in &self.nodes {
            let files = fs::read_dir(self.site.path(node).join("instances")).expect("the node made it").next();
            if let Some(Ok(file)) = files {
                return Some(format!("{}", file.path().display()));
            }
        }
        let door = self.door.lock().unwrap_or_else(PoisonError::into_inner);
        let known = door.as_ref().and_then(|cloud| cloud.clusters.known(CLUSTER))?;
        let room = known.room.get("m1.small").copied().unwrap_or_default();
        let all = u64::try_from(self.nodes.len()).expect("a small number") * self.site.room;
        (u64::from(room.available) != all).then(|| format!("room for {} of {all}: {:?}", room.available, known.failure))
    }
}
