//! Network tests, traffic and benches of Hitless; they run the shipped binaries.
//!
//! [`harness`] makes namespaces, sends and receives frames, and runs the switch; it knows nothing of test cases.

pub mod harness;
