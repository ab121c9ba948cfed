//! What can go wrong, each with the thing it is about and what to do.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// One reason to refuse a topology file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Line in the file, from 1; 0 when it is about the whole file.
    pub line: usize,
    /// Keys from the top of the file to the value, joined by dots; empty for the whole file.
    pub path: String,
    /// The rule that was broken, and what to do.
    pub reason: String,
}

/// A topology file that was refused as a whole, with every reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The file.
    pub file: PathBuf,
    /// The reasons, by line; never empty.
    pub problems: Vec<Problem>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "{}:", self.file.display())?;
            if problem.line > 0 {
                write!(f, "{}:", problem.line)?;
            }
            if !problem.path.is_empty() {
                write!(f, " {}:", problem.path)?;
            }
            write!(f, " {}", problem.reason)?;
        }
        Ok(())
    }
}

/// Why a lab, or a node of it, could not be handled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The topology file breaks rules.
    #[error("{0}")]
    Topology(Refusal),
    /// Labs are made of namespaces and mounts.
    #[error(
        "{action} needs root (effective user id is {uid}): run it with sudo, or in a privileged container"
    )]
    NeedsRoot {
        /// What was asked for.
        action: &'static str,
        /// The effective user id.
        uid: u32,
    },
    /// The program can not be a node's first process.
    #[error(
        "this program starts nodes from its own executable, so its main must call hitless_topo::init_hook() before anything else"
    )]
    NoInitHook,
    /// The name is neither a file nor a usable lab name.
    #[error(
        "'{name}' is not a lab name: 1 to 63 of A-Z a-z 0-9 . _ -, the first a letter or digit (a topology file that does not exist?)"
    )]
    LabName {
        /// What was given.
        name: String,
    },
    /// The lab runs, or what is left of it is in the way.
    #[error("lab '{lab}' {condition}: take it down first with `cargo xtask topo down {lab}`")]
    AlreadyUp {
        /// The lab.
        lab: String,
        /// "is up", or what is wrong with it.
        condition: &'static str,
    },
    /// Another process is at work on the same lab.
    #[error(
        "lab '{lab}' is being brought up or taken down by process {pid}: wait for it, or choose another lab name"
    )]
    Busy {
        /// The lab.
        lab: String,
        /// The process that holds the lock, 0 when it could not be read.
        pid: i32,
    },
    /// No such lab.
    #[error("lab '{lab}' is not up: `cargo xtask topo list` shows the labs that are")]
    NoSuchLab {
        /// The lab.
        lab: String,
    },
    /// The lab has no such node.
    #[error("lab '{lab}' has no node '{node}'; its nodes are: {nodes}")]
    NoSuchNode {
        /// The lab.
        lab: String,
        /// The node asked for.
        node: String,
        /// The names of the nodes.
        nodes: String,
    },
    /// The node's first process died.
    #[error(
        "node '{node}' of lab '{lab}' is dead (its first process ended or the machine was restarted): `cargo xtask topo down {lab}` cleans up"
    )]
    NodeDead {
        /// The lab.
        lab: String,
        /// The node.
        node: String,
    },
    /// A namespace that the lab needs belongs to somebody else.
    #[error(
        "network namespace '{netns}' exists already and no lab of ours owns it: another tool's, or remove it with `ip netns del {netns}`"
    )]
    NetnsExists {
        /// Its name below /run/netns.
        netns: String,
    },
    /// A node of our own image has nothing to run.
    #[error(
        "node '{node}' has image '{image}', which means the locally built binaries, but there is no {binary} in {searched}: build it with `cargo xtask build`"
    )]
    NoBinary {
        /// The node.
        node: String,
        /// Its image.
        image: String,
        /// The binary that is missing.
        binary: &'static str,
        /// The directories searched.
        searched: String,
    },
    /// A step of starting a node failed.
    #[error("node '{node}': {step}: {reason}{}", log_tail(.log))]
    Node {
        /// The node.
        node: String,
        /// What was tried.
        step: String,
        /// Why it failed.
        reason: String,
        /// The last lines of the node's log, may be empty.
        log: String,
    },
    /// A program of the host failed.
    #[error("`{command}` failed: {reason}")]
    Host {
        /// The command line.
        command: String,
        /// Its exit status and standard error.
        reason: String,
    },
    /// The command given to `exec` can not be run in the node.
    #[error("node '{node}': can not run '{program}': {source}")]
    Spawn {
        /// The node.
        node: String,
        /// The program.
        program: String,
        /// The cause.
        source: io::Error,
    },
    /// `exec` was given no command.
    #[error("no command to run in node '{node}': give it after `--`")]
    NoCommand {
        /// The node.
        node: String,
    },
    /// A process refuses to die.
    #[error(
        "lab '{lab}': process {pid} of node '{node}' did not end within {seconds} s after SIGKILL (stuck in the kernel?): see /proc/{pid}/stack, then try `down` again"
    )]
    WontDie {
        /// The lab.
        lab: String,
        /// The node.
        node: String,
        /// The node's first process.
        pid: i32,
        /// How long was waited.
        seconds: u64,
    },
    /// The lab's state file is not one of ours.
    #[error(
        "{}: not a state file of this version ({reason}): end the lab's processes by hand, then remove the file", .path.display()
    )]
    State {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// An operation of the system failed.
    #[error("{what}: {source}")]
    Io {
        /// What was tried, on what.
        what: String,
        /// The cause.
        source: io::Error,
    },
}

fn log_tail(log: &str) -> String {
    if log.is_empty() {
        String::new()
    } else {
        format!("\nlast lines of its log:\n{}", log.trim_end())
    }
}

impl Error {
    /// The exit status a shell would give for it: 127 for a command that is not there, 126 for one that
    /// can not be executed, else 1.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Spawn { source, .. } if source.kind() == io::ErrorKind::NotFound => 127,
            Self::Spawn { .. } => 126,
            _ => 1,
        }
    }

    pub(crate) fn whole_file(file: &Path, reason: impl Into<String>) -> Self {
        Self::Topology(Refusal {
            file: file.into(),
            problems: vec![Problem {
                line: 0,
                path: String::new(),
                reason: reason.into(),
            }],
        })
    }
}

/// Adds what was tried to an error of the system.
pub(crate) trait Context<T> {
    /// `what` is "create /run/netns/x": a verb and its object.
    fn context(self, what: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T, E: Into<io::Error>> Context<T> for Result<T, E> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|e| Error::Io {
            what: what(),
            source: e.into(),
        })
    }
}
