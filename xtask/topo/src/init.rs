//! The first process of a node: makes the node's namespaces and file system, starts the node's command,
//! reaps, and outlives everything else in the node.
//!
//! The program re-executes itself under [`ARGV0`]. That process makes the namespaces and forks: the child is
//! process 1 of the new PID namespace, the parent reports its pid and ends. It talks with `up` in lines:
//! `up` sends the [`Spec`] and later [`Order`]s; the answers are [`Answer`]s. When `up` dies before the last
//! order, the node dies too, so that no crash leaves a node that no state file knows.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, dup2_stdin, dup2_stdout, fork, sethostname, setsid};
use serde::{Deserialize, Serialize};

use crate::rootfs;
use crate::topology::Bind;

/// Name under which a program re-executes itself to become a node's first process.
pub(crate) const ARGV0: &str = "hitless-topo-init";

/// Set once the program has shown that it can become one.
static HOOKED: AtomicBool = AtomicBool::new(false);

/// What a node's first process must know.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Spec {
    pub hostname: String,
    /// Empty for an idle node.
    pub command: Vec<String>,
    pub env: BTreeMap<String, String>,
    pub sysctls: BTreeMap<String, String>,
    pub binds: Vec<Bind>,
    /// Directory to mount at [`crate::image::BINARIES_IN_NODE`].
    pub binaries: Option<PathBuf>,
}

/// What a node's first process waits for, after its [`Spec`].
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    /// Its pid was recorded: build the file system.
    Build,
    /// The links are there: start the node's command.
    Start,
}

impl Order {
    pub fn line(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Start => "start",
        }
    }
}

/// What a node's first process has to say, one line each.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// It was created, with this pid in the namespace of `up`.
    Pid(i32),
    /// Its file system is complete, links may come.
    Ready,
    /// The node's command runs, or there is none.
    Started,
    /// The node's command ended, and how.
    Ended(String),
    /// It gave up.
    Failed(String),
}

/// Must be called first in `main` of every program that calls [`crate::up`]: nodes are started from the
/// program's own executable. Returns at once, except in a process that is meant to become a node's first.
pub fn init_hook() {
    if std::env::args_os().next().is_some_and(|name| name == ARGV0) {
        run();
    }
    HOOKED.store(true, Ordering::Relaxed);
}

pub(crate) fn is_hooked() -> bool {
    HOOKED.load(Ordering::Relaxed)
}

fn run() -> ! {
    // Descriptor 0 and 1 are pipes to `up`, 2 is the node's log.
    let answers = match io::stdout().as_fd().try_clone_to_owned() {
        Ok(fd) => File::from(fd),
        Err(_) => std::process::exit(1),
    };
    let reason = match create(&answers) {
        Ok(never) => match never {},
        Err(reason) => reason,
    };
    say(&answers, &Answer::Failed(reason));
    std::process::exit(1)
}

/// `up` may be gone by now, which is no concern of the node's.
fn say(mut answers: &File, answer: &Answer) {
    if let Ok(line) = serde_json::to_string(answer) {
        let _ = writeln!(answers, "{line}");
    }
}

fn create(answers: &File) -> Result<Infallible, String> {
    let line = order().unwrap_or_default();
    let spec: Spec = serde_json::from_str(&line).map_err(|e| format!("read its orders: {e}"))?;

    unshare(
        CloneFlags::CLONE_NEWNET
            | CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWUTS
            | CloneFlags::CLONE_NEWPID,
    )
    .map_err(|e| format!("make namespaces: {e}"))?;
    // SAFETY: this process has a single thread, so nothing is lost or locked in the child.
    match unsafe { fork() }.map_err(|e| format!("fork the first process: {e}"))? {
        ForkResult::Parent { child } => {
            say(answers, &Answer::Pid(child.as_raw()));
            std::process::exit(0)
        }
        ForkResult::Child => first_process(&spec, answers),
    }
}

/// The next line from `up`, `None` when that is gone.
fn order() -> Option<String> {
    io::stdin().lines().next()?.ok()
}

fn await_order(expected: Order) -> Result<(), String> {
    match order() {
        Some(order) if order == expected.line() => Ok(()),
        _ => Err("`up` ended before the node was started".into()),
    }
}

fn first_process(spec: &Spec, answers: &File) -> Result<Infallible, String> {
    await_order(Order::Build)?;
    setsid().map_err(|e| format!("leave the terminal: {e}"))?;
    sethostname(&spec.hostname).map_err(|e| format!("set the host name: {e}"))?;
    rootfs::build(spec).map_err(|e| format!("build its file system: {e}"))?;
    for (key, value) in &spec.sysctls {
        // As sysctl(8): with slashes, dots are part of an interface's name.
        let path = if key.contains('/') {
            key.clone()
        } else {
            key.replace('.', "/")
        };
        let file = format!("/proc/sys/{path}");
        fs::write(&file, value).map_err(|e| {
            format!(
                "set sysctl {key} to {value}: {e} (a setting of a single interface needs the interface: use exec with `sysctl -w`)"
            )
        })?;
    }
    // Before the first child, so that the end of none is missed.
    let sigchld = SigSet::from(Signal::SIGCHLD);
    sigchld
        .thread_block()
        .map_err(|e| format!("block SIGCHLD: {e}"))?;
    say(answers, &Answer::Ready);

    await_order(Order::Start)?;
    detach().map_err(|e| format!("leave its pipes: {e}"))?;
    let command = start(spec)?;
    say(answers, &Answer::Started);
    reap(command, answers, sigchld)
}

/// Standard input becomes empty, standard output the log.
fn detach() -> io::Result<()> {
    dup2_stdin(File::open("/dev/null")?)?;
    dup2_stdout(log()?)?;
    Ok(())
}

fn log() -> io::Result<OwnedFd> {
    io::stderr().as_fd().try_clone_to_owned()
}

fn start(spec: &Spec) -> Result<Option<Pid>, String> {
    let Some((program, arguments)) = spec.command.split_first() else {
        return Ok(None);
    };
    let child = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(&spec.env)
        .current_dir("/")
        .stdin(Stdio::null())
        .spawn()
        .map_err(|e| format!("run `{}`: {e}", spec.command.join(" ")))?;
    Ok(Some(Pid::from_raw(child.id() as i32)))
}

/// Collects the children of the node, which orphans become too, for ever.
fn reap(command: Option<Pid>, answers: &File, sigchld: SigSet) -> ! {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => {
                // Only EINTR can fail here, and another look does no harm.
                let _ = sigchld.wait();
            }
            Ok(status) if command.is_some() && status.pid() == command => {
                let how = describe(status);
                let mut line = String::from("hitless-topo: the node's command ended: ");
                let _ = writeln!(line, "{how}");
                let _ = io::stderr().write_all(line.as_bytes());
                say(answers, &Answer::Ended(how));
            }
            Ok(_) | Err(_) => {}
        }
    }
}

fn describe(status: WaitStatus) -> String {
    match status {
        WaitStatus::Exited(_, code) => ExitStatus::from_raw(code << 8).to_string(),
        WaitStatus::Signaled(_, signal, _) => ExitStatus::from_raw(signal as i32).to_string(),
        other => format!("{other:?}"),
    }
}
