//! Spanning tree: switches of ours and kernel bridges in rings, what they say to each other, and what becomes of all
//! that when a switch loses its master.

pub mod bad;
pub mod commands;
pub mod domains;
pub mod failover;
pub mod guards;
pub mod kernel;
pub mod lost;
pub mod net;
pub mod ring;
pub mod saved;
pub mod storm;
pub mod view;
pub mod wire;
