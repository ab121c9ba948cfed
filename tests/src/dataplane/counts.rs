//! Counters of the data path as a set of named numbers, so that a difference can be read.

use std::collections::BTreeMap;
use std::fmt;

use hitless_common::DropReason;
use hitless_common::map::counters::PortCounters;

/// Frames received.
pub const RX_FRAMES: &str = "rx_frames";
/// Octets received.
pub const RX_BYTES: &str = "rx_bytes";
/// Frames sent.
pub const TX_FRAMES: &str = "tx_frames";
/// Octets sent.
pub const TX_BYTES: &str = "tx_bytes";
/// Frames given to the control plane.
pub const PUNTED: &str = "punted";
/// Learning events put off.
pub const DEFERRED: &str = "learn_deferred";

/// What was counted, by port and name; without zeros.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<(u16, &'static str), u64>);

impl Counts {
    /// Adds to a counter.
    pub fn add(&mut self, port: u16, what: &'static str, n: u64) {
        if n > 0 {
            *self.0.entry((port, what)).or_default() += n;
        }
    }

    /// Adds a frame received.
    pub fn received(&mut self, port: u16, bytes: usize) {
        self.add(port, RX_FRAMES, 1);
        self.add(port, RX_BYTES, bytes as u64);
    }

    /// Adds a frame sent.
    pub fn sent(&mut self, port: u16, bytes: usize) {
        self.add(port, TX_FRAMES, 1);
        self.add(port, TX_BYTES, bytes as u64);
    }

    /// Adds a frame dropped.
    pub fn dropped(&mut self, port: u16, reason: DropReason) {
        self.add(port, reason.name(), 1);
    }

    /// Adds what one CPU has counted on a port.
    pub fn add_cpu(&mut self, port: u16, counters: &PortCounters) {
        self.add(port, RX_FRAMES, counters.rx_frames);
        self.add(port, RX_BYTES, counters.rx_bytes);
        self.add(port, TX_FRAMES, counters.tx_frames);
        self.add(port, TX_BYTES, counters.tx_bytes);
        self.add(port, PUNTED, counters.punted);
        self.add(port, DEFERRED, counters.learn_deferred);
        for (i, &n) in counters.drops.iter().enumerate() {
            let name = DropReason::ALL
                .get(i)
                .map_or("a drop without a reason", |reason| reason.name());
            self.add(port, name, n);
        }
    }

    /// What has been counted since `before`.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let mut difference = Self::default();
        for (&(port, what), &n) in &self.0 {
            let old = before.0.get(&(port, what)).copied().unwrap_or_default();
            difference.add(port, what, n.wrapping_sub(old));
        }
        difference
    }

    /// One counter.
    #[must_use]
    pub fn of(&self, port: u16, what: &str) -> u64 {
        self.iter()
            .filter(|&(p, w, _)| p == port && w == what)
            .map(|(_, _, n)| n)
            .sum()
    }

    /// A counter over all ports.
    #[must_use]
    pub fn total(&self, what: &str) -> u64 {
        self.iter()
            .filter(|&(_, w, _)| w == what)
            .map(|(_, _, n)| n)
            .sum()
    }

    /// Drops over all ports.
    #[must_use]
    pub fn drops(&self) -> u64 {
        DropReason::ALL.iter().map(|r| self.total(r.name())).sum()
    }

    /// Everything that is not 0.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &'static str, u64)> + '_ {
        self.0.iter().map(|(&(port, what), &n)| (port, what, n))
    }
}

impl fmt::Debug for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("nothing counted");
        }
        let mut last = None;
        for (port, what, n) in self.iter() {
            if last != Some(port) {
                write!(f, "{}port {port}:", if last.is_some() { "; " } else { "" })?;
                last = Some(port);
            }
            write!(f, " {what} {n}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_have_names_and_no_zeros() {
        let mut before = Counts::default();
        before.received(1, 60);
        before.dropped(2, DropReason::MtuExceeded);
        let mut after = before.clone();
        after.received(1, 64);
        after.sent(3, 0);
        let difference = after.since(&before);
        assert_eq!(
            format!("{difference:?}"),
            "port 1: rx_bytes 64 rx_frames 1; port 3: tx_frames 1"
        );
        assert_eq!((difference.of(1, RX_BYTES), difference.drops()), (64, 0));
        assert_eq!((after.total(RX_FRAMES), after.drops()), (2, 1));
        assert_eq!(format!("{:?}", after.since(&after)), "nothing counted");
    }
}
