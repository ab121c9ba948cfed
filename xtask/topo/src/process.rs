//! Processes that are surely the ones we mean: a pid alone may have been given to another since.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::{Deserialize, Serialize};

/// A process by pid and start, unique until the machine is restarted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessId {
    pub pid: i32,
    /// In clock ticks since the machine started (proc(5), field `starttime`).
    start: u64,
}

impl ProcessId {
    /// The process that has this pid now, `None` when there is none (or only its exit status is left).
    pub fn of(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field, a name in parentheses, may hold anything.
        let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
        let state = fields.next()?;
        let start = fields.nth(18)?.parse().ok()?;
        (!matches!(state, "Z" | "X")).then_some(Self { pid, start })
    }

    pub fn is_alive(self) -> bool {
        Self::of(self.pid) == Some(self)
    }

    /// A handle that stays with this process whatever happens to the pid; `None` when it is gone.
    pub fn open(self) -> io::Result<Option<PidFd>> {
        match PidFd::open(self.pid) {
            Ok(fd) => Ok(self.is_alive().then_some(fd)),
            Err(e) if e.raw_os_error() == Some(libc::ESRCH) => Ok(None),
            Err(e) => Err(e),
        }
    }
}

/// The first process of a PID namespace, on its way to the end of all processes in it.
pub(crate) struct Dying {
    pub id: ProcessId,
    handle: PidFd,
    namespace: Option<PathBuf>,
}

impl Dying {
    /// Sends SIGKILL; `None` when it is dead already.
    pub fn kill(id: ProcessId) -> io::Result<Option<Self>> {
        let Some(handle) = id.open()? else {
            return Ok(None);
        };
        let namespace = pid_namespace(id.pid);
        handle.kill()?;
        Ok(Some(Self {
            id,
            handle,
            namespace,
        }))
    }

    /// Whether nothing of the namespace runs any more within the time.
    ///
    /// The kernel ends the first process last, and not before every other one was waited for by its parent.
    /// A parent outside the namespace (who ran a program in a node) may take its time, perhaps until after
    /// this call, so it is enough that exit statuses are all that is left.
    pub fn wait(&self, timeout: Duration) -> io::Result<bool> {
        let deadline = Instant::now() + timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if self.handle.wait(left.min(Duration::from_millis(50)))?
                || self.only_statuses_left()?
            {
                return Ok(true);
            }
            if left.is_zero() {
                return Ok(false);
            }
        }
    }

    fn only_statuses_left(&self) -> io::Result<bool> {
        // A process gives its network namespace back before it waits for the others of its PID namespace.
        if fs::read_link(format!("/proc/{}/ns/net", self.id.pid)).is_ok() {
            return Ok(false);
        }
        for entry in fs::read_dir("/proc")? {
            let pid = entry?
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok());
            let other = pid.filter(|&pid| pid != self.id.pid);
            let inside = other.filter(|&pid| pid_namespace(pid) == self.namespace);
            if inside.and_then(ProcessId::of).is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// A name for the PID namespace of a process.
fn pid_namespace(pid: i32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/ns/pid")).ok()
}

/// A handle to a process.
pub(crate) struct PidFd(OwnedFd);

impl PidFd {
    pub fn open(pid: i32) -> io::Result<Self> {
        // SAFETY: no pointers are passed, and a non-negative result is a new descriptor that only we own.
        unsafe {
            match libc::syscall(libc::SYS_pidfd_open, pid, 0) {
                fd if fd >= 0 => Ok(Self(OwnedFd::from_raw_fd(fd as i32))),
                _ => Err(io::Error::last_os_error()),
            }
        }
    }

    /// Sends SIGKILL; fine when it is dead already.
    pub fn kill(&self) -> io::Result<()> {
        let none = std::ptr::null::<libc::siginfo_t>();
        // SAFETY: the descriptor is open, and a null siginfo is allowed (pidfd_send_signal(2)).
        let result = unsafe {
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                self.0.as_raw_fd(),
                libc::SIGKILL,
                none,
                0,
            )
        };
        match Errno::result(result) {
            Ok(_) | Err(Errno::ESRCH) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// Whether the process ended within the time.
    pub fn wait(&self, timeout: Duration) -> io::Result<bool> {
        readable(&self.0, timeout)
    }
}

/// Whether the descriptor became readable (or was closed at the other end) within the time.
pub(crate) fn readable(fd: &impl AsFd, timeout: Duration) -> io::Result<bool> {
    let deadline = Instant::now() + timeout;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        // Rounded up, so that a wait never ends early.
        let left = left + Duration::from_micros(999);
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, timeout) {
            Ok(n) if n > 0 => return Ok(true),
            Ok(_) if Instant::now() >= deadline => return Ok(false),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_recycled_pid_is_not_the_same_process() {
        let me = ProcessId::of(std::process::id() as i32).unwrap();
        assert!(me.is_alive());
        assert!(me.open().unwrap().is_some());
        let other = ProcessId {
            start: me.start + 1,
            ..me
        };
        assert!(!other.is_alive());
        assert!(other.open().unwrap().is_none());
    }

    #[test]
    fn kills_and_sees_the_end() {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        let id = ProcessId::of(child.id() as i32).unwrap();
        let handle = id.open().unwrap().unwrap();
        assert!(!handle.wait(Duration::ZERO).unwrap());
        handle.kill().unwrap();
        assert!(handle.wait(Duration::from_secs(60)).unwrap());
        // A zombie is not alive.
        assert!(!id.is_alive());
        child.wait().unwrap();
        handle.kill().unwrap();
        assert!(id.open().unwrap().is_none());
    }
}
