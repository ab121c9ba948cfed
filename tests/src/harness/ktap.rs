//! Runs test cases and prints KTAP (the kernel's Documentation/dev-tools/ktap.rst).

use std::any::Any;
use std::fmt;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};

use super::cleanup;
use super::netns::Netns;
use super::process::output;
use super::run::{Run, Scratch};
use super::switch::{Switch, tail};

/// How long a case may take unless it says otherwise. A busy machine needs more time than an idle one.
pub const TIMEOUT: Duration = Duration::from_secs(60);

/// Exit codes of the kernel's selftests.
pub mod exit {
    /// Every case passed, or passed but some were skipped.
    pub const PASS: u8 = 0;
    /// A case failed.
    pub const FAIL: u8 = 1;
    /// Nothing was tested.
    pub const SKIP: u8 = 4;
}

/// A test case.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Name, as `vlan.access`.
    pub name: &'static str,
    /// What it shows; `seed: 16, 17` names the rows of the seed table that it proves.
    pub description: &'static str,
    /// The test. Passed unless it returns an error or panics; see [`skip`].
    pub run: fn(&Ctx) -> Result<()>,
    /// After this long the case has failed and everything that it made is removed.
    pub timeout: Duration,
    /// Whether it waits for others' timers most of its time, so that some such cases may run at the same time.
    pub waits: bool,
}

impl Case {
    /// A case with the usual [`TIMEOUT`].
    #[must_use]
    pub const fn new(
        name: &'static str,
        description: &'static str,
        run: fn(&Ctx) -> Result<()>,
    ) -> Self {
        Self {
            name,
            description,
            run,
            timeout: TIMEOUT,
            waits: false,
        }
    }

    /// The case as one that waits most of its time: see [`Case::waits`].
    #[must_use]
    pub const fn waits(mut self) -> Self {
        self.waits = true;
        self
    }

    /// The case with another timeout.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

/// A reason for not testing; see [`skip`].
#[derive(Debug)]
struct Skip(String);

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Skip {}

/// The error to return from a case that can not be tested here: names what is missing.
#[must_use]
pub fn skip(why: impl Into<String>) -> anyhow::Error {
    Skip(why.into()).into()
}

/// What a case works with.
#[derive(Debug)]
pub struct Ctx {
    run: Run,
    files: Scratch,
    notes: Arc<Mutex<Vec<String>>>,
    told: Arc<Mutex<Vec<String>>>,
}

impl Ctx {
    fn new(
        run: Run,
        notes: Arc<Mutex<Vec<String>>>,
        told: Arc<Mutex<Vec<String>>>,
    ) -> Result<Self> {
        let files = Scratch::new(&run, "files")?;
        Ok(Self {
            run,
            files,
            notes,
            told,
        })
    }

    /// The case's run.
    #[must_use]
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// A directory for the case's files. The ends of all `*.log` in it are shown when the case fails.
    #[must_use]
    pub fn files(&self) -> &Path {
        self.files.path()
    }

    /// A new namespace.
    ///
    /// # Errors
    /// When it can not be made.
    pub fn netns(&self, label: &str) -> Result<Netns> {
        Netns::new(&self.run, label)
    }

    /// A running switch; see [`Switch::start`].
    ///
    /// # Errors
    /// When it does not start.
    pub fn switch(&self, netns: &Netns, label: &str, config: &str) -> Result<Switch> {
        Switch::start(&self.run, self.files(), netns, label, config)
    }

    /// Notes something that explains a failure; shown only then.
    pub fn note(&self, text: impl Into<String>) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.push(text.into());
    }

    /// Tells a figure; shown before the case's result, whatever that is.
    pub fn tell(&self, text: impl Into<String>) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.push(text.into());
    }

    /// Skips the case unless a program is installed.
    ///
    /// # Errors
    /// The skip, naming the program.
    pub fn need_program(&self, name: &str) -> Result<()> {
        let mut which = std::process::Command::new("sh");
        which.args(["-c", &format!("command -v {name}")]);
        match output(&mut which) {
            Ok(_) => Ok(()),
            Err(_) => Err(skip(format!("{name} is not installed"))),
        }
    }
}

/// What came of a case.
struct Ended {
    outcome: Outcome,
    /// See [`Ctx::tell`].
    told: Vec<String>,
}

/// How a case ended.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Passed,
    Skipped(String),
    /// The lines that explain it.
    Failed(Vec<String>),
}

/// How many cases ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Passed.
    pub passed: usize,
    /// Failed.
    pub failed: usize,
    /// Skipped.
    pub skipped: usize,
}

impl Totals {
    /// The exit code: see [`exit`].
    #[must_use]
    pub fn exit_code(self) -> u8 {
        if self.failed > 0 {
            exit::FAIL
        } else if self.passed > 0 {
            exit::PASS
        } else {
            exit::SKIP
        }
    }
}

