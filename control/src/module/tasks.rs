//! What a panic costs: the event loop's ends the module, and the standby takes over; that of a task which a switch can
//! do without is decided by `configure sys-recovery-level`.

use hitless_proto::config::SysRecoveryLevel;
use std::{
    cell::Cell,
    pin::Pin,
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll},
};
use tokio::sync::Notify;
use tracing::error;

/// What a process that panicked exits with, as Rust's own runtime does.
const EXIT_PANIC: i32 = 101;

/// Whether a panic of a non-critical task is survived.
static SURVIVES: AtomicBool = AtomicBool::new(false);

/// Makes one non-critical task panic, by request of a test.
static PANIC_WANTED: Notify = Notify::const_new();

thread_local! {
    /// Whether a non-critical task is running.
    static NON_CRITICAL: Cell<bool> = const { Cell::new(false) };
}

/// Follows the configured level.
pub fn set_level(level: SysRecoveryLevel) {
    SURVIVES.store(level == SysRecoveryLevel::Critical, Ordering::Relaxed);
}

/// Whether a panic here and now is survived.
#[must_use]
pub fn survives() -> bool {
    NON_CRITICAL.get() && SURVIVES.load(Ordering::Relaxed)
}

/// From now on a panic that is not survived ends the process at once, after everything else that is to be done about
/// it: unwinding would close the link to the standby before the process is gone. To be called after all other panic
/// hooks are in place.
pub fn exit_on_panic() {
    let others = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        others(panic);
        if !survives() {
            // SAFETY: ends the process; nothing of it is used afterwards.
            unsafe { libc::_exit(EXIT_PANIC) }
        }
    }));
}

/// Has a non-critical task panic.
pub fn panic_in_task() {
    PANIC_WANTED.notify_one();
}

/// A future that a switch can do without.
struct NonCritical<F>(Pin<Box<F>>);

impl<F: Future> Future for NonCritical<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        /// Also when the poll panics.
        struct Running(bool);
        impl Drop for Running {
            fn drop(&mut self) {
                NON_CRITICAL.set(self.0);
            }
        }
        let _running = Running(NON_CRITICAL.replace(true));
        self.0.as_mut().poll(context)
    }
}

/// Runs a non-critical task, and starts it again when it panics and the level says that this is survived. `survived`
/// is called after each such panic.
pub async fn supervise<F, T>(
    name: &'static str,
    mut start: impl FnMut() -> F,
    survived: impl Fn(),
) -> T
where
    F: Future<Output = T> + 'static,
    T: 'static,
{
    loop {
        let task = start();
        let task = NonCritical(Box::pin(async move {
            tokio::select! {
                result = task => result,
                () = PANIC_WANTED.notified() => panic!("the task {name} panics by request"),
            }
        }));
        // On this thread: tasks share what only one thread may use.
        match tokio::task::spawn_local(task).await {
            Ok(result) => return result,
            Err(e) => {
                survived();
                error!(task = name, "a task panicked and is started again: {e}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{cell::RefCell, rc::Rc};
    use tokio::task::LocalSet;

    #[tokio::test]
    async fn seed_35_a_panicking_task_is_started_again() {
        let starts = Rc::new(RefCell::new(0));
        let panics = Rc::new(Cell::new(0));
        let (count, seen) = (starts.clone(), panics.clone());
        let result = LocalSet::new()
            .run_until(supervise(
                "test",
                move || {
                    *count.borrow_mut() += 1;
                    let nth = *count.borrow();
                    async move {
                        assert!(NON_CRITICAL.get());
                        assert!(nth >= 3, "panic {nth}");
                        nth
                    }
                },
                move || seen.set(seen.get() + 1),
            ))
            .await;
        assert_eq!((result, panics.get()), (3, 2));
        assert!(!NON_CRITICAL.get());
    }
}
