//! COUNTERS: per port and CPU. Entry 0 belongs to frames whose port is not known.

use crate::reason::REASON_SLOTS;

/// What one CPU has counted on one port.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortCounters {
    /// Frames received, whatever became of them.
    pub rx_frames: u64,
    /// Octets received, 802.1Q tag included, without frame check sequence.
    pub rx_bytes: u64,
    /// Frames handed to the device.
    pub tx_frames: u64,
    /// Octets handed to the device, 802.1Q tag included.
    pub tx_bytes: u64,
    /// Frames copied or moved to the control plane.
    pub punted: u64,
    /// Learning events that found no room in the ring, or were over the port's share of one round. No frame
    /// is lost by them: the next frame of that source tries again.
    pub learn_deferred: u64,
    /// Drops by [`crate::DropReason`].
    pub drops: [u64; REASON_SLOTS],
}

const _: () = assert!(size_of::<PortCounters>() == (6 + REASON_SLOTS) * 8);

#[cfg(feature = "std")]
// SAFETY: repr(C), Copy, no padding, any bit pattern valid.
unsafe impl aya::Pod for PortCounters {}
