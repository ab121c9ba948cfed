//! Port Role Transitions machine, designated port (17.29.3, figure 17-22).

use crate::stp::bridge::Bridge;

/// One transition of a port in DESIGNATED_PORT. Closing is asked for first. A port that loop protection holds does
/// not open, and a dispute holds a closed port closed.
pub(super) fn step(bridge: &mut Bridge, i: usize) -> bool {
    let port = &mut bridge.ports[i];
    let open = port.learn || port.forward;
    let retiring = port.re_root && port.rr_while != 0;
    let must_close = (port.sync && !port.synced) || retiring || port.loop_guarding;
    let may_open = (port.fd_while == 0 || port.agreed || port.oper_edge)
        && !retiring
        && !port.sync
        && !port.loop_guarding;
    if !port.oper_edge && ((must_close && open) || port.disputed) {
        // DESIGNATED_DISCARD
        port.fd_while = port.fwd_delay();
        port.learn = false;
        port.forward = false;
        port.disputed = false;
    } else if !port.forward && !port.agreed && !port.proposing && !port.oper_edge {
        // DESIGNATED_PROPOSE
        port.proposing = true;
        port.edge_delay_while = port.edge_delay();
        port.new_info = true;
    } else if (!port.learning && !port.forwarding && !port.synced)
        || (port.agreed && !port.synced)
        || (port.oper_edge && !port.synced)
        || (port.sync && port.synced)
    {
        // DESIGNATED_SYNCED
        port.rr_while = 0;
        port.synced = true;
        port.sync = false;
    } else if port.rr_while == 0 && port.re_root {
        // DESIGNATED_RETIRED
        port.re_root = false;
    } else if may_open && !port.learn {
        // DESIGNATED_LEARN
        port.learn = true;
        port.fd_while = port.fwd_delay();
    } else if may_open && !port.forward {
        // DESIGNATED_FORWARD
        port.forward = true;
        port.fd_while = 0;
        port.agreed = port.send_rstp;
    } else {
        return false;
    }
    true
}
