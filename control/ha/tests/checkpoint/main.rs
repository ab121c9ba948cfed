//! The checkpoint from a master's [`hitless_ha::sender::Sender`] to a standby's
//! [`hitless_ha::receiver::Receiver`], over a pipe of octets.

// Helpers of tests fail by panicking, as the tests do.
#![allow(clippy::unwrap_used)]

mod brackets;
mod canonical;
mod flow;
mod golden;
mod link;
mod model;
mod pipe;
mod raw;
mod reports;
mod versions;
