//! The pipeline: port, VLAN, learning, destination.

use crate::{
    control, egress, fdb, learn, maps,
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
        Err(_) if control::between_neighbours(header.dst) => {
            return packet.rest(port, &header, Rest::Take);
        }
        Err(reason) => return drop(packet, from, from, reason),
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
    // Only members learn, and a member that is let in here forwards: a port that the lease stops learns nothing.
    let learning = &admitted.vlan.learning;
    match source.find() {
        Some(found) if found.flags & fdb_flag::BLACKHOLE != 0 => {
            return drop(packet, from, from, DropReason::Blackhole);
        }
        Some(found) if found.port == from => stamp(&found),
        Some(found) if found.flags & fdb_flag::STATIC == 0 && learning.has(from) => {
            learn::report(source_key.0, from, 1);
        }
        // A station that is configured elsewhere: it stays there.
        Some(_) => {}
        None if header.src & GROUP_BIT == 0 && header.src != 0 && learning.has(from) => {
            learn::report(source_key.0, from, 0);
        }
        None => {}
    }

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

/// The VLAN of a frame, if its port may bring it in.
#[inline(always)]
fn admit(port: &PortEntry, header: &Header) -> Result<Admitted, DropReason> {
    let vid = vlan::classify(port, header)?;
    let vlan = maps::vlan(vid).ok_or(DropReason::VlanUnknown)?;
    let fallen_back = vlan::has_fallen_back(vlan);
    let lets_in = vlan.forwarding.has(port.port) && (!fallen_back || vlan.fallback.has(port.port));
    if !lets_in && let Some(reason) = vlan::refusal(port, vlan) {
        return Err(reason);
    }
    Ok(Admitted {
        vid,
        vlan,
        fallen_back,
    })
}

#[inline(always)]
fn stamp(found: &fdb::Found) {
    if let Some(meta) = maps::meta() {
        // SAFETY: META is an array value; volatile because the master writes it.
        found.stamp(unsafe { (&raw const (*meta).epoch).read_volatile() });
    }
}
