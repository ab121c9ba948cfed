//! Lines on standard error. A reader that does not read costs lines, never time.

use std::fmt::Arguments;
use std::io::Write;
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::slot::Slot;

/// Writes a line, unless standard error can not take it at once.
pub fn line(slot: Slot, text: Arguments<'_>) {
    let line = format!("hitless-boot {slot}: {text}\n");
    let stderr = std::io::stderr();
    let mut fds = [PollFd::new(stderr.as_fd(), PollFlags::POLLOUT)];
    let ready = poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0);
    if ready
        && fds[0]
            .revents()
            .is_some_and(|r| r.contains(PollFlags::POLLOUT))
    {
        // Nowhere to report that it can not be reported.
        let _ = stderr.lock().write_all(line.as_bytes());
    }
}
