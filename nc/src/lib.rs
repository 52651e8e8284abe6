//! Node controller: the instances of one machine, through libvirt. It knows no cluster and no other
//! node. Read in this order: [`lifecycle`] (what an instance's life is), [`runner`] (who lives it),
//! [`node`] (what is admitted), [`routes`] (what is served).

pub mod address;
pub mod capacity;
pub mod config;
pub mod console;
pub mod convert;
pub mod effects;
pub mod error;
pub mod handlers;
pub mod hypervisor;
pub mod identity;
pub mod ids;
pub mod images;
pub mod inventory;
pub mod lifecycle;
pub mod node;
pub mod observe;
pub mod operation;
pub mod routes;
pub mod runner;
pub mod seed;
pub mod shop;
pub mod stage;
pub mod state;
pub mod volumes;

pub use error::Error;
pub use node::{GivenLimits, Node, Parts};
pub use routes::router;
pub use shop::Times;
