//! Port Information machine (17.27).

use crate::stp::bridge::Bridge;
use crate::stp::event::Event;
use crate::stp::procedures::RcvdInfo;
use crate::stp::state::{InfoIs, PimState, Role};
use hitless_wire::bpdu::Bpdu;

/// One transition of the machine.
pub(in crate::stp) fn step(bridge: &mut Bridge, i: usize) -> bool {
    let port = &mut bridge.ports[i];
    let enabled = port.port_enabled();
    if !enabled && port.info_is != InfoIs::Disabled {
        disabled(bridge, i);
        return true;
    }
    match port.pim {
        PimState::Disabled if port.rcvd_msg.is_some() => disabled(bridge, i),
        PimState::Disabled if enabled => {
            port.pim = PimState::Aged;
            aged(bridge, i);
        }
        PimState::Aged | PimState::Current if port.selected && port.updt_info => update(bridge, i),
        PimState::Current
            if port.info_is == InfoIs::Received
                && port.rcvd_info_while == 0
                && !port.updt_info
                && port.rcvd_msg.is_none() =>
        {
            port.counters.info_aged += 1;
            let number = port.number;
            bridge.out.events.push(Event::InfoAged { port: number });
            let port = &mut bridge.ports[i];
            if port.config.loop_guard && !port.loop_guarding {
                port.loop_guarding = true;
                port.counters.loop_guard += 1;
                let (port, active) = (number, true);
                bridge.out.events.push(Event::LoopGuard { port, active });
            }
            aged(bridge, i);
        }
        PimState::Current if port.rcvd_msg.is_some() && !port.updt_info => receive(bridge, i),
        _ => return false,
    }
    true
}

/// DISABLED.
fn disabled(bridge: &mut Bridge, i: usize) {
    let port = &mut bridge.ports[i];
    port.pim = PimState::Disabled;
    port.rcvd_msg = None;
    port.proposing = false;
    port.proposed = false;
    port.agree = false;
    port.agreed = false;
    port.disputed = false;
    port.rcvd_info_while = 0;
    port.info_is = InfoIs::Disabled;
    port.reselect = true;
    port.selected = false;
}

/// AGED.
fn aged(bridge: &mut Bridge, i: usize) {
    let port = &mut bridge.ports[i];
    port.pim = PimState::Aged;
    port.info_is = InfoIs::Aged;
    port.reselect = true;
    port.selected = false;
}

/// UPDATE, then CURRENT.
fn update(bridge: &mut Bridge, i: usize) {
    let port = &mut bridge.ports[i];
    port.proposing = false;
    port.proposed = false;
    port.agreed = port.agreed && port.better_or_same_info(InfoIs::Mine);
    port.synced = port.synced && port.agreed;
    port.port_priority = port.designated_priority;
    port.port_times = port.designated_times;
    port.updt_info = false;
    port.info_is = InfoIs::Mine;
    port.new_info = true;
    port.pim = PimState::Current;
}

/// RECEIVE and the state for what was received, then CURRENT.
fn receive(bridge: &mut Bridge, i: usize) {
    let rstp = bridge.rstp_version();
    let port = &mut bridge.ports[i];
    match port.rcv_info() {
        RcvdInfo::SuperiorDesignated => {
            port.agreed = false;
            port.proposing = false;
            port.record_proposal();
            port.set_tc_flags();
            port.agree = port.agree && port.better_or_same_info(InfoIs::Received);
            port.record_priority_and_times();
            port.updt_rcvd_info_while(rstp);
            port.info_is = InfoIs::Received;
            port.reselect = true;
            port.selected = false;
        }
        RcvdInfo::RepeatedDesignated => {
            port.record_proposal();
            port.set_tc_flags();
            port.updt_rcvd_info_while(rstp);
        }
        RcvdInfo::InferiorDesignated => {
            // A neighbour of 802.1D-1998 is answered at once (802.1D-1998 8.6.1.3.3).
            port.new_info |= !port.send_rstp;
            if port.record_dispute() {
                let port = port.number;
                bridge.out.events.push(Event::Disputed { port });
            }
        }
        RcvdInfo::InferiorRootAlternate => {
            port.record_agreement(rstp);
            port.set_tc_flags();
        }
        // A notification conveys nothing else, and is for the port that serves the LAN (802.1D-1998 8.6.6): root ports
        // of a shared segment that took each other's would notify for ever.
        RcvdInfo::Other if port.rcvd_msg == Some(Bpdu::Tcn) => {
            if port.role == Role::Designated {
                port.set_tc_flags();
            }
        }
        RcvdInfo::Other => {}
    }
    bridge.ports[i].rcvd_msg = None;
}
