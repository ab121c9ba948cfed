//! Runs the benches and prints their tables.

use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::{Parser, ValueEnum};
use hitless_tests::bench::l2::{self, Effort};
use hitless_tests::bench::rounds::Table;
use hitless_tests::harness::cleanup;
use hitless_tests::harness::run::{self, Run, Scratch};

/// Measures Hitless side by side with what a user would pick instead.
///
/// Exit code 1 when a promised figure was missed.
#[derive(Parser)]
struct Options {
    /// What to measure
    #[arg(value_enum, default_value = "l2")]
    bench: Bench,
    /// Measure only these tables: unicast, stations, learning, adoption, tcp
    #[arg(long, value_name = "TABLE", value_parser = table_names())]
    only: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Interleaved rounds
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// Short measurements: shows what is badly off, nothing to quote
    #[arg(long)]
    quick: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Bench {
    /// Layer 2: known unicast, a million stations, learning, adoption, TCP
    L2,
}

fn table_names() -> Vec<&'static str> {
    l2::TABLES.iter().map(|(name, _)| *name).collect()
}

fn main() -> Result<ExitCode> {
    let options = Options::parse();
    ensure!(
        nix::unistd::geteuid().is_root(),
        "the benches need root: they create network namespaces and load programs into the kernel"
    );
    cleanup::on_signals()?;
    for left in run::sweep() {
        eprintln!("removed {left}, left by a run that was cut off");
    }
    let mut effort = if options.quick {
        Effort::QUICK
    } else {
        Effort::FULL
    };
    if let Some(rounds) = options.rounds {
        effort.rounds = rounds.max(1);
    }
    warn_if_busy();
    let run = Run::new()?;
    let files = Scratch::new(&run, "bench")?;
    let Bench::L2 = options.bench;
    let mut tables = Vec::new();
    for (name, measure) in l2::TABLES {
        if options.only.is_empty() || options.only.iter().any(|only| only == name) {
            let table = measure(&run, files.path(), effort)?;
            if !options.json {
                println!("{table}");
            }
            tables.push(table);
        }
    }
    if options.json {
        println!("{}", serde_json::to_string_pretty(&tables)?);
    }
    let missed = tables.iter().flat_map(Table::missed).count();
    Ok(if missed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// A load average from which on somebody else is at work.
const BUSY: f64 = 1.0;

/// Says on standard error that the machine has something else to do.
fn warn_if_busy() {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = text.split_whitespace().next().and_then(|l| l.parse().ok());
    if let Some(load) = load.filter(|load: &f64| *load >= BUSY) {
        eprintln!(
            "warning: the load average is {load}: other programs run. Ratios stay fair, absolute figures do not."
        );
    }
}
