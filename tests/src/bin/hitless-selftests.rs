//! Runs the network tests and prints KTAP.

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use hitless_tests::harness::{cleanup, images, ktap, puppet, run};
use hitless_tests::selftests;

/// Network tests of Hitless, in the manner of the kernel's selftests.
///
/// Exit code 0: passed; 1: a case failed; 4: nothing was tested.
#[derive(Parser)]
struct Options {
    /// Run only the cases whose name contains one of these
    filter: Vec<String>,
    /// Print names and descriptions and run nothing
    #[arg(long)]
    list: bool,
    /// Cases that run at the same time
    #[arg(short, long, default_value_t = 1, value_name = "N")]
    jobs: usize,
}

fn main() -> Result<ExitCode> {
    hitless_topo::init_hook();
    puppet::hook();
    images::hook();
    let options = Options::parse();
    let cases = selftests::matching(&options.filter);
    if options.list {
        for case in &cases {
            println!("{}: {}", case.name, case.description);
        }
        return Ok(ExitCode::SUCCESS);
    }
    if !nix::unistd::geteuid().is_root() {
        println!("KTAP version 1\n1..0 # SKIP needs root");
        return Ok(ktap::exit::SKIP.into());
    }
    if cases.is_empty() {
        eprintln!(
            "no case has a name that contains: {}",
            options.filter.join(", ")
        );
    }
    cleanup::on_signals()?;
    for left in run::sweep() {
        eprintln!("removed {left}, left by a run that was cut off");
    }
    let totals = ktap::run(&cases, options.jobs, &mut std::io::stdout().lock())?;
    Ok(totals.exit_code().into())
}
