//! Port Transmit machine (17.26). It rests in IDLE only.

use crate::stp::bridge::Bridge;
use crate::stp::state::Role;

/// One transition of the machine, to a TRANSMIT state and back to IDLE. A port with a BPDU filter does it in silence.
pub(in crate::stp) fn step(bridge: &mut Bridge, i: usize) -> bool {
    let hold = bridge.tx_hold_count();
    let port = &mut bridge.ports[i];
    if !port.is_selected() {
        return false;
    }
    if port.hello_when == 0 {
        // TRANSMIT_PERIODIC
        port.new_info |=
            port.role == Role::Designated || (port.role == Role::Root && port.tc_while != 0);
    } else {
        let speaks = port.send_rstp || matches!(port.role, Role::Designated | Role::Root);
        if !port.new_info || port.tx_count >= hold || !speaks {
            return false;
        }
        port.new_info = false;
        port.tx_count += 1;
        let silent = port.config.bpdu_filter || !port.port_enabled();
        let (rstp, designated) = (port.send_rstp, port.role == Role::Designated);
        match (rstp, designated) {
            _ if silent => {}
            (true, _) => bridge.tx_rstp(i),       // TRANSMIT_RSTP
            (false, true) => bridge.tx_config(i), // TRANSMIT_CONFIG
            (false, false) => bridge.tx_tcn(i),   // TRANSMIT_TCN
        }
        if rstp || designated {
            bridge.ports[i].tc_ack = false;
        }
    }
    // IDLE
    let port = &mut bridge.ports[i];
    port.hello_when = port.hello_time();
    true
}
