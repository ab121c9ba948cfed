//! Undo for everything that would outlive the process: run when its guard is dropped (a panic included), when a
//! case is given up, or when the process is told to end by SIGINT, SIGTERM or SIGHUP.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::fd::{AsRawFd, IntoRawFd, RawFd};
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use anyhow::{Context, Result};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

type Action = Box<dyn FnOnce() + Send>;

/// Registered actions by number, so that later ones are undone first. The number of the run comes with each.
static ACTIONS: Mutex<BTreeMap<u64, (u64, Action)>> = Mutex::new(BTreeMap::new());
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Held for reading while an undo runs, so that the process does not end in the middle of one.
static RUNNING: RwLock<()> = RwLock::new(());

/// Where the signal handler writes the signal's number.
static SIGNAL_PIPE: AtomicI32 = AtomicI32::new(-1);

fn actions() -> MutexGuard<'static, BTreeMap<u64, (u64, Action)>> {
    // The map is whole at any time: a panic elsewhere must not keep us from cleaning up.
    ACTIONS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs its action once: when dropped, or earlier by [`undo_run`] or a signal.
#[must_use = "dropping the guard undoes at once"]
#[derive(Debug)]
pub struct Undo(u64);

impl Undo {
    /// Registers `action` for the run with the number `run`.
    pub fn new(run: u64, action: impl FnOnce() + Send + 'static) -> Self {
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        actions().insert(id, (run, Box::new(action)));
        Self(id)
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        let _running = RUNNING.read().unwrap_or_else(PoisonError::into_inner);
        let action = actions().remove(&self.0);
        if let Some((_, action)) = action {
            action();
        }
    }
}

/// Undoes everything that the run with this number made, the latest first.
pub fn undo_run(run: u64) {
    undo_where(|r| r == run);
}

fn undo_where(wanted: impl Fn(u64) -> bool) {
    loop {
        let action = {
            let mut actions = actions();
            let last = actions
                .iter()
                .rev()
                .find(|(_, (r, _))| wanted(*r))
                .map(|(id, _)| *id);
            last.and_then(|id| actions.remove(&id))
        };
        match action {
            Some((_, action)) => action(),
            None => return,
        }
    }
}

/// From now on SIGINT, SIGTERM and SIGHUP undo everything and end the process with 128 + the signal's number.
/// A second signal ends it at once.
///
/// # Errors
/// When the pipe, the thread or the handlers can not be set up.
pub fn on_signals() -> Result<()> {
    let (mut reader, writer) = std::io::pipe().context("pipe for signals")?;
    SIGNAL_PIPE.store(writer.as_raw_fd(), Ordering::Release);
    // The handler needs the descriptor as long as the process lives.
    let _: RawFd = writer.into_raw_fd();
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            let mut number = [0u8; 1];
            if reader.read_exact(&mut number).is_ok() {
                undo_where(|_| true);
                let _done = RUNNING.write().unwrap_or_else(PoisonError::into_inner);
                std::process::exit(128 + i32::from(number[0]));
            }
        })
        .context("thread for signals")?;
    // A handler, not a signal mask: children would inherit the mask.
    let action = SigAction::new(
        SigHandler::Handler(handle),
        SaFlags::SA_RESETHAND | SaFlags::SA_RESTART,
        SigSet::empty(),
    );
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        // SAFETY: the handler only calls write(2), which is async-signal-safe.
        unsafe { sigaction(signal, &action) }.with_context(|| format!("handler of {signal}"))?;
    }
    Ok(())
}

extern "C" fn handle(signal: i32) {
    let fd = SIGNAL_PIPE.load(Ordering::Acquire);
    let byte = signal as u8;
    // SAFETY: byte outlives the call; the pipe's write end is never closed.
    unsafe { libc::write(fd, (&raw const byte).cast(), 1) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn log() -> (Arc<Mutex<Vec<u32>>>, impl Fn(u64, u32) -> Undo) {
        let log = Arc::new(Mutex::new(Vec::new()));
        let clone = log.clone();
        (log, move |run, n| {
            let log = clone.clone();
            Undo::new(run, move || log.lock().unwrap().push(n))
        })
    }

    #[test]
    fn a_guard_undoes_once() {
        let (log, undo) = log();
        let guard = undo(u64::MAX - 1, 1);
        undo_run(u64::MAX - 1);
        assert_eq!(*log.lock().unwrap(), [1]);
        drop(guard);
        assert_eq!(*log.lock().unwrap(), [1]);
    }

    #[test]
    fn a_run_is_undone_backwards_and_alone() {
        let (log, undo) = log();
        let guards = [
            undo(u64::MAX - 2, 1),
            undo(u64::MAX - 3, 2),
            undo(u64::MAX - 2, 3),
        ];
        undo_run(u64::MAX - 2);
        assert_eq!(*log.lock().unwrap(), [3, 1]);
        drop(guards);
        assert_eq!(*log.lock().unwrap(), [3, 1, 2]);
    }

    #[test]
    fn a_panic_undoes() {
        let (log, undo) = log();
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _guard = undo(u64::MAX - 4, 1);
            panic!("on purpose");
        }));
        assert!(result.is_err());
        assert_eq!(*log.lock().unwrap(), [1]);
    }
}
