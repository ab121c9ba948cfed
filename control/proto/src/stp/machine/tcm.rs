//! Topology Change machine (17.31).

use crate::stp::bridge::Bridge;
use crate::stp::event::Event;
use crate::stp::state::{Role, TcmState};

/// One transition of the machine.
pub(in crate::stp) fn step(bridge: &mut Bridge, i: usize) -> bool {
    let port = &mut bridge.ports[i];
    let active_role = matches!(port.role, Role::Root | Role::Designated);
    let told = port.rcvd_tc || port.rcvd_tcn || port.rcvd_tc_ack || port.tc_prop;
    match port.tcm {
        TcmState::Inactive if port.learn => {
            learning(bridge, i);
        }
        TcmState::Learning if active_role && port.forward && !port.oper_edge => {
            // DETECTED
            port.tcm = TcmState::Active;
            port.new_info = true;
            let port = port.number;
            bridge.new_tc_while(i);
            bridge.set_tc_prop_tree(i);
            bridge.count_topology_change();
            bridge
                .out
                .events
                .push(Event::TopologyChangeDetected { port });
        }
        TcmState::Learning if told => learning(bridge, i),
        TcmState::Learning if !active_role && !port.learn && !port.learning => {
            // INACTIVE
            port.tcm = TcmState::Inactive;
            port.tc_while = 0;
            port.tc_ack = false;
            bridge.fdb_flush(i);
        }
        TcmState::Active if !active_role || port.oper_edge => learning(bridge, i),
        TcmState::Active if port.rcvd_tcn => {
            // NOTIFIED_TCN
            bridge.new_tc_while(i);
            notified_tc(bridge, i);
        }
        TcmState::Active if port.rcvd_tc => notified_tc(bridge, i),
        TcmState::Active if port.tc_prop => {
            // PROPAGATING
            port.tc_prop = false;
            bridge.new_tc_while(i);
            bridge.fdb_flush(i);
        }
        TcmState::Active if port.rcvd_tc_ack => {
            // ACKNOWLEDGED
            port.tc_while = 0;
            port.rcvd_tc_ack = false;
        }
        _ => return false,
    }
    true
}

/// LEARNING.
fn learning(bridge: &mut Bridge, i: usize) {
    let port = &mut bridge.ports[i];
    port.tcm = TcmState::Learning;
    port.rcvd_tc = false;
    port.rcvd_tcn = false;
    port.rcvd_tc_ack = false;
    port.tc_prop = false;
}

/// NOTIFIED_TC.
fn notified_tc(bridge: &mut Bridge, i: usize) {
    let port = &mut bridge.ports[i];
    port.rcvd_tcn = false;
    port.rcvd_tc = false;
    port.tc_ack |= port.role == Role::Designated;
    port.counters.rx_topology_change += 1;
    let number = port.number;
    // A notice is repeated with every hello for as long as its sender's tcWhile runs, as 802.1D-1998 has it for half a
    // minute; the first of them is the change.
    let state = &mut bridge.state;
    let is_repeated = state.topology_changes != 0
        && state.since_topology_change <= u32::from(state.root_times.hello) + 1;
    if is_repeated {
        state.since_topology_change = 0;
    } else {
        bridge.count_topology_change();
        bridge
            .out
            .events
            .push(Event::TopologyChangeHeard { port: number });
    }
    bridge.set_tc_prop_tree(i);
}
