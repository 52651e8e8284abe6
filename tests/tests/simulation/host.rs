//! A host: one runtime of one thread, whose time is the simulation's. Its program is all that runs on it, so that
//! dropping the runtime ends it wherever it stands, as `kill -9` would. Also its disk, which takes its time, and at which
//! its program can be made to die. Knows nothing of what runs.

use std::cell::RefCell;
use std::future::pending;
use std::time::Duration;

use ironbark_wsdl::blocking::Turn;
use ironbark_wsdl::service::BoxFuture;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::time::{Instant, sleep, sleep_until};

use crate::chance::Dice;

/// A host, whose program runs or has died.
pub struct Host {
    /// Its name in the network.
    pub name: String,
    life: Option<Life>,
}

struct Life {
    runtime: Runtime,
    /// The end of the last tick, by the runtime's own clock.
    now: Instant,
}

impl Host {
    pub fn new(name: &str) -> Self {
        Self { name: name.to_string(), life: None }
    }

    /// Starts its program.
    pub fn start(&mut self, program: BoxFuture<'static, ()>) {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
        let entered = runtime.enter();
        let now = Instant::now();
        drop(entered);
        runtime.spawn(program);
        self.life = Some(Life { runtime, now });
    }

    /// Runs it until all of it waits for what comes after this tick.
    pub fn run(&mut self, tick: Duration) {
        if let Some(Life { runtime, now }) = &mut self.life {
            *now += tick;
            DISK.with_borrow_mut(|disk| disk.host.clone_from(&self.name));
            let end = *now;
            runtime.block_on(async move { sleep_until(end).await });
        }
    }

    /// Ends it where it stands.
    pub fn die(&mut self) {
        self.life = None;
    }

    /// Where its program runs, if it does.
    pub fn runtime(&self) -> Option<Handle> {
        self.life.as_ref().map(|life| life.runtime.handle().clone())
    }
}

/// A death at a piece of work on a host's disk.
#[derive(Clone, Debug)]
pub struct Doom {
    /// Whose.
    pub host: String,
    /// How many pieces are done before.
    pub after: usize,
    /// Whether this one is done, too.
    pub turn: Turn,
}

struct Disk {
    /// Whose turn it is.
    host: String,
    dice: Dice,
    doom: Option<Doom>,
    dead: bool,
}

thread_local! {
    static DISK: RefCell<Disk> =
        const { RefCell::new(Disk { host: String::new(), dice: Dice::none(), doom: None, dead: false }) };
}

/// The disks of this thread's hosts from now on.
pub fn begin_disks(seed: u64) {
    DISK.with_borrow_mut(|disk| disk.dice = Dice::of(seed, "disk"));
}

/// A host is to die at its disk; of several the last counts.
pub fn doom(doom: Option<Doom>) {
    DISK.with_borrow_mut(|disk| disk.doom = doom);
}

/// The host that has died at its disk, once.
pub fn struck() -> Option<Doom> {
    DISK.with_borrow_mut(|disk| std::mem::take(&mut disk.dead).then(|| disk.doom.take())).flatten()
}

/// The turn of a piece of work on the disk of the host that runs.
pub fn turn(turn: Turn) -> BoxFuture<'static, ()> {
    DISK.with_borrow_mut(|disk| -> BoxFuture<'static, ()> {
        if let Some(doom) = disk.doom.as_mut().filter(|doom| doom.host == disk.host) {
            if disk.dead {
                return Box::pin(pending());
            }
            if doom.turn == turn {
                if doom.after == 0 {
                    disk.dead = true;
                    return Box::pin(pending());
                }
                doom.after -= 1;
            }
        }
        let slow = disk.dice.chance(10);
        let wait = if slow { disk.dice.ms(50..800) } else { disk.dice.ms(0..8) };
        match turn {
            Turn::Begin => Box::pin(sleep(wait)),
            Turn::End => Box::pin(std::future::ready(())),
        }
    })
}
