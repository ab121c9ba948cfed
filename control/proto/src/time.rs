//! Time as the engines see it: always an argument, never read from a clock.

/// Seconds that this switch has had a master, as META keeps them. It stands still while no master is in charge
/// (design invariant 8), so nothing ages during a failover however long it takes.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(u32);

impl Epoch {
    /// The epoch with this number of seconds.
    #[must_use]
    pub const fn new(seconds: u32) -> Self {
        Self(seconds)
    }

    /// The number of seconds; 2³² last 136 years.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Seconds from `earlier` to this one; 0 if `earlier` is later.
    #[must_use]
    pub const fn seconds_since(self, earlier: Self) -> u32 {
        self.0.saturating_sub(earlier.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Epoch;

    #[test]
    fn an_epoch_from_the_future_is_no_seconds_ago() {
        assert_eq!(Epoch::new(300).seconds_since(Epoch::new(100)), 200);
        assert_eq!(Epoch::new(100).seconds_since(Epoch::new(300)), 0);
    }
}
