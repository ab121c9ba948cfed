//! Runs the benches and prints their tables.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::{Parser, ValueEnum};
use hitless_tests::bench::failover;
use hitless_tests::bench::l2::{self, Effort};
use hitless_tests::bench::records::records;
use hitless_tests::bench::rounds::Table;
use hitless_tests::bench::{stp, upgrade};
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
    /// Measure only these: unicast, stations, learning, beside, writes, adoption, tcp of `l2`; records, 0, 10k, 100k,
    /// 1M (addresses) of `failover` and `upgrade`
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
    /// Of `path`: let later runs compare with this one, also when there are figures already. Of the others: keep the
    /// tables as JSON in target/bench/
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
    /// Time without a master after an operator's command, SIGKILL and a hang, with up to a million addresses; transfer
    /// to a standby, its pace and memory
    Failover,
    /// Spanning tree with 64 domains on 128 ports: CPU while nothing happens, time without a master
    Stp,
    /// The steps of an upgrade to another version and back, with up to a million addresses
    Upgrade,
}

const RECORDS: &str = "records";

fn table_names() -> Vec<&'static str> {
    let tables = l2::TABLES.iter().map(|(name, _)| *name);
    let sizes = failover::SIZES.iter().map(|(name, _)| *name);
    tables.chain([RECORDS]).chain(sizes).collect()
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
        Bench::Failover => failover(&options),
        Bench::Stp => stp(&options),
        Bench::Upgrade => upgrade(&options),
    }
}

/// Frames in one measurement of a path.
const REPEAT: u32 = 100_000;

fn path(options: &Options) -> Result<ExitCode> {
    let repeat = if options.quick { REPEAT / 10 } else { REPEAT };
    let figures = speed::nanoseconds(&Run::new()?, repeat)?;
    let file = target()?.join(figures::FILE);
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

/// target/, where figures are kept; this program is target/release/hitless-bench.
fn target() -> Result<PathBuf> {
    let program = std::env::current_exe().context("path of this program")?;
    let target = program.ancestors().nth(2);
    Ok(target
        .context("directory above this program's")?
        .to_path_buf())
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
    let mut report = Report::new(options);
    for (name, measure) in l2::TABLES {
        if report.wants(name) {
            report.add([measure(&run, files.path(), effort)?]);
        }
    }
    report.finish("l2")
}

fn failover(options: &Options) -> Result<ExitCode> {
    let mut effort = if options.quick {
        failover::Effort::QUICK
    } else {
        failover::Effort::FULL
    };
    if let Some(rounds) = options.rounds {
        effort.rounds = rounds.max(1);
        effort.rounds_of_a_million = rounds.max(1);
    }
    let mut report = Report::new(options);
    if !options.json {
        println!("{}\n", failover::MEANING);
    }
    if report.wants(RECORDS) {
        report.add([records(effort.rounds)?]);
    }
    for &(name, addresses) in failover::SIZES {
        if report.wants(name) {
            let run = Run::new()?;
            let files = Scratch::new(&run, "bench")?;
            report.add(failover::failover(&run, files.path(), effort, addresses)?);
        }
    }
    report.finish("failover")
}

fn stp(options: &Options) -> Result<ExitCode> {
    let mut effort = if options.quick {
        stp::Effort::QUICK
    } else {
        stp::Effort::FULL
    };
    if let Some(rounds) = options.rounds {
        effort.rounds = rounds.max(1);
    }
    let mut report = Report::new(options);
    if !options.json {
        println!("{}\n", stp::MEANING);
    }
    let run = Run::new()?;
    let files = Scratch::new(&run, "bench")?;
    report.add(stp::stp(&run, files.path(), effort)?);
    report.finish("stp")
}

fn upgrade(options: &Options) -> Result<ExitCode> {
    let mut effort = if options.quick {
        upgrade::Effort::QUICK
    } else {
        upgrade::Effort::FULL
    };
    if let Some(rounds) = options.rounds {
        effort.rounds = rounds.max(1);
    }
    let mut report = Report::new(options);
    if !options.json {
        println!("{}\n", upgrade::MEANING);
    }
    for &(name, addresses) in upgrade::SIZES {
        if report.wants(name) {
            let run = Run::new()?;
            let files = Scratch::new(&run, "bench")?;
            report.add(upgrade::upgrade(&run, files.path(), effort, addresses)?);
        }
    }
    report.finish("upgrade")
}

/// Tables as they are measured.
struct Report<'o> {
    options: &'o Options,
    tables: Vec<Table>,
}

impl<'o> Report<'o> {
    fn new(options: &'o Options) -> Self {
        Self {
            options,
            tables: Vec::new(),
        }
    }

    /// Whether this part is to be measured.
    fn wants(&self, name: &str) -> bool {
        let only = &self.options.only;
        only.is_empty() || only.iter().any(|only| only == name)
    }

    fn add(&mut self, tables: impl IntoIterator<Item = Table>) {
        for table in tables {
            if !self.options.json {
                println!("{table}");
            }
            self.tables.push(table);
        }
    }

    /// Prints and keeps what was asked for; success if no promise was broken.
    fn finish(self, bench: &str) -> Result<ExitCode> {
        let json = serde_json::to_string_pretty(&self.tables)? + "\n";
        if self.options.json {
            print!("{json}");
        }
        if self.options.save {
            let directory = target()?.join("bench");
            let file = directory.join(format!("{bench}.json"));
            fs::create_dir_all(&directory)
                .and_then(|()| fs::write(&file, json))
                .with_context(|| format!("write {}", file.display()))?;
            eprintln!("kept in {}", file.display());
        }
        Ok(match self.tables.iter().flat_map(Table::missed).next() {
            None => ExitCode::SUCCESS,
            Some(_) => ExitCode::FAILURE,
        })
    }
}

/// A load average from which on somebody else is at work.
const BUSY: f64 = 1.0;

/// Says on standard error that the machine has something else to do.
fn warn_if_busy() {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = text.split_whitespace().next().and_then(|l| l.parse().ok());
    if let Some(load) = load.filter(|load: &f64| *load >= BUSY) {
        eprintln!(
            "warning: the load average is {load}: other programs run. Ratios stay fair, absolute figures do not."
        );
    }
}
