//! What the data path tells the master: sources to learn (LEARN) and control frames (PUNT), in ring buffers.

use super::fdb::FdbKey;
use crate::limits::PUNT_BYTES;

/// Bytes of the LEARN ring: a power of two and a multiple of the page size; 174,762 events of 24 bytes.
pub const LEARN_RING_BYTES: u32 = 4 * 1024 * 1024;

/// Learning events that one port may report before the master drains the ring: less than half of the ring, so
/// that one port flooded with forged sources leaves room for the others.
pub const LEARN_EVENTS_PER_ROUND: u32 = 65_536;

/// Slots of REPORTED, a power of two.
pub const REPORTED_SLOTS: u32 = 16_384;

/// Bytes of the PUNT ring; 512 control frames.
pub const PUNT_RING_BYTES: u32 = 1024 * 1024;

/// Slots of CENSUS.
#[cfg(feature = "edition-newer")]
pub const CENSUS_SLOTS: u32 = 10;

/// Control frames a second that one port may bring to the control plane.
pub const PUNT_RATE: u32 = 2_000;

/// A source that the FDB does not know, or knows behind another port.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LearnEvent {
    /// The source address and its VLAN.
    pub key: FdbKey,
    /// The port it was seen on.
    pub port: u16,
    /// 1 if the FDB has it behind another port.
    pub moved: u16,
    /// Zero.
    pub reserved: u32,
}

const _: () = assert!(size_of::<LearnEvent>() == 16);

/// Values of [`PuntHeader::tagged`].
pub mod tag {
    /// None.
    pub const NONE: u16 = 0;
    /// A customer's (IEEE 802.1Q 9.5, 8100): the frame's VLAN.
    pub const CUSTOMER: u16 = 1;
    /// A service provider's (88a8), which is nobody's VLAN here, and which the kernel had taken out.
    pub const SERVICE: u16 = 2;
}

/// A control frame; its bytes follow, without a tag (the tag is in `tci`).
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PuntHeader {
    /// CLOCK_MONOTONIC in nanoseconds when it came.
    pub when: u64,
    /// Port number.
    pub port: u16,
    /// The tag that the frame had and that is not among its bytes: one of [`tag`].
    pub tagged: u16,
    /// Tag control information as received, 0 if untagged.
    pub tci: u16,
    /// Bytes that follow.
    pub length: u16,
}

/// One record of the PUNT ring.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug)]
pub struct PuntRecord {
    /// Where the frame came from.
    pub header: PuntHeader,
    /// The frame; only the first [`PuntHeader::length`] bytes are meant.
    pub frame: [u8; PUNT_BYTES],
}

const _: () = assert!(size_of::<PuntHeader>() == 16 && size_of::<PuntRecord>() == 2048);
