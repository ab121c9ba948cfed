//! Upgrades by one command, under numbered traffic.

pub mod desk;
pub mod disk;
pub mod faults;
pub mod kills;
pub mod pairs;
pub mod probe;
pub mod rig;
pub mod ring;
pub mod rules;
