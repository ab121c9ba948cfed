//! Network tests, traffic and benches of Hitless; they run the shipped binaries.
//!
//! [`harness`] makes namespaces, sends and receives frames, and runs the switch; it knows nothing of test cases.
//! [`selftests`] are the cases, [`bench`] the measurements. Programs in `src/bin` only read arguments and print.

pub mod bench;
pub mod dataplane;
pub mod harness;
pub mod selftests;
