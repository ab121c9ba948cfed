//! What operators and programs see of a switch. [`api`] is the one set of questions and answers; the command
//! line and every later interface are thin faces over it. [`server`] and [`client`] carry it over a Unix
//! stream socket.
//!
//! On the wire: one JSON object a line in each direction, an answer for each request in the order of the
//! requests. A line that is no request is answered with an error, and the connection is closed. So is that of a user
//! who may not use the switch ([`access`]), before it has asked anything.

pub mod access;
pub mod api;
pub mod client;
pub mod server;

use std::path::{Path, PathBuf};

use hitless_proto::config::SwitchName;

/// Each switch has a directory of its name here, with its control socket.
pub const RUN_DIR: &str = "/run/hitless";

/// The control socket of a switch, under [`RUN_DIR`] or wherever `run_dir` is.
#[must_use]
pub fn socket_path(run_dir: &Path, switch: &SwitchName) -> PathBuf {
    run_dir.join(switch.as_str()).join("control.sock")
}
