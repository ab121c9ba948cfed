//! Fencing: a standby makes sure that the master before it is gone, for good, before it takes its place (design
//! invariant 2).

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
    time::{Duration, Instant},
};

/// What became of the other process. Either way it can not write any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fenced {
    /// It had ended by itself.
    WasGone,
    /// It was killed.
    Killed,
}

/// Kills a process, also a stopped one, and waits until it is gone: no thread of it runs, its memory and descriptors
/// are closed. Blocks; what it waits for takes the kernel some milliseconds.
///
/// # Errors
/// [`io::ErrorKind::TimedOut`] if it is still there after `limit`, as when it waits for a broken device; else what the
/// kernel says.
pub fn fence(process: BorrowedFd<'_>, limit: Duration) -> io::Result<Fenced> {
    if is_gone(process, Duration::ZERO)? {
        return Ok(Fenced::WasGone);
    }
    // SAFETY: a system call with plain numbers; the descriptor is open as long as `process` lives.
    let sent = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            process.as_raw_fd(),
            libc::SIGKILL,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    if sent < 0 {
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::ESRCH) {
            return Err(error);
        }
    }
    match is_gone(process, limit)? {
        true => Ok(Fenced::Killed),
        false => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// Whether a process has ended, after waiting for that at most so long.
///
/// # Errors
/// What the kernel says.
pub fn is_gone(process: BorrowedFd<'_>, limit: Duration) -> io::Result<bool> {
    let deadline = Instant::now() + limit;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left.min(Duration::from_secs(60)))
            .map_err(|_| io::ErrorKind::InvalidInput)?;
        let mut fds = [PollFd::new(process, PollFlags::POLLIN)];
        match poll(&mut fds, timeout) {
            Ok(0) if left.is_zero() => return Ok(false),
            Ok(0) | Err(nix::errno::Errno::EINTR) => {}
            Ok(_) => return Ok(true),
            Err(e) => return Err(e.into()),
        }
    }
}
