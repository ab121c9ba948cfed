//! Port Role Transitions machine (17.29): which of the four parts has the port.

use super::{prt_closed, prt_designated, prt_root};
use crate::stp::bridge::Bridge;
use crate::stp::event::Event;
use crate::stp::state::{PrtState, Role};

/// One transition of the machine. All of them are qualified by selected && !updtInfo.
pub(in crate::stp) fn step(bridge: &mut Bridge, i: usize) -> bool {
    let port = &mut bridge.ports[i];
    if !port.is_selected() {
        return false;
    }
    if port.role != port.selected_role {
        let (from, to) = (port.role, port.selected_role);
        enter(bridge, i);
        let port = bridge.ports[i].number;
        bridge.out.events.push(Event::Role { port, from, to });
        return true;
    }
    match port.prt {
        PrtState::DisablePort | PrtState::DisabledPort => prt_closed::disabled(bridge, i),
        PrtState::RootPort => prt_root::step(bridge, i),
        PrtState::DesignatedPort => prt_designated::step(bridge, i),
        PrtState::BlockPort | PrtState::AlternatePort => prt_closed::alternate(bridge, i),
    }
}

/// The first state of a new role: DISABLE_PORT, ROOT_PORT, DESIGNATED_PORT or BLOCK_PORT.
fn enter(bridge: &mut Bridge, i: usize) {
    let port = &mut bridge.ports[i];
    port.role = port.selected_role;
    port.prt = match port.role {
        Role::Disabled => PrtState::DisablePort,
        Role::Root => PrtState::RootPort,
        Role::Designated => PrtState::DesignatedPort,
        Role::Alternate | Role::Backup => PrtState::BlockPort,
    };
    match port.role {
        Role::Root => port.rr_while = port.fwd_delay(),
        Role::Designated => {}
        Role::Disabled | Role::Alternate | Role::Backup => {
            port.learn = false;
            port.forward = false;
        }
    }
}
