//! Runs programs inside a running node.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;

use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{SigHandler, Signal, signal};

use crate::error::{Context, Error};
use crate::process::ProcessId;
use crate::state::Store;
use crate::topology::lab_of;

/// A running node, to run programs in.
#[derive(Debug)]
pub struct NodeHandle {
    node: String,
    env: BTreeMap<String, String>,
    namespaces: Arc<Namespaces>,
}

/// The namespaces of a node's first process. They stay these even when it dies.
#[derive(Debug)]
struct Namespaces {
    pid: File,
    net: File,
    uts: File,
    mnt: File,
}

impl NodeHandle {
    /// A node of a running lab. `lab` is a lab's name or a topology file.
    ///
    /// # Errors
    /// [`Error::NoSuchLab`], [`Error::NoSuchNode`], [`Error::NodeDead`]; [`Error::Io`] without root.
    pub fn open(lab: &str, node: &str) -> Result<Self, Error> {
        let lab = lab_of(lab)?;
        let Some(state) = Store::default().read(&lab)? else {
            return Err(Error::NoSuchLab { lab });
        };
        let Some(found) = state.nodes.iter().find(|n| n.name == node) else {
            let names: Vec<&str> = state.nodes.iter().map(|n| n.name.as_str()).collect();
            let nodes = names.join(" ");
            let node = node.into();
            return Err(Error::NoSuchNode { lab, node, nodes });
        };
        let init = state.live_init(found)?;
        let handle = init.map(|init| Self::of(init, node, found.env.clone()));
        match handle.transpose()?.flatten() {
            Some(handle) => Ok(handle),
            None => Err(Error::NodeDead {
                lab,
                node: node.into(),
            }),
        }
    }

    /// The node with this first process, `None` when it is dead.
    pub(crate) fn of(
        init: ProcessId,
        node: &str,
        env: BTreeMap<String, String>,
    ) -> Result<Option<Self>, Error> {
        let open = |kind: &str| {
            let file = format!("/proc/{}/ns/{kind}", init.pid);
            File::open(&file).context(|| format!("open {file}"))
        };
        let namespaces = (|| {
            Ok(Namespaces {
                pid: open("pid")?,
                net: open("net")?,
                uts: open("uts")?,
                mnt: open("mnt")?,
            })
        })();
        // Only now is it sure that the files were of the process that was meant.
        if !init.is_alive() {
            return Ok(None);
        }
        Ok(Some(Self {
            node: node.into(),
            env,
            namespaces: Arc::new(namespaces?),
        }))
    }

    /// A command with the environment that the node's processes have. Use [`NodeHandle::spawn`] to run it.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(&self.env).current_dir("/");
        if let Some(term) = std::env::var_os("TERM") {
            command.env("TERM", term);
        }
        command
    }

    /// Starts a command in the node: in its network, mount, UTS and PID namespaces. It dies with the node.
    ///
    /// # Errors
    /// [`Error::Spawn`] when the program is not there or can not be run.
    pub fn spawn(&self, mut command: Command) -> Result<Child, Error> {
        let program = command.get_program().to_string_lossy().into_owned();
        let namespaces = Arc::clone(&self.namespaces);
        let enter = move || -> io::Result<()> {
            setns(&namespaces.net, CloneFlags::CLONE_NEWNET)?;
            setns(&namespaces.uts, CloneFlags::CLONE_NEWUTS)?;
            // Also makes the node's root directory the root and the working directory.
            setns(&namespaces.mnt, CloneFlags::CLONE_NEWNS)?;
            Ok(())
        };
        // SAFETY: between fork and exec it only makes setns system calls on descriptors that are open.
        unsafe { command.pre_exec(enter) };
        // A PID namespace is for children only, and stays with the thread that asked for it.
        let spawned = std::thread::scope(|scope| {
            let thread = scope.spawn(|| -> io::Result<Child> {
                setns(&self.namespaces.pid, CloneFlags::CLONE_NEWPID)?;
                command.spawn()
            });
            thread
                .join()
                .unwrap_or_else(|_| Err(io::Error::other("the spawning thread panicked")))
        });
        spawned.map_err(|source| Error::Spawn {
            node: self.node.clone(),
            program,
            source,
        })
    }

    /// Runs a command in the node to its end and collects what it prints; its standard input is empty.
    ///
    /// # Errors
    /// As [`NodeHandle::spawn`]; [`Error::Io`] when its output can not be read.
    pub fn output<S: AsRef<OsStr>>(&self, argv: &[S]) -> Result<Output, Error> {
        let mut command = self.command_line(argv)?;
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child = self.spawn(command)?;
        child
            .wait_with_output()
            .context(|| format!("read the output of a command in node '{}'", self.node))
    }

    pub(crate) fn command_line<S: AsRef<OsStr>>(&self, argv: &[S]) -> Result<Command, Error> {
        let Some((program, arguments)) = argv.split_first() else {
            let node = self.node.clone();
            return Err(Error::NoCommand { node });
        };
        let mut command = self.command(program);
        command.args(arguments);
        Ok(command)
    }
}

/// Runs a command in a node with this process's terminal, or standard input and output, and waits for it.
/// `lab` is a lab's name or a topology file. Meanwhile this whole process ignores Ctrl-C and Ctrl-\, which are
/// the command's to handle; use [`NodeHandle::output`] where nobody types.
///
/// # Errors
/// As [`NodeHandle::open`] and [`NodeHandle::spawn`]; [`Error::exit_code`] is the exit status that a shell
/// would give for it.
pub fn exec<S: AsRef<OsStr>>(lab: &str, node: &str, argv: &[S]) -> Result<ExitStatus, Error> {
    let handle = NodeHandle::open(lab, node)?;
    let mut command = handle.command_line(argv)?;
    // SAFETY: only sets dispositions to the default, which is async-signal-safe.
    unsafe {
        command.pre_exec(|| {
            disposition(SigHandler::SigDfl)
                .map(drop)
                .map_err(io::Error::from)
        });
    }
    // The terminal sends these to us as well; the command decides what they mean.
    let before = disposition(SigHandler::SigIgn).context(|| "ignore signals".into())?;
    let status = handle.spawn(command).and_then(|mut child| {
        child
            .wait()
            .context(|| format!("wait for a command in node '{node}'"))
    });
    for (kind, handler) in KEYBOARD.into_iter().zip(before) {
        // SAFETY: restores the disposition that was there before.
        unsafe { signal(kind, handler) }.context(|| "restore signals".into())?;
    }
    status
}

/// What Ctrl-C and Ctrl-\ send.
const KEYBOARD: [Signal; 2] = [Signal::SIGINT, Signal::SIGQUIT];

/// Sets the disposition of the keyboard's signals and gives the former ones.
fn disposition(handler: SigHandler) -> nix::Result<[SigHandler; 2]> {
    let [interrupt, quit] = KEYBOARD;
    // SAFETY: no handler function is installed, only "ignore" or "default".
    unsafe { Ok([signal(interrupt, handler)?, signal(quit, handler)?]) }
}

/// The exit status that a shell gives for a process: its own, or 128 and the number of the signal that
/// ended it.
#[must_use]
pub fn exit_code(status: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt;
    let code = status.code().or_else(|| Some(128 + status.signal()?));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}
