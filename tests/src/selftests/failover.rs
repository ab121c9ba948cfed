//! Failover: a switch with both management modules loses its master in every way there is, and no frame.

pub mod abuse;
pub mod causes;
pub mod disk;
pub mod hard_reset;
pub mod interfaces;
pub mod many;
pub mod matrix;
pub mod poison;
pub mod rig;
pub mod roles;
pub mod settings;
pub mod show;
pub mod situations;
pub mod writers;
