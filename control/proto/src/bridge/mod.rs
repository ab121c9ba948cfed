//! The bridge's forwarding database: the table, and the master's rules for what is learned into it.
//!
//! Nothing here does I/O: the memory-mapped hardware comes in as a slice of atomics ([`cells::Hardware`]), and
//! the current [`crate::time::Epoch`] is an argument.
#![forbid(unsafe_code)]

pub mod cells;
pub mod learning;
pub mod shadow;
pub mod table;
