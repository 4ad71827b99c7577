//! The machine: its cores, its processes, and what disturbs a measurement on it.

pub(crate) mod at_rest;
pub mod busy;
pub mod conditions;
pub mod copy_bandwidth;
pub mod cores;
mod cpu_clock;
pub(crate) mod descriptors;
pub mod disturbance;
pub mod facts;
pub(crate) mod kernel_memory;
pub mod process_tree;
pub(crate) mod settings;
pub(crate) mod tcp_counters;
pub mod usage;
pub(crate) mod wake_up;
mod window;
