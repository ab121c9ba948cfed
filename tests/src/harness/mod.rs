//! What the selftests, the demo and the benches stand on.
//!
//! Everything that outlives a process (namespaces, pins, children, files) is named after the run that made it
//! ([`run`]) and has its undo registered beside its making ([`cleanup`]).

pub mod bpdus;
pub mod chassis;
pub mod cleanup;
pub mod cpu;
pub mod exchange;
pub mod features;
pub mod flow;
pub mod frames;
pub mod images;
pub mod ktap;
#[path = "../../../ebpf/src/probe/layout.rs"]
pub mod layout;
pub mod neighbour;
pub mod netns;
pub mod numbered;
pub mod packet;
pub mod port;
pub mod probe;
pub mod process;
pub mod puppet;
pub mod report;
pub mod run;
pub mod switch;
pub mod terminal;
pub mod transcript;
pub mod wait;
