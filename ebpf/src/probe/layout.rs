//! What the probe programs and the test harness share: the probe frame and the maps of a sink.
//!
//! The harness includes this very file, so that the two sides can not drift apart.

/// EtherType of probe frames: local experimental 1 (IEEE Std 802-2014 9.2.4).
pub const ETHERTYPE: u16 = 0x88b5;

/// First four octets after the EtherType, in network order.
pub const MAGIC: u32 = 0x484c_5052;

/// Octets of the probe header after the EtherType: magic 4, flow 4, kind 2, phase 2, sequence number 8; all in
/// network order.
pub const HEADER_LEN: usize = 20;

/// Offsets in the probe header.
pub mod offset {
    /// [`super::MAGIC`].
    pub const MAGIC: usize = 0;
    /// Flow id, chosen by the sender.
    pub const FLOW: usize = 4;
    /// [`super::kind`].
    pub const KIND: usize = 8;
    /// Phase of the flow in which the frame was sent.
    pub const PHASE: usize = 10;
    /// Sequence number, from 0.
    pub const SEQUENCE: usize = 12;
}

/// What a probe frame is for.
pub mod kind {
    /// One of a numbered flow; counted by a sink.
    pub const FLOW: u16 = 1;
    /// A frame of a test case, received by a packet socket.
    pub const CASE: u16 = 2;
    /// Marks the end of an exchange on a packet socket.
    pub const FENCE: u16 = 3;
}

/// Phases that one flow can have.
pub const MAX_PHASES: usize = 64;

/// Sequence numbers in one word of the SEEN bitmap.
pub const SEEN_BITS: u64 = 64;

/// What a sink knows of the whole flow. One entry of FLOW, mapped into memory by the harness.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowState {
    /// Different sequence numbers received.
    pub received: u64,
    /// One more than the highest sequence number received.
    pub next: u64,
    /// CLOCK_MONOTONIC in nanoseconds of the last frame.
    pub last_ns: u64,
    /// Frames of the flow whose sequence number or phase is out of the sink's range.
    pub unaccounted: u64,
}

/// What a sink knows of the frames sent in one phase. One entry of PHASES.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PhaseState {
    /// Different sequence numbers received.
    pub received: u64,
    /// Frames whose sequence number had been received before.
    pub duplicated: u64,
    /// Frames that came after one with a higher sequence number (duplicates not counted again).
    pub reordered: u64,
    /// Longest time in nanoseconds from the frame before, of whichever phase, to a frame of this phase.
    pub longest_gap_ns: u64,
}

/// What the generator writes into the frames it sends. The harness sets it before the program is loaded.
pub mod generate {
    /// Addresses stay as they are in the given frame.
    pub const FIXED: u32 = 0;
    /// Addresses count up from the base, each in its own range.
    pub const SEQUENTIAL: u32 = 1;
    /// Addresses are pseudo-random, each in its own range.
    pub const RANDOM: u32 = 2;
}

const _: () = assert!(size_of::<FlowState>() == 32 && size_of::<PhaseState>() == 32);
