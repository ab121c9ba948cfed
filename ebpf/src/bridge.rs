//! The pipeline: port, VLAN, learning, destination.

use crate::{
    control::{self, Claim},
    egress, fdb, learn, maps,
    packet::{Header, Packet, Rest},
    vlan::{self, Admitted},
};
use hitless_common::{
    DropReason,
    map::{
        fdb::{FdbKey, flag as fdb_flag},
        ports::{PortEntry, flag as port_flag},
    },
};

/// The I/G bit of an address as a number.
pub const GROUP_BIT: u64 = 1 << 40;

/// Drops a frame that came in on `from`, counted at `at`.
#[inline(always)]
pub fn drop<P: Packet>(packet: &mut P, from: u16, at: u16, reason: DropReason) -> P::Action {
    if P::MAY_LEAVE {
        maps::count_rx(from, packet.bytes());
    }
    maps::count_drop(at, reason);
    packet.dropped(at, reason)
}

/// Decides about one frame and does it.
#[inline(always)]
pub fn forward<P: Packet>(packet: &mut P) -> P::Action {
    let port = maps::port_by_ifindex(packet.ingress_ifindex());
    let from = port.map_or(0, |port| port.port);
    if !P::MAY_LEAVE {
        maps::count_rx(from, packet.bytes());
    }
    let Some(port) = port else {
        return drop(packet, from, from, DropReason::UnknownPort);
    };
    if port.flags & port_flag::ENABLED == 0 {
        return drop(packet, from, from, DropReason::PortDisabled);
    }
    let Some(header) = packet.header() else {
        return drop(packet, from, from, DropReason::Truncated);
    };
    let admitted = match admit(port, &header) {
        Ok(admitted) => admitted,
        Err(refusal) => return refuse(packet, port, &header, refusal),
    };

    // Both places are computed before either is read: the two cache misses of a large table overlap.
    let source_key = FdbKey::from_raw(admitted.vid, header.src);
    let (Some(source), Some(destination)) = (
        fdb::place(source_key),
        fdb::place(FdbKey::from_raw(admitted.vid, header.dst)),
    ) else {
        // Only a table without buckets has no place, and the loader makes none.
        return packet.rest(port, &header, Rest::Spread(admitted));
    };
    let source = source.find();
    if source.is_some_and(|found| found.flags & fdb_flag::BLACKHOLE != 0) {
        return drop(packet, from, from, DropReason::Blackhole);
    }
    // Only members learn, and a member that is let in here forwards: a port that the lease stops learns nothing.
    learn::source(source, source_key, from, || {
        admitted.vlan.learning.has(from)
    });

    if header.dst & GROUP_BIT == 0
        && let Some(found) = destination.find()
    {
        if found.flags & fdb_flag::BLACKHOLE != 0 {
            return drop(packet, from, from, DropReason::Blackhole);
        }
        return egress::unicast(packet, &header, &admitted, from, found.port);
    }
    packet.rest(port, &header, Rest::Spread(admitted))
}

/// Why a frame is not let in.
struct Refusal {
    reason: DropReason,
    /// Its VLAN, if its port is a member that does not forward there; else 0.
    stopped_in: u16,
}

impl From<DropReason> for Refusal {
    #[inline(always)]
    fn from(reason: DropReason) -> Self {
        Self {
            reason,
            stopped_in: 0,
        }
    }
}

/// The VLAN of a frame, if its port may bring it in.
#[inline(always)]
fn admit(port: &PortEntry, header: &Header) -> Result<Admitted, Refusal> {
    let vid = vlan::classify(port, header)?;
    let vlan = maps::vlan(vid).ok_or(DropReason::VlanUnknown)?;
    let fallen_back = vlan::has_fallen_back(vlan);
    let lets_in = vlan.forwarding.has(port.port) && (!fallen_back || vlan.fallback.has(port.port));
    if !lets_in && let Some(reason) = vlan::refusal(port, vlan) {
        let stopped = matches!(reason, DropReason::PortBlocked | DropReason::NoMaster);
        let stopped_in = if stopped { vid } else { 0 };
        return Err(Refusal { reason, stopped_in });
    }
    Ok(Admitted {
        vid,
        vlan,
        fallen_back,
    })
}

/// What becomes of a frame that its port may not bring in: the control plane may want it all the same.
#[inline(always)]
fn refuse<P: Packet>(
    packet: &mut P,
    port: &PortEntry,
    header: &Header,
    Refusal { reason, stopped_in }: Refusal,
) -> P::Action {
    let learns = reason == DropReason::PortBlocked;
    if control::between_neighbours(header.dst)
        || stopped_in != 0
            && claimed_or_learned(port.port, stopped_in, header.src, header.dst, learns)
    {
        return packet.rest(port, header, Rest::Take);
    }
    drop(packet, port.port, port.port, reason)
}

/// For a frame of a member of its VLAN that does not forward there: true if the frame is claimed there; else its source
/// is learned, unless the lease stops the port, if the port is so far (learning state, IEEE 802.1D-2004 7.4). Not
/// inlined, and the VLAN looked up once more: the fast path has nothing to do with it.
#[inline(never)]
fn claimed_or_learned(port: u16, vid: u16, src: u64, dst: u64, learns: bool) -> bool {
    let Some(vlan) = maps::vlan(vid) else {
        return false;
    };
    if control::group(dst, vlan) == Claim::Take {
        return true;
    }
    if learns && vlan.learning.has(port) {
        learn::blocked(FdbKey::from_raw(vid, src), port);
    }
    false
}
