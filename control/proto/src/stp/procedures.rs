//! Procedures of the machines (802.1D-2004 17.21).

use super::bridge::Bridge;
use super::event::{Event, Flush};
use super::marks::Marks;
use super::state::{InfoIs, PortState, Role};
use super::vector::{PortId, PriorityVector, Times};
use hitless_wire::bpdu::{Bpdu, Config, Rst, RstRole, Vector};

/// Result of rcvInfo (17.21.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RcvdInfo {
    /// SuperiorDesignatedInfo.
    SuperiorDesignated,
    /// RepeatedDesignatedInfo.
    RepeatedDesignated,
    /// InferiorDesignatedInfo.
    InferiorDesignated,
    /// InferiorRootAlternateInfo.
    InferiorRootAlternate,
    /// OtherInfo.
    Other,
}

/// Message priority and times (17.19.14, 17.19.15), and the role conveyed. A notification has none of them.
fn message(bpdu: &Bpdu) -> Option<(RstRole, PriorityVector, Times)> {
    let (role, vector) = match bpdu {
        Bpdu::Config(config) => (RstRole::Designated, &config.vector),
        Bpdu::Rst(rst) => (rst.role, &rst.vector),
        Bpdu::Tcn => return None,
    };
    let times = Times::from_wire(&vector.times);
    Some((role, PriorityVector::from_wire(vector), times))
}

impl PortState {
    /// betterorsameInfo (17.21.1).
    pub(super) fn better_or_same_info(&self, new_info_is: InfoIs) -> bool {
        if self.info_is != new_info_is {
            return false;
        }
        match new_info_is {
            InfoIs::Mine => self.designated_priority <= self.port_priority,
            _ => self
                .rcvd_msg
                .as_ref()
                .and_then(message)
                .is_some_and(|(_, priority, _)| priority <= self.port_priority),
        }
    }

    /// rcvInfo (17.21.8).
    pub(super) fn rcv_info(&self) -> RcvdInfo {
        let Some((role, priority, times)) = self.rcvd_msg.as_ref().and_then(message) else {
            return RcvdInfo::Other;
        };
        let held = &self.port_priority;
        match role {
            RstRole::Designated if priority.is_superior_to(held) => RcvdInfo::SuperiorDesignated,
            RstRole::Designated if priority == *held => {
                if times != self.port_times {
                    RcvdInfo::SuperiorDesignated
                } else if self.info_is == InfoIs::Received {
                    RcvdInfo::RepeatedDesignated
                } else {
                    RcvdInfo::Other
                }
            }
            RstRole::Designated => RcvdInfo::InferiorDesignated,
            RstRole::Root | RstRole::AlternateOrBackup if priority >= *held => {
                RcvdInfo::InferiorRootAlternate
            }
            RstRole::Root | RstRole::AlternateOrBackup => RcvdInfo::Other,
        }
    }

    /// recordAgreement (17.21.9). An agreement that comes before the port's own information was sent (TxHoldCount) is
    /// to something else and says nothing.
    pub(super) fn record_agreement(&mut self, rstp_version: bool) {
        if self.new_info {
            return;
        }
        let agreement = matches!(self.rcvd_msg, Some(Bpdu::Rst(rst)) if rst.agreement);
        self.agreed = rstp_version && self.oper_point_to_point() && agreement;
        if self.agreed {
            self.proposing = false;
        }
    }

    /// recordDispute (17.21.10), in the form of 802.1Q: the port closes. Whether it was open until now.
    pub(super) fn record_dispute(&mut self) -> bool {
        let learning = matches!(self.rcvd_msg, Some(Bpdu::Rst(rst)) if rst.learning);
        if !learning {
            return false;
        }
        self.disputed = true;
        self.agreed = false;
        self.counters.disputed += 1;
        self.learn || self.forward
    }

    /// recordProposal (17.21.11).
    pub(super) fn record_proposal(&mut self) {
        if let Some(Bpdu::Rst(rst)) = self.rcvd_msg {
            self.proposed |= rst.role == RstRole::Designated && rst.proposal;
        }
    }

    /// recordPriority and recordTimes (17.21.12, 17.21.13).
    pub(super) fn record_priority_and_times(&mut self) {
        if let Some((_, priority, times)) = self.rcvd_msg.as_ref().and_then(message) {
            self.port_priority = priority;
            self.port_times = times;
        }
    }

