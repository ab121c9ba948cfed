//! Runs the benches and prints their tables.

use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::{Parser, ValueEnum};
use hitless_tests::bench::l2::{self, Effort};
use hitless_tests::bench::rounds::Table;
use hitless_tests::dataplane::{figures, speed};
use hitless_tests::harness::cleanup;
use hitless_tests::harness::run::{self, Run, Scratch};

/// Measures Hitless side by side with what a user would pick instead.
///
/// Exit code 1 when a promised figure was missed, or a path became slower.
#[derive(Parser)]
struct Options {
    /// What to measure
    #[arg(value_enum, default_value = "l2")]
    bench: Bench,
    /// Measure only these tables: unicast, stations, learning, beside, writes, adoption, tcp
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
    /// Of `path`: let later runs compare with this one, also when there are figures already
    #[arg(long)]
    save: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Bench {
    /// Layer 2: known unicast, a million stations, learning, adoption, TCP
    L2,
    /// Nanoseconds a frame on each path of the data path, by the kernel's program test run, compared with those of
    /// an earlier run
    Path,
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
    warn_if_busy();
    match options.bench {
        Bench::L2 => l2(&options),
        Bench::Path => path(&options),
    }
}

/// Frames in one measurement of a path.
const REPEAT: u32 = 100_000;

fn path(options: &Options) -> Result<ExitCode> {
    let repeat = if options.quick { REPEAT / 10 } else { REPEAT };
    let figures = speed::nanoseconds(&Run::new()?, repeat)?;
    let program = std::env::current_exe().context("path of this program")?;
    // target/release/hitless-bench: the figures are kept in target/.
    let target = program
        .ancestors()
        .nth(2)
        .context("directory above this program's")?;
    let file = target.join(figures::FILE);
    let report = figures::compare(&file, &figures, figures::TOLERANCE)?;
    if options.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("{report}");
    }
    if options.save || report.not_compared.is_some() {
        figures::save(&file, &figures)?;
        eprintln!("later runs compare with this one: {}", file.display());
    }
    Ok(if report.regressions().next().is_none() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn l2(options: &Options) -> Result<ExitCode> {
    let mut effort = if options.quick {
        Effort::QUICK
    } else {
        Effort::FULL
    };
    if let Some(rounds) = options.rounds {
        effort.rounds = rounds.max(1);
    }
    let run = Run::new()?;
    let files = Scratch::new(&run, "bench")?;
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
