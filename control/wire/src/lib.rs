//! Frame formats of Hitless: parse and emit, no I/O.

pub mod bpdu;
pub mod control;
pub mod ether;