    /// setTcFlags (17.21.17).
    pub(super) fn set_tc_flags(&mut self) {
        match self.rcvd_msg {
            Some(Bpdu::Config(Config {
                topology_change,
                topology_change_ack,
                ..
            }))
            | Some(Bpdu::Rst(Rst {
                topology_change,
                topology_change_ack,
                ..
            })) => {
                self.rcvd_tc |= topology_change;
                self.rcvd_tc_ack |= topology_change_ack;
            }
            Some(Bpdu::Tcn) => self.rcvd_tcn = true,
            None => {}
        }
    }

    /// updtBPDUVersion (17.21.22).
    pub(super) fn updt_bpdu_version(&mut self, bpdu: &Bpdu) {
        match bpdu {
            Bpdu::Rst(_) => self.rcvd_rstp = true,
            Bpdu::Config(_) | Bpdu::Tcn => self.rcvd_stp = true,
        }
    }

    /// updtRcvdInfoWhile (17.21.23): three hello times, unless the information is too old to go on. In mode `dot1d`
    /// what is left of Max Age (802.1D-1998 8.6.2).
    pub(super) fn updt_rcvd_info_while(&mut self, rstp_version: bool) {
        let times = self.port_times;
        let effective_age = times.message_age.saturating_add(1);
        self.rcvd_info_while = if effective_age > times.max_age {
            0
        } else if rstp_version {
            3 * times.hello
        } else {
            times.max_age - times.message_age
        };
    }
}

impl Bridge {
    /// clearReselectTree (17.21.2).
    pub(super) fn clear_reselect_tree(&mut self) {
        for port in &mut self.ports {
            port.reselect = false;
        }
    }

    /// fdbFlush (17.19.7): at once, or by rapid ageing in mode `dot1d`.
    pub(super) fn fdb_flush(&mut self, i: usize) {
        let port = self.ports[i].number;
        let flush = if self.rstp_version() {
            Flush::Now(port)
        } else {
            let seconds = self.state.root_times.forward_delay;
            Flush::Ageing { port, seconds }
        };
        if !self.out.flush.contains(&flush) {
            self.out.flush.push(flush);
        }
    }

    /// newTcWhile (17.21.7). In mode `dot1d` only the root tells for the whole time; the others tell on while they
    /// are told (802.1D-1998 8.6.14).
    pub(super) fn new_tc_while(&mut self, i: usize) {
        let root = self.state.root_times;
        let relays = !self.rstp_version() && !self.is_root();
        let port = &mut self.ports[i];
        if port.tc_while != 0 {
            return;
        }
        if port.send_rstp {
            port.tc_while = port.hello_time() + 1;
            port.new_info = true;
        } else if relays && port.role != Role::Root {
            port.tc_while = port.hello_time() + 1;
        } else {
            port.tc_while = root.max_age + root.forward_delay;
        }
    }

    /// setReRootTree (17.21.14).
    pub(super) fn set_re_root_tree(&mut self) {
        for port in &mut self.ports {
            port.re_root = true;
        }
    }

    /// setSelectedTree (17.21.15).
    pub(super) fn set_selected_tree(&mut self) {
        if self.ports.iter().all(|p| !p.reselect) {
            for port in &mut self.ports {
                port.selected = true;
            }
        }
    }

    /// setSyncTree (17.21.16).
    pub(super) fn set_sync_tree(&mut self) {
        for port in &mut self.ports {
            port.sync = true;
        }
    }

    /// setTcPropTree (17.21.18): every port but the one that it is called for.
    pub(super) fn set_tc_prop_tree(&mut self, i: usize) {
        self.due = Marks::ALL;
        for (j, port) in self.ports.iter_mut().enumerate() {
            port.tc_prop |= j != i;
        }
    }

    /// A topology change is counted.
    pub(super) fn count_topology_change(&mut self) {
        self.state.topology_changes = self.state.topology_changes.wrapping_add(1);
        self.state.since_topology_change = 0;
    }

