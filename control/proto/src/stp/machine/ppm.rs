//! Port Protocol Migration machine (17.24).

use crate::stp::bridge::Bridge;
use crate::stp::event::Event;
use crate::stp::state::{MIGRATE_TIME, PpmState};

/// One transition of the machine.
pub(in crate::stp) fn step(bridge: &mut Bridge, i: usize) -> bool {
    let rstp = bridge.rstp_version();
    let port = &mut bridge.ports[i];
    let enabled = port.port_enabled();
    let sent_rstp = port.send_rstp;
    port.ppm = match port.ppm {
        PpmState::CheckingRstp if port.mdelay_while != MIGRATE_TIME && !enabled => {
            port.mcheck = false;
            port.send_rstp = rstp;
            port.mdelay_while = MIGRATE_TIME;
            PpmState::CheckingRstp
        }
        PpmState::CheckingRstp | PpmState::SelectingStp if port.mdelay_while == 0 => sensing(port),
        PpmState::SelectingStp if !enabled || port.mcheck => sensing(port),
        PpmState::Sensing
            if !enabled || port.mcheck || (rstp && !port.send_rstp && port.rcvd_rstp) =>
        {
            port.mcheck = false;
            port.send_rstp = rstp;
            port.mdelay_while = MIGRATE_TIME;
            PpmState::CheckingRstp
        }
        PpmState::Sensing if port.send_rstp && port.rcvd_stp => {
            port.send_rstp = false;
            port.mdelay_while = MIGRATE_TIME;
            PpmState::SelectingStp
        }
        _ => return false,
    };
    if port.send_rstp != sent_rstp {
        let (port, rstp) = (port.number, port.send_rstp);
        bridge.out.events.push(Event::Migrated { port, rstp });
    }
    true
}

/// SENSING.
const fn sensing(port: &mut crate::stp::state::PortState) -> PpmState {
    port.rcvd_rstp = false;
    port.rcvd_stp = false;
    PpmState::Sensing
}
