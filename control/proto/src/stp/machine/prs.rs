//! Port Role Selection machine (17.28). It rests in ROLE_SELECTION only.

use crate::stp::bridge::Bridge;
use crate::stp::marks::Marks;

/// ROLE_SELECTION, if one of these ports asks for it. No other does: who asks is due.
pub(in crate::stp) fn step(bridge: &mut Bridge, visit: Marks) -> bool {
    let mut asking = visit.iter(bridge.ports.len());
    if !asking.any(|i| bridge.ports[i].reselect) {
        return false;
    }
    bridge.clear_reselect_tree();
    bridge.updt_roles_tree();
    bridge.set_selected_tree();
    true
}
