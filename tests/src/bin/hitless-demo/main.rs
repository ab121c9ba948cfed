//! The promise in half a minute, under traffic.

mod single;
mod stp;
mod upgrade;

use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::{Parser, ValueEnum};
use hitless_tests::harness::cleanup;
use hitless_tests::harness::run::{self, Run};

/// Shows that frames do not depend on the control plane.
///
/// `single` brings up the lab of that name, whose switch has two management modules, sends numbered frames between h1 and
/// h2 both ways, takes the master away by command, by SIGKILL and by a hang, then both modules at once, upgrades the switch
/// to another version and back, and counts. Exit code 0 only if nothing was lost, doubled or re-ordered.
///
/// `stp` brings up the lab `ring`: three switches with spanning tree, each with two modules. It shows the tree,
/// takes a link of it down and up again, takes masters away, and counts. Exit code 0 only if no frame ever came twice, the
/// lost link cost less than three seconds, and a lost master nothing.
#[derive(Parser)]
struct Options {
    /// Which demo
    #[arg(value_enum, default_value = "single")]
    demo: Demo,
    /// Seconds that each phase lasts at least
    #[arg(long, default_value_t = 3, value_name = "N")]
    seconds: u64,
    /// Frames a second that each host of `single` sends
    #[arg(long, default_value_t = 250_000, value_name = "N")]
    rate: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Demo {
    /// One switch loses its master
    Single,
    /// A ring of three loses a link, and masters
    Stp,
}

fn main() -> Result<ExitCode> {
    // A node's first process is this program in another role.
    hitless_topo::init_hook();
    let options = Options::parse();
    ensure!(
        nix::unistd::geteuid().is_root(),
        "the demo needs root: it creates network namespaces and loads programs into the kernel"
    );
    cleanup::on_signals()?;
    run::sweep();
    let run = Run::new()?;
    let kept = match options.demo {
        Demo::Single => single::show(&run, &options)?,
        Demo::Stp => stp::show(&run, &options)?,
    };
    Ok(if kept {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
