//! Thin wrappers of system calls that the libraries do not have.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus};

use nix::sys::signal::{SigSet, Signal};

/// A descriptor that becomes readable when a child, not yet waited for, has ended.
///
/// # Errors
/// When there is no such process, or no descriptor is left.
pub fn pidfd(pid: u32) -> io::Result<OwnedFd> {
    let pid = libc::pid_t::try_from(pid).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: no pointers are passed.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    let fd = i32::try_from(fd).map_err(|_| io::ErrorKind::InvalidData)?;
    // SAFETY: a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Collects a child of this process that has ended, whichever; `None` when there is none.
#[must_use]
pub fn collect() -> Option<(u32, ExitStatus)> {
    let mut status = 0;
    // SAFETY: the status lives until the call returns.
    let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
    // Zero: none has ended. Negative: there is none.
    let pid = u32::try_from(pid).ok().filter(|pid| *pid > 0)?;
    Some((pid, ExitStatus::from_raw(status)))
}

/// Has the command's process killed when this one dies, keeps the terminal's signals from it, gives it the default
/// signal mask and leaves it these descriptors open.
///
/// They must stay open until the command was started, and this process must have one thread only: the kernel
/// means the thread when it says parent.
pub fn bind_to_us(command: &mut Command, open: &[BorrowedFd<'_>]) {
    let open: Vec<_> = open.iter().map(AsRawFd::as_raw_fd).collect();
    let us = std::process::id();
    let prepare = move || {
        SigSet::empty().thread_set_mask()?;
        // SAFETY: prctl with these arguments and getppid take no pointers.
        let alone = unsafe {
            if libc::prctl(libc::PR_SET_PDEATHSIG, Signal::SIGKILL as libc::c_ulong) != 0 {
                return Err(io::Error::last_os_error());
            }
            u32::try_from(libc::getppid()) != Ok(us)
        };
        if alone {
            // The parent died before it could be watched.
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        for fd in &open {
            // SAFETY: the descriptor is open, as the caller promised; the command takes an integer.
            if unsafe { libc::fcntl(*fd, libc::F_SETFD, 0) } != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    };
    command.process_group(0);
    // SAFETY: between fork and exec the closure makes system calls only, and allocates nothing.
    unsafe { command.pre_exec(prepare) };
}
