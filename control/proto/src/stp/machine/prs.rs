//! Port Role Selection machine (17.28). It rests in ROLE_SELECTION only.

use crate::stp::bridge::Bridge;

/// ROLE_SELECTION, if a port asks for it.
pub(in crate::stp) fn step(bridge: &mut Bridge) -> bool {
    if !bridge.ports.iter().any(|p| p.reselect) {
        return false;
    }
    bridge.clear_reselect_tree();
    bridge.updt_roles_tree();
    bridge.set_selected_tree();
    true
}
