//! The node controller as a whole, against a hypervisor that does as a test says.

mod lab;
mod launch;
mod reboot;
mod recovery;
mod stop;
mod terminate;
mod volumes;
mod wire;