    /// txConfig (17.21.19).
    pub(super) fn tx_config(&mut self, i: usize) {
        let port = &mut self.ports[i];
        let bpdu = Bpdu::Config(Config {
            vector: designated_vector(port),
            topology_change: port.tc_while != 0,
            topology_change_ack: port.tc_ack,
        });
        port.counters.tx_config += 1;
        self.out.send.push((port.number, bpdu));
    }

    /// txRstp (17.21.20).
    pub(super) fn tx_rstp(&mut self, i: usize) {
        let port = &mut self.ports[i];
        let role = match port.role {
            Role::Root => RstRole::Root,
            Role::Designated => RstRole::Designated,
            Role::Alternate | Role::Backup | Role::Disabled => RstRole::AlternateOrBackup,
        };
        let bpdu = Bpdu::Rst(Rst {
            vector: designated_vector(port),
            role,
            topology_change: port.tc_while != 0,
            topology_change_ack: false,
            proposal: port.role == Role::Designated && port.proposing,
            agreement: port.role != Role::Designated && port.agree,
            learning: port.learning,
            forwarding: port.forwarding,
        });
        port.counters.tx_rst += 1;
        self.out.send.push((port.number, bpdu));
    }

    /// txTcn (17.21.21).
    pub(super) fn tx_tcn(&mut self, i: usize) {
        let port = &mut self.ports[i];
        port.counters.tx_tcn += 1;
        self.out.send.push((port.number, Bpdu::Tcn));
    }

    /// updtRolesTree (17.21.25).
    pub(super) fn updt_roles_tree(&mut self) {
        let config = self.state.config;
        let own = config.id();
        let mut best = (PriorityVector::own(own), PortId(0));
        let mut times = config.times();
        for port in &self.ports {
            if port.info_is != InfoIs::Received
                || port.config.root_guard
                || port.port_priority.designated_bridge.mac == own.mac
            {
                continue;
            }
            let cost = port.path_cost(config.cost_method);
            let held = port.port_priority;
            let path = PriorityVector {
                root_path_cost: held.root_path_cost.saturating_add(cost),
                ..held
            };
            if (path, port.port_id()) < best {
                best = (path, port.port_id());
                times = port.port_times;
                times.message_age = times.message_age.saturating_add(1);
            }
        }
        (self.state.root_priority, self.state.root_port_id) = best;
        self.state.root_times = times;
        for i in 0..self.ports.len() {
            let port = &mut self.ports[i];
            port.designated_priority = PriorityVector {
                root: best.0.root,
                root_path_cost: best.0.root_path_cost,
                designated_bridge: own,
                designated_port: port.port_id(),
            };
            port.designated_times = Times {
                hello: config.hello,
                ..times
            };
            let guarding = port.config.root_guard
                && port.info_is == InfoIs::Received
                && port.port_priority < port.designated_priority;
            if guarding != port.root_guarding {
                port.root_guarding = guarding;
                port.counters.root_guard += u64::from(guarding);
                let (port, active) = (port.number, guarding);
                self.out.events.push(Event::RootGuard { port, active });
            }
            self.ports[i].select_role(best.1, own);
        }
    }
}

impl PortState {
    /// Items f) to l) of updtRolesTree.
    fn select_role(&mut self, root_port: PortId, own: super::BridgeId) {
        let from_own = self.port_priority.designated_bridge.mac == own.mac;
        (self.selected_role, self.updt_info) = match self.info_is {
            InfoIs::Disabled => (Role::Disabled, self.updt_info),
            InfoIs::Aged => (Role::Designated, true),
            InfoIs::Mine => {
                let changed = self.port_priority != self.designated_priority
                    || self.port_times != self.designated_times;
                (Role::Designated, changed)
            }
            InfoIs::Received if self.port_id() == root_port => (Role::Root, false),
            InfoIs::Received if self.designated_priority < self.port_priority => {
                (Role::Designated, true)
            }
            InfoIs::Received if from_own => (Role::Backup, false),
            InfoIs::Received => (Role::Alternate, false),
        };
    }
}

/// What a port says of the root: always its designated priority and times, also in a BPDU of a root port.
fn designated_vector(port: &PortState) -> Vector {
    Vector {
        root: port.designated_priority.root,
        root_path_cost: port.designated_priority.root_path_cost,
        bridge: port.designated_priority.designated_bridge,
        port: port.designated_priority.designated_port,
        times: port.designated_times.to_wire(),
    }
}
