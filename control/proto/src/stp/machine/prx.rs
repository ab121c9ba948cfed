//! Port Receive machine (17.23).

use crate::stp::bridge::Bridge;
use crate::stp::state::{MIGRATE_TIME, PrxState};

/// One transition of the machine.
pub(in crate::stp) fn step(bridge: &mut Bridge, i: usize) -> bool {
    let port = &mut bridge.ports[i];
    if !port.port_enabled() {
        // DISCARD
        if port.rcvd_bpdu.is_none() && port.edge_delay_while == MIGRATE_TIME {
            return false;
        }
        port.prx = PrxState::Discard;
        port.rcvd_bpdu = None;
        port.rcvd_rstp = false;
        port.rcvd_stp = false;
        port.rcvd_msg = None;
        port.edge_delay_while = MIGRATE_TIME;
        return true;
    }
    if port.rcvd_msg.is_some() {
        return false;
    }
    // RECEIVE
    let Some(bpdu) = port.rcvd_bpdu.take() else {
        return false;
    };
    port.prx = PrxState::Receive;
    port.updt_bpdu_version(&bpdu);
    port.oper_edge = false;
    port.rcvd_msg = Some(bpdu);
    port.edge_delay_while = port.edge_delay();
    true
}
