//! Whether the daemon hangs. Not time is counted but the boot's own wake-ups: on a machine that stands still the boot
//! stands still too, and nothing is held against the daemon.

use std::time::{Duration, Instant};

/// Wake-ups without a kick that are too many.
const MISSES: u32 = 5;

/// A watchdog, disarmed at first.
#[derive(Debug, Default)]
pub struct Watchdog {
    armed: Option<Armed>,
}

#[derive(Debug)]
struct Armed {
    limit: Duration,
    next: Instant,
    misses: u32,
    kicked: bool,
}

impl Watchdog {
    /// From now on a kick is due within `limit`; zero disarms.
    pub fn arm(&mut self, now: Instant, limit: Duration) {
        self.armed = (!limit.is_zero()).then(|| Armed {
            limit,
            next: now + limit / MISSES,
            misses: 0,
            kicked: false,
        });
    }

    /// The daemon is alive.
    pub fn kick(&mut self) {
        if let Some(armed) = &mut self.armed {
            armed.kicked = true;
        }
    }

    /// When to call [`Watchdog::wake`] next; `None` while disarmed.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.armed.as_ref().map(|armed| armed.next)
    }

    /// A wake-up, after all kicks that had come by then were told. Tells the limit when the daemon hangs; the
    /// watchdog is then disarmed.
    pub fn wake(&mut self, now: Instant) -> Option<Duration> {
        let armed = self.armed.as_mut().filter(|armed| armed.next <= now)?;
        // From now, not from when it was due: wake-ups that were missed are no wake-ups.
        armed.next = now + armed.limit / MISSES;
        armed.misses = if std::mem::take(&mut armed.kicked) {
            0
        } else {
            armed.misses + 1
        };
        if armed.misses < MISSES {
            return None;
        }
        self.armed.take().map(|armed| armed.limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(250);
    const STEP: Duration = Duration::from_millis(50);

    #[test]
    fn five_wake_ups_without_a_kick_are_a_hang() {
        let start = Instant::now();
        let mut watchdog = Watchdog::default();
        assert_eq!((watchdog.next(), watchdog.wake(start)), (None, None));
        watchdog.arm(start, LIMIT);
        assert_eq!(watchdog.next(), Some(start + STEP));
        for step in 1..5 {
            assert_eq!(watchdog.wake(start + step * STEP), None);
        }
        assert_eq!(watchdog.wake(start + LIMIT), Some(LIMIT));
        assert_eq!(watchdog.next(), None);
    }

    #[test]
    fn one_kick_is_enough_for_five_wake_ups() {
        let start = Instant::now();
        let mut watchdog = Watchdog::default();
        watchdog.arm(start, LIMIT);
        for step in 1..100 {
            if step % 5 == 0 {
                watchdog.kick();
            }
            assert_eq!(watchdog.wake(start + step * STEP), None, "{step}");
        }
    }

    #[test]
    fn a_machine_that_stood_still_is_held_against_nobody() {
        let start = Instant::now();
        let mut watchdog = Watchdog::default();
        watchdog.arm(start, LIMIT);
        let hour = Duration::from_secs(3600);
        assert_eq!(watchdog.wake(start + hour), None);
        assert_eq!(watchdog.next(), Some(start + hour + STEP));
        // Woken by something else: that counts for nothing.
        for _ in 0..10 {
            assert_eq!(watchdog.wake(start + hour), None);
        }
    }

    #[test]
    fn armed_anew_it_starts_anew() {
        let start = Instant::now();
        let mut watchdog = Watchdog::default();
        watchdog.arm(start, LIMIT);
        for step in 1..5 {
            watchdog.wake(start + step * STEP);
        }
        watchdog.arm(start + 4 * STEP, LIMIT);
        assert_eq!(watchdog.wake(start + 5 * STEP), None);
        watchdog.arm(start, Duration::ZERO);
        assert_eq!(watchdog.next(), None);
        watchdog.kick();
        assert_eq!(watchdog.wake(start + 100 * STEP), None);
    }
}
