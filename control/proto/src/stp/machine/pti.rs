//! Port Timers machine (17.22).

use crate::stp::params::ForceVersion;
use crate::stp::state::{MIGRATE_TIME, PortState, PpmState, PrtState, Role};

/// Values of the timers that the state of a port holds where they are: its machines would load them anew after every
/// tick, and nothing else would come of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::stp) struct Held {
    /// edgeDelayWhile of a disabled port (17.23 DISCARD).
    pub edge_delay: Option<u16>,
    /// fdWhile of a disabled, alternate or backup port (17.29.1, 17.29.4).
    pub fd: Option<u16>,
    /// mdelayWhile of a disabled port (17.24 CHECKING_RSTP).
    pub mdelay: Option<u16>,
    /// rbWhile of a backup port (17.29.4 BACKUP_PORT).
    pub rb: Option<u16>,
    /// rrWhile of a root port (17.29.2 ROOT_PORT).
    pub rr: Option<u16>,
}

impl PortState {
    /// The timers that its state holds.
    pub(in crate::stp) fn held(&self, version: ForceVersion) -> Held {
        let enabled = self.port_enabled();
        let checking = self.ppm == PpmState::CheckingRstp;
        let backup = self.prt == PrtState::AlternatePort && self.role == Role::Backup;
        Held {
            edge_delay: (!enabled).then_some(MIGRATE_TIME),
            fd: match self.prt {
                PrtState::DisabledPort => Some(self.disabled_fd_while(version)),
                PrtState::AlternatePort => Some(self.fwd_delay()),
                _ => None,
            },
            mdelay: (!enabled && checking).then_some(MIGRATE_TIME),
            rb: backup.then(|| 2 * self.hello_time()),
            rr: (self.prt == PrtState::RootPort).then(|| self.fwd_delay()),
        }
    }
}

/// What a tick leaves to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::stp) struct Ticked {
    /// The port's machines may move: a timer ran out, or the port may send again.
    pub own: bool,
    /// Those of the other ports may move: rrWhile, which reRooted (17.20.10) looks at, ran out.
    pub others: bool,
}

/// TICK: every timer that runs a second less, down to 0.
pub(in crate::stp) fn tick(port: &mut PortState, version: ForceVersion) -> Ticked {
    let held = port.held(version);
    let mut ticked = Ticked::default();
    let mut count = |timer: &mut u16, held: Option<u16>| {
        let runs = *timer > 0 && held.is_none();
        *timer -= u16::from(runs);
        let ended = runs && *timer == 0;
        ticked.own |= ended;
        ended
    };
    count(&mut port.hello_when, None);
    count(&mut port.tc_while, None);
    count(&mut port.fd_while, held.fd);
    count(&mut port.rcvd_info_while, None);
    let retired = count(&mut port.rr_while, held.rr);
    count(&mut port.rb_while, held.rb);
    count(&mut port.mdelay_while, held.mdelay);
    count(&mut port.edge_delay_while, held.edge_delay);
    ticked.others = retired;
    if port.tx_count > 0 {
        port.tx_count -= 1;
        ticked.own |= port.new_info;
    }
    ticked
}
