//! PORTS and EGRESS: the same entry, found by the ingress device's ifindex and by the port's number.
//!
//! PORTS is a small open-addressing table in an array, because an array look-up is inlined by the kernel and a
//! hash look-up is not.

use crate::limits::PORT_SLOTS;

/// Bits of [`PortEntry::flags`].
pub mod flag {
    /// Frames are accepted from and sent to this port.
    pub const ENABLED: u32 = 1 << 0;
    /// Untagged and priority-tagged frames are refused (IEEE 802.1Q 6.9, "admit only VLAN-tagged frames").
    pub const TAGGED_ONLY: u32 = 1 << 1;
    /// VLAN-tagged frames are refused ("admit only untagged and priority-tagged frames").
    pub const UNTAGGED_ONLY: u32 = 1 << 2;
    /// Frames of VLANs that the port is no member of are refused (ingress filtering, IEEE 802.1Q 8.6.2).
    pub const INGRESS_FILTER: u32 = 1 << 3;
    /// The device takes frames from native XDP redirects: it is in XDP_TX.
    pub const XDP_OUT: u32 = 1 << 4;
    /// At least one storm-control limit is set in LIMITERS.
    pub const STORM: u32 = 1 << 5;
}

/// One port as the data path sees it.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortEntry {
    /// The device, or 0 in an empty slot.
    pub ifindex: u32,
    /// [`flag`] bits.
    pub flags: u32,
    /// Port number, 1 to [`crate::limits::MAX_PORTS`].
    pub port: u16,
    /// VLAN of untagged frames (PVID); 0 when the port has none.
    pub pvid: u16,
    /// Octets of payload that the device sends, without Ethernet header and 802.1Q tag.
    pub mtu: u32,
}

const _: () = assert!(size_of::<PortEntry>() == 16);

/// The first slot of PORTS to look at for an ifindex; the next ones follow, wrapping around.
#[inline(always)]
#[must_use]
pub const fn home_slot(ifindex: u32) -> u32 {
    ifindex & (PORT_SLOTS - 1)
}

const _: () = assert!(PORT_SLOTS.is_power_of_two());

#[cfg(feature = "std")]
// SAFETY: repr(C), Copy, no padding, any bit pattern valid.
unsafe impl aya::Pod for PortEntry {}
