//! A hypervisor in memory, with faults on demand.
