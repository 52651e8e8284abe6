//! The node controller as a whole, against a hypervisor that does as a test says.

mod faults;
mod inventory;
mod lab;
mod launch;
mod order;
mod reboot;
mod recovery;
mod silence;
mod stop;
mod terminate;
mod volumes;
mod wire;