/// Cases that wait most of their time and run at the same time, at least.
const WAITING: usize = 4;

/// Runs the cases, `parallel` at a time (more of those that only wait), and prints their results in order.
///
/// # Errors
/// When `out` can not be written.
pub fn run(cases: &[Case], parallel: usize, out: &mut impl Write) -> Result<Totals> {
    writeln!(out, "KTAP version 1\n1..{}", cases.len())?;
    out.flush()?;
    let mut totals = Totals::default();
    let mut before = 0;
    for some in cases.chunk_by(|a, b| a.waits == b.waits) {
        let parallel = match some.first() {
            Some(case) if case.waits => parallel.max(WAITING),
            _ => parallel,
        };
        run_some(some, parallel, before, &mut totals, out)?;
        before += some.len();
    }
    let Totals {
        passed,
        failed,
        skipped,
    } = totals;
    writeln!(
        out,
        "# Totals: pass:{passed} fail:{failed} xfail:0 xpass:0 skip:{skipped} error:0"
    )?;
    Ok(totals)
}

/// Runs cases at the same time; `before` of all cases were run already.
fn run_some(
    cases: &[Case],
    parallel: usize,
    before: usize,
    totals: &mut Totals,
    out: &mut impl Write,
) -> Result<()> {
    let next = AtomicUsize::new(0);
    let (sender, results) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..parallel.clamp(1, cases.len().max(1)) {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if sender.send((case.name, watch(case))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut done = std::collections::HashMap::new();
        for (number, case) in (before + 1..).zip(cases) {
            while !done.contains_key(case.name) {
                let (name, ended) = results.recv().context("a worker ended early")?;
                done.insert(name, ended);
            }
            if let Some(ended) = done.remove(case.name) {
                report(out, number, case, &ended, totals)?;
            }
        }
        anyhow::Ok(())
    })
}

fn report(
    out: &mut impl Write,
    number: usize,
    case: &Case,
    ended: &Ended,
    totals: &mut Totals,
) -> Result<()> {
    let line = format!("{number} {}: {}", case.name, case.description);
    for line in ended.told.iter().flat_map(|l| l.lines()) {
        writeln!(out, "# {}: {line}", case.name)?;
    }
    match &ended.outcome {
        Outcome::Passed => {
            totals.passed += 1;
            writeln!(out, "ok {line}")?;
        }
        Outcome::Skipped(why) => {
            totals.skipped += 1;
            writeln!(out, "ok {line} # SKIP {}", why.replace('\n', " "))?;
        }
        Outcome::Failed(lines) => {
            totals.failed += 1;
            for line in lines.iter().flat_map(|l| l.lines()) {
                writeln!(out, "# {line}")?;
            }
            writeln!(out, "not ok {line}")?;
        }
    }
    out.flush()?;
    Ok(())
}

/// Runs one case on a thread of its own, not longer than it may take.
fn watch(case: &Case) -> Ended {
    let run = match Run::new() {
        Ok(run) => run,
        Err(error) => {
            return Ended {
                outcome: Outcome::Failed(vec![format!("{error:#}")]),
                told: Vec::new(),
            };
        }
    };
    let [notes, told] = [(); 2].map(|()| Arc::new(Mutex::new(Vec::new())));
    let (sender, result) = mpsc::channel();
    let (body, number) = (case.run, run.number());
    let inside = [notes.clone(), told.clone()];
    let spawned = std::thread::Builder::new()
        .name(case.name.to_owned())
        .spawn(move || {
            let [notes, told] = inside;
            let outcome = match Ctx::new(run, notes, told) {
                Ok(ctx) => conclude(catch_unwind(AssertUnwindSafe(|| body(&ctx))), &ctx),
                Err(error) => Outcome::Failed(vec![format!("{error:#}")]),
            };
            // Nobody listens any more after the timeout.
            let _ = sender.send(outcome);
        });
    let outcome = match spawned {
        Ok(_) => match result.recv_timeout(case.timeout) {
            Ok(outcome) => outcome,
            Err(RecvTimeoutError::Timeout) => {
                Outcome::Failed(vec![format!("still running after {:?}", case.timeout)])
            }
            Err(RecvTimeoutError::Disconnected) => {
                Outcome::Failed(vec!["the case's thread ended without a result".into()])
            }
        },
        Err(error) => Outcome::Failed(vec![format!("thread for the case: {error}")]),
    };
    // After a timeout the thread is stuck with its guards; what they guard goes now.
    cleanup::undo_run(number);
    let of = |texts: &Mutex<Vec<String>>| {
        let texts = texts.lock().unwrap_or_else(PoisonError::into_inner);
        texts.clone()
    };
    let outcome = match outcome {
        Outcome::Failed(mut lines) => {
            // The reason last: of a long log only the end may be kept.
            let reason = lines.remove(0);
            lines.extend(of(&notes));
            lines.push(format!("reason: {reason}"));
            Outcome::Failed(lines)
        }
        other => other,
    };
    Ended {
        outcome,
        told: of(&told),
    }
}

