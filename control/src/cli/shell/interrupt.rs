//! Signals while the shell runs: Ctrl-C ends what is going on, never the shell; being told to end leaves the terminal
//! in order.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::process;
use std::thread;
use std::time::{Duration, Instant};

use crossterm::terminal;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// Ctrl-C, to be asked for.
#[derive(Debug)]
pub(in crate::cli) struct Interrupts {
    signals: SignalFd,
    seen: Cell<bool>,
}

impl Interrupts {
    /// Takes Ctrl-C, in this thread and those that it makes from now on.
    ///
    /// # Errors
    /// What the system said.
    pub fn take() -> io::Result<Self> {
        let mut signals = SigSet::empty();
        signals.add(Signal::SIGINT);
        signals.thread_block()?;
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        Ok(Self {
            signals: SignalFd::with_flags(&signals, flags)?,
            seen: Cell::new(false),
        })
    }

    /// Whether Ctrl-C was hit since this was asked last.
    pub fn happened(&self) -> bool {
        let mut happened = false;
        while let Ok(Some(_)) = self.signals.read_signal() {
            happened = true;
            self.seen.set(true);
        }
        happened
    }

    /// Whether Ctrl-C was hit since this was called last, be it that a command has noticed or not.
    pub fn forget(&self) -> bool {
        self.happened();
        self.seen.take()
    }

    /// Waits for so long; false if Ctrl-C was hit meanwhile.
    pub fn sleep(&self, duration: Duration) -> bool {
        let deadline = Instant::now() + duration;
        loop {
            if self.happened() {
                return false;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            self.wait(None, left);
        }
    }

    /// Waits until there is something to read from the terminal; false if Ctrl-C was hit first.
    pub fn wait_for_input(&self) -> bool {
        let stdin = io::stdin();
        loop {
            if self.happened() {
                return false;
            }
            if self.wait(Some(stdin.as_fd()), Duration::from_secs(60)) {
                return !self.happened();
            }
        }
    }

    /// Waits for Ctrl-C or input; whether there is input, or will never be.
    fn wait(&self, input: Option<BorrowedFd>, patience: Duration) -> bool {
        let signals = PollFd::new(self.signals.as_fd(), PollFlags::POLLIN);
        let mut all = vec![signals];
        all.extend(input.map(|input| PollFd::new(input, PollFlags::POLLIN)));
        let timeout = PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX);
        match poll(&mut all, timeout) {
            Ok(_) => all.get(1).is_some_and(|input| input.any().unwrap_or(true)),
            Err(error) => input.is_some() && error != Errno::EINTR,
        }
    }
}

/// Has SIGTERM and SIGHUP end the program with the terminal as it was. For the shell's main thread, before others are
/// made.
///
/// # Errors
/// What the system said.
pub(in crate::cli) fn end_in_order() -> io::Result<()> {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGTERM);
    signals.add(Signal::SIGHUP);
    signals.thread_block()?;
    thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            let signal = loop {
                match signals.wait() {
                    Ok(signal) => break signal,
                    Err(Errno::EINTR) => {}
                    Err(_) => return,
                }
            };
            // It knows what was before, and does nothing if the terminal is as it was.
            let _ = terminal::disable_raw_mode();
            process::exit(128 + signal as i32);
        })?;
    Ok(())
}
