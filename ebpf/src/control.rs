//! Which frames are the control plane's, by destination address, and how they get there.

use crate::maps;
use aya_ebpf::helpers::bpf_ktime_get_ns;
use hitless_common::{
    DropReason,
    map::vlans::{VlanEntry, flag},
};

const RESERVED: u64 = 0x0180_c200_0000;
const EXTREME: u64 = 0x00e0_2b00_0000;
const PVST: u64 = 0x0100_0ccc_cccd;

/// What a destination address asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// An ordinary address.
    None,
    /// The control plane alone.
    Take,
    /// The control plane and the VLAN.
    Copy,
}

/// The claim on a group address: 01:80:c2:00:00:00 to 0f are for this bridge only (IEEE 802.1Q 8.6.3), that of PVST+
/// where a protocol claims it.
#[inline(always)]
pub fn group(dst: u64, vlan: &VlanEntry) -> Claim {
    if dst & !0x0f == RESERVED || (dst == PVST && vlan.flags & flag::CLAIM_PVST != 0) {
        Claim::Take
    } else {
        Claim::None
    }
}

/// The claim on a unicast address that the FDB does not know (it never learns these): EDP is for this bridge
/// only; its sisters are copied and flooded until a protocol claims them in the VLAN.
#[inline(always)]
pub fn unicast(dst: u64, vlan: &VlanEntry) -> Claim {
    if dst & !0xff != EXTREME {
        return Claim::None;
    }
    let claimed = match dst & 0xff {
        0x00 => true,
        0x02 | 0x08 => vlan.flags & flag::CLAIM_ESRP != 0,
        0x04 => vlan.flags & flag::CLAIM_EAPS != 0,
        _ => false,
    };
    if claimed { Claim::Take } else { Claim::Copy }
}

/// Whether the control plane takes the frame even where its VLAN, or the lack of one, refuses it: the state of
/// a port in a VLAN does not concern a frame between neighbours.
#[inline(always)]
pub fn between_neighbours(dst: u64) -> bool {
    dst & !0x0f == RESERVED || dst == EXTREME
}

/// Takes a frame's place among those that the control plane gets from this port in a second.
#[inline(always)]
pub fn admit(port: u16) -> Result<(), DropReason> {
    let limits = maps::limiters(port).ok_or(DropReason::PuntLimit)?;
    // SAFETY: a helper without arguments.
    if limits.punt.take(unsafe { bpf_ktime_get_ns() }) {
        Ok(())
    } else {
        Err(DropReason::PuntLimit)
    }
}
