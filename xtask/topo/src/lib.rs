//! Runs containerlab topologies in network namespaces, without containerlab or Docker.
//!
//! A node is a network namespace `clab-<lab>-<node>` (seen by `ip netns`) together with mount, UTS and PID
//! namespaces and a first process of its own, which outlives the programs it starts. A node of our image
//! (`hitless:latest`) runs the locally built binaries as the image's entrypoint would; any other image means
//! an idle node with the host's programs. A node sees the host's files; what it writes stays in the node and
//! ends with it, except under binds. See the module `rootfs`.
//!
//! The same file runs under containerlab. What this runner can not do, it refuses with file, line and reason
//! ([`Error::Topology`]). Where it differs from containerlab on purpose:
//! - links are made before a node's command starts, so that a lab comes up the same way every time;
//! - an `exec` line that fails makes `up` fail;
//! - a command that ends is not started again.
//!
//! ```no_run
//! // First in main, since nodes are started from the program's own executable.
//! hitless_topo::init_hook();
//! let options = hitless_topo::UpOptions {
//!     lab_name: Some("mine".into()),
//!     ..Default::default()
//! };
//! let lab = hitless_topo::up("topologies/single/single.clab.yml".as_ref(), &options)?;
//! print!("{lab}");
//! hitless_topo::exec("mine", "h1", &["ping", "-c1", "10.0.10.2"])?;
//! hitless_topo::down("mine")?;
//! # Ok::<(), hitless_topo::Error>(())
//! ```

mod boot;
mod document;
mod enter;
mod error;
mod expand;
mod image;
mod init;
mod lab;
mod netns;
mod process;
mod refuse;
mod resolve;
mod rootfs;
mod schema;
mod state;
mod topology;

pub use enter::{NodeHandle, exec, exit_code};
pub use error::{Error, Problem, Refusal};
pub use image::BINARIES_IN_NODE;
pub use init::init_hook;
pub use lab::{DownReport, LabInfo, LabStatus, NodeInfo, UpOptions, down, list, up};
pub use topology::{Bind, End, Healthcheck, Link, Node, Topology, lab_of};
