//! Configuration model, tables and protocols of Hitless: state machines without I/O or clock.

pub mod bridge;
pub mod config;
pub mod stp;
pub mod stpd;
pub mod switch;
pub mod time;
