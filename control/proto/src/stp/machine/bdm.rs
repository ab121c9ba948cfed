//! Bridge Detection machine (17.25).

use crate::stp::bridge::Bridge;
use crate::stp::event::Event;
use crate::stp::state::BdmState;

/// One transition of the machine. A port that loop protection holds is never taken for an edge port: that its
/// neighbour is silent is what it is held for.
pub(in crate::stp) fn step(bridge: &mut Bridge, i: usize) -> bool {
    let port = &mut bridge.ports[i];
    let enabled = port.port_enabled();
    let admin_edge = port.config.admin_edge;
    let edge = match port.bdm {
        BdmState::Edge if (!enabled && !admin_edge) || !port.oper_edge => false,
        BdmState::NotEdge
            if (!enabled && admin_edge)
                || (port.edge_delay_while == 0
                    && port.config.auto_edge
                    && port.send_rstp
                    && port.proposing
                    && !port.loop_guarding) =>
        {
            true
        }
        _ => return false,
    };
    port.bdm = if edge {
        BdmState::Edge
    } else {
        BdmState::NotEdge
    };
    port.oper_edge = edge;
    let port = port.number;
    bridge.out.events.push(Event::Edge { port, edge });
    true
}
