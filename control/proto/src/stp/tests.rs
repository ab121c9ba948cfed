//! Tests of the bridge: whole networks in simulation.

mod crash;
mod net;
mod networks;
mod tree;
