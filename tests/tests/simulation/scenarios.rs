//! Schedules that are not random: deaths at every point of an instance's life, many requests at once, many launches.

use std::collections::BTreeSet;
use std::time::Duration;

use ironbark_clc::ec2::instances::InstanceState;
use ironbark_wsdl::blocking::Turn;

use crate::chance::Dice;
use crate::disk::{self, Doom};
use crate::log::note;
use crate::network::Weather;
use crate::schedule::{BAD, BEGIN, fault};
use crate::user::{Owned, Request, Wish};
use crate::world::World;

/// How many small instances are asked for at a time.
const BATCH: u32 = 20;

/// A host dies before, or after, each `every`th piece of work that its disk does in an instance's life, in a life for each.
pub fn crash_points(world: &mut World, host: &str, every: usize) {
    world.run_for(BEGIN);
    for turn in [Turn::Begin, Turn::End] {
        let mut points = 0;
        while live(world, Doom { host: host.to_string(), after: points * every, turn }) {
            points += 1;
        }
        println!("{host} {turn:?}: died at {points} points, {every} apart");
        assert!(points > 0, "nothing died, so nothing was shown");
    }
    world.end_everything();
}

/// An instance from its launch to its end, and a death; false if the life was over before.
fn live(world: &mut World, doom: Doom) -> bool {
    let deaths = world.deaths;
    disk::doom(Some(doom));
    let id = running(world);
    reboot(world, &id);
    let stop = Request::Stop { id: id.clone(), force: false };
    for request in [stop, Request::Start(id.clone()), Request::Terminate(id)] {
        ask(world, request);
        world.settle();
    }
    disk::doom(None);
    world.deaths > deaths
}

/// Launches an instance, again while launches are declined for want of a node.
fn running(world: &mut World) -> String {
    loop {
        let before: BTreeSet<String> = world.user.instances.keys().cloned().collect();
        let cloud = world.cloud();
        world.user.run(1, false, cloud.as_ref(), world.now);
        world.settle();
        let new = world.user.instances.iter().find(|(id, _)| !before.contains(*id));
        if let Some((id, owned)) = new
            && owned.state == InstanceState::Running
        {
            return id.clone();
        }
    }
}

/// Reboots an instance until its owner is told that it is done; then it must have booted again.
fn reboot(world: &mut World, id: &str) {
    let boots = |world: &World| world.hypervisors.values().map(|hypervisor| hypervisor.boots(id)).sum::<u32>();
    let before = boots(world);
    while world.user.instances[id].rebooted == 0 {
        ask(world, Request::Reboot(id.to_string()));
        world.settle();
    }
    world.until("a reboot", |world| (boots(world) <= before).then(|| format!("{id} has booted {before} times")));
}

fn ask(world: &mut World, request: Request) {
    let cloud = world.cloud();
    world.user.ask_of(request, cloud.as_ref(), world.now);
}

/// Stops and starts of one instance, many at once: it must come to rest as one of them wished, everywhere alike.
pub fn one_instance(world: &mut World, seed: u64) {
    let mut dice = Dice::of(seed, "schedule");
    world.run_for(BEGIN);
    let id = running(world);
    world.site.network.set_weather(BAD);
    for _ in 0..100 {
        let request = match dice.chance(500) {
            true => Request::Stop { id: id.clone(), force: dice.chance(300) },
            false => Request::Start(id.clone()),
        };
        ask(world, request);
        world.run_for(dice.ms(0..2000));
    }
    world.heal();
    world.until("answers", |world| (!world.user.is_answered()).then(|| "some are missing".to_string()));
    let owned = world.user.instances.get_mut(&id).expect("it was given");
    owned.wishes = BTreeSet::from([Wish::Run, Wish::Stop]);
    world.settle();
    world.end_everything();
}

/// Many launches, of which each twentieth call goes wrong; none may be stuck, doubled or left behind.
pub fn launches(world: &mut World, seed: u64, count: usize) {
    let mut dice = Dice::of(seed, "schedule");
    world.run_for(BEGIN);
    world.site.network.set_weather(Weather { lost: 20, unanswered: 20, doubled: 10, ..Weather::default() });
    let room = world.nodes.len() * usize::try_from(world.site.room).expect("a small number");
    while world.user.launched < count {
        let alive = world.user.instances.values().filter(|owned| !owned.ended).count();
        if world.user.is_answered() && alive + BATCH as usize <= room {
            let cloud = world.cloud();
            world.user.run(BATCH, false, cloud.as_ref(), world.now);
            for _ in 0..BATCH {
                if dice.chance(50) {
                    let node = dice.pick(&world.nodes).clone();
                    world.hypervisors[&node].fail_next("start", fault(&mut dice));
                }
            }
        }
        let done = |owned: &Owned| owned.state == InstanceState::Running && !owned.busy;
        let done = world.user.instances.iter().filter(|(_, owned)| done(owned)).map(|(id, _)| id.clone());
        for id in done.collect::<Vec<_>>() {
            ask(world, Request::Terminate(id));
        }
        world.run_for(Duration::from_secs(3));
        world.look();
    }
    note!("all are launched");
    world.heal();
    world.settle();
    world.end_everything();
}
