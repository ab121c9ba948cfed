//! What a run made goes away however it ends.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use hitless_tests::harness::cleanup;
use hitless_tests::harness::netns::Netns;
use hitless_tests::harness::process::Process;
use hitless_tests::harness::run::{self, NETNS_DIR, Run, Scratch};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const HOLD: &str = "HITLESS_TESTS_HOLD";

/// Not a test of its own: the process that the tests below end. It makes one thing of each kind, names them and
/// waits.
#[test]
fn holder() {
    if std::env::var_os(HOLD).is_none() {
        return;
    }
    cleanup::on_signals().unwrap();
    let run = Run::new().unwrap();
    let netns = Netns::new(&run, "held").unwrap();
    let scratch = Scratch::new(&run, "held").unwrap();
    let sleeper = Process::spawn(&run, netns.command("sleep").unwrap().arg("600")).unwrap();
    // On a line of its own: the test runner has written into the one before.
    println!();
    println!("HELD {}", Path::new(NETNS_DIR).join(netns.name()).display());
    println!("HELD {}", scratch.path().display());
    println!("HELD /proc/{}", sleeper.pid());
    println!("HELD");
    loop {
        std::thread::park();
    }
}

/// Starts the holder, and returns it with the paths that exist as long as its things do.
fn hold() -> (Child, Vec<PathBuf>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["holder", "--exact", "--nocapture"])
        .env(HOLD, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut paths = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if let Some(path) = line.strip_prefix("HELD ") {
            paths.push(PathBuf::from(path));
        } else if line == "HELD" {
            break;
        }
    }
    assert_eq!(paths.len(), 3, "the holder did not start");
    assert!(paths.iter().all(|p| p.exists()), "{paths:?}");
    (child, paths)
}

fn end(child: &mut Child, signal: Signal) -> ExitStatus {
    kill(Pid::from_raw(child.id().cast_signed()), signal).unwrap();
    child.wait().unwrap()
}

#[test]
fn a_signal_leaves_nothing() {
    for (signal, code) in [(Signal::SIGTERM, 143), (Signal::SIGINT, 130)] {
        let (mut child, paths) = hold();
        assert_eq!(end(&mut child, signal).code(), Some(code));
        assert!(!paths.iter().any(|p| p.exists()), "{paths:?}");
    }
}

#[test]
fn what_a_killed_run_left_is_swept() {
    let (mut other, others) = hold();
    let (mut child, paths) = hold();
    assert_eq!(
        end(&mut child, Signal::SIGKILL).signal(),
        Some(Signal::SIGKILL as i32)
    );
    // Any run that starts meanwhile sweeps too; what counts is the end.
    run::sweep();
    for path in &paths {
        // The killed process in the namespace may need a moment.
        hitless_tests::harness::wait::wait_for(
            "the sweep",
            std::time::Duration::from_secs(10),
            || Ok((!path.exists()).then_some(())),
        )
        .unwrap();
    }
    // The things of a run that lives stay.
    assert!(others.iter().all(|p| p.exists()), "{others:?}");
    end(&mut other, Signal::SIGTERM);
}
