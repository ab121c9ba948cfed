//! LIMITERS: token buckets per port, for storm control, control frames and learning events.

/// A token bucket. The control plane writes `rate` and `burst`; the data path keeps the rest. CPUs that race on
/// one bucket may each let a frame too many through; no lock is worth that.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// Frames a second; 0 is no limit.
    pub rate: u32,
    /// Frames that may come at once after a pause, at least 1.
    pub burst: u32,
    /// Frames that may still pass now.
    pub tokens: u64,
    /// CLOCK_MONOTONIC in nanoseconds up to which tokens were given.
    pub filled: u64,
}

/// The limits of one port.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortLimiters {
    /// Storm control: broadcast.
    pub broadcast: Bucket,
    /// Storm control: multicast.
    pub multicast: Bucket,
    /// Storm control: unknown unicast.
    pub unknown: Bucket,
    /// Control frames to the control plane.
    pub punt: Bucket,
    /// The learning round that `learn_events` counts.
    pub learn_round: u32,
    /// Learning events reported in that round.
    pub learn_events: u32,
}

const _: () = assert!(size_of::<Bucket>() == 24 && size_of::<PortLimiters>() == 4 * 24 + 8);

impl Bucket {
    /// A bucket that lets `rate` frames a second through and an eighth of that at once; no limit for 0.
    #[must_use]
    pub const fn per_second(rate: u32) -> Self {
        let burst = if rate / 8 == 0 { 1 } else { rate / 8 };
        Self {
            rate,
            burst,
            tokens: burst as u64,
            filled: 0,
        }
    }

    /// Takes a token at `now` (nanoseconds); false when there is none.
    #[inline(always)]
    pub fn take(&mut self, now: u64) -> bool {
        if self.rate == 0 {
            return true;
        }
        let elapsed = now.saturating_sub(self.filled);
        // A second fills any bucket: the product below stays far from overflow.
        if elapsed >= 1_000_000_000 {
            self.tokens = self.burst as u64;
            self.filled = now;
        } else {
            let earned = elapsed * self.rate as u64 / 1_000_000_000;
            if earned > 0 {
                let tokens = self.tokens + earned;
                self.tokens = if tokens > self.burst as u64 {
                    self.burst as u64
                } else {
                    tokens
                };
                self.filled += earned * 1_000_000_000 / self.rate as u64;
            }
        }
        if self.tokens == 0 {
            return false;
        }
        self.tokens -= 1;
        true
    }
}

#[cfg(feature = "std")]
// SAFETY: repr(C), Copy, no padding, any bit pattern valid.
unsafe impl aya::Pod for PortLimiters {}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(bucket: &mut Bucket, from: u64, step: u64, frames: u64) -> u64 {
        (0..frames).filter(|i| bucket.take(from + i * step)).count() as u64
    }

    #[test]
    fn no_rate_is_no_limit() {
        assert_eq!(passed(&mut Bucket::default(), 0, 0, 10_000), 10_000);
    }

    #[test]
    fn a_burst_passes_and_the_rest_waits() {
        let mut bucket = Bucket::per_second(800);
        assert_eq!(passed(&mut bucket, 5_000_000_000, 0, 1000), 100);
    }

    #[test]
    fn the_rate_holds_over_ten_seconds() {
        for rate in [1, 7, 100, 12_345] {
            let mut bucket = Bucket::per_second(rate);
            let let_through = passed(&mut bucket, 1_000_000_000, 10_000, 1_000_000);
            let want = u64::from(rate) * 10;
            assert!(
                (want..=want + u64::from(bucket.burst) + 1).contains(&let_through),
                "{rate}: {let_through}"
            );
        }
    }

    #[test]
    fn a_clock_that_stands_or_goes_back_gives_nothing() {
        let mut bucket = Bucket::per_second(8);
        assert!(bucket.take(9_000_000_000));
        assert!(!bucket.take(9_000_000_000));
        assert!(!bucket.take(1));
    }
}
