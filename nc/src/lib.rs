//! Node controller: instances on one machine.
pub mod hypervisor;
