//! Another process goes on with a bridge.

use super::bridge::Bridge;
use super::event::{InputError, Output};
use super::marks::Marks;
use super::state::{
    Checkpoint, InfoIs, Opening, PimState, PortState, PrtState, PstState, Role, TcmState,
};
use hitless_common::PortNo;
use std::collections::BTreeMap;

impl Bridge {
    /// Goes on with a bridge from its checkpoint, as if nothing had happened. `hardware` tells what each port really
    /// does with frames; one that is not in it is closed. What must be closed in the hardware comes first in the
    /// output, and the BPDUs of all designated ports, which are the first act.
    ///
    /// * No machine begins anew, and no entry action is run.
    /// * The neighbours' information keeps its age, as all timers do that the checkpoint has; but there is time for
    ///   one more hello, since BPDUs of the meantime were missed, not unsent.
    /// * The topology change machine keeps its state: there is no topology change.
    /// * A port that forwards sends what it would have sent: flags 3C, no proposal.
    /// * If checkpoint and hardware differ, the port is closed and its neighbour asked again. A port that is closed
    ///   forgets the agreement of its neighbour, which may have been given to a later bridge than the checkpoint's.
    /// * A port whose state could not have been, as another version may have left it, begins anew.
    ///
    /// Links that changed in the meantime are inputs afterwards.
    ///
    /// # Errors
    /// When the checkpoint's parameters break a rule, as one of another version might.
    pub fn resume(
        checkpoint: Checkpoint,
        hardware: &[(PortNo, Opening)],
    ) -> Result<(Self, Output), InputError> {
        let mut bridge = Self::new(checkpoint.bridge.config)?;
        let method = bridge.state.config.cost_method;
        for port in &checkpoint.ports {
            port.config.check(method)?;
        }
        bridge.state = checkpoint.bridge;
        bridge.ports = checkpoint.ports;
        bridge.ports.sort_by_key(|p| p.number);
        bridge.ports.dedup_by_key(|p| p.number);
        let mut real: BTreeMap<_, _> = bridge
            .ports
            .iter()
            .map(|port| (port.number, Opening::Discarding))
            .collect();
        real.extend(hardware.iter().copied());
        for port in &mut bridge.ports {
            if !port.is_coherent() {
                let anew = PortState::begin(&bridge.state, port.number, port.config, port.link);
                *port = PortState {
                    guard_shut: port.guard_shut,
                    guard_while: port.guard_while,
                    counters: port.counters,
                    ..anew
                };
            }
            // Of a checkpoint that was whole this gives the same roles again.
            port.reselect = true;
            port.selected = false;
            reconcile(port, real.get(&port.number).copied().unwrap_or_default());
            refresh(port);
        }
        bridge.due = Marks::ALL;
        bridge.settle();
        // The hardware is what was before.
        bridge.was.clear();
        let before: Vec<_> = real.into_iter().collect();
        bridge.differences(&before);
        let output = std::mem::take(&mut bridge.out);
        Ok((bridge, output))
    }
}

impl PortState {
    /// Whether the machines can rest in these states together.
    const fn is_coherent(&self) -> bool {
        let prt = matches!(
            (self.role, self.prt),
            (
                Role::Disabled,
                PrtState::DisablePort | PrtState::DisabledPort
            ) | (Role::Root, PrtState::RootPort)
                | (Role::Designated, PrtState::DesignatedPort)
                | (
                    Role::Alternate | Role::Backup,
                    PrtState::BlockPort | PrtState::AlternatePort
                )
        );
        let pst = matches!(
            (self.pst, self.learning, self.forwarding),
            (PstState::Discarding, false, false)
                | (PstState::Learning, true, false)
                | (PstState::Forwarding, true, true)
        );
        let pim = matches!(
            (self.pim, self.info_is),
            (PimState::Disabled, InfoIs::Disabled)
                | (PimState::Aged, InfoIs::Aged)
                | (PimState::Current, InfoIs::Mine | InfoIs::Received)
        );
        let wants = self.learn == self.learning && self.forward == self.forwarding;
        let may_open = matches!(self.role, Role::Root | Role::Designated) || !self.learn;
        prt && pst && pim && wants && may_open && !self.updt_info
    }
}

/// The more closed of database and hardware wins until the protocol decides anew (design invariant 4).
fn reconcile(port: &mut PortState, real: Opening) {
    if real == port.opening() {
        return;
    }
    (port.learn, port.learning) = (false, false);
    (port.forward, port.forwarding) = (false, false);
    port.pst = PstState::Discarding;
    port.fd_while = port.fwd_delay();
    // When it opens, it does so after a while of being closed: that is a change.
    if port.tcm == TcmState::Active {
        port.tcm = TcmState::Learning;
    }
}

/// Timers and frames of the process that is gone.
fn refresh(port: &mut PortState) {
    port.rcvd_bpdu = None;
    port.rcvd_msg = None;
    if port.info_is == InfoIs::Received {
        port.rcvd_info_while = port.rcvd_info_while.max(port.port_times.hello + 1);
    }
    port.hello_when = 0;
    port.tx_count = 0;
    if port.role == Role::Designated && !port.forward && !port.oper_edge {
        port.agreed = false;
        port.proposing = false;
    }
}
