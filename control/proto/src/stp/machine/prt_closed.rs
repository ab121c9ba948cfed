//! Port Role Transitions machine, disabled, alternate and backup ports (17.29.1, 17.29.4, figures 17-20 and 17-23).

use crate::stp::bridge::Bridge;
use crate::stp::state::{PrtState, Role};

/// One transition of a port in DISABLE_PORT or DISABLED_PORT.
pub(super) fn disabled(bridge: &mut Bridge, i: usize) -> bool {
    let version = bridge.state.config.force_version;
    let port = &mut bridge.ports[i];
    let fd_while = port.disabled_fd_while(version);
    let enters = match port.prt {
        PrtState::DisablePort => !port.learning && !port.forwarding,
        _ => port.fd_while != fd_while || port.sync || port.re_root || !port.synced,
    };
    if enters {
        // DISABLED_PORT
        port.prt = PrtState::DisabledPort;
        port.fd_while = fd_while;
        port.synced = true;
        port.rr_while = 0;
        port.sync = false;
        port.re_root = false;
    }
    enters
}

/// One transition of a port in BLOCK_PORT or ALTERNATE_PORT.
pub(super) fn alternate(bridge: &mut Bridge, i: usize) -> bool {
    let all_synced = !bridge.ports[i].agree && bridge.all_synced();
    let port = &mut bridge.ports[i];
    let enters = match port.prt {
        PrtState::BlockPort => !port.learning && !port.forwarding,
        _ => port.fd_while != port.fwd_delay() || port.sync || port.re_root || !port.synced,
    };
    if enters {
        // ALTERNATE_PORT
        port.prt = PrtState::AlternatePort;
        port.fd_while = port.fwd_delay();
        port.synced = true;
        port.rr_while = 0;
        port.sync = false;
        port.re_root = false;
    } else if port.prt == PrtState::BlockPort {
        return false;
    } else if port.proposed && !port.agree {
        // ALTERNATE_PROPOSED
        port.proposed = false;
        bridge.set_sync_tree();
    } else if all_synced || (port.proposed && port.agree) {
        // ALTERNATE_AGREED
        port.proposed = false;
        port.new_info = true;
        bridge.out.sync |= !std::mem::replace(&mut port.agree, true);
    } else if port.role == Role::Backup && port.rb_while != 2 * port.hello_time() {
        // BACKUP_PORT
        port.rb_while = 2 * port.hello_time();
    } else {
        return false;
    }
    true
}
