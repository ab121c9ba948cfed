//! `topo`: the runner of `hitless-topo`, with the switch built when it is missing.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use hitless_topo::UpOptions;

use crate::repo::{Repo, need_root};
use crate::{build, setup};

#[derive(clap::Subcommand)]
pub enum Action {
    /// Bring up the lab of a topology file
    Up {
        /// The topology file (`*.clab.yml`)
        file: PathBuf,
        /// Another name for the lab, so that one file can be used twice
        #[arg(long)]
        name: Option<String>,
        /// How long to wait for health checks, in seconds
        #[arg(long, default_value_t = 10)]
        ready_timeout: u64,
    },
    /// Take a lab down; it is fine if there is none
    Down {
        /// The lab's name, or its topology file
        lab: String,
    },
    /// Run a command in a node of a lab, with this terminal
    Exec {
        /// The lab's name, or its topology file
        lab: String,
        /// The node
        node: String,
        /// The command and its arguments
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// List the labs of this machine
    List,
}

/// # Errors
/// Without root, and when the topology can not be run as it is.
pub fn run(repo: &Repo, action: Action) -> Result<ExitCode> {
    match action {
        Action::Up {
            file,
            name,
            ready_timeout,
        } => {
            need_root("topo up", "nodes are namespaces")?;
            let bin_dir = repo.release_dir();
            let built = ["hitless", "hitless-boot", "hitlessd"];
            if !built.iter().all(|binary| bin_dir.join(binary).is_file()) {
                setup::run(repo, false)?;
                build::run(repo)?;
            }
            let lab = hitless_topo::up(
                &file,
                &UpOptions {
                    lab_name: name,
                    bin_dir: Some(bin_dir),
                    ready_timeout: Duration::from_secs(ready_timeout),
                    progress: &|line| eprintln!("{line}"),
                },
            )?;
            print!("{lab}");
        }
        Action::Down { lab } => {
            need_root("topo down", "nodes are namespaces")?;
            let done = hitless_topo::down(&lab)?;
            println!(
                "lab {}: {}",
                done.lab,
                if done.was_up {
                    "taken down"
                } else {
                    "was not up"
                }
            );
        }
        Action::Exec { lab, node, command } => {
            need_root("topo exec", "nodes are namespaces")?;
            let code = match hitless_topo::exec(&lab, &node, &command) {
                Ok(status) => hitless_topo::exit_code(status),
                Err(error) => {
                    eprintln!("error: {error}");
                    error.exit_code()
                }
            };
            return Ok(ExitCode::from(code));
        }
        Action::List => {
            for lab in hitless_topo::list()? {
                print!("{lab}");
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
