//! Child processes that end with the run that started them.

use std::io;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::process::{Command, ExitStatus, Output};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::cleanup::Undo;
use super::run::Run;

/// A running child. Killed and waited for when dropped.
#[derive(Debug)]
pub struct Process {
    what: String,
    child: Arc<Mutex<std::process::Child>>,
    pid: u32,
    // After a wait the number may belong to another process: only the pidfd is polled.
    pidfd: OwnedFd,
    _undo: Undo,
}

impl Process {
    /// Starts `command`.
    ///
    /// # Errors
    /// Names the program when it can not be started.
    pub fn spawn(run: &Run, command: &mut Command) -> Result<Self> {
        let what = command.get_program().to_string_lossy().into_owned();
        let child = command.spawn().with_context(|| format!("start {what}"))?;
        let pid = child.id();
        let child = Arc::new(Mutex::new(child));
        let killed = child.clone();
        let undo = run.undo(move || {
            let mut child = killed.lock().unwrap_or_else(PoisonError::into_inner);
            // Both do nothing to a child that was waited for.
            let _ = child.kill();
            let _ = child.wait();
        });
        let pidfd = pidfd_open(pid).with_context(|| format!("pidfd of {what}"))?;
        Ok(Self {
            what,
            child,
            pid,
            pidfd,
            _undo: undo,
        })
    }

    /// The process id, of the running process or of the ended one.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The exit status if it has ended.
    ///
    /// # Errors
    /// When the kernel can not tell.
    pub fn ended(&self) -> Result<Option<ExitStatus>> {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        child
            .try_wait()
            .with_context(|| format!("wait for {}", self.what))
    }

    /// Sends a signal, unless the process has ended.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        // Not waited for, so the number is still this child's.
        if child.try_wait()?.is_none() {
            kill(Pid::from_raw(self.pid.cast_signed()), signal)
                .with_context(|| format!("{signal} to {} ({})", self.what, self.pid))?;
        }
        Ok(())
    }

    /// Waits until the process ends.
    ///
    /// # Errors
    /// When it has not ended after `deadline`.
    pub fn wait(&self, deadline: Duration) -> Result<ExitStatus> {
        let timeout = PollTimeout::try_from(deadline).unwrap_or(PollTimeout::MAX);
        let mut fds = [PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN)];
        while let Err(error) = poll(&mut fds, timeout) {
            if error != nix::errno::Errno::EINTR {
                return Err(error).with_context(|| format!("wait for {}", self.what));
            }
        }
        match self.ended()? {
            Some(status) => Ok(status),
            None => bail!(
                "{} (process {}) has not ended after {deadline:?}",
                self.what,
                self.pid
            ),
        }
    }
}

/// A descriptor of a process.
pub(super) fn pidfd_open(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: no pointers are passed.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    let fd = i32::try_from(fd).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    // SAFETY: a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Runs a command to its end and returns what it printed.
///
/// # Errors
/// With the command line and its standard error when it can not be started or fails.
pub fn output(command: &mut Command) -> Result<String> {
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .output()
        .with_context(|| format!("start {:?}", command.get_program()))?;
    if !status.success() {
        bail!(
            "{command:?}: {status}: {}",
            String::from_utf8_lossy(&stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    #[test]
    fn a_child_ends_with_its_guard() {
        let run = Run::new().unwrap();
        let child = Process::spawn(&run, Command::new("sleep").arg("600")).unwrap();
        let pid = child.pid();
        assert!(child.ended().unwrap().is_none());
        assert!(child.wait(Duration::from_millis(1)).is_err());
        drop(child);
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    }

    #[test]
    fn a_signal_ends_a_child() {
        let run = Run::new().unwrap();
        let child = Process::spawn(&run, Command::new("sleep").arg("600")).unwrap();
        child.signal(Signal::SIGTERM).unwrap();
        let status = child.wait(Duration::from_secs(10)).unwrap();
        assert_eq!(status.signal(), Some(Signal::SIGTERM as i32));
        child.signal(Signal::SIGTERM).unwrap();
    }

    #[test]
    fn a_failing_command_tells_what_it_said() {
        let error = output(Command::new("ls").arg("/no/such/file")).unwrap_err();
        assert!(error.to_string().contains("/no/such/file"), "{error}");
    }
}
