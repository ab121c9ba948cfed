//! Port Role Transitions machine, root port (17.29.2, figure 17-21).

use crate::stp::bridge::Bridge;

/// One transition of a port in ROOT_PORT.
pub(super) fn step(bridge: &mut Bridge, i: usize) -> bool {
    // Both look at every port, so they are asked only where the answer matters.
    let all_synced = !bridge.ports[i].agree && bridge.all_synced();
    let closed = !bridge.ports[i].learn || !bridge.ports[i].forward;
    let rapid = closed && bridge.rstp_version() && bridge.re_rooted(i);
    let port = &mut bridge.ports[i];
    let may_open = port.fd_while == 0 || (rapid && port.rb_while == 0);
    if port.proposed && !port.agree {
        // ROOT_PROPOSED
        port.proposed = false;
        bridge.set_sync_tree();
    } else if all_synced || (port.proposed && port.agree) {
        // ROOT_AGREED
        port.proposed = false;
        port.sync = false;
        port.new_info = true;
        bridge.out.sync |= !std::mem::replace(&mut port.agree, true);
    } else if !port.forward && !port.re_root {
        // REROOT
        bridge.set_re_root_tree();
    } else if port.re_root && port.forward {
        // REROOTED
        port.re_root = false;
    } else if may_open && !port.learn {
        // ROOT_LEARN
        port.fd_while = port.fwd_delay();
        port.learn = true;
    } else if may_open && !port.forward {
        // ROOT_FORWARD
        port.fd_while = 0;
        port.forward = true;
    } else if port.rr_while != port.fwd_delay() {
        // ROOT_PORT
        port.rr_while = port.fwd_delay();
    } else {
        return false;
    }
    true
}
