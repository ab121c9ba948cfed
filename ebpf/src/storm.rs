//! Storm control: frames a second that a port may spread over a VLAN, for each of the three kinds.

use crate::{bridge::GROUP_BIT, maps};
use aya_ebpf::helpers::bpf_ktime_get_ns;
use hitless_common::{
    DropReason,
    map::ports::{PortEntry, flag},
};

const BROADCAST: u64 = 0xffff_ffff_ffff;

/// Why a frame to this destination is one too many, if it is.
#[inline(always)]
pub fn excess(port: &PortEntry, dst: u64) -> Option<DropReason> {
    if port.flags & flag::STORM == 0 {
        return None;
    }
    let limits = maps::limiters(port.port)?;
    let (bucket, reason) = if dst == BROADCAST {
        (&mut limits.broadcast, DropReason::StormBroadcast)
    } else if dst & GROUP_BIT != 0 {
        (&mut limits.multicast, DropReason::StormMulticast)
    } else {
        (&mut limits.unknown, DropReason::StormUnknown)
    };
    // SAFETY: a helper without arguments.
    if bucket.take(unsafe { bpf_ktime_get_ns() }) {
        None
    } else {
        Some(reason)
    }
}
