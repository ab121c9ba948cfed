//! Known unicast on its way out of one port.

use crate::{
    bridge, maps,
    packet::{Header, Packet, TagChange},
    vlan::{self, Admitted},
};
use hitless_common::DropReason;

/// Sends a frame from port `from` out of port `to`.
#[inline(always)]
pub fn unicast<P: Packet>(
    packet: &mut P,
    header: &Header,
    admitted: &Admitted,
    from: u16,
    to: u16,
) -> P::Action {
    if to == from {
        return bridge::drop(packet, from, from, DropReason::SamePort);
    }
    if !admitted.vlan.forwarding.has(to) {
        return bridge::drop(packet, from, from, DropReason::EgressBlocked);
    }
    if !admitted.lets_out(to) {
        return bridge::drop(packet, from, from, DropReason::NoMaster);
    }
    let Some(egress) = maps::egress(to) else {
        return bridge::drop(packet, from, from, DropReason::EgressBlocked);
    };
    if !packet.reaches(egress) {
        return packet.leave();
    }
    // What goes wrong on the way out is counted at the egress port, so that the narrow one can be found.
    if !packet.fits(header.tagged, egress.mtu) {
        return bridge::drop(packet, from, to, DropReason::MtuExceeded);
    }
    let bytes = packet.bytes();
    let change = vlan::egress_tag(header, admitted.vid, admitted.vlan.untagged.has(to));
    if change != TagChange::Keep && !packet.retag(header, change) {
        if P::MAY_LEAVE {
            return packet.leave();
        }
        return bridge::drop(packet, from, to, DropReason::TagFailed);
    }
    let Some(action) = packet.redirect(egress) else {
        return bridge::drop(packet, from, to, DropReason::TxFailed);
    };
    if P::MAY_LEAVE {
        maps::count_rx(from, bytes);
    }
    maps::count_tx(to, change.resized(bytes));
    action
}
