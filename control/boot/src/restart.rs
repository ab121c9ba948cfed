//! When a daemon that has ended is started again.

use std::time::Duration;

/// Pause before the second failure in a row is mended; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A daemon that has lived so long is sound: its end counts as the first of a row.
pub const SETTLED: Duration = Duration::from_secs(60);

/// How an end counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Asked for, by the daemon itself or by the other slot.
    Wanted,
    /// Everything else.
    Failure,
}

/// Failures in a row.
#[derive(Debug)]
pub struct Restart {
    settled: Duration,
    failures: u32,
}

impl Restart {
    /// Before the first start. A life of at least `settled` ends a row of failures.
    #[must_use]
    pub fn new(settled: Duration) -> Self {
        Self {
            settled,
            failures: 0,
        }
    }

    /// The daemon has ended after `lived`: how long to wait before the next start.
    pub fn pause(&mut self, kind: Kind, lived: Duration) -> Duration {
        if lived >= self.settled {
            self.failures = 0;
        }
        if kind == Kind::Wanted {
            return Duration::ZERO;
        }
        let failures = self.failures;
        self.failures = failures.saturating_add(1);
        match failures.checked_sub(1) {
            None => Duration::ZERO,
            Some(doubled) => FIRST_PAUSE
                .saturating_mul(2u32.saturating_pow(doubled))
                .min(LONGEST_PAUSE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(3);

    #[test]
    fn the_first_failure_is_mended_at_once_and_the_pause_then_doubles() {
        let mut restart = Restart::new(SETTLED);
        let pauses: Vec<u128> = (0..10)
            .map(|_| restart.pause(Kind::Failure, SHORT).as_millis())
            .collect();
        assert_eq!(
            pauses,
            [0, 100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]
        );
        for _ in 0..100 {
            assert_eq!(restart.pause(Kind::Failure, SHORT), LONGEST_PAUSE);
        }
    }

    #[test]
    fn a_long_life_ends_the_row() {
        let mut restart = Restart::new(SETTLED);
        for _ in 0..5 {
            restart.pause(Kind::Failure, SHORT);
        }
        assert_eq!(restart.pause(Kind::Failure, SETTLED), Duration::ZERO);
        assert_eq!(restart.pause(Kind::Failure, SHORT), FIRST_PAUSE);
    }

    #[test]
    fn a_reboot_is_at_once_and_no_failure() {
        let mut restart = Restart::new(SETTLED);
        for _ in 0..5 {
            assert_eq!(restart.pause(Kind::Wanted, SHORT), Duration::ZERO);
        }
        assert_eq!(restart.pause(Kind::Failure, SHORT), Duration::ZERO);
        assert_eq!(restart.pause(Kind::Failure, SHORT), FIRST_PAUSE);
        assert_eq!(restart.pause(Kind::Wanted, SHORT), Duration::ZERO);
        assert_eq!(restart.pause(Kind::Failure, SHORT), 2 * FIRST_PAUSE);
    }
}
