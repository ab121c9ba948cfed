//! Port State Transition machine (17.30). The ports themselves are opened and closed by who gets the output.

use crate::stp::state::{PortState, PstState};

/// One transition of the machine.
pub(in crate::stp) const fn step(port: &mut PortState) -> bool {
    match port.pst {
        PstState::Discarding if port.learn => {
            port.learning = true;
            port.pst = PstState::Learning;
        }
        PstState::Learning if port.learn && port.forward => {
            port.forwarding = true;
            port.counters.forward_transitions += 1;
            port.pst = PstState::Forwarding;
        }
        PstState::Learning if !port.learn => discarding(port),
        PstState::Forwarding if !port.forward => discarding(port),
        _ => return false,
    }
    true
}

/// DISCARDING.
const fn discarding(port: &mut PortState) {
    port.learning = false;
    port.forwarding = false;
    port.pst = PstState::Discarding;
}
