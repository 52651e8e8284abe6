//! What is asked for and what goes wrong, drawn from the seed.

use std::time::Duration;

use ironbark_nc::hypervisor::OffReason;
use ironbark_nc::hypervisor::scripted::Fault;
use ironbark_wsdl::blocking::Turn;

use crate::chance::Dice;
use crate::disk::{self, Doom};
use crate::log::note;
use crate::network::Weather;
use crate::tiers::{CLOUD, CLUSTER};
use crate::user::{Request, Wish};
use crate::world::World;

/// When everything has started, and things can begin to be asked for and to go wrong.
pub const BEGIN: Duration = Duration::from_secs(15);
/// For so long they do.
const TROUBLE: Duration = Duration::from_secs(180);
/// Instances that the owner has at a time.
const MOST: usize = 8;
/// Calls of a hypervisor that can go wrong.
const CALLS: [&str; 7] = ["start", "destroy", "undefine", "request_shutdown", "request_reboot", "reset", "inventory"];
/// What a bad day does to calls.
pub const BAD: Weather = Weather { lost: 15, unanswered: 15, doubled: 15, slow: 20, late: 60 };
/// What a storm does.
const STORM: Weather = Weather { lost: 150, unanswered: 150, doubled: 50, slow: 150, late: 150 };

/// Something that will be mended.
enum Mend {
    Join(Vec<(String, String)>),
    Calm,
    Hypervisor(String),
    Disk(String),
}

struct Trouble {
    /// How many times longer than on other days everything lasts.
    scale: u32,
    dice: Dice,
    mends: Vec<(Duration, Mend)>,
}

/// Random requests and random faults; then all must come to rest, and go without a trace.
pub fn random(world: &mut World, seed: u64) {
    // Now and then a long day, on which the tiers' own patience ends.
    let scale = if seed.is_multiple_of(4) { 8 } else { 1 };
    let mut trouble = Trouble { scale, dice: Dice::of(seed, "schedule"), mends: Vec::new() };
    world.run_for(BEGIN);
    world.site.network.set_weather(BAD);
    while world.now < BEGIN + TROUBLE * scale {
        if trouble.happens(12) {
            trouble.ask(world);
        }
        if trouble.happens(4) {
            trouble.strike(world);
        }
        if trouble.dice.chance(10) {
            world.look();
        }
        world.step();
        trouble.mend(world);
    }
    world.heal();
    world.settle();
    world.end_everything();
}

impl Trouble {
    fn later(&mut self, world: &World, mend: Mend, after_ms: std::ops::Range<u64>) {
        self.mends.push((world.now + self.dice.ms(after_ms) * self.scale, mend));
    }

    /// Whether something happens in this tick, on a day that is not long so many times in a thousand.
    fn happens(&mut self, permille: usize) -> bool {
        self.dice.chance(permille) && self.dice.chance(1000 * 2 / (1 + self.scale as usize))
    }

    fn mend(&mut self, world: &mut World) {
        let (due, later) = std::mem::take(&mut self.mends).into_iter().partition(|(at, _)| *at <= world.now);
        self.mends = later;
        for (_, mend) in due {
            match mend {
                Mend::Join(ways) => ways.iter().for_each(|(from, to)| world.site.network.cut(from, to, false)),
                Mend::Calm => world.site.network.set_weather(BAD),
                Mend::Disk(host) => disk::fail(&host, 0),
                Mend::Hypervisor(node) => world.hypervisors[&node].set_unavailable(None),
            }
        }
    }

    /// The owner wants something.
    fn ask(&mut self, world: &mut World) {
        let alive = world.user.instances.values().filter(|owned| !owned.ended).count();
        let cloud = world.cloud();
        if alive < MOST && self.dice.chance(500) {
            let count = 1 + self.dice.below(2);
            let apart = world.user.kept_apart() + count <= world.nodes.len() && self.dice.chance(300);
            let count = u32::try_from(count).expect("a small number");
            return world.user.run(count, apart, cloud.as_ref(), world.now);
        }
        if self.dice.chance(30) {
            return world.user.ask_of(Request::Repair, cloud.as_ref(), world.now);
        }
        let free = world.user.instances.iter().filter(|(_, owned)| !owned.busy && !owned.wishes.contains(&Wish::End));
        let free: Vec<String> = free.map(|(id, _)| id.clone()).collect();
        if free.is_empty() {
            return;
        }
        let id = self.dice.pick(&free).clone();
        let request = match self.dice.below(11) {
            0..3 => Request::Reboot(id),
            3..6 => Request::Stop { id, force: self.dice.chance(300) },
            6..9 => Request::Start(id),
            9 => Request::Unstick(id),
            _ => Request::Terminate(id),
        };
        world.user.ask_of(request, cloud.as_ref(), world.now);
    }

