//! Tests of the bridge: each machine, golden exchanges, guards, whole networks in simulation, and crashes
//! at every point.

mod any;
mod crash;
mod golden;
mod guards;
mod machines;
mod net;
mod networks;
mod topology;
mod transitions;
mod tree;
