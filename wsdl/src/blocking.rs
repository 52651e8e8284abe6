//! Work that would hold the runtime up: files, databases, other programs. It is done on a thread beside the
//! runtime. A simulation, whose time stands still while something is done, takes its place on the thread
//! that it runs on: there such work is done in place, in the turns that it gives, and programs are played
//! (docs/decisions/0013-a-cloud-in-one-process.md). Knows nothing of the work.

use std::cell::Cell;
use std::ffi::{OsStr, OsString};
use std::io;

use tokio::task::JoinHandle;

use crate::service::BoxFuture;

/// What a simulation puts in the place of the machine.
#[derive(Clone, Copy, Debug)]
pub struct Simulation {
    /// Waits for the turn of a piece of work. One that never comes is a death at this moment.
    pub turn: fn(Turn) -> BoxFuture<'static, ()>,
    /// Plays a program with its arguments.
    pub program: fn(&OsStr, &[OsString]) -> io::Result<()>,
}

/// A moment of a piece of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Nothing of it is done.
    Begin,
    /// All of it is done, and nobody knows yet.
    End,
}

thread_local! {
    static SIMULATION: Cell<Option<Simulation>> = const { Cell::new(None) };
}

/// From now on this thread's work is the simulation's.
pub fn simulate(simulation: Simulation) {
    SIMULATION.set(Some(simulation));
}

/// The simulation that has this thread's work, if one has.
pub(crate) fn simulation() -> Option<Simulation> {
    SIMULATION.get()
}

/// Begins `work`, whether or not its end is waited for.
pub fn spawn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    let Some(Simulation { turn, .. }) = simulation() else { return tokio::task::spawn_blocking(work) };
    tokio::spawn(async move {
        turn(Turn::Begin).await;
        let result = work();
        turn(Turn::End).await;
        result
    })
}