fn conclude(result: std::thread::Result<Result<()>>, ctx: &Ctx) -> Outcome {
    let reason = match result {
        Ok(Ok(())) => return Outcome::Passed,
        Ok(Err(error)) => match error.downcast::<Skip>() {
            Ok(skip) => return Outcome::Skipped(skip.0),
            Err(error) => format!("{error:#}"),
        },
        Err(panic) => format!("panicked: {}", panic_message(&*panic)),
    };
    let mut lines = vec![reason];
    let mut logs: Vec<_> = std::fs::read_dir(ctx.files())
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "log"))
        .collect();
    logs.sort();
    for log in logs {
        let name = log.file_name().unwrap_or_default().to_string_lossy();
        lines.push(format!("-- end of {name}:\n{}", tail(&log)));
    }
    Outcome::Failed(lines)
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::bail;
    use std::path::PathBuf;

    static LEFT: Mutex<Option<PathBuf>> = Mutex::new(None);

    fn pass(_: &Ctx) -> Result<()> {
        Ok(())
    }
    fn fail(ctx: &Ctx) -> Result<()> {
        ctx.note("a note");
        std::fs::write(ctx.files().join("sw1.log"), "first\nsecond\n")?;
        bail!("one frame\ntoo much")
    }
    fn panics(_: &Ctx) -> Result<()> {
        panic!("on {}", "purpose")
    }
    fn skips(_: &Ctx) -> Result<()> {
        Err(skip("no tshark").context("looked for it"))
    }
    fn hangs(ctx: &Ctx) -> Result<()> {
        *LEFT.lock().unwrap() = Some(ctx.files().to_owned());
        loop {
            std::thread::park();
        }
    }

    fn output(cases: &[Case], parallel: usize) -> (String, Totals) {
        let mut out = Vec::new();
        let totals = run(cases, parallel, &mut out).unwrap();
        (String::from_utf8(out).unwrap(), totals)
    }

    #[test]
    fn every_outcome_is_told_in_order() {
        let cases = [
            Case::new("a.slow", "hangs", hangs).timeout(Duration::from_millis(50)),
            Case::new("a.pass", "passes (seed: 16, 17)", pass),
            Case::new("b.fail", "fails", fail),
            Case::new("b.panic", "panics", panics),
            Case::new("c.skip", "is skipped", skips),
        ];
        let expected = "KTAP version 1\n1..5\n\
             # reason: still running after 50ms\nnot ok 1 a.slow: hangs\n\
             ok 2 a.pass: passes (seed: 16, 17)\n\
             # -- end of sw1.log:\n# first\n# second\n# a note\n# reason: one frame\n# too much\nnot ok 3 b.fail: fails\n\
             # reason: panicked: on purpose\nnot ok 4 b.panic: panics\n\
             ok 5 c.skip: is skipped # SKIP no tshark\n\
             # Totals: pass:1 fail:3 xfail:0 xpass:0 skip:1 error:0\n";
        for parallel in [1, 3] {
            let (text, totals) = output(&cases, parallel);
            assert_eq!(text, expected);
            assert_eq!(totals.exit_code(), exit::FAIL);
            // What the case that hangs made has gone.
            assert!(!LEFT.lock().unwrap().take().unwrap().exists());
        }
    }

    #[test]
    fn cases_that_wait_run_at_the_same_time() {
        static BOTH: std::sync::Barrier = std::sync::Barrier::new(2);
        fn meets(_: &Ctx) -> Result<()> {
            BOTH.wait();
            Ok(())
        }
        let cases = [
            Case::new("a.pass", "passes", pass),
            Case::new("b.one", "meets the other", meets).waits(),
            Case::new("b.other", "meets the one", meets).waits(),
            Case::new("c.pass", "passes", pass),
        ];
        let (text, totals) = output(&cases, 1);
        assert_eq!(totals.passed, 4, "{text}");
        assert!(
            text.contains("\nok 3 b.other") && text.contains("\nok 4 c.pass"),
            "{text}"
        );
    }

    #[test]
    fn a_skip_is_no_pass() {
        let skipped = Case::new("c.skip", "is skipped", skips);
        let passed = Case::new("a.pass", "passes", pass);
        assert_eq!(output(&[skipped], 1).1.exit_code(), exit::SKIP);
        assert_eq!(output(&[skipped, passed], 1).1.exit_code(), exit::PASS);
        assert_eq!(output(&[], 1).1.exit_code(), exit::SKIP);
    }
}
