//! The one entry for development: `cargo xtask <task>`.
//!
//! Progress and messages go to standard error, so that `bench --json` and `topo exec` leave standard
//! output to what they run.

mod build;
mod image;
mod lint;
mod repo;
mod results;
mod run;
mod seed_table;
mod setup;
mod step;
mod test;
mod topo;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use repo::Repo;

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about,
    disable_help_subcommand = true
)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what building and running need; does nothing that is done already
    Setup {
        /// Also what `lint` uses and nothing else does: cargo-deny
        #[arg(long)]
        lint: bool,
    },
    /// Build the switch with its data path, and the programs of tests, demo and benches
    Build,
    /// Build the switch and write its image, one file for download and upgrade
    Image(image::Options),
    /// Make a pair of keys that sign images
    ImageKey(image::KeyOptions),
    /// Check formatting, clippy for every crate, licences and advisories
    Lint,
    /// Set up, build, run the unit tests and the network tests, and sum up (needs root)
    Test(test::Options),
    /// Set up, build, and fail over 2,000 times under traffic (needs root; takes ten minutes or more)
    Soak,
    /// Set up, build, and show the switch at work (needs root)
    Demo {
        /// Which demo: single or stp; single without a name
        name: Option<String>,
    },
    /// Set up, build, and measure, side by side with what one would use instead (needs root)
    Bench {
        /// Which bench; all without a name
        name: Option<String>,
        /// Print the results as JSON
        #[arg(long)]
        json: bool,
        /// More arguments for the bench
        #[arg(last = true)]
        more: Vec<String>,
    },
    /// Run a containerlab topology in network namespaces (needs root)
    #[command(subcommand)]
    Topo(topo::Action),
}

fn main() -> ExitCode {
    // A node's first process is this program in another role.
    hitless_topo::init_hook();
    let arguments = Arguments::parse();
    let done = Repo::locate().and_then(|repo| match arguments.task {
        Task::Setup { lint } => setup::run(&repo, lint).map(|()| ExitCode::SUCCESS),
        Task::Build => build::run(&repo).map(|()| ExitCode::SUCCESS),
        Task::Image(options) => image::run(&repo, &options).map(|()| ExitCode::SUCCESS),
        Task::ImageKey(options) => image::key(&options).map(|()| ExitCode::SUCCESS),
        Task::Lint => lint::run(&repo),
        Task::Test(options) => test::run(&repo, &options),
        Task::Soak => run::soak(&repo),
        Task::Demo { name } => run::demo(&repo, name.as_deref()),
        Task::Bench { name, json, more } => run::bench(&repo, name.as_deref(), json, &more),
        Task::Topo(action) => topo::run(&repo, action),
    });
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
