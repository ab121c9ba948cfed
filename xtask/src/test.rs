//! `test`: unit tests and network tests, one sum.

use std::io::{self, BufRead, BufReader, PipeReader, Write};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};

use anyhow::{Context, Result};

use crate::repo::{Repo, need_root};
use crate::results::{Ktap, Libtest, Reader, Results};
use crate::step::Step;
use crate::{build, seed_table, setup};

#[derive(clap::Args)]
pub struct Options {
    /// Run only the tests whose name contains one of these
    filter: Vec<String>,
    /// Print the table of what the seed documents ask for, with the tests that show each row
    #[arg(long)]
    seed_table: bool,
    /// Take the machine as it is: install and mount nothing
    #[arg(long)]
    no_setup: bool,
}

/// # Errors
/// Without root, and when setting up or building fails. Failed tests are an exit code, not an error.
pub fn run(repo: &Repo, options: &Options) -> Result<ExitCode> {
    need_root(
        "test",
        "the network tests create namespaces and load programs into the kernel",
    )?;
    if !options.no_setup {
        setup::run(repo, false)?;
    }
    build::run(repo)?;
    let mut compile = build::release(repo, "test");
    compile.args(["--no-run"]);
    Step {
        name: "build the unit tests",
        why: "of every crate of the workspace",
        remedy: "Correct what the compiler names and run the task again.",
        warnings: true,
    }
    .run(compile)?;

    let mut results = Results::default();
    let mut out = io::stdout().lock();
    eprintln!("==> unit tests");
    for filter in unit_filters(&options.filter) {
        let mut unit = build::release(repo, "test");
        unit.args(["--no-fail-fast", "--"]).args(filter);
        unit.env("CARGO_TERM_COLOR", "never");
        results.add(follow(unit, Libtest::default(), true, &mut out)?);
    }
    eprintln!("==> network tests");
    let mut network = repo.binary("hitless-selftests")?;
    network.args(&options.filter);
    results.add(follow(network, Ktap::default(), false, &mut out)?);
    drop(out);

    if options.seed_table {
        println!("{}", seed_table::render(&results.rows));
    }
    Ok(report(&results, &options.filter))
}

/// The arguments of each run of the unit tests. Test programs that are not libtest take one filter only,
/// so each filter has its run, which leaves out what an earlier one has run.
fn unit_filters(filters: &[String]) -> Vec<Vec<&str>> {
    if filters.is_empty() {
        return vec![Vec::new()];
    }
    let earlier = |at: usize| filters[..at].iter().flat_map(|filter| ["--skip", filter]);
    let runs = filters.iter().enumerate();
    runs.map(|(at, filter)| {
        std::iter::once(filter.as_str())
            .chain(earlier(at))
            .collect()
    })
    .collect()
}

/// Runs `command`, shows its output on `out` line by line and reads it; with `errors` its standard error
/// too.
fn follow(
    command: Command,
    mut reader: impl Reader,
    errors: bool,
    out: &mut impl Write,
) -> Result<Results> {
    let name = command.get_program().to_owned();
    let pass = || -> io::Result<ExitStatus> {
        let (mut child, output) = spawn(command, errors)?;
        for line in BufReader::new(output).split(b'\n') {
            let line = line?;
            let line = String::from_utf8_lossy(&line);
            writeln!(out, "{line}")?;
            reader.line(&line);
        }
        child.wait()
    };
    let status = pass().with_context(|| format!("{} could not be followed", name.display()))?;
    Ok(reader.finish(status))
}

/// Takes the command, since it holds writing ends of the pipe, which would never end.
fn spawn(mut command: Command, errors: bool) -> io::Result<(Child, PipeReader)> {
    let (output, writer) = io::pipe()?;
    if errors {
        // One pipe for both, so that their order is kept.
        command.stderr(writer.try_clone()?);
    }
    let child = command.stdin(Stdio::null()).stdout(writer).spawn()?;
    Ok((child, output))
}

/// Prints the end of the run: skips, failures, and the sum as the last line.
fn report(results: &Results, filter: &[String]) -> ExitCode {
    for (title, names) in [("skipped", &results.skips), ("failed", &results.failures)] {
        if !names.is_empty() {
            println!("{title}:");
        }
        for name in names {
            println!("  {name}");
        }
    }
    let nothing = results.passed + results.failed + results.skipped == 0;
    if nothing {
        println!("no test has a name that contains: {}", filter.join(", "));
    }
    println!("{}", results.summary());
    if results.failed > 0 || nothing {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, reader: impl Reader, errors: bool) -> (Results, String) {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let mut shown = Vec::new();
        let results = follow(command, reader, errors, &mut shown).unwrap();
        (results, String::from_utf8(shown).unwrap())
    }

    #[test]
    fn output_is_followed_to_its_end() {
        let (results, shown) = shell(
            "echo 1..1; printf 'not ok 1 a'; exit 1",
            Ktap::default(),
            false,
        );
        assert_eq!(results.failures, ["a"]);
        assert_eq!(shown, "1..1\nnot ok 1 a\n");
    }

    #[test]
    fn both_outputs_are_read_in_order() {
        let script = "echo '     Running a (x/a-1)' >&2; echo 'test b ... FAILED'; exit 101";
        let (results, _) = shell(script, Libtest::default(), true);
        assert_eq!(results.failures, ["a: b", "a: ended before its result"]);
    }

    #[test]
    fn each_filter_has_a_run_and_no_test_runs_twice() {
        assert_eq!(unit_filters(&[]), [[""; 0]]);
        let filters = ["a", "b", "c"].map(str::to_owned);
        let runs = unit_filters(&filters);
        assert_eq!(runs[0], ["a"]);
        assert_eq!(runs[2], ["c", "--skip", "a", "--skip", "b"]);
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        let missing = Command::new("/nonexistent");
        assert!(follow(missing, Ktap::default(), false, &mut Vec::new()).is_err());
    }

    #[test]
    fn the_exit_code_follows_the_failures() {
        let passed = Results {
            passed: 1,
            skipped: 1,
            ..Results::default()
        };
        assert_eq!(report(&passed, &[]), ExitCode::SUCCESS);
        let failed = Results {
            passed: 1,
            failed: 1,
            ..Results::default()
        };
        assert_eq!(report(&failed, &[]), ExitCode::FAILURE);
        assert_eq!(
            report(&Results::default(), &["nothing".to_owned()]),
            ExitCode::FAILURE
        );
    }
}
