//! Upgrades by one command, under numbered traffic.

pub mod faults;
pub mod kills;
pub mod pairs;
pub mod rig;
pub mod rules;
