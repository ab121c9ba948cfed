//! A switch with both management modules: `hitless chassis` in the switch's namespace, and its boots and daemons by
//! slot.

use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail, ensure};
pub use hitless_boot::slot::Slot;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::signal::Signal;

use super::process::{Process, pidfd_open};
use super::run::Run;
use super::switch::{DEADLINE, Switch, tail};
use super::wait::wait_for;

/// How long a module whose chassis was killed may live on, in milliseconds.
const GONE_MS: u16 = 5_000;

/// What the boot of a slot tells of itself and its daemon.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Module {
    /// Process of the boot.
    pub boot: u32,
    /// Process of the daemon, while there is one.
    pub daemon: Option<u32>,
    /// The role that the daemon told.
    pub role: Option<String>,
    /// The version that the daemon told.
    pub version: Option<String>,
    /// What the daemon was started from: `primary`, `secondary` or `factory`.
    pub bank: Option<String>,
    /// Banks that were refused, each with the reason.
    pub refused: Vec<String>,
}

impl Module {
    /// Reads `status-<slot>` in a switch's directory below /run/hitless.
    ///
    /// # Errors
    /// When there is none.
    pub fn read(state: &Path, slot: Slot) -> Result<Self> {
        let path = state.join(format!("status-{}", slot.name()));
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let mut module = Self::default();
        for (word, value) in text.lines().filter_map(|line| line.split_once(' ')) {
            match word {
                "boot" => module.boot = value.parse().context("the boot's process")?,
                "daemon" => module.daemon = Some(value.parse().context("the daemon's process")?),
                "role" => module.role = Some(value.to_owned()),
                "version" => module.version = Some(value.to_owned()),
                "bank" => module.bank = Some(value.to_owned()),
                "image-refused" => module.refused.push(value.to_owned()),
                _ => {}
            }
        }
        Ok(module)
    }
}

/// A part of a module that can be sent a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// `hitless-boot`.
    Boot,
    /// `hitlessd`.
    Daemon,
}

/// A running `hitless chassis`. Killed when dropped, and its modules with it: when the drop returns they are gone.
#[derive(Debug)]
pub struct Chassis {
    process: Process,
    state: PathBuf,
    log: PathBuf,
}

impl Chassis {
    /// The command of a switch's chassis, in its namespace, without options but the configuration file and the place
    /// of the image banks.
    ///
    /// # Errors
    /// When the binary is missing.
    pub fn command(switch: &Switch) -> Result<Command> {
        let mut command = switch.inside("hitless")?;
        command.arg("chassis").arg("--config").arg(switch.config());
        command.arg("--images").arg(switch.images().directory());
        Ok(command)
    }

    /// Starts a command that runs a switch's chassis; its output, and that of boots and daemons, goes to the
    /// switch's log. Waits for nothing.
    ///
    /// # Errors
    /// When it can not be started.
    pub fn spawn(run: &Run, switch: &Switch, command: &mut Command) -> Result<Self> {
        let path = switch.log_path();
        let log = File::options()
            .create(true)
            .append(true)
            .open(path)
            .with_context(|| format!("open {}", path.display()))?;
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        Ok(Self {
            process: Process::spawn(run, command)?,
            state: switch.state(),
            log: path.to_owned(),
        })
    }

    /// The chassis' process.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// What is in a slot, by its boot.
    ///
    /// # Errors
    /// When the boot has told nothing yet.
    pub fn module(&self, slot: Slot) -> Result<Module> {
        Module::read(&self.state, slot)
    }

    /// Waits until the module in a slot is like this.
    ///
    /// # Errors
    /// When it does not get there; with what it was last, and the end of the log.
    pub fn await_module(&self, slot: Slot, is: impl Fn(&Module) -> bool) -> Result<Module> {
        let mut last = None;
        wait_for(&format!("a state of {}", slot.name()), DEADLINE, || {
            if let Some(status) = self.process.ended()? {
                bail!("the chassis ended with {status}");
            }
            let module = self.module(slot)?;
            let found = is(&module).then(|| module.clone());
            last = Some(module);
            Ok(found)
        })
        .with_context(|| format!("it was {last:?}; log:\n{}", tail(&self.log)))
    }

    /// The slot of the master, by what the daemons told their boots.
    ///
    /// # Errors
    /// When there is none, or there are two, until the deadline.
    pub fn master(&self) -> Result<Slot> {
        wait_for("one master", DEADLINE, || {
            let is_master = |slot: &Slot| {
                let module = self.module(*slot);
                module.is_ok_and(|m| m.daemon.is_some() && m.role.as_deref() == Some("master"))
            };
            let masters: Vec<Slot> = Slot::ALL.into_iter().filter(is_master).collect();
            Ok(match masters.as_slice() {
                [one] => Some(*one),
                _ => None,
            })
        })
        .with_context(|| format!("log:\n{}", tail(&self.log)))
    }

    /// Sends a signal to a part of the module in a slot; gives back the process.
    ///
    /// # Errors
    /// When there is no such process, or it is gone.
    pub fn signal(&self, slot: Slot, part: Part, signal: Signal) -> Result<u32> {
        let pid = |module: Module| match part {
            Part::Boot => Some(module.boot),
            Part::Daemon => module.daemon,
        };
        let found =
            pid(self.module(slot)?).with_context(|| format!("{} has no {part:?}", slot.name()))?;
        let fd = pidfd_open(found).with_context(|| format!("process {found}"))?;
        // What is named after the descriptor was opened is what the descriptor is of.
        ensure!(
            pid(self.module(slot)?) == Some(found),
            "the {part:?} of {} changed meanwhile",
            slot.name()
        );
        // SAFETY: the null pointer stands for no further information.
        let sent = unsafe {
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                fd.as_raw_fd(),
                signal as i32,
                std::ptr::null::<libc::siginfo_t>(),
                0,
            )
        };
        if sent != 0 {
            return Err(std::io::Error::last_os_error())
                .with_context(|| format!("{signal} to process {found}"));
        }
        Ok(found)
    }

    /// Ends the chassis with SIGTERM and waits for its end.
    ///
    /// # Errors
    /// When it does not end.
    pub fn stop(&self) -> Result<ExitStatus> {
        self.process.signal(Signal::SIGTERM)?;
        self.process
            .wait(DEADLINE)
            .with_context(|| format!("log:\n{}", tail(&self.log)))
    }
}

impl Drop for Chassis {
    fn drop(&mut self) {
        let modules = Slot::ALL.iter().filter_map(|slot| self.module(*slot).ok());
        let pids = modules.flat_map(|m| [Some(m.boot), m.daemon]).flatten();
        let open: Vec<OwnedFd> = pids.filter_map(|pid| pidfd_open(pid).ok()).collect();
        if self.process.signal(Signal::SIGKILL).is_err() {
            return;
        }
        // Boots die with the chassis, and daemons with their boots; until then they use what is removed next.
        for process in open {
            let mut fds = [PollFd::new(process.as_fd(), PollFlags::POLLIN)];
            let _ = poll(&mut fds, GONE_MS);
        }
    }
}
