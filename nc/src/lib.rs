//! Node controller: instances on one machine.
pub mod hypervisor;
pub mod images;
pub mod seed;
