//! Which VLAN a frame belongs to (IEEE 802.1Q 6.9.1) and whether its port may bring it in (8.6.2).

use crate::{
    maps,
    packet::{Header, TagChange},
};
use aya_ebpf::helpers::generated::bpf_ktime_get_coarse_ns;
use hitless_common::{
    DropReason,
    map::{
        ports::{self, PortEntry},
        vlans::{self, VlanEntry},
    },
};

/// The VLAN id in tag control information.
const VID_BITS: u16 = 0x0fff;

/// A frame's VLAN, once its port may bring it in.
#[derive(Clone, Copy)]
pub struct Admitted {
    /// VLAN id.
    pub vid: u16,
    /// Its entry.
    pub vlan: &'static VlanEntry,
    /// Whether only the ports forward that make no loop while nobody looks after the others.
    pub fallen_back: bool,
}

impl Admitted {
    /// Whether a frame may leave by a port that forwards.
    #[inline(always)]
    pub fn lets_out(&self, port: u16) -> bool {
        !self.fallen_back || self.vlan.fallback.has(port)
    }

    /// The ports that forward now, of one word of the sets.
    #[inline(always)]
    pub fn open(&self, word: usize) -> u64 {
        if self.fallen_back {
            self.vlan.fallback.0[word]
        } else {
            self.vlan.forwarding.0[word]
        }
    }
}

/// Whether a VLAN must make do with its loop-free ports (design invariant 1). Only VLANs where these are not all ask
/// for the time.
#[inline(always)]
pub fn has_fallen_back(vlan: &VlanEntry) -> bool {
    vlan.flags & vlans::flag::GUARDED != 0 && !lease_holds()
}

/// Whether a master has renewed the lease. The time is that of the last timer tick, some milliseconds old, which is
/// good enough and cheaper to have.
#[inline(always)]
fn lease_holds() -> bool {
    let Some(meta) = maps::meta() else {
        return false;
    };
    // SAFETY: META is an array value; volatile because the master writes it. The helper has no arguments.
    unsafe { bpf_ktime_get_coarse_ns() < (&raw const (*meta).lease).read_volatile() }
}

/// The frame's VLAN id, or why the port refuses the frame.
#[inline(always)]
pub fn classify(port: &PortEntry, header: &Header) -> Result<u16, DropReason> {
    let vid = header.tci & VID_BITS;
    if header.tagged && vid != 0 {
        if vid == VID_BITS {
            return Err(DropReason::VlanReserved);
        }
        if port.flags & ports::flag::UNTAGGED_ONLY != 0 {
            return Err(DropReason::TaggedRefused);
        }
        return Ok(vid);
    }
    if port.pvid == 0 || port.flags & ports::flag::TAGGED_ONLY != 0 {
        return Err(DropReason::UntaggedRefused);
    }
    // A PVID beyond 12 bits can only be a writer's mistake; the look-up below must stay in its table.
    Ok(port.pvid & VID_BITS)
}

/// Why a frame that found its port not forwarding in its VLAN is dropped; `None` if the port takes frames of
/// VLANs that it is no member of.
#[inline(always)]
pub fn refusal(port: &PortEntry, vlan: &VlanEntry) -> Option<DropReason> {
    if vlan.flags & vlans::flag::EXISTS == 0 {
        Some(DropReason::VlanUnknown)
    } else if vlan.forwarding.has(port.port) {
        Some(DropReason::NoMaster)
    } else if vlan.member.has(port.port) {
        Some(DropReason::PortBlocked)
    } else if port.flags & ports::flag::INGRESS_FILTER != 0 {
        Some(DropReason::VlanFiltered)
    } else {
        None
    }
}

/// The change of tag towards a port that sends this VLAN untagged or tagged. The priority survives.
#[inline(always)]
pub fn egress_tag(header: &Header, vid: u16, untagged: bool) -> TagChange {
    if untagged {
        return if header.tagged {
            TagChange::Pop
        } else {
            TagChange::Keep
        };
    }
    if !header.tagged {
        return TagChange::Push(vid);
    }
    if header.tci & VID_BITS == 0 {
        return TagChange::Rewrite(header.tci | vid);
    }
    TagChange::Keep
}
