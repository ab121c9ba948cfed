//! Measurements, always side by side with what a user would pick instead: every round measures each subject
//! once, and the figures are medians over the rounds, so that a noisy machine hits all alike.

pub mod failover;
pub mod hosts;
pub mod l2;
pub mod path;
pub mod records;
pub mod rounds;
pub mod stp;
pub mod tcp;
pub mod upgrade;
pub mod writes;