    /// Something goes wrong.
    fn strike(&mut self, world: &mut World) {
        let hosts = world.host_names();
        let host = self.dice.pick(&hosts).clone();
        let node = self.dice.pick(&world.nodes).clone();
        match self.dice.below(10) {
            0 => world.kill(&host),
            1 | 2 => {
                let turn = *self.dice.pick(&[Turn::Begin, Turn::End]);
                disk::doom(Some(Doom { host, after: self.dice.below(12), turn }));
            }
            3 => {
                let other = self.dice.pick(&hosts).clone();
                self.cut(world, vec![(host.clone(), other.clone()), (other, host)], 500..40_000);
            }
            8 => self.partition(world),
            9 => {
                let permille = *self.dice.pick(&[300, 1000]);
                note!("{host}: of a thousand writes {permille} fail");
                disk::fail(&host, permille);
                self.later(world, Mend::Disk(host), 1_000..60_000);
            }
            4 => {
                note!("a storm");
                world.site.network.set_weather(STORM);
                self.later(world, Mend::Calm, 1_000..20_000);
            }
            5 => {
                let (call, fault) = (*self.dice.pick(&CALLS), fault(&mut self.dice));
                note!("{node}: the next {call} meets {fault:?}");
                world.hypervisors[&node].fail_next(call, fault);
            }
            6 => {
                note!("{node}: its hypervisor is away");
                world.hypervisors[&node].set_unavailable(Some("away"));
                self.later(world, Mend::Hypervisor(node), 500..30_000);
            }
            _ => self.disturb(world, &node),
        }
    }

    /// The cloud controller loses its cluster, or the cluster some of its nodes, for minutes: wholly, or one way only.
    fn partition(&mut self, world: &mut World) {
        let lost: Vec<(&str, &str)> = match self.dice.chance(300) {
            true => vec![(CLOUD, CLUSTER)],
            false => {
                let mut nodes = world.nodes.iter().map(|node| (CLUSTER, node.as_str())).collect::<Vec<_>>();
                nodes.retain(|_| self.dice.chance(500));
                nodes
            }
        };
        let (down, up) = *self.dice.pick(&[(true, true), (true, false), (false, true)]);
        let owned = |from: &str, to: &str| (from.to_string(), to.to_string());
        let ways = lost.iter().filter(|_| down).map(|(above, below)| owned(above, below));
        let ways = ways.chain(lost.iter().filter(|_| up).map(|(above, below)| owned(below, above)));
        self.cut(world, ways.collect(), 30_000..150_000);
    }

    fn cut(&mut self, world: &mut World, ways: Vec<(String, String)>, after_ms: std::ops::Range<u64>) {
        for (from, to) in &ways {
            note!("nothing passes from {from} to {to}");
            world.site.network.cut(from, to, true);
        }
        self.later(world, Mend::Join(ways), after_ms);
    }

    /// A guest does something that nobody wished.
    fn disturb(&mut self, world: &mut World, node: &str) {
        let hypervisor = world.hypervisors[node].clone();
        let names: Vec<String> = hypervisor.domains().into_iter().map(|domain| domain.key.name).collect();
        if names.is_empty() {
            return;
        }
        let name = self.dice.pick(&names).clone();
        let what = self.dice.below(6);
        note!("{name}: its guest does {what}");
        match what {
            0 | 1 => hypervisor.set_obedient(&name, false),
            2 => hypervisor.guest_reboots(&name),
            3 => {
                hypervisor.guest_stops(&name, OffReason::Shutdown);
                world.disturbed(&name);
            }
            4 => {
                hypervisor.guest_stops(&name, OffReason::Crashed);
                world.disturbed(&name);
            }
            _ => {
                hypervisor.remove(&name);
                world.disturbed(&name);
            }
        }
    }
}

/// What befalls a call of a hypervisor.
pub fn fault(dice: &mut Dice) -> Fault {
    match dice.below(4) {
        0 => Fault::Refuse("refused by the seed".to_string()),
        1 => Fault::Unavailable("away by the seed".to_string()),
        2 => Fault::Hang,
        _ => Fault::LoseAnswer,
    }
}
