//! Whole clouds under test: the real programs on loopback ([`cloud`]), started, killed and asked
//! as an administrator would ([`daemon`]), and waited for with deadlines ([`wait`]).

pub mod census;
pub mod cloud;
pub mod daemon;
pub mod door;
pub mod points;
pub mod real_node;
pub mod scripted_node;
pub mod small_disk;
pub mod talk;
pub mod test_daemon;
pub mod tools;
pub mod wait;

pub use cloud::{Cloud, Hypervisor, Settings};
pub use wait::wait_for;
