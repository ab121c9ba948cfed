//! What the pipeline needs of a frame, whichever hook it came in by.

use crate::vlan::Admitted;
use hitless_common::{DropReason, map::ports::PortEntry};

/// Octets of a frame before the payload: two addresses and the type.
pub const HEADER_BYTES: u32 = 14;
/// Octets of an 802.1Q tag.
pub const TAG_BYTES: u32 = 4;
/// The type of a C-VLAN tag (IEEE 802.1Q 9.5); other tags are payload to this switch.
pub const TPID: u16 = 0x8100;

/// The part of a frame that decides about it.
#[derive(Clone, Copy)]
pub struct Header {
    /// Destination address as a number.
    pub dst: u64,
    /// Source address as a number.
    pub src: u64,
    /// Whether the frame carries a C-VLAN tag (VLAN id 0, a priority tag, included).
    pub tagged: bool,
    /// Tag control information: priority, drop eligible, VLAN id. 0 if untagged.
    pub tci: u16,
}

/// What must happen to a frame's tag on its way out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TagChange {
    /// Leave the frame as it is.
    Keep,
    /// Take the tag off.
    Pop,
    /// Put a tag with this control information on.
    Push(u16),
    /// Replace the control information (a priority tag becomes a VLAN tag).
    Rewrite(u16),
}

impl TagChange {
    /// Octets of a frame of `bytes` after the change.
    #[inline(always)]
    pub fn resized(self, bytes: u32) -> u32 {
        match self {
            Self::Keep | Self::Rewrite(_) => bytes,
            Self::Pop => bytes - TAG_BYTES,
            Self::Push(_) => bytes + TAG_BYTES,
        }
    }
}

/// What a frame needs that is neither known unicast nor a drop.
pub enum Rest {
    /// A copy for every port of its VLAN, or for the control plane.
    Spread(Admitted),
    /// The control plane alone: it is between neighbours.
    Take,
}

/// Octets of payload in a frame of `bytes`: without header and C-VLAN tag.
#[inline(always)]
pub fn payload(bytes: u32, tagged: bool) -> u32 {
    bytes.saturating_sub(if tagged {
        HEADER_BYTES + TAG_BYTES
    } else {
        HEADER_BYTES
    })
}

/// A frame at one of the hooks.
pub trait Packet {
    /// What the program returns.
    type Action;
    /// Whether this hook may leave the frame to a program behind it, which then counts its reception.
    const MAY_LEAVE: bool;

    /// The device that the frame came in by.
    fn ingress_ifindex(&self) -> u32;
    /// Octets of the whole frame, tag included.
    fn bytes(&self) -> u32;
    /// Whether its payload, or that of each segment the device will make of it, is within an MTU.
    fn fits(&self, tagged: bool, mtu: u32) -> bool;
    /// The first `N` octets as a pointer; `None` if the frame is shorter.
    fn first<const N: usize>(&self) -> Option<*mut u8>;
    /// The tag that stands beside the payload, if there is one: its control information if it is a C-VLAN tag.
    fn tag_beside(&self) -> Option<Option<u16>>;
    /// Reads the header; `None` if the frame is shorter.
    #[inline(always)]
    fn header(&self) -> Option<Header> {
        let start = self.first::<{ HEADER_BYTES as usize }>()?;
        // SAFETY: 14 octets were checked.
        let (front, back, kind) = unsafe {
            (
                u64::from_be(start.cast::<u64>().read_unaligned()),
                u64::from_be(start.add(4).cast::<u64>().read_unaligned()),
                start.add(12).cast::<u16>().read_unaligned(),
            )
        };
        let header = |tci: Option<u16>| Header {
            dst: front >> 16,
            src: back & 0xffff_ffff_ffff,
            tagged: tci.is_some(),
            tci: tci.unwrap_or(0),
        };
        // A tag of another kind there is payload to this switch, and so is what stands behind it, tags included.
        if let Some(tag) = self.tag_beside() {
            return Some(header(tag));
        }
        if kind != TPID.to_be() {
            return Some(header(None));
        }
        let start = self.first::<{ (HEADER_BYTES + TAG_BYTES) as usize }>()?;
        // SAFETY: 18 octets were checked.
        let tci = u16::from_be(unsafe { start.add(14).cast::<u16>().read_unaligned() });
        Some(header(Some(tci)))
    }
    /// Whether a redirect from here to that port's device can work.
    fn reaches(&self, egress: &PortEntry) -> bool;
    /// Applies a tag change; false if the buffer has no room, with the frame unchanged.
    fn retag(&mut self, header: &Header, change: TagChange) -> bool;
    /// Hands the frame to a device; `None` if the hook knows that the device is gone.
    fn redirect(&mut self, egress: &PortEntry) -> Option<Self::Action>;
    /// Drops the frame; port and reason are for the debug log, they are counted elsewhere.
    fn dropped(&mut self, port: u16, reason: DropReason) -> Self::Action;
    /// Leaves the frame, untouched and uncounted, to the program behind this one.
    fn leave(&mut self) -> Self::Action;
    /// Does the rest, or leaves the frame.
    fn rest(&mut self, port: &PortEntry, header: &Header, rest: Rest) -> Self::Action;
}
